//! One file of the log.
//!
//! Its name is its start position in twenty digits. Its first 64 bytes, big endian:
//!
//! ```text
//!   0  magic 8      "TREFOIL\n"
//!   8  version 4    1
//!  12  epoch 4      when it was created
//!  16  start 8      position of this file's first byte
//!  24  length 8     bytes of this file, the header included
//!  32  zeros 28
//!  60  crc 4        CRC-32 of bytes 0..60
//! ```

use rt::{Disk, File, Map};
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Bytes before the first entry.
pub(crate) const SEGMENT_HEADER_LEN: u64 = 64;
const MAGIC: &[u8; 8] = b"TREFOIL\n";
/// The format that this program writes.
pub(crate) const VERSION: u32 = 1;
/// Digits of a segment's name: enough for any position.
const NAME_DIGITS: usize = 20;

/// One file of the log.
pub(crate) struct Segment {
    pub(crate) start: u64,
    /// Bytes, the header included.
    pub(crate) len: u64,
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<dyn File>,
    map: OnceLock<Option<Arc<dyn Map>>>,
    direct: OnceLock<Option<Arc<dyn File>>>,
    /// Whether it was created, not found.
    is_created: bool,
    /// Whether a power failure leaves the file's name.
    is_settled: AtomicBool,
}

/// Why a segment's header is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    /// Nothing but zeros: the file was being created.
    Empty,
    /// The checksum is wrong, or it belongs to another file.
    Damaged,
    /// A format of a later program.
    Version(u32),
}

/// The file of the segment that starts at a position.
pub(crate) fn path_of(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:0width$}", width = NAME_DIGITS))
}

