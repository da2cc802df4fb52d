//! What clients sent, what the node promised, and what consumers got.

use crate::Invariant;
use crate::findings::Findings;
use model::properties;
use model::record::Record;
use rt::sim::Trace;
use std::collections::{BTreeMap, BTreeSet};

/// A message; its number is its place in the order of sending.
pub(super) type Id = usize;

/// Knows every message of a run.
pub(super) struct Ledger {
    pub(super) findings: Findings,
    topic: &'static str,
    messages: Vec<Message>,
    /// Which message an offset of a queue belongs to.
    places: BTreeMap<(u32, u64), Id>,
    /// How far each group is known to be in each queue: told or acknowledged by the node.
    progress: BTreeMap<(String, String), u64>,
}

#[derive(Default)]
struct Message {
    body_len: usize,
    is_acknowledged: bool,
    is_refused: bool,
    place: Option<(u32, u64)>,
    /// Groups that have got it.
    delivered: BTreeSet<String>,
    /// Groups that sent it back, which the node acknowledged.
    sent_back: BTreeSet<String>,
    /// Groups that have got it again.
    redelivered: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn new(trace: Trace, topic: &'static str) -> Self {
        Self {
            findings: Findings::new(trace),
            topic,
            messages: Vec::new(),
            places: BTreeMap::new(),
            progress: BTreeMap::new(),
        }
    }

    pub(super) fn sent(&self) -> usize {
        self.messages.len()
    }

    /// A new message, about to be sent.
    pub(super) fn send(&mut self, body_len: usize) -> Id {
        self.messages.push(Message { body_len, ..Message::default() });
        self.messages.len() - 1
    }

    /// The body of a message: its number, then bytes that follow from it.
    pub(super) fn body(&self, id: Id) -> Vec<u8> {
        let number = id as u64;
        let mut body = number.to_be_bytes().to_vec();
        let filling = 0..self.messages[id].body_len;
        body.extend(filling.map(|at| (number.wrapping_mul(31).wrapping_add(at as u64 * 7) % 251) as u8));
        body
    }

    /// The properties that a message is sent with.
    pub(super) fn properties(id: Id) -> Vec<(&'static str, String)> {
        vec![
            (properties::KEYS, format!("key-{id}")),
            (properties::TAGS, if id.is_multiple_of(2) { "red" } else { "blue" }.to_owned()),
            (properties::UNIQ_KEY, format!("0A000001{id:024X}")),
            ("colour of the sea", format!("{id} ~ \u{1f30a}")),
        ]
    }

    /// The node says that it has the message.
    pub(super) fn acknowledge(&mut self, id: Id, queue: u32, offset: u64) {
        self.findings.acknowledged += 1;
        self.messages[id].is_acknowledged = true;
        self.findings.note(format_args!("acknowledged {id} queue {queue} offset {offset}"));
        self.settle(id, queue, offset);
    }

    /// The node says that it will not have the message.
    pub(super) fn refuse(&mut self, id: Id, why: &str) {
        self.findings.note(format_args!("refused {id}: {why}"));
        self.messages[id].is_refused = true;
        if let Some(place) = self.messages[id].place {
            self.findings.fail(Invariant::Genuine, format!("message {id} was refused ({why}) but is at {place:?}"));
        }
    }

    /// A consumer group got these bytes from a queue at an offset.
    pub(super) fn deliver(&mut self, group: &str, queue: u32, record: &Record<'_>) -> Option<Id> {
        let offset = record.queue_offset.0;
        let id = self.compare(&format!("queue {queue} offset {offset}, delivered to {group}"), record)?;
        if record.topic != self.topic || record.queue_id.0 != queue {
            let what = format!("queue {queue} offset {offset}: record is of {}/{}", record.topic, record.queue_id);
            self.findings.fail(Invariant::Genuine, what);
        }
        self.messages[id].delivered.insert(group.to_owned());
        self.settle(id, queue, offset);
        Some(id)
    }

