//! What producers and consumers notice of a broker, on a simulated machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod admin;
mod bounds;
mod flush;
mod groups;
mod node;
mod offsets;
mod publish;
mod pull;
mod retry;
mod timed;
