//! What stands before each record in a segment. Big endian:
//!
//! ```text
//!   0  crc 4         CRC-32 of bytes 4..24 and of the record without its body
//!   4  length 4      bytes that follow: the record, or the rest of the segment
//!   8  epoch 4
//!  12  remaining 2   records of the same atomic batch that still follow; 0 = last or only one
//!  14  version 1     1
//!  15  kind 1        1 record, 2 padding up to the end of the segment
//!  16  synced 8      position up to which the log was known to be on disk when this was written
//! ```
//!
//! The body is covered by the record's own body CRC, which is among the covered bytes, so it is checksummed once.

use model::record::{self, Record};
use model::{PhysicalOffset, QueueOffset};

/// Bytes before a record.
pub(crate) const HEADER_LEN: usize = 24;
const VERSION: u8 = 1;
const RECORD: u8 = 1;
const PADDING: u8 = 2;

/// What a valid entry says beside its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes that follow.
    pub(crate) len: u32,
    pub(crate) epoch: u32,
    pub(crate) remaining: u16,
    pub(crate) synced: u64,
}

/// Why bytes are not a valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("nothing was written there")]
    Empty,
    #[error("version {version} and kind {kind} are not an entry's")]
    Kind { version: u8, kind: u8 },
    #[error("a length of {len} bytes does not fit")]
    Length { len: u32 },
    #[error("the checksum is wrong")]
    Checksum,
    #[error("the body's checksum is wrong")]
    BodyChecksum,
    #[error("the record cannot be read")]
    Record,
    #[error("the record belongs to another place")]
    Place,
}

/// A valid entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Valid<'a> {
    /// A message; the bytes are its record.
    Record(Header, &'a [u8]),
    /// Nothing more up to the end of the segment.
    Padding,
}

impl Header {
    /// The 24 bytes, the checksum still zero.
    fn encode(self, kind: u8) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[4..8].copy_from_slice(&self.len.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[12..14].copy_from_slice(&self.remaining.to_be_bytes());
        bytes[14..16].copy_from_slice(&[VERSION, kind]);
        bytes[16..24].copy_from_slice(&self.synced.to_be_bytes());
        bytes
    }
}

/// Appends a message's entry, but for what only the writer knows: see [`finish_record`].
pub(crate) fn put_draft(out: &mut Vec<u8>, draft: &record::Draft<'_>) {
    out.extend_from_slice(&[0; HEADER_LEN]);
    draft.encode(record::Place::default(), out);
}

/// Gives an entry of [`put_draft`] its header, place and checksum.
pub(crate) fn finish_record(entry: &mut [u8], header: Header, place: record::Place) {
    entry[..HEADER_LEN].copy_from_slice(&header.encode(RECORD));
    record::set_place(&mut entry[HEADER_LEN..], place);
    let crc = checksum(entry).expect("an encoded record has a body");
    entry[..4].copy_from_slice(&crc.to_be_bytes());
}

/// The header that says that nothing follows in the segment.
pub(crate) fn padding(header: Header) -> [u8; HEADER_LEN] {
    let mut bytes = header.encode(PADDING);
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The checksum over a whole entry without the record's body; `None` if there is no record.
fn checksum(entry: &[u8]) -> Option<u32> {
    let body = record::body_range(&entry[HEADER_LEN..])?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&entry[4..HEADER_LEN + body.start]);
    hasher.update(&entry[HEADER_LEN + body.end..]);
    Some(hasher.finalize())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// What the 24 bytes say, if they look like a header with at most `available` bytes after it.
pub(crate) fn parse_header(bytes: &[u8], available: u64) -> Result<(Header, bool), Flaw> {
    let bytes = bytes.get(..HEADER_LEN).ok_or(Flaw::Length { len: 0 })?;
    let [version, kind] = array(bytes, 14);
    if version != VERSION || (kind != RECORD && kind != PADDING) {
        let is_empty = bytes.iter().all(|byte| *byte == 0);
        return Err(if is_empty { Flaw::Empty } else { Flaw::Kind { version, kind } });
    }
    let header = Header {
        len: u32::from_be_bytes(array(bytes, 4)),
        epoch: u32::from_be_bytes(array(bytes, 8)),
        remaining: u16::from_be_bytes(array(bytes, 12)),
        synced: u64::from_be_bytes(array(bytes, 16)),
    };
    let fits = match kind {
        PADDING => u64::from(header.len) == available,
        _ => u64::from(header.len) <= available && header.len as usize >= record::LEN_MIN,
    };
    if fits { Ok((header, kind == PADDING)) } else { Err(Flaw::Length { len: header.len }) }
}

/// Checks the entry at the start of `bytes`, which reach to the end of the segment or at least of the entry.
/// `position` is the entry's, `available` the bytes from behind its header to the end of the segment.
pub(crate) fn examine(bytes: &[u8], position: u64, available: u64) -> Result<Valid<'_>, Flaw> {
    let (header, is_padding) = parse_header(bytes, available)?;
    if is_padding {
        return match crc32fast::hash(&bytes[4..HEADER_LEN]) == u32::from_be_bytes(array(bytes, 0)) {
            true => Ok(Valid::Padding),
            false => Err(Flaw::Checksum),
        };
    }
    let entry = bytes.get(..HEADER_LEN + header.len as usize).ok_or(Flaw::Length { len: header.len })?;
    let record = check(entry, position)?;
    Record::parse(record).map_err(|_| Flaw::Record)?;
    Ok(Valid::Record(header, record))
}

