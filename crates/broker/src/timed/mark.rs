//! Records of the timer topic: messages that wait, and marks that name messages which wait no more.
//!
//! A mark's body has 20 bytes for each message: due time 8, position 8, hash of the topic 4, big endian.

use crate::Broker;
use model::record::{Draft, Record, body_crc};
use model::{java_hash, properties};
use std::sync::Arc;
use store::timer::{Due, Pending};
use store::{Append, Queue, Wait};

const ROW: usize = 20;

/// Why messages wait no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Delivered,
    Cancelled,
    /// They are stored anew in the same batch.
    Moved,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Moved => "moved",
        }
    }
}

/// What a record of the timer topic says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Waits(Pending),
    Ended(Vec<Pending>),
    Nothing,
}

/// What a mark says. A message that waits names its topic and is none, whatever properties its sender gave it.
fn mark_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    record.property(properties::TIMER_MARK).filter(|_| record.property(properties::REAL_TOPIC).is_none())
}

pub(super) fn read(record: &Record<'_>) -> Said {
    if mark_of(record).is_some() {
        return Said::Ended(record.body.chunks_exact(ROW).map(pending).collect());
    }
    let due = record.property(properties::TIMER_OUT_MS).and_then(|due| due.parse().ok());
    let (Some(at), Some(topic)) = (due, record.property(properties::REAL_TOPIC)) else { return Said::Nothing };
    Said::Waits(Pending { due: Due { at, position: record.physical_offset.0 }, topic: java_hash(topic) })
}

/// Whether a record says that one of these messages was cancelled.
pub(super) fn cancels(record: &Record<'_>, dues: &[Due]) -> bool {
    mark_of(record) == Some(Ending::Cancelled.name())
        && record.body.chunks_exact(ROW).any(|row| dues.contains(&pending(row).due))
}

fn pending(row: &[u8]) -> Pending {
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| row[at + i]));
    let topic = i32::from_be_bytes(std::array::from_fn(|i| row[16 + i]));
    Pending { due: Due { at: number(0) as i64, position: number(8) }, topic }
}

/// The mark that ends messages; `keys` are words to find it by.
pub(super) fn append<'a>(
    broker: &Broker,
    queue: &'a Arc<Queue>,
    ended: &[Pending],
    ending: Ending,
    keys: &str,
) -> Append<'a> {
    let mut body = Vec::with_capacity(ended.len() * ROW);
    for Pending { due, topic } in ended {
        body.extend_from_slice(&due.at.to_be_bytes());
        body.extend_from_slice(&due.position.to_be_bytes());
        body.extend_from_slice(&topic.to_be_bytes());
    }
    let mut text = String::new();
    properties::push(&mut text, properties::TIMER_MARK, ending.name());
    if !keys.is_empty() {
        properties::push(&mut text, properties::KEYS, keys);
    }
    let draft = Draft {
        topic: queue.topic().as_str().into(),
        queue_id: queue.id(),
        flag: 0,
        sys_flag: 0,
        born_timestamp: broker.now().0,
        born_host: broker.options().advertised,
        store_host: broker.options().advertised,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body_crc: body_crc(&body),
        body: body.into(),
        properties: text.into(),
    };
    Append { queue: Arc::clone(queue), draft, wait: Wait::Policy, joined: false }
}
