//! Clients as such, and notices to them.

use crate::remoting::field::header_fields;

header_fields! {
    /// `UNREGISTER_CLIENT`.
    pub struct UnregisterClient<'a> {
        client_id: &'a str = "clientID",
        producer_group: Option<&'a str> = "producerGroup",
        consumer_group: Option<&'a str> = "consumerGroup",
    }

    /// `GET_CONSUMER_LIST_BY_GROUP`.
    pub struct GetConsumerListByGroup<'a> {
        consumer_group: &'a str = "consumerGroup",
    }

    /// `NOTIFY_CONSUMER_IDS_CHANGED`, server to client, one-way.
    pub struct NotifyConsumerIdsChanged<'a> {
        consumer_group: &'a str = "consumerGroup",
    }

    /// `RESET_CONSUMER_CLIENT_OFFSET`, server to client; the body holds the new offsets.
    pub struct ResetOffset<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
        queue_id: Option<i32> = "queueId",
        offset: Option<i64> = "offset",
        timestamp: i64 = "timestamp",
        is_force: bool = "isForce",
    }

    /// `GET_CONSUMER_STATUS_FROM_CLIENT` and `INVOKE_BROKER_TO_GET_CONSUMER_STATUS`.
    pub struct GetConsumerStatus<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
        client_addr: Option<&'a str> = "clientAddr",
    }

    /// `GET_CONSUMER_RUNNING_INFO`, to the broker and on to the client.
    pub struct GetConsumerRunningInfo<'a> {
        consumer_group: &'a str = "consumerGroup",
        client_id: &'a str = "clientId",
        jstack_enable: Option<bool> = "jstackEnable",
    }

    /// `CONSUME_MESSAGE_DIRECTLY`, to the broker and on to the client with the message as body.
    pub struct ConsumeMessageDirectly<'a> {
        consumer_group: &'a str = "consumerGroup",
        client_id: Option<&'a str> = "clientId",
        msg_id: Option<&'a str> = "msgId",
        broker_name: Option<&'a str> = "brokerName",
        topic: Option<&'a str> = "topic",
        topic_sys_flag: Option<i32> = "topicSysFlag",
        group_sys_flag: Option<i32> = "groupSysFlag",
    }
}
