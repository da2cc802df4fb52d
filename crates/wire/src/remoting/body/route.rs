//! Who serves what: routes and clusters.

use super::{Opaque, body};
use std::collections::{BTreeMap, BTreeSet};

body! {
    /// Where a topic lives.
    pub struct TopicRouteData {
        #[serde(skip_serializing_if = "Option::is_none")]
        order_topic_conf: Option<String>,
        queue_datas: Vec<QueueData>,
        broker_datas: Vec<BrokerData>,
        filter_server_table: BTreeMap<String, Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        topic_queue_mapping_by_broker: Option<BTreeMap<String, Opaque>>,
    }

    /// Queues of a topic on one broker.
    #[derive(Eq)]
    pub struct QueueData {
        broker_name: String,
        read_queue_nums: i32,
        write_queue_nums: i32,
        perm: i32,
        topic_sys_flag: i32,
    }

    /// Addresses of one broker by replica, 0 being the master.
    #[derive(Eq)]
    pub struct BrokerData {
        cluster: String,
        broker_name: String,
        broker_addrs: BTreeMap<i64, String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        zone_name: Option<String>,
        enable_acting_master: bool,
    }

    /// Answer of `GET_BROKER_CLUSTER_INFO`.
    #[derive(Eq)]
    pub struct ClusterInfo {
        broker_addr_table: BTreeMap<String, BrokerData>,
        cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
    }

    /// The replicas of one broker.
    #[derive(Eq)]
    pub struct BrokerMemberGroup {
        cluster: String,
        broker_name: String,
        broker_addrs: BTreeMap<i64, String>,
    }

    /// Answer of `GET_BROKER_MEMBER_GROUP`.
    #[derive(Eq)]
    pub struct BrokerMemberGroupAnswer {
        #[serde(skip_serializing_if = "Option::is_none")]
        broker_member_group: Option<BrokerMemberGroup>,
    }
}
