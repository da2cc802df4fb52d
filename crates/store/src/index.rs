//! The index of the newest part of the log, which is in memory, and the stage that moves it to runs.

use crate::log::Log;
use crate::log::segment::Segment;
use crate::log::writer::append_error;
use crate::pieces::Pieces;
use crate::run::read::Run;
use crate::run::write::{QueueTable, RunWriter};
use crate::run::{self, format, index_dir, merge};
use crate::stats::add;
use crate::store::Shared;
use crate::{Entry, Queue, recover};
use model::{PhysicalOffset, QueueOffset};
use rt::{Stage, Step};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Runs of one segment from which on they are merged into one.
const MERGE_COUNT: usize = 16;
/// Runs after the last table of all queues from which on the next run has one.
const TABLE_EVERY: usize = 16;
/// Segments whose runs may wait to be merged until little is written: the processor is the writer's meanwhile.
const SEGMENTS_WAITING_MAX: usize = 16;
/// How often it is looked whether little is written.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes a second up to which that is so.
const QUIET_BYTES: u64 = 4 << 20;
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Where a message of a queue lies, without its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) physical: u64,
    /// 0 if the message is lost in a damaged part of the log before `physical`.
    pub(crate) size: u32,
    pub(crate) tag_hash: i32,
    pub(crate) store_timestamp: i64,
}

impl Spot {
    /// Position behind the record.
    pub(crate) fn end(&self) -> u64 {
        self.physical + u64::from(self.size)
    }

    pub(crate) fn entry(&self, offset: u64) -> Entry {
        Entry {
            offset: QueueOffset(offset),
            physical: PhysicalOffset(self.physical),
            size: self.size,
            tag_hash: self.tag_hash,
            store_timestamp: self.store_timestamp,
        }
    }

    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            physical: entry.physical.0,
            size: entry.size,
            tag_hash: entry.tag_hash,
            store_timestamp: entry.store_timestamp,
        }
    }

    /// A lost message somewhere before this one.
    pub(crate) fn lost(&self) -> Self {
        Self { size: 0, tag_hash: 0, ..*self }
    }
}

/// A key of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) hash: u64,
    /// Position of the record.
    pub(crate) physical: u64,
}

/// What is in memory only.
#[derive(Default)]
pub(crate) struct Newest {
    /// Position from which on it covers the log.
    pub(crate) from: u64,
    /// In order of their positions.
    pub(crate) keys: Pieces<Key>,
    /// Entries in memory.
    pub(crate) entries: usize,
}

/// Moves the index from memory to runs, merges and repairs runs.
pub(crate) struct Indexer {
    pub(crate) shared: Arc<Shared>,
    /// Not before this time after a failure.
    pub(crate) retry_at: Duration,
    pub(crate) calm: Calm,
}

/// Whether little is written to the log.
pub(crate) struct Calm {
    since: Duration,
    written: u64,
    is_calm: bool,
}

impl Calm {
    /// Calm until it is seen otherwise: what an earlier process left is merged before much is written.
    pub(crate) fn since(now: Duration, written: u64) -> Self {
        Self { since: now, written, is_calm: true }
    }

    /// Looks at how much is written by now, unless it did so just before.
    fn look(&mut self, now: Duration, written: u64) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= LOOK {
            let bytes = written.saturating_sub(self.written) as f64;
            self.is_calm = bytes <= QUIET_BYTES as f64 * elapsed.as_secs_f64();
            (self.since, self.written) = (now, written);
        }
    }
}

impl Stage for Indexer {
    fn step(&mut self) -> Step {
        let log = Arc::clone(&self.shared.log);
        if log.is_abandoned() {
            return self.end();
        }
        // What the flush stage does last is in the last run, too.
        let is_last = self.shared.flushed_last.load(Ordering::SeqCst);
        let now = log.host.clock.monotonic();
        if now < self.retry_at && !is_last {
            return Step::WaitFor(self.retry_at - now);
        }
        let result = self.work(is_last);
        let failure = result.as_ref().err().map(|error| {
            let needed = log.options.run_entries_max as u64 * format::ENTRY_LEN;
            append_error(&index_dir(&log.options.dir).into(), error, needed)
        });
        *self.shared.index_failure.lock() = failure;
        match result {
            Ok(_) if is_last => self.end(),
            Ok(waiting) if waiting > 0 => Step::WaitFor(LOOK),
            Ok(_) => Step::Wait,
            Err(error) => {
                add(&log.stats.run_errors, 1);
                tracing::warn!(%error, "cannot write the index; it stays in memory and is tried again");
                self.retry_at = now + RETRY;
                // Those who wait for it must be told.
                log.signals.writer.give();
                if is_last { self.end() } else { Step::WaitFor(RETRY) }
            }
        }
    }
}

