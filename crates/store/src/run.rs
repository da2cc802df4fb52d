//! The index on disk: immutable runs, each over a part of the log. All of it is derived from the log and may be lost.

pub(crate) mod format;
pub(crate) mod merge;
pub(crate) mod read;
pub(crate) mod write;

use crate::index::Spot;
use crate::log::read::io_error;
use crate::{Entry, ReadError};
use arc_swap::{ArcSwap, Guard};
use model::{QueueId, Topic};
use parking_lot::Mutex;
use read::{Row, Run};
use rt::{Disk, Signal};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use write::QueueTable;

#[cfg(test)]
mod tests;

/// All runs, oldest first; none overlap.
pub(crate) struct Runs {
    list: ArcSwap<Vec<Arc<Run>>>,
    /// Held while the list is changed.
    change: Mutex<()>,
    /// Tells the index stage that a run turned out to be damaged.
    damaged: Signal,
}

/// Where a queue was read last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// Start and end of the run in the log.
    run: (u64, u64),
    row: Row,
}

/// The folder of the runs.
pub(crate) fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

fn read_error(run: &Run, error: &io::Error, damaged: &Signal) -> ReadError {
    if run.is_damaged() {
        damaged.give();
        return ReadError::Rebuilding { path: Arc::clone(&run.path) };
    }
    io_error(&run.path, error)
}

impl Runs {
    pub(crate) fn new(list: Vec<Arc<Run>>, damaged: Signal) -> Self {
        Self { list: ArcSwap::from_pointee(list), change: Mutex::new(()), damaged }
    }

    pub(crate) fn list(&self) -> Guard<Arc<Vec<Arc<Run>>>> {
        self.list.load()
    }

    pub(crate) fn signal(&self) -> Signal {
        self.damaged.clone()
    }

    /// Puts `new` in the place of those that lie within a part of the log; gives those back.
    pub(crate) fn replace(&self, part: Range<u64>, new: Vec<Arc<Run>>) -> Vec<Arc<Run>> {
        let _guard = self.change.lock();
        let is_within = |run: &Arc<Run>| part.start <= run.header.from && run.header.to <= part.end;
        let (old, mut kept): (Vec<_>, Vec<_>) = self.list.load().iter().cloned().partition(is_within);
        kept.extend(new);
        kept.sort_by_key(|run| run.header.from);
        self.list.store(Arc::new(kept));
        old
    }

    /// Appends entries of a queue from the one run that has the first of the offsets; tells how many.
    /// None if no run has it.
    pub(crate) fn read(
        &self,
        topic: &Topic,
        id: QueueId,
        offsets: Range<u64>,
        cursor: &mut Cursor,
        out: &mut Vec<Entry>,
    ) -> Result<usize, ReadError> {
        let list = self.list.load();
        let Some((run, row)) = self.locate(&list, topic, id, offsets.start, cursor)? else { return Ok(0) };
        let count = (row.end().min(offsets.end) - offsets.start) as usize;
        let index = row.index + offsets.start - row.first;
        out.reserve(count);
        let before = out.len();
        for (spot, offset) in run.entries(index..index + count as u64).zip(offsets.start..) {
            match spot {
                Ok(spot) => out.push(spot.entry(offset)),
                Err(error) => {
                    out.truncate(before);
                    return Err(read_error(run, &error, &self.damaged));
                }
            }
        }
        Ok(count)
    }

    fn locate<'a>(
        &self,
        list: &'a [Arc<Run>],
        topic: &Topic,
        id: QueueId,
        offset: u64,
        cursor: &mut Cursor,
    ) -> Result<Option<(&'a Arc<Run>, Row)>, ReadError> {
        let at = list.partition_point(|run| run.header.from < cursor.run.0);
        let known = list.get(at).filter(|run| (run.header.from, run.header.to) == cursor.run);
        if let Some(run) = known.filter(|_| (cursor.row.first..cursor.row.end()).contains(&offset)) {
            return Ok(Some((run, cursor.row)));
        }
        // Readers go forward: what follows the last place comes first, then all others from the newest on.
        let forward = if known.is_some() && offset >= cursor.row.end() { at + 1 } else { list.len() };
        for run in list[forward..].iter().chain(list[..forward].iter().rev()) {
            let row = run.row(topic, id).map_err(|error| read_error(run, &error, &self.damaged))?;
            if let Some(row) = row.filter(|row| (row.first..row.end()).contains(&offset)) {
                *cursor = Cursor { run: (run.header.from, run.header.to), row };
                return Ok(Some((run, row)));
            }
        }
        Ok(None)
    }

    /// The oldest offset of a queue that a run has which reaches beyond the start of the log.
    ///
    /// A run that cannot be read is an error: to pass over it would hide messages that are there.
    pub(crate) fn first_offset(&self, topic: &Topic, id: QueueId, log_min: u64) -> Result<Option<u64>, ReadError> {
        for run in self.list.load().iter().filter(|run| run.header.to > log_min) {
            let row = run.row(topic, id).map_err(|error| read_error(run, &error, &self.damaged))?;
            if let Some(row) = row {
                return Ok(Some(row.first));
            }
        }
        Ok(None)
    }

    /// The first message of a queue behind an offset, as far as runs tell.
    pub(crate) fn spot_after(&self, topic: &Topic, id: QueueId, offset: u64) -> Result<Option<Spot>, ReadError> {
        for run in self.list.load().iter() {
            let failed = |error| read_error(run, &error, &self.damaged);
            let row = run.row(topic, id).map_err(failed)?.filter(|row| row.first > offset);
            if let Some(row) = row {
                return run.entries(row.index..row.index + 1).next().transpose().map_err(failed);
            }
        }
        Ok(None)
    }

    /// The positions under a key's hash in runs that have messages of a range of times, newest first.
    pub(crate) fn positions_of(&self, hash: u64, times: &std::ops::RangeInclusive<i64>) -> Result<Vec<u64>, ReadError> {
        let mut positions = Vec::new();
        for run in self.list.load().iter().rev() {
            if run.header.max_time < *times.start() || run.header.min_time > *times.end() {
                continue;
            }
            let found = run.positions_of(hash).map_err(|error| read_error(run, &error, &self.damaged))?;
            positions.extend(found.into_iter().rev());
        }
        Ok(positions)
    }
}

/// The next offset of every queue at the end of the last run, from the newest table and the runs after it.
pub(crate) fn queue_table(runs: &[Arc<Run>]) -> io::Result<QueueTable> {
    let newest = runs.iter().rposition(|run| run.header.has_table).unwrap_or(0);
    let mut table = QueueTable::new();
    for run in &runs[newest..] {
        // The table of a run already counts its own rows.
        if !(run.header.has_table && table.is_empty() && run.read_table(&mut table)?) {
            run.read_ends(&mut table)?;
        }
    }
    Ok(table)
}

/// Removes the files of runs that are no longer listed. A failure leaves a file that is removed later.
pub(crate) fn remove(disk: &dyn Disk, runs: &[Arc<Run>]) {
    for run in runs {
        if let Err(error) = disk.remove(&run.path) {
            tracing::warn!(path = %run.path.display(), %error, "cannot remove a file of the index now");
        }
    }
}
