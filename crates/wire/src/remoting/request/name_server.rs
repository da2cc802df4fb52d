//! Requests to a name server.

use crate::remoting::field::header_fields;

header_fields! {
    /// `GET_ROUTEINFO_BY_TOPIC`.
    pub struct GetRoute<'a> {
        topic: &'a str = "topic",
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
    }

    /// `REGISTER_BROKER`; the body is read by [`registration`](crate::remoting::registration).
    pub struct RegisterBroker<'a> {
        broker_name: &'a str = "brokerName",
        broker_addr: &'a str = "brokerAddr",
        cluster_name: &'a str = "clusterName",
        ha_server_addr: &'a str = "haServerAddr",
        broker_id: i64 = "brokerId",
        heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMillis",
        enable_acting_master: Option<bool> = "enableActingMaster",
        compressed: Option<bool> = "compressed",
        body_crc32: Option<i64> = "bodyCrc32",
        zone_name: Option<&'a str> = "__ZONE_NAME",
    }

    /// `UNREGISTER_BROKER`.
    pub struct UnregisterBroker<'a> {
        broker_name: &'a str = "brokerName",
        broker_addr: &'a str = "brokerAddr",
        cluster_name: &'a str = "clusterName",
        broker_id: i64 = "brokerId",
    }

    /// `BROKER_HEARTBEAT`.
    pub struct BrokerHeartbeat<'a> {
        cluster_name: &'a str = "clusterName",
        broker_addr: &'a str = "brokerAddr",
        broker_name: &'a str = "brokerName",
        broker_id: Option<i64> = "brokerId",
        epoch: Option<i32> = "epoch",
        max_offset: Option<i64> = "maxOffset",
        confirm_offset: Option<i64> = "confirmOffset",
        heartbeat_timeout_mills: Option<i64> = "heartbeatTimeoutMills",
        election_priority: Option<i32> = "electionPriority",
    }

    /// `QUERY_DATA_VERSION`; the body is a data version.
    pub struct QueryDataVersion<'a> {
        broker_name: &'a str = "brokerName",
        broker_addr: &'a str = "brokerAddr",
        cluster_name: &'a str = "clusterName",
        broker_id: i64 = "brokerId",
    }

    /// `GET_BROKER_MEMBER_GROUP`.
    pub struct GetBrokerMemberGroup<'a> {
        cluster_name: &'a str = "clusterName",
        broker_name: &'a str = "brokerName",
    }

    /// `PUT_KV_CONFIG`.
    pub struct PutKvConfig<'a> {
        namespace: &'a str = "namespace",
        key: &'a str = "key",
        value: &'a str = "value",
    }

    /// `GET_KV_CONFIG`.
    pub struct GetKvConfig<'a> {
        namespace: &'a str = "namespace",
        key: &'a str = "key",
    }

    /// `DELETE_KV_CONFIG`.
    pub struct DeleteKvConfig<'a> {
        namespace: &'a str = "namespace",
        key: &'a str = "key",
    }

    /// `GET_KVLIST_BY_NAMESPACE`.
    pub struct GetKvList<'a> {
        namespace: &'a str = "namespace",
    }

    /// `WIPE_WRITE_PERM_OF_BROKER`.
    pub struct WipeWritePerm<'a> {
        broker_name: &'a str = "brokerName",
    }

    /// `ADD_WRITE_PERM_OF_BROKER`.
    pub struct AddWritePerm<'a> {
        broker_name: &'a str = "brokerName",
    }

    /// `DELETE_TOPIC_IN_NAMESRV`.
    pub struct DeleteTopicRoute<'a> {
        topic: &'a str = "topic",
        cluster_name: Option<&'a str> = "clusterName",
    }

    /// `REGISTER_TOPIC_IN_NAMESRV`; the body is route data.
    pub struct RegisterTopic<'a> {
        topic: &'a str = "topic",
    }

    /// `GET_TOPICS_BY_CLUSTER`.
    pub struct GetTopicsByCluster<'a> {
        cluster: &'a str = "cluster",
    }
}