    /// A consumer group got these bytes from its retry topic.
    pub(super) fn redeliver(&mut self, group: &str, record: &Record<'_>) {
        let at = format!("offset {} of the retry topic of {group}", record.queue_offset);
        let Some(id) = self.compare(&at, record) else { return };
        if record.reconsume_times != 1 {
            let what = format!("{at}: message {id} was consumed {} times, expected once", record.reconsume_times);
            self.findings.fail(Invariant::Genuine, what);
        }
        self.findings.note(format_args!("{group} gets {id} again"));
        self.messages[id].redelivered.insert(group.to_owned());
    }

    /// The node promises a group to deliver a message again.
    pub(super) fn sent_back(&mut self, group: &str, id: Id) {
        self.findings.note(format_args!("{group} sends {id} back"));
        self.messages[id].sent_back.insert(group.to_owned());
    }

    /// Compares a record with what was sent.
    fn compare(&mut self, at: &str, record: &Record<'_>) -> Option<Id> {
        self.findings.compared += 1;
        let id = record.body.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let Some(id) = id.and_then(|id| usize::try_from(id).ok()).filter(|&id| id < self.messages.len()) else {
            self.findings.fail(Invariant::Genuine, format!("{at}: a message that was never sent"));
            return None;
        };
        let is_changed = |(name, value): &(&str, String)| record.property(name) != Some(value);
        let what = if record.body != self.body(id) || record.check_body().is_err() {
            format!("{at}: the body of message {id} is not what was sent")
        } else if let Some((name, value)) = Self::properties(id).iter().find(|pair| is_changed(pair)) {
            format!("{at}: property {name} of message {id} is {:?}, sent was {value:?}", record.property(name))
        } else if self.messages[id].is_refused {
            format!("{at}: message {id} was refused")
        } else {
            return Some(id);
        };
        self.findings.fail(Invariant::Genuine, what);
        None
    }

    fn settle(&mut self, id: Id, queue: u32, offset: u64) {
        if let Some(other) = self.places.insert((queue, offset), id)
            && other != id
        {
            let what = format!("queue {queue} offset {offset} belongs to message {other} and now to message {id}");
            return self.findings.fail(Invariant::Dense, what);
        }
        match self.messages[id].place.replace((queue, offset)) {
            Some(place) if place != (queue, offset) => {
                let what = format!("message {id} was at {place:?} and is now at queue {queue} offset {offset}");
                self.findings.fail(Invariant::Dense, what);
            }
            _ => {}
        }
    }

    /// The node says how far a group is: never less than it said or acknowledged before.
    pub(super) fn told_progress(&mut self, group: &str, queue: &str, offset: u64) {
        self.findings.note(format_args!("{group} is told to be at {offset} of {queue}"));
        let known = self.progress.entry((group.to_owned(), queue.to_owned())).or_default();
        if offset < *known {
            let what = format!("{group} is told to be at {offset} of {queue}, it was at {known} before");
            self.findings.fail(Invariant::Forward, what);
        } else {
            *known = offset;
        }
    }

    /// The node acknowledged a commit.
    pub(super) fn committed(&mut self, group: &str, queue: &str, offset: u64) {
        self.findings.note(format_args!("{group} commits {offset} of {queue}"));
        let known = self.progress.entry((group.to_owned(), queue.to_owned())).or_default();
        *known = offset.max(*known);
    }

    /// Messages that were promised to a group and did not come: acknowledged or sent back.
    pub(super) fn undelivered(&self, group: &str) -> Vec<Id> {
        let is_missing = |message: &Message| {
            (message.is_acknowledged && !message.delivered.contains(group))
                || (message.sent_back.contains(group) && !message.redelivered.contains(group))
        };
        (0..self.messages.len()).filter(|&id| is_missing(&self.messages[id])).collect()
    }

    /// Whether a group was promised to get a message again.
    pub(super) fn is_sent_back(&self, group: &str, id: Id) -> bool {
        self.messages[id].sent_back.contains(group)
    }

    /// Where a message is.
    pub(super) fn place(&self, id: Id) -> Option<(u32, u64)> {
        self.messages[id].place
    }
}
