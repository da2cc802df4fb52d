//! Pulls and long polls.

mod share;

use super::cold;
use super::filter::TagFilter;
use crate::group::Subscription;
use crate::group::cohort::Share;
use crate::quota::Quota;
use crate::{Broker, PullError};
use bytes::BytesMut;
use model::{Group, QueueOffset, permission};
use std::sync::Arc;
use std::time::Duration;
use store::{Entry, Queue, ReadError, Store};

/// Entries looked at together.
const SCAN_STEP: usize = 256;
/// Entries looked at in one turn; a filter that matches none of them makes the client ask again from there on.
const SCAN_MAX: usize = 16 * SCAN_STEP;
/// Longest time for which an answer is held back, to a group over its quota or until the disk is free: less than clients wait
/// for the answer to a pull, which is 10 s at least.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(5);

/// A request for messages of one queue.
#[derive(Clone, Debug)]
pub struct Pull<'a> {
    /// The connection that asks, if it may be a member's.
    pub member: Option<u64>,
    /// Group.
    pub group: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Queue.
    pub queue_id: i32,
    /// First offset wanted.
    pub offset: i64,
    /// Most messages wanted.
    pub messages_max: i32,
    /// Most bytes wanted; one message may be larger.
    pub bytes_max: usize,
    /// The group's offset to be remembered with this request.
    pub commit: Option<i64>,
    /// How long to wait for a message if there is none.
    pub wait: Option<Duration>,
    /// Which messages are wanted.
    pub filter: Filter<'a>,
}

/// Which messages a pull wants.
#[derive(Clone, Debug)]
pub enum Filter<'a> {
    /// As the pull says itself.
    Given {
        /// `TAG` or another type.
        kind: Option<&'a str>,
        /// The expression.
        expression: &'a str,
    },
    /// As the group's members said in their heartbeats.
    Subscribed {
        /// The version of the subscription that the client knows.
        version: i64,
    },
}

/// What a pull came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    /// There are messages.
    Found,
    /// There is none yet.
    NotFound,
    /// There are some, but the filter wants none of those looked at: ask again from the next offset on.
    NoMatch,
    /// The offset asked for is not in the queue: go on at the next offset.
    Moved,
}

/// The answer to a pull.
pub struct Pulled {
    /// What it came to.
    pub outcome: PullOutcome,
    /// Where to go on.
    pub next: QueueOffset,
    /// Oldest readable offset.
    pub min: QueueOffset,
    /// End of the queue.
    pub max: QueueOffset,
    /// Broker to ask the next time.
    pub suggested_broker: u64,
    /// How long the answer is to be held back because the group is over its quota; there are no messages in it then.
    pub hold: Duration,
    entries: Vec<Entry>,
    bytes: usize,
    store: Store,
}

impl Pulled {
    /// Messages found.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of the messages found.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that it takes while it waits to be sent.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Whether the messages are in memory, so that [`Pulled::gather`] does not wait for the disk.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.entries.first().is_none_or(|entry| self.store.is_hot(entry.physical))
    }

    /// The same without its messages, so that the client asks for them again.
    #[must_use]
    pub fn put_off(self) -> Self {
        let next = self.entries.first().map_or(self.next, |first| first.offset);
        Self { outcome: PullOutcome::NoMatch, next, entries: Vec::new(), bytes: 0, ..self }
    }

    /// The same with only the messages before the first one that cannot be read; `None` if that is the first. A group is to
    /// have all of them before it comes to the damaged place. May block on the disk.
    #[must_use]
    pub fn before_damage(&self) -> Option<Self> {
        let mut scratch = BytesMut::new();
        let is_readable = |entry: &&Entry| {
            scratch.clear();
            self.store.gather(std::slice::from_ref(*entry), &mut scratch).is_ok()
        };
        let entries: Vec<Entry> = self.entries.iter().take_while(is_readable).copied().collect();
        let last = entries.last()?;
        let (next, bytes) = (last.offset.plus(1), entries.iter().map(|entry| entry.size as usize).sum());
        Some(Self { next, entries, bytes, store: self.store.clone(), ..*self })
    }

    /// Appends the records, each verified. On an error nothing is appended.
    ///
    /// # Errors
    /// [`ReadError`] naming the damaged place.
    pub fn gather(&self, out: &mut BytesMut) -> Result<(), ReadError> {
        let before = out.len();
        self.store.gather(&self.entries, out).inspect_err(|_| out.truncate(before))
    }
}

