//! Which runs on disk are to be used, and which parts of the log have none.

use crate::run::read::Run;
use crate::run::write::{UNFINISHED, range_of};
use rt::Disk;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The runs that cover the log from its start without overlapping.
pub(crate) struct Chain {
    /// Oldest first.
    pub(crate) runs: Vec<Arc<Run>>,
    /// Parts of the log between them that have no run.
    pub(crate) gaps: Vec<Range<u64>>,
    /// Where the last run ends.
    pub(crate) end: u64,
    /// Intact runs over parts before the start of the log, which retention took unless something else did.
    pub(crate) orphans: Vec<Range<u64>>,
}

/// Up to where intact runs say that the log was once on disk.
pub(crate) fn reach(disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
    let mut ranges: Vec<_> = disk.list(dir)?.iter().filter_map(|name| range_of(name)).collect();
    ranges.sort_unstable_by_key(|(_, to)| std::cmp::Reverse(*to));
    for (from, to) in ranges {
        if open(disk, dir, from, to).is_some() {
            return Ok(to);
        }
    }
    Ok(0)
}

/// A run, unless it is damaged or cannot be read: then it is built anew.
fn open(disk: &dyn Disk, dir: &Path, from: u64, to: u64) -> Option<Arc<Run>> {
    Run::open(disk, dir, from, to).unwrap_or_else(|error| {
        tracing::warn!(dir = %dir.display(), from, to, %error, "a file of the index cannot be read");
        None
    })
}

/// Chooses among the files in `dir` for a log that reaches over `log`; removes the others.
pub(crate) fn choose(disk: &dyn Disk, dir: &Path, log: Range<u64>) -> io::Result<Chain> {
    let mut found = Vec::new();
    let (mut unused, mut orphans) = (Vec::new(), Vec::new());
    for name in disk.list(dir)? {
        match range_of(&name) {
            Some((from, to)) if log.start <= from && to <= log.end => match open(disk, dir, from, to) {
                Some(run) => found.push(run),
                None => {
                    tracing::warn!(name, "a file of the index is damaged; building it anew from the log");
                    unused.push(name);
                }
            },
            Some((from, to)) => {
                if to <= log.start && open(disk, dir, from, to).is_some() {
                    orphans.push(from..to);
                }
                unused.push(name);
            }
            None if name.ends_with(UNFINISHED) => unused.push(name),
            None => {}
        }
    }
    // Of two that begin together the larger one is their merger.
    found.sort_by_key(|run| (run.header.from, std::cmp::Reverse(run.header.to)));
    let mut chain = Chain { runs: Vec::new(), gaps: Vec::new(), end: log.start, orphans };
    for run in found {
        let (from, to) = (run.header.from, run.header.to);
        if from < chain.end {
            unused.extend(run.path.file_name().map(|name| name.to_string_lossy().into_owned()));
            continue;
        }
        if from > chain.end {
            chain.gaps.push(chain.end..from);
        }
        chain.end = to;
        chain.runs.push(run);
    }
    for name in &unused {
        let path = dir.join(name);
        disk.remove(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    if !unused.is_empty() {
        disk.sync_dir(dir)?;
    }
    Ok(chain)
}
