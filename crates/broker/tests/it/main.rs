//! What producers and consumers notice of a broker, on a simulated machine.

mod node;
mod offsets;
mod publish;
mod pull;
mod retry;
