//! The single writer: gives places, writes one group at a time.
//!
//! Whoever brings messages has encoded them; here they get places and checksums. A group is made of whole atomic batches.
//! Entries go to the queues' memory while the group is made; readers cannot see them before the log's position says so, and
//! they are taken back if the group cannot be written.

use super::append::Call;
use super::entry::{self, HEADER_LEN, Header};
use super::prepare;
use super::segment::{SEGMENT_HEADER_LEN, Segment};
use crate::index::{self, Key, Spot};
use crate::stats::add;
use crate::store::Shared;
use crate::{AppendError, Flush, Queue};
use model::record::Place;
use model::{PhysicalOffset, QueueOffset};
use rt::{Stage, Step};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes of one write; a larger batch is a group of its own.
const GROUP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How often appends that wait for the disk are looked over.
const OVERDUE_SCAN: Duration = Duration::from_millis(50);

/// The stage that writes the log.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    /// Where the next group begins.
    position: u64,
    /// Store times never go back.
    last_timestamp: i64,
    calls: VecDeque<Call>,
    incoming: Vec<Call>,
    group: Group,
    /// Bytes behind `position` that a failed write may have left.
    unclean: Option<Range<u64>>,
    /// The next segment could not be had, and that has been said.
    is_stuck: bool,
}

/// What is written together.
#[derive(Default)]
struct Group {
    /// Counts groups, so that queues know whether this one has touched them.
    number: u64,
    /// Bytes of what is in it: of each call those that its `group` says, then the padding.
    len: u64,
    /// What ends the segment.
    padding: Option<[u8; HEADER_LEN]>,
    records: u64,
    timestamp: i64,
    synced: u64,
    touched: Vec<Arc<Queue>>,
    keys: Vec<Key>,
    /// Calls whose last record is in this group.
    done: Vec<Call>,
    /// Results that the call at the front had before this group.
    before: usize,
}

impl Stage for Writer {
    fn step(&mut self) -> Step {
        let shared = Arc::clone(&self.shared);
        let log = &shared.log;
        if log.is_abandoned() {
            return self.end();
        }
        // Looked at before the inbox: whatever was accepted before is then found in it.
        let is_closing = log.is_closing();
        if let Some(poison) = log.poison().cloned() {
            self.take_calls();
            self.fail_all(&poison);
            return if is_closing { self.end() } else { Step::Wait };
        }
        if self.must_wait() {
            if let Some(error) = shared.index_failure.lock().clone() {
                // Waiting for the index may take until somebody makes room on the disk.
                self.take_calls();
                self.fail_all(&error);
                if is_closing {
                    return self.end();
                }
            }
            self.take_calls();
            self.refuse_overdue();
            return Step::WaitFor(OVERDUE_SCAN);
        }
        self.take_calls();
        if self.calls.is_empty() {
            return if is_closing { self.end() } else { Step::Wait };
        }
        self.write_calls();
        Step::Again
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, segment: Arc<Segment>, position: u64, last_timestamp: i64) -> Self {
        Self {
            shared,
            segment,
            position,
            last_timestamp,
            calls: VecDeque::new(),
            incoming: Vec::new(),
            group: Group::default(),
            unclean: None,
            is_stuck: false,
        }
    }

    fn end(&mut self) -> Step {
        self.shared.inbox.close();
        self.take_calls();
        self.fail_all(&AppendError::Closed);
        self.shared.written_last.store(true, Ordering::SeqCst);
        self.shared.log.signals.flush.give();
        self.shared.ended(|ended| ended.writer = true);
        Step::Done
    }

    /// Whether so much is unsynced or not yet in a run that appends have to wait for the disk.
    fn must_wait(&self) -> bool {
        let log = &self.shared.log;
        let is_unsynced = || log.written() - log.synced() > log.options.unsynced_bytes_max;
        if is_unsynced() {
            self.shared.is_throttled.store(true, Ordering::SeqCst);
            log.signals.flush.give();
            // The sync may have ended between the look and the word.
            return is_unsynced();
        }
        if index::is_behind(log, &self.shared.newest.lock()) {
            log.signals.flush.give();
            log.signals.index.give();
            return true;
        }
        false
    }

    fn take_calls(&mut self) {
        self.shared.inbox.take(&mut self.incoming);
        self.calls.extend(self.incoming.drain(..));
    }

    fn fail_all(&mut self, error: &AppendError) {
        for mut call in self.calls.drain(..) {
            self.shared.inbox.release(&call);
            call.fail_from(call.outcome.len(), error);
            call.complete();
        }
    }

