//! The store as others see it.

use crate::index::{Calm, Indexer, Newest};
use crate::log::Log;
use crate::log::append::{self, Call, Inbox};
use crate::log::entry::HEADER_LEN;
use crate::log::flush::{Board, Flusher};
use crate::log::prepare::{Prepared, Preparer};
use crate::log::segment::SEGMENT_HEADER_LEN;
use crate::log::writer::Writer;
use crate::queues::Queues;
use crate::retain::Removals;
use crate::{
    AppendError, Appending, Appends, Entry, OpenError, Options, Queue, ReadError, Recovered, Retained, Retention, Stats,
};
use crate::{lookup, recover, retain, timer};
use bytes::{Bytes, BytesMut};
use model::record::Record;
use model::{Epoch, PhysicalOffset, QueueId, Topic};
use parking_lot::Mutex;
use rt::{DiskLock, Host, StageHandle, TaskThreads};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// The messages of a broker: one commit log and what is derived from it. Cheap to clone.
///
/// Dropping the last clone without [`Store::close`] stops as if the process had died.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    stages: Mutex<Vec<StageHandle>>,
    /// Store time of the newest message that was there at the start, ms since the epoch; `i64::MIN` if there was none.
    found_newest: i64,
    /// Keeps other processes away.
    _lock: Box<dyn DiskLock>,
}

/// What the stages share.
pub(crate) struct Shared {
    pub(crate) log: Arc<Log>,
    pub(crate) queues: Queues,
    pub(crate) inbox: Inbox,
    pub(crate) board: Board,
    pub(crate) newest: Mutex<Newest>,
    pub(crate) prepared: Prepared,
    pub(crate) removals: Mutex<Removals>,
    /// Why the index could not be written the last time, if it could not.
    pub(crate) index_failure: Mutex<Option<AppendError>>,
    /// Whether the writer waits for a sync.
    pub(crate) is_throttled: AtomicBool,
    /// Whether the writer has written its last.
    pub(crate) written_last: AtomicBool,
    /// Whether the flush stage has synced its last.
    pub(crate) flushed_last: AtomicBool,
    ended: Mutex<Ended>,
    all_ended: Notify,
    task_threads: TaskThreads,
}

/// Which stages have come to their end.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) writer: bool,
    pub(crate) flush: bool,
    pub(crate) prepare: bool,
    pub(crate) index: bool,
}

impl Ended {
    fn all(&self) -> bool {
        self.writer && self.flush && self.prepare && self.index
    }
}

impl Shared {
    pub(crate) fn new(log: Arc<Log>, queues: Queues, newest: Newest, removals: Removals) -> Self {
        Self {
            log,
            queues,
            inbox: Inbox::default(),
            board: Board::default(),
            newest: Mutex::new(newest),
            prepared: Prepared::default(),
            removals: Mutex::new(removals),
            index_failure: Mutex::new(None),
            is_throttled: AtomicBool::new(false),
            written_last: AtomicBool::new(false),
            flushed_last: AtomicBool::new(false),
            ended: Mutex::new(Ended::default()),
            all_ended: Notify::new(),
            task_threads: TaskThreads::current(),
        }
    }

    /// Hands the results of calls over. Those who wait for several are woken together.
    pub(crate) fn complete(&self, calls: Vec<Call>) {
        match calls.len() {
            0 | 1 => calls.into_iter().for_each(Call::complete),
            _ => self.task_threads.run(move || calls.into_iter().for_each(Call::complete)),
        }
    }

    /// A stage's last word.
    pub(crate) fn ended(&self, set: impl FnOnce(&mut Ended)) {
        let mut ended = self.ended.lock();
        set(&mut ended);
        if ended.all() {
            self.all_ended.notify_waiters();
        }
    }
}

/// How far the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Start of the oldest segment.
    pub min: PhysicalOffset,
    /// Up to here the operating system has it.
    pub written: PhysicalOffset,
    /// Up to here it is on disk.
    pub synced: PhysicalOffset,
    /// Up to here it is as safe as the store's options promise.
    pub committed: PhysicalOffset,
}

