//! What was sent, what was promised, and what was found: the judge of a run.

use super::setup::QueueSetup;
use crate::Invariant;
use crate::findings::Findings;
use model::record::{Draft, Place, Record, body_crc};
use model::{PhysicalOffset, QueueOffset, java_hash, properties};
use rt::sim::Trace;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use store::Entry;

/// A message of the run; its number is its place in the order of sending.
pub(super) type Id = usize;

/// Knows every message of a run.
pub struct Ledger {
    pub(super) findings: Findings,
    queues: Vec<QueueSetup>,
    messages: Vec<Message>,
    /// Members of each atomic batch.
    batches: Vec<Vec<Id>>,
    /// Per queue, which message an offset belongs to.
    places: Vec<BTreeMap<u64, Id>>,
    /// A bit of the log was turned over, so that damage may be reported.
    pub(super) is_log_rotten: bool,
    /// Reads may fail for a while: the disk makes errors, or a file of the index is damaged.
    pub(super) may_reads_fail: bool,
    /// Parts of the log that a start reported as damaged.
    pub(super) reported: Vec<Range<PhysicalOffset>>,
}

#[derive(Clone, Copy)]
struct Message {
    queue: usize,
    body_len: usize,
    fate: Fate,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Sent; no answer, or one that promises nothing.
    Open,
    /// Refused: it must never be found.
    Refused,
    /// Acknowledged or read. If `safe`, it survives a power failure.
    Stored { spot: Spot, safe: bool },
    /// It was stored, but a power failure may have taken it: it is found there or never again.
    Loose { spot: Spot },
    /// A recovery did not find it: it must never be found again.
    Gone,
    /// Retention removed it.
    Expired,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) offset: QueueOffset,
    pub(super) physical: PhysicalOffset,
}

impl Ledger {
    pub(super) fn new(trace: Trace, queues: Vec<QueueSetup>) -> Self {
        let places = vec![BTreeMap::new(); queues.len()];
        Self {
            findings: Findings::new(trace),
            queues,
            messages: Vec::new(),
            batches: Vec::new(),
            places,
            is_log_rotten: false,
            may_reads_fail: false,
            reported: Vec::new(),
        }
    }