/// What can be said of a pull at once.
pub enum PullStep {
    /// The answer.
    Ready(Pulled),
    /// Nothing yet: wait.
    Parked(Parked),
}

/// A pull that waits for messages.
pub struct Parked {
    reader: Reader,
    /// How long it may wait.
    wait: Duration,
}

/// What a pull reads, and how.
struct Reader {
    broker: Arc<Broker>,
    group: Group,
    queue: Arc<Queue>,
    filter: Arc<Subscription>,
    /// The connection that asks.
    member: u64,
    /// What the member may read while its group is divided; nothing else then.
    share: Option<Share>,
    /// Whether the group was divided when the pull began.
    was_divided: bool,
    asked: QueueOffset,
    from: QueueOffset,
    messages_max: usize,
    bytes_max: usize,
    suggested_broker: u64,
    quota: Option<Arc<Quota>>,
}

impl Parked {
    /// Waits until a wanted message is there or the time is over.
    ///
    /// # Errors
    /// [`PullError`].
    pub async fn finish(mut self) -> Result<Pulled, PullError> {
        let clock = Arc::clone(&self.reader.broker.host().clock);
        let deadline = clock.monotonic() + self.wait;
        let mut resets = self.reader.broker.resets_pressed().subscribe();
        loop {
            let left = deadline.saturating_sub(clock.monotonic());
            let news = async {
                tokio::select! {
                    biased;
                    () = self.reader.queue.wait_beyond(self.reader.from) => {}
                    // The sender lives as long as the broker that the reader holds.
                    _ = resets.changed() => {}
                }
            };
            let arrived = rt::timeout(left, news).await;
            if let Some(next) = self.reader.reset() {
                return Ok(self.reader.moved_to(next));
            }
            let pulled = self.reader.within_quota(self.reader.read()?);
            if self.reader.is_outdated() || !self.reader.hand(&pulled) {
                return Ok(self.reader.in_vain());
            }
            let goes_on = matches!(pulled.outcome, PullOutcome::NotFound | PullOutcome::NoMatch);
            if arrived.is_err() || !goes_on || !pulled.hold.is_zero() {
                self.reader.count(&pulled);
                return Ok(pulled);
            }
            self.reader.from = pulled.next;
        }
    }
}

/// The id under which nobody is a member.
pub(crate) const NOBODY: u64 = u64::MAX;

pub(crate) fn member_id(member: Option<u64>) -> u64 {
    member.unwrap_or(NOBODY)
}

impl Broker {
    /// Answers a pull, or parks it if it may wait.
    ///
    /// # Errors
    /// [`PullError`].
    pub fn pull(self: &Arc<Self>, ask: &Pull<'_>) -> Result<PullStep, PullError> {
        let mut reader = self.reader(ask)?;
        if let Some(next) = reader.reset().or_else(|| reader.enter(&ask.filter)) {
            return Ok(PullStep::Ready(reader.moved_to(next)));
        }
        if ask.offset < 0 {
            return Ok(PullStep::Ready(reader.moved_to(reader.queue.min_offset())));
        }
        let pulled = reader.within_quota(reader.read()?);
        if !reader.hand(&pulled) {
            return Ok(PullStep::Ready(reader.in_vain()));
        }
        if let Some(commit) = ask.commit
            && let Ok(offset) = u64::try_from(commit)
        {
            self.commit(&reader.group, reader.member, &reader.queue, QueueOffset(offset));
        }
        match ask.wait {
            Some(wait) if pulled.outcome == PullOutcome::NotFound && !wait.is_zero() => {
                Ok(PullStep::Parked(Parked { reader: Reader { from: pulled.next, ..reader }, wait }))
            }
            _ => {
                reader.count(&pulled);
                Ok(PullStep::Ready(pulled))
            }
        }
    }

