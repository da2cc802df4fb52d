//! Timed messages and retries of one broker whose machine crashes, loses power, rots, and is off for a month.

mod clients;
mod ledger;
mod run;

pub use run::run;
