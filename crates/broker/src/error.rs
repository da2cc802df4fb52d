//! What can go wrong, one enum per operation. Doors map them to their codes.

use model::{Group, NameError, Topic};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Why a message was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The topic does not exist and is not created by sends.
    #[error("topic '{topic}' does not exist; create it or allow automatic creation")]
    TopicNotFound {
        /// Its name.
        topic: String,
    },
    /// A name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The topic belongs to the system.
    #[error("topic '{topic}' belongs to the system; clients may not send to it")]
    SystemTopic {
        /// Its name.
        topic: String,
    },
    /// The topic may not be written.
    #[error("sending to topic '{topic}' is forbidden: its permission is {permission}, without the write bit 2")]
    Forbidden {
        /// Its name.
        topic: Topic,
        /// Its permission bits.
        permission: u32,
    },
    /// The broker takes no messages of ordered topics any more; those of others end with their routes.
    #[error("the broker sending message is forbidden: its permission is {permission}, without the write bit 2")]
    BrokerForbidden {
        /// Its permission bits.
        permission: u32,
    },
    /// The topic has no such queue.
    #[error("queue {queue} of topic '{topic}' does not exist: it has {queues} queues")]
    QueueNotFound {
        /// Its name.
        topic: Topic,
        /// The queue asked for.
        queue: i32,
        /// Queues there are.
        queues: u32,
    },
    /// The body is too large.
    #[error("message body of {len} bytes exceeds the limit of {max} bytes")]
    BodyTooLarge {
        /// Bytes of the body.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The properties are too long.
    #[error("message properties of {len} bytes exceed the limit of {max} bytes")]
    PropertiesTooLong {
        /// Bytes of the text.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The batch breaks a rule of batches.
    #[error("batch is not allowed: {reason}")]
    Batch {
        /// Which rule.
        reason: &'static str,
    },
    /// The time of delivery is no time, or too far ahead.
    #[error(
        "timer message illegal: {property} is '{value}'; it must be a number, and the delay at most the max delay \
         {max_ms}ms (option timer-delay-max-seconds)"
    )]
    Delay {
        /// The property that says it.
        property: &'static str,
        /// Its value.
        value: String,
        /// The longest delay in ms.
        max_ms: i64,
    },
    /// The kind of message is not served by this release.
    #[error("{kind} messages are not supported by this broker yet; send without them")]
    Unsupported {
        /// The kind.
        kind: &'static str,
    },
    /// The group that a retried message belongs to does not exist.
    #[error("consumer group '{group}' does not exist; create it or allow automatic creation")]
    GroupNotFound {
        /// Its name.
        group: Group,
    },
    /// Creating the topic failed.
    #[error("topic '{topic}' could not be created: {reason}")]
    CreateTopic {
        /// Its name.
        topic: String,
        /// Why.
        reason: String,
    },
    /// The topic's quota is used up.
    #[error("topic '{topic}' is over its quota; send again in {} ms, or raise its attributes quota.*", wait.as_millis() + 1)]
    OverQuota {
        /// Its name.
        topic: Topic,
        /// When the next send may pass.
        wait: Duration,
    },
    /// The disk is nearly full.
    #[error(
        "the disk of {path} is full: {available} bytes are left, {missing} more must be free before messages are taken; make room, or shorten the retention"
    )]
    DiskFull {
        /// Folder of the store.
        path: Arc<Path>,
        /// Bytes that are free.
        available: u64,
        /// Bytes that must become free.
        missing: u64,
    },
    /// The log did not take the message.
    #[error(transparent)]
    Store(#[from] store::AppendError),
}

/// Why a pull failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// No such topic.
    #[error("topic '{topic}' does not exist, create it first")]
    TopicNotFound {
        /// Its name.
        topic: String,
    },
    /// No such group.
    #[error("subscription group '{group}' does not exist; create it or allow automatic creation")]
    GroupNotFound {
        /// Its name.
        group: String,
    },
    /// The group may not consume, or not this topic.
    #[error("consumer group '{group}' may not consume: {reason}")]
    GroupForbidden {
        /// Its name.
        group: String,
        /// Why.
        reason: &'static str,
    },
    /// The broker may not be read.
    #[error("the broker pulling message is forbidden: its permission is {permission}, without the read bit 4")]
    BrokerForbidden {
        /// Its permission bits.
        permission: u32,
    },
    /// The topic may not be read.
    #[error("pulling topic '{topic}' is forbidden: its permission is {permission}, without the read bit 4")]
    TopicForbidden {
        /// Its name.
        topic: Topic,
        /// Its permission bits.
        permission: u32,
    },
    /// The topic has no such queue.
    #[error("queueId[{queue}] is illegal, topic:[{topic}] has {queues} read queues")]
    QueueNotFound {
        /// Its name.
        topic: Topic,
        /// The queue asked for.
        queue: i32,
        /// Queues there are.
        queues: u32,
    },
    /// The group has no member, so its subscription is unknown.
    #[error("the consumer's group info not exist: '{group}' has no member here; send a heartbeat first")]
    NotSubscribed {
        /// Its name.
        group: String,
    },
    /// The client knows a newer subscription than the broker.
    #[error("the consumer's subscription not latest: this broker has version {known}, the client asks by {asked}")]
    SubscriptionStale {
        /// Version here.
        known: i64,
        /// Version of the client.
        asked: i64,
    },
    /// The filter cannot be read.
    #[error("parse the consumer's subscription failed: {0}")]
    Filter(#[from] crate::FilterError),
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] store::ReadError),
}

/// Why a message could not be sent back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendBackError {
    /// No such group.
    #[error("subscription group not exist, '{group}'")]
    GroupNotFound {
        /// Its name.
        group: String,
    },
    /// The message is gone or damaged.
    #[error("look message by offset failed, {offset}: {reason}")]
    MessageNotFound {
        /// Where it should be.
        offset: i64,
        /// Why it is not there.
        reason: String,
    },
    /// The message could not be stored again.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Why an administrative request was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    /// A name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A value is out of range.
    #[error("{what} is {value}; allowed are {allowed}")]
    Range {
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The topic belongs to the system.
    #[error("The topic[{topic}] is conflict with system topic; choose another name")]
    SystemTopic {
        /// Its name.
        topic: String,
    },
    /// No such topic.
    #[error("topic '{topic}' does not exist")]
    TopicNotFound {
        /// Its name.
        topic: String,
    },
    /// No such group.
    #[error("consumer group '{group}' does not exist; create it first")]
    GroupNotFound {
        /// Its name.
        group: String,
    },
    /// Too many administrative requests.
    #[error("administration is busy: {in_work} requests are in work and {waiting} wait; ask again later")]
    Busy {
        /// Requests in work.
        in_work: usize,
        /// Requests that wait.
        waiting: usize,
    },
    /// The change could not be made durable.
    #[error("the change could not be stored: {0}")]
    Metadata(String),
    /// An index could not be read.
    #[error(transparent)]
    Read(#[from] store::ReadError),
}
