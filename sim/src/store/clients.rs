//! What clients do to a store while it runs.

use super::ledger::{Id, Ledger, key};
use super::setup::{Setup, pick};
use crate::Invariant;
use bytes::BytesMut;
use parking_lot::Mutex;
use rt::sim::{SeededRandom, SimDisk};
use rt::{Host, Random};
use std::sync::Arc;
use std::time::Duration;
use store::{Append, AppendError, Entry, Queue, ReadError, Retention, Store, Wait};

/// Longest time, all faults included, that a store may take to answer an append.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

/// What the clients of one boot share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) setup: Arc<Setup>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) store: Store,
    pub(super) queues: Arc<Vec<Arc<Queue>>>,
    pub(super) host: Host,
    pub(super) random: SeededRandom,
    pub(super) disk: SimDisk,
}

impl Bench {
    /// Sends until told to stop.
    pub(super) async fn send(self) {
        while !self.ledger.lock().findings.is_failed() {
            rt::sleep(Duration::from_millis(self.random.below(20))).await;
            if !self.send_once(2).await {
                return;
            }
        }
    }

    /// One call of `append`, with up to `groups_max` atomic groups. False if the store takes nothing any more.
    pub(super) async fn send_once(&self, groups_max: u64) -> bool {
        let mut appends = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..1 + self.random.below(groups_max) {
            let wait = pick(&self.random, &[Wait::Policy, Wait::Policy, Wait::Written, Wait::Synced]);
            let count = if self.random.coin() { 1 } else { 2 + self.random.index(5) };
            let members: Vec<Id> = (0..count).map(|n| self.draft(&mut appends, wait, n + 1 < count)).collect();
            self.ledger.lock().join(members.clone());
            ids.extend(members);
        }
        let safe: Vec<bool> = appends.iter().zip(&ids).map(|(append, &id)| self.is_safe(id, append.wait)).collect();
        let joined: Vec<bool> = appends.iter().map(|append| append.joined).collect();
        let appending = match self.store.append(appends) {
            Ok(appending) => appending,
            Err(error) => {
                let mut ledger = self.ledger.lock();
                ids.iter().for_each(|&id| ledger.refuse(id, &error));
                return !is_final(&error);
            }
        };
        let Ok(outcome) = rt::timeout(ANSWER_TIME_MAX, appending).await else {
            self.ledger
                .lock()
                .findings
                .fail(Invariant::Live, format!("messages {ids:?}: no answer within {ANSWER_TIME_MAX:?}"));
            return false;
        };
        self.judge(&ids, &safe, &joined, &outcome)
    }

    fn draft(&self, appends: &mut Vec<Append<'static>>, wait: Wait, joined: bool) -> Id {
        let queue = self.random.index(self.queues.len());
        let body_len = self.random.index(usize::try_from(self.setup.body_max).unwrap_or(0) + 1);
        let (id, draft) = self.ledger.lock().send(queue, body_len);
        appends.push(Append { queue: Arc::clone(&self.queues[queue]), draft, wait, joined });
        id
    }

    fn is_safe(&self, id: Id, wait: Wait) -> bool {
        match wait {
            Wait::Synced => true,
            Wait::Written => false,
            Wait::Policy => self.setup.is_synced(self.ledger.lock().queue_of(id)),
        }
    }

    fn judge(
        &self,
        ids: &[Id],
        safe: &[bool],
        joined: &[bool],
        outcome: &[Result<model::record::Place, AppendError>],
    ) -> bool {
        let ledger = &mut *self.ledger.lock();
        if outcome.len() != ids.len() {
            ledger.findings.fail(Invariant::Genuine, format!("{} messages got {} answers", ids.len(), outcome.len()));
            return false;
        }
        let mut goes_on = true;
        for (n, result) in outcome.iter().enumerate() {
            match result {
                Ok(place) => ledger.acknowledge(ids[n], *place, safe[n]),
                Err(error) => {
                    goes_on &= !is_final(error);
                    let is_open =
                        matches!(error, AppendError::Write { .. } | AppendError::Poisoned { .. } | AppendError::Closed);
                    match is_open {
                        true => ledger.findings.note(format_args!("open {}: {error}", ids[n])),
                        false => ledger.refuse(ids[n], error),
                    }
                }
            }
            if joined[n] && outcome.get(n + 1).is_some_and(|next| next.is_ok() != result.is_ok()) {
                ledger
                    .findings
                    .fail(Invariant::Atomic, format!("messages {} and {} got different answers", ids[n], ids[n + 1]));
            }
        }
        goes_on
    }

    /// Reads here and there, and looks keys up, until told to stop.
    pub(super) async fn read(self) {
        while !self.ledger.lock().findings.is_failed() {
            rt::sleep(Duration::from_millis(self.random.below(30))).await;
            match self.random.below(8) {
                0 => self.look_up(),
                _ => self.read_some(),
            }
        }
    }

