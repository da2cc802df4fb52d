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
}

/// Chooses among the files in `dir` for a log that reaches over `log`; removes the others.
pub(crate) fn choose(disk: &dyn Disk, dir: &Path, log: Range<u64>) -> io::Result<Chain> {
    let mut found = Vec::new();
    let mut unused = Vec::new();
    for name in disk.list(dir)? {
        match range_of(&name) {
            Some((from, to)) if log.start <= from && to <= log.end => match Run::open(disk, dir, from, to)? {
                Some(run) => found.push(run),
                None => {
                    tracing::warn!(name, "a file of the index is damaged; building it anew from the log");
                    unused.push(name);
                }
            },
            Some(_) => unused.push(name),
            None if name.ends_with(UNFINISHED) => unused.push(name),
            None => {}
        }
    }
    // Of two that begin together the larger one is their merger.
    found.sort_by_key(|run| (run.header.from, std::cmp::Reverse(run.header.to)));
    let mut chain = Chain { runs: Vec::new(), gaps: Vec::new(), end: log.start };
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
        disk.remove(&dir.join(name))?;
    }
    if !unused.is_empty() {
        disk.sync_dir(dir)?;
    }
    Ok(chain)
}
