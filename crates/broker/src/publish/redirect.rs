//! Where a message goes: its own topic, or the one that its retries, its delay or its death demand.

use super::{Content, Publish};
use crate::timed::when::Asked;
use crate::topic::TopicState;
use crate::{Broker, PublishError};
use model::properties::{self, Labels};
use model::{Group, Topic, permission, system};
use std::collections::VecDeque;
use std::sync::Arc;
use store::Queue;

/// What the properties of a message ask of the broker.
pub(super) struct Wish<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) labels: Labels<'a>,
    /// Whether the producer waits until the message is as safe as its topic promises.
    pub(super) waits: bool,
    unsupported: Option<&'static str>,
}

/// Where a message goes.
pub(super) struct Target<'t> {
    pub(super) queue: &'t Arc<Queue>,
    pub(super) is_dead_letter: bool,
}

impl Target<'_> {
    pub(super) fn is_retry(&self) -> bool {
        self.queue.topic().retry_group().is_some()
    }
}

/// The topics of the sends of one call, each seen as the first send to it sees it.
#[derive(Default)]
pub(super) struct SendTopics {
    /// That of the last send, which is that of most others too.
    last: Option<Arc<TopicState>>,
    /// Those of sends to come, in their order.
    next: VecDeque<Arc<TopicState>>,
}

impl SendTopics {
    /// Finds the topics of the sends that come next, each with the queue that it names. That pays where they are many.
    pub(super) fn expect<'n>(&mut self, broker: &Broker, mut sends: impl Iterator<Item = (&'n str, i32)> + Clone) {
        let all = sends.clone();
        let first = sends.next().map(|(name, _)| name);
        self.next = match sends.any(|(name, _)| Some(name) != first) {
            true => broker.topics().get_all(all).into(),
            false => VecDeque::new(),
        };
    }

    /// The topic of this name.
    fn find(&mut self, broker: &Broker, name: &str) -> Option<&TopicState> {
        let is_it = |topic: &Arc<TopicState>| topic.config.topic.as_str() == name;
        if let Some(topic) = self.next.pop_front_if(|topic| is_it(topic)) {
            self.last = Some(topic);
        } else if !self.last.as_ref().is_some_and(is_it) {
            self.last = match self.next.iter().position(is_it) {
                Some(at) => self.next.drain(..=at).next_back(),
                None => broker.topics().get(name),
            };
        }
        self.last.as_deref()
    }
}

impl<'a> Wish<'a> {
    /// Reads the properties in one pass.
    pub(super) fn of(text: &'a str) -> Self {
        let mut wish = Self { asked: Asked::default(), labels: Labels::default(), waits: true, unsupported: None };
        for (name, value) in properties::iter(text) {
            match name {
                properties::WAIT => wish.waits = !value.eq_ignore_ascii_case("false"),
                properties::TRANSACTION_PREPARED if value.eq_ignore_ascii_case("true") => {
                    wish.unsupported = Some("transaction");
                }
                _ => {
                    wish.labels.note(name, value);
                    wish.asked.note(name, value);
                }
            }
        }
        wish
    }

    pub(super) fn check_supported(&self) -> Result<(), PublishError> {
        match self.unsupported {
            Some(kind) => Err(PublishError::Unsupported { kind }),
            None => Ok(()),
        }
    }
}

impl Broker {
    /// The queue that a send is for; `None` if its topic must be created first.
    pub(super) fn redirect<'t>(
        &self,
        send: &Publish<'_>,
        topics: &'t mut SendTopics,
    ) -> Result<Option<Target<'t>>, PublishError> {
        if system::is_closed_to_clients(&send.topic) {
            return Err(PublishError::SystemTopic { topic: send.topic.to_string() });
        }
        let Some(topic) = topics.find(self, &send.topic) else { return Ok(None) };
        self.check_quota(topic, send)?;
        let dead = match topic.config.topic.retry_group() {
            Some(group) if self.is_exhausted(&group, send)? => Some(Topic::dead_letter_of(&group)),
            _ => None,
        };
        if dead.is_none() && topic.config.order && !permission::is_writable(self.permission()) {
            return Err(PublishError::BrokerForbidden { permission: self.permission() });
        }
        let (topic, queue_id) = match &dead {
            Some(dead) => (topics.find(self, dead.as_str()), 0),
            None => (topics.last.as_deref(), send.queue_id),
        };
        topic.map(|topic| target(topic, queue_id, dead.is_some())).transpose()
    }

    fn check_quota(&self, topic: &TopicState, send: &Publish<'_>) -> Result<(), PublishError> {
        let Some(quota) = topic.quota() else { return Ok(()) };
        let parts = send.content.parts();
        let bytes = parts.iter().map(|part| part.body.len() + part.properties.len()).sum();
        quota.try_take(parts.len(), bytes, self.host().clock.monotonic()).map_err(|wait| {
            self.meter().refused_by_quota();
            PublishError::OverQuota { topic: topic.config.topic.clone(), wait }
        })
    }

    /// Whether a retried message has had all its deliveries.
    fn is_exhausted(&self, group: &Group, send: &Publish<'_>) -> Result<bool, PublishError> {
        let config = self.group_config(group).ok_or_else(|| PublishError::GroupNotFound { group: group.clone() })?;
        let max = send.max_reconsume_times.unwrap_or(config.retry_max);
        // A concurrent consumer that could not send back counts the retry that is to come; an orderly one only those that were.
        let is_orderly = || self.locks().lock().has_any(group);
        let is_over = send.reconsume_times > max || (send.reconsume_times == max && is_orderly());
        Ok(max >= 0 && is_over && matches!(send.content, Content::Single(_)))
    }
}

fn target(topic: &TopicState, queue_id: i32, is_dead_letter: bool) -> Result<Target<'_>, PublishError> {
    let config = &topic.config;
    if !topic.is_writable() {
        return Err(PublishError::Forbidden { topic: config.topic.clone(), permission: config.permission });
    }
    let asked = if queue_id < 0 { topic.any_writable() } else { queue_id };
    let queue = topic.queue(asked).ok_or_else(|| PublishError::QueueNotFound {
        topic: config.topic.clone(),
        queue: queue_id,
        queues: config.write_queues.max(config.read_queues),
    })?;
    Ok(Target { queue, is_dead_letter })
}
