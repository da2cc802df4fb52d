//! The manifest: which runs there are, up to where each is done with, how much of the queue is in them.
//!
//! ```text
//!   0  magic 8      "TREFTMM\n"
//!   8  version 4    1
//!  12  next run's number 8
//!  20  next queue offset to apply 8
//!  28  position of the record before it 8
//!  36  runs 4, per run: number 8, first live item 16
//!   …  topics 4, per topic: hash 4, pending messages 8
//!   …  CRC-32 4     of everything before
//! ```

use super::Due;
use super::run::{due_at, u32_at, u64_at};
use rt::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const MAGIC: &[u8; 8] = b"TREFTMM\n";
const VERSION: u32 = 1;
const NAME: &str = "manifest";
const UNFINISHED_NAME: &str = "manifest.tmp";
const HEAD: usize = 36;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) next_number: u64,
    /// Records of the queue below this offset are in the runs.
    pub(super) applied: u64,
    /// Position of the last of them; tells whether the log is still the same.
    pub(super) position: u64,
    /// Runs, and the first item of each that counts.
    pub(super) runs: Vec<(u64, Due)>,
    /// Pending messages by topic.
    pub(super) counts: BTreeMap<i32, u64>,
}

impl Manifest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.next_number.to_be_bytes());
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&(self.runs.len() as u32).to_be_bytes());
        for (number, from) in &self.runs {
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&from.at.to_be_bytes());
            bytes.extend_from_slice(&from.position.to_be_bytes());
        }
        bytes.extend_from_slice(&(self.counts.len() as u32).to_be_bytes());
        for (topic, count) in &self.counts {
            bytes.extend_from_slice(&topic.to_be_bytes());
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        let is_good = bytes.len() >= HEAD + 8
            && u32::from_be_bytes(*crc) == crc32fast::hash(bytes)
            && &bytes[..8] == MAGIC
            && u32_at(bytes, 8) == VERSION;
        if !is_good {
            return None;
        }
        let runs = u32_at(bytes, HEAD) as usize;
        let topics_at = HEAD + 4 + runs.checked_mul(24)?;
        let topics = u32_at(bytes.get(topics_at..topics_at + 4)?, 0) as usize;
        let table = bytes.get(topics_at + 4..topics_at + 4 + topics.checked_mul(12)?)?;
        let run = |i: usize| (u64_at(bytes, HEAD + 4 + 24 * i), due_at(bytes, HEAD + 12 + 24 * i));
        Some(Self {
            next_number: u64_at(bytes, 12),
            applied: u64_at(bytes, 20),
            position: u64_at(bytes, 28),
            runs: (0..runs).map(run).collect(),
            counts: table.chunks(12).map(|row| (u32_at(row, 0) as i32, u64_at(row, 4))).collect(),
        })
    }

    /// Puts it in the place of the one before, durably.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let unfinished = dir.join(UNFINISHED_NAME);
        if disk.try_exists(&unfinished)? {
            disk.remove(&unfinished)?;
        }
        let file = disk.create(&unfinished, 0)?;
        file.write_at(&self.encode(), 0)?;
        file.sync()?;
        disk.rename(&unfinished, &dir.join(NAME))?;
        disk.sync_dir(dir)
    }

    /// The manifest on disk; `None` if there is none or it is damaged.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(NAME);
        if !disk.try_exists(&path)? {
            return Ok(None);
        }
        let file = disk.open(&path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes[..read]))
    }

    pub(super) fn remove(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let path = dir.join(NAME);
        if disk.try_exists(&path)? {
            disk.remove(&path)?;
            disk.sync_dir(dir)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_damage_is_seen() {
        let manifest = Manifest {
            next_number: 7,
            applied: 8,
            position: 9,
            runs: vec![(3, Due::MIN), (5, Due { at: 10, position: 11 })],
            counts: BTreeMap::from([(-4, 12), (6, 1)]),
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 16;
            assert_eq!(Manifest::decode(&changed), None, "byte {at}");
            assert_eq!(Manifest::decode(&bytes[..at]), None, "{at} bytes");
        }
    }
}