    fn reader(self: &Arc<Self>, ask: &Pull<'_>) -> Result<Reader, PullError> {
        let group = self.group_config_or_create(ask.group);
        let group = group.ok_or_else(|| PullError::GroupNotFound { group: ask.group.to_owned() })?;
        let forbidden = |reason| PullError::GroupForbidden { group: ask.group.to_owned(), reason };
        if !group.consume_enabled {
            return Err(forbidden("consumption is switched off for the group"));
        }
        if group.forbidden_topics.iter().any(|topic| topic == ask.topic) {
            return Err(forbidden("the topic is forbidden for the group"));
        }
        if !permission::is_readable(self.permission()) {
            return Err(PullError::BrokerForbidden { permission: self.permission() });
        }
        let topic = self.topics().get(ask.topic);
        let topic = topic.ok_or_else(|| PullError::TopicNotFound { topic: ask.topic.to_owned() })?;
        if !topic.is_readable() {
            let permission = topic.config.permission;
            return Err(PullError::TopicForbidden { topic: topic.config.topic.clone(), permission });
        }
        let readable = u32::try_from(ask.queue_id).is_ok_and(|id| id < topic.config.read_queues);
        let queue = topic.queue(ask.queue_id).filter(|_| readable).cloned();
        let queue = queue.ok_or_else(|| PullError::QueueNotFound {
            topic: topic.config.topic.clone(),
            queue: ask.queue_id,
            queues: topic.config.read_queues,
        })?;
        let filter = self.subscription_for(ask, &group)?;
        let options = self.options();
        let asked = QueueOffset(u64::try_from(ask.offset).unwrap_or(0));
        Ok(Reader {
            member: member_id(ask.member),
            share: None,
            was_divided: self.groups().is_divided(ask.group),
            asked,
            from: asked,
            messages_max: ask.messages_max.clamp(1, options.pull_messages_max as i32) as usize,
            bytes_max: ask.bytes_max,
            suggested_broker: group.broker_id.0,
            quota: self.group_quota(&group),
            broker: Arc::clone(self),
            group: group.group.clone(),
            queue,
            filter,
        })
    }

    fn subscription_for(&self, ask: &Pull<'_>, group: &model::GroupConfig) -> Result<Arc<Subscription>, PullError> {
        match &ask.filter {
            Filter::Given { kind, expression } => {
                let filter = TagFilter::parse_typed(*kind, expression)?;
                Ok(Arc::new(Subscription::of_filter(ask.topic, expression, filter)))
            }
            Filter::Subscribed { version } => {
                let missing = || PullError::NotSubscribed { group: ask.group.to_owned() };
                let view = self.groups().get(ask.group).ok_or_else(missing)?;
                if !group.broadcast_enabled && view.is_broadcasting(member_id(ask.member)) {
                    let reason = "the group may not consume by broadcast way";
                    return Err(PullError::GroupForbidden { group: ask.group.to_owned(), reason });
                }
                let subscription = view.subscription_of(member_id(ask.member), ask.topic).ok_or_else(missing)?;
                if subscription.version < *version {
                    return Err(PullError::SubscriptionStale { known: subscription.version, asked: *version });
                }
                if let Some(kind) = &subscription.unsupported {
                    return Err(crate::FilterError::Unsupported(kind.clone()).into());
                }
                Ok(subscription)
            }
        }
    }
}

impl Reader {
    /// Where a reset sends this pull.
    fn reset(&self) -> Option<QueueOffset> {
        let mut resets = self.broker.resets().lock();
        if resets.is_empty() {
            return None;
        }
        let key = (self.group.clone(), self.queue.topic().clone(), self.queue.id());
        resets.redirect(&key, self.from, self.broker.steady_now())
    }

