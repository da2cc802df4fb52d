//! The store as others see it.

use crate::{Append, AppendError, Appending, Entry, OpenError, Options, Queue, ReadError, Stats};
use bytes::{Bytes, BytesMut};
use model::{Epoch, PhysicalOffset, QueueId, Topic};
use rt::Host;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The messages of a broker: one commit log and what is derived from it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    stats: Stats,
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
    /// Up to here it is as safe as the broker promises: what readers of synced queues see.
    pub committed: PhysicalOffset,
}

/// A damaged place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damage begins.
    pub position: PhysicalOffset,
    /// Where the log can be read again.
    pub until: PhysicalOffset,
    /// What is wrong.
    pub reason: String,
}

/// The end of the log as it was cut at start: it was being written when the machine stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The new end of the log.
    pub position: PhysicalOffset,
    /// What was wrong there.
    pub reason: String,
}

/// What was found when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Damaged places found (only the part of the log that no run covers is looked at).
    pub damages: Vec<Damage>,
    /// The torn end, if there was one.
    pub cut: Option<Cut>,
    /// Bytes of log that were read.
    pub scanned_bytes: u64,
    /// Runs of the index that were missing or damaged and have been rebuilt.
    pub runs_rebuilt: usize,
    /// Queues known.
    pub queues: usize,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in `options.dir`, which is created if absent. Blocks: it reads what was written since the last
    /// run of the index.
    ///
    /// # Errors
    /// [`OpenError`]. Damage is no error: see [`Recovered`].
    pub fn open(host: &Host, options: Options) -> Result<(Self, Recovered), OpenError> {
        let _ = host;
        let faults = options.validate();
        if !faults.is_empty() {
            return Err(OpenError::Options(faults));
        }
        Ok((Self(Arc::new(Inner { stats: Stats::default() })), Recovered::default()))
    }

    /// The queue; its slot in memory is made if absent (nothing is written).
    #[must_use]
    pub fn queue(&self, topic: &Topic, id: QueueId) -> Arc<Queue> {
        let _ = (topic, id);
        unreachable!("being built")
    }

    /// All queues known.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        Vec::new()
    }

    /// Hands messages to the writer. Does not block.
    ///
    /// # Errors
    /// [`AppendError`] if none of them was accepted.
    pub fn append(&self, batch: Vec<Append>) -> Result<Appending, AppendError> {
        let _ = batch;
        Err(AppendError::Closed)
    }

    /// Appends the records of entries to `out`, back to back, each verified. On an error `out` is as before.
    /// Blocks on the disk for entries that are not [hot](Self::is_hot).
    ///
    /// # Errors
    /// [`ReadError`] of the first record that cannot be read.
    pub fn gather(&self, entries: &[Entry], out: &mut BytesMut) -> Result<(), ReadError> {
        let _ = (entries, out);
        Ok(())
    }

    /// The record at a position. Blocks on the disk unless [hot](Self::is_hot).
    ///
    /// # Errors
    /// [`ReadError`], also for a position at which no record begins.
    pub fn read_at(&self, position: PhysicalOffset) -> Result<Bytes, ReadError> {
        let _ = position;
        Ok(Bytes::new())
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
        let _ = (topic, key, times, count_max);
        Ok(Vec::new())
    }

    /// Whether a position is so near to the end of the log that reading it will hardly wait for the disk.
    #[must_use]
    pub fn is_hot(&self, position: PhysicalOffset) -> bool {
        let _ = position;
        true
    }

    /// How far the log is.
    #[must_use]
    pub fn positions(&self) -> Positions {
        let zero = PhysicalOffset(0);
        Positions { min: zero, written: zero, synced: zero, committed: zero }
    }

    /// The leadership number that new entries carry.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(0)
    }

    /// Why the log accepts nothing any more, if a sync failed: [`AppendError::Poisoned`].
    #[must_use]
    pub fn poison(&self) -> Option<AppendError> {
        None
    }

    /// Whether a sync failed, so that the log accepts nothing any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poison().is_some()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Removes whole segments, oldest first, never the one being written: those whose messages were all stored before a
    /// time (ms since the epoch), and those beyond `keep_bytes_max` bytes of log. Blocks on the disk.
    ///
    /// # Errors
    /// [`ReadError::Io`] if a file cannot be removed.
    pub fn retain(&self, before_timestamp: i64, keep_bytes_max: u64) -> Result<Retained, ReadError> {
        let _ = (before_timestamp, keep_bytes_max);
        Ok(Retained::default())
    }

    /// Writes and syncs what waits, writes the last run of the index and stops. Appends are refused from now on; reads
    /// go on as long as the store lives.
    pub async fn close(&self) {}
}