/// Checks the whole entry of a record that is expected at `position`; gives the record. This is what every read costs.
pub(crate) fn check(entry: &[u8], position: u64) -> Result<&[u8], Flaw> {
    let record = &entry[HEADER_LEN..];
    let [version, kind] = array(entry, 14);
    if version != VERSION || kind != RECORD {
        return Err(Flaw::Kind { version, kind });
    }
    let len = u32::from_be_bytes(array(entry, 4));
    if len as usize != record.len() || record::announced_len(record) != Some(record.len()) {
        return Err(Flaw::Length { len });
    }
    let body = record::body_range(record).ok_or(Flaw::Record)?;
    if checksum(entry) != Some(u32::from_be_bytes(array(entry, 0))) {
        return Err(Flaw::Checksum);
    }
    if record::body_crc(&record[body]) != u32::from_be_bytes(array(record, 8)) {
        return Err(Flaw::BodyChecksum);
    }
    match record::offsets(record) {
        Some((_, physical)) if physical.0 == position + HEADER_LEN as u64 => Ok(record),
        _ => Err(Flaw::Place),
    }
}

/// The two offsets of a checked record.
pub(crate) fn offsets(record: &[u8]) -> (QueueOffset, PhysicalOffset) {
    record::offsets(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::draft;

    fn entry(position: u64) -> Vec<u8> {
        let place = record::Place {
            queue_offset: QueueOffset(3),
            physical_offset: PhysicalOffset(position + HEADER_LEN as u64),
            store_timestamp: 9,
        };
        let draft = draft("t", 1, b"body", "TAGS\u{1}a\u{2}");
        let header = Header { len: draft.encoded_len() as u32, epoch: 7, remaining: 2, synced: 64 };
        let mut out = Vec::new();
        put_draft(&mut out, &draft);
        finish_record(&mut out, header, place);
        out
    }

    #[test]
    fn an_entry_reads_back() {
        let bytes = entry(100);
        let Ok(Valid::Record(header, record)) = examine(&bytes, 100, 1000) else { panic!("not valid") };
        assert_eq!((header.epoch, header.remaining, header.synced), (7, 2, 64));
        assert_eq!(offsets(record), (QueueOffset(3), PhysicalOffset(124)));
    }

    #[test]
    fn any_changed_byte_is_seen() {
        let bytes = entry(100);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(examine(&changed, 100, 1000).is_err(), "bit {bit} of byte {at}");
                assert!(check(&changed, 100).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_moved_entry_is_seen() {
        assert_eq!(examine(&entry(100), 101, 1000).map(|_| ()), Err(Flaw::Place));
        assert_eq!(examine(&[0; 64], 0, 40).map(|_| ()), Err(Flaw::Empty));
    }

    #[test]
    fn padding_reaches_the_end_of_its_segment() {
        let out = padding(Header { len: 50, epoch: 1, remaining: 0, synced: 5 });
        assert!(matches!(examine(&out, 0, 50), Ok(Valid::Padding)));
        assert_eq!(examine(&out, 0, 51).map(|_| ()), Err(Flaw::Length { len: 50 }));
    }
}
