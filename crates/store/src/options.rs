//! What a store can be told.

use crate::timer;
use model::{Epoch, PhysicalOffset};
use std::path::PathBuf;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// When an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Flush {
    /// When its bytes are on disk; one sync serves all that wait.
    #[default]
    Sync,
    /// When the operating system has its bytes: they survive the death of the process, but not of the machine.
    Async,
}

/// What a store can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the store; created if absent. No default that is useful: set it.
    pub dir: PathBuf,
    /// Size of one file of the log in bytes, 16 KiB – 8 GiB; default 1 GiB. Files written before keep their size.
    pub segment_bytes: u64,
    /// When an append counts as done, unless its queue or the append itself says otherwise; default [`Flush::Sync`].
    pub flush: Flush,
    /// Longest time in ms that written bytes stay unsynced if nobody waits for them, 1 – 60,000; default 200.
    pub flush_interval_ms: u64,
    /// Bytes written but unsynced that make the log sync before the interval is over, 4 KiB – 1 GiB; default 32 MiB.
    pub flush_bytes: u64,
    /// Bytes written but unsynced at which appends wait for the disk, `flush_bytes` – 8 GiB; default 512 MiB.
    pub unsynced_bytes_max: u64,
    /// Bytes of appends waiting for the writer beyond which further ones are refused, 64 KiB – 8 GiB; default 64 MiB.
    pub pending_bytes_max: u64,
    /// Longest time in ms that an append may wait for a disk that is behind before it is refused, 10 – 60,000;
    /// default 1,000.
    pub wait_max_ms: u64,
    /// Entries of queues kept in memory before they are written to a run of the index, 16 – 16,777,216;
    /// default 262,144 (about 10 MiB).
    pub run_entries_max: usize,
    /// Bytes of log that memory indexes before a run is written, 4 KiB – 8 GiB; default 256 MiB. This bounds what is
    /// read again after a crash.
    pub run_log_bytes: u64,
    /// Bytes at the end of the log that the system keeps in memory for readers (see [`crate::Store::is_hot`]); what
    /// lies further back is read from the disk. Default 1 GiB.
    pub hot_bytes: u64,
    /// Leadership number that new entries carry; default 0.
    pub epoch: Epoch,
    /// Where to cut the log at start (a replica that must give up what its leader does not have); default none.
    /// Entries that end beyond it are removed for good.
    pub truncate_to: Option<PhysicalOffset>,
    /// How much of the index of timed messages is in memory.
    pub timer: timer::Limits,
    /// A bug to be found by the simulator.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

/// A deliberate bug.
#[cfg(feature = "planted-bugs")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// The log says "synced" without having synced.
    SyncSkipped,
    /// Appends that wait for the sync are answered when written.
    AckBeforeSync,
    /// After a restart the last offset of each queue is given out again.
    OffsetReused,
    /// Runs of the index cover what is written but not yet synced.
    RunBeyondSync,
    /// Records are handed out unchecked.
    ChecksumIgnored,
    /// The mark of delivered timed messages is not one batch with them.
    MarkNotJoined,
    /// Runs of the index of timed messages leave their last message out.
    TimerRunShort,
    /// Retention deletes messages that wait for their time.
    TimersExpire,
    /// A queue that one member holds is given to another one too.
    LockShared,
    /// Locks of queues do not outlast a restart.
    LocksForgotten,
    /// A message that is sent back is acknowledged before it is stored.
    SentBackEarly,
    /// A message that is sent back is not counted as consumed once more.
    RetryNotCounted,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            segment_bytes: GIB,
            flush: Flush::Sync,
            flush_interval_ms: 200,
            flush_bytes: 32 * MIB,
            unsynced_bytes_max: 512 * MIB,
            pending_bytes_max: 64 * MIB,
            wait_max_ms: 1000,
            run_entries_max: 262_144,
            run_log_bytes: 256 * MIB,
            hot_bytes: GIB,
            epoch: Epoch(0),
            truncate_to: None,
            timer: timer::Limits::default(),
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}

/// An option with a value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} is {value}; allowed is {allowed}")]
pub struct Fault {
    /// Name of the field of [`Options`].
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed, for people.
    pub allowed: String,
}

impl Options {
    /// The default options for a folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), ..Self::default() }
    }

    /// Every option whose value is not allowed.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |option, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                faults.push(Fault { option, value: value.to_string(), allowed: format!("{min} – {max}") });
            }
        };
        check("segment_bytes", self.segment_bytes, 16 * KIB, 8 * GIB);
        check("flush_interval_ms", self.flush_interval_ms, 1, 60_000);
        check("flush_bytes", self.flush_bytes, 4 * KIB, GIB);
        check("unsynced_bytes_max", self.unsynced_bytes_max, self.flush_bytes, 8 * GIB);
        check("pending_bytes_max", self.pending_bytes_max, 64 * KIB, 8 * GIB);
        check("wait_max_ms", self.wait_max_ms, 10, 60_000);
        check("run_entries_max", self.run_entries_max as u64, 16, 1 << 24);
        check("run_log_bytes", self.run_log_bytes, 4 * KIB, 8 * GIB);
        if self.dir.as_os_str().is_empty() {
            faults.push(Fault { option: "dir", value: "empty".to_owned(), allowed: "a folder".to_owned() });
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        assert_eq!(Options::new("x").validate(), vec![]);
        let options = Options { segment_bytes: 1, flush_interval_ms: 0, ..Options::default() };
        let named: Vec<_> = options.validate().iter().map(|fault| fault.option).collect();
        assert_eq!(named, ["segment_bytes", "flush_interval_ms", "dir"]);
    }
}
