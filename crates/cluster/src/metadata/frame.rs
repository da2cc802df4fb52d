//! The bytes of journal and snapshot. Both are a head and frames; all integers are big endian.
//!
//! ```text
//! head   magic "TREFMETA" 8 · format 4 · kind 4 (1 journal, 2 snapshot) · base version 8 · zeros 4 · crc 4
//! frame  magic "TMFR" 4 · payload bytes 4 · first version 8 · time 8 (ms since the epoch) · changes 4 · crc 4 · payload
//! ```
//!
//! A checksum (CRC-32, IEEE) covers what stands before it; that of a frame also the payload. The payload is one change a
//! line, as JSON. A frame is what was written and synced together, so it is there as a whole or it was never
//! acknowledged.

use std::io;

pub(super) const HEAD_LEN: usize = 32;
pub(super) const FRAME_HEAD_LEN: usize = 32;
/// Greatest payload. A group of changes is kept far below; a single change may not exceed a quarter of it.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 << 20;
const FORMAT: u32 = 1;
const HEAD_MAGIC: &[u8; 8] = b"TREFMETA";
pub(super) const FRAME_MAGIC: &[u8; 4] = b"TMFR";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Journal = 1,
    Snapshot = 2,
}

/// The first bytes of a file whose changes come after `base`.
pub(super) fn head(kind: Kind, base: u64) -> [u8; HEAD_LEN] {
    let mut head = [0; HEAD_LEN];
    head[..8].copy_from_slice(HEAD_MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_be_bytes());
    head[12..16].copy_from_slice(&(kind as u32).to_be_bytes());
    head[16..24].copy_from_slice(&base.to_be_bytes());
    let crc = crc32fast::hash(&head[..28]);
    head[28..].copy_from_slice(&crc.to_be_bytes());
    head
}

/// The base version in a head, or what is wrong with it.
pub(super) fn parse_head(head: &[u8; HEAD_LEN], kind: Kind) -> Result<u64, String> {
    if &head[..8] != HEAD_MAGIC {
        return Err("it does not begin with the mark of a metadata file".to_owned());
    }
    let format = word(head, 8);
    if crc32fast::hash(&head[..28]) != word(head, 28) {
        return Err("the checksum of its head is wrong".to_owned());
    }
    if format != FORMAT {
        return Err(format!("its format is {format}, this program reads {FORMAT}"));
    }
    if word(head, 12) != kind as u32 {
        return Err(format!("it is of kind {}, expected {}", word(head, 12), kind as u32));
    }
    Ok(long(head, 16))
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first_version: u64,
    pub(super) timestamp: i64,
    pub(super) changes: u32,
    pub(super) payload_len: usize,
    crc: u32,
    head_crc: u32,
}

/// Collects changes for one frame.
pub(super) struct FrameBuilder {
    bytes: Vec<u8>,
    changes: u32,
}

impl FrameBuilder {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEAD_LEN], changes: 0 }
    }

    pub(super) fn changes(&self) -> u32 {
        self.changes
    }

    pub(super) fn payload_len(&self) -> usize {
        self.bytes.len() - FRAME_HEAD_LEN
    }

    /// Adds an encoded change.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.changes += 1;
    }

    pub(super) fn finish(mut self, first_version: u64, timestamp: i64) -> Vec<u8> {
        let payload_len = self.payload_len();
        assert!(payload_len <= PAYLOAD_BYTES_MAX, "groups of changes are bounded before they are encoded");
        self.bytes[..4].copy_from_slice(FRAME_MAGIC);
        self.bytes[4..8].copy_from_slice(&(payload_len as u32).to_be_bytes());
        self.bytes[8..16].copy_from_slice(&first_version.to_be_bytes());
        self.bytes[16..24].copy_from_slice(&timestamp.to_be_bytes());
        self.bytes[24..28].copy_from_slice(&self.changes.to_be_bytes());
        let crc = checksum(crc32fast::hash(&self.bytes[..28]), &self.bytes[FRAME_HEAD_LEN..]);
        self.bytes[28..32].copy_from_slice(&crc.to_be_bytes());
        self.bytes
    }
}

fn checksum(head_crc: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(head_crc);
    hasher.update(payload);
    hasher.finalize()
}

impl Frame {
    /// Reads a frame's head; `None` if there is none.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let head: &[u8; FRAME_HEAD_LEN] = head.first_chunk()?;
        let payload_len = word(head, 4) as usize;
        if &head[..4] != FRAME_MAGIC || payload_len > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(Self {
            first_version: long(head, 8),
            timestamp: long(head, 16) as i64,
            changes: word(head, 24),
            payload_len,
            crc: word(head, 28),
            head_crc: crc32fast::hash(&head[..28]),
        })
    }

    pub(super) fn is_intact(&self, payload: &[u8]) -> bool {
        checksum(self.head_crc, payload) == self.crc
    }

    pub(super) fn len(&self) -> u64 {
        (FRAME_HEAD_LEN + self.payload_len) as u64
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Reads exactly the bytes at `at`, or fewer at the end of the file.
pub(super) fn read(file: &dyn rt::File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes)
}
