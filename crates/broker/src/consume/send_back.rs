//! Messages that a consumer could not digest: they come again later, or become dead letters.

use crate::publish::BatchPart;
use crate::{Broker, Content, Publish, PublishError, SendBackError};
use bytes::Bytes;
use model::record::Record;
use model::{Group, GroupConfig, MessageId, PhysicalOffset, RetryPolicy, Topic, TopicConfig, permission, properties};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use store::ReadError;

/// Level of the first repetition when the consumer leaves the delay to the broker; each further one adds a level.
const FIRST_RETRY_LEVEL: i32 = 3;

/// What is to become of a message.
#[derive(Clone, Copy)]
enum Next {
    Dead,
    Level(i32),
    Pause(Duration),
}

/// A consumer's request to have a message again.
#[derive(Debug, Clone)]
pub struct SendBack<'a> {
    /// Group.
    pub group: &'a str,
    /// Where the message is stored.
    pub offset: i64,
    /// Delay level; 0: the broker's choice (the group's policy, if it has one), negative: straight to the dead letters.
    pub delay_level: i32,
    /// The consumer's limit of deliveries, if it sets one.
    pub max_reconsume_times: Option<i32>,
}

impl Broker {
    /// Stores the message once more, in the group's retry topic (to be delivered after a delay) or, when its deliveries
    /// are used up, in its dead-letter topic.
    ///
    /// # Errors
    /// [`SendBackError`]; the consumer then keeps the message and tries again.
    pub async fn send_back(self: &Arc<Self>, ask: SendBack<'_>) -> Result<(), SendBackError> {
        let config = self.group_config_or_create(ask.group);
        let config = config.ok_or_else(|| SendBackError::GroupNotFound { group: ask.group.to_owned() })?;
        if config.retry_queues == 0 {
            return Ok(());
        }
        let not_found = |reason: String| SendBackError::MessageNotFound { offset: ask.offset, reason };
        let position = u64::try_from(ask.offset).map_err(|_| not_found("the offset is negative".to_owned()))?;
        let read = self.read_record(PhysicalOffset(position)).await;
        let bytes = read.map_err(|error| not_found(error.to_string()))?;
        let record = Record::parse(&bytes).map_err(|error| not_found(error.to_string()))?;
        let max = ask.max_reconsume_times.unwrap_or(config.retry_max);
        let is_dead = ask.delay_level < 0 || (max >= 0 && record.reconsume_times >= max);
        let group = config.group.clone();
        let topic = match is_dead {
            true => self.dead_letter_topic(&group).await?,
            false => self.retry_topic(&group, config.retry_queues).await?,
        };
        let next = match is_dead {
            true => Next::Dead,
            false => self.retry_after(&config, record.reconsume_times, ask.delay_level),
        };
        let properties = sent_back_properties(&record, next);
        let reconsume_times = record.reconsume_times.saturating_add(1);
        #[cfg(feature = "planted-bugs")]
        let reconsume_times = match self.store().has_bug(store::PlantedBug::RetryNotCounted) {
            true => record.reconsume_times,
            false => reconsume_times,
        };
        let send = Publish {
            topic: Cow::Owned(topic.as_str().to_owned()),
            default_topic: Cow::Borrowed(""),
            default_queues: 0,
            queue_id: -1,
            sys_flag: record.sys_flag,
            born_timestamp: record.born_timestamp,
            born_host: record.born_host,
            reconsume_times,
            // The decision is made: the retry topic must not look at the limit again.
            max_reconsume_times: Some(i32::MAX),
            content: Content::Single(BatchPart {
                flag: record.flag,
                properties: Cow::Owned(properties),
                body: Cow::Owned(record.body.to_vec()),
            }),
        };
        #[cfg(feature = "planted-bugs")]
        if self.store().has_bug(store::PlantedBug::SentBackEarly) {
            let broker = Arc::clone(self);
            rt::spawn(async move {
                rt::sleep(std::time::Duration::from_secs(1)).await;
                drop(broker.publish(send).await);
            });
            return Ok(());
        }
        self.publish(send).await?;
        self.traffic().sent_back(&group, record.property(properties::RETRY_TOPIC).unwrap_or(record.topic));
        Ok(())
    }

    /// The record at a position; if it is not in memory, without holding up others.
    async fn read_record(&self, position: PhysicalOffset) -> Result<Bytes, ReadError> {
        if self.store().is_hot(position) {
            return self.store().read_at(position);
        }
        let store = self.store().clone();
        self.host().run_blocking(move || store.read_at(position)).await
    }

    /// When a message comes again. A policy that another broker let through, but cannot be read, counts for nothing.
    fn retry_after(&self, config: &GroupConfig, reconsume_times: i32, asked: i32) -> Next {
        if asked > 0 {
            return Next::Level(asked);
        }
        let policy = config.retry_policy.as_deref().and_then(|json| RetryPolicy::parse(json).ok().flatten());
        match policy {
            Some(policy) => Next::Pause(policy.pause(reconsume_times).min(self.timer_delay_max())),
            None => Next::Level(FIRST_RETRY_LEVEL.saturating_add(reconsume_times)),
        }
    }

    /// A group's retry topic, created if need be.
    pub(crate) async fn retry_topic(self: &Arc<Self>, group: &Group, queues: u32) -> Result<Topic, PublishError> {
        self.ensure_topic(TopicConfig::new(Topic::retry_of(group), queues.max(1))).await
    }

    /// A group's dead-letter topic, created if need be.
    pub(crate) async fn dead_letter_topic(self: &Arc<Self>, group: &Group) -> Result<Topic, PublishError> {
        let mut config = TopicConfig::new(Topic::dead_letter_of(group), 1);
        config.permission = permission::READ | permission::WRITE;
        self.ensure_topic(config).await
    }
}

fn sent_back_properties(record: &Record<'_>, next: Next) -> String {
    let mut text = properties::leaving_out(record.properties, properties::is_spent);
    if record.property(properties::RETRY_TOPIC).is_none() {
        properties::push(&mut text, properties::RETRY_TOPIC, record.topic);
    }
    let id = MessageId { store_host: record.store_host, offset: record.physical_offset }.to_string();
    if record.property(properties::ORIGIN_MESSAGE_ID).is_none() {
        properties::push(&mut text, properties::ORIGIN_MESSAGE_ID, &id);
    }
    match next {
        Next::Dead => {
            let origin = record.property(properties::RETRY_TOPIC).unwrap_or(record.topic);
            let first_id = record.property(properties::ORIGIN_MESSAGE_ID).unwrap_or(&id);
            text = properties::with(&text, properties::DLQ_ORIGIN_TOPIC, origin);
            text = properties::with(&text, properties::DLQ_ORIGIN_MESSAGE_ID, first_id);
            properties::push(&mut text, properties::DELAY, "0");
        }
        Next::Level(level) => properties::push(&mut text, properties::DELAY, &level.to_string()),
        Next::Pause(pause) => {
            properties::push(&mut text, properties::TIMER_DELAY_MS, &pause.as_millis().to_string());
        }
    }
    text
}
