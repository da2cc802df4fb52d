//! The index as its owner sees it.

use super::job::{Done, Job, Work};
use super::manifest::Manifest;
use super::merge::{Live, Memory, Merged};
use super::run::{self, Run};
use super::{Due, Limits, Pending};
use rt::Disk;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// Which messages are pending, and which are due next. See the [module](super).
///
/// A message is *waiting*, or *taken*: somebody is about to end it, so that nobody else may. It is pending until
/// [`Index::remove`] says otherwise.
pub struct Index {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: Limits,
    memory: Memory,
    /// What a job writes.
    frozen: Option<Frozen>,
    /// Whether a job is under way.
    is_working: bool,
    runs: Vec<Live>,
    /// Pending up to `loaded_to` that nobody has taken.
    waiting: BTreeMap<Due, i32>,
    /// Pending, and taken.
    taken: BTreeMap<Due, i32>,
    /// Everything pending up to here is in `waiting` or `taken`.
    loaded_to: Due,
    /// Next offset of the queue.
    applied: u64,
    /// Position of the record before it.
    position: u64,
    /// Position of the first message that came since the index was empty; 0 if that was before this start.
    since: u64,
    counts: BTreeMap<i32, u64>,
    saved: Manifest,
    #[cfg(feature = "planted-bugs")]
    pub(crate) is_short: bool,
}

/// Memory on its way to a run, with what the manifest will say then.
struct Frozen {
    memory: Arc<Memory>,
    manifest: Manifest,
    obsolete: Vec<u64>,
}

