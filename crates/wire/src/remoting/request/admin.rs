//! What operators ask of a broker.

use crate::remoting::field::{OrDefault, header_fields};

header_fields! {
    /// `VIEW_BROKER_STATS_DATA`.
    pub struct ViewBrokerStats<'a> {
        stats_name: &'a str = "statsName",
        stats_key: &'a str = "statsKey",
    }

    /// `GET_BROKER_CONSUME_STATS`.
    pub struct GetBrokerConsumeStats {
        is_order: OrDefault<bool> = "isOrder",
    }

    /// `QUERY_CORRECTION_OFFSET`.
    pub struct QueryCorrectionOffset<'a> {
        filter_groups: Option<&'a str> = "filterGroups",
        compare_group: &'a str = "compareGroup",
        topic: &'a str = "topic",
    }

    /// `QUERY_CONSUME_QUEUE`.
    pub struct QueryConsumeQueue<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        index: i64 = "index",
        count: i32 = "count",
        consumer_group: Option<&'a str> = "consumerGroup",
    }

    /// `RESUME_CHECK_HALF_MESSAGE`.
    pub struct ResumeCheckHalfMessage<'a> {
        topic: Option<&'a str> = "topic",
        msg_id: Option<&'a str> = "msgId",
    }

    /// `NOTIFY_MIN_BROKER_ID_CHANGE`, name server to broker, one-way.
    pub struct NotifyMinBrokerIdChange<'a> {
        min_broker_id: Option<i64> = "minBrokerId",
        broker_name: Option<&'a str> = "brokerName",
        min_broker_addr: Option<&'a str> = "minBrokerAddr",
        offline_broker_addr: Option<&'a str> = "offlineBrokerAddr",
        ha_broker_addr: Option<&'a str> = "haBrokerAddr",
    }
}
