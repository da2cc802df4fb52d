//! Reading records from the log: every one is checked before it is handed out.

use super::entry::{self, Flaw, HEADER_LEN, Valid};
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
/// Times its messages' bytes that a part of the log may have to be read from the disk as a whole.
const SPARSE_MAX: u64 = 4;
/// Damaged places that are told; beyond so many only the counter tells.
const DAMAGES_TOLD_MAX: usize = 1024;

pub(crate) fn io_error(path: &Arc<Path>, error: &io::Error) -> ReadError {
    ReadError::Io { path: Arc::clone(path), error: error.to_string().into() }
}

impl Log {
    /// Appends the records of entries; on an error `out` is as before.
    pub(crate) fn gather(&self, entries: &[Entry], out: &mut BytesMut) -> Result<(), ReadError> {
        let before = out.len();
        out.reserve(entries.iter().map(|entry| entry.size as usize).sum());
        let segments = self.segments.load();
        let cold = self.cold_span(entries);
        if let Some(span) = &cold {
            segments.iter().for_each(|segment| segment.prefetch(span));
        }
        let mut segment = None;
        for entry in entries {
            let position = entry.physical.0;
            if !segment.is_some_and(|s: &Arc<super::Segment>| s.start <= position && position < s.end()) {
                segment = find(&segments, position);
            }
            let gathered = match segment {
                Some(segment) => self.gather_one(segment, entry, out),
                None => Err(self.damaged(position, "the file of the log that held the message is missing")),
            };
            if let Err(error) = gathered {
                out.truncate(before);
                return Err(error);
            }
        }
        if let Some(span) = cold {
            // What one consumer catches up with must not push the end of the log out of memory.
            segments.iter().for_each(|segment| segment.release(span.clone()));
        }
        Ok(())
    }

    /// The part of the log that entries from the disk lie in, if it holds little else.
    fn cold_span(&self, entries: &[Entry]) -> Option<Range<u64>> {
        let (first, last) = (entries.first()?, entries.last()?);
        let span = first.physical.0.checked_sub(HEADER)?..last.physical.0 + u64::from(last.size);
        let bytes: u64 = entries.iter().map(|entry| u64::from(entry.size) + HEADER).sum();
        let is_dense = span.end.saturating_sub(span.start) <= bytes * SPARSE_MAX;
        (!self.is_hot(last.physical) && is_dense).then_some(span)
    }

    fn gather_one(&self, segment: &super::Segment, entry: &Entry, out: &mut BytesMut) -> Result<(), ReadError> {
        let (position, size) = (entry.physical.0, entry.size as usize);
        if size == 0 || position < segment.start + super::segment::SEGMENT_HEADER_LEN + HEADER {
            return Err(self.damaged(position, "the message is lost in a damaged part of the log"));
        }
        let at = position - HEADER;
        let bytes = segment.read(at, HEADER_LEN + size).map_err(|error| io_error(&segment.path, &error))?;
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
        let first = segment.start + super::segment::SEGMENT_HEADER_LEN + HEADER;
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
