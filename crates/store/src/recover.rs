//! Opening a store: which files there are, where the log ends, what the index lacks.

mod chain;
mod collect;
mod walk;

use crate::index::Newest;
use crate::log::segment::{self, HeaderFlaw, SEGMENT_HEADER_LEN, Segment};
use crate::log::{Log, log_dir};
use crate::queues::Queues;
use crate::run::read::Run;
use crate::run::write::QueueTable;
use crate::run::{self, Runs, index_dir, queue_table};
use crate::store::Shared;
use crate::{OpenError, Options, retain};
use collect::{Collector, Limits, Rest};
use model::PhysicalOffset;
use rt::{Disk, DiskLock, Host, Signal};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use walk::{Walk, Walked};

/// A damaged place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damage begins.
    pub position: PhysicalOffset,
    /// Where the log can be read again.
    pub until: PhysicalOffset,
    /// What is wrong.
    pub reason: String,
}

/// The end of the log as it was cut at start: it was being written when the machine stopped, or the options asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The new end of the log.
    pub position: PhysicalOffset,
    /// What was wrong there.
    pub reason: String,
}

/// What was found when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Damaged places found (only parts of the log that no run covers are looked at).
    pub damages: Vec<Damage>,
    /// The torn end, if there was one.
    pub cut: Option<Cut>,
    /// Bytes of log that were read.
    pub scanned_bytes: u64,
    /// Runs of the index that were missing or damaged and have been built anew.
    pub runs_rebuilt: usize,
    /// Queues known.
    pub queues: usize,
}

/// What the stages start from.
pub(crate) struct Found {
    pub(crate) shared: Shared,
    /// The segment to write.
    pub(crate) segment: Arc<Segment>,
    /// Where to write.
    pub(crate) end: u64,
    pub(crate) last_timestamp: i64,
}

const REBUILD: &str = "build the index anew from the log in";

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Io { action, path, error }
}

/// Keeps other processes away.
pub(crate) fn lock(host: &Host, options: &Options) -> Result<Box<dyn DiskLock>, OpenError> {
    let dir = &options.dir;
    create_dir(&*host.disk, dir)?;
    let path = dir.join("lock");
    host.disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { path: path.clone() },
        _ => OpenError::Io { action: "lock", path: path.clone(), error },
    })
}

fn create_dir(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    match disk.try_exists(dir).map_err(failed("look for", dir))? {
        true => Ok(()),
        false => disk.create_dir(dir).map_err(failed("create", dir)),
    }
}

