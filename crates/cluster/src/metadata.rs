//! What a broker (or a name server) must not forget: topics, groups, consumer offsets, texts by key.
//!
//! All of it is the outcome of one sequence of [`Change`]s, numbered without gaps. [`MetadataLog`] is the seam: today
//! the sequence is a local journal, later a replicated one.
//!
//! Consumer offsets move thousands of times a second, so they live beside the snapshot: they move in memory at once and
//! reach the journal together, only those that moved, within [`Options::offset_sync_ms`].

mod change;
mod frame;
mod journal;
mod load;
mod offsets;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub use change::{Change, Version};
pub use journal::{Advance, Metadata};
pub use load::OpenError;
pub use state::{BROKER_SETTINGS, HeldQueues, State};

use rt::BoxFuture;
use std::sync::Arc;

/// Settings of a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a moved consumer offset may wait for the disk, in ms. Default 50.
    pub offset_sync_ms: u64,
    /// Most consumer offsets kept, over all groups and queues. Default 4,000,000.
    pub offsets_max: usize,
    /// Size in bytes below which the journal is never replaced by a snapshot. Default 8 MiB.
    pub compact_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { offset_sync_ms: 50, offsets_max: 4_000_000, compact_bytes_min: 8 << 20 }
    }
}

/// Agreed metadata.
///
/// # To be correct
/// - Versions grow by one with each change, and a change is durable before `propose` answers with its version.
/// - `read` gives a consistent snapshot: all changes up to its version and none after.
/// - A proposal that is lost answers with an error. After an error the change may still turn out to have been made.
pub trait MetadataLog: Send + Sync {
    /// The newest snapshot.
    fn read(&self) -> Arc<State>;
    /// Makes a change; durable on return.
    fn propose(&self, change: Change) -> BoxFuture<'static, Result<Version, ProposeError>>;
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The journal cannot be written.
    #[error(
        "the metadata journal {path} cannot be written: {reason}; what is known is served, but nothing can be changed until a restart"
    )]
    Failed {
        /// The journal.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The disk refused this change and may take a later one.
    #[error("the metadata journal {path} could not take the change: {reason}; try again when there is room")]
    Refused {
        /// The journal.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// Too many changes wait.
    #[error("{waiting} changes of metadata wait already; try again")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The change is too large.
    #[error("a change of metadata has {bytes} bytes; at most {max} are allowed; split it")]
    TooLarge {
        /// Bytes of the change.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The metadata is closed.
    #[error("the metadata is closed; the process is shutting down")]
    Closed,
}
