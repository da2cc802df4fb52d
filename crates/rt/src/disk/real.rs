//! The machine's file system.

use super::{DIRECT_ALIGN, Disk, DiskLock, File, Map, Space};
use rustix::fs::{Advice, FallocateFlags, FlockOperation, Mode, OFlags};
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Most slices that the system takes in one call (`IOV_MAX`).
const SLICES_MAX: usize = 1024;

/// Files of the operating system.
#[derive(Default)]
pub struct RealDisk;

struct RealFile(fs::File);

struct RealLock {
    _file: fs::File,
}

impl DiskLock for RealLock {}

impl Disk for RealDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        if size > 0 {
            reserve(&file, size).inspect_err(|_| {
                // Half a file must not be taken for a whole one; if even this fails the error below still says why.
                drop(fs::remove_file(path));
            })?;
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => Ok(Some(Arc::new(RealFile(file.into())))),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn try_exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = dir.ancestors().take_while(is_missing).count();
        fs::create_dir_all(dir)?;
        // Its own name in any case: who made it may have died before this.
        for parent in dir.ancestors().skip(1).take(made.max(1)) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            match self.sync_dir(parent) {
                // A folder above may be closed to this user, who can do no more then.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock { _file: file }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        // What only root may take is neither used nor room, as `df` counts.
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        Ok(Space { total: (used + stat.f_bavail) * stat.f_frsize, available: stat.f_bavail * stat.f_frsize })
    }
}

/// Reserves space; a file system that cannot gets a file of that length instead.
fn reserve(file: &fs::File, size: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(size),
        Err(error) => Err(error.into()),
    }
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                // Past the end of a file that is read directly: no position but the end's is left to read from.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && done % DIRECT_ALIGN != 0 => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn write_slices_at(&self, mut slices: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
        // Empty ones would look like a write that comes to nothing.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match rustix::io::pwritev(&self.0, &slices[..slices.len().min(SLICES_MAX)], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn data_from(&self, at: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => Ok(Some(data)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            Err(rustix::io::Errno::INVAL) => Ok((at < self.len()?).then_some(at)),
            Err(error) => Err(error.into()),
        }
    }

    fn hole_from(&self, at: u64) -> io::Result<u64> {
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Hole(at)) {
            Ok(hole) => Ok(hole),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NXIO) => self.len().map(|len| len.max(at)),
            Err(error) => Err(error.into()),
        }
    }

    fn release(&self, range: std::ops::Range<u64>) -> io::Result<()> {
        let len = std::num::NonZeroU64::new(range.end.saturating_sub(range.start));
        Ok(rustix::fs::fadvise(&self.0, range.start, len, Advice::DontNeed)?)
    }

    fn punch(&self, range: std::ops::Range<u64>) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, flags, range.start, range.end.saturating_sub(range.start)) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn map(&self, len: u64) -> io::Result<Option<Arc<dyn Map>>> {
        map(&self.0, len).map(Some)
    }
}

/// Granularity of mapped memory in bytes; a multiple of the system's is fine.
const PAGE: usize = 64 << 10;

struct RealMap(memmap2::MmapRaw);

fn map(file: &fs::File, len: u64) -> io::Result<Arc<dyn Map>> {
    if file.metadata()?.len() < len {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("cannot map {len} bytes: the file is shorter"),
        ));
    }
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    Ok(Arc::new(RealMap(memmap2::MmapOptions::new().len(len).map_raw_read_only(file)?)))
}

impl Map for RealMap {
    #[allow(unsafe_code, reason = "the one place where mapped memory becomes a slice")]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping covers `len` bytes for as long as `self` lives, and was checked against the file's length.
        // The file is never made shorter while mapped (contract of `File::map`), and readers touch only ranges that
        // the log's published position says are written and final, so no byte behind a live reference changes.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.0.len()) }
    }

    #[allow(unsafe_code, reason = "the advice that a file's mapping may be dropped is not among the checked ones")]
    fn release(&self, range: std::ops::Range<u64>) {
        let (start, end) = (range.start as usize, (range.end as usize).min(self.0.len()));
        // Only whole pages: a page that is partly in the range may still be written.
        let start = start.next_multiple_of(PAGE);
        let end = end / PAGE * PAGE;
        if start >= end {
            return;
        }
        // SAFETY: the mapping is shared and file-backed, so dropping its pages loses nothing: the next read brings the
        // same bytes back from the file.
        drop(unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) });
    }
}
