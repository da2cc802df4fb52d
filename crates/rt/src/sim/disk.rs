//! Files in memory that know what a power failure would leave of them.
//!
//! Every file has two contents: what the running system sees, and what is on the platter. `sync` makes them equal;
//! a crash with [`Power::Lost`] keeps an arbitrary choice of the 512-byte sectors in between, and an arbitrary choice
//! of the creations, renames and removals that no `sync_dir` has made durable. Bytes rot, operations fail and space
//! runs out on request.

mod faults;
mod inode;
mod mount;
mod names;

use super::{SeededRandom, Trace};
use crate::{Disk, Random, Space};
use faults::FaultPlan;
pub use faults::{Counters, Fault, Faults, Operation};
use inode::Inode;
use mount::Mount;
use names::{InodeId, Names};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Space of a new disk, in bytes.
const CAPACITY_DEFAULT: u64 = 1 << 40;

/// What becomes of bytes that are written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The process died (`kill -9`), the system lives: all that was written stays.
    Kept,
    /// The machine died: of what was not synced, any part may be gone.
    Lost,
}

/// A bit that was turned over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The file.
    pub path: PathBuf,
    /// The byte's position.
    pub at: u64,
    /// The bit in it, 0 to 7.
    pub bit: u8,
}

/// The disk as the simulation's owner sees it; a node sees a [`SimDisk::mount`]. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    random: SeededRandom,
    trace: Trace,
    /// Grows with each crash; handles of an earlier one are stale.
    generation: u64,
    names: Names,
    inodes: BTreeMap<InodeId, Inode>,
    locks: BTreeMap<PathBuf, u64>,
    /// Operations left before the machine dies in the middle of what it does.
    dies_after: Option<u64>,
    is_dead: bool,
    capacity: u64,
    plan: FaultPlan,
    /// How long a read of a path that contains this text takes.
    slow: Option<(String, Duration)>,
    waited: Duration,
    counters: Counters,
}

impl SimDisk {
    /// An empty disk whose accidents come from `random`.
    #[must_use]
    pub fn new(random: SeededRandom) -> Self {
        Self::traced(random, Trace::default())
    }