    fn read_some(&self) {
        let number = self.random.index(self.queues.len());
        let queue = &self.queues[number];
        let (min, max) = (queue.min_offset(), queue.max_offset());
        if min > max {
            let name = self.ledger.lock().queue_name(number);
            self.ledger.lock().findings.fail(Invariant::Dense, format!("{name} reaches from {min} to {max}"));
            return;
        }
        let from = min.plus(self.random.below(max.0 - min.0 + 1));
        let mut entries = Vec::new();
        if let Err(error) = queue.entries(from, 1 + self.random.index(32), &mut entries) {
            self.judge_read_error(&format!("queue {number} from {from}"), &error);
            return;
        }
        if entries.is_empty() && from < max {
            self.ledger
                .lock()
                .findings
                .fail(Invariant::Dense, format!("queue {number} has nothing at {from}, below {max}"));
        }
        self.read_entries(number, from.0, &entries);
    }

    /// Reads the records of entries that begin at an offset. Returns those that are there.
    pub(super) fn read_entries(&self, number: usize, from: u64, entries: &[Entry]) -> Vec<Id> {
        let mut found = Vec::new();
        let safe = self.setup.is_synced(number);
        for (n, entry) in entries.iter().enumerate() {
            let expected = from + n as u64;
            if entry.offset.0 != expected {
                let what = format!("queue {number}: offset {} where {expected} must be", entry.offset);
                self.ledger.lock().findings.fail(Invariant::Dense, what);
                return found;
            }
            let mut out = BytesMut::new();
            match self.store.gather(std::slice::from_ref(entry), &mut out) {
                Ok(()) => found.extend(self.ledger.lock().observe(number, entry, &out, safe)),
                Err(error) => self.judge_read_error(&format!("queue {number} offset {expected}"), &error),
            }
        }
        found
    }

    /// A stored and visible message must be found by its key, once.
    pub(super) fn look_up(&self) {
        let sent = self.ledger.lock().sent();
        let id = self.random.index(sent);
        let Some((number, spot)) = self.ledger.lock().stored(id) else { return };
        let queue = &self.queues[number];
        if spot.offset < queue.min_offset() || spot.offset >= queue.max_offset() {
            return;
        }
        let found = match self.store.lookup(queue.topic(), &key(id), i64::MIN..=i64::MAX, 8) {
            Ok(found) => found,
            Err(error) => return self.judge_read_error(&format!("key of message {id}"), &error),
        };
        let places: Vec<_> = found.iter().filter_map(|bytes| model::record::offsets(bytes)).collect();
        let is_excused = self.ledger.lock().is_log_rotten || self.store.is_poisoned();
        if places != [(spot.offset, spot.physical)] && !(is_excused && places.is_empty()) {
            let what = format!("the key of message {id} finds {places:?}, expected {spot:?}");
            self.ledger.lock().findings.fail(Invariant::Derived, what);
        }
    }

    /// Removes old segments now and then.
    pub(super) async fn retain(self) {
        while !self.ledger.lock().findings.is_failed() {
            rt::sleep(Duration::from_millis(100 + self.random.below(400))).await;
            let before = self.host.clock.now().0 - i64::try_from(self.random.below(3000)).unwrap_or(0);
            let keep = pick(&self.random, &[16 << 10, 64 << 10, 1 << 20]);
            let before = if self.random.coin() { before } else { 0 };
            let retention = Retention { before, longer: Vec::new(), bytes_max: Some(keep) };
            let retained = self.store.retain(&retention);
            while matches!(self.store.give_back(), Ok(true)) {}
            let min = self.store.positions().min;
            self.ledger.lock().findings.note(format_args!("retain {before} {keep}: {retained:?}, log from {min}"));
        }
    }

    fn judge_read_error(&self, what: &str, error: &ReadError) {
        let ledger = &mut *self.ledger.lock();
        ledger.findings.note(format_args!("{what}: {error}"));
        let is_excused = match error {
            // After a failed sync the system may have thrown away what was written: the store has stopped for that.
            ReadError::Damaged { .. } => ledger.is_log_rotten || self.store.is_poisoned(),
            // While the index cannot be read, a queue says too low an offset for its first.
            ReadError::Rebuilding { .. } | ReadError::Io { .. } | ReadError::NoOffset { .. } => ledger.may_reads_fail,
            ReadError::NoRecord { .. } => false,
        };
        if !is_excused && !self.disk.is_dead() {
            ledger.findings.fail(Invariant::Honest, format!("{what}: an error without a cause: {error}"));
        }
    }
}

fn is_final(error: &AppendError) -> bool {
    matches!(error, AppendError::Poisoned { .. } | AppendError::Closed)
}
