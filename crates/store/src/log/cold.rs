//! Reading what is no longer in memory.
//!
//! A page that the system's cache takes in costs far more processor time than the bytes in it, and pushes out what others
//! need. So the parts of the log that nobody has used for long are read past that cache, a block at a time where much of
//! the block is wanted. Consumers that catch up read queue by queue through the same part of the log: the blocks that were
//! used last stay in memory.

use super::segment::Segment;
use parking_lot::Mutex;
use rt::{DIRECT_ALIGN, Disk, File};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 512 << 10;
/// Blocks that stay in memory; 16 MiB.
const BLOCKS_MAX: usize = 32;
/// A block is read as a whole when one of so many of its bytes, or of the bytes of the block before it, was wanted.
const SPARSE_MAX: u64 = 4;

/// The blocks that were used last.
#[derive(Default)]
pub(crate) struct ColdBlocks(Mutex<Blocks>);

#[derive(Default)]
struct Blocks {
    /// The latest at the end.
    list: VecDeque<Block>,
    /// Memory of a block that was given up: fresh memory is dear.
    spare: Option<Buffer>,
}

struct Block {
    place: Place,
    /// Bytes that were wanted of it, doubles included.
    wanted: u64,
    /// What it holds, if it was read as a whole.
    bytes: Option<Arc<Buffer>>,
}

/// Start of the segment, and number of the block in it.
type Place = (u64, u64);

/// Bytes that begin at an address where a disk can put them directly.
#[derive(Default)]
struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Fills it with `len` bytes of a file, fewer at its end; both numbers must be multiples of [`DIRECT_ALIGN`].
    fn read(mut self, file: &dyn File, at: u64, len: usize) -> io::Result<Self> {
        if self.memory.len() < len + DIRECT_ALIGN {
            self.memory = vec![0; len + DIRECT_ALIGN];
            self.start = self.memory.as_ptr().align_offset(DIRECT_ALIGN);
        }
        self.len = file.read_at(&mut self.memory[self.start..self.start + len], at)?;
        Ok(self)
    }

    /// The bytes of a range, fewer at the end of the file.
    fn get(&self, range: Range<u64>) -> &[u8] {
        let end = (range.end as usize).min(self.len);
        &self.memory[self.start + (range.start as usize).min(end)..self.start + end]
    }
}

impl ColdBlocks {
    /// The bytes of a part of a segment, fewer at the end of its file. All blocks that the part touches must be final.
    /// `None` if the disk cannot be read past the system's cache. `from_disk` grows by the bytes that were not in memory.
    pub(super) fn read(
        &self,
        disk: &dyn Disk,
        segment: &Segment,
        part: &Range<u64>,
        from_disk: &mut u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = segment.direct(disk)? else { return Ok(None) };
        let part = part.start - segment.start..part.end - segment.start;
        let mut bytes = Vec::with_capacity((part.end - part.start) as usize);
        for number in part.start / BLOCK..part.end.div_ceil(BLOCK) {
            let start = number * BLOCK;
            let within = part.start.max(start) - start..part.end.min(start + BLOCK) - start;
            match self.read_block(file, (segment.start, number), within, &mut bytes) {
                Ok(read) => *from_disk += read,
                // Such a disk says only now that it cannot.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(bytes))
    }

    /// Gives how many bytes were read from the disk.
    fn read_block(&self, file: &dyn File, place: Place, within: Range<u64>, out: &mut Vec<u8>) -> io::Result<u64> {
        const ALIGN: u64 = DIRECT_ALIGN as u64;
        let start = place.1 * BLOCK;
        let (known, is_dense) = self.0.lock().want(place, within.end - within.start);
        if let Some(known) = known {
            out.extend_from_slice(known.get(within));
            Ok(0)
        } else if is_dense {
            let spare = self.0.lock().spare.take().unwrap_or_default();
            let block = Arc::new(spare.read(file, start, BLOCK as usize)?);
            out.extend_from_slice(block.get(within));
            self.0.lock().keep(place, block);
            Ok(BLOCK)
        } else {
            let from = within.start / ALIGN * ALIGN;
            let len = within.end.next_multiple_of(ALIGN) - from;
            let few = Buffer::default().read(file, start + from, len as usize)?;
            out.extend_from_slice(few.get(within.start - from..within.end - from));
            Ok(len)
        }
    }
}

impl Blocks {
    /// Notes that bytes of a block are wanted: the block if it is in memory, and whether it should be.
    fn want(&mut self, place: Place, bytes: u64) -> (Option<Arc<Buffer>>, bool) {
        let before = self.list.iter().rfind(|block| block.place.0 == place.0 && block.place.1 + 1 == place.1);
        let is_next = before.is_some_and(|block| block.wanted >= BLOCK / SPARSE_MAX);
        let block = self.touch(place);
        block.wanted += bytes;
        (block.bytes.clone(), is_next || block.wanted >= BLOCK / SPARSE_MAX)
    }

    fn keep(&mut self, place: Place, bytes: Arc<Buffer>) {
        self.touch(place).bytes = Some(bytes);
    }

    /// The block, now the latest.
    fn touch(&mut self, place: Place) -> &mut Block {
        let known = self.list.iter().rposition(|block| block.place == place);
        let block = known.and_then(|at| self.list.remove(at));
        self.list.push_back(block.unwrap_or(Block { place, wanted: 0, bytes: None }));
        if self.list.len() > BLOCKS_MAX
            && let Some(bytes) = self.list.pop_front().and_then(|oldest| oldest.bytes)
        {
            self.spare = Arc::into_inner(bytes);
        }
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rt::RealDisk;

    /// A segment of three blocks and a bit; the byte at a position is told by the position.
    fn segment(dir: &std::path::Path) -> Segment {
        let len = 3 * BLOCK + 5000;
        let segment = Segment::create(&RealDisk, dir, 0, len, 1).expect("a new file");
        let bytes: Vec<u8> = (0..len).map(byte_at).collect();
        segment.file.write_at(&bytes, 0).expect("room");
        segment.file.sync().expect("a disk");
        segment
    }

    fn byte_at(position: u64) -> u8 {
        (position % 251) as u8
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn what_is_read_past_the_cache_is_what_was_written(
            parts in prop::collection::vec((0..3 * BLOCK + 5000, 1..200_000u64), 1..40),
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let (segment, blocks) = (segment(dir.path()), ColdBlocks::default());
            for (start, len) in parts {
                let part = start..(start + len).min(segment.end());
                // Where the disk of this machine cannot, there is nothing to see.
                if let Some(bytes) = blocks.read(&RealDisk, &segment, &part, &mut 0).expect("readable") {
                    prop_assert!(bytes.iter().copied().eq(part.map(byte_at)));
                }
            }
        }
    }

    #[test]
    fn blocks_of_which_much_is_wanted_are_read_as_a_whole_and_the_latest_stay() {
        let mut blocks = Blocks::default();
        let mut check = |number, bytes, is_dense| assert_eq!(blocks.want((0, number), bytes).1, is_dense, "{number}");
        check(0, BLOCK / 4 - 1, false);
        check(1, 1, false);
        check(0, 1, true);
        check(1, 1, true);
        check(2, 1, false);
        (100..100 + BLOCKS_MAX as u64).for_each(|number| check(number, 1, false));
        check(1, 1, false);
        assert_eq!(blocks.list.len(), BLOCKS_MAX);
    }
}