impl Index {
    /// Opens the index in a folder, which is created if absent. If files are missing or damaged it is empty: see
    /// [`Index::applied`]. Blocks on the disk.
    ///
    /// # Errors
    /// Of the disk.
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf, limits: Limits) -> io::Result<Self> {
        if !disk.try_exists(&dir)? {
            disk.create_dir(&dir)?;
        }
        let manifest = Manifest::read(&*disk, &dir)?.unwrap_or_default();
        let (saved, runs) = match open_runs(&*disk, &dir, &manifest) {
            Ok(runs) => (manifest, runs),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the index of timed messages is rebuilt from the log");
                Manifest::remove(&*disk, &dir)?;
                (Manifest { next_number: manifest.next_number, ..Manifest::default() }, Vec::new())
            }
        };
        for name in disk.list(&dir)? {
            if run::number_of(&name).is_some_and(|number| saved.runs.iter().all(|(known, _)| *known != number)) {
                disk.remove(&dir.join(name))?;
            }
        }
        Ok(Self {
            disk,
            dir,
            limits,
            memory: Memory::new(),
            frozen: None,
            is_working: false,
            runs,
            waiting: BTreeMap::new(),
            taken: BTreeMap::new(),
            loaded_to: Due::MIN,
            applied: saved.applied,
            position: saved.position,
            since: if saved.applied == 0 { u64::MAX } else { 0 },
            counts: saved.counts.clone(),
            saved,
            #[cfg(feature = "planted-bugs")]
            is_short: false,
        })
    }

    /// Forgets everything, on disk too: the queue is to be applied from its start. No job may be under way.
    ///
    /// # Errors
    /// Of the disk; then nothing is forgotten.
    pub fn reset(&mut self) -> io::Result<()> {
        Manifest::remove(&*self.disk, &self.dir)?;
        self.saved = Manifest { next_number: self.saved.next_number + 1, ..Manifest::default() };
        (self.memory, self.frozen, self.is_working, self.runs) = (Memory::new(), None, false, Vec::new());
        (self.waiting, self.taken, self.counts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        (self.loaded_to, self.applied, self.position, self.since) = (Due::MIN, 0, 0, u64::MAX);
        Ok(())
    }

    /// The first offset of the queue that the index does not know, and the position of the record before it; 0 and 0
    /// for an empty one.
    #[must_use]
    pub fn applied(&self) -> (u64, u64) {
        (self.applied, self.position)
    }

    /// The queue is known up to an offset, exclusive; `position` is that of the last record known.
    pub fn set_applied(&mut self, next: u64, position: u64) {
        (self.applied, self.position) = (next, position);
    }

    /// Whether nothing more may be added until a job has been installed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.memory.len() >= self.limits.memory_items_max
    }

    /// A message waits from now on.
    pub fn add(&mut self, pending: Pending) {
        let Pending { due, topic } = pending;
        self.since = self.since.min(due.position);
        self.memory.insert(due, (topic, false));
        *self.counts.entry(topic).or_default() += 1;
        if due <= self.loaded_to {
            self.waiting.insert(due, topic);
            self.shrink();
        }
    }

    /// A message is pending no more. One that came before all others that did is not known: when the index is built anew,
    /// retention may have taken the message and left what says that it ended.
    pub fn remove(&mut self, pending: Pending) {
        let Pending { due, topic } = pending;
        if due.position < self.since {
            return;
        }
        if self.memory.insert(due, (topic, true)) == Some((topic, false)) {
            // What was in memory alone need not be remembered.
            self.memory.remove(&due);
        }
        if let Some(count) = self.counts.get_mut(&topic) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&topic);
            }
        }
        self.waiting.remove(&due);
        self.taken.remove(&due);
    }

    /// Keeps what is in memory of the messages due next within its bound.
    fn shrink(&mut self) {
        if self.waiting.len() <= self.limits.near_max {
            return;
        }
        while self.waiting.len() > self.limits.near_max / 4 * 3 {
            self.waiting.pop_last();
        }
        self.loaded_to = self.waiting.last_key_value().map_or(Due::MIN, |(due, _)| *due);
    }

    /// Whether [`Index::load`] has something to do. While nothing is waiting in memory, [`Index::take_due`] and
    /// [`Index::next_at`] know of nothing that it has not loaded.
    #[must_use]
    pub fn needs_load(&self) -> bool {
        self.loaded_to < Due::MAX && self.waiting.len() < self.limits.near_max / 2
    }

    /// Brings a piece of what is due next to memory: short work, so that deliveries need not wait for it. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// Of the disk; `InvalidData` if a run is damaged.
    pub fn load(&mut self) -> io::Result<()> {
        let mut found = Vec::new();
        let looks_max = self.limits.load_items.min(self.limits.near_max / 2).max(1);
        let last = self.scan(self.loaded_to, looks_max, |pending| {
            found.push((pending.due, pending.topic));
            ControlFlow::Continue(())
        })?;
        self.loaded_to = last.unwrap_or(Due::MAX);
        found.retain(|(due, _)| !self.taken.contains_key(due));
        self.waiting.extend(found);
        Ok(())
    }

    /// When the next waiting message is due, in ms since the epoch.
    #[must_use]
    pub fn next_at(&self) -> Option<i64> {
        self.waiting.first_key_value().map(|(due, _)| due.at)
    }

    /// Takes waiting messages that are due at a time (ms since the epoch), in order, at most so many.
    pub fn take_due(&mut self, now: i64, count_max: usize) -> Vec<Pending> {
        let mut taken = Vec::new();
        while taken.len() < count_max {
            let Some(first) = self.waiting.first_entry().filter(|first| first.key().at <= now) else { break };
            let (due, topic) = first.remove_entry();
            self.taken.insert(due, topic);
            taken.push(Pending { due, topic });
        }
        taken
    }

    /// Takes a message, unless it is not pending or taken already. Blocks on the disk.
    ///
    /// # Errors
    /// Of the disk; `InvalidData` if a run is damaged.
    pub fn take(&mut self, due: Due) -> io::Result<Option<Pending>> {
        if self.taken.contains_key(&due) {
            return Ok(None);
        }
        let topic = if due <= self.loaded_to { self.waiting.remove(&due) } else { self.find(due)? };
        let Some(topic) = topic else { return Ok(None) };
        self.taken.insert(due, topic);
        Ok(Some(Pending { due, topic }))
    }

    /// Whether somebody is about to end a message.
    #[must_use]
    pub fn is_taken(&self, due: Due) -> bool {
        self.taken.contains_key(&due)
    }

    /// Gives back what was taken: it waits again.
    pub fn put_back(&mut self, all: &[Pending]) {
        for Pending { due, topic } in all {
            if self.taken.remove(due).is_some() && *due <= self.loaded_to {
                self.waiting.insert(*due, *topic);
            }
        }
        self.shrink();
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// The topic of a pending message, taken or not, behind what is loaded.
    fn find(&self, due: Due) -> io::Result<Option<i32>> {
        for memory in self.memories() {
            if let Some(&(topic, is_gone)) = memory.get(&due) {
                return Ok((!is_gone).then_some(topic));
            }
        }
        let mut found = None;
        for live in self.runs.iter().filter(|live| live.covers(due)) {
            match live.run.find(due)? {
                Some(item) if item.is_gone => return Ok(None),
                Some(item) => found = Some(item.topic),
                None => {}
            }
        }
        Ok(found)
    }

    fn memories(&self) -> impl Iterator<Item = &Memory> {
        std::iter::once(&self.memory).chain(self.frozen.as_ref().map(|frozen| &*frozen.memory))
    }

    /// Shows pending messages behind `after`, taken ones too, in order, until told to stop or `looks_max` messages,
    /// pending or not, were looked at. Says behind which to go on; `None` at the end of all. Blocks on the disk.
    ///
    /// # Errors
    /// Of the disk; `InvalidData` if a run is damaged.
    pub fn scan(
        &self,
        after: Due,
        looks_max: usize,
        mut each: impl FnMut(Pending) -> ControlFlow<()>,
    ) -> io::Result<Option<Due>> {
        let mut merged = Merged::new(self.memories(), &self.runs, after)?;
        for nth in 1.. {
            let Some(seen) = merged.next()? else { break };
            let stops = seen.is_pending() && each(Pending { due: seen.due, topic: seen.topic }).is_break();
            if stops || nth >= looks_max {
                return Ok(Some(seen.due));
            }
        }
        Ok(None)
    }

    /// Pending messages by the hash of their topic.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<i32, u64> {
        &self.counts
    }

    /// Nothing before this is pending.
    fn floor(&self) -> Due {
        let first = |near: &BTreeMap<Due, i32>| near.first_key_value().map(|(due, _)| *due);
        first(&self.waiting).into_iter().chain(first(&self.taken)).min().unwrap_or(self.loaded_to).min(self.loaded_to)
    }

    /// The next piece of work for the disk, if there is any and none is under way. To be run anywhere, then
    /// [installed](Index::install) or [given up](Index::fail).
    pub fn job(&mut self) -> Option<Job> {
        if self.is_working {
            return None;
        }
        if self.frozen.is_none() {
            let is_due = self.memory.len() >= self.limits.flush_items
                || self.applied.saturating_sub(self.saved.applied) >= self.limits.checkpoint_records;
            if is_due {
                self.freeze();
            }
        }
        let job = match &self.frozen {
            Some(frozen) => Some(Job {
                disk: Arc::clone(&self.disk),
                dir: self.dir.clone(),
                work: Work::Flush(Arc::clone(&frozen.memory)),
                manifest: Manifest { next_number: self.saved.next_number, ..frozen.manifest.clone() },
                obsolete: frozen.obsolete.clone(),
                #[cfg(feature = "planted-bugs")]
                is_short: self.is_short,
            }),
            None => self.merge(),
        };
        self.is_working = job.is_some();
        job
    }

    fn freeze(&mut self) {
        let floor = self.floor();
        let mut obsolete = Vec::new();
        for live in &mut self.runs {
            live.from = live.from.max(floor);
        }
        self.runs.retain(|live| {
            let is_needed = live.from <= live.run.last;
            if !is_needed {
                obsolete.push(live.run.number);
            }
            is_needed
        });
        // Of what is before the floor, nothing is pending and no run says otherwise any more.
        let memory = std::mem::take(&mut self.memory).split_off(&floor);
        let manifest = Manifest {
            next_number: self.saved.next_number,
            applied: self.applied,
            position: self.position,
            runs: self.runs.iter().map(|live| (live.run.number, live.from)).collect(),
            counts: self.counts.clone(),
        };
        self.frozen = Some(Frozen { memory: Arc::new(memory), manifest, obsolete });
    }

    /// Merges the smallest runs if there are too many.
    fn merge(&self) -> Option<Job> {
        if self.runs.len() < self.limits.runs_max.max(2) {
            return None;
        }
        let mut others = self.runs.clone();
        others.sort_by_key(|live| live.run.items);
        let (mut count, mut items) = (0, 0);
        for live in &others {
            // A run that is much larger than all before it can wait.
            if count >= others.len() / 2 && count >= 2 && live.run.items > 2 * items {
                break;
            }
            (count, items) = (count + 1, items + live.run.items);
        }
        let inputs: Vec<Live> = others.drain(..count).collect();
        let manifest =
            Manifest { runs: others.iter().map(|live| (live.run.number, live.from)).collect(), ..self.saved.clone() };
        let obsolete = inputs.iter().map(|live| live.run.number).collect();
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        Some(Job {
            disk,
            dir,
            work: Work::Merge { inputs, others },
            manifest,
            obsolete,
            #[cfg(feature = "planted-bugs")]
            is_short: false,
        })
    }

    /// Takes over what a job has made. Gives what is not needed any more: to drop it may take a while, because the
    /// system gives the space of a file back when it is closed.
    pub fn install(&mut self, done: Done) -> impl Send + use<> {
        let known = &done.manifest.runs;
        let is_known = |live: &Live| known.iter().any(|(number, _)| *number == live.run.number);
        let (needed, obsolete): (Vec<Live>, Vec<Live>) = self.runs.drain(..).partition(is_known);
        (self.runs, self.saved, self.is_working) = (needed, done.manifest, false);
        self.runs.extend(done.run);
        (obsolete, self.frozen.take_if(|_| done.is_flush))
    }

    /// A job could not be done: its work is offered again.
    pub fn fail(&mut self) {
        self.is_working = false;
        // What it left behind must not be taken for the next one's.
        self.saved.next_number += 1;
    }

    /// Items in memory, messages due next in memory, and runs.
    #[cfg(test)]
    pub(super) fn in_memory(&self) -> (usize, usize, usize) {
        (self.memory.len(), self.waiting.len(), self.runs.len())
    }

    /// Whether a job is under way.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.is_working
    }
}

fn open_runs(disk: &dyn Disk, dir: &std::path::Path, manifest: &Manifest) -> io::Result<Vec<Live>> {
    let open = |&(number, from): &(u64, Due)| Ok(Live { run: Arc::new(Run::open(disk, dir, number)?), from });
    manifest.runs.iter().map(open).collect()
}
