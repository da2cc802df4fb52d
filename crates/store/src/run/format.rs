//! The header of a run; the other sections are drawn in `docs/data-files.md`. Big endian.

/// Bytes before the first section.
pub(crate) const HEADER_LEN: u64 = 256;
/// Bytes of the sections that one checksum covers.
pub(crate) const BLOCK_LEN: u64 = 4096;
/// Bytes of an entry: physical 8, size 4, tag hash 4, store time 8.
pub(crate) const ENTRY_LEN: u64 = 24;
/// Bytes of a key: hash 8, physical 8.
pub(crate) const KEY_LEN: u64 = 16;
/// Bytes of a queue's row: topic 4, queue id 4, first offset 8, count 8, index of its first entry 8.
pub(crate) const ROW_LEN: u64 = 32;
/// Bytes of a row of the table of all queues: topic 4, queue id 4, next offset 8.
pub(crate) const TABLE_ROW_LEN: u64 = 16;
const MAGIC: &[u8; 8] = b"TREFRUN\n";
const VERSION: u32 = 1;
/// Where the checksum of the header stands.
const CRC_AT: usize = 252;

/// What the first bytes of a run say. Positions of sections are positions in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The part of the log that it covers.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Oldest and newest store time.
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) entries: u64,
    pub(crate) keys: u64,
    pub(crate) topics: u64,
    pub(crate) rows: u64,
    pub(crate) table_rows: u64,
    /// Whether it has the table of all queues known at `to`.
    pub(crate) has_table: bool,
    pub(crate) keys_at: u64,
    pub(crate) topics_at: u64,
    pub(crate) rows_at: u64,
    pub(crate) table_at: u64,
    /// End of the checksummed sections; the checksums follow, four bytes each.
    pub(crate) blocks_at: u64,
    /// CRC-32 of the checksums.
    pub(crate) blocks_crc: u32,
}

impl Header {
    fn numbers(&self) -> [u64; 16] {
        [
            self.from,
            self.to,
            self.min_time as u64,
            self.max_time as u64,
            self.entries,
            self.keys,
            self.topics,
            self.rows,
            self.table_rows,
            u64::from(self.has_table),
            self.keys_at,
            self.topics_at,
            self.rows_at,
            self.table_at,
            self.blocks_at,
            u64::from(self.blocks_crc),
        ]
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&(BLOCK_LEN as u32).to_be_bytes());
        self.numbers().iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        bytes.resize(CRC_AT, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// The header in the first bytes of a run; `None` if they are damaged or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ HEADER_LEN as usize }>()?;
        let is_good = &bytes[..8] == MAGIC
            && u32_at(bytes, 8) == VERSION
            && u32_at(bytes, 12) == BLOCK_LEN as u32
            && u32_at(bytes, CRC_AT) == crc32fast::hash(&bytes[..CRC_AT]);
        if !is_good {
            return None;
        }
        let number = |i: usize| u64_at(bytes, 16 + 8 * i);
        Some(Self {
            from: number(0),
            to: number(1),
            min_time: number(2) as i64,
            max_time: number(3) as i64,
            entries: number(4),
            keys: number(5),
            topics: number(6),
            rows: number(7),
            table_rows: number(8),
            has_table: number(9) == 1,
            keys_at: number(10),
            topics_at: number(11),
            rows_at: number(12),
            table_at: number(13),
            blocks_at: number(14),
            blocks_crc: number(15) as u32,
        })
    }

    /// How many checksums there are.
    pub(crate) fn blocks(&self) -> u64 {
        (self.blocks_at - HEADER_LEN).div_ceil(BLOCK_LEN)
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_damage_is_seen() {
        let header = Header { from: 1, to: 2, min_time: -3, blocks_at: 9000, has_table: true, ..Header::default() };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, HEADER_LEN);
        assert_eq!(Header::decode(&bytes), Some(header));
        assert_eq!(header.blocks(), 3);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert_eq!(Header::decode(&changed), None, "byte {at}");
        }
    }
}
