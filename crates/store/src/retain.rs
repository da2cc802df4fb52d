//! Retention: whole segments go, oldest first, when they are old, too many, or all in them is hidden.
//!
//! A segment first gets another name, so that it is gone for readers and for the next start at once; its space is then
//! given back in steps, because a file system that frees a whole segment holds up the writer meanwhile.
//!
//! The log tells the end of each queue only as long as it has a message of it. So before segments are removed, the ends
//! of all queues are written to `log/queues`, big endian:
//!
//! ```text
//!   0  magic 8      "TREFQUE\n"
//!   8  version 4    1
//!  12  rows 4
//!  16  per row: topic length 2, topic, queue id 4, next offset 8
//!   …  crc 4        CRC-32 of everything before
//! ```

use crate::log::log_dir;
use crate::log::read::io_error;
use crate::log::segment::{self, Segment};
use crate::run::write::{QueueTable, range_of};
use crate::run::{self, index_dir};
use crate::stats::add;
use crate::store::Shared;
use crate::{Queue, ReadError};
use model::{PhysicalOffset, QueueId, Topic};
use rt::Disk;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MAGIC: &[u8; 8] = b"TREFQUE\n";
const VERSION: u32 = 1;
const NAME: &str = "queues";
const UNFINISHED_NAME: &str = "queues.tmp";

/// Ends the name of a segment whose space is being given back.
const REMOVED_SUFFIX: &str = ".removed";
/// Bytes given back at a time.
const STEP_BYTES: u64 = 64 << 20;

/// What need not be kept. Only whole segments go, and never the one being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages stored before this time (ms since the epoch) may go.
    pub before: i64,
    /// Topics of which only messages stored before an earlier time may go. A segment that holds such messages stays.
    pub longer: Vec<(Topic, i64)>,
    /// Bytes of log beyond which the oldest segments go, whatever their age; `None`: no bound.
    pub bytes_max: Option<u64>,
}

/// Segments whose space is still to be given back.
#[derive(Default)]
pub(crate) struct Removals(VecDeque<Removal>);

struct Removal {
    path: PathBuf,
    given_back: u64,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What the file of queue ends says.
pub(crate) enum Ends {
    None,
    Table(QueueTable),
    Damaged,
}

pub(crate) fn retain(shared: &Shared, retention: &Retention) -> Result<Retained, ReadError> {
    let log = &*shared.log;
    let mut expired = expired(shared, retention);
    let needed_from = log.needed_from.load(Ordering::SeqCst);
    expired.retain(|segment| segment.end() <= needed_from);
    let (Some(first), Some(last)) = (expired.first(), expired.last()) else { return Ok(Retained::default()) };
    let disk = &*log.host.disk;
    let dir = log.log_dir();
    write_ends(disk, &dir, &ends(shared)).map_err(|error| io_error(&dir.join(NAME).into(), &error))?;
    let (start, end) = (first.start, last.end());
    // Readers that hold a file may finish; nobody finds it any more.
    log.segments.rcu(|segments| segments.iter().filter(|segment| segment.start >= end).cloned().collect::<Vec<_>>());
    let old = log.runs.replace(start..end, Vec::new());
    let mut retained = Retained::default();
    for segment in &expired {
        let path = removed_path(&segment.path);
        disk.rename(&segment.path, &path).map_err(|error| io_error(&segment.path, &error))?;
        shared.removals.lock().0.push_back(Removal { path, given_back: 0 });
        add(&log.stats.segments_removed, 1);
        retained.segments += 1;
        retained.bytes += segment.len;
    }
    disk.sync_dir(&dir).map_err(|error| io_error(&dir.as_path().into(), &error))?;
    run::remove(disk, &old);
    let index = index_dir(&log.options.dir);
    disk.sync_dir(&index).map_err(|error| io_error(&index.as_path().into(), &error))?;
    Ok(retained)
}

/// Up to where segments would go if nobody needed them.
pub(crate) fn expiring(shared: &Shared, retention: &Retention) -> PhysicalOffset {
    let expired = expired(shared, retention);
    PhysicalOffset(expired.last().map_or(shared.log.min(), |segment| segment.end()))
}

fn removed_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(REMOVED_SUFFIX);
    path.into()
}

