//! How many bytes the messages of a topic take, from where in the log on.

use std::collections::BTreeMap;

/// Bytes of log that are told apart at first.
const PART_BYTES: u64 = 16 << 10;
/// Most parts of the log that are told apart; beyond, two become one.
const PARTS_MAX: usize = 1024;

/// Bytes of messages by parts of the log.
pub(super) struct Tally {
    /// Bytes of log in a part.
    part_bytes: u64,
    /// Bytes of messages by number of the part.
    parts: BTreeMap<u64, u64>,
    bytes: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { part_bytes: PART_BYTES, parts: BTreeMap::new(), bytes: 0 }
    }

    /// Adds a message, in any order of positions.
    pub(super) fn add(&mut self, position: u64, size: u64) {
        *self.parts.entry(position / self.part_bytes).or_default() += size;
        self.bytes += size;
        if self.parts.len() > PARTS_MAX {
            self.part_bytes *= 2;
            let mut halves = BTreeMap::new();
            for (part, bytes) in std::mem::take(&mut self.parts) {
                *halves.entry(part / 2).or_default() += bytes;
            }
            self.parts = halves;
        }
    }

    /// Forgets the oldest parts that are not needed to hold `bytes_max`; gives the position of the first one left.
    pub(super) fn cut(&mut self, bytes_max: u64) -> u64 {
        while let Some(oldest) = self.parts.first_entry().filter(|oldest| self.bytes - oldest.get() >= bytes_max) {
            self.bytes -= oldest.remove();
        }
        self.parts.first_key_value().map_or(0, |(part, _)| part * self.part_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// The newest `bytes_max` bytes are kept, and of what is older no more than a part of what is spoken of.
        #[test]
        fn what_is_wanted_is_kept_and_little_more(
            rounds in vec((vec((0..200_000_u64, 1..5_000_u64), 0..400), 1..2_000_000_u64), 1..20),
        ) {
            let (mut tally, mut messages, mut end, mut first, mut widest) = (Tally::new(), Vec::new(), 0, 0, 0);
            for (added, bytes_max) in rounds {
                let mut new = Vec::new();
                for (gap, size) in added {
                    end += gap;
                    new.push((end, size));
                    end += size;
                }
                messages.extend(&new);
                new.iter().rev().for_each(|(position, size)| tally.add(*position, *size));
                let from = tally.cut(bytes_max).max(first);
                let kept: u64 = messages.iter().filter(|(at, _)| *at >= from).map(|(_, size)| size).sum();
                let known: u64 = messages.iter().filter(|(at, _)| *at >= first).map(|(_, size)| size).sum();
                prop_assert!(kept >= bytes_max.min(known), "{kept} of {bytes_max}");
                // Parts do not become smaller again when most of what they told apart is gone.
                widest = widest.max((end - first) / (PARTS_MAX as u64 / 4) + PART_BYTES);
                let in_part = |(at, _): &&(u64, u64)| *at < from + widest;
                let spare = messages.iter().filter(|(at, _)| *at >= from).take_while(in_part);
                let spare: u64 = spare.map(|(_, size)| size).sum();
                prop_assert!(kept - spare <= bytes_max, "{kept} kept, {spare} in the first part, {bytes_max} wanted");
                prop_assert!(tally.parts.len() <= PARTS_MAX);
                first = from;
            }
        }
    }
}
