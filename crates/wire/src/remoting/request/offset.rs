//! Positions of queues and of consumers.

use crate::remoting::field::header_fields;

header_fields! {
    /// `QUERY_CONSUMER_OFFSET`.
    pub struct QueryConsumerOffset<'a> {
        consumer_group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        set_zero_if_not_found: Option<bool> = "setZeroIfNotFound",
        broker_name: Option<&'a str> = "bname",
    }

    /// `UPDATE_CONSUMER_OFFSET`, often one-way.
    pub struct UpdateConsumerOffset<'a> {
        consumer_group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        commit_offset: i64 = "commitOffset",
        broker_name: Option<&'a str> = "bname",
    }

    /// `SEARCH_OFFSET_BY_TIMESTAMP`; `boundary_type` is `LOWER` (default) or `UPPER`.
    pub struct SearchOffset<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        timestamp: i64 = "timestamp",
        boundary_type: Option<&'a str> = "boundaryType",
        lite_topic: Option<&'a str> = "liteTopic",
        broker_name: Option<&'a str> = "bname",
    }

    /// `GET_MAX_OFFSET`.
    pub struct GetMaxOffset<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        committed: Option<bool> = "committed",
        broker_name: Option<&'a str> = "bname",
    }

    /// `GET_MIN_OFFSET`.
    pub struct GetMinOffset<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        broker_name: Option<&'a str> = "bname",
    }

    /// `GET_EARLIEST_MSG_STORETIME`.
    pub struct GetEarliestStoreTime<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        broker_name: Option<&'a str> = "bname",
    }

    /// `CLONE_GROUP_OFFSET`.
    pub struct CloneGroupOffset<'a> {
        src_group: &'a str = "srcGroup",
        dest_group: &'a str = "destGroup",
        topic: Option<&'a str> = "topic",
        offline: Option<bool> = "offline",
    }
}