/// The start position that a file name says, if it is a segment's.
pub(crate) fn start_of(name: &str) -> Option<u64> {
    (name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

fn header(start: u64, len: u64, epoch: u32) -> [u8; SEGMENT_HEADER_LEN as usize] {
    let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes[16..24].copy_from_slice(&start.to_be_bytes());
    bytes[24..32].copy_from_slice(&len.to_be_bytes());
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn check_header(bytes: &[u8], start: u64) -> Result<u64, HeaderFlaw> {
    let Some(bytes) = bytes.first_chunk::<{ SEGMENT_HEADER_LEN as usize }>() else { return Err(HeaderFlaw::Empty) };
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(HeaderFlaw::Empty);
    }
    let u64_at = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
    let u32_at = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
    if &bytes[..8] != MAGIC || u32_at(60) != crc32fast::hash(&bytes[..60]) {
        return Err(HeaderFlaw::Damaged);
    }
    match u32_at(8) {
        VERSION if u64_at(16) == start => Ok(u64_at(24)),
        VERSION => Err(HeaderFlaw::Damaged),
        version => Err(HeaderFlaw::Version(version)),
    }
}

impl Segment {
    /// Creates the file, its space reserved. It becomes durable by [`Segment::sync`].
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, start: u64, len: u64, epoch: u32) -> io::Result<Self> {
        let path = path_of(dir, start);
        if disk.try_exists(&path)? {
            // Left by a start or a creation that did not come to its end; nothing in it counts.
            disk.remove(&path)?;
        }
        let file = disk.create(&path, len)?;
        if let Err(error) = file.write_at(&header(start, len, epoch), 0) {
            drop(disk.remove(&path));
            return Err(error);
        }
        Ok(Self {
            start,
            len,
            path: path.into(),
            file,
            map: OnceLock::new(),
            direct: OnceLock::new(),
            is_created: true,
            is_settled: AtomicBool::new(false),
        })
    }

    /// Makes all that was written to it, and its name, survive a power failure.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        self.file.sync()?;
        if !self.is_settled.load(Ordering::Acquire) {
            self.path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))?;
            self.is_settled.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Opens an existing file; a header that cannot be trusted is told beside it, and name and length are used instead.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, start: u64) -> io::Result<(Self, Option<HeaderFlaw>)> {
        let path = path_of(dir, start);
        let file = disk.open(&path)?;
        let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
        let (read, file_len) = (file.read_at(&mut bytes, 0)?, file.len()?);
        let (len, flaw) = match check_header(&bytes[..read], start) {
            Ok(len) if len <= file_len => (len, None),
            Ok(_) => (file_len, Some(HeaderFlaw::Damaged)),
            Err(flaw) => (file_len, Some(flaw)),
        };
        // Its creator may have died before its name was durable.
        let is_settled = AtomicBool::new(false);
        let (map, direct) = (OnceLock::new(), OnceLock::new());
        Ok((Self { start, len, path: path.into(), file, map, direct, is_created: false, is_settled }, flaw))
    }

    /// Where the file may hold anything but zeros, from a position on. Found out before any of it is read, because what
    /// the system reads ahead counts as data afterwards.
    pub(crate) fn data_ranges(&self, from: u64) -> io::Result<Vec<Range<u64>>> {
        /// Beyond so many the rest is taken as one.
        const RANGES_MAX: usize = 1024;
        let mut ranges = Vec::new();
        let mut at = from.max(self.start) - self.start;
        while at < self.len {
            let Some(data) = self.file.data_from(at)? else { break };
            let hole = match ranges.len() < RANGES_MAX {
                true => self.file.hole_from(data)?.min(self.len),
                false => self.len,
            };
            ranges.push(self.start + data..self.start + hole);
            at = hole.max(data + 1);
        }
        Ok(ranges)
    }

    /// Syncs it if it never was.
    pub(crate) fn settle(&self, disk: &dyn Disk) -> io::Result<()> {
        if self.is_settled.load(Ordering::Acquire) { Ok(()) } else { self.sync(disk) }
    }

    /// Whether this process created it and it was never synced.
    pub(crate) fn is_new(&self) -> bool {
        self.is_created && !self.is_settled.load(Ordering::Acquire)
    }

    /// First position behind this file.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// The whole file as memory, where the disk can.
    fn map(&self) -> io::Result<Option<&dyn Map>> {
        if let Some(map) = self.map.get() {
            return Ok(map.as_deref());
        }
        // Two readers may both map; one map is dropped again.
        let map = self.file.map(self.len)?;
        Ok(self.map.get_or_init(|| map).as_deref())
    }

    /// The file as it is read past the system's memory, where the disk can.
    pub(crate) fn direct(&self, disk: &dyn Disk) -> io::Result<Option<&dyn File>> {
        if let Some(direct) = self.direct.get() {
            return Ok(direct.as_deref());
        }
        let direct = match disk.open_direct(&self.path) {
            // Retention took it away; who still reads it goes on in the open file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            direct => direct?,
        };
        Ok(self.direct.get_or_init(|| direct).as_deref())
    }

    /// Lets the system drop a synced part of the log from memory; it can still be read.
    pub(crate) fn release(&self, positions: Range<u64>) {
        let from = positions.start.max(self.start) - self.start;
        let to = positions.end.min(self.end()).saturating_sub(self.start);
        if from >= to {
            return;
        }
        if let Some(Some(map)) = self.map.get() {
            map.release(from..to);
        }
        if let Err(error) = self.file.release(from..to) {
            tracing::debug!(file = %self.path.display(), %error, "the system keeps a part of the log in memory");
        }
    }

    /// Has the processor bring near what is going to be read, see [`rt::prefetch`].
    pub(crate) fn prefetch(&self, part: &Range<u64>) {
        /// Of more, the processor sees by itself that it is read in order.
        const BYTES_MAX: u64 = 2048;
        if let (Some(Some(map)), Some(at)) = (self.map.get(), part.start.checked_sub(self.start))
            && let Some(bytes) = map.bytes().get(at as usize..)
        {
            rt::prefetch(bytes, (part.end - part.start).min(BYTES_MAX) as usize);
        }
    }

    /// Bytes from a position on, fewer at the end of the file: borrowed where the disk can map.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let at = position - self.start;
        let len = len.min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        if let Some(map) = self.map()? {
            let at = at as usize;
            return Ok(Cow::Borrowed(&map.bytes()[at..at + len]));
        }
        let mut bytes = vec![0; len];
        let read = self.file.read_at(&mut bytes, at)?;
        bytes.truncate(read);
        Ok(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_positions() {
        let check = |name: &str, expected: Option<u64>| assert_eq!(start_of(name), expected, "{name}");
        check("00000000001073741824", Some(1 << 30));
        check("1073741824", None);
        check("0000000000107374182x", None);
        check("queues", None);
        assert!(path_of(Path::new("/d"), 7).ends_with("00000000000000000007"));
    }

    #[test]
    fn headers_are_checked() {
        let good = header(64, 4096, 3);
        let check = |bytes: &[u8], expected| assert_eq!(check_header(bytes, 64), expected);
        check(&good, Ok(4096));
        check(&[0; 64], Err(HeaderFlaw::Empty));
        check(&[], Err(HeaderFlaw::Empty));
        for at in 0..64 {
            let mut bytes = good;
            bytes[at] ^= 1;
            check(&bytes, Err(HeaderFlaw::Damaged));
        }
        assert_eq!(check_header(&good, 0), Err(HeaderFlaw::Damaged));
    }
}
