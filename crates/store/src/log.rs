//! The commit log: its files, how far it is, and how it is read. Writing is the writer's, see [`writer`].

pub(crate) mod append;
pub(crate) mod appends;
mod cold;
pub(crate) mod entry;
pub(crate) mod flush;
pub(crate) mod prepare;
pub(crate) mod read;
pub(crate) mod segment;
pub(crate) mod writer;

use crate::run::Runs;
use crate::{AppendError, Flush, Options, Stats};
use arc_swap::ArcSwap;
use cold::ColdBlocks;
use parking_lot::Mutex;
use rt::{Host, Signal};
use segment::Segment;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The store is in use.
const RUNNING: u8 = 0;
/// No appends any more; what waits is written, synced and indexed.
const CLOSING: u8 = 1;
/// Dropped without being closed: stages stop where they are.
const ABANDONED: u8 = 2;

/// What queues, readers and stages share of the log.
pub(crate) struct Log {
    pub(crate) host: Host,
    pub(crate) options: Options,
    pub(crate) stats: Stats,
    pub(crate) runs: Runs,
    /// Oldest first, without gaps unless files are missing; the last one is being written.
    pub(crate) segments: ArcSwap<Vec<Arc<Segment>>>,
    pub(crate) signals: Signals,
    written: AtomicU64,
    synced: AtomicU64,
    /// What other parties than this disk allow to be seen; nobody limits it yet.
    committed_max: AtomicU64,
    /// Retention removes nothing from here on.
    pub(crate) needed_from: AtomicU64,
    poison: OnceLock<AppendError>,
    cold_blocks: ColdBlocks,
    /// Damaged places that were told already.
    damages_told: Mutex<BTreeSet<u64>>,
    state: AtomicU8,
}

/// Wakes each of the stages.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) writer: Signal,
    pub(crate) flush: Signal,
    pub(crate) prepare: Signal,
    pub(crate) index: Signal,
}

impl Signals {
    fn give_all(&self) {
        self.writer.give();
        self.flush.give();
        self.prepare.give();
        self.index.give();
    }
}

impl Log {
    pub(crate) fn new(host: Host, options: Options, segments: Vec<Arc<Segment>>, runs: Runs, end: u64) -> Self {
        let signals = Signals { index: runs.signal(), ..Signals::default() };
        Self {
            host,
            options,
            stats: Stats::default(),
            runs,
            segments: ArcSwap::from_pointee(segments),
            signals,
            written: AtomicU64::new(end),
            synced: AtomicU64::new(end),
            committed_max: AtomicU64::new(u64::MAX),
            needed_from: AtomicU64::new(u64::MAX),
            poison: OnceLock::new(),
            cold_blocks: ColdBlocks::default(),
            damages_told: Mutex::default(),
            state: AtomicU8::new(RUNNING),
        }
    }

    /// Start of the oldest segment.
    pub(crate) fn min(&self) -> u64 {
        self.segments.load().first().map_or(0, |segment| segment.start)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::SeqCst)
    }

    pub(crate) fn committed(&self) -> u64 {
        self.limit(self.options.flush)
    }

    /// Up to where readers of a queue may see.
    pub(crate) fn limit(&self, flush: Flush) -> u64 {
        let own = match flush {
            Flush::Sync => self.synced(),
            Flush::Async => self.written(),
        };
        own.min(self.committed_max.load(Ordering::SeqCst))
    }

    /// Only the writer calls this, when all below is with the system and in the index in memory.
    pub(crate) fn set_written(&self, position: u64) {
        self.written.store(position, Ordering::SeqCst);
    }

    /// Only the flush stage calls this, when all below is on disk.
    pub(crate) fn set_synced(&self, position: u64) {
        self.synced.store(position, Ordering::SeqCst);
    }

    pub(crate) fn poison(&self) -> Option<&AppendError> {
        self.poison.get()
    }

    pub(crate) fn set_poison(&self, path: &Arc<Path>, error: &io::Error) {
        let poison = AppendError::Poisoned { path: Arc::clone(path), error: error.to_string().into() };
        tracing::error!(path = %path.display(), %error, "cannot sync the log; it accepts nothing until it is restarted");
        // The first failure is the one that tells.
        self.poison.get_or_init(|| poison);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state.load(Ordering::SeqCst) != RUNNING
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::SeqCst) == ABANDONED
    }

    pub(crate) fn close(&self) {
        // An abandoned log stays so.
        let _ignored = self.state.compare_exchange(RUNNING, CLOSING, Ordering::SeqCst, Ordering::SeqCst);
        self.signals.give_all();
    }

    pub(crate) fn abandon(&self) {
        self.state.store(ABANDONED, Ordering::SeqCst);
        self.signals.give_all();
    }

    /// The segment that holds a position.
    pub(crate) fn segment_of(&self, position: u64) -> Option<Arc<Segment>> {
        find(&self.segments.load(), position).cloned()
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        log_dir(&self.options.dir)
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn has_bug(&self, bug: crate::PlantedBug) -> bool {
        self.options.planted == Some(bug)
    }
}

/// The folder of the segments.
pub(crate) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The segment among `segments` that holds a position.
pub(crate) fn find(segments: &[Arc<Segment>], position: u64) -> Option<&Arc<Segment>> {
    // Nearly all reads are at the end.
    if let Some(last) = segments.last().filter(|last| last.start <= position) {
        return (position < last.end()).then_some(last);
    }
    let after = segments.partition_point(|segment| segment.start <= position);
    segments[..after].last().filter(|segment| position < segment.end())
}
