//! Group commit: one sync for all that wait, while the writer goes on.

use super::Log;
use super::append::Call;
use crate::stats::add;
use crate::store::Shared;
use crate::{Queue, index};
use parking_lot::Mutex;
use rt::{Stage, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What waits for the next sync.
#[derive(Default)]
pub(crate) struct Board {
    waiting: Mutex<Waiting>,
    /// Whether the flush stage will look at the log again by itself.
    is_armed: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    /// Queues whose visible end moves by the sync.
    queues: Vec<Arc<Queue>>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.queues.is_empty()
    }
}

impl Board {
    /// The writer's, after `written` was set: adds what waits for the sync of it, and empties both.
    pub(crate) fn add(&self, log: &Log, calls: &mut Vec<Call>, queues: &mut Vec<Arc<Queue>>) {
        let is_awaited = !calls.is_empty();
        if is_awaited || !queues.is_empty() {
            let mut waiting = self.waiting.lock();
            waiting.calls.append(calls);
            waiting.queues.append(queues);
        }
        let is_much = log.written().saturating_sub(log.synced()) >= log.options.flush_bytes;
        if is_awaited || is_much || !self.is_armed.swap(true, Ordering::SeqCst) {
            log.signals.flush.give();
        }
    }
}

/// Syncs the log.
pub(crate) struct Flusher {
    pub(crate) shared: Arc<Shared>,
    /// When the last sync ended.
    pub(crate) last: Duration,
    /// Up to here the system was told that it need not keep the log in memory.
    pub(crate) released: u64,
}

/// Bytes of log given up together.
const RELEASE_BYTES: u64 = 16 << 20;

impl Stage for Flusher {
    fn step(&mut self) -> Step {
        let log = Arc::clone(&self.shared.log);
        if log.is_abandoned() {
            return self.end();
        }
        // Looked at before the positions: what the writer did last is then among them.
        let is_last = self.shared.written_last.load(Ordering::SeqCst);
        if log.poison().is_some() {
            self.fail_waiting();
            return if is_last { self.end() } else { Step::Wait };
        }
        let interval = Duration::from_millis(log.options.flush_interval_ms);
        let board = &self.shared.board;
        let is_idle = || log.written() == log.synced() && board.waiting.lock().is_empty();
        if is_idle() {
            if is_last {
                return self.end();
            }
            board.is_armed.store(false, Ordering::SeqCst);
            // The writer may have come between the two looks, still trusting that the stage is armed.
            return if is_idle() { Step::Wait } else { Step::Again };
        }
        let unsynced = log.written() - log.synced();
        let is_awaited = !board.waiting.lock().calls.is_empty();
        board.is_armed.store(true, Ordering::SeqCst);
        let elapsed = log.host.clock.monotonic().saturating_sub(self.last);
        if !(is_awaited || is_last || unsynced == 0 || unsynced >= log.options.flush_bytes || elapsed >= interval) {
            return Step::WaitFor(interval - elapsed);
        }
        self.sync();
        Step::Again
    }
}

impl Flusher {
    fn end(&self) -> Step {
        self.shared.flushed_last.store(true, Ordering::SeqCst);
        self.shared.log.signals.index.give();
        self.shared.ended(|ended| ended.flush = true);
        Step::Done
    }

    fn sync(&mut self) {
        let log = &*self.shared.log;
        // Taken first: all of it lies below the end that is synced now.
        let mut waiting = std::mem::take(&mut *self.shared.board.waiting.lock());
        let (from, to) = (log.synced(), log.written());
        let start = log.host.clock.monotonic();
        let is_synced = sync_segments(log, from, to);
        self.last = log.host.clock.monotonic();
        log.stats.sync_latency.record(self.last.saturating_sub(start));
        if !is_synced {
            self.shared.board.waiting.lock().calls.append(&mut waiting.calls);
            self.fail_waiting();
            return;
        }
        log.set_synced(to);
        waiting.queues.iter().for_each(|queue| queue.wake());
        self.shared.complete(waiting.calls);
        if self.shared.is_throttled.swap(false, Ordering::SeqCst) {
            log.signals.writer.give();
        }
        if index::due(&self.shared, false).is_some() {
            log.signals.index.give();
        }
        self.release(to);
    }

    /// Lets the system drop what lies further back than the hot part of the log. Memory that was just given back is
    /// several times cheaper to write to than memory that was never used, so this is what keeps appends fast.
    fn release(&mut self, synced: u64) {
        let log = &*self.shared.log;
        let to = synced.saturating_sub(log.options.hot_bytes);
        if to < self.released + RELEASE_BYTES {
            return;
        }
        for segment in log.segments.load().iter().filter(|segment| segment.start < to && self.released < segment.end())
        {
            segment.release(self.released..to);
        }
        self.released = to;
    }

    fn fail_waiting(&self) {
        let Some(poison) = self.shared.log.poison() else { return };
        let waiting = std::mem::take(&mut *self.shared.board.waiting.lock());
        for mut call in waiting.calls {
            call.fail_from(0, poison);
            call.complete();
        }
        self.shared.log.signals.writer.give();
    }
}

/// Syncs the segments that have bytes of a part of the log; a failure poisons it.
fn sync_segments(log: &Log, from: u64, to: u64) -> bool {
    #[cfg(feature = "planted-bugs")]
    if log.has_bug(crate::PlantedBug::SyncSkipped) {
        return true;
    }
    if from == to {
        // A sync before this one reached as far already.
        return true;
    }
    for segment in log.segments.load().iter().filter(|segment| segment.start < to && from < segment.end()) {
        add(&log.stats.syncs, 1);
        if let Err(error) = segment.sync(&*log.host.disk) {
            add(&log.stats.sync_errors, 1);
            log.set_poison(&segment.path, &error);
            return false;
        }
    }
    true
}
