//! Writing a run: queues in order of topic and id with their entries, then keys in order, then the rest.

use super::format::{BLOCK_LEN, HEADER_LEN, Header};
use super::read::Run;
use crate::index::{Key, Spot};
use model::{QueueId, Topic};
use rt::{Disk, File};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes gathered before they are handed to the system.
const WRITE_LEN: usize = 1024 * 1024;
/// How the name of a file begins to exist; left-overs are removed at start.
pub(crate) const UNFINISHED: &str = ".tmp";

/// The next offset of every queue.
pub(crate) type QueueTable = BTreeMap<(Topic, QueueId), u64>;

/// A run being written.
pub(crate) struct RunWriter<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    path: PathBuf,
    header: Header,
    file: Arc<dyn File>,
    /// Bytes not yet handed to the system; always whole blocks before them.
    buffer: Vec<u8>,
    /// Where `buffer` belongs.
    at: u64,
    crcs: Vec<u32>,
    topics: Vec<Topic>,
    rows: Vec<Row>,
    is_finished: bool,
}

struct Row {
    topic: u32,
    id: QueueId,
    first: u64,
    count: u64,
    index: u64,
}

/// The file name of a run over a part of the log.
pub(crate) fn name_of(from: u64, to: u64) -> String {
    format!("{from:020}-{to:020}.run")
}

/// What a run's file name says.
pub(crate) fn range_of(name: &str) -> Option<(u64, u64)> {
    let (from, to) = name.strip_suffix(".run")?.split_once('-')?;
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (name_of(from, to) == name && from < to).then_some((from, to))
}

impl<'a> RunWriter<'a> {
    pub(crate) fn create(disk: &'a dyn Disk, dir: &'a Path, from: u64, to: u64) -> io::Result<Self> {
        let path = dir.join(name_of(from, to) + UNFINISHED);
        if disk.try_exists(&path)? {
            disk.remove(&path)?;
        }
        let file = disk.create(&path, 0)?;
        Ok(Self {
            disk,
            dir,
            path,
            header: Header { from, to, min_time: i64::MAX, max_time: i64::MIN, ..Header::default() },
            file,
            buffer: Vec::with_capacity(WRITE_LEN + BLOCK_LEN as usize),
            at: HEADER_LEN,
            crcs: Vec::new(),
            topics: Vec::new(),
            rows: Vec::new(),
            is_finished: false,
        })
    }

    /// Begins the next queue; its entries follow. Queues come in order of topic and id.
    pub(crate) fn queue(&mut self, topic: &Topic, id: QueueId, first: u64) {
        if self.topics.last() != Some(topic) {
            self.topics.push(topic.clone());
        }
        let topic = self.topics.len() as u32 - 1;
        self.rows.push(Row { topic, id, first, count: 0, index: self.header.entries });
    }

    /// The next entry of the queue.
    pub(crate) fn entry(&mut self, spot: &Spot) -> io::Result<()> {
        self.buffer.extend_from_slice(&spot.physical.to_be_bytes());
        self.buffer.extend_from_slice(&spot.size.to_be_bytes());
        self.buffer.extend_from_slice(&spot.tag_hash.to_be_bytes());
        self.buffer.extend_from_slice(&spot.store_timestamp.to_be_bytes());
        self.header.entries += 1;
        self.header.min_time = self.header.min_time.min(spot.store_timestamp);
        self.header.max_time = self.header.max_time.max(spot.store_timestamp);
        if let Some(row) = self.rows.last_mut() {
            row.count += 1;
        }
        self.spill(false)
    }

    /// The next key; keys come after all entries, in order.
    pub(crate) fn key(&mut self, key: Key) -> io::Result<()> {
        if self.header.keys == 0 {
            self.header.keys_at = self.position();
        }
        self.buffer.extend_from_slice(&key.hash.to_be_bytes());
        self.buffer.extend_from_slice(&key.physical.to_be_bytes());
        self.header.keys += 1;
        self.spill(false)
    }

