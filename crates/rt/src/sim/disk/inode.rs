//! One file's bytes: as seen, and as a power failure would leave them.

use super::SeededRandom;
use crate::Random;
use std::collections::BTreeMap;

/// Bytes that a disk writes at once or not at all.
pub(super) const SECTOR: u64 = 512;

/// Unsynced versions of one sector that a crash may bring back, besides the durable and the newest.
const VERSIONS_MAX: usize = 3;

type Sector = Box<[u8; SECTOR as usize]>;

/// A sparse run of bytes; what was never written reads as zeros.
#[derive(Clone, Default)]
struct Content {
    len: u64,
    sectors: BTreeMap<u64, Sector>,
}

#[derive(Default)]
pub(super) struct Inode {
    live: Content,
    durable: Content,
    /// Sectors that differ (or may differ) between the two, each with versions that were there in between.
    dirty: BTreeMap<u64, Vec<Sector>>,
    pub(super) handles: usize,
}

/// What a power failure does to one file.
enum Loss {
    /// All that was not synced is gone.
    All,
    /// All of it happened to be written.
    None,
    /// Each sector has its own fate.
    EachSector,
}

impl Inode {
    pub(super) fn new(len: u64) -> Self {
        Self { live: Content { len, ..Content::default() }, ..Self::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len
    }

    pub(super) fn read(&self, buf: &mut [u8], at: u64) -> usize {
        self.live.read(buf, at)
    }

    /// The first position from `at` on in a sector that was ever written.
    pub(super) fn data_from(&self, at: u64) -> Option<u64> {
        let (&index, _) = self.live.sectors.range(at / SECTOR..).next()?;
        let data = at.max(index * SECTOR);
        (data < self.live.len).then_some(data)
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len() as u64;
        for index in at / SECTOR..=(end - 1) / SECTOR {
            match self.dirty.get_mut(&index) {
                None => {
                    self.dirty.insert(index, Vec::new());
                }
                Some(versions) if versions.len() < VERSIONS_MAX => versions.push(self.live.sector(index)),
                Some(_) => {}
            }
        }
        self.live.write(bytes, at);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.live.len {
            let first = len / SECTOR;
            let touched: Vec<u64> = self
                .live
                .sectors
                .range(first..)
                .chain(self.durable.sectors.range(first..))
                .map(|(&index, _)| index)
                .collect();
            for index in touched {
                self.dirty.entry(index).or_default();
            }
        }
        self.live.set_len(len);
    }

    /// Makes the two contents equal.
    pub(super) fn sync(&mut self) {
        for index in std::mem::take(&mut self.dirty).into_keys() {
            self.durable.put(index, self.live.sectors.get(&index).cloned());
        }
        self.durable.set_len(self.live.len);
    }

    /// A sync that failed: some sectors were written, the others count as clean and are never written again.
    pub(super) fn fail_sync(&mut self, random: &SeededRandom) {
        if random.coin() {
            self.durable.set_len(self.live.len);
        }
        for index in std::mem::take(&mut self.dirty).into_keys() {
            if random.coin() {
                self.durable.put(index, self.live.sectors.get(&index).cloned());
            } else if random.below(4) == 0 {
                // Dropped from memory too: the running system sees the old bytes again.
                self.live.put(index, self.durable.sectors.get(&index).cloned());
            }
        }
    }

    /// The power goes.
    pub(super) fn lose(&mut self, random: &SeededRandom) {
        let dirty = std::mem::take(&mut self.dirty);
        let loss = match random.below(4) {
            0 => Loss::All,
            1 => Loss::None,
            _ => Loss::EachSector,
        };
        let keep_len = match loss {
            Loss::All => false,
            Loss::None => true,
            Loss::EachSector => random.coin(),
        };
        for (index, versions) in dirty {
            let newest = self.live.sectors.get(&index).cloned();
            match loss {
                Loss::All => {}
                Loss::None => self.durable.put(index, newest),
                Loss::EachSector => match random.index(versions.len() + 2) {
                    0 => {}
                    1 => self.durable.put(index, newest),
                    version => self.durable.put(index, versions.into_iter().nth(version - 2)),
                },
            }
        }
        if keep_len {
            self.durable.set_len(self.live.len);
        } else {
            let len = self.durable.len;
            self.durable.set_len(len);
        }
        self.live = self.durable.clone();
    }

    pub(super) fn flip(&mut self, at: u64, bit: u8) -> bool {
        let flipped = self.live.flip(at, bit);
        self.durable.flip(at, bit) || flipped
    }

    pub(super) fn written_sectors(&self) -> usize {
        self.durable.sectors.len()
    }

    /// A position in the n-th durable sector that was ever written.
    pub(super) fn position_in_written_sector(&self, nth: usize, within: u64) -> Option<u64> {
        let index = *self.durable.sectors.keys().nth(nth)?;
        Some((index * SECTOR + within).min(self.durable.len.saturating_sub(1)))
    }
}

impl Content {
    fn sector(&self, index: u64) -> Sector {
        self.sectors.get(&index).cloned().unwrap_or_else(|| Box::new([0; SECTOR as usize]))
    }

    fn put(&mut self, index: u64, sector: Option<Sector>) {
        match sector {
            Some(sector) => self.sectors.insert(index, sector),
            None => self.sectors.remove(&index),
        };
    }

    fn read(&self, buf: &mut [u8], at: u64) -> usize {
        let len = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        let mut done = 0;
        while done < len {
            let (index, within, n) = piece(at + done as u64, len - done);
            match self.sectors.get(&index) {
                Some(sector) => buf[done..done + n].copy_from_slice(&sector[within..within + n]),
                None => buf[done..done + n].fill(0),
            }
            done += n;
        }
        len
    }

    fn write(&mut self, bytes: &[u8], at: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let (index, within, n) = piece(at + done as u64, bytes.len() - done);
            let sector = self.sectors.entry(index).or_insert_with(|| Box::new([0; SECTOR as usize]));
            sector[within..within + n].copy_from_slice(&bytes[done..done + n]);
            done += n;
        }
        self.len = self.len.max(at + bytes.len() as u64);
    }

    fn set_len(&mut self, len: u64) {
        self.sectors.split_off(&len.div_ceil(SECTOR));
        let (index, within, _) = piece(len, 1);
        if let Some(last) = self.sectors.get_mut(&index) {
            last[within..].fill(0);
        }
        self.len = len;
    }

    fn flip(&mut self, at: u64, bit: u8) -> bool {
        if at >= self.len {
            return false;
        }
        let (index, within, _) = piece(at, 1);
        let sector = self.sectors.entry(index).or_insert_with(|| Box::new([0; SECTOR as usize]));
        sector[within] ^= 1 << (bit & 7);
        true
    }
}

/// The sector of a position, the place in it, and how many of `len` bytes it holds.
#[allow(clippy::cast_possible_truncation, reason = "a remainder below 512 fits")]
fn piece(at: u64, len: usize) -> (u64, usize, usize) {
    let within = (at % SECTOR) as usize;
    (at / SECTOR, within, len.min(SECTOR as usize - within))
}
