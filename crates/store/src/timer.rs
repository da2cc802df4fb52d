//! Which messages wait for their time: an index by due time on disk, derived from the log.
//!
//! Timed messages and the marks that end them (delivered, cancelled, moved) are records of one queue; this index says
//! which of them are still pending and which is due next, in bounded memory however many there are. It is a small
//! log-structured merge tree:
//!
//! - what came last is in memory ([`Limits::memory_items_max`]);
//! - it is written to immutable, checksummed, sorted *runs*, which are merged when there are many;
//! - the *manifest* names the runs, up to where each is done with, and how much of the queue is in them. Everything
//!   after that is applied again after a restart.
//! - the pending messages that are due next are in memory too ([`Limits::near_max`]), so that delivery asks no disk.
//!
//! It has one owner, who tells it what the queue says and asks what is due. Deleted or damaged files cost a rebuild
//! from the log and nothing else. Start at [`Index`].

mod index;
mod job;
mod manifest;
mod merge;
mod run;
#[cfg(test)]
mod tests;

pub use index::Index;
pub use job::{Done, Job};

/// When a message is due, and which one it is. In the order of delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Due {
    /// Ms since the epoch.
    pub at: i64,
    /// Position of the waiting record in the log.
    pub position: u64,
}

impl Due {
    /// Before every other.
    pub const MIN: Self = Self { at: i64::MIN, position: 0 };
    /// After every other.
    pub const MAX: Self = Self { at: i64::MAX, position: u64::MAX };
}

/// A message that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// When, and which.
    pub due: Due,
    /// [`model::java_hash`] of the topic that it is for.
    pub topic: i32,
}

/// How much is in memory, and when it goes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items in memory from which on they are written to a run. Default 65,536.
    pub flush_items: usize,
    /// Items in memory beyond which nothing more is taken in until a run is written. Default 524,288 (about 24 MiB).
    pub memory_items_max: usize,
    /// Records of the queue after which the manifest is written anew; bounds what is read again after a restart.
    /// Default 262,144.
    pub checkpoint_records: u64,
    /// Pending messages due next that are kept in memory. Default 131,072 (about 8 MiB).
    pub near_max: usize,
    /// Messages of the index looked at together to bring what is due next to memory; at most half of `near_max`.
    /// Default 4,096 (about 1 ms of work).
    pub load_items: usize,
    /// Runs from which on they are merged. Default 8.
    pub runs_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flush_items: 1 << 16,
            memory_items_max: 1 << 19,
            checkpoint_records: 1 << 18,
            near_max: 1 << 17,
            load_items: 1 << 12,
            runs_max: 8,
        }
    }
}

/// What is known of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Item {
    due: Due,
    topic: i32,
    /// It does not wait any more.
    is_gone: bool,
}

fn damaged(what: &str, path: &std::path::Path) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{what} of {} is damaged", path.display()))
}
