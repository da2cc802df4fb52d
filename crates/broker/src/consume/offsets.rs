//! How far groups are, and what offsets mean in time.

use super::pull::member_id;
use crate::Broker;
use crate::group::cohort::Commit;
use cluster::metadata::Change;
use model::{Group, QueueId, QueueOffset, Topic};
use std::sync::Arc;
use store::{Boundary, Queue, ReadError};

/// An offset of a group in a queue.
type Entry = (Group, Topic, QueueId, QueueOffset);

/// Why an offset cannot be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OffsetError {
    /// No such topic.
    #[error("topic[{topic}] not exist")]
    TopicNotFound {
        /// Its name.
        topic: String,
    },
    /// No such queue.
    #[error("queueId[{queue}] is illegal, topic:[{topic}] has {queues} queues")]
    QueueNotFound {
        /// Its topic.
        topic: Topic,
        /// Its number.
        queue: i32,
        /// Queues there are.
        queues: usize,
    },
    /// The group does not exist and is not created by its members.
    #[error("consumer group '{group}' does not exist; create it or allow automatic creation")]
    GroupNotFound {
        /// Its name.
        group: String,
    },
    /// The group has no offset there.
    #[error("Not found, maybe this group consumer boot first")]
    NotFound,
    /// The index could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The offset could not be made durable.
    #[error("the offset could not be stored: {0}")]
    Metadata(String),
}

impl Broker {
    /// A queue by its names.
    ///
    /// # Errors
    /// [`OffsetError`] naming what does not exist.
    pub fn queue(&self, topic: &str, queue_id: i32) -> Result<Arc<Queue>, OffsetError> {
        let state = self.topics().get(topic).ok_or_else(|| OffsetError::TopicNotFound { topic: topic.to_owned() })?;
        state.queue(queue_id).cloned().ok_or_else(|| OffsetError::QueueNotFound {
            topic: state.config.topic.clone(),
            queue: queue_id,
            queues: state.queues().len(),
        })
    }

    /// The offset of a group in a queue, or, while the group is divided, that of the asking member's cohort. It never moves
    /// back after it was told, except by a reset.
    ///
    /// A group without one starts at the beginning where the queue still has all its messages and they are recent (unless
    /// `zero_if_unknown` is false): so a new group on a young topic misses nothing, whatever it asked for. This is the
    /// original's rule.
    ///
    /// # Errors
    /// [`OffsetError::NotFound`] if the group has none: the client then decides where to start.
    pub async fn consumer_offset(
        &self,
        member: Option<u64>,
        group: &str,
        topic: &str,
        queue_id: i32,
        zero_if_unknown: bool,
    ) -> Result<QueueOffset, OffsetError> {
        let queue = self.queue(topic, queue_id)?;
        let place = (queue.topic().clone(), queue.id());
        if let Some(line) = self.groups().line(group, member_id(member), &place) {
            return Ok(line);
        }
        let known = self.metadata().offset(&Group::from_stored(group), queue.topic(), queue.id());
        if let Some(offset) = known {
            self.metadata().flush_offsets().await.map_err(|error| OffsetError::Metadata(error.to_string()))?;
            return Ok(offset);
        }
        let min = queue.min_offset();
        let is_young = || {
            let mut first = Vec::new();
            // An empty queue counts: who is told nothing asks for its end next, and passes what arrives in between.
            self.has_all_messages(topic, min)
                && queue.entries(min, 1, &mut first).is_ok()
                && first.first().is_none_or(|entry| self.store().is_hot(entry.physical))
        };
        if zero_if_unknown && is_young() { Ok(min) } else { Err(OffsetError::NotFound) }
    }

    /// Whether retention has taken nothing from a queue that begins at `min`. One of a topic that was deleted and made again
    /// does not begin at 0.
    fn has_all_messages(&self, topic: &str, min: QueueOffset) -> bool {
        let since = || self.topics().get(topic).map(|topic| topic.config.since);
        min.0 == 0 || since().is_some_and(|since| self.store().positions().min <= since)
    }

    /// Remembers a group's offset. An offset below the known one is ignored: only resets go back. An unknown group is
    /// created as by a pull, so that no offsets lie about that belong to nobody.
    ///
    /// # Errors
    /// [`OffsetError`] if topic or queue do not exist, or the group does not and may not be created.
    pub fn advance_offset(
        self: &Arc<Self>,
        member: Option<u64>,
        group: &str,
        topic: &str,
        queue_id: i32,
        offset: i64,
    ) -> Result<(), OffsetError> {
        let queue = self.queue(topic, queue_id)?;
        if self.group_config_or_create(group).is_none() {
            return Err(OffsetError::GroupNotFound { group: group.to_owned() });
        }
        if let Ok(offset) = u64::try_from(offset) {
            self.commit(&Group::from_stored(group), member_id(member), &queue, QueueOffset(offset));
        }
        Ok(())
    }

