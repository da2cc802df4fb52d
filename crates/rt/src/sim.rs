//! The simulated host: time, disk, network and chance from one seed.
//!
//! `run` (feature `testing`) starts a single-threaded runtime whose time stands still and leaps to the next timer, and hands a [`World`]
//! to the caller. A world has hosts; each has a disk that knows what a power failure would leave ([`SimDisk`]), a clock
//! that can be set wrong ([`SimClock`]) and a place in one network that can be cut ([`SimNet`]). The same seed gives
//! the same run, and [`Trace`] is the witness.
//!
//! It finds no bugs by itself: what must hold is the caller's to check.

mod clock;
mod disk;
mod net;
mod random;
#[cfg(feature = "testing")]
mod run;
pub(crate) mod scope;
mod trace;
mod world;

pub use clock::SimClock;
pub use disk::{Counters, Fault, Faults, Flip, Operation, Power, SimDisk};
pub use net::SimNet;
pub use random::SeededRandom;
#[cfg(feature = "testing")]
pub use run::run;
pub use scope::is_running;
pub use trace::Trace;
pub use world::{SimHost, World};