/// What a former process did not finish.
pub(crate) fn find_removals(disk: &dyn Disk, log_dir: &Path) -> io::Result<Removals> {
    let names = disk.list(log_dir)?;
    let left = names.iter().filter(|name| name.ends_with(REMOVED_SUFFIX));
    Ok(Removals(left.map(|name| Removal { path: log_dir.join(name), given_back: 0 }).collect()))
}

/// Those of the parts before the start of the log that are in none of the segments that retention took.
pub(crate) fn not_removed(disk: &dyn Disk, log_dir: &Path, parts: &[Range<u64>]) -> io::Result<Vec<Range<u64>>> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let mut taken = Vec::new();
    for name in disk.list(log_dir)? {
        if let Some(start) = name.strip_suffix(REMOVED_SUFFIX).and_then(segment::start_of) {
            taken.push(start..start + disk.open(&log_dir.join(&name))?.len()?);
        }
    }
    Ok(parts.iter().filter(|part| !taken.iter().any(|taken| taken.contains(&part.start))).cloned().collect())
}

/// Gives back the next part of what retention removed; true if there is more. What fails is left to the next start.
pub(crate) fn give_back(shared: &Shared) -> Result<bool, ReadError> {
    let disk = &*shared.log.host.disk;
    let Some(mut removal) = shared.removals.lock().0.pop_front() else { return Ok(false) };
    let failed = |error: io::Error| io_error(&removal.path.as_path().into(), &error);
    let file = disk.open(&removal.path).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    if removal.given_back == 0 {
        remove_runs(disk, &shared.log.options.dir, &removal.path, len).map_err(failed)?;
    }
    let to = len.min(removal.given_back + STEP_BYTES);
    if to < len {
        file.punch(removal.given_back..to).map_err(failed)?;
        removal.given_back = to;
        shared.removals.lock().0.push_front(removal);
        return Ok(true);
    }
    disk.remove(&removal.path).map_err(failed)?;
    Ok(!shared.removals.lock().0.is_empty())
}

/// Makes sure that a segment that retention took is gone under its old name, and that no run speaks of it any more, should
/// anything of that have failed before: a run without the file that tells that retention took its segment looks as if the
/// segment had been lost.
fn remove_runs(disk: &dyn Disk, dir: &Path, removed: &Path, len: u64) -> io::Result<()> {
    disk.sync_dir(&log_dir(dir))?;
    let name = removed.file_name().map(|name| name.to_string_lossy());
    let start = name.and_then(|name| segment::start_of(name.strip_suffix(REMOVED_SUFFIX)?));
    let Some(start) = start else { return Ok(()) };
    let index = index_dir(dir);
    for name in disk.list(&index)? {
        if range_of(&name).is_some_and(|(from, to)| start <= from && to <= start + len) {
            disk.remove(&index.join(name))?;
        }
    }
    disk.sync_dir(&index)
}

/// The segments that may go: a prefix of the log that runs cover wholly.
fn expired(shared: &Shared, retention: &Retention) -> Vec<Arc<Segment>> {
    let log = &*shared.log;
    let indexed = shared.newest.lock().from;
    let (segments, runs) = (log.segments.load(), log.runs.list());
    let Some((_, sealed)) = segments.split_last() else { return Vec::new() };
    let queues = shared.queues.all();
    let shown_from = sealed.first().map_or(0, |first| shown_from(&queues, first));
    let is_kept_longer = |segment: &Segment, newest_time: i64| {
        let mut longer = retention.longer.iter().filter(|(_, before)| newest_time >= *before);
        longer.any(|(topic, _)| has_messages(&queues, topic, segment.start..segment.end()))
    };
    let is_expired = |segment: &&Arc<Segment>| {
        if segment.end() > indexed {
            return false;
        }
        let kept_bytes = log.written().saturating_sub(segment.end());
        if retention.bytes_max.is_some_and(|max| kept_bytes >= max) || segment.end() <= shown_from {
            return true;
        }
        // No run reaches over the start of a segment; over its end it may, if the file was made shorter.
        let part = segment.start..segment.end().max(segment.start + 1);
        let within = runs.iter().filter(|run| part.contains(&run.header.from));
        let newest_time = within.map(|run| run.header.max_time).max().unwrap_or(i64::MAX);
        newest_time < retention.before && !is_kept_longer(segment, newest_time)
    };
    sealed.iter().take_while(is_expired).cloned().collect()
}

