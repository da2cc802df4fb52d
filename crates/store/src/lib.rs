//! `store` keeps messages: the commit log with its single writer, the queues and the key index derived from it,
//! recovery and retention.
//!
//! It knows no groups, no clients, no replicas and no protocol. What lies on disk is drawn in `docs/data-files.md`.
//! Start at [`Store`].

mod error;
mod log;
mod options;
mod queue;
mod stats;
mod store;

pub use error::{AppendError, OpenError, ReadError};
pub use log::append::{Append, Appending, Wait};
#[cfg(feature = "planted-bugs")]
pub use options::PlantedBug;
pub use options::{Fault, Flush, Options};
pub use queue::{Boundary, Entry, Queue};
pub use stats::{Histogram, Stats};
pub use store::{Cut, Damage, Positions, Recovered, Retained, Store};