impl Store {
    /// Opens the store in `options.dir`, which is created if absent. Blocks: it reads what was written since the last
    /// run of the index.
    ///
    /// # Errors
    /// [`OpenError`]. Damage is no error: see [`Recovered`].
    pub fn open(host: &Host, options: Options) -> Result<(Self, Recovered), OpenError> {
        let faults = options.validate();
        if !faults.is_empty() {
            return Err(OpenError::Options(faults));
        }
        let lock = recover::lock(host, &options)?;
        let (found, recovered) = recover::recover(host, options)?;
        let shared = Arc::new(found.shared);
        let log = Arc::clone(&shared.log);
        let writer = Writer::new(Arc::clone(&shared), found.segment, found.end, found.last_timestamp);
        let flusher = Flusher {
            shared: Arc::clone(&shared),
            last: host.clock.monotonic(),
            released: shared.log.synced().saturating_sub(shared.log.options.hot_bytes),
        };
        let preparer = Preparer { shared: Arc::clone(&shared) };
        let calm = Calm::since(shared.log.host.clock.monotonic(), shared.log.written());
        let indexer = Indexer { shared: Arc::clone(&shared), retry_at: Duration::ZERO, calm };
        let (stages, found_newest) = (Mutex::new(Vec::new()), found.last_timestamp);
        let store = Self(Arc::new(Inner { shared, stages, found_newest, _lock: lock }));
        let mut stages = store.0.stages.lock();
        let spawn_error = |error| OpenError::Io { action: "start a thread for", path: log.options.dir.clone(), error };
        let signals = &log.signals;
        stages.push(host.spawn_stage("log-writer", signals.writer.clone(), writer).map_err(spawn_error)?);
        stages.push(host.spawn_stage("log-flush", signals.flush.clone(), flusher).map_err(spawn_error)?);
        stages.push(host.spawn_stage("log-prepare", signals.prepare.clone(), preparer).map_err(spawn_error)?);
        stages.push(host.spawn_stage("log-index", signals.index.clone(), indexer).map_err(spawn_error)?);
        drop(stages);
        Ok((store, recovered))
    }

    fn log(&self) -> &Log {
        &self.0.shared.log
    }

    /// The queue; its slot in memory is made if absent (nothing is written).
    #[must_use]
    pub fn queue(&self, topic: &Topic, id: QueueId) -> Arc<Queue> {
        self.0.shared.queues.get_or_make(topic, id, &self.0.shared.log)
    }

    /// The queue, if it is known.
    #[must_use]
    pub fn known_queue(&self, topic: &Topic, id: QueueId) -> Option<Arc<Queue>> {
        self.0.shared.queues.get(topic, id)
    }

    /// All queues known, in order of topic and number.
    #[must_use]
    pub fn queues(&self) -> Arc<[Arc<Queue>]> {
        self.0.shared.queues.all()
    }

    /// Hands messages to the writer. Does not block.
    ///
    /// # Errors
    /// [`AppendError`] if none of them was accepted.
    pub fn append(&self, appends: impl Into<Appends>) -> Result<Appending, AppendError> {
        append::append(&self.0.shared, appends.into())
    }

    /// Appends the records of entries to `out`, back to back, each verified. On an error `out` is as before.
    /// Blocks on the disk for entries that are not [hot](Self::is_hot).
    ///
    /// # Errors
    /// [`ReadError`] of the first record that cannot be read.
    pub fn gather(&self, entries: &[Entry], out: &mut BytesMut) -> Result<(), ReadError> {
        let log = self.log();
        let since = log.host.clock.monotonic();
        let gathered = log.gather(entries, out);
        log.stats.read_latency.record(log.host.clock.monotonic().saturating_sub(since));
        gathered
    }

    /// The record at a position. Blocks on the disk unless [hot](Self::is_hot).
    ///
    /// # Errors
    /// [`ReadError`], also for a position at which no record begins.
    pub fn read_at(&self, position: PhysicalOffset) -> Result<Bytes, ReadError> {
        self.log().read_at(position.0, self.log().written())
    }

    /// The records of a topic that carry a key (a word of `KEYS`, or the client's unique id), stored within a range of
    /// times (ms since the epoch), newest first. Blocks on the disk.
    ///
    /// # Errors
    /// [`ReadError`] if the index or a record cannot be read.
    pub fn lookup(
        &self,
        topic: &Topic,
        key: &str,
        times: RangeInclusive<i64>,
        count_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        lookup::lookup(&self.0.shared, topic, key, &times, count_max)
    }

    /// When the oldest message was stored, ms since the epoch. Blocks on the disk.
    #[must_use]
    pub fn oldest_time(&self) -> Option<i64> {
        let first = self.log().min() + SEGMENT_HEADER_LEN + HEADER_LEN as u64;
        let bytes = self.read_at(PhysicalOffset(first)).ok()?;
        Record::parse(&bytes).ok().map(|record| record.store_timestamp)
    }