    /// Refuses what has waited for the disk so long that its senders are about to give up: they must not find it stored
    /// after they have sent it again.
    fn refuse_overdue(&mut self) {
        let log = &self.shared.log;
        let (now, max) = (log.host.clock.monotonic(), Duration::from_millis(log.options.wait_max_ms));
        // They came in order, and what was begun must be finished.
        while let Some(mut call) =
            self.calls.pop_front_if(|call| call.outcome.is_empty() && now.saturating_sub(call.since) > max)
        {
            self.shared.inbox.release(&call);
            add(&log.stats.busy, 1);
            call.fail_from(0, &AppendError::Overdue { waited_ms: now.saturating_sub(call.since).as_millis() as u64 });
            call.complete();
        }
    }

    /// Writes all calls, in as many groups as needed.
    fn write_calls(&mut self) {
        self.begin_group();
        // Once the disk is full, what does not fit the segment is refused without trying again for each.
        let mut full = None;
        while let Some(call) = self.calls.front() {
            let first = call.outcome.len();
            let items = &call.appends.items;
            let (mut last, mut len) = (first, items[first].entry_len() as u64);
            while items[last].joined && last + 1 < items.len() {
                last += 1;
                len += items[last].entry_len() as u64;
            }
            let group_len = self.group.len;
            let room = self.segment.end() - self.position - group_len;
            if len > room {
                let rolled = full.take().map_or_else(|| self.roll(), Err);
                if let Err(error) = rolled {
                    self.fail_front(&error);
                    full = Some(error);
                }
            } else if group_len > 0 && group_len + len > GROUP_BYTES_MAX {
                // If that fails, the call at the front may be another one.
                let _reported = self.write_group();
                self.begin_group();
            } else {
                self.encode(first..last + 1);
            }
        }
        // Those who wait are told of a failure.
        let _reported = self.write_group();
    }

    fn fail_front(&mut self, error: &AppendError) {
        if let Some(mut call) = self.calls.pop_front() {
            call.fail_from(call.outcome.len(), error);
            self.group.done.push(call);
        }
    }

    fn begin_group(&mut self) {
        // The write before may have taken long.
        self.refuse_overdue();
        let log = &self.shared.log;
        let group = &mut self.group;
        group.number += 1;
        (group.len, group.padding, group.records) = (0, None, 0);
        self.last_timestamp = self.last_timestamp.max(log.host.clock.now().0);
        group.timestamp = self.last_timestamp;
        group.synced = log.synced();
        group.before = 0;
        if let Some(call) = self.calls.front_mut() {
            group.before = call.outcome.len();
            call.group.start = call.group.end;
        }
    }

    /// Adds an atomic batch of the call at the front to the group, and the call to its finished ones if it was the last.
    fn encode(&mut self, batch: Range<usize>) {
        let Some(call) = self.calls.front_mut() else { return };
        let (group, epoch) = (&mut self.group, self.shared.log.options.epoch.0);
        for number in batch.clone() {
            let item = &call.appends.items[number];
            let physical = self.position + group.len + HEADER_LEN as u64;
            let spot = Spot {
                physical,
                size: item.record_len,
                tag_hash: item.digest.tag_hash,
                store_timestamp: group.timestamp,
            };
            let (offset, is_first) = item.queue.push(group.number, spot);
            if is_first {
                group.touched.push(Arc::clone(&item.queue));
            }
            group.keys.extend(item.digest.keys().map(|hash| Key { hash, physical }));
            let place = Place {
                queue_offset: QueueOffset(offset),
                physical_offset: PhysicalOffset(physical),
                store_timestamp: group.timestamp,
            };
            let remaining = (batch.end - 1 - number) as u16;
            let header = Header { len: item.record_len, epoch, remaining, synced: group.synced };
            let (start, len) = (call.group.end, item.entry_len());
            entry::finish_record(&mut call.appends.bytes[start..start + len], header, place);
            call.group.end += len;
            group.len += len as u64;
            call.outcome.push(Ok(place));
            group.records += 1;
        }
        if call.outcome.len() == call.appends.len() {
            group.done.extend(self.calls.pop_front());
        }
    }

    /// Goes on in the next segment.
    fn roll(&mut self) -> Result<(), AppendError> {
        let next = self.segment.end();
        let segment = prepare::take(&self.shared, next).map_err(|error| {
            let path = super::segment::path_of(&self.shared.log.log_dir(), next);
            if !std::mem::replace(&mut self.is_stuck, true) {
                tracing::error!(path = %path.display(), %error, "cannot create the next file of the log; trying on");
            }
            append_error(&path.into(), &error, self.shared.log.options.segment_bytes)
        })?;
        let left = next - self.position - self.group.len;
        if let Some(len) = left.checked_sub(HEADER_LEN as u64) {
            let (epoch, synced) = (self.shared.log.options.epoch.0, self.group.synced);
            let header = Header { len: len as u32, epoch, remaining: 0, synced };
            self.group.padding = Some(entry::padding(header));
            self.group.len += HEADER_LEN as u64;
        }
        let written = self.write_group();
        if written.is_ok() {
            self.enter(segment);
        }
        self.begin_group();
        written
    }

