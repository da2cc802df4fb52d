//! What need not be kept any more: whole files of the log, and messages of topics of which less is kept.
//!
//! A topic's attribute [`HOURS`] goes before the broker's `retention`. Kept longer, it keeps the files of the log that hold its
//! messages; kept shorter, its messages cannot be read any more. So it is with those beyond its attribute [`BYTES`]. Their
//! space comes back with their file, which goes as soon as nothing in it can be read.

mod aging;
mod tally;

use crate::Broker;
use crate::topic::TopicState;
use aging::Aging;
use model::{PhysicalOffset, QueueId, QueueOffset, Topic};
use rt::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Boundary, Queue, ReadError, Retention};
use tally::Tally;

/// Topic attribute: hours for which messages of the topic are kept.
pub(crate) const HOURS: &str = "retention.hours";
/// Most hours of that attribute: a century.
pub(crate) const HOURS_MAX: u64 = 876_000;
/// Topic attribute: bytes of log that messages of the topic may take, the oldest go first.
pub(crate) const BYTES: &str = "retention.bytes";
/// Pause between two parts of a file's space that are given back, so that the disk serves others meanwhile.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(20);
/// Entries of a queue that are added up together.
const SIZES_STEP: usize = 1024;
const MS_PER_HOUR: i64 = 3_600_000;

/// The hours that the value of [`HOURS`] says.
pub(crate) fn hours(value: &str) -> Option<u64> {
    value.parse().ok().filter(|hours| (1..=HOURS_MAX).contains(hours))
}

/// The bytes that the value of [`BYTES`] says.
pub(crate) fn bytes(value: &str) -> Option<u64> {
    value.parse().ok().filter(|bytes| *bytes > 0)
}

/// What retention remembers.
#[derive(Default)]
pub(crate) struct Retaining {
    sizes: Sizes,
    /// None until it is first looked at.
    aging: Option<Aging>,
}

/// What the topics take that may take only so much.
type Sizes = HashMap<Topic, Size>;

/// What a topic takes.
struct Size {
    /// From when on there is a topic of that name.
    since: PhysicalOffset,
    /// What the messages before these offsets take.
    tally: Tally,
    counted: HashMap<QueueId, QueueOffset>,
}

fn own_ms(topic: &TopicState) -> Option<i64> {
    hours(topic.config.attributes.get(HOURS)?).map(|hours| hours as i64 * MS_PER_HOUR)
}

/// What the broker's settings and its topics ask for at a time.
fn retention(kept_ms: i64, bytes_max: Option<u64>, topics: &[(Topic, i64)], now: Timestamp) -> Retention {
    let before = |kept_ms: i64| now.0.saturating_sub(kept_ms);
    let longer = topics.iter().filter(|(_, own)| *own > kept_ms).map(|(topic, own)| (topic.clone(), before(*own)));
    Retention { before: before(kept_ms), longer: longer.collect(), bytes_max }
}

