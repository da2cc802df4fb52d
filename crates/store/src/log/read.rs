//! Reading records from the log: every one is checked before it is handed out.

use super::cold::BLOCK;
use super::entry::{self, Flaw, HEADER_LEN, Valid};
use super::segment::{SEGMENT_HEADER_LEN, Segment};
use super::{Log, find};
use crate::stats::add;
use crate::{Entry, ReadError};
use bytes::{Bytes, BytesMut};
use model::{PhysicalOffset, QueueOffset};
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const HEADER: u64 = HEADER_LEN as u64;
/// Bytes between two messages on the disk that are read with them rather than passed over.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// How many messages ahead the processor is asked for what is to be checked: those of a queue lie far apart in the log.
const AHEAD: usize = 2;
/// Damaged places that are told; beyond so many only the counter tells.
const DAMAGES_TOLD_MAX: usize = 1024;

pub(crate) fn io_error(path: &Arc<Path>, error: &io::Error) -> ReadError {
    ReadError::Io { path: Arc::clone(path), error: error.to_string().into() }
}

/// A part of a segment that was read past the system's cache.
#[derive(Default)]
struct ColdPart {
    start: u64,
    bytes: Vec<u8>,
}

impl ColdPart {
    /// The bytes of a range, if it holds them all.
    fn get(&self, range: &Range<u64>) -> Option<&[u8]> {
        let start = range.start.checked_sub(self.start)? as usize;
        self.bytes.get(start..start + (range.end - range.start) as usize)
    }
}

/// Where an entry and its record stand in the log.
fn span_of(entry: &Entry) -> Range<u64> {
    let position = entry.physical.0;
    position.saturating_sub(HEADER)..position.saturating_add(u64::from(entry.size))
}

impl Log {
    /// Appends the records of entries; on an error `out` is as before.
    pub(crate) fn gather(&self, entries: &[Entry], out: &mut BytesMut) -> Result<(), ReadError> {
        let before = out.len();
        out.reserve(entries.iter().map(|entry| entry.size as usize).sum());
        let gathered = self.gather_all(entries, out);
        if gathered.is_err() {
            out.truncate(before);
        }
        gathered
    }

    fn gather_all(&self, entries: &[Entry], out: &mut BytesMut) -> Result<(), ReadError> {
        let segments = self.segments.load();
        let mut is_cold = entries.last().is_some_and(|last| !self.is_hot(last.physical));
        let (mut segment, mut cold) = (None, ColdPart::default());
        for (number, entry) in entries.iter().enumerate() {
            let position = entry.physical.0;
            if !segment.is_some_and(|s: &Arc<Segment>| s.start <= position && position < s.end()) {
                segment = find(&segments, position);
            }
            let Some(segment) = segment else {
                return Err(self.damaged(position, "the file of the log that held the message is missing"));
            };
            if is_cold && cold.get(&span_of(entry)).is_none() {
                let part = self.read_cold(segment, &entries[number..])?;
                is_cold = part.is_some();
                cold = part.unwrap_or_default();
            }
            if let Some(later) = entries.get(number + AHEAD) {
                segment.prefetch(&span_of(later));
            }
            self.gather_one(segment, entry, &cold, out)?;
        }
        Ok(())
    }

    /// The part of a segment that holds the first of these entries and those that follow it closely; `None` if it is to be
    /// read as memory.
    fn read_cold(&self, segment: &Segment, entries: &[Entry]) -> Result<Option<ColdPart>, ReadError> {
        let Some(mut part) = entries.first().map(span_of) else { return Ok(None) };
        for next in entries.iter().map(span_of) {
            if next.start <= part.end + GAP_BYTES_MAX && next.start >= part.start && next.end <= segment.end() {
                part.end = part.end.max(next.end);
            } else {
                break;
            }
        }
        let mut from_disk = 0;
        // Whole blocks are read, so all that is in them must be written.
        let is_final = part.end.saturating_add(BLOCK) <= self.written();
        let bytes = match part.start >= segment.start && part.end <= segment.end() && is_final {
            true => self.cold_blocks.read(&*self.host.disk, segment, &part, &mut from_disk),
            false => Ok(None),
        };
        let bytes = bytes.map_err(|error| io_error(&segment.path, &error))?;
        if bytes.is_none() {
            from_disk = entries.iter().map(|entry| u64::from(entry.size)).sum();
        }
        add(&self.stats.cold_read_bytes, from_disk);
        Ok(bytes.map(|bytes| ColdPart { start: part.start, bytes }))
    }