    /// When the newest message was stored that was there when the store was opened, ms since the epoch; `None` if there was
    /// none.
    #[must_use]
    pub fn found_newest_time(&self) -> Option<i64> {
        Some(self.0.found_newest).filter(|time| *time > i64::MIN)
    }

    /// Size and rest of the file system that holds the log. Blocks on the disk.
    ///
    /// # Errors
    /// Those of the system.
    pub fn space(&self) -> std::io::Result<rt::Space> {
        self.log().host.disk.space(&self.log().options.dir)
    }

    /// Whether a position is so near to the end of the log that reading it will hardly wait for the disk.
    #[must_use]
    pub fn is_hot(&self, position: PhysicalOffset) -> bool {
        self.log().is_hot(position)
    }

    /// How far the log is.
    #[must_use]
    pub fn positions(&self) -> Positions {
        let log = self.log();
        Positions {
            min: PhysicalOffset(log.min()),
            // In this order, so that none is ahead of the one it depends on.
            synced: PhysicalOffset(log.synced()),
            committed: PhysicalOffset(log.committed()),
            written: PhysicalOffset(log.written()),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.log().options.dir
    }

    /// When appends are acknowledged, unless their topic says otherwise.
    #[must_use]
    pub fn flush(&self) -> crate::Flush {
        self.log().options.flush
    }

    /// The leadership number that new entries carry.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.log().options.epoch
    }

    /// Why the log accepts nothing any more, if a sync failed: [`AppendError::Poisoned`].
    #[must_use]
    pub fn poison(&self) -> Option<AppendError> {
        self.log().poison().cloned()
    }

    /// Whether a sync failed, so that the log accepts nothing any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.log().poison().is_some()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.log().stats
    }

    /// Opens the index of messages that wait for their time; its files are in the store's folder. Blocks on the disk.
    ///
    /// # Errors
    /// Of the disk.
    pub fn open_timers(&self) -> std::io::Result<timer::Index> {
        let log = self.log();
        let opened = timer::Index::open(Arc::clone(&log.host.disk), log.options.dir.join("timer"), log.options.timer);
        #[cfg(feature = "planted-bugs")]
        let opened = opened.map(|mut index| {
            index.is_short = log.has_bug(crate::PlantedBug::TimerRunShort);
            index
        });
        opened
    }

    /// Most bytes that an atomic batch may take in the log.
    #[must_use]
    pub fn batch_bytes_max(&self) -> u64 {
        self.log().options.segment_bytes - SEGMENT_HEADER_LEN
    }

    /// Whether a bug is planted.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub fn has_bug(&self, bug: crate::PlantedBug) -> bool {
        self.log().has_bug(bug)
    }

    /// Nothing at or behind a position is removed by [`Store::retain`] until this is called again: somebody still needs
    /// it. A new store removes whatever it is asked to.
    pub fn keep_from(&self, position: PhysicalOffset) {
        self.log().needed_from.store(position.0, Ordering::SeqCst);
    }

    /// Up to where [`Store::retain`] would remove the log if nobody needed anything of it; the start of the log if
    /// nothing.
    #[must_use]
    pub fn expiring(&self, retention: &Retention) -> PhysicalOffset {
        retain::expiring(&self.0.shared, retention)
    }

    /// Removes segments that need not be kept, oldest first, from the log; their space comes back by
    /// [`Store::give_back`]. See also [`Store::keep_from`]. Blocks on the disk.
    ///
    /// # Errors
    /// [`ReadError::Io`] if a file cannot be written or removed.
    pub fn retain(&self, retention: &Retention) -> Result<Retained, ReadError> {
        retain::retain(&self.0.shared, retention)
    }

    /// Gives a part of the space of removed segments back to the file system; true if there is more to give. Blocks on
    /// the disk; what was left when the process ended is given back by the next one.
    ///
    /// # Errors
    /// [`ReadError::Io`] if the file cannot be removed: it is left alone until the next start.
    pub fn give_back(&self) -> Result<bool, ReadError> {
        retain::give_back(&self.0.shared)
    }

    /// Writes and syncs what waits, writes the last run of the index and stops. Appends are refused from now on; reads
    /// go on as long as the store lives.
    pub async fn close(&self) {
        let shared = &self.0.shared;
        shared.log.close();
        loop {
            let ended = shared.all_ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if shared.ended.lock().all() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.log.abandon();
        // Nobody may write any more when the lock is given up.
        self.stages.get_mut().drain(..).for_each(StageHandle::join);
    }
}
