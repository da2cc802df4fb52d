//! From waiting records to what the log gets when they are due, or moved.

use super::mark::{self, Ending};
use super::when::is_level;
use crate::Broker;
use model::record::{Draft, Record};
use model::{PhysicalOffset, properties};
use std::sync::Arc;
use store::timer::Pending;
use store::{Append, Appends, Queue, ReadError, Wait};

/// Most messages of one atomic batch.
pub(super) const BATCH_MESSAGES_MAX: usize = 1024;
/// Bytes of records from which on a batch ends.
const BATCH_BYTES: usize = 1 << 20;

/// One atomic batch to be.
pub(super) struct Batch {
    /// The messages, then their mark; empty if nothing can be appended now.
    pub(super) appends: Appends,
    /// The messages that it ends, in order.
    pub(super) ended: Vec<Pending>,
    /// How many of them have no message in it, because they cannot be read or delivered.
    pub(super) lost: usize,
    /// Those that must wait for the next batch.
    pub(super) rest: Vec<Pending>,
    /// Why the rest could not be read, if that is the reason.
    pub(super) failure: Option<ReadError>,
}

/// Reads messages and makes one batch of as many as fit. Blocks on the disk.
pub(super) fn batch(
    broker: &Broker,
    queue: &Arc<Queue>,
    mut taken: Vec<Pending>,
    ending: Ending,
    bytes_max: u64,
) -> Batch {
    let mut batch = Batch { appends: Appends::default(), ended: Vec::new(), lost: 0, rest: Vec::new(), failure: None };
    let (mut bytes, bytes_max) = (0, BATCH_BYTES.min(usize::try_from(bytes_max).unwrap_or(BATCH_BYTES)));
    let mut used = 0;
    for pending in &taken {
        if bytes >= bytes_max {
            break;
        }
        let is_added = match broker.store().read_at(PhysicalOffset(pending.due.position)) {
            Ok(record) if used > 0 && bytes + record.len() > bytes_max => break,
            Ok(record) => {
                bytes += record.len();
                Record::parse(&record).is_ok_and(|record| add(broker, queue, &record, ending, &mut batch.appends))
            }
            Err(error @ ReadError::Io { .. }) => {
                batch.failure = Some(error);
                break;
            }
            Err(error) => {
                tracing::error!(position = pending.due.position, %error, "a timed message cannot be read; it is lost");
                false
            }
        };
        batch.lost += usize::from(!is_added);
        used += 1;
    }
    batch.rest = taken.split_off(used);
    batch.ended = taken;
    if !batch.ended.is_empty() {
        batch.appends.push(mark::append(broker, queue, &batch.ended, ending, ""));
    }
    batch
}

/// Adds the message as it goes on; false if its topic is gone.
fn add(broker: &Broker, timers: &Arc<Queue>, record: &Record<'_>, ending: Ending, appends: &mut Appends) -> bool {
    let next = match ending {
        Ending::Moved => Some((Arc::clone(timers), record.properties.into())),
        _ => due_queue(broker, record).map(|queue| (queue, due_properties(record, broker.now().0).into())),
    };
    let Some((queue, properties)) = next else { return false };
    // The mark at the end of the batch ends them all.
    let joined = true;
    #[cfg(feature = "planted-bugs")]
    let joined = joined && !broker.store().has_bug(store::PlantedBug::MarkNotJoined);
    let draft = Draft { topic: queue.topic().as_str().into(), queue_id: queue.id(), properties, ..record.to_draft() };
    appends.push(Append { queue: Arc::clone(&queue), draft, wait: Wait::Policy, joined });
    true
}

/// Where the consumers of a message look for it; `None` if its topic is gone.
fn due_queue(broker: &Broker, record: &Record<'_>) -> Option<Arc<Queue>> {
    let name = record.property(properties::REAL_TOPIC);
    let asked = record.property(properties::REAL_QUEUE_ID).and_then(|id| id.parse().ok());
    let topic = name.and_then(|name| broker.topics().get(name));
    let queue = topic.as_ref().and_then(|topic| topic.queue(asked.unwrap_or(0)).or_else(|| topic.queue(0)));
    let Some(queue) = queue else {
        let position = record.physical_offset.0;
        tracing::error!(topic = name, position, "the topic of a timed message is gone; the message is dropped");
        return None;
    };
    Some(Arc::clone(queue))
}

/// A message that was delayed by a level shows the level; others show when they came, were due, and went.
fn due_properties(record: &Record<'_>, now: i64) -> String {
    if record.property(properties::DELAY).is_some_and(is_level) {
        return properties::without(record.properties, &[properties::TIMER_OUT_MS]);
    }
    let mut text = String::with_capacity(record.properties.len() + properties::TIMER_ADDED_LEN_MAX);
    text.push_str(record.properties);
    properties::push(&mut text, properties::TIMER_ENQUEUE_MS, &record.store_timestamp.to_string());
    properties::push(&mut text, properties::TIMER_DEQUEUE_MS, &now.to_string());
    text
}
