//! Chance.

use rand::{RngCore, TryRngCore};

/// Where random numbers come from.
pub trait Random: Send + Sync {
    /// The next number, uniform over `u64`.
    fn next_u64(&self) -> u64;

    /// A number below `bound`; 0 if `bound` is 0.
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}

/// The operating system's generator. It panics if the system has none.
#[derive(Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        rand::rngs::OsRng.unwrap_err().next_u64()
    }
}