    /// Completes the file, durably, and opens it.
    pub(crate) fn finish(mut self, table: Option<&QueueTable>) -> io::Result<Arc<Run>> {
        if self.header.keys == 0 {
            self.header.keys_at = self.position();
        }
        if let Some(table) = table {
            // Rows name topics by their number, and the numbers are in order of names.
            self.widen_topics(table);
        }
        self.put_topics()?;
        self.put_rows()?;
        self.header.table_at = self.position();
        if let Some(table) = table {
            self.put_table(table)?;
        }
        self.header.blocks_at = self.position();
        self.spill(true)?;
        let crcs: Vec<u8> = self.crcs.iter().flat_map(|crc| crc.to_be_bytes()).collect();
        self.header.blocks_crc = crc32fast::hash(&crcs);
        self.file.write_at(&crcs, self.header.blocks_at)?;
        self.file.write_at(&self.header.encode(), 0)?;
        self.file.sync()?;
        let path = self.dir.join(name_of(self.header.from, self.header.to));
        self.disk.rename(&self.path, &path)?;
        self.is_finished = true;
        self.disk.sync_dir(self.dir)?;
        Run::open(self.disk, self.dir, self.header.from, self.header.to)?
            .ok_or_else(|| io::Error::other(format!("{} does not read back", path.display())))
    }

    fn position(&self) -> u64 {
        self.at + self.buffer.len() as u64
    }

    /// Hands whole blocks to the system once there are many, or all there is.
    fn spill(&mut self, all: bool) -> io::Result<()> {
        if !all && self.buffer.len() < WRITE_LEN {
            return Ok(());
        }
        let block = BLOCK_LEN as usize;
        let len = if all { self.buffer.len() } else { self.buffer.len() / block * block };
        self.crcs.extend(self.buffer[..len].chunks(block).map(crc32fast::hash));
        self.file.write_at(&self.buffer[..len], self.at)?;
        self.at += len as u64;
        self.buffer.drain(..len);
        Ok(())
    }

    fn widen_topics(&mut self, table: &QueueTable) {
        let mut all: Vec<Topic> =
            table.keys().map(|(topic, _)| topic.clone()).chain(self.topics.iter().cloned()).collect();
        all.sort();
        all.dedup();
        let numbers: Vec<u32> = self
            .topics
            .iter()
            .map(|topic| all.binary_search(topic).expect("every topic was taken over") as u32)
            .collect();
        for row in &mut self.rows {
            row.topic = numbers[row.topic as usize];
        }
        self.topics = all;
    }

    fn put_topics(&mut self) -> io::Result<()> {
        self.header.topics_at = self.position();
        self.header.topics = self.topics.len() as u64;
        let mut end = 0;
        for topic in &self.topics {
            end += topic.as_str().len() as u32;
            self.buffer.extend_from_slice(&end.to_be_bytes());
        }
        for topic in &self.topics {
            self.buffer.extend_from_slice(topic.as_str().as_bytes());
        }
        self.spill(false)
    }

    fn put_rows(&mut self) -> io::Result<()> {
        self.header.rows_at = self.position();
        self.header.rows = self.rows.len() as u64;
        for row in &self.rows {
            self.buffer.extend_from_slice(&row.topic.to_be_bytes());
            self.buffer.extend_from_slice(&row.id.0.to_be_bytes());
            self.buffer.extend_from_slice(&row.first.to_be_bytes());
            self.buffer.extend_from_slice(&row.count.to_be_bytes());
            self.buffer.extend_from_slice(&row.index.to_be_bytes());
        }
        self.spill(false)
    }

    fn put_table(&mut self, table: &QueueTable) -> io::Result<()> {
        self.header.has_table = true;
        self.header.table_rows = table.len() as u64;
        let mut number = 0;
        for ((topic, id), next) in table {
            while self.topics[number] != *topic {
                number += 1;
            }
            self.buffer.extend_from_slice(&(number as u32).to_be_bytes());
            self.buffer.extend_from_slice(&id.0.to_be_bytes());
            self.buffer.extend_from_slice(&next.to_be_bytes());
        }
        self.spill(false)
    }
}

impl Drop for RunWriter<'_> {
    fn drop(&mut self) {
        // Half a run must not take the room that its next try needs; what cannot be removed goes at the next start.
        if !self.is_finished {
            drop(self.disk.remove(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ranges() {
        let check = |name: &str, expected| assert_eq!(range_of(name), expected, "{name}");
        check(&name_of(64, 1 << 30), Some((64, 1 << 30)));
        check(&name_of(64, 64), None);
        check("64-65.run", None);
        check(&(name_of(1, 2) + UNFINISHED), None);
    }
}
