//! Topics and groups as configured.

use super::{DataVersion, Opaque, body};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `topicFilterType` of every topic in use.
pub const SINGLE_TAG: &str = "SINGLE_TAG";
/// Read and write.
pub const PERM_READ_WRITE: i32 = 6;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    /// Its name.
    pub topic_name: String,
    /// Queues that consumers see. Default 16.
    pub read_queue_nums: i32,
    /// Queues that producers see. Default 16.
    pub write_queue_nums: i32,
    /// Bits: 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    pub topic_filter_type: String,
    /// Bits: 1 unit, 2 subscribed by a unit.
    pub topic_sys_flag: i32,
    /// Ordered over all brokers.
    pub order: bool,
    /// Attributes such as `message.type`.
    pub attributes: BTreeMap<String, String>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            topic_name: String::new(),
            read_queue_nums: 16,
            write_queue_nums: 16,
            perm: PERM_READ_WRITE,
            topic_filter_type: SINGLE_TAG.to_owned(),
            topic_sys_flag: 0,
            order: false,
            attributes: BTreeMap::new(),
        }
    }
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupConfig {
    /// Its name.
    pub group_name: String,
    /// May receive at all. Default true.
    pub consume_enable: bool,
    /// May begin at the smallest offset. Default true.
    pub consume_from_min_enable: bool,
    /// May broadcast. Default true.
    pub consume_broadcast_enable: bool,
    /// Receives in order.
    pub consume_message_orderly: bool,
    /// Queues of its retry topic. Default 1.
    pub retry_queue_nums: i32,
    /// Tries before the dead letter queue. Default 16.
    pub retry_max_times: i32,
    /// How long to wait before each retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_retry_policy: Option<Opaque>,
    /// Replica to read from. Default 0.
    pub broker_id: i64,
    /// Replica suggested to slow consumers. Default 1.
    pub which_broker_when_consume_slowly: i64,
    /// Tell the members when their set changes. Default true.
    pub notify_consumer_ids_changed_enable: bool,
    /// Bits, 1 unit.
    pub group_sys_flag: i32,
    /// Longest time for one message, in minutes. Default 15.
    pub consume_timeout_minute: i32,
    /// Fixed subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data_set: Option<Vec<SimpleSubscription>>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            group_name: String::new(),
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            group_retry_policy: None,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            group_sys_flag: 0,
            consume_timeout_minute: 15,
            subscription_data_set: None,
            attributes: BTreeMap::new(),
        }
    }
}

body! {
    /// A subscription fixed by the operator.
    #[derive(Eq)]
    pub struct SimpleSubscription {
        topic: String,
        expression_type: String,
        expression: String,
        version: i64,
    }

    /// All topics of a broker: answer of `GET_ALL_TOPIC_CONFIG`, part of a registration.
    pub struct TopicTable {
        topic_config_table: BTreeMap<String, TopicConfig>,
        data_version: DataVersion,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        topic_queue_mapping_info_map: BTreeMap<String, Opaque>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        topic_queue_mapping_detail_map: BTreeMap<String, Opaque>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mapping_data_version: Option<DataVersion>,
    }

    /// All groups of a broker: answer of `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`.
    pub struct GroupTable {
        subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
        data_version: DataVersion,
    }

    /// Body of `UPDATE_AND_CREATE_TOPIC_LIST`.
    #[derive(Eq)]
    pub struct TopicConfigList {
        topic_config_list: Vec<TopicConfig>,
    }

    /// Body of `UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST`.
    pub struct SubscriptionGroupList {
        group_config_list: Vec<SubscriptionGroupConfig>,
    }

    /// Body of `REGISTER_BROKER`; see [`registration`](crate::remoting::registration).
    pub struct RegisterBrokerBody {
        topic_config_serialize_wrapper: TopicTable,
        filter_server_list: Vec<String>,
    }

    /// Answer of `GET_ALL_CONSUMER_OFFSET`; keys are `topic@group`, then queues.
    #[derive(Eq)]
    pub struct ConsumerOffsets {
        offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_version: Option<DataVersion>,
    }
}
