//! Who may consume what now, what came, and what must come.

use crate::Invariant;
use crate::findings::Findings;
use rt::sim::Trace;
use std::collections::BTreeMap;
use std::time::Duration;

/// A message: its key, and its number within the key.
pub(super) type Id = (u32, u64);

/// What an orderly group has done with a queue.
#[derive(Default)]
struct Progress {
    /// Up to here everything was consumed at least once.
    done: u64,
    /// Told or acknowledged by the node.
    told: u64,
    /// The highest that anybody asked to commit.
    asked: u64,
    /// Up to here acknowledged messages lie.
    end: u64,
    /// Who believes to hold it, until when.
    believers: BTreeMap<String, Duration>,
    /// Who is consuming a message of it.
    consumer: Option<String>,
}

/// A message that consumed so often was sent back: acknowledged, without an answer, and what came of it.
#[derive(Default)]
struct Back {
    acknowledged: u32,
    open: u32,
    came: u32,
}

/// Everything that was promised.
pub(super) struct Ledger {
    pub(super) findings: Findings,
    queues: BTreeMap<u32, Progress>,
    /// By key: the number sent next, acknowledged below, consumed in order below.
    keys: BTreeMap<u32, (u64, u64, u64)>,
    back: BTreeMap<(Id, i32), Back>,
    pub(super) sent: u64,
}

impl Ledger {
    pub(super) fn new(trace: Trace) -> Self {
        Self {
            findings: Findings::new(trace),
            queues: BTreeMap::new(),
            keys: BTreeMap::new(),
            back: BTreeMap::new(),
            sent: 0,
        }
    }

    /// The next message of a key; the same one until it is acknowledged.
    pub(super) fn send(&mut self, key: u32) -> Id {
        self.sent += 1;
        let of_key = self.keys.entry(key).or_default();
        of_key.0 = of_key.1 + 1;
        (key, of_key.1)
    }

    pub(super) fn acknowledge(&mut self, id: Id, queue: u32, offset: u64) {
        self.findings.note(format_args!("stored {id:?} at {offset} of {queue}"));
        self.findings.acknowledged += 1;
        let progress = self.queues.entry(queue).or_default();
        progress.end = progress.end.max(offset + 1);
        self.keys.entry(id.0).or_default().1 = id.1 + 1;
    }

    /// A member was told that the queue is its own, and believes it until a time.
    pub(super) fn holds(&mut self, member: &str, queue: u32, now: Duration, until: Duration) {
        self.findings.note(format_args!("{member} holds {queue}"));
        let believers = &mut self.queues.entry(queue).or_default().believers;
        believers.insert(member.to_owned(), until);
        let other = believers.iter().find(|(other, until)| *other != member && **until > now);
        if let Some((other, _)) = other {
            let what = format!("{member} is given queue {queue} while {other} still believes to hold it");
            self.findings.fail(Invariant::Ordered, what);
        }
    }

    /// A member gives a queue up, before it says so.
    pub(super) fn lets_go(&mut self, member: &str, queue: u32) {
        self.findings.note(format_args!("{member} lets go of {queue}"));
        self.queues.entry(queue).or_default().believers.remove(member);
    }

    /// A member's process is no more.
    pub(super) fn died(&mut self, member: &str) {
        self.findings.note(format_args!("{member} is killed"));
        for progress in self.queues.values_mut() {
            progress.believers.remove(member);
            progress.consumer.take_if(|consumer| consumer == member);
        }
    }

    /// A member is told from where on to consume.
    pub(super) fn begins_at(&mut self, member: &str, queue: u32, offset: u64) {
        self.findings.note(format_args!("{member} begins at {offset} of {queue}"));
        let progress = self.queues.entry(queue).or_default();
        let (told, asked) = (progress.told, progress.asked);
        progress.told = told.max(offset);
        if offset < told {
            let what = format!("{member} is told to begin at {offset} of {queue}, it was {told} before");
            self.findings.fail(Invariant::Forward, what);
        } else if offset > asked {
            let what = format!("{member} is told to begin at {offset} of {queue}, but only {asked} was committed");
            self.findings.fail(Invariant::Ordered, what);
        }
    }

