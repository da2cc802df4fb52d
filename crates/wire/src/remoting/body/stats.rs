//! Progress and rates.

use super::{MessageQueue, QueueMap, SubscriptionData, body};
use std::collections::BTreeMap;

body! {
    /// Answer of `GET_CONSUME_STATS`.
    pub struct ConsumeStats {
        #[serde(with = "super::queue_map")]
        offset_table: QueueMap<GroupOffset>,
        consume_tps: f64,
    }

    /// How far a group is in one queue; times in milliseconds.
    #[derive(Copy, Eq)]
    pub struct GroupOffset {
        broker_offset: i64,
        consumer_offset: i64,
        pull_offset: i64,
        last_timestamp: i64,
    }

    /// Answer of `GET_TOPIC_STATS_INFO`.
    pub struct TopicStatsTable {
        #[serde(with = "super::queue_map")]
        offset_table: QueueMap<TopicOffset>,
        topic_put_tps: f64,
    }

    /// Extent of one queue.
    #[derive(Copy, Eq)]
    pub struct TopicOffset {
        min_offset: i64,
        max_offset: i64,
        last_update_timestamp: i64,
    }

    /// Answer of `QUERY_CONSUME_TIME_SPAN`.
    #[derive(Eq)]
    pub struct ConsumeTimeSpan {
        consume_time_span_set: Vec<QueueTimeSpan>,
    }

    /// Times in one queue, in milliseconds of the Unix epoch; `delay_time` is a duration.
    #[derive(Eq)]
    pub struct QueueTimeSpan {
        message_queue: MessageQueue,
        min_time_stamp: i64,
        max_time_stamp: i64,
        consume_time_stamp: i64,
        delay_time: i64,
    }

    /// Answer of `GET_BROKER_CONSUME_STATS`; the inner key is a group.
    pub struct ConsumeStatsList {
        consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        broker_addr: Option<String>,
        total_diff: i64,
        total_inflight_diff: i64,
    }

    /// Answer of `QUERY_CONSUME_QUEUE`.
    pub struct ConsumeQueuePage {
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription_data: Option<SubscriptionData>,
        queue_data: Vec<ConsumeQueueEntry>,
        max_queue_index: i64,
        min_queue_index: i64,
    }

    /// One entry of a queue: where its record is, and whether a group's subscription wants it.
    #[derive(Eq)]
    pub struct ConsumeQueueEntry {
        physic_offset: i64,
        physic_size: i32,
        tags_code: i64,
        eval: bool,
    }

    /// Answer of `VIEW_BROKER_STATS_DATA`.
    pub struct BrokerStatsData {
        stats_minute: BrokerStatsItem,
        stats_hour: BrokerStatsItem,
        stats_day: BrokerStatsItem,
    }

    /// Answer of `GET_BROKER_HA_STATUS`.
    pub struct HaStatus {
        master: bool,
        master_commit_log_max_offset: i64,
        in_sync_slave_nums: i32,
        ha_connection_info: Vec<HaConnection>,
        ha_client_runtime_info: HaClient,
    }

    /// A replica that reads from this broker.
    #[derive(Eq)]
    pub struct HaConnection {
        addr: String,
        slave_ack_offset: i64,
        diff: i64,
        in_sync: bool,
        transferred_byte_in_second: i64,
        transfer_from_where: i64,
    }

    /// What this broker reads as a replica.
    #[derive(Copy, Eq)]
    pub struct HaClient {
        last_read_timestamp: i64,
        last_write_timestamp: i64,
        master_flush_offset: i64,
        max_offset: i64,
        transferred_byte_in_second: i64,
    }

    /// Answer of `GET_COLD_DATA_FLOW_CTR_INFO`.
    #[derive(Eq)]
    pub struct ColdDataInfo {
        runtime_table: BTreeMap<String, i64>,
        config_table: BTreeMap<String, i64>,
        cg_cold_read_threshold: i64,
        global_cold_read_threshold: i64,
        global_acc: i64,
    }

    /// Body of `SET_MESSAGE_REQUEST_MODE`; `mode` is `PULL` or `POP`.
    #[derive(Eq)]
    pub struct MessageRequestMode {
        topic: String,
        consumer_group: String,
        mode: String,
        pop_share_queue_num: i32,
    }

    /// One rate.
    #[derive(Copy)]
    pub struct BrokerStatsItem {
        sum: i64,
        tps: f64,
        avgpt: f64,
    }

    /// Answer of `QUERY_SUBSCRIPTION_BY_CONSUMER`.
    #[derive(Eq)]
    pub struct SubscriptionAnswer {
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription_data: Option<SubscriptionData>,
        group: String,
        topic: String,
    }
}
