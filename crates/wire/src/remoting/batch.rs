//! The body of `SEND_BATCH_MESSAGE`: messages of one topic, one after the other.
//!
//! ```text
//! total 4 · magic 4 (0) · crc 4 (0) · flag 4 · body length 4 · body · properties length 2 · properties
//! ```
//! Big endian; `total` counts itself.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Bytes of an entry beside its body and properties.
pub const ENTRY_FIXED_BYTES: usize = 22;
/// Most bytes of a property text: its length has 16 signed bits.
pub const PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Free for the application.
    pub flag: i32,
    /// The message.
    pub body: &'a [u8],
    /// Property text.
    pub properties: &'a str,
}

/// Why a batch cannot be read; nothing of it is to be stored.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum BatchError {
    /// No entry.
    #[error("batch is empty")]
    Empty,
    /// More entries than allowed.
    #[error("batch has more than {limit} messages; send smaller batches")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The batch ends inside an entry.
    #[error("message {index} of the batch is cut at byte {at}")]
    Truncated {
        /// Which entry, from 0.
        index: usize,
        /// Where the batch ends.
        at: usize,
    },
    /// A length that contradicts the entry's total.
    #[error("message {index} of the batch: {what} length {length} does not fit into its {total} bytes")]
    BadLength {
        /// Which entry, from 0.
        index: usize,
        /// Whose length.
        what: &'static str,
        /// As sent.
        length: i64,
        /// Total of the entry as sent.
        total: i64,
    },
    /// The property text is not UTF-8.
    #[error("message {index} of the batch: properties are not UTF-8")]
    NotUtf8 {
        /// Which entry, from 0.
        index: usize,
    },
}

/// Reads all entries, at most `entries_max`.
///
/// # Errors
/// [`BatchError`] on the first fault; then no entry is given.
pub fn decode(batch: &[u8], entries_max: usize) -> Result<Vec<Entry<'_>>, BatchError> {
    let mut entries = Vec::new();
    let mut rest = batch;
    while !rest.is_empty() {
        let index = entries.len();
        if index == entries_max {
            return Err(BatchError::TooMany { limit: entries_max });
        }
        let (entry, after) = decode_one(rest, index, batch.len())?;
        entries.push(entry);
        rest = after;
    }
    if entries.is_empty() { Err(BatchError::Empty) } else { Ok(entries) }
}

fn decode_one(rest: &[u8], index: usize, batch_bytes: usize) -> Result<(Entry<'_>, &[u8]), BatchError> {
    let truncated = BatchError::Truncated { index, at: batch_bytes };
    let word = |at: usize| {
        let chunk = rest.get(at..).and_then(|r| r.first_chunk::<4>());
        chunk.map(|c| i32::from_be_bytes(*c)).ok_or(truncated)
    };
    let total = i64::from(word(0)?);
    let bad = |what, length| BatchError::BadLength { index, what, length, total };
    let total_bytes = usize::try_from(total).ok().filter(|t| *t >= ENTRY_FIXED_BYTES);
    let total_bytes = total_bytes.ok_or(bad("total", total))?;
    let entry = rest.get(..total_bytes).ok_or(truncated)?;
    let flag = word(12)?;
    let body_length = i64::from(word(16)?);
    let body_bytes = usize::try_from(body_length).ok().filter(|b| *b <= total_bytes - ENTRY_FIXED_BYTES);
    let body_end = 20 + body_bytes.ok_or(bad("body", body_length))?;
    let properties_length = u16::from_be_bytes([entry[body_end], entry[body_end + 1]]);
    let properties = &entry[body_end + 2..];
    if properties.len() != usize::from(properties_length) || properties.len() > PROPERTIES_BYTES_MAX {
        return Err(bad("properties", properties_length.into()));
    }
    let properties = std::str::from_utf8(properties).map_err(|_| BatchError::NotUtf8 { index })?;
    Ok((Entry { flag, body: &entry[20..body_end], properties }, &rest[total_bytes..]))
}

/// Appends one entry.
///
/// # Panics
/// When the properties exceed [`PROPERTIES_BYTES_MAX`] or the body 2 GiB; producers check their limits first.
pub fn encode(entry: &Entry<'_>, out: &mut BytesMut) {
    assert!(entry.properties.len() <= PROPERTIES_BYTES_MAX, "properties of {} bytes", entry.properties.len());
    let total = ENTRY_FIXED_BYTES + entry.body.len() + entry.properties.len();
    out.reserve(total);
    out.put_i32(i32::try_from(total).expect("a message is below 2 GiB"));
    out.put_i32(0);
    out.put_i32(0);
    out.put_i32(entry.flag);
    out.put_u32(entry.body.len() as u32);
    out.put_slice(entry.body);
    out.put_u16(entry.properties.len() as u16);
    out.put_slice(entry.properties.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(body: &[u8], properties: &str) -> BytesMut {
        let mut out = BytesMut::new();
        encode(&Entry { flag: 7, body, properties }, &mut out);
        out
    }

    #[test]
    fn bytes_are_as_documented() {
        let bytes = one(b"hi", "TAGS\u{1}a\u{2}");
        assert_eq!(&bytes[..], b"\0\0\0\x1f\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\x02hi\0\x07TAGS\x01a\x02");
    }

    fn check(batch: &[u8], expected: Result<usize, BatchError>) {
        assert_eq!(decode(batch, 3).map(|e| e.len()), expected, "{batch:?}");
    }

    #[test]
    fn faults_are_named() {
        let good = one(b"hi", "p");
        check(&[], Err(BatchError::Empty));
        check(&good.repeat(3), Ok(3));
        check(&good.repeat(4), Err(BatchError::TooMany { limit: 3 }));
        check(&good[..20], Err(BatchError::Truncated { index: 0, at: 20 }));
        check(&[good.repeat(2), vec![0]].concat(), Err(BatchError::Truncated { index: 2, at: 51 }));
        let with = |at: usize, byte: u8| {
            let mut bad = good.to_vec();
            bad[at] = byte;
            bad
        };
        let bad = |what, length, total| Err(BatchError::BadLength { index: 0, what, length, total });
        check(&with(3, 21), bad("total", 21, 21));
        check(&with(0, 0xFF), bad("total", -16_777_191, -16_777_191));
        check(&with(19, 4), bad("body", 4, 25));
        check(&with(23, 2), bad("properties", 2, 25));
        check(&with(24, 0xFF), Err(BatchError::NotUtf8 { index: 0 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::vec((any::<i32>(), prop::collection::vec(any::<u8>(), 0..50), ".{0,20}"), 1..10),
        ) {
            let entries: Vec<Entry<'_>> =
                entries.iter().map(|(flag, body, properties)| Entry { flag: *flag, body, properties }).collect();
            let mut out = BytesMut::new();
            entries.iter().for_each(|entry| encode(entry, &mut out));
            prop_assert_eq!(decode(&out, 10), Ok(entries));
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..100), at in 0usize..30, byte: u8) {
            drop(decode(&noise, 10));
            let mut damaged = one(b"body", "props");
            damaged[at] = byte;
            drop(decode(&damaged, 10));
        }
    }
}