    fn gather_one(
        &self,
        segment: &Segment,
        entry: &Entry,
        cold: &ColdPart,
        out: &mut BytesMut,
    ) -> Result<(), ReadError> {
        let (position, size) = (entry.physical.0, entry.size as usize);
        if size == 0 || position < segment.start + SEGMENT_HEADER_LEN + HEADER {
            return Err(self.damaged(position, "the message is lost in a damaged part of the log"));
        }
        let at = position - HEADER;
        let bytes = match cold.get(&span_of(entry)) {
            Some(bytes) => Cow::Borrowed(bytes),
            None => segment.read(at, HEADER_LEN + size).map_err(|error| io_error(&segment.path, &error))?,
        };
        if bytes.len() < HEADER_LEN + size {
            return Err(self.damaged(position, "the file ends before the record does"));
        }
        let record = self.checked(&bytes, at)?;
        let (offset, _) = entry::offsets(record);
        if offset != entry.offset {
            return Err(
                self.damaged(position, &format!("the record is message {offset} of its queue, not {}", entry.offset))
            );
        }
        out.extend_from_slice(record);
        Ok(())
    }

    fn checked<'a>(&self, bytes: &'a [u8], at: u64) -> Result<&'a [u8], ReadError> {
        #[cfg(feature = "planted-bugs")]
        if self.has_bug(crate::PlantedBug::ChecksumIgnored) {
            return Ok(&bytes[HEADER_LEN..]);
        }
        entry::check(bytes, at).map_err(|flaw| self.damaged(at + HEADER, &flaw.to_string()))
    }

    /// The checked record at a position, which must be below `limit`.
    pub(crate) fn read_at(&self, position: u64, limit: u64) -> Result<Bytes, ReadError> {
        let segments = self.segments.load();
        let Some(segment) = find(&segments, position) else { return Err(self.no_record(position)) };
        let first = segment.start + SEGMENT_HEADER_LEN + HEADER;
        if position < first || position >= limit {
            return Err(self.no_record(position));
        }
        let at = position - HEADER;
        let read = |len| segment.read(at, len).map_err(|error| io_error(&segment.path, &error));
        let available = segment.end() - position;
        let header = read(HEADER_LEN)?;
        // Positions come from clients (in message ids), so no record there is more likely than a damaged one.
        let Ok((header, false)) = entry::parse_header(&header, available) else { return Err(self.no_record(position)) };
        if position + u64::from(header.len) > limit {
            return Err(self.no_record(position));
        }
        let bytes: Cow<'_, [u8]> = read(HEADER_LEN + header.len as usize)?;
        match entry::examine(&bytes, at, available) {
            Ok(Valid::Record(_, record)) => Ok(Bytes::copy_from_slice(record)),
            Ok(Valid::Padding) | Err(Flaw::Place) => Err(self.no_record(position)),
            Err(flaw) => Err(self.damaged(position, &flaw.to_string())),
        }
    }

    pub(crate) fn damaged(&self, position: u64, reason: &str) -> ReadError {
        if position < self.min() {
            // Retention took it away while it was being read.
            return self.no_record(position);
        }
        add(&self.stats.damaged_reads, 1);
        // Consumers try again and again; the log of the process tells each place once.
        let mut told = self.damages_told.lock();
        if told.len() < DAMAGES_TOLD_MAX && told.insert(position) {
            tracing::error!(position, reason, "the log is damaged; the message there cannot be read");
        }
        ReadError::Damaged { position: PhysicalOffset(position), reason: reason.into() }
    }

    fn no_record(&self, position: u64) -> ReadError {
        ReadError::NoRecord {
            position: PhysicalOffset(position),
            min: PhysicalOffset(self.min()),
            end: PhysicalOffset(self.written()),
        }
    }

    pub(crate) fn is_hot(&self, position: PhysicalOffset) -> bool {
        position.0.saturating_add(self.options.hot_bytes) >= self.written()
    }
}

/// The error for an offset that a queue does not have.
pub(crate) fn no_offset(offset: u64, min: u64, end: u64) -> ReadError {
    ReadError::NoOffset { offset: QueueOffset(offset), min: QueueOffset(min), end: QueueOffset(end) }
}
