//! Reading the log entry by entry, and the rule that tells a torn end from damage.
//!
//! An entry says how far the log was on disk when it was written. So if bytes at `p` are not an entry and any later
//! entry says that more than `p` was on disk, `p` was good once: the log is damaged there and goes on behind it. If none
//! does, `p` is where the machine stopped while writing.

use crate::Damage;
use crate::log::entry::{self, Flaw, HEADER_LEN, Header, Valid};
use crate::log::find;
use crate::log::segment::{SEGMENT_HEADER_LEN, Segment};
use model::PhysicalOffset;
use model::record::Record;
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes searched at once for the next entry.
const SEARCH_LEN: u64 = 1024 * 1024;
const HEADER: u64 = HEADER_LEN as u64;
/// Bytes compared with zeros at once: most of what lies behind the end of the log is nothing else.
const BLOCK_LEN: usize = 4096;
const ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK_LEN).all(|block| *block == ZEROS[..block.len()])
}

/// Takes what is found, in order.
pub(crate) trait Visit {
    /// The next record. It counts only when its batch does.
    fn record(&mut self, record: &Record<'_>);
    /// All records so far count; the log is read up to `position`.
    fn commit(&mut self, position: u64) -> io::Result<()>;
    /// The records since the last commit do not count.
    fn take_back(&mut self);
    /// A damaged place.
    fn damage(&mut self, damage: Damage);
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// End of the last whole batch.
    pub(crate) end: u64,
    /// Why it did not go on, unless it came to the end of its range.
    pub(crate) flaw: Option<Flaw>,
    /// Whether records of an unfinished batch were left out.
    pub(crate) is_batch_torn: bool,
}

enum Item<'a> {
    Record(Header, Cow<'a, [u8]>),
    /// Go on there.
    Next(u64),
    Flaw(Flaw),
    /// No file holds the position, nor any later one.
    End,
}

/// The log as recovery sees it.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    pub(crate) segments: &'a [Arc<Segment>],
    /// Below this position all was on disk once, whatever entries say.
    pub(crate) durable: u64,
}

impl<'a> Walk<'a> {
    /// Visits what lies in a part of the log that begins with an entry.
    pub(crate) fn run(self, part: Range<u64>, visit: &mut dyn Visit) -> io::Result<Walked> {
        let (mut at, mut end, mut is_batch_open) = (part.start, part.start, false);
        let flaw = loop {
            if at >= part.end {
                break None;
            }
            match self.item(at)? {
                Item::Next(next) => {
                    if !is_batch_open {
                        end = next;
                        visit.commit(next.min(part.end))?;
                    }
                    at = next;
                }
                Item::Record(header, bytes) => {
                    let next = at + HEADER + u64::from(header.len);
                    if next > part.end {
                        break None;
                    }
                    if let Ok(record) = Record::parse(&bytes) {
                        visit.record(&record);
                    }
                    is_batch_open = header.remaining > 0;
                    at = next;
                    if !is_batch_open {
                        end = next;
                        visit.commit(next)?;
                    }
                }
                Item::End => break None,
                Item::Flaw(flaw) => match self.behind(at, part.end)? {
                    Some(next) => {
                        let (position, until) = (PhysicalOffset(at), PhysicalOffset(next));
                        visit.damage(Damage { position, until, reason: flaw.to_string() });
                        // What the batch has outside the damage was on disk and may have been acknowledged.
                        (at, end, is_batch_open) = (next, next, false);
                        visit.commit(next)?;
                    }
                    None => break Some(flaw),
                },
            }
        };
        if is_batch_open {
            visit.take_back();
        }
        Ok(Walked { end, flaw, is_batch_torn: is_batch_open })
    }

    /// Whether an entry behind `position` tells that more than that was on disk once.
    pub(crate) fn was_durable(self, position: u64) -> io::Result<bool> {
        Ok(self.behind(position, u64::MAX)?.is_some())
    }

