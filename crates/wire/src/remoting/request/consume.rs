//! Receiving and handing back.

use crate::remoting::field::{OrDefault, header_fields};

header_fields! {
    /// `PULL_MESSAGE` and `LITE_PULL_MESSAGE`. The original marks `commit_offset`, `suspend_timeout_millis` and
    /// `sub_version` as required, but does without them.
    pub struct PullMessage<'a> {
        consumer_group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        queue_offset: i64 = "queueOffset",
        max_msg_nums: i32 = "maxMsgNums",
        sys_flag: i32 = "sysFlag",
        commit_offset: OrDefault<i64> = "commitOffset",
        suspend_timeout_millis: OrDefault<i64> = "suspendTimeoutMillis",
        sub_version: OrDefault<i64> = "subVersion",
        subscription: Option<&'a str> = "subscription",
        expression_type: Option<&'a str> = "expressionType",
        max_msg_bytes: Option<i32> = "maxMsgBytes",
        lite_topic: Option<&'a str> = "liteTopic",
        request_source: Option<i32> = "requestSource",
        proxy_forward_client_id: Option<&'a str> = "proxyFrowardClientId",
        broker_name: Option<&'a str> = "bname",
    }

    /// `CONSUMER_SEND_MSG_BACK`: retry later, or the dead letter queue.
    pub struct SendBack<'a> {
        offset: i64 = "offset",
        group: &'a str = "group",
        delay_level: i32 = "delayLevel",
        origin_msg_id: Option<&'a str> = "originMsgId",
        origin_topic: Option<&'a str> = "originTopic",
        unit_mode: Option<bool> = "unitMode",
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        broker_name: Option<&'a str> = "bname",
    }

    /// `QUERY_MESSAGE`: by key, or by unique id when
    /// [`FIELD_UNIQUE_KEY_QUERY`](super::FIELD_UNIQUE_KEY_QUERY) is `true`.
    pub struct QueryMessage<'a> {
        topic: &'a str = "topic",
        key: &'a str = "key",
        max_num: i32 = "maxNum",
        begin_timestamp: i64 = "beginTimestamp",
        end_timestamp: i64 = "endTimestamp",
        index_type: Option<&'a str> = "indexType",
        last_key: Option<&'a str> = "lastKey",
        unique_key: Option<bool> = "_UNIQUE_KEY_QUERY",
    }

    /// `VIEW_MESSAGE_BY_ID`; `offset` is the position in the log.
    pub struct ViewMessage<'a> {
        topic: Option<&'a str> = "topic",
        offset: i64 = "offset",
    }
}

impl PullMessage<'_> {
    /// Bit of `sys_flag`: `commit_offset` is to be stored.
    pub const COMMIT_OFFSET: i32 = 1;
    /// Bit of `sys_flag`: wait when there is nothing yet.
    pub const SUSPEND: i32 = 2;
    /// Bit of `sys_flag`: `subscription` holds the filter.
    pub const SUBSCRIPTION: i32 = 4;
    /// Bit of `sys_flag`: filter by class.
    pub const CLASS_FILTER: i32 = 8;
    /// Bit of `sys_flag`: a lite pull.
    pub const LITE_PULL: i32 = 16;
}
