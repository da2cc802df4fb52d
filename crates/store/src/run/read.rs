//! Reading a run: every block is checked when it is first touched.

use super::format::{BLOCK_LEN, ENTRY_LEN, HEADER_LEN, Header, KEY_LEN, ROW_LEN, TABLE_ROW_LEN, u32_at, u64_at};
use super::write::{QueueTable, name_of};
use crate::index::{Key, Spot};
use model::{QueueId, Topic};
use rt::{Disk, File, Map};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicBool, AtomicU64};

/// Bytes that a walk through a section reads at once.
const CHUNK_LEN: u64 = 64 * 1024;

/// An immutable piece of the index over a part of the log.
pub(crate) struct Run {
    pub(crate) header: Header,
    pub(crate) path: Arc<Path>,
    file: Arc<dyn File>,
    map: Option<Arc<dyn Map>>,
    crcs: Vec<u32>,
    /// One bit for each block that has been checked.
    checked: Vec<AtomicU64>,
    damaged: AtomicBool,
}

/// A queue's part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) topic: u32,
    pub(crate) id: QueueId,
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// Index of its first entry among all of the run.
    pub(crate) index: u64,
}

impl Row {
    fn decode(bytes: &[u8]) -> Self {
        Self {
            topic: u32_at(bytes, 0),
            id: QueueId(u32_at(bytes, 4)),
            first: u64_at(bytes, 8),
            count: u64_at(bytes, 16),
            index: u64_at(bytes, 24),
        }
    }

    /// The offset behind its last one.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.count
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block of the run has the wrong checksum")
}