impl Broker {
    /// Removes what the settings say need not be kept. Done when its space is given back. A clock that is suddenly far ahead
    /// is doubted for a day.
    pub async fn retain(self: &Arc<Self>) {
        let mut retaining = self.retaining().lock().await;
        let (clock, at) = (self.now(), self.host().clock.monotonic());
        let newest = self.store().found_newest_time().map(Timestamp);
        let aging = retaining.aging.get_or_insert_with(|| Aging::at_start(newest, self.steady_now(), at));
        let now = aging.now(clock, at);
        match self.remove_expired(&mut retaining.sizes, now).await {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, "old messages deleted"),
            Err(error) => tracing::error!(%error, "old messages cannot be deleted; trying again in a minute"),
        }
        loop {
            let store = self.store().clone();
            match self.host().run_blocking(move || store.give_back()).await {
                Ok(true) => rt::sleep(GIVE_BACK_PAUSE).await,
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "the space of deleted messages is not given back before the next start");
                }
            }
        }
    }

    /// Doubts the clock no longer, as an operator says.
    pub async fn believe_clock(&self) {
        let (clock, at) = (self.now(), self.host().clock.monotonic());
        self.retaining().lock().await.aging = Some(Aging::at_start(None, clock, at));
    }

    /// Gives the number of files removed. What waits for its time is moved out of the way before.
    async fn remove_expired(self: &Arc<Self>, sizes: &mut Sizes, now: Timestamp) -> Result<usize, ReadError> {
        let broker = Arc::clone(self);
        let known = std::mem::take(sizes);
        let looking = move || {
            let retention = broker.hide_expired(now)?;
            let sizes = broker.hide_excess(known)?;
            Ok::<_, ReadError>((broker.store().expiring(&retention), retention, sizes))
        };
        let (end, retention, now_known) = self.host().run_blocking(looking).await?;
        *sizes = now_known;
        if end == self.store().positions().min {
            return Ok(0);
        }
        if let Err(error) = self.roll_timers(end).await {
            tracing::warn!(%error, "timed messages cannot be moved; what they keep is not deleted yet");
        }
        let store = self.store().clone();
        self.host().run_blocking(move || store.retain(&retention)).await.map(|retained| retained.segments)
    }

    /// Makes what its topic keeps no longer unreadable; gives what the settings ask for now.
    fn hide_expired(&self, now: Timestamp) -> Result<Retention, ReadError> {
        let options = self.options();
        let kept_ms = i64::try_from(self.retention_time().as_millis()).unwrap_or(i64::MAX);
        let mut own = Vec::new();
        for topic in self.all_topics() {
            let Some(topic_ms) = own_ms(&topic) else { continue };
            own.push((topic.config.topic.clone(), topic_ms));
            if topic_ms < kept_ms {
                hide_expired(&topic, now.0.saturating_sub(topic_ms))?;
            }
        }
        Ok(retention(kept_ms, options.retention_bytes, &own, now))
    }

    /// Makes what topics have beyond their bytes unreadable; gives what they take now.
    fn hide_excess(&self, mut known: Sizes) -> Result<Sizes, ReadError> {
        let mut sizes = Sizes::new();
        for topic in self.all_topics() {
            let Some(bytes_max) = topic.config.attributes.get(BYTES).and_then(|value| bytes(value)) else { continue };
            let since = topic.config.since;
            let size = known.remove(&topic.config.topic).filter(|size| size.since == since);
            let mut size = size.unwrap_or_else(|| Size { since, tally: Tally::new(), counted: HashMap::new() });
            for queue in topic.queues() {
                size.count(queue)?;
            }
            let first_kept = PhysicalOffset(size.tally.cut(bytes_max));
            topic.queues().iter().for_each(|queue| queue.hide_before(first_kept));
            sizes.insert(topic.config.topic.clone(), size);
        }
        Ok(sizes)
    }
}

impl Size {
    /// Adds what came into a queue since it was counted last.
    fn count(&mut self, queue: &Queue) -> Result<(), ReadError> {
        let counted = self.counted.entry(queue.id()).or_default();
        let mut entries = Vec::new();
        loop {
            // What is lost in a damaged part of the log takes nothing.
            *counted = queue.readable_from(*counted)?;
            entries.clear();
            queue.entries(*counted, SIZES_STEP, &mut entries)?;
            let Some(last) = entries.last() else { return Ok(()) };
            *counted = last.offset.plus(1);
            entries.iter().for_each(|entry| self.tally.add(entry.physical.0, u64::from(entry.size)));
        }
    }
}

/// Makes messages stored before a time unreadable.
fn hide_expired(topic: &TopicState, before: i64) -> Result<(), ReadError> {
    for queue in topic.queues() {
        let first_kept = queue.offset_at(before, Boundary::Lower)?;
        let Some(last_expired) = first_kept.0.checked_sub(1).filter(|last| *last >= queue.min_offset().0) else {
            continue;
        };
        let mut entries = Vec::new();
        queue.entries(QueueOffset(last_expired), 1, &mut entries)?;
        if let Some(entry) = entries.first().filter(|entry| entry.store_timestamp < before) {
            queue.hide_before(PhysicalOffset(entry.physical.0 + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_checked() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(hours(text), expected, "{text}");
        check("1", Some(1));
        check("876000", Some(876_000));
        check("0", None);
        check("876001", None);
        check("3 days", None);
    }

    #[test]
    fn bytes_are_checked() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(bytes(text), expected, "{text}");
        check("1", Some(1));
        check("18446744073709551615", Some(u64::MAX));
        check("0", None);
        check("-1", None);
        check("1 GiB", None);
    }

    #[test]
    fn only_longer_topics_hold_files_back() {
        let topics = [(Topic::from_stored("long"), 500), (Topic::from_stored("short"), 50)];
        let expected = Retention { before: 900, longer: vec![(topics[0].0.clone(), 500)], bytes_max: Some(7) };
        assert_eq!(retention(100, Some(7), &topics, Timestamp(1000)), expected);
    }
}
