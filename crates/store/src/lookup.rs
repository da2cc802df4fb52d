//! Finding messages by key.

use crate::ReadError;
use crate::keys::{key_hash, words};
use crate::store::Shared;
use bytes::Bytes;
use model::record::Record;
use model::{QueueId, Topic, properties};
use std::ops::RangeInclusive;

/// The records of a topic with a key, newest first.
pub(crate) fn lookup(
    shared: &Shared,
    topic: &Topic,
    key: &str,
    times: &RangeInclusive<i64>,
    count_max: usize,
) -> Result<Vec<Bytes>, ReadError> {
    let log = &shared.log;
    let hash = key_hash(topic.as_str(), key);
    // Memory first: what leaves it while we look is in a run by then.
    let newest = shared.newest.lock().keys.clone();
    let mut positions: Vec<u64> =
        newest.iter().filter(|found| found.hash == hash).map(|found| found.physical).collect();
    positions.extend(log.runs.positions_of(hash, times)?);
    positions.sort_unstable_by(|a, b| b.cmp(a));
    positions.dedup();
    let mut found = Vec::new();
    for position in positions {
        if found.len() >= count_max {
            break;
        }
        let bytes = match log.read_at(position, log.written()) {
            Ok(bytes) => bytes,
            // Retention, or a group that is just being written.
            Err(ReadError::NoRecord { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Ok(record) = Record::parse(&bytes) else { continue };
        if is_meant(&record, topic, key, times) && is_visible(shared, topic, record.queue_id, position, bytes.len()) {
            found.push(bytes);
        }
    }
    Ok(found)
}

/// Hashes may be equal by chance.
fn is_meant(record: &Record<'_>, topic: &Topic, key: &str, times: &RangeInclusive<i64>) -> bool {
    let has_key = || record.property(properties::KEYS).is_some_and(|keys| words(keys).any(|word| word == key));
    let is_id = || record.property(properties::UNIQ_KEY) == Some(key);
    record.topic == topic.as_str() && times.contains(&record.store_timestamp) && (is_id() || has_key())
}

fn is_visible(shared: &Shared, topic: &Topic, id: QueueId, position: u64, len: usize) -> bool {
    let end = position + len as u64;
    shared
        .queues
        .get(topic, id)
        .is_some_and(|queue| position >= queue.hidden_before() && end <= shared.log.limit(queue.flush()))
}