impl Run {
    /// Opens a run; `None` if it is damaged.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, from: u64, to: u64) -> io::Result<Option<Arc<Self>>> {
        let path = dir.join(name_of(from, to));
        let file = disk.open(&path)?;
        let mut bytes = vec![0; HEADER_LEN as usize];
        let read = file.read_at(&mut bytes, 0)?;
        let Some(header) = Header::decode(&bytes[..read]) else { return Ok(None) };
        let blocks = header.blocks();
        let len = header.blocks_at + blocks * 4;
        if header.from != from || header.to != to || file.len()? < len {
            return Ok(None);
        }
        let mut bytes = vec![0; blocks as usize * 4];
        if file.read_at(&mut bytes, header.blocks_at)? < bytes.len() || crc32fast::hash(&bytes) != header.blocks_crc {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self {
            header,
            path: path.into(),
            map: file.map(len)?,
            file,
            crcs: bytes.chunks_exact(4).map(|crc| u32_at(crc, 0)).collect(),
            checked: (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            damaged: AtomicBool::new(false),
        })))
    }

    /// Whether a read found it damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(atomic::Ordering::Relaxed)
    }

    /// Checked bytes of the sections.
    fn read(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        if range.end > self.header.blocks_at {
            self.damaged.store(true, atomic::Ordering::Relaxed);
            return Err(damaged());
        }
        if range.is_empty() {
            return Ok(Cow::Borrowed(&[]));
        }
        let first = (range.start - HEADER_LEN) / BLOCK_LEN;
        let last = (range.end - HEADER_LEN).div_ceil(BLOCK_LEN);
        let start = HEADER_LEN + first * BLOCK_LEN;
        let end = (HEADER_LEN + last * BLOCK_LEN).min(self.header.blocks_at);
        let blocks = match &self.map {
            Some(map) => Cow::Borrowed(&map.bytes()[start as usize..end as usize]),
            None => {
                let mut bytes = vec![0; (end - start) as usize];
                let read = self.file.read_at(&mut bytes, start)?;
                bytes.truncate(read);
                Cow::Owned(bytes)
            }
        };
        self.check(first, &blocks, (end - start) as usize)?;
        let inner = (range.start - start) as usize..(range.end - start) as usize;
        Ok(match blocks {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[inner]),
            Cow::Owned(bytes) => Cow::Owned(bytes[inner].to_vec()),
        })
    }

    fn check(&self, first: u64, blocks: &[u8], expected_len: usize) -> io::Result<()> {
        let is_mapped = self.map.is_some();
        let mut is_good = blocks.len() == expected_len;
        for (number, block) in (first as usize..).zip(blocks.chunks(BLOCK_LEN as usize)) {
            let (word, bit) = (&self.checked[number / 64], 1u64 << (number % 64));
            // What is read anew each time is checked each time.
            if is_mapped && word.load(atomic::Ordering::Relaxed) & bit != 0 {
                continue;
            }
            is_good &= crc32fast::hash(block) == self.crcs[number];
            if is_good {
                word.fetch_or(bit, atomic::Ordering::Relaxed);
            }
        }
        if is_good {
            return Ok(());
        }
        self.damaged.store(true, atomic::Ordering::Relaxed);
        Err(damaged())
    }

    /// The name of a topic by its number.
    fn topic_bytes(&self, number: u64) -> io::Result<Cow<'_, [u8]>> {
        let at = self.header.topics_at;
        let start = match number {
            0 => 0,
            _ => u32_at(&self.read(at + (number - 1) * 4..at + number * 4)?, 0),
        };
        let end = u32_at(&self.read(at + number * 4..at + (number + 1) * 4)?, 0);
        let names = at + self.header.topics * 4;
        self.read(names + u64::from(start)..names + u64::from(end.max(start)))
    }

    pub(crate) fn topic(&self, number: u32) -> io::Result<Topic> {
        let bytes = self.topic_bytes(u64::from(number))?;
        std::str::from_utf8(&bytes).map(Topic::from_stored).map_err(|_| damaged())
    }

    fn row_at(&self, index: u64) -> io::Result<Row> {
        let at = self.header.rows_at + index * ROW_LEN;
        Ok(Row::decode(&self.read(at..at + ROW_LEN)?))
    }

    /// The part of a queue, if it has one.
    pub(crate) fn row(&self, topic: &Topic, id: QueueId) -> io::Result<Option<Row>> {
        let name = topic.as_str().as_bytes();
        let number = search(self.header.topics, |number| Ok(self.topic_bytes(number)?.as_ref().cmp(name)))?;
        let Some(number) = number else { return Ok(None) };
        let key = (number as u32, id);
        let row = search(self.header.rows, |index| {
            let row = self.row_at(index)?;
            Ok((row.topic, row.id).cmp(&key))
        })?;
        row.map(|index| self.row_at(index)).transpose()
    }

    /// All parts of queues, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = io::Result<Row>> {
        let at = self.header.rows_at;
        self.walk(at..at + self.header.rows * ROW_LEN, ROW_LEN, Row::decode)
    }

    /// Entries by their index among all of the run.
    pub(crate) fn entries(&self, range: Range<u64>) -> impl Iterator<Item = io::Result<Spot>> {
        let (start, end) = (HEADER_LEN + range.start * ENTRY_LEN, HEADER_LEN + range.end * ENTRY_LEN);
        self.walk(start..end, ENTRY_LEN, |bytes| Spot {
            physical: u64_at(bytes, 0),
            size: u32_at(bytes, 8),
            tag_hash: u32_at(bytes, 12) as i32,
            store_timestamp: u64_at(bytes, 16) as i64,
        })
    }

    fn decode_key(bytes: &[u8]) -> Key {
        Key { hash: u64_at(bytes, 0), physical: u64_at(bytes, 8) }
    }

    /// Keys by their index.
    pub(crate) fn keys(&self, range: Range<u64>) -> impl Iterator<Item = io::Result<Key>> {
        let at = self.header.keys_at;
        self.walk(at + range.start * KEY_LEN..at + range.end * KEY_LEN, KEY_LEN, Self::decode_key)
    }

    /// The positions under a key's hash, in order.
    pub(crate) fn positions_of(&self, hash: u64) -> io::Result<Vec<u64>> {
        let at = self.header.keys_at;
        let (mut start, mut end) = (0, self.header.keys);
        while start < end {
            let middle = start + (end - start) / 2;
            let key = Self::decode_key(&self.read(at + middle * KEY_LEN..at + (middle + 1) * KEY_LEN)?);
            if key.hash < hash { start = middle + 1 } else { end = middle }
        }
        let same = |key: &io::Result<Key>| key.as_ref().map_or(true, |key| key.hash == hash);
        self.keys(start..self.header.keys).take_while(same).map(|key| key.map(|key| key.physical)).collect()
    }

    /// Sets the next offsets that its table tells; whether it has one.
    pub(crate) fn read_table(&self, table: &mut QueueTable) -> io::Result<bool> {
        let at = self.header.table_at;
        let rows = self.walk(at..at + self.header.table_rows * TABLE_ROW_LEN, TABLE_ROW_LEN, |bytes| {
            (u32_at(bytes, 0), QueueId(u32_at(bytes, 4)), u64_at(bytes, 8))
        });
        let mut topics = TopicNames::new(self);
        for row in rows {
            let (topic, id, next) = row?;
            table.insert((topics.get(topic)?, id), next);
        }
        Ok(self.header.has_table)
    }

    /// Sets the next offsets that its rows tell.
    pub(crate) fn read_ends(&self, table: &mut QueueTable) -> io::Result<()> {
        let mut topics = TopicNames::new(self);
        for row in self.rows() {
            let row = row?;
            table.insert((topics.get(row.topic)?, row.id), row.end());
        }
        Ok(())
    }

    /// Fixed-length items of a part of the file, read in pieces.
    fn walk<T>(
        &self,
        range: Range<u64>,
        item_len: u64,
        decode: impl Fn(&[u8]) -> T,
    ) -> impl Iterator<Item = io::Result<T>> {
        let mut at = range.start;
        let mut chunk: Cow<'_, [u8]> = Cow::Borrowed(&[]);
        let mut used = 0;
        std::iter::from_fn(move || {
            if used == chunk.len() {
                if at >= range.end {
                    return None;
                }
                let end = range.end.min(at + CHUNK_LEN / item_len * item_len);
                match self.read(at..end) {
                    Ok(bytes) => (chunk, used) = (bytes, 0),
                    Err(error) => {
                        at = range.end;
                        return Some(Err(error));
                    }
                }
                at = end;
            }
            let item = decode(&chunk[used..used + item_len as usize]);
            used += item_len as usize;
            Some(Ok(item))
        })
    }
}

/// Topics by number, each name made once as long as they come in order.
pub(crate) struct TopicNames<'a> {
    run: &'a Run,
    last: Option<(u32, Topic)>,
}

impl<'a> TopicNames<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self { run, last: None }
    }

    pub(crate) fn get(&mut self, number: u32) -> io::Result<Topic> {
        match &self.last {
            Some((last, topic)) if *last == number => Ok(topic.clone()),
            _ => {
                let topic = self.run.topic(number)?;
                self.last = Some((number, topic.clone()));
                Ok(topic)
            }
        }
    }
}

/// The item among `count` sorted ones that compares equal.
fn search(count: u64, mut compare: impl FnMut(u64) -> io::Result<Ordering>) -> io::Result<Option<u64>> {
    let (mut start, mut end) = (0, count);
    while start < end {
        let middle = start + (end - start) / 2;
        match compare(middle)? {
            Ordering::Equal => return Ok(Some(middle)),
            Ordering::Less => start = middle + 1,
            Ordering::Greater => end = middle,
        }
    }
    Ok(None)
}
