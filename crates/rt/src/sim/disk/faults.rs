//! What goes wrong, by odds and by plan.

use super::SeededRandom;
use std::io;
use std::path::Path;

/// What a fault can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `File::read_at`.
    Read,
    /// `File::write_at` and `File::set_len`.
    Write,
    /// `File::sync`.
    Sync,
    /// `Disk::create`.
    Create,
    /// `Disk::rename`.
    Rename,
    /// `Disk::remove`.
    Remove,
    /// `Disk::sync_dir`.
    SyncDir,
}

/// Odds of faults, each in a million operations of its kind. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A read fails with an I/O error.
    pub read: u32,
    /// A write fails with an I/O error; a part of it may have been done.
    pub write: u32,
    /// A sync fails with an I/O error; what it was to save may be lost for good.
    pub sync: u32,
    /// A creation or a growing write finds no space.
    pub space: u32,
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What fails.
    pub operation: Operation,
    /// Only on paths that contain this text; empty for all.
    pub path_contains: String,
    /// How many such operations succeed before.
    pub after: u64,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads of files.
    pub reads: u64,
    /// Writes to files.
    pub writes: u64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of folders.
    pub dir_syncs: u64,
    /// Operations that were made to fail.
    pub faults: u64,
}

#[derive(Default)]
pub(super) struct FaultPlan {
    pub(super) odds: Faults,
    pub(super) planned: Vec<Fault>,
}

impl FaultPlan {
    /// Whether this operation is to fail.
    pub(super) fn hits(&mut self, operation: Operation, path: &Path, random: &SeededRandom) -> bool {
        let text = path.to_string_lossy();
        let mut hit = None;
        for (index, fault) in self.planned.iter_mut().enumerate() {
            if fault.operation != operation || !text.contains(&fault.path_contains) {
                continue;
            }
            if fault.after == 0 {
                hit = Some(index);
                break;
            }
            fault.after -= 1;
        }
        if let Some(index) = hit {
            self.planned.remove(index);
            return true;
        }
        random.chance(match operation {
            Operation::Read => self.odds.read,
            Operation::Write => self.odds.write,
            Operation::Sync | Operation::SyncDir => self.odds.sync,
            Operation::Create | Operation::Rename | Operation::Remove => 0,
        })
    }
}

/// EIO.
pub(super) fn input_output() -> io::Error {
    rustix::io::Errno::IO.into()
}

/// ENOSPC.
pub(super) fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

/// The handle belongs to a host that has crashed.
pub(super) fn stale() -> io::Error {
    io::Error::other("the simulated host that this handle belongs to has crashed")
}
