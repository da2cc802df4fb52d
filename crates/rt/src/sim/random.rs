//! Chance that can be repeated.

use crate::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers from a seed (SplitMix64: the same on every platform and for all time). Clones share one sequence.
#[derive(Clone)]
pub struct SeededRandom(Arc<AtomicU64>);

/// The step of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SeededRandom {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A sequence of its own that depends on this one and on `purpose`, so that drawing more here moves nothing there.
    #[must_use]
    pub fn fork(&self, purpose: u64) -> Self {
        Self::new(mix(self.0.load(Ordering::Relaxed) ^ mix(purpose.wrapping_add(STEP))))
    }

    /// True in `per_million` of a million cases.
    #[must_use]
    pub fn chance(&self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// True in every second case.
    #[must_use]
    pub fn coin(&self) -> bool {
        self.next_u64() & 1 == 1
    }

    /// An index into something of `len` items; 0 if it is empty.
    #[must_use]
    pub fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let draw = |seed| (0..8).map(|_| seed).map(|seed| SeededRandom::new(seed).next_u64()).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // The published first value of SplitMix64 for seed 0.
        assert_eq!(SeededRandom::new(0).next_u64(), 0xe220_a839_7b1d_cdaf);
    }
}
