//! Topics.

use crate::remoting::field::{OrDefault, header_fields};

header_fields! {
    /// `UPDATE_AND_CREATE_TOPIC`; `attributes` is a text like `+key=value,-key`. The original does without
    /// `default_topic` and `order`, though it marks them as required.
    pub struct CreateTopic<'a> {
        topic: &'a str = "topic",
        default_topic: OrDefault<&'a str> = "defaultTopic",
        read_queue_nums: i32 = "readQueueNums",
        write_queue_nums: i32 = "writeQueueNums",
        perm: i32 = "perm",
        topic_filter_type: &'a str = "topicFilterType",
        topic_sys_flag: Option<i32> = "topicSysFlag",
        order: OrDefault<bool> = "order",
        attributes: Option<&'a str> = "attributes",
        force: Option<bool> = "force",
    }

    /// `DELETE_TOPIC_IN_BROKER`.
    pub struct DeleteTopic<'a> {
        topic: &'a str = "topic",
    }

    /// `GET_TOPIC_CONFIG`.
    pub struct GetTopicConfig<'a> {
        topic: &'a str = "topic",
    }

    /// `GET_ALL_TOPIC_CONFIG`; the fields page the answer.
    pub struct GetAllTopicConfig<'a> {
        topic_seq: Option<i32> = "topicSeq",
        data_version: Option<&'a str> = "dataVersion",
        max_topic_num: Option<i32> = "maxTopicNum",
    }

    /// `GET_TOPIC_STATS_INFO`.
    pub struct GetTopicStats<'a> {
        topic: &'a str = "topic",
    }

    /// `QUERY_TOPIC_CONSUME_BY_WHO`.
    pub struct QueryTopicConsumeByWho<'a> {
        topic: &'a str = "topic",
    }
}
