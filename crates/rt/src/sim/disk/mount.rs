//! The disk as a node uses it.

use super::faults::{input_output, no_space, stale};
use super::{Inode, InodeId, Operation, SimDisk, State};
use crate::{Disk, DiskLock, File, Map, Space};
use parking_lot::MutexGuard;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Mount {
    pub(super) disk: SimDisk,
    pub(super) generation: u64,
}

struct SimFile {
    disk: SimDisk,
    generation: u64,
    inode: InodeId,
    path: PathBuf,
}

struct SimLock {
    disk: SimDisk,
    generation: u64,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl SimDisk {
    fn enter(&self, generation: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.0.lock();
        if state.generation == generation && !state.is_dead { Ok(state) } else { Err(stale()) }
    }
}

impl State {
    /// Reports an operation and fails if it is to fail.
    fn begin(&mut self, operation: Operation, path: &Path, at: u64, len: u64) -> io::Result<()> {
        match &mut self.dies_after {
            Some(0) => {
                self.is_dead = true;
                self.trace.note(format_args!("the machine dies before {operation:?} of {}", path.display()));
                return Err(stale());
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let hit = self.plan.hits(operation, path, &self.random);
        self.trace.mark(format_args!("disk {operation:?} {} {at} {len} {hit}", path.display()));
        if hit {
            self.counters.faults += 1;
            return Err(input_output());
        }
        Ok(())
    }

    fn inode(&mut self, inode: InodeId) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(stale)
    }
}

impl Mount {
    fn enter(&self) -> io::Result<MutexGuard<'_, State>> {
        self.disk.enter(self.generation)
    }

    fn file(&self, state: &mut State, inode: InodeId, path: &Path) -> io::Result<Arc<dyn File>> {
        state.inode(inode)?.handles += 1;
        let (disk, generation) = (self.disk.clone(), self.generation);
        Ok(Arc::new(SimFile { disk, generation, inode, path: path.to_path_buf() }))
    }
}

impl Disk for Mount {
    fn create(&self, path: &Path, size: u64) -> io::Result<Arc<dyn File>> {
        let state = &mut *self.enter()?;
        state.begin(Operation::Create, path, 0, size)?;
        if state.random.chance(state.plan.odds.space) {
            state.counters.faults += 1;
            return Err(no_space());
        }
        state.room(size)?;
        let inode = state.names.create(path)?;
        state.inodes.insert(inode, Inode::new(size));
        self.file(state, inode, path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let state = &mut *self.enter()?;
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.file(state, inode, path)
    }

    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        self.open(path).map(Some)
    }

    fn try_exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.enter()?.names.exists(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.enter()?;
        state.begin(Operation::Rename, from, 0, 0)?;
        state.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.enter()?;
        state.begin(Operation::Remove, path, 0, 0)?;
        state.names.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.enter()?.names.list(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.enter()?.names.create_dir(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.enter()?;
        state.begin(Operation::SyncDir, dir, 0, 0)?;
        state.counters.dir_syncs += 1;
        state.names.sync_dir(dir)?;
        state.collect();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let state = &mut *self.enter()?;
        if state.names.get(path).is_none() {
            let inode = state.names.create(path)?;
            state.inodes.insert(inode, Inode::new(0));
        }
        if state.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.insert(path.to_path_buf(), self.generation);
        let (disk, generation) = (self.disk.clone(), self.generation);
        Ok(Box::new(SimLock { disk, generation, path: path.to_path_buf() }))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        Ok(self.enter()?.space())
    }

    fn waited(&self) -> Duration {
        self.enter().map_or(Duration::ZERO, |state| state.waited)
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let state = &mut *self.disk.enter(self.generation)?;
        state.begin(Operation::Read, &self.path, at, buf.len() as u64)?;
        state.counters.reads += 1;
        state.wait_for(&self.path);
        Ok(state.inode(self.inode)?.read(buf, at))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let state = &mut *self.disk.enter(self.generation)?;
        if let Err(error) = state.begin(Operation::Write, &self.path, at, bytes.len() as u64) {
            let done = state.random.index(bytes.len() + 1);
            let end = state.inode(self.inode)?.len();
            // The part that was done stays within the file: a failed write must not dodge the space check.
            let done = done.min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
            state.inode(self.inode)?.write(&bytes[..done], at);
            return Err(error);
        }
        let end = at + bytes.len() as u64;
        let more = end.saturating_sub(state.inode(self.inode)?.len());
        if more > 0 && state.random.chance(state.plan.odds.space) {
            state.counters.faults += 1;
            return Err(no_space());
        }
        state.room(more)?;
        state.counters.writes += 1;
        state.counters.bytes_written += bytes.len() as u64;
        state.inode(self.inode)?.write(bytes, at);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = &mut *self.disk.enter(self.generation)?;
        let begun = state.begin(Operation::Sync, &self.path, 0, 0);
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(stale)?;
        if begun.is_err() {
            inode.fail_sync(&state.random);
            return begun;
        }
        inode.sync();
        state.counters.syncs += 1;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.enter(self.generation)?.inode(self.inode)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let state = &mut *self.disk.enter(self.generation)?;
        state.begin(Operation::Write, &self.path, len, 0)?;
        let more = len.saturating_sub(state.inode(self.inode)?.len());
        state.room(more)?;
        state.inode(self.inode)?.set_len(len);
        Ok(())
    }

    fn data_from(&self, at: u64) -> io::Result<Option<u64>> {
        Ok(self.disk.enter(self.generation)?.inode(self.inode)?.data_from(at))
    }

    fn release(&self, _range: std::ops::Range<u64>) -> io::Result<()> {
        self.disk.enter(self.generation).map(drop)
    }

    fn map(&self, _len: u64) -> io::Result<Option<Arc<dyn Map>>> {
        self.disk.enter(self.generation).map(|_| None)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.enter(self.generation)
            && let Ok(inode) = state.inode(self.inode)
        {
            inode.handles = inode.handles.saturating_sub(1);
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.enter(self.generation) {
            state.locks.remove(&self.path);
        }
    }
}