/// Whether there is enough in memory (or nothing more to come) for a run; the run's end.
pub(crate) fn due(shared: &Shared, is_last: bool) -> Option<u64> {
    let log = &shared.log;
    let (from, entries) = {
        let newest = shared.newest.lock();
        (newest.from, newest.entries)
    };
    // A run may only say what a power failure cannot take back.
    let covered = log.synced();
    #[cfg(feature = "planted-bugs")]
    let covered = if log.has_bug(crate::PlantedBug::RunBeyondSync) { log.written() } else { covered };
    let to = covered.min(log.segment_of(from)?.end());
    let is_sealed = to < covered;
    let is_due = is_sealed
        || is_last
        || entries >= log.options.run_entries_max
        || covered.saturating_sub(from) >= log.options.run_log_bytes;
    (is_due && to > from).then_some(to)
}

impl Indexer {
    fn end(&self) -> Step {
        self.shared.ended(|ended| ended.index = true);
        Step::Done
    }

    /// Does what there is to do; tells how many segments have runs that wait to be merged.
    fn work(&mut self, is_last: bool) -> io::Result<usize> {
        self.repair()?;
        while let Some(to) = due(&self.shared, is_last) {
            self.write_run(to, is_last)?;
            self.shared.log.signals.writer.give();
        }
        let log = &self.shared.log;
        self.calm.look(log.host.clock.monotonic(), log.written());
        self.merge()
    }

    fn write_run(&self, to: u64, is_last: bool) -> io::Result<()> {
        let (from, keys) = {
            let newest = self.shared.newest.lock();
            (newest.from, newest.keys.clone())
        };
        let queues = self.shared.queues.all();
        let (of_run, count) = self.put_run(from..to, &queues, &keys, is_last)?;
        let mut newest = self.shared.newest.lock();
        newest.from = to;
        newest.entries -= count.min(newest.entries);
        let keys = newest.keys.partition_point(|key| key.physical < to);
        newest.keys.take_first(keys);
        drop(newest);
        in_turn(&of_run).for_each(|queue| queue.drain(to));
        Ok(())
    }

