//! What every implementation of a seam must do, and what only the simulated ones do.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs, reason = "tests of the door itself")]

mod disk;
mod net;
mod sim_disk;
mod stage;
mod world;