/// Finds the end of the log and completes the index.
pub(crate) fn recover(host: &Host, options: Options) -> Result<(Found, Recovered), OpenError> {
    let disk = &*host.disk;
    let (log_dir, index_dir) = (log_dir(&options.dir), index_dir(&options.dir));
    create_dir(disk, &log_dir)?;
    create_dir(disk, &index_dir)?;
    let mut recovered = Recovered::default();
    // Runs cover only what was on disk, so the log once reached at least as far as they do.
    let durable = match options.truncate_to {
        None => chain::reach(disk, &index_dir).map_err(failed("read", &index_dir))?,
        Some(_) => 0,
    };
    let mut segments = open_segments(disk, &log_dir, &options, durable, &mut recovered)?;
    let start = segments.first().map_or(0, |segment| segment.start);
    let files_end = segments.last().map_or(0, |segment| segment.end());
    let wanted_end = options.truncate_to.map_or(files_end, |to| to.0.clamp(start, files_end));

    let mut chain = chain::choose(disk, &index_dir, start..wanted_end).map_err(failed("read", &index_dir))?;
    let missing = retain::not_removed(disk, &log_dir, &chain.orphans).map_err(failed("list", &log_dir))?;
    recovered.damages.extend(missing.into_iter().map(|part| Damage {
        position: PhysicalOffset(part.start),
        until: PhysicalOffset(part.end),
        reason: format!("the file of the log that began there is missing from {}", log_dir.display()),
    }));
    // What is read now must not be lost later: runs and readers build on it.
    // Syncing a log that was just created can wait for the first append.
    let is_new = segments.iter().all(|segment| segment.is_new());
    // More than this was never unsynced at a time. The log may end in the last file but one: the last may be a spare.
    let unsynced_max = options.unsynced_bytes_max + options.pending_bytes_max;
    let end_min = segments.iter().rev().nth(1).map_or(start, |segment| segment.start);
    let unsynced_from = chain.end.max(end_min.saturating_sub(unsynced_max));
    for segment in segments.iter().filter(|segment| !is_new && segment.end() > chain.end) {
        walk::write_again(segment, unsynced_from).map_err(failed("write again", &segment.path))?;
        segment.sync(disk).map_err(failed("sync", &segment.path))?;
    }
    let parts = Parts { disk, index_dir: &index_dir, options: &options, segments: &segments };
    for gap in std::mem::take(&mut chain.gaps) {
        recovered.scanned_bytes += gap.end - gap.start;
        let rebuilt = parts.rebuild(gap, &mut recovered).map_err(failed(REBUILD, &index_dir))?;
        chain.runs.extend(rebuilt);
    }
    chain.runs.sort_by_key(|run| run.header.from);

    let mut collector = parts.collector(chain.end);
    let walk = Walk { segments: &segments, durable: 0 };
    let walked = walk.run(chain.end..wanted_end, &mut collector).map_err(failed("read", &log_dir))?;
    recovered.scanned_bytes += walked.end - chain.end;
    chain.runs.append(&mut collector.runs);
    recovered.damages.append(&mut collector.damages);
    let (from, mut last_timestamp) = (collector.from, collector.last_timestamp);
    let rest = collector.into_rest();
    let table = parts.table(&mut chain.runs, &mut recovered).map_err(failed(REBUILD, &index_dir))?;
    cut(disk, &log_dir, &mut segments, &walked, wanted_end < files_end, &mut recovered)?;

    let active = segments.last().cloned().ok_or_else(|| OpenError::Io {
        action: "find a file of the log in",
        path: log_dir.clone(),
        error: io::ErrorKind::NotFound.into(),
    })?;
    let end = walked.end.max(active.start + SEGMENT_HEADER_LEN);
    last_timestamp = chain.runs.iter().map(|run| run.header.max_time).fold(last_timestamp, i64::max);
    let runs = Runs::new(chain.runs, Signal::default());
    let log = Arc::new(Log::new(host.clone(), options, segments, runs, end));
    let (queues, newest) = fill(&log, &log_dir, table, rest, from, &mut recovered)?;
    recovered.queues = queues.len();
    let removals = retain::find_removals(disk, &log_dir).map_err(failed("list", &log_dir))?;
    report(&recovered);
    Ok((Found { shared: Shared::new(log, queues, newest, removals), segment: active, end, last_timestamp }, recovered))
}

/// Builds runs over a part of the log anew.
pub(crate) fn rebuild(log: &Log, part: Range<u64>) -> io::Result<Vec<Arc<Run>>> {
    let (segments, index_dir) = (log.segments.load(), index_dir(&log.options.dir));
    let parts = Parts { disk: &*log.host.disk, index_dir: &index_dir, options: &log.options, segments: &segments };
    parts.rebuild(part, &mut Recovered::default())
}

/// What building runs needs.
struct Parts<'a> {
    disk: &'a dyn Disk,
    index_dir: &'a Path,
    options: &'a Options,
    segments: &'a [Arc<Segment>],
}