    /// A member commits.
    pub(super) fn commits(&mut self, queue: u32, offset: u64) {
        let progress = self.queues.entry(queue).or_default();
        progress.asked = progress.asked.max(offset);
    }

    /// The node acknowledged that.
    pub(super) fn committed(&mut self, queue: u32, offset: u64) {
        let progress = self.queues.entry(queue).or_default();
        progress.told = progress.told.max(offset);
    }

    /// A member begins to consume a message.
    pub(super) fn consume(&mut self, member: &str, queue: u32, offset: u64, id: Id) {
        self.findings.compared += 1;
        self.findings.note(format_args!("{member} consumes {id:?} at {offset} of {queue}"));
        let expected = self.keys.entry(id.0).or_default().2;
        let progress = self.queues.entry(queue).or_default();
        let done = progress.done;
        let other = progress.consumer.replace(member.to_owned());
        if let Some(other) = other {
            self.findings.fail(Invariant::Ordered, format!("{member} and {other} consume queue {queue} together"));
        } else if offset > done {
            let what = format!("{member} consumes offset {offset} of queue {queue}, but {done} was never consumed");
            self.findings.fail(Invariant::Ordered, what);
        } else if id.1 > expected {
            let what = format!("{member} consumes {id:?}, but number {expected} of its key was never consumed");
            self.findings.fail(Invariant::Ordered, what);
        }
    }

    /// It has consumed it.
    pub(super) fn consumed(&mut self, queue: u32, offset: u64, id: Id) {
        let progress = self.queues.entry(queue).or_default();
        progress.consumer = None;
        progress.done = progress.done.max(offset + 1);
        let of_key = self.keys.entry(id.0).or_default();
        of_key.2 = of_key.2.max(id.1 + 1);
    }

    /// A message, consumed so often before, is about to be sent back.
    pub(super) fn send_back(&mut self, id: Id, times: i32) {
        self.back.entry((id, times)).or_default().open += 1;
    }

    /// That was acknowledged.
    pub(super) fn sent_back(&mut self, id: Id, times: i32) {
        self.findings.note(format_args!("sent back {id:?} after {times}"));
        let back = self.back.entry((id, times)).or_default();
        back.open -= 1;
        back.acknowledged += 1;
    }

    /// A message came again, or as a dead letter: its count is one above what it was sent back with.
    pub(super) fn came_back(&mut self, id: Id, times: i32, is_dead: bool, times_max: i32) {
        self.findings.compared += 1;
        self.findings.note(format_args!("{id:?} is back after {times}, dead: {is_dead}"));
        let back = self.back.entry((id, times - 1)).or_default();
        back.came += 1;
        let (came, sent) = (back.came, back.acknowledged + back.open);
        if is_dead != (times > times_max) {
            let what = format!("{id:?} came with count {times} of at most {times_max}, dead: {is_dead}");
            self.findings.fail(Invariant::Retried, what);
        } else if came > sent {
            let what = format!("{id:?} came {came} times with count {times}, and was sent back {sent} times before");
            self.findings.fail(Invariant::Retried, what);
        }
    }

    /// What must still come when the faults are over.
    pub(super) fn missing(&self) -> Option<(Invariant, String)> {
        let behind = self.queues.iter().find(|(_, progress)| progress.done < progress.end);
        if let Some((queue, Progress { done, end, .. })) = behind {
            return Some((Invariant::Live, format!("queue {queue} is consumed to {done} of {end}")));
        }
        if let Some((key, (_, stored, done))) = self.keys.iter().find(|(_, (_, stored, done))| done < stored) {
            return Some((Invariant::Kept, format!("key {key} is consumed to {done} of {stored}")));
        }
        let lost = self.back.iter().find(|(_, back)| back.came < back.acknowledged);
        let ((id, times), back) = lost?;
        let what =
            format!("{id:?} was sent back {} times after {times}, and came {} times", back.acknowledged, back.came);
        Some((Invariant::Retried, what))
    }
}