/// Position of the first message that is not hidden, or one before it. When in doubt the first segment has some.
fn shown_from(queues: &[Arc<Queue>], first: &Segment) -> u64 {
    if queues.iter().all(|queue| queue.hidden_before() <= first.start) {
        return first.start;
    }
    let mut shown_from = u64::MAX;
    for queue in queues {
        shown_from = shown_from.min(queue.shown_from().unwrap_or(first.start));
        if shown_from < first.end() {
            break;
        }
    }
    shown_from
}

/// Whether a topic has messages in a part of the log. When in doubt it has.
fn has_messages(queues: &[Arc<Queue>], topic: &Topic, part: Range<u64>) -> bool {
    let mut of_topic = queues.iter().filter(|queue| queue.topic() == topic);
    of_topic.any(|queue| queue.has_entry_in(&part).unwrap_or(true))
}

/// The end of each queue as a power failure would leave it at worst.
fn ends(shared: &Shared) -> QueueTable {
    let synced = shared.log.synced();
    let queues = shared.queues.all();
    queues
        .iter()
        .map(|queue| ((queue.topic().clone(), queue.id()), queue.offset_before(synced)))
        .filter(|(_, next)| *next > 0)
        .collect()
}

fn write_ends(disk: &dyn Disk, dir: &Path, ends: &QueueTable) -> io::Result<()> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&(ends.len() as u32).to_be_bytes());
    for ((topic, id), next) in ends {
        bytes.extend_from_slice(&(topic.as_str().len() as u16).to_be_bytes());
        bytes.extend_from_slice(topic.as_str().as_bytes());
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&next.to_be_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    let unfinished = dir.join(UNFINISHED_NAME);
    if disk.try_exists(&unfinished)? {
        disk.remove(&unfinished)?;
    }
    let file = disk.create(&unfinished, 0)?;
    file.write_at(&bytes, 0)?;
    file.sync()?;
    disk.rename(&unfinished, &dir.join(NAME))?;
    disk.sync_dir(dir)
}

pub(crate) fn read_ends(disk: &dyn Disk, dir: &Path) -> io::Result<Ends> {
    let path = dir.join(NAME);
    if !disk.try_exists(&path)? {
        return Ok(Ends::None);
    }
    let file = disk.open(&path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(decode_ends(&bytes[..read]).map_or(Ends::Damaged, Ends::Table))
}

fn decode_ends(bytes: &[u8]) -> Option<QueueTable> {
    let (bytes, crc) = bytes.split_last_chunk::<4>()?;
    if u32::from_be_bytes(*crc) != crc32fast::hash(bytes) {
        return None;
    }
    let (magic, bytes) = bytes.split_first_chunk::<8>()?;
    let (version, bytes) = bytes.split_first_chunk::<4>()?;
    let (count, mut bytes) = bytes.split_first_chunk::<4>()?;
    if magic != MAGIC || u32::from_be_bytes(*version) != VERSION {
        return None;
    }
    let mut table = QueueTable::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let (next, rest) = rest.split_first_chunk::<8>()?;
        let topic = Topic::from_stored(std::str::from_utf8(topic).ok()?);
        table.insert((topic, QueueId(u32::from_be_bytes(*id))), u64::from_be_bytes(*next));
        bytes = rest;
    }
    Some(table)
}
