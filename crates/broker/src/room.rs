//! Room on the disk. Sends are refused before the last of it is used, so that what is stored can still be consumed,
//! indexed and deleted; they are taken again by themselves when there is room.

use crate::PublishError;
use rt::Space;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of a disk that is kept in reserve unless the operator says otherwise, …
const RESERVE_PART: u64 = 20;
/// … but not more bytes than this.
const RESERVE_BYTES_MAX: u64 = 2 << 30;
/// Once sends are refused, so much more than the reserve must be free before they are taken again: a quarter of it.
const MARGIN_PART: u64 = 4;

/// What is known about the room of the store.
pub(crate) struct Room {
    dir: PathBuf,
    /// Bytes to keep; `None`: a part of the disk.
    reserve: Option<u64>,
    /// Bytes missing from the reserve; 0 while sends are taken.
    missing: AtomicU64,
    available: AtomicU64,
    total: AtomicU64,
}

/// A change that people should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Short { available: u64, reserve: u64 },
    Enough { available: u64 },
}

impl Room {
    pub(crate) fn new(dir: PathBuf, reserve: Option<u64>) -> Self {
        let (missing, available, total) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { dir, reserve, missing, available, total }
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    fn reserve(&self, total: u64) -> u64 {
        self.reserve.unwrap_or_else(|| (total / RESERVE_PART).min(RESERVE_BYTES_MAX))
    }

    /// Takes note of how much room there is.
    pub(crate) fn observe(&self, space: Space) -> Option<Turn> {
        let reserve = self.reserve(space.total);
        let was_short = self.missing.load(Ordering::Relaxed) > 0;
        let wanted = if was_short { reserve + reserve / MARGIN_PART } else { reserve };
        let missing = wanted.saturating_sub(space.available);
        self.missing.store(missing, Ordering::Relaxed);
        self.available.store(space.available, Ordering::Relaxed);
        self.total.store(space.total, Ordering::Relaxed);
        match (was_short, missing > 0) {
            (false, true) => Some(Turn::Short { available: space.available, reserve }),
            (true, false) => Some(Turn::Enough { available: space.available }),
            _ => None,
        }
    }

    /// Refuses a send while there is not enough.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        match self.missing.load(Ordering::Relaxed) {
            0 => Ok(()),
            missing => Err(PublishError::DiskFull {
                path: Arc::from(self.dir.as_path()),
                available: self.available.load(Ordering::Relaxed),
                missing,
            }),
        }
    }

    /// Free and total bytes, and whether sends are refused.
    pub(crate) fn seen(&self) -> (Space, bool) {
        let (total, available) = (self.total.load(Ordering::Relaxed), self.available.load(Ordering::Relaxed));
        (Space { total, available }, self.missing.load(Ordering::Relaxed) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_stop_at_the_reserve_and_go_on_above_it() {
        let room = Room::new("d".into(), Some(100));
        let check = |available: u64, turn: Option<Turn>, is_refused: bool| {
            assert_eq!(room.observe(Space { total: 1000, available }), turn, "{available}");
            assert_eq!(room.check().is_err(), is_refused, "{available}");
        };
        check(500, None, false);
        check(100, None, false);
        check(99, Some(Turn::Short { available: 99, reserve: 100 }), true);
        check(110, None, true);
        check(125, Some(Turn::Enough { available: 125 }), false);
        check(110, None, false);
    }

    #[test]
    fn by_default_a_part_of_the_disk_is_kept() {
        let room = Room::new("d".into(), None);
        let check = |total: u64, expected: u64| assert_eq!(room.reserve(total), expected);
        check(400 << 20, 20 << 20);
        check(1 << 40, 2 << 30);
    }
}
