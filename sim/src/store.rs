//! One store on one simulated machine.

mod audit;
mod clients;
mod ledger;
mod run;
mod setup;

pub use ledger::Ledger;
pub use run::run;
pub use setup::Profile;
