//! Which name means which file: as seen, and as a power failure would leave it.

use super::SeededRandom;
use crate::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeId(u64);

#[derive(Default)]
pub(super) struct Names {
    dirs: BTreeSet<PathBuf>,
    live: BTreeMap<PathBuf, InodeId>,
    durable: BTreeMap<PathBuf, InodeId>,
    /// What happened to names and is not durable yet, oldest first.
    pending: Vec<Change>,
    next: u64,
}

#[derive(Clone)]
enum Change {
    Create { path: PathBuf, inode: InodeId },
    Rename { from: PathBuf, to: PathBuf, inode: InodeId },
    Remove { path: PathBuf, inode: InodeId },
}

impl Change {
    fn inode(&self) -> InodeId {
        match self {
            Self::Create { inode, .. } | Self::Rename { inode, .. } | Self::Remove { inode, .. } => *inode,
        }
    }

    fn touches(&self, dir: &Path) -> bool {
        match self {
            Self::Create { path, .. } | Self::Remove { path, .. } => path.parent() == Some(dir),
            Self::Rename { from, to, .. } => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}

impl Names {
    pub(super) fn live(&self) -> impl Iterator<Item = (&PathBuf, InodeId)> {
        self.live.iter().map(|(path, &inode)| (path, inode))
    }

    pub(super) fn get(&self, path: &Path) -> Option<InodeId> {
        self.live.get(path).copied()
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.live.contains_key(path) || self.dirs.contains(path)
    }

    pub(super) fn list(&self, dir: &Path) -> Vec<String> {
        let inside = self.live.keys().filter(|path| path.parent() == Some(dir));
        inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
    }

    pub(super) fn create_dir(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<InodeId> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.need_parent(path)?;
        let inode = InodeId(self.next);
        self.next += 1;
        self.live.insert(path.to_path_buf(), inode);
        self.pending.push(Change::Create { path: path.to_path_buf(), inode });
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.need_parent(to)?;
        let inode = self.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.live.insert(to.to_path_buf(), inode);
        if from != to {
            self.pending.push(Change::Rename { from: from.to_path_buf(), to: to.to_path_buf(), inode });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.live.remove(path).ok_or(io::ErrorKind::NotFound)?;
        self.pending.push(Change::Remove { path: path.to_path_buf(), inode });
        Ok(())
    }

    /// Makes the changes of one folder durable, and what those rest on.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if !self.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let touched: BTreeSet<InodeId> =
            self.pending.iter().filter(|change| change.touches(dir)).map(Change::inode).collect();
        let (durable, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|change| touched.contains(&change.inode()));
        self.pending = pending;
        let durable: Vec<Change> = durable;
        for change in &durable {
            self.settle(change);
        }
        Ok(())
    }

    /// The power goes: any of the pending changes may have become durable.
    pub(super) fn lose(&mut self, random: &SeededRandom) {
        let odds = random.below(5);
        for change in std::mem::take(&mut self.pending) {
            if random.below(4) < odds {
                self.settle(&change);
            }
        }
        self.live.clone_from(&self.durable);
    }

    pub(super) fn wipe(&mut self, dir: &Path) {
        self.live.retain(|path, _| !path.starts_with(dir));
        self.durable.retain(|path, _| !path.starts_with(dir));
        self.pending.retain(|change| match change {
            Change::Create { path, .. } | Change::Remove { path, .. } => !path.starts_with(dir),
            Change::Rename { from, to, .. } => !from.starts_with(dir) && !to.starts_with(dir),
        });
    }

    pub(super) fn reachable(&self) -> BTreeSet<InodeId> {
        let named = self.live.values().chain(self.durable.values()).copied();
        named.chain(self.pending.iter().map(Change::inode)).collect()
    }

    fn settle(&mut self, change: &Change) {
        match change {
            Change::Create { path, inode } => {
                self.durable.insert(path.clone(), *inode);
            }
            Change::Rename { from, to, inode } => {
                if self.durable.get(from) == Some(inode) {
                    self.durable.remove(from);
                }
                self.durable.insert(to.clone(), *inode);
            }
            Change::Remove { path, inode } => {
                if self.durable.get(path) == Some(inode) {
                    self.durable.remove(path);
                }
            }
        }
    }

    fn need_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if self.dirs.contains(dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
