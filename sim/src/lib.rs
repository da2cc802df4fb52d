//! `sim` runs Trefoil on simulated hosts from one seed and checks what must hold.
//!
//! A run is a workload of clients against a store or a node whose machine crashes, loses power, fills up and rots; a
//! [`store::Ledger`] knows what was sent and what was promised, and compares it with what is found. The same seed gives the
//! same run: a violation is repeated by its seed alone.
//!
//! The invariants, by their numbers in the project's papers: I1 an acknowledged message is found again, I2 none is
//! changed or made up, I4 offsets are dense and never reused, I5 a queue is consumed in order and by one at a time, I8 timed
//! messages come once and not early, I9 offsets of groups move forward only, I11 what is sent back comes again or is a dead
//! letter, I12 derived state equals a rebuild.

mod findings;
pub mod node;
pub mod ordered;
mod panics;
mod seeded;
pub mod store;
pub mod timed;
mod verdict;

pub use verdict::{Invariant, Report, Violation};
