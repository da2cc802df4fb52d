//! Delayed messages of the 18 levels: they wait in the schedule topic, one queue a level, and move on when due.
//!
//! A queue is in the order of its due times, so each level needs only one position, kept in the metadata. After a
//! crash the messages moved since the position was stored are moved again: consumers see them twice, never not at all.

use crate::{Broker, PublishError};
use bytes::Bytes;
use cluster::metadata::Change;
use model::record::{Draft, Record};
use model::{QueueId, QueueOffset, Topic, properties, system};
use std::sync::Arc;
use std::time::Duration;
use store::{Append, Entry, Queue, ReadError, Wait};

/// Delay levels, numbered from 1.
pub(crate) const LEVELS: u32 = 18;
/// Seconds of each level.
const SECONDS: [u64; LEVELS as usize] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// Messages moved together.
const BATCH: usize = 256;
/// Pause after a failure, so that a full disk is not asked in a spin.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long messages of a level wait.
pub(crate) fn duration_of(level: u32) -> Duration {
    let index = level.clamp(1, LEVELS) as usize - 1;
    Duration::from_secs(SECONDS[index])
}

impl Broker {
    /// Where messages of a level wait.
    pub(crate) fn delay_queue(&self, level: u32) -> Result<Arc<Queue>, PublishError> {
        let missing = || PublishError::TopicNotFound { topic: system::SCHEDULE_TOPIC.to_owned() };
        let topic = self.topics().get(system::SCHEDULE_TOPIC).ok_or_else(missing)?;
        topic.queue(level as i32 - 1).cloned().ok_or_else(missing)
    }

    /// Moves the messages of one level as they fall due; returns only at shutdown.
    pub(crate) async fn run_delay_level(self: Arc<Self>, level: u32) {
        let Ok(queue) = self.delay_queue(level) else { return };
        let stored = self.metadata().read().delay_progress.get(&level).copied().unwrap_or_default();
        let mut next = stored.max(queue.min_offset());
        loop {
            next = next.max(queue.min_offset());
            match self.move_due(&queue, level, next).await {
                Ok(moved) if moved > next => next = moved,
                Ok(_) => {}
                Err(reason) => {
                    tracing::warn!(level, %reason, "delayed messages wait longer");
                    rt::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Waits for the message at `next` to be due and moves it with those after it that are due too. Gives the offset of
    /// the first one not moved.
    async fn move_due(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        level: u32,
        next: QueueOffset,
    ) -> Result<QueueOffset, String> {
        queue.wait_beyond(next).await;
        let mut entries = Vec::new();
        match queue.entries(next, BATCH, &mut entries) {
            Ok(()) => {}
            Err(error @ ReadError::Damaged { .. }) => {
                let readable = queue.readable_from(next).map_err(|error| error.to_string())?;
                tracing::error!(level, from = %next, to = %readable, %error, "delayed messages are lost in a damaged place");
                return Ok(readable);
            }
            Err(error) => return Err(error.to_string()),
        }
        let now = self.host().clock.now();
        let delay = duration_of(level).as_millis() as i64;
        let due = entries.iter().take_while(|entry| entry.store_timestamp + delay <= now.0).count();
        if due == 0 {
            if let Some(first) = entries.first() {
                let wait = (first.store_timestamp + delay - now.0).clamp(1, delay.max(1));
                rt::sleep(Duration::from_millis(wait as u64)).await;
            }
            return Ok(next);
        }
        entries.truncate(due);
        self.move_entries(&entries).await?;
        let moved = next.plus(due as u64);
        let progress = self.metadata().propose(Change::DelayProgress { level, offset: moved }).await;
        if let Err(error) = progress {
            tracing::warn!(level, %error, "the position of a delay level is not stored; a restart delivers again");
        }
        Ok(moved)
    }

    async fn move_entries(self: &Arc<Self>, entries: &[Entry]) -> Result<(), String> {
        let mut appends = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = self.store().read_at(entry.physical).map_err(|error| error.to_string())?;
            let record = Record::parse(&bytes).map_err(|error| error.to_string())?;
            match self.due_append(&record) {
                Some(append) => appends.push(append),
                None => tracing::error!(
                    topic = ?record.property(properties::REAL_TOPIC), position = %entry.physical,
                    "the topic of a delayed message is gone; the message is dropped"
                ),
            }
        }
        if appends.is_empty() {
            return Ok(());
        }
        let places = self.store().append(appends).map_err(|error| error.to_string())?.await;
        places.into_iter().collect::<Result<Vec<_>, _>>().map(drop).map_err(|error| error.to_string())
    }

    /// The message as its consumers are to see it; `None` if its topic is gone.
    fn due_append(&self, record: &Record<'_>) -> Option<Append> {
        let topic = self.topics().get(record.property(properties::REAL_TOPIC)?)?;
        let asked = record.property(properties::REAL_QUEUE_ID)?.parse().ok()?;
        let queue = topic.queue(asked).or_else(|| topic.queue(0))?;
        let kept = [properties::DELAY, properties::REAL_TOPIC, properties::REAL_QUEUE_ID];
        let draft = Draft {
            topic: Topic::clone(queue.topic()),
            queue_id: QueueId(queue.id().0),
            properties: Bytes::from(properties::without(record.properties, &kept).into_bytes()),
            ..record.to_draft()
        };
        Some(Append { queue: Arc::clone(queue), draft, wait: Wait::Policy, joined: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_originals() {
        let check = |level: u32, seconds: u64| assert_eq!(duration_of(level).as_secs(), seconds, "level {level}");
        check(1, 1);
        check(5, 60);
        check(18, 7200);
        check(99, 7200);
    }
}
