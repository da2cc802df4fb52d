//! What was promised about times, and what came.

use crate::Invariant;
use crate::findings::Findings;
use rt::sim::Trace;
use std::collections::BTreeMap;

/// A message, by its number in the order of sending.
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancelled {
    No,
    /// Asked for, without an answer.
    Perhaps,
    Yes,
}

#[derive(Debug)]
struct Message {
    /// Not before this time, in ms since the epoch.
    due: i64,
    is_acknowledged: bool,
    cancelled: Cancelled,
    /// Deliveries.
    seen: u32,
    /// Acknowledged and other requests to have it again, and how often it came again.
    back: u32,
    back_perhaps: u32,
    again: u32,
}

/// Everything that was promised.
pub(super) struct Ledger {
    pub(super) findings: Findings,
    messages: Vec<Message>,
    /// Places of messages, so that each is counted once: next offset by queue.
    next: BTreeMap<String, u64>,
}

impl Ledger {
    pub(super) fn new(trace: Trace) -> Self {
        Self { findings: Findings::new(trace), messages: Vec::new(), next: BTreeMap::new() }
    }

    pub(super) fn sent(&self) -> u64 {
        self.messages.len() as u64
    }

    /// The latest due time of all.
    pub(super) fn last_due(&self) -> i64 {
        self.messages.iter().map(|message| message.due).max().unwrap_or(0)
    }

    /// The next offset to read of a queue.
    pub(super) fn next(&self, queue: &str) -> u64 {
        self.next.get(queue).copied().unwrap_or(0)
    }

    pub(super) fn read_to(&mut self, queue: &str, next: u64) {
        self.next.insert(queue.to_owned(), next);
    }

    pub(super) fn send(&mut self, due: i64) -> Id {
        let id = self.messages.len();
        self.findings.note(format_args!("send {id} for {due}"));
        let cancelled = Cancelled::No;
        self.messages.push(Message {
            due,
            is_acknowledged: false,
            cancelled,
            seen: 0,
            back: 0,
            back_perhaps: 0,
            again: 0,
        });
        id
    }

    pub(super) fn acknowledge(&mut self, id: Id) {
        self.findings.note(format_args!("stored {id}"));
        self.messages[id].is_acknowledged = true;
        self.findings.acknowledged += 1;
    }

    /// A message came where consumers read.
    pub(super) fn deliver(&mut self, id: Id, stored_at: i64) {
        self.findings.compared += 1;
        let Some(message) = self.messages.get_mut(id) else {
            return self.findings.fail(Invariant::Genuine, format!("message {id} was never sent"));
        };
        message.seen += 1;
        let (due, seen, cancelled) = (message.due, message.seen, message.cancelled);
        self.findings.note(format_args!("came {id} at {stored_at}, due at {due}"));
        if stored_at < due {
            self.findings.fail(Invariant::Timely, format!("message {id} was due at {due} and came at {stored_at}"));
        } else if seen > 1 {
            self.findings.fail(Invariant::Timely, format!("message {id}, due at {due}, came {seen} times"));
        } else if cancelled == Cancelled::Yes {
            self.findings.fail(Invariant::Timely, format!("message {id} was cancelled and came"));
        }
    }

    /// Somebody is about to cancel it.
    pub(super) fn cancel(&mut self, id: Id) {
        if self.messages[id].cancelled == Cancelled::No {
            self.messages[id].cancelled = Cancelled::Perhaps;
        }
    }

    /// The answer: whether it is cancelled.
    pub(super) fn cancelled(&mut self, id: Id, is_cancelled: bool, was: bool) {
        self.findings.note(format_args!("cancelled {id}: {is_cancelled}"));
        let message = &mut self.messages[id];
        if is_cancelled {
            message.cancelled = Cancelled::Yes;
            if message.seen > 0 {
                self.findings.fail(Invariant::Timely, format!("message {id} came and is said to be cancelled"));
            }
        } else if !was {
            message.cancelled = Cancelled::No;
        }
    }

    /// Whether somebody asked to cancel it already.
    pub(super) fn is_asked(&self, id: Id) -> bool {
        self.messages[id].cancelled != Cancelled::No
    }

    /// Somebody is about to send it back.
    pub(super) fn send_back(&mut self, id: Id) {
        self.messages[id].back_perhaps += 1;
    }

    /// That was acknowledged.
    pub(super) fn sent_back(&mut self, id: Id) {
        self.findings.note(format_args!("sent back {id}"));
        self.messages[id].back_perhaps -= 1;
        self.messages[id].back += 1;
    }

    pub(super) fn deliver_again(&mut self, id: Id) {
        self.findings.compared += 1;
        let message = &mut self.messages[id];
        message.again += 1;
        let (again, max) = (message.again, message.back + message.back_perhaps);
        self.findings.note(format_args!("came again {id}"));
        if again > max {
            self.findings.fail(
                Invariant::Timely,
                format!("message {id} was sent back {max} times and came again {again} times"),
            );
        }
    }

    /// What has not come although it must, when all times are over.
    pub(super) fn missing(&self) -> Option<String> {
        let missing = |message: &Message| {
            let must = message.is_acknowledged && message.cancelled == Cancelled::No;
            (must && message.seen == 0) || message.again < message.back
        };
        let id = self.messages.iter().position(missing)?;
        Some(format!("message {id} is missing: {:?}", self.messages[id]))
    }
}
