//! Typed response headers; the names match those of [`request`](super::request).

use crate::remoting::field::header_fields;

header_fields! {
    /// Of the sending requests.
    pub struct SendMessage<'a> {
        msg_id: &'a str = "msgId",
        queue_id: i32 = "queueId",
        queue_offset: i64 = "queueOffset",
        transaction_id: Option<&'a str> = "transactionId",
        batch_uniq_id: Option<&'a str> = "batchUniqId",
        recall_handle: Option<&'a str> = "recallHandle",
    }

    /// Of `PULL_MESSAGE`; the body is the messages.
    pub struct PullMessage {
        suggest_which_broker_id: i64 = "suggestWhichBrokerId",
        next_begin_offset: i64 = "nextBeginOffset",
        min_offset: i64 = "minOffset",
        max_offset: i64 = "maxOffset",
        offset_delta: Option<i64> = "offsetDelta",
        topic_sys_flag: Option<i32> = "topicSysFlag",
        group_sys_flag: Option<i32> = "groupSysFlag",
        forbidden_type: Option<i32> = "forbiddenType",
    }

    /// Of `QUERY_CONSUMER_OFFSET`, `SEARCH_OFFSET_BY_TIMESTAMP`, `GET_MAX_OFFSET` and `GET_MIN_OFFSET`.
    pub struct Offset {
        offset: i64 = "offset",
    }

    /// Of `GET_EARLIEST_MSG_STORETIME`.
    pub struct StoreTime {
        timestamp: i64 = "timestamp",
    }

    /// Of `QUERY_MESSAGE`; the body is the messages.
    pub struct QueryMessage {
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset",
    }

    /// Of `RECALL_MESSAGE`.
    pub struct RecallMessage<'a> {
        msg_id: &'a str = "msgId",
    }

    /// Of `HEART_BEAT`.
    pub struct Heartbeat {
        is_support_heart_beat_v2: Option<bool> = "IS_SUPPORT_HEART_BEAT_V2",
        is_sub_change: Option<bool> = "IS_SUB_CHANGE",
    }

    /// Of `GET_ALL_TOPIC_CONFIG`.
    pub struct AllTopicConfig {
        total_topic_num: Option<i32> = "totalTopicNum",
    }

    /// Of `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`.
    pub struct AllGroupConfig {
        total_group_num: Option<i32> = "totalGroupNum",
    }

    /// Of `GET_BROKER_CONFIG`; the body is properties text.
    pub struct BrokerConfig<'a> {
        version: &'a str = "version",
    }

    /// Of `REGISTER_BROKER`; the body is the order configuration.
    pub struct RegisterBroker<'a> {
        ha_server_addr: Option<&'a str> = "haServerAddr",
        master_addr: Option<&'a str> = "masterAddr",
    }

    /// Of `QUERY_DATA_VERSION`; the body is the data version known.
    pub struct QueryDataVersion {
        changed: bool = "changed",
    }

    /// Of `GET_KV_CONFIG`.
    pub struct GetKvConfig<'a> {
        value: Option<&'a str> = "value",
    }

    /// Of `WIPE_WRITE_PERM_OF_BROKER`.
    pub struct WipeWritePerm {
        wipe_topic_count: i32 = "wipeTopicCount",
    }

    /// Of `ADD_WRITE_PERM_OF_BROKER`.
    pub struct AddWritePerm {
        add_topic_count: i32 = "addTopicCount",
    }

    /// Of `UPDATE_AND_GET_GROUP_FORBIDDEN`; the body says the same.
    pub struct GroupForbidden<'a> {
        group: Option<&'a str> = "group",
        topic: Option<&'a str> = "topic",
        readable: Option<bool> = "readable",
    }
}
