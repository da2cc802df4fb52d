//! Consumer and producer groups.

use crate::remoting::field::header_fields;

header_fields! {
    /// `GET_SUBSCRIPTIONGROUP_CONFIG`.
    pub struct GetGroupConfig<'a> {
        group: &'a str = "group",
    }

    /// `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`; the fields page the answer.
    pub struct GetAllGroupConfig<'a> {
        group_seq: Option<i32> = "groupSeq",
        data_version: Option<&'a str> = "dataVersion",
        max_group_num: Option<i32> = "maxGroupNum",
    }

    /// `DELETE_SUBSCRIPTIONGROUP`.
    pub struct DeleteGroup<'a> {
        group_name: &'a str = "groupName",
        clean_offset: Option<bool> = "cleanOffset",
    }

    /// `GET_CONSUMER_CONNECTION_LIST`.
    pub struct GetConsumerConnections<'a> {
        consumer_group: &'a str = "consumerGroup",
    }

    /// `GET_PRODUCER_CONNECTION_LIST`.
    pub struct GetProducerConnections<'a> {
        producer_group: &'a str = "producerGroup",
    }

    /// `GET_CONSUME_STATS`; `topic_list` is separated by `;`.
    pub struct GetConsumeStats<'a> {
        consumer_group: &'a str = "consumerGroup",
        topic: Option<&'a str> = "topic",
        topic_list: Option<&'a str> = "topicList",
    }

    /// `QUERY_CONSUME_TIME_SPAN`.
    pub struct QueryConsumeTimeSpan<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
    }

    /// `QUERY_TOPICS_BY_CONSUMER`.
    pub struct QueryTopicsByConsumer<'a> {
        group: &'a str = "group",
    }

    /// `QUERY_SUBSCRIPTION_BY_CONSUMER`.
    pub struct QuerySubscriptionByConsumer<'a> {
        group: &'a str = "group",
        topic: Option<&'a str> = "topic",
    }

    /// `UPDATE_AND_GET_GROUP_FORBIDDEN`; without `readable` it only asks.
    pub struct GroupForbidden<'a> {
        group: &'a str = "group",
        topic: &'a str = "topic",
        readable: Option<bool> = "readable",
    }
}
