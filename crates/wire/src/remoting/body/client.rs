//! What clients say of themselves.

use super::{MessageQueue, QueueMap, body, named};
use std::collections::{BTreeMap, BTreeSet};

named! {
    /// How a group receives.
    pub enum ConsumeType {
        Actively = "CONSUME_ACTIVELY",
        Passively = "CONSUME_PASSIVELY",
        Pop = "CONSUME_POP",
    } default Passively

    /// Who receives.
    pub enum MessageModel {
        Broadcasting = "BROADCASTING",
        Clustering = "CLUSTERING",
        LiteSelective = "LITE_SELECTIVE",
    } default Clustering

    /// Where a new group begins; the middle three are out of use and mean the last offset.
    pub enum ConsumeFromWhere {
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        LastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    } default LastOffset
}

body! {
    /// Body of `HEART_BEAT`.
    pub struct HeartbeatData {
        #[serde(rename = "clientID")]
        client_id: String,
        producer_data_set: Vec<ProducerData>,
        consumer_data_set: Vec<ConsumerData>,
        heartbeat_fingerprint: i32,
        #[serde(rename = "withoutSub", alias = "isWithoutSub")]
        without_sub: bool,
    }

    /// A producer group of a client.
    #[derive(Eq)]
    pub struct ProducerData {
        group_name: String,
    }

    /// A consumer group of a client.
    pub struct ConsumerData {
        group_name: String,
        consume_type: ConsumeType,
        message_model: MessageModel,
        consume_from_where: ConsumeFromWhere,
        subscription_data_set: Vec<SubscriptionData>,
        unit_mode: bool,
    }

    /// What a group wants of one topic.
    #[derive(Eq)]
    pub struct SubscriptionData {
        class_filter_mode: bool,
        topic: String,
        sub_string: String,
        tags_set: BTreeSet<String>,
        code_set: BTreeSet<i32>,
        sub_version: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expression_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filter_class_source: Option<String>,
    }

    /// Answer of `GET_CONSUMER_LIST_BY_GROUP`.
    #[derive(Eq)]
    pub struct ConsumerList {
        consumer_id_list: Vec<String>,
    }

    /// Body of `CHECK_CLIENT_CONFIG`.
    #[derive(Eq)]
    pub struct CheckClient {
        client_id: String,
        group: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        subscription_data: SubscriptionData,
    }

    /// Body of `LOCK_BATCH_MQ` and `UNLOCK_BATCH_MQ`.
    #[derive(Eq)]
    pub struct LockBatch {
        consumer_group: String,
        client_id: String,
        only_this_broker: bool,
        mq_set: BTreeSet<MessageQueue>,
    }

    /// Answer of `LOCK_BATCH_MQ`.
    #[derive(Eq)]
    pub struct LockBatchAnswer {
        #[serde(rename = "lockOKMQSet")]
        lock_ok_mq_set: BTreeSet<MessageQueue>,
    }

    /// Body of `RESET_CONSUMER_CLIENT_OFFSET` to clients other than those in C++, answer of `INVOKE_BROKER_TO_RESET_OFFSET`.
    #[derive(Eq)]
    pub struct ResetOffsetBody {
        #[serde(with = "super::queue_map")]
        offset_table: QueueMap<i64>,
    }

    /// Body of `RESET_CONSUMER_CLIENT_OFFSET` to C++ clients.
    #[derive(Eq)]
    pub struct ResetOffsetList {
        offset_table: Vec<QueueOffset>,
    }

    /// A queue and its new offset.
    #[derive(Eq)]
    pub struct QueueOffset {
        broker_name: String,
        offset: i64,
        queue_id: i32,
        topic: String,
    }

    /// Answer of `GET_CONSUMER_STATUS_FROM_CLIENT` and of its admin form.
    pub struct ConsumerStatus {
        #[serde(with = "super::queue_map")]
        message_queue_table: QueueMap<i64>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        consumer_table: BTreeMap<String, ClientOffsets>,
    }

    /// Answer of `CONSUME_MESSAGE_DIRECTLY`.
    #[derive(Eq)]
    pub struct ConsumeDirectlyResult {
        order: bool,
        auto_commit: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        consume_result: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
        spent_time_mills: i64,
    }
}

/// Offsets of one client by queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ClientOffsets(#[serde(with = "super::queue_map")] pub QueueMap<i64>);
