//! Files.
//!
//! # To be correct
//! - Bytes written are lost by a power failure until [`File::sync`] has returned; they survive the death of the
//!   process from the moment `write_at` returns.
//! - A create, rename or remove is durable only after [`Disk::sync_dir`] of its folder.
//! - A failed `sync` says that earlier writes may be lost for good, even if a later `sync` succeeds: the caller must
//!   stop trusting the file.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod real;
pub use real::RealDisk;

/// Bytes that every disk can read directly, and multiples of them.
pub const DIRECT_ALIGN: usize = 4096;

/// Room on the file system that holds a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What ordinary processes have taken of the file system or may still take.
    pub total: u64,
    /// What an ordinary process may still take.
    pub available: u64,
}

/// A folder tree.
pub trait Disk: Send + Sync {
    /// Creates a file of `size` bytes that read as zeros, with its space reserved. Fails if it exists.
    fn create(&self, path: &Path, size: u64) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file to be read past the system's memory: nothing that is read stays there. Position, length and
    /// address of a read must be multiples of [`DIRECT_ALIGN`]. `None` where the disk cannot; some say so only by
    /// `InvalidInput` of the first read.
    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>>;
    /// Whether the path exists.
    fn try_exists(&self, path: &Path) -> io::Result<bool>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a folder, sorted; an absent folder has none.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a folder and its parents, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock on a file (created if absent), held until the guard is dropped.
    /// `WouldBlock` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
    /// Room on the file system of `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// For how long all reads together had to wait on a simulated disk, where waiting takes no time by itself; nothing on
    /// a real one.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }
}

/// Holds a lock until it is dropped.
pub trait DiskLock: Send + Sync {}

/// An open file, used by position; safe to share between threads.
pub trait File: Send + Sync {
    /// Fills `buf` from `at` on; fewer bytes only at the end of the file.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `at`, growing the file where needed.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Writes all of the slices one behind the other, as [`File::write_at`] would write them together.
    fn write_slices_at(&self, slices: &mut [IoSlice<'_>], at: u64) -> io::Result<()> {
        let parts: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
        self.write_at(&parts.concat(), at)
    }
    /// Makes all that was written before this call survive a power failure.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends the file to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The first position from `at` on where the file may hold anything but zeros; `None` if there is none. A disk that
    /// cannot tell says `at` itself.
    fn data_from(&self, at: u64) -> io::Result<Option<u64>> {
        Ok((at < self.len()?).then_some(at))
    }
    /// The first position from `at` on that reads as zeros up to the next data; the end of the file if the disk cannot
    /// tell or there is none. Reading may turn zeros into data, so ask before.
    fn hole_from(&self, at: u64) -> io::Result<u64> {
        self.len().map(|len| len.max(at))
    }
    /// Says that a range is not read again soon: the system may drop it from memory. Advice only.
    fn release(&self, range: std::ops::Range<u64>) -> io::Result<()>;
    /// Gives the space of a range back to the file system: its bytes are lost, the file keeps its length. A disk that
    /// cannot leaves them as they are.
    fn punch(&self, _range: std::ops::Range<u64>) -> io::Result<()> {
        Ok(())
    }
    /// The file's first `len` bytes as memory that shows later writes, or `None` where the disk cannot.
    /// The file must not be made shorter while the map lives.
    fn map(&self, len: u64) -> io::Result<Option<Arc<dyn Map>>>;
}

/// A file seen as memory.
pub trait Map: Send + Sync {
    /// The mapped bytes. Read only ranges that are no longer being written.
    fn bytes(&self) -> &[u8];
    /// Lets the system drop a range of the file from memory; it is read from the disk again when needed.
    fn release(&self, range: std::ops::Range<u64>);
}
