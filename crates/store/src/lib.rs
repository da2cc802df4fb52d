//! `store` keeps messages: the commit log with its single writer, the queues and the key index derived from it,
//! recovery and retention.
//!
//! It knows no groups, no clients, no replicas and no protocol. What lies on disk is drawn in `docs/data-files.md`.
//! Start at [`Store`].

mod error;
mod index;
mod keys;
mod log;
mod lookup;
mod options;
mod pieces;
mod queue;
mod queues;
mod recover;
mod retain;
mod run;
mod stats;
mod store;
#[cfg(test)]
mod tests;
pub mod timer;

pub use error::{AppendError, OpenError, ReadError};
pub use log::append::Appending;
pub use log::appends::{Append, Appends, Wait};
#[cfg(feature = "planted-bugs")]
pub use options::PlantedBug;
pub use options::{Fault, Flush, Options};
pub use queue::{Boundary, Entry, Intake, Queue};
pub use recover::{Cut, Damage, Recovered};
pub use retain::{Retained, Retention};
pub use stats::{Histogram, Stats};
pub use store::{Positions, Store};