    fn item(self, at: u64) -> io::Result<Item<'a>> {
        let Some(segment) = find(self.segments, at) else {
            let later = self.segments.iter().find(|segment| segment.start > at);
            return Ok(later.map_or(Item::End, |segment| Item::Next(segment.start)));
        };
        let first = segment.start + SEGMENT_HEADER_LEN;
        if at < first {
            return Ok(Item::Next(first));
        }
        let Some(available) = (segment.end() - at).checked_sub(HEADER) else { return Ok(Item::Next(segment.end())) };
        let header = segment.read(at, HEADER_LEN)?;
        let len = match entry::parse_header(&header, available) {
            Ok((_, true)) => 0,
            Ok((header, false)) => header.len as usize,
            Err(flaw) => return Ok(Item::Flaw(flaw)),
        };
        let bytes = segment.read(at, HEADER_LEN + len)?;
        Ok(match entry::examine(&bytes, at, available) {
            Ok(Valid::Padding) => Item::Next(segment.end()),
            Ok(Valid::Record(header, _)) => Item::Record(
                header,
                match bytes {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[HEADER_LEN..]),
                    Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(HEADER_LEN)),
                },
            ),
            Err(flaw) => Item::Flaw(flaw),
        })
    }

    /// Where the log goes on behind a damaged place; `None` if the place is its torn end.
    fn behind(self, damaged: u64, part_end: u64) -> io::Result<Option<u64>> {
        let mut first = None;
        let mut at = self.next_valid(damaged + 1, part_end)?;
        while let Some(found) = at {
            first = first.or(at);
            if damaged < self.durable {
                break;
            }
            let next = match self.item(found)? {
                Item::Record(header, _) if header.synced > damaged => return Ok(first),
                Item::Record(header, _) => Some(found + HEADER + u64::from(header.len)),
                Item::Next(next) if next < part_end => Some(next),
                Item::Next(_) | Item::End => None,
                Item::Flaw(_) => self.next_valid(found + 1, part_end)?,
            };
            at = next;
        }
        Ok(if damaged < self.durable { first.or(Some(part_end)) } else { None })
    }

    /// The first position from `from` on where a valid entry of a record begins.
    fn next_valid(self, from: u64, end: u64) -> io::Result<Option<u64>> {
        for segment in self.segments.iter().filter(|segment| from < segment.end() && segment.start < end) {
            let first = from.max(segment.start + SEGMENT_HEADER_LEN);
            for data in segment.data_ranges(first)? {
                // A header may begin up to its own length before the first byte that is not zero.
                let start = first.max(data.start.saturating_sub(HEADER));
                if let Some(found) = self.next_valid_within(segment, start..data.end.min(end))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn next_valid_within(self, segment: &Segment, part: Range<u64>) -> io::Result<Option<u64>> {
        let mut at = part.start;
        while at < part.end {
            let len = SEARCH_LEN.min(part.end - at);
            // No entry begins so near to the end of its segment that its header does not fit.
            let window = segment.read(at, (len + HEADER) as usize)?;
            for candidate in candidates(&window).take_while(|candidate| (*candidate as u64) < len) {
                if matches!(self.item(at + candidate as u64)?, Item::Record(..)) {
                    return Ok(Some(at + candidate as u64));
                }
            }
            at += len;
        }
        Ok(None)
    }
}

/// Where in the bytes the header of a record could begin.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> {
    /// Where version and kind stand in a header.
    const MARK_AT: usize = 14;
    let blocks = (0..bytes.len()).step_by(BLOCK_LEN).map(|from| from..bytes.len().min(from + BLOCK_LEN));
    let marks = blocks.filter(|block| !is_zero(&bytes[block.clone()])).flatten();
    marks.filter(|at| bytes[*at..].starts_with(&[1, 1])).filter_map(|at| at.checked_sub(MARK_AT))
}

/// Writes what a file holds from a position on once more.
///
/// After a failed sync the system may take bytes in memory for saved that never reached the disk, and a later sync
/// would pass over them. Whoever reads them after a restart must not build on them before they are written anew.
pub(crate) fn write_again(segment: &Segment, from: u64) -> io::Result<()> {
    for data in segment.data_ranges(from)? {
        let mut at = data.start.max(from);
        while at < data.end {
            let bytes = segment.read(at, SEARCH_LEN.min(data.end - at) as usize)?.into_owned();
            if !is_zero(&bytes) {
                segment.file.write_at(&bytes, at - segment.start)?;
            }
            at += (bytes.len() as u64).max(1);
        }
    }
    Ok(())
}

/// Makes the rest of the active segment behind the end of the log read as zeros, so that left-overs can never be taken
/// for successors of what will be written. Whether there were any.
pub(crate) fn clear_behind(segment: &Segment, end: u64) -> io::Result<bool> {
    let mut found = false;
    for data in segment.data_ranges(end)? {
        let mut at = data.start.max(end);
        while at < data.end {
            let bytes = segment.read(at, SEARCH_LEN.min(data.end - at) as usize)?.into_owned();
            if !is_zero(&bytes) {
                found = true;
                segment.file.write_at(&vec![0; bytes.len()], at - segment.start)?;
            }
            at += (bytes.len() as u64).max(1);
        }
    }
    if found {
        segment.file.sync()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_looked_for_wherever_they_may_begin() {
        let check = |marks: &[usize], expected: &[usize]| {
            let mut bytes = vec![0; 3 * BLOCK_LEN + 100];
            marks.iter().for_each(|at| bytes[*at..*at + 2].fill(1));
            assert_eq!(candidates(&bytes).collect::<Vec<_>>(), expected, "{marks:?}");
        };
        check(&[], &[]);
        check(&[13], &[]);
        check(&[14], &[0]);
        check(&[BLOCK_LEN - 1], &[BLOCK_LEN - 15]);
        check(&[BLOCK_LEN], &[BLOCK_LEN - 14]);
        check(&[20, 3 * BLOCK_LEN + 98], &[6, 3 * BLOCK_LEN + 84]);
    }
}