    pub(super) fn sent(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn fate(&self, id: Id) -> Fate {
        self.messages[id].fate
    }

    pub(super) fn queue_of(&self, id: Id) -> usize {
        self.messages[id].queue
    }

    pub(super) fn batches(&self) -> &[Vec<Id>] {
        &self.batches
    }

    pub(super) fn set_fate(&mut self, id: Id, fate: Fate) {
        let message = &mut self.messages[id];
        if let Fate::Stored { spot, .. } = message.fate
            && !matches!(fate, Fate::Stored { .. })
        {
            self.places[message.queue].remove(&spot.offset.0);
        }
        message.fate = fate;
    }

    /// A new message, about to be sent.
    pub(super) fn send(&mut self, queue: usize, body_len: usize) -> (Id, Draft<'static>) {
        let id = self.messages.len();
        self.messages.push(Message { queue, body_len, fate: Fate::Open });
        (id, self.draft(id))
    }

    /// Messages that are to be there together or not at all.
    pub(super) fn join(&mut self, members: Vec<Id>) {
        if members.len() > 1 {
            self.batches.push(members);
        }
    }

    /// The message as it was sent; every byte follows from its number.
    pub(super) fn draft(&self, id: Id) -> Draft<'static> {
        let message = &self.messages[id];
        let setup = &self.queues[message.queue];
        let number = id as u64;
        let mut body = number.to_be_bytes().to_vec();
        body.extend((0..message.body_len).map(|at| (number.wrapping_mul(31).wrapping_add(at as u64 * 7) % 251) as u8));
        let mut text = String::new();
        properties::push(&mut text, properties::KEYS, &key(id));
        if !id.is_multiple_of(3) {
            properties::push(&mut text, properties::TAGS, tag(id));
        }
        Draft {
            topic: setup.topic.as_str().to_owned().into(),
            queue_id: setup.id,
            flag: i32::try_from(id % 1000).unwrap_or(0),
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000 + i64::try_from(id).unwrap_or(0),
            born_host: SocketAddr::from((Ipv4Addr::new(10, 9, 8, 7), 4321)),
            store_host: SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 10911)),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: body_crc(&body),
            body: body.into(),
            properties: text.into(),
        }
    }

    /// The store says that it has the message.
    pub(super) fn acknowledge(&mut self, id: Id, place: Place, safe: bool) {
        self.findings.acknowledged += 1;
        let spot = Spot { offset: place.queue_offset, physical: place.physical_offset };
        self.findings.note(format_args!(
            "acknowledged {id} {} {}{}",
            self.name(id, spot.offset),
            spot.physical,
            if safe { "" } else { " unsafe" }
        ));
        self.settle(id, spot, safe);
    }

    /// The store says that it does not have the message and never will.
    pub(super) fn refuse(&mut self, id: Id, why: &store::AppendError) {
        self.findings.note(format_args!("refused {id}: {why}"));
        match self.messages[id].fate {
            Fate::Open => self.messages[id].fate = Fate::Refused,
            fate => self
                .findings
                .fail(Invariant::Genuine, format!("message {id} was refused ({why}) after it was {fate:?}")),
        }
    }

    /// A reader got these bytes for an entry of a queue.
    pub(super) fn observe(&mut self, queue: usize, entry: &Entry, bytes: &[u8], safe: bool) -> Option<Id> {
        self.findings.compared += 1;
        let at = format!("{} offset {}", self.queue_name(queue), entry.offset);
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(error) => {
                self.findings.fail(Invariant::Honest, format!("{at}: served bytes are no record: {error}"));
                return None;
            }
        };
        let id = record.body.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let id = id.and_then(|id| usize::try_from(id).ok()).filter(|&id| id < self.messages.len());
        let Some(id) = id.filter(|&id| self.messages[id].queue == queue) else {
            let rotten = if self.is_log_rotten { Invariant::Honest } else { Invariant::Genuine };
            self.findings.fail(rotten, format!("{at}: a message that was never sent to this queue ({id:?})"));
            return None;
        };
        let draft = self.draft(id);
        let place = Place {
            queue_offset: entry.offset,
            physical_offset: entry.physical,
            store_timestamp: entry.store_timestamp,
        };
        let mut expected = Vec::new();
        draft.encode(place, &mut expected);
        if expected != bytes {
            let first = expected.iter().zip(bytes).position(|(a, b)| a != b);
            let invariant = if self.is_log_rotten { Invariant::Honest } else { Invariant::Genuine };
            self.findings
                .fail(invariant, format!("{at}: message {id} differs from what was sent, first at byte {first:?}"));
            return None;
        }
        let hash = if id % 3 == 0 { 0 } else { java_hash(tag(id)) };
        if entry.tag_hash != hash {
            self.findings.fail(Invariant::Derived, format!("{at}: tag hash is {}, expected {hash}", entry.tag_hash));
        }
        self.settle(id, Spot { offset: entry.offset, physical: entry.physical }, safe);
        Some(id)
    }

    /// A message is known to be at a place.
    fn settle(&mut self, id: Id, spot: Spot, safe: bool) {
        let queue = self.messages[id].queue;
        let name = self.name(id, spot.offset);
        let fate = self.messages[id].fate;
        let safe = match fate {
            Fate::Open => safe,
            Fate::Stored { spot: old, safe: was_safe } if old == spot => safe || was_safe,
            Fate::Loose { spot: old } if old == spot => safe,
            Fate::Stored { spot: old, .. } | Fate::Loose { spot: old } => {
                self.findings.fail(Invariant::Dense, format!("{name} at {spot:?}: message {id} was at {old:?} before"));
                return;
            }
            Fate::Refused | Fate::Gone | Fate::Expired => {
                self.findings
                    .fail(Invariant::Genuine, format!("{name}: message {id} is there although it was {fate:?}"));
                return;
            }
        };
        match self.places[queue].insert(spot.offset.0, id) {
            Some(other) if other != id => {
                self.findings
                    .fail(Invariant::Dense, format!("{name}: belongs to message {other} and now to message {id}"));
            }
            _ => self.messages[id].fate = Fate::Stored { spot, safe },
        }
    }

    /// Everything that ends at or before `synced` is on disk: the store says so.
    pub(super) fn synced(&mut self, synced: PhysicalOffset) {
        for id in 0..self.messages.len() {
            let len = self.draft_len(id);
            if let Fate::Stored { spot, safe } = &mut self.messages[id].fate
                && spot.physical.0 + len <= synced.0
            {
                *safe = true;
            }
        }
    }

    /// Whatever is not safe may be gone.
    pub(super) fn loosen(&mut self) {
        for id in 0..self.messages.len() {
            if let Fate::Stored { spot, safe: false } = self.messages[id].fate {
                self.set_fate(id, Fate::Loose { spot });
            }
        }
    }

    /// A message that is known to be stored, if the number belongs to one.
    pub(super) fn stored(&self, id: Id) -> Option<(usize, Spot)> {
        match self.messages.get(id)?.fate {
            Fate::Stored { spot, .. } => Some((self.messages[id].queue, spot)),
            _ => None,
        }
    }

    pub(super) fn name(&self, id: Id, offset: QueueOffset) -> String {
        format!("{} offset {offset}", self.queue_name(self.messages[id].queue))
    }

    pub(super) fn queue_name(&self, queue: usize) -> String {
        let setup = &self.queues[queue];
        let mut name = String::new();
        write!(name, "{}/{}", setup.topic.as_str(), setup.id).expect("a text takes all text");
        name
    }

    fn draft_len(&self, id: Id) -> u64 {
        self.draft(id).encoded_len() as u64
    }
}

/// The key of a message.
pub(super) fn key(id: Id) -> String {
    format!("key-{id}")
}

fn tag(id: Id) -> &'static str {
    if id % 3 == 1 { "red" } else { "blue" }
}

#[cfg(test)]
mod tests;