    /// Makes a run of what lies in a part of the log; tells which of the queues and how many entries it has.
    fn put_run<'q>(
        &self,
        part: Range<u64>,
        queues: &'q [Arc<Queue>],
        keys: &Pieces<Key>,
        is_last: bool,
    ) -> io::Result<(Vec<&'q Arc<Queue>>, usize)> {
        let (shared, log) = (&*self.shared, &*self.shared.log);
        let dir = index_dir(&log.options.dir);
        let mut writer = RunWriter::create(&*log.host.disk, &dir, part.start, part.end)?;
        let (mut spots, mut of_run, mut count) = (Pieces::default(), Vec::new(), 0);
        for queue in in_turn(queues) {
            let first = queue.in_memory(&mut spots);
            let mut spots = spots.iter().take_while(|spot| spot.physical < part.end).peekable();
            if spots.peek().is_some() {
                writer.queue(queue.topic(), queue.id(), first);
                of_run.push(queue);
            }
            for spot in spots {
                writer.entry(&spot)?;
                count += 1;
            }
        }
        let mut keys: Vec<Key> = keys.iter().take_while(|key| key.physical < part.end).collect();
        keys.sort_unstable();
        keys.iter().try_for_each(|key| writer.key(*key))?;
        let table = (is_last || needs_table(&log.runs.list())).then(|| table_at(shared, part.end));
        log.runs.replace(part, vec![writer.finish(table.as_ref())?]);
        add(&log.stats.runs_written, 1);
        Ok((of_run, count))
    }

    /// Runs of a segment, if they are to be merged.
    fn to_merge(&self, segment: &Segment) -> Option<Vec<Arc<Run>>> {
        let is_within = |run: &&Arc<Run>| segment.start <= run.header.from && run.header.to <= segment.end();
        let runs: Vec<Arc<Run>> = self.shared.log.runs.list().iter().filter(is_within).cloned().collect();
        let is_sealed = runs.last().is_some_and(|run| run.header.to == segment.end());
        (runs.len() >= if is_sealed { 2 } else { MERGE_COUNT }).then_some(runs)
    }

    /// Merges what is to be merged, or leaves a few segments for a quieter time; tells how many.
    fn merge(&self) -> io::Result<usize> {
        let log = &*self.shared.log;
        let (disk, dir) = (&*log.host.disk, index_dir(&log.options.dir));
        let all: Vec<_> = log.segments.load().iter().filter_map(|segment| self.to_merge(segment)).collect();
        if log.is_closing() || !self.calm.is_calm && all.len() < SEGMENTS_WAITING_MAX {
            return Ok(all.len());
        }
        for runs in all {
            if log.is_closing() {
                break;
            }
            let part = runs[0].header.from..runs[runs.len() - 1].header.to;
            let all = log.runs.list();
            let known = all.partition_point(|run| run.header.to <= part.end);
            let table: QueueTable = run::queue_table(&all[..known])?;
            let merged = merge::merge(disk, &dir, &runs, &table)?;
            let old = log.runs.replace(part.clone(), vec![merged]);
            self.drop_if_retired(&part);
            add(&log.stats.runs_merged, old.len() as u64);
            run::remove(disk, &old);
        }
        Ok(0)
    }

    /// Retention takes segments away first and their runs then: runs that came into the list in between have no segment.
    fn drop_if_retired(&self, part: &Range<u64>) {
        let log = &*self.shared.log;
        if part.start < log.min() {
            run::remove(&*log.host.disk, &log.runs.replace(part.clone(), Vec::new()));
        }
    }

    /// Builds runs anew that a reader found damaged.
    fn repair(&self) -> io::Result<()> {
        let log = &*self.shared.log;
        let damaged: Vec<Arc<Run>> = log.runs.list().iter().filter(|run| run.is_damaged()).cloned().collect();
        for run in damaged {
            tracing::warn!(path = %run.path.display(), "a file of the index is damaged; building it anew from the log");
            let part = run.header.from..run.header.to;
            let rebuilt = recover::rebuild(log, part.clone())?;
            let is_same = rebuilt.iter().any(|new| new.path == run.path);
            let old = log.runs.replace(part.clone(), rebuilt);
            if !is_same {
                run::remove(&*log.host.disk, &old);
            }
            self.drop_if_retired(&part);
        }
        Ok(())
    }
}

/// One after the other, each asked for before its turn: of very many queues each is far from the processor.
fn in_turn<Q: AsRef<Queue>>(queues: &[Q]) -> impl Iterator<Item = &Q> {
    /// How many queues ahead.
    const AHEAD: usize = 8;
    queues.iter().enumerate().map(|(number, queue)| {
        if let Some(later) = queues.get(number + AHEAD) {
            later.as_ref().prefetch();
        }
        queue
    })
}

fn needs_table(runs: &[Arc<Run>]) -> bool {
    runs.iter().rev().take_while(|run| !run.header.has_table).count() >= TABLE_EVERY
}

/// The next offset of every queue at a position, which is the end of the run being written.
fn table_at(shared: &Shared, to: u64) -> QueueTable {
    let queues = shared.queues.all();
    queues
        .iter()
        .map(|queue| ((queue.topic().clone(), queue.id()), queue.offset_before(to)))
        .filter(|(_, next)| *next > 0)
        .collect()
}

/// Whether so much waits to be moved to runs that the writer must wait.
pub(crate) fn is_behind(log: &Log, newest: &Newest) -> bool {
    /// How many runs may be waiting to be written.
    const RUNS_WAITING_MAX: usize = 8;
    newest.entries >= log.options.run_entries_max.saturating_mul(RUNS_WAITING_MAX)
}