    /// Remembers an offset, unless it lies beyond the end of the queue, where nobody can have consumed, or a reset is
    /// being pressed that the group has not followed yet.
    pub(crate) fn commit(&self, group: &Group, member: u64, queue: &Queue, offset: QueueOffset) {
        if offset > queue.max_offset() {
            tracing::warn!(%group, topic = %queue.topic(), queue = %queue.id(), %offset, "a commit beyond the end is ignored");
            return;
        }
        {
            let mut resets = self.resets().lock();
            let key = || (group.clone(), queue.topic().clone(), queue.id());
            if !resets.is_empty() && resets.ignores_commit(&key(), self.steady_now()) {
                return;
            }
        }
        let known = || self.metadata().offset(group, queue.topic(), queue.id());
        let place = || (queue.topic().clone(), queue.id());
        let offset = match self.groups().is_any_divided() {
            false => offset,
            true => match self.groups().commit(group, member, &place(), offset, known) {
                Some(Commit::Kept) => return,
                Some(Commit::Group(offset)) => offset,
                None => offset,
            },
        };
        self.metadata().advance(group, queue.topic(), queue.id(), offset);
    }

    /// Brings offsets that lie beyond the end of their queue back to it, before anybody is served: so much of the log was
    /// lost (an asynchronous flush and a power failure, or damage). Left there, a group would pass over what is stored at
    /// those offsets next. Durable when it is done.
    ///
    /// # Errors
    /// [`OffsetError::Metadata`].
    pub async fn settle_offsets(&self) -> Result<(), OffsetError> {
        let mut entries = Vec::new();
        for group in self.metadata().groups_with_offsets() {
            let before = entries.len();
            for (topic, id, offset) in self.metadata().offsets_of_group(&group) {
                let end = self.store().known_queue(&topic, id).map_or(QueueOffset(0), |queue| queue.max_offset());
                if offset > end {
                    entries.push((group.clone(), topic, id, end));
                }
            }
            if let Some((group, topic, id, end)) = entries.get(before) {
                let queues = entries.len() - before;
                tracing::warn!(%group, queues, %topic, queue = %id, %end, "the log has lost messages that a group has consumed; it goes on at the end of so many queues, of which one is named");
            }
        }
        // Where members have not followed a reset yet, they still have to be moved: to the end now.
        let resets = &self.metadata().read().resets;
        let is_pressed = |(group, topic, id, _): &Entry| resets.contains_key(&(group.clone(), topic.clone(), *id));
        let (pressed, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_pressed);
        for (entries, pressed) in [(pressed, true), (others, false)] {
            if entries.is_empty() {
                continue;
            }
            let reason = "the log ends before them".to_owned();
            let reset = Change::OffsetsReset { reason, entries: entries.clone(), pressed };
            self.metadata().propose(reset).await.map_err(|error| OffsetError::Metadata(error.to_string()))?;
            if pressed {
                let (mut resets, now) = (self.resets().lock(), self.steady_now());
                entries.into_iter().for_each(|(group, topic, id, end)| resets.press((group, topic, id), end, now));
            }
        }
        Ok(())
    }

    /// Waits until every offset remembered so far is durable.
    ///
    /// # Errors
    /// [`OffsetError::Metadata`].
    pub async fn flush_offsets(&self) -> Result<(), OffsetError> {
        self.metadata().flush_offsets().await.map_err(|error| OffsetError::Metadata(error.to_string()))
    }

    /// The offset that a time (ms since the epoch) means in a queue. May block on the disk.
    ///
    /// # Errors
    /// [`OffsetError`].
    pub fn offset_at(
        &self,
        topic: &str,
        queue_id: i32,
        timestamp: i64,
        upper: bool,
    ) -> Result<QueueOffset, OffsetError> {
        let queue = self.queue(topic, queue_id)?;
        Ok(queue.offset_at(timestamp, if upper { Boundary::Upper } else { Boundary::Lower })?)
    }

    /// When the oldest message of a queue was stored, ms since the epoch; −1 if it is empty.
    ///
    /// # Errors
    /// [`OffsetError`].
    pub fn earliest_time(&self, topic: &str, queue_id: i32) -> Result<i64, OffsetError> {
        let queue = self.queue(topic, queue_id)?;
        let mut first = Vec::new();
        let min = queue.min_offset();
        if min < queue.max_offset() {
            queue.entries(min, 1, &mut first)?;
        }
        Ok(first.first().map_or(-1, |entry| entry.store_timestamp))
    }
}