    /// What was found; nothing yet, to be held back, if the group is over its quota. Its client asks again then: messages that
    /// came later than a client waits would be paid for and never arrive.
    fn within_quota(&self, pulled: Pulled) -> Pulled {
        let Some(quota) = self.quota.as_ref().filter(|_| pulled.messages() > 0) else { return pulled };
        match quota.try_take(pulled.messages(), pulled.bytes(), self.broker.host().clock.monotonic()) {
            Ok(()) => pulled,
            Err(wait) => {
                self.broker.meter().delayed_by_quota();
                let nothing = self.pulled(PullOutcome::NoMatch, self.from, pulled.min, pulled.max);
                Pulled { hold: wait.min(HOLD_MAX), ..nothing }
            }
        }
    }

    fn count(&self, pulled: &Pulled) {
        let (messages, bytes) = (pulled.messages(), pulled.bytes());
        self.broker.meter().pulled(messages, bytes);
        if messages > 0 {
            let to = (self.queue.id(), pulled.next);
            self.broker.traffic().read(&self.group, self.queue.topic(), to, messages, bytes);
        }
    }

    fn moved_to(&self, next: QueueOffset) -> Pulled {
        self.pulled(PullOutcome::Moved, next, self.queue.min_offset(), self.queue.max_offset())
    }

    fn pulled(&self, outcome: PullOutcome, next: QueueOffset, min: QueueOffset, max: QueueOffset) -> Pulled {
        Pulled {
            outcome,
            next,
            min,
            max,
            suggested_broker: self.suggested_broker,
            hold: Duration::ZERO,
            entries: Vec::new(),
            bytes: 0,
            store: self.broker.store().clone(),
        }
    }

    fn read(&self) -> Result<Pulled, PullError> {
        let (min, max) = (self.queue.min_offset(), self.queue.max_offset());
        if self.from < min {
            return Ok(self.pulled(PullOutcome::Moved, min, min, max));
        }
        if self.from == max {
            return Ok(self.pulled(PullOutcome::NotFound, max, min, max));
        }
        if self.from > max {
            // An empty queue asked from its beginning on is merely empty.
            return Ok(self.pulled(PullOutcome::Moved, max, min, max));
        }
        let mut pulled = self.pulled(PullOutcome::NoMatch, self.from, min, max);
        let mut step = Vec::with_capacity(SCAN_STEP.min(self.messages_max));
        let mut scanned = 0;
        while scanned < SCAN_MAX && pulled.next < max {
            step.clear();
            let wanted = if matches!(self.filter.filter, TagFilter::All) { self.messages_max } else { SCAN_STEP };
            match self.queue.entries(pulled.next, wanted.min(SCAN_STEP), &mut step) {
                Ok(()) => {}
                Err(error @ ReadError::NoOffset { .. }) if pulled.entries.is_empty() => {
                    tracing::debug!(%error, "retention overtook a pull");
                    let min = self.queue.min_offset();
                    return Ok(self.pulled(PullOutcome::Moved, min, min, max));
                }
                Err(error) if pulled.entries.is_empty() => return Err(error.into()),
                Err(_) => break,
            }
            if step.is_empty() {
                break;
            }
            scanned += step.len();
            if self.take(&step, &mut pulled) {
                break;
            }
        }
        if !pulled.entries.is_empty() {
            pulled.outcome = PullOutcome::Found;
        }
        Ok(pulled)
    }

    /// Takes wanted entries in order; true when the reply is full.
    fn take(&self, step: &[Entry], pulled: &mut Pulled) -> bool {
        for entry in step {
            if self.wants(entry) {
                let size = entry.size as usize;
                let is_cold = !pulled.entries.is_empty() && !pulled.is_hot();
                let bytes_max = if is_cold { self.bytes_max.min(cold::ANSWER_BYTES_MAX) } else { self.bytes_max };
                let full = pulled.entries.len() >= self.messages_max || pulled.bytes + size > bytes_max;
                if full && !pulled.entries.is_empty() {
                    return true;
                }
                pulled.entries.push(*entry);
                pulled.bytes += size;
            }
            pulled.next = entry.offset.plus(1);
        }
        pulled.entries.len() >= self.messages_max
    }
}