impl Parts<'_> {
    fn collector(&self, from: u64) -> Collector<'_> {
        let limits = Limits { entries: self.options.run_entries_max, log_bytes: self.options.run_log_bytes };
        let borders = self.segments.iter().flat_map(|segment| [segment.start, segment.end()]).collect();
        Collector::new(self.disk, self.index_dir, limits, borders, from)
    }

    fn rebuild(&self, part: Range<u64>, recovered: &mut Recovered) -> io::Result<Vec<Arc<Run>>> {
        let mut collector = self.collector(part.start);
        Walk { segments: self.segments, durable: part.end }.run(part.clone(), &mut collector)?;
        if collector.from < part.end {
            collector.write_run(part.end)?;
        }
        recovered.runs_rebuilt += collector.runs.len();
        recovered.damages.append(&mut collector.damages);
        Ok(collector.runs)
    }

    /// The next offset of every queue by the runs; damaged ones are built anew.
    fn table(&self, runs: &mut Vec<Arc<Run>>, recovered: &mut Recovered) -> io::Result<QueueTable> {
        loop {
            let error = match queue_table(runs) {
                Ok(table) => return Ok(table),
                Err(error) => error,
            };
            let Some(at) = runs.iter().position(|run| run.is_damaged()) else { return Err(error) };
            let old = runs.remove(at);
            tracing::warn!(path = %old.path.display(), "a file of the index is damaged; building it anew from the log");
            let rebuilt = self.rebuild(old.header.from..old.header.to, recovered)?;
            if rebuilt.iter().all(|run| run.path != old.path) {
                run::remove(self.disk, &[old]);
            }
            runs.extend(rebuilt);
            runs.sort_by_key(|run| run.header.from);
        }
    }
}

fn open_segments(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    durable: u64,
    recovered: &mut Recovered,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let names = disk.list(dir).map_err(failed("list", dir))?;
    let starts: Vec<u64> = names.iter().filter_map(|name| segment::start_of(name)).collect();
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    let mut flaws = Vec::new();
    for start in &starts {
        let path = segment::path_of(dir, *start);
        let (segment, flaw) = Segment::open(disk, dir, *start).map_err(failed("open", &path))?;
        if let Some(HeaderFlaw::Version(found)) = flaw {
            return Err(OpenError::Version { path, found, known: segment::VERSION });
        }
        let expected = segments.last().map_or(*start, |last| last.end());
        let until = if flaw.is_some() { start + SEGMENT_HEADER_LEN } else { *start };
        if flaw.is_some() || expected < *start {
            flaws.push((segments.len(), expected.min(*start)..until));
        }
        segments.push(Arc::new(segment));
    }
    for (number, part) in flaws {
        // Each file is on disk before the one after it exists.
        let has_gap = part.start < segments[number].start;
        let was_settled = has_gap || number + 1 < segments.len();
        let walk = Walk { segments: &segments[number..], durable };
        if !was_settled && !walk.was_durable(part.start + SEGMENT_HEADER_LEN).map_err(failed("read", dir))? {
            // The machine stopped before this was on disk, so nobody was told of anything from here on.
            remove_segments(disk, dir, segments.drain(number..).rev())?;
            break;
        }
        let path = segments[number].path.display();
        recovered.damages.push(Damage {
            position: PhysicalOffset(part.start),
            until: PhysicalOffset(part.end),
            reason: format!("{path}: its header is damaged, or the file before it is missing"),
        });
    }
    let beyond =
        options.truncate_to.map(|to| to.0).filter(|to| segments.first().is_some_and(|first| *to <= first.start));
    if let Some(start) = beyond {
        remove_segments(disk, dir, segments.drain(..))?;
        return Ok(vec![Arc::new(first_segment(disk, dir, options, start)?)]);
    }
    let end = segments.last().map_or(0, |last| last.end());
    if end < durable {
        // What was there is lost; but its positions and queue offsets must not be given out twice.
        segments.push(Arc::new(first_segment(disk, dir, options, durable)?));
        recovered.damages.push(Damage {
            position: PhysicalOffset(end),
            until: PhysicalOffset(durable),
            reason: format!("the index knows more of the log: its last file is missing from {}", dir.display()),
        });
    }
    if segments.is_empty() {
        let start = starts.first().copied().unwrap_or(0);
        segments.push(Arc::new(first_segment(disk, dir, options, start)?));
    }
    Ok(segments)
}

fn first_segment(disk: &dyn Disk, dir: &Path, options: &Options, start: u64) -> Result<Segment, OpenError> {
    Segment::create(disk, dir, start, options.segment_bytes, options.epoch.0)
        .map_err(failed("create", &segment::path_of(dir, start)))
}

fn remove_segments(disk: &dyn Disk, dir: &Path, segments: impl Iterator<Item = Arc<Segment>>) -> Result<(), OpenError> {
    let mut is_changed = false;
    for segment in segments {
        disk.remove(&segment.path).map_err(failed("remove", &segment.path))?;
        is_changed = true;
    }
    if is_changed { disk.sync_dir(dir).map_err(failed("sync", dir)) } else { Ok(()) }
}

