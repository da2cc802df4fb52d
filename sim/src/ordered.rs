//! Orderly consumers that take queues from each other, and a group that sends messages back until they are dead: a whole
//! node on one machine, clients on others, as the classic clients do it.

mod ledger;
mod line;
mod member;
mod producer;
mod returner;
mod run;

pub use run::run;