    /// An empty disk that reports its operations to a trace.
    #[must_use]
    pub fn traced(random: SeededRandom, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State {
            random,
            trace,
            generation: 0,
            names: Names::default(),
            inodes: BTreeMap::new(),
            locks: BTreeMap::new(),
            dies_after: None,
            is_dead: false,
            capacity: CAPACITY_DEFAULT,
            plan: FaultPlan::default(),
            slow: None,
            waited: Duration::ZERO,
            counters: Counters::default(),
        })))
    }

    /// The disk as a node uses it, until the next crash: then all that came from this mount fails.
    #[must_use]
    pub fn mount(&self) -> Arc<dyn Disk> {
        let generation = self.0.lock().generation;
        Arc::new(Mount { disk: self.clone(), generation })
    }

    /// Ends every open handle and lock; without power, also what was not durable.
    pub fn crash(&self, power: Power) {
        let state = &mut *self.0.lock();
        state.generation += 1;
        state.locks.clear();
        (state.dies_after, state.is_dead) = (None, false);
        state.trace.mark(format_args!("disk crash {power:?}"));
        if power == Power::Lost {
            state.names.lose(&state.random);
            for inode in state.inodes.values_mut() {
                inode.lose(&state.random);
            }
        }
        for inode in state.inodes.values_mut() {
            inode.handles = 0;
        }
        state.collect();
    }

    /// Sets the odds of faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().plan.odds = faults;
    }

    /// Lets each read of paths that contain this text take so long, for those who read by
    /// [`Host::run_blocking`](crate::Host::run_blocking); a time of zero ends it.
    pub fn slow_reads(&self, path_contains: &str, time: Duration) {
        self.0.lock().slow = (!time.is_zero()).then(|| (path_contains.to_owned(), time));
    }

    /// Lets one coming operation fail.
    pub fn plan(&self, fault: Fault) {
        self.0.lock().plan.planned.push(fault);
    }

    /// Lets the machine die in the middle of what it does: after so many operations all others fail. Call
    /// [`SimDisk::crash`] once [`SimDisk::is_dead`].
    pub fn die_after(&self, operations: u64) {
        self.0.lock().dies_after = Some(operations);
    }

    /// Whether the machine has died by [`SimDisk::die_after`] and waits for its crash.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.lock().is_dead
    }

    /// Forgets every planned fault that has not come.
    pub fn forget_plans(&self) {
        self.0.lock().plan.planned.clear();
    }

    /// Sets the size of the disk in bytes; it may be less than what is used.
    pub fn set_capacity(&self, bytes: u64) {
        self.0.lock().capacity = bytes;
    }

    /// Bytes taken by files.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// What was done and what failed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.lock().counters
    }

    /// Every file with its length, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.0.lock();
        state.names.live().map(|(path, id)| (path.clone(), state.inodes.get(&id).map_or(0, Inode::len))).collect()
    }

    /// Turns one bit over, in memory and on the platter. False if the file does not reach that far.
    #[must_use]
    pub fn flip(&self, path: &Path, at: u64, bit: u8) -> bool {
        let state = &mut *self.0.lock();
        let Some(inode) = state.names.get(path).and_then(|id| state.inodes.get_mut(&id)) else { return false };
        state.trace.mark(format_args!("disk flip {} {at} {bit}", path.display()));
        inode.flip(at, bit)
    }

    /// Turns over a random bit among the durable bytes that were ever written to files below `dir`; `None` if there
    /// are none.
    #[must_use]
    pub fn flip_below(&self, dir: &Path) -> Option<Flip> {
        let flip = self.0.lock().choose_bit(dir)?;
        self.flip(&flip.path, flip.at, flip.bit).then_some(flip)
    }

    /// Removes every file below a folder at once and durably, as an operator would who deletes a derived folder.
    pub fn wipe(&self, dir: &Path) {
        let state = &mut *self.0.lock();
        state.trace.mark(format_args!("disk wipe {}", dir.display()));
        state.names.wipe(dir);
        state.collect();
    }
}

impl State {
    fn wait_for(&mut self, path: &Path) {
        if let Some((text, time)) = &self.slow
            && path.to_string_lossy().contains(text)
        {
            self.waited += *time;
        }
    }

    fn used(&self) -> u64 {
        self.names.live().filter_map(|(_, id)| self.inodes.get(&id)).map(Inode::len).sum()
    }

    fn space(&self) -> Space {
        Space { total: self.capacity, available: self.capacity.saturating_sub(self.used()) }
    }

    /// Room for `more` bytes, or the error that a full disk gives.
    fn room(&mut self, more: u64) -> io::Result<()> {
        if more == 0 || self.space().available >= more {
            return Ok(());
        }
        self.counters.faults += 1;
        Err(faults::no_space())
    }

    /// Forgets contents that no name, no pending operation and no handle can reach.
    fn collect(&mut self) {
        let reachable = self.names.reachable();
        self.inodes.retain(|id, inode| inode.handles > 0 || reachable.contains(id));
    }

    fn choose_bit(&self, dir: &Path) -> Option<Flip> {
        let files: Vec<_> = self
            .names
            .live()
            .filter(|(path, _)| path.starts_with(dir))
            .filter_map(|(path, id)| Some((path, self.inodes.get(&id)?)))
            .filter(|(_, inode)| inode.written_sectors() > 0)
            .collect();
        let total: usize = files.iter().map(|(_, inode)| inode.written_sectors()).sum();
        let mut skip = self.random.index(total);
        for (path, inode) in files {
            if skip < inode.written_sectors() {
                let at = inode.position_in_written_sector(skip, self.random.below(inode::SECTOR))?;
                let bit = u8::try_from(self.random.below(8)).unwrap_or(0);
                return Some(Flip { path: path.clone(), at, bit });
            }
            skip -= inode.written_sectors();
        }
        None
    }
}
