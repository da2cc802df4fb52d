//! A whole node (name server, broker and their doors) on one simulated machine, its clients on others.

mod clients;
mod connection;
mod ledger;
mod run;
mod serve;

pub use run::run;
