//! A run: items in order, in blocks that carry their own checksums, and the first item of each block.
//!
//! ```text
//!   block 0        magic 8 "TREFTMR\n", version 4, blocks 4, items 8, last item 16, zeros, CRC-32 4
//!   block 1 …      up to 170 items of 24 bytes: due 8, position 8, topic 4, flags 4 (1: gone); zeros; items 4, CRC-32 4
//!   …              first item of each block (due 8, position 8), CRC-32 4
//! ```

use super::{Due, Item, damaged};
use rt::{Disk, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"TREFTMR\n";
const VERSION: u32 = 1;
const BLOCK: usize = 4096;
const CRC_AT: usize = BLOCK - 4;
const COUNT_AT: usize = BLOCK - 8;
const ITEM: usize = 24;
/// Items of a full block.
pub(super) const BLOCK_ITEMS: usize = COUNT_AT / ITEM;
const FENCE: usize = 16;
/// Bytes handed to the system together.
const WRITE_BYTES: usize = 256 * BLOCK;
/// Bytes after which they are synced: the log's next sync waits for no more than these.
const SYNC_BYTES: u64 = 8 << 20;
const GONE: u32 = 1;

/// A run, open for reading.
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) items: u64,
    pub(super) last: Due,
    path: PathBuf,
    file: Arc<dyn File>,
    /// First item of each block.
    fences: Vec<Due>,
}

pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.run"))
}

/// The number in a run's file name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".run")?.parse().ok()
}

fn put_due(out: &mut Vec<u8>, due: Due) {
    out.extend_from_slice(&due.at.to_be_bytes());
    out.extend_from_slice(&due.position.to_be_bytes());
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

pub(super) fn due_at(bytes: &[u8], at: usize) -> Due {
    Due { at: u64_at(bytes, at) as i64, position: u64_at(bytes, at + 8) }
}

/// Fills a block up to its checksum and seals it.
fn seal(block: &mut Vec<u8>, count: u32) {
    block.resize(COUNT_AT, 0);
    block.extend_from_slice(&count.to_be_bytes());
    let crc = crc32fast::hash(block);
    block.extend_from_slice(&crc.to_be_bytes());
}

fn is_sound(block: &[u8]) -> bool {
    block.len() == BLOCK && u32_at(block, CRC_AT) == crc32fast::hash(&block[..CRC_AT])
}

/// Writes runs.
pub(super) struct RunWriter {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    block: Vec<u8>,
    at: u64,
    /// Below this position everything is synced.
    synced: u64,
    items: u64,
    last: Due,
    fences: Vec<Due>,
}

impl RunWriter {
    pub(super) fn create(disk: &dyn Disk, dir: &Path, number: u64) -> io::Result<Self> {
        let path = path_of(dir, number);
        if disk.try_exists(&path)? {
            disk.remove(&path)?;
        }
        let file = disk.create(&path, 0)?;
        let at = BLOCK as u64;
        let (buffer, block, fences) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { file, buffer, block, at, synced: at, items: 0, last: Due::MIN, fences })
    }

    /// The next item, in order.
    pub(super) fn push(&mut self, item: Item) -> io::Result<()> {
        if self.block.is_empty() {
            self.fences.push(item.due);
        }
        put_due(&mut self.block, item.due);
        self.block.extend_from_slice(&item.topic.to_be_bytes());
        self.block.extend_from_slice(&if item.is_gone { GONE } else { 0 }.to_be_bytes());
        self.items += 1;
        self.last = item.due;
        if self.block.len() == BLOCK_ITEMS * ITEM {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let count = (self.block.len() / ITEM) as u32;
        seal(&mut self.block, count);
        self.buffer.append(&mut self.block);
        if self.buffer.len() >= WRITE_BYTES { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        if self.at - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.at;
        }
        Ok(())
    }

    /// Makes the run durable but for its name, which is the caller's to sync. Says whether it holds anything.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut fences = Vec::with_capacity(self.fences.len() * FENCE + 4);
        self.fences.iter().for_each(|due| put_due(&mut fences, *due));
        let crc = crc32fast::hash(&fences);
        fences.extend_from_slice(&crc.to_be_bytes());
        self.buffer.append(&mut fences);
        self.spill()?;
        let mut head = Vec::with_capacity(BLOCK);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_be_bytes());
        head.extend_from_slice(&(self.fences.len() as u32).to_be_bytes());
        head.extend_from_slice(&self.items.to_be_bytes());
        put_due(&mut head, self.last);
        seal(&mut head, 0);
        self.file.write_at(&head, 0)?;
        self.file.sync()?;
        Ok(self.items > 0)
    }
}

impl Run {
    /// Opens a run; damage of its head or fences is `InvalidData`.
    pub(super) fn open(disk: &dyn Disk, dir: &Path, number: u64) -> io::Result<Self> {
        let path = path_of(dir, number);
        let file = disk.open(&path)?;
        let mut head = vec![0; BLOCK];
        let read = file.read_at(&mut head, 0)?;
        if !is_sound(&head[..read]) || &head[..8] != MAGIC || u32_at(&head, 8) != VERSION {
            return Err(damaged("the head", &path));
        }
        let blocks = u32_at(&head, 12) as usize;
        let mut bytes = vec![0; blocks * FENCE + 4];
        let read = file.read_at(&mut bytes, ((1 + blocks) * BLOCK) as u64)?;
        let (body, crc) = bytes.split_at(blocks * FENCE);
        if read < bytes.len() || u32_at(crc, 0) != crc32fast::hash(body) {
            return Err(damaged("the table of blocks", &path));
        }
        let fences = (0..blocks).map(|i| due_at(body, i * FENCE)).collect();
        Ok(Self { number, items: u64_at(&head, 16), last: due_at(&head, 24), path, file, fences })
    }

    pub(super) fn blocks(&self) -> usize {
        self.fences.len()
    }

    /// The block in which an item is, if anywhere.
    pub(super) fn block_of(&self, due: Due) -> usize {
        self.fences.partition_point(|fence| *fence <= due).saturating_sub(1)
    }

    pub(super) fn block(&self, nth: usize) -> io::Result<Vec<Item>> {
        let mut block = vec![0; BLOCK];
        let read = self.file.read_at(&mut block, ((1 + nth) * BLOCK) as u64)?;
        if !is_sound(&block[..read]) {
            return Err(damaged(&format!("block {nth}"), &self.path));
        }
        let count = (u32_at(&block, COUNT_AT) as usize).min(BLOCK_ITEMS);
        let item = |i: usize| {
            let at = i * ITEM;
            let is_gone = u32_at(&block, at + 20) & GONE != 0;
            Item { due: due_at(&block, at), topic: u32_at(&block, at + 16) as i32, is_gone }
        };
        Ok((0..count).map(item).collect())
    }

    pub(super) fn find(&self, due: Due) -> io::Result<Option<Item>> {
        if self.fences.first().is_none_or(|first| due < *first) || due > self.last {
            return Ok(None);
        }
        let block = self.block(self.block_of(due))?;
        Ok(block.binary_search_by_key(&due, |item| item.due).ok().map(|at| block[at]))
    }
}
