//! `rt` is the only door to the host: clock, chance, disk, network, threads and tasks.
//!
//! Everything that Trefoil asks of the machine goes through a [`Host`]. There are two: [`Host::real`] and the one of
//! the [`sim`] module, in which a whole node runs on simulated time, disk and network from one seed. Lints forbid the
//! other doors.
//!
//! It is not a drawer for shared helpers. Start at [`Host`].
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this crate is the door that the lints point to"
)]

mod clock;
mod disk;
mod host;
mod net;
mod prefetch;
mod random;
mod shutdown;
pub mod sim;
mod stage;
mod task;
pub mod watch;

pub use clock::{Clock, RealClock, Timestamp};
pub use disk::{DIRECT_ALIGN, Disk, DiskLock, File, Map, RealDisk, Space};
pub use host::Host;
pub use net::{Listener, Net, RealNet, Stream};
pub use prefetch::prefetch;
pub use random::{Random, SystemRandom};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use stage::{Signal, Stage, StageHandle, Step};
pub use task::{BoxFuture, Elapsed, TaskHandle, TaskThreads, sleep, spawn, spawn_blocking, timeout};