/// Removes all that lies behind the end of the log.
fn cut(
    disk: &dyn Disk,
    dir: &Path,
    segments: &mut Vec<Arc<Segment>>,
    walked: &Walked,
    is_asked_for: bool,
    recovered: &mut Recovered,
) -> Result<(), OpenError> {
    // A segment that begins where the log ends is as good as one that is still to be created.
    let kept = segments.partition_point(|segment| segment.start < walked.end).max(1);
    let removed: Vec<_> = segments.drain(kept..).collect();
    let has_files = removed.iter().any(|segment| !is_untouched(segment));
    // From the last one on, so that a crash leaves no gap.
    remove_segments(disk, dir, removed.into_iter().rev())?;
    let Some(active) = segments.last() else { return Ok(()) };
    let end = walked.end.max(active.start + SEGMENT_HEADER_LEN);
    let has_garbage = walk::clear_behind(active, end).map_err(failed("clear the end of", &active.path))?;
    // The zeros that were read there would count as data at the next start, and more of them at each further one.
    active.release(end..active.end());
    if has_garbage || has_files || walked.is_batch_torn {
        let reason = match (is_asked_for, walked.flaw) {
            (true, None) => "the options say where to cut it".to_owned(),
            (_, Some(flaw)) if !walked.is_batch_torn => flaw.to_string(),
            _ => "the last batch is not complete".to_owned(),
        };
        recovered.cut = Some(Cut { position: PhysicalOffset(walked.end), reason });
    }
    Ok(())
}

/// Whether a segment has nothing but its header (it was prepared for later).
fn is_untouched(segment: &Segment) -> bool {
    let first = segment.start + SEGMENT_HEADER_LEN;
    segment.read(first, SEGMENT_HEADER_LEN as usize).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// The queues and what memory has of the index.
fn fill(
    log: &Arc<Log>,
    log_dir: &Path,
    table: QueueTable,
    rest: Rest,
    from: u64,
    recovered: &mut Recovered,
) -> Result<(Queues, Newest), OpenError> {
    let queues = Queues::default();
    for ((topic, id), next) in table {
        #[cfg(feature = "planted-bugs")]
        let next = if log.has_bug(crate::PlantedBug::OffsetReused) { next.saturating_sub(1) } else { next };
        queues.restore(&topic, id, log, next);
    }
    let newest = Newest { from, entries: rest.entries.len(), keys: rest.keys.into_iter().collect() };
    for ((topic, id), offset, spot) in rest.entries {
        let queue = queues.get_or_make(&topic, id, log);
        if !queue.restore(offset, spot) {
            let reason = format!("a second message has offset {offset} of queue {id} of {topic}; it is left out");
            let (position, until) = (PhysicalOffset(spot.physical), PhysicalOffset(spot.end()));
            recovered.damages.push(Damage { position, until, reason });
        }
    }
    match retain::read_ends(&*log.host.disk, log_dir).map_err(failed("read the ends of queues in", log_dir))? {
        retain::Ends::None => {}
        retain::Ends::Table(ends) => {
            // Only for queues of which the log has no message left.
            let unknown = ends.into_iter().filter(|((topic, id), _)| queues.get(topic, *id).is_none());
            let unknown: Vec<_> = unknown.collect();
            unknown.iter().for_each(|((topic, id), next)| drop(queues.restore(topic, *id, log, *next)));
        }
        retain::Ends::Damaged => recovered.damages.push(Damage {
            position: PhysicalOffset(log.min()),
            until: PhysicalOffset(log.min()),
            reason: "the table of the ends of queues is damaged; queues without messages may begin at 0 again"
                .to_owned(),
        }),
    }
    Ok((queues, newest))
}

fn report(recovered: &Recovered) {
    for damage in &recovered.damages {
        let (position, until) = (damage.position.0, damage.until.0);
        tracing::error!(position, until, reason = damage.reason, "the log is damaged; messages there are lost");
    }
    if let Some(cut) = &recovered.cut {
        tracing::warn!(position = cut.position.0, reason = cut.reason, "the end of the log was torn and has been cut");
    }
}
