//! A whole node (name server, broker and their doors) on one simulated machine, its clients on others.

mod clients;
mod connection;
mod ledger;
mod run;
pub(crate) mod serve;

pub(crate) use connection::{Answer, Connection};
pub use run::run;