    fn enter(&mut self, segment: Segment) {
        self.is_stuck = false;
        let segment = Arc::new(segment);
        self.position = segment.start + SEGMENT_HEADER_LEN;
        self.segment = Arc::clone(&segment);
        let log = &self.shared.log;
        log.segments.rcu(|segments| {
            let mut segments = Vec::clone(segments);
            segments.push(Arc::clone(&segment));
            segments
        });
        log.signals.prepare.give();
    }

    /// Writes the group and tells everyone; if that fails, takes it back.
    fn write_group(&mut self) -> Result<(), AppendError> {
        let written = if self.group.len == 0 { Ok(()) } else { self.write() };
        match written {
            Ok(()) => {
                self.publish();
                Ok(())
            }
            Err(error) => Err(self.take_back(&error)),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let log = &self.shared.log;
        let file = &self.segment.file;
        if let Some(unclean) = self.unclean.clone() {
            // Whole entries of a failed write must not be taken for successors of what is written now.
            let zeros = vec![0; (unclean.end - unclean.start) as usize];
            file.write_at(&zeros, unclean.start - self.segment.start)?;
            self.unclean = None;
        }
        // The call at the front may go on in the next group.
        let calls = self.group.done.iter().chain(self.calls.front());
        let parts = calls
            .map(|call| &call.appends.bytes[call.group.clone()])
            .chain(self.group.padding.as_ref().map(|bytes| &bytes[..]));
        let mut slices: Vec<IoSlice<'_>> = parts.map(IoSlice::new).collect();
        let start = log.host.clock.monotonic();
        let result = file.write_slices_at(&mut slices, self.position - self.segment.start);
        log.stats.write_latency.record(log.host.clock.monotonic().saturating_sub(start));
        result
    }

    fn publish(&mut self) {
        let (shared, group) = (&*self.shared, &mut self.group);
        let log = &shared.log;
        let len = std::mem::take(&mut group.len);
        if len > 0 {
            add(&log.stats.writes, 1);
            add(&log.stats.appended_records, group.records);
            add(&log.stats.appended_bytes, len);
            self.position += len;
            let mut newest = shared.newest.lock();
            newest.entries += group.records as usize;
            group.keys.drain(..).for_each(|key| newest.keys.push(key));
            drop(newest);
            log.set_written(self.position);
        }
        group.touched.retain(|queue| match queue.flush() {
            Flush::Sync => true,
            Flush::Async => {
                queue.wake();
                false
            }
        });
        let (mut waiting, mut done) = (Vec::new(), Vec::with_capacity(group.done.len()));
        for mut call in group.done.drain(..) {
            shared.inbox.release(&call);
            let is_synced = call.is_synced;
            #[cfg(feature = "planted-bugs")]
            let is_synced = is_synced && !log.has_bug(crate::PlantedBug::AckBeforeSync);
            // They are written: who waits for the sync need not hold them in memory.
            call.appends.bytes = Vec::new();
            if is_synced { waiting.push(call) } else { done.push(call) }
        }
        shared.complete(done);
        shared.board.add(log, &mut waiting, &mut group.touched);
    }

    fn take_back(&mut self, error: &io::Error) -> AppendError {
        let (shared, group) = (&*self.shared, &mut self.group);
        let needed = std::mem::take(&mut group.len);
        add(&shared.log.stats.write_errors, 1);
        let error = append_error(&self.segment.path, error, needed);
        tracing::error!(%error, "cannot write the log");
        let end = self.position + needed;
        self.unclean = Some(self.position..self.unclean.as_ref().map_or(end, |range| range.end.max(end)));
        group.touched.drain(..).for_each(|queue| queue.take_back(self.position));
        group.keys.clear();
        let mut before = group.before;
        let mut failed: Vec<Call> = group.done.drain(..).collect();
        // What earlier groups have of the first call is written.
        if let Some(call) = failed.first_mut() {
            call.fail_from(std::mem::take(&mut before), &error);
        }
        failed.iter_mut().skip(1).for_each(|call| call.fail_from(0, &error));
        if let Some(mut call) = self.calls.pop_front_if(|call| call.outcome.len() > before) {
            call.fail_from(before, &error);
            failed.push(call);
        }
        let mut waiting = Vec::new();
        for call in failed {
            shared.inbox.release(&call);
            // … but perhaps not synced: its sender is told of both together.
            let is_partly_written = call.outcome.iter().any(Result::is_ok);
            if call.is_synced && is_partly_written { waiting.push(call) } else { call.complete() }
        }
        if !waiting.is_empty() {
            shared.board.add(&shared.log, &mut waiting, &mut Vec::new());
        }
        error
    }
}

/// A failed write as those who append are told of it.
pub(crate) fn append_error(path: &Arc<Path>, error: &io::Error, needed: u64) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            AppendError::DiskFull { path: Arc::clone(path), needed }
        }
        _ => AppendError::Write { path: Arc::clone(path), error: error.to_string().into() },
    }
}
