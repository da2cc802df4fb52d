//! Finding messages by a tag: operators ask for it, rarely, so there is no index of tags. The queues hold a hash of each
//! message's tags, and are read from their ends back.

use super::offsets::OffsetError;
use crate::Broker;
use bytes::Bytes;
use model::record::Record;
use model::{QueueOffset, java_hash, properties};
use std::ops::RangeInclusive;
use store::{Boundary, Entry, Queue};

/// Entries read with one step.
const STEP: u64 = 1024;
/// Entries of one queue that one question looks through; older ones are not found.
const ENTRIES_MAX: u64 = 1 << 18;

impl Broker {
    /// The newest messages of a topic with this tag that were stored between two times (ms since the epoch), newest
    /// first. Of each queue the last 262,144 messages of that time are looked through. May block on the disk.
    ///
    /// # Errors
    /// [`OffsetError::TopicNotFound`], [`OffsetError::Read`].
    pub fn messages_with_tag(
        &self,
        topic: &str,
        tag: &str,
        times: &RangeInclusive<i64>,
        count_max: usize,
    ) -> Result<Vec<Bytes>, OffsetError> {
        let state = self.topic(topic).ok_or_else(|| OffsetError::TopicNotFound { topic: topic.to_owned() })?;
        let mut found = Vec::new();
        for queue in state.queues() {
            newest(queue, java_hash(tag), times, count_max, &mut found)?;
        }
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.physical));
        let mut records = Vec::new();
        for entry in found {
            if records.len() >= count_max {
                break;
            }
            let bytes = self.store().read_at(entry.physical)?;
            // Hashes may be equal by chance.
            let has_tag = |record: &Record<'_>| record.property(properties::TAGS) == Some(tag);
            if Record::parse(&bytes).is_ok_and(|record| has_tag(&record)) {
                records.push(bytes);
            }
        }
        Ok(records)
    }
}

fn newest(
    queue: &Queue,
    tag_hash: i32,
    times: &RangeInclusive<i64>,
    count_max: usize,
    found: &mut Vec<Entry>,
) -> Result<(), OffsetError> {
    let first = queue.offset_at(*times.start(), Boundary::Lower)?;
    let end = match times.end().checked_add(1) {
        Some(after) => queue.offset_at(after, Boundary::Lower)?,
        None => queue.max_offset(),
    };
    let first = first.0.max(end.0.saturating_sub(ENTRIES_MAX));
    let (mut from, full, mut entries) = (end.0, found.len() + count_max, Vec::new());
    while from > first && found.len() < full {
        let to = from;
        from = from.saturating_sub(STEP).max(first);
        entries.clear();
        queue.entries(QueueOffset(from), (to - from) as usize, &mut entries)?;
        found.extend(entries.iter().rev().filter(|entry| entry.tag_hash == tag_hash));
    }
    Ok(())
}
