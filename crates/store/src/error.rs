//! What can go wrong, one enum per operation.

use crate::Fault;
use model::{PhysicalOffset, QueueOffset};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a message was not stored (or, for a failed write or sync, is not known to be).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much waits for the writer already. Try again later.
    #[error("{pending} bytes wait to be written, at most {max} may; send again later")]
    Busy {
        /// Bytes that wait.
        pending: u64,
        /// Option `pending_bytes_max`.
        max: u64,
    },
    /// It waited too long for a disk that is behind; nothing of it is stored.
    #[error("the disk is behind: the message waited {waited_ms} ms to be written; send again later")]
    Overdue {
        /// How long it waited.
        waited_ms: u64,
    },
    /// It can never be stored.
    #[error("the {what} is {len}, larger than the {max} that can be stored")]
    TooLarge {
        /// `record`, `batch`, `properties`, …
        what: &'static str,
        /// Its size.
        len: u64,
        /// The largest possible.
        max: u64,
    },
    /// The file system is full. Later appends try again.
    #[error("no space left for {needed} bytes at {}; free some or move the data", path.display())]
    DiskFull {
        /// The file that could not be written or created.
        path: Arc<Path>,
        /// Bytes that were to be written.
        needed: u64,
    },
    /// The log could not be written. Later appends try again.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: Arc<Path>,
        /// The system's words.
        error: Arc<str>,
    },
    /// A sync failed once: what was written since the sync before it may be lost, so nothing more is accepted.
    #[error("the log stopped after a failed sync of {}: {error}; restart after the disk is repaired", path.display())]
    Poisoned {
        /// The file.
        path: Arc<Path>,
        /// The system's words.
        error: Arc<str>,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log is damaged there.
    #[error("the log is damaged at position {position}: {reason}")]
    Damaged {
        /// Position in the log.
        position: PhysicalOffset,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// The log holds nothing there: below its start, beyond its end, or not the start of a record.
    #[error("the log has no record at position {position}; it reaches from {min} to {end}")]
    NoRecord {
        /// The position asked for.
        position: PhysicalOffset,
        /// Start of the log.
        min: PhysicalOffset,
        /// End of the log.
        end: PhysicalOffset,
    },
    /// The queue has no message at that offset any more (or not yet).
    #[error("offset {offset} is outside the queue; it reaches from {min} to {end}")]
    NoOffset {
        /// The offset asked for.
        offset: QueueOffset,
        /// First readable offset.
        min: QueueOffset,
        /// First offset not yet there.
        end: QueueOffset,
    },
    /// A file of the index is damaged; it is being rebuilt from the log. Try again later.
    #[error("the index file {} is damaged and being rebuilt; read again later", path.display())]
    Rebuilding {
        /// The file.
        path: Arc<Path>,
    },
    /// The system could not read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: Arc<Path>,
        /// The system's words.
        error: Arc<str>,
    },
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Options are wrong.
    #[error("{} option(s) of the store are not allowed, first: {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Options(Vec<Fault>),
    /// Another process has the store open.
    #[error("{} is in use by another process; stop it or choose another folder", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file was written by a later version.
    #[error("{} has format version {found}; this program knows versions up to {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest known one.
        known: u32,
    },
    /// The system refused something.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
}
