//! One queue of a topic: positions of its messages in the log.
//!
//! The newest entries are in memory, all others in the runs of the index. Entries come to memory in one place, from the
//! writer (or recovery), before the log says that they are written; what readers see is bounded by the log's positions.

use crate::index::Spot;
use crate::log::Log;
use crate::log::read::no_offset;
use crate::pieces::Pieces;
use crate::run::Cursor;
use crate::{Flush, ReadError};
use model::{PhysicalOffset, QueueId, QueueOffset, Topic};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Where a message of a queue lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the queue.
    pub offset: QueueOffset,
    /// Position of the record in the log.
    pub physical: PhysicalOffset,
    /// Bytes of the record.
    pub size: u32,
    /// [`model::java_hash`] of its tags; 0 if it has none.
    pub tag_hash: i32,
    /// Ms since the epoch by the broker's clock.
    pub store_timestamp: i64,
}

/// Which message a time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The first one stored at that time or later; the end of the queue if there is none.
    #[default]
    Lower,
    /// The last one stored at that time or earlier; the first of the queue if there is none.
    Upper,
}

/// What was put into a queue during some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Messages.
    pub messages: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

/// One queue of a topic.
///
/// Of very many queues each is far from the processor, so what an append needs stands together, in this order.
#[repr(C)]
pub struct Queue {
    topic: Topic,
    log: Arc<Log>,
    id: QueueId,
    /// 0 for the store's option.
    flush: AtomicU8,
    /// Those who wait for `moved`: mostly none, and to know that is cheaper than to wake nobody.
    waiting: AtomicU32,
    state: Mutex<State>,
    moved: Notify,
    hide_before: AtomicU64,
}

#[repr(C)]
#[derive(Default)]
struct State {
    /// Offset of the first entry of `tail`.
    base: u64,
    /// Number of the writer's group that touched it last.
    touched: u64,
    /// Since it was taken last.
    intake: Intake,
    tail: Pieces<Spot>,
    /// The visible end never goes back, even if the flush policy changes.
    visible: u64,
    /// The first readable offset, and for which first readable position of the log it was found.
    min: Option<(u64, u64)>,
    cursor: Cursor,
}

impl Queue {
    pub(crate) fn new(topic: Topic, id: QueueId, log: Arc<Log>, next: u64) -> Self {
        let state = State { base: next, ..State::default() };
        Self {
            topic,
            id,
            log,
            flush: AtomicU8::new(0),
            hide_before: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            state: Mutex::new(state),
            moved: Notify::new(),
        }
    }

    /// Has the processor bring near what an append needs, see [`rt::prefetch`].
    pub fn prefetch(&self) {
        /// The fields up to the tail and its first few entries.
        const APPEND_BYTES: usize = 256;
        rt::prefetch(self, APPEND_BYTES);
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// The first readable offset; the end if there is none.
    #[must_use]
    pub fn min_offset(&self) -> QueueOffset {
        let floor = self.log.min().max(self.hide_before.load(Ordering::Relaxed));
        {
            let mut state = self.state.lock();
            let visible = self.visible_end(&mut state);
            if let Some((_, min)) = state.min.filter(|(found_for, _)| *found_for == floor) {
                return QueueOffset(min.min(visible));
            }
        }
        let found = self.find_min(floor);
        let mut state = self.state.lock();
        let visible = self.visible_end(&mut state);
        if let Ok(min) = found {
            state.min = Some((floor, min));
        }
        // While the index cannot be read, what is known is too low rather than too high: reading there says why.
        let min = state.min.map_or(0, |(_, min)| min);
        QueueOffset(min.min(visible))
    }

    /// The first offset whose entry lies at `floor` or later; the next offset if there is none yet.
    fn find_min(&self, floor: u64) -> Result<u64, ReadError> {
        let (base, end) = {
            let state = self.state.lock();
            (state.base, state.next())
        };
        // A log that still has its first segment has each queue from its first message on.
        let log_min = self.log.min();
        let lowest = match log_min {
            0 => 0,
            _ => self.log.runs.first_offset(&self.topic, self.id, log_min)?.unwrap_or(base),
        };
        if log_min >= floor {
            return Ok(lowest);
        }
        let mut failure = None;
        let min = partition(lowest, end, |offset| match self.try_spot(offset) {
            Ok(spot) => spot.is_none_or(|spot| spot.physical < floor),
            Err(error) => {
                failure = Some(error);
                true
            }
        });
        failure.map_or(Ok(min), Err)
    }

    /// Whether one of its messages lies in a part of the log.
    pub(crate) fn has_entry_in(&self, part: &Range<u64>) -> Result<bool, ReadError> {
        let first = self.find_min(part.start)?;
        Ok(self.try_spot(first)?.is_some_and(|spot| spot.physical < part.end))
    }

    /// Position of the first message that is not hidden; beyond all if there is none. Before all if it is lost.
    pub(crate) fn shown_from(&self) -> Result<u64, ReadError> {
        let first = self.try_spot(self.min_offset().0)?;
        Ok(first.map_or(u64::MAX, |spot| if spot.size == 0 { 0 } else { spot.physical }))
    }

    /// The first offset that readers may not see yet: the end of the queue.
    #[must_use]
    pub fn max_offset(&self) -> QueueOffset {
        QueueOffset(self.visible_end(&mut self.state.lock()))
    }

    /// What was put in since this was called last; what was found at the start does not count.
    #[must_use]
    pub fn take_intake(&self) -> Intake {
        std::mem::take(&mut self.state.lock().intake)
    }

    fn visible_end(&self, state: &mut State) -> u64 {
        let limit = self.log.limit(self.flush());
        let is_seen = |spot: &Spot| spot.end() <= limit;
        let seen = match state.tail.last() {
            Some(last) if !is_seen(&last) => state.tail.partition_point(is_seen),
            _ => state.tail.len(),
        };
        state.visible = state.visible.max(state.base + seen as u64);
        state.visible
    }

    /// Appends up to `count_max` visible entries from `from` on to `out`: none at the end of the queue, fewer before a
    /// damaged place. Readers go on behind the last one.
    ///
    /// # Errors
    /// [`ReadError::NoOffset`] below [`Queue::min_offset`] or beyond [`Queue::max_offset`], [`ReadError::Damaged`] if
    /// the message at `from` is lost in a damaged part of the log. May block on the disk for offsets that are not
    /// [hot](crate::Store::is_hot).
    pub fn entries(&self, from: QueueOffset, count_max: usize, out: &mut Vec<Entry>) -> Result<(), ReadError> {
        let min = self.min_offset().0;
        let (before, limit) = (out.len(), from.0.saturating_add(count_max as u64));
        loop {
            let next = from.0 + (out.len() - before) as u64;
            let (end, base) = {
                let mut state = self.state.lock();
                let end = self.visible_end(&mut state);
                if next == from.0 && (next < min || next > end) {
                    return Err(no_offset(next, min, end));
                }
                state.copy(next, end, (limit - next) as usize, out);
                (end, state.base)
            };
            let in_runs = next..end.min(base).min(limit);
            if in_runs.is_empty() {
                break;
            }
            match self.entries_of_runs(in_runs.start, in_runs.end, out) {
                Err(error) if next == from.0 => return Err(error),
                // What was got before is not lost over it.
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let is_lost = |entry: &Entry| entry.size == 0;
        match out[before..].iter().position(is_lost) {
            Some(0) => {
                let position = out[before].physical.0;
                out.truncate(before);
                Err(self.log.damaged(position, "a message before this position is lost in a damaged part of the log"))
            }
            Some(readable) => {
                out.truncate(before + readable);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn entries_of_runs(&self, from: u64, end: u64, out: &mut Vec<Entry>) -> Result<(), ReadError> {
        let mut cursor = self.state.lock().cursor;
        let before = out.len();
        let mut next = from;
        while next < end {
            match self.log.runs.read(&self.topic, self.id, next..end, &mut cursor, out) {
                Ok(0) if out.len() > before => break,
                Ok(0) if next < self.min_offset().0 => {
                    // Retention was here in the meantime.
                    return Err(no_offset(next, self.min_offset().0, end));
                }
                Ok(0) => {
                    let position = self.spot_after(next)?.map_or_else(|| self.log.written(), |spot| spot.physical);
                    return Err(self
                        .log
                        .damaged(position, "a message before this position is lost in a damaged part of the log"));
                }
                Ok(count) => next += count as u64,
                Err(_) if out.len() > before => break,
                Err(error) => return Err(error),
            }
        }
        self.state.lock().cursor = cursor;
        Ok(())
    }

    /// The first offset from `from` on whose message is not lost in a damaged part of the log.
    ///
    /// # Errors
    /// As [`Queue::entries`].
    pub fn readable_from(&self, from: QueueOffset) -> Result<QueueOffset, ReadError> {
        let (mut offset, end) = (from.0.max(self.min_offset().0), self.max_offset().0);
        let mut found = Vec::new();
        while offset < end {
            found.clear();
            match self.entries(QueueOffset(offset), 1, &mut found) {
                Err(ReadError::Damaged { .. }) | Ok(()) if found.is_empty() => offset += 1,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(QueueOffset(offset))
    }

    /// The offset that a time (ms since the epoch) means.
    ///
    /// # Errors
    /// [`ReadError`] if the index cannot be read.
    pub fn offset_at(&self, timestamp: i64, boundary: Boundary) -> Result<QueueOffset, ReadError> {
        let (min, end) = (self.min_offset().0, self.max_offset().0);
        let mut failure = None;
        let mut stored_at = |offset| match self.try_spot(offset) {
            Ok(spot) => spot.map_or(i64::MIN, |spot| spot.store_timestamp),
            Err(error) => {
                failure = Some(error);
                i64::MIN
            }
        };
        let offset = match boundary {
            Boundary::Lower => partition(min, end, |offset| stored_at(offset) < timestamp),
            Boundary::Upper => {
                let after = partition(min, end, |offset| stored_at(offset) <= timestamp);
                after.saturating_sub(1).max(min)
            }
        };
        failure.map_or(Ok(QueueOffset(offset)), Err)
    }

    /// The entry at an offset, lost messages included; `None` if nothing is known of it.
    fn try_spot(&self, offset: u64) -> Result<Option<Spot>, ReadError> {
        let mut cursor = {
            let state = self.state.lock();
            if offset >= state.base {
                return Ok(state.tail.get((offset - state.base) as usize));
            }
            state.cursor
        };
        let mut found = Vec::with_capacity(1);
        self.log.runs.read(&self.topic, self.id, offset..offset + 1, &mut cursor, &mut found)?;
        self.state.lock().cursor = cursor;
        match found.first() {
            Some(entry) => Ok(Some(Spot::of(entry))),
            // What lies before and behind a place without entries must still be found.
            None => Ok(self.spot_after(offset)?.map(|spot| spot.lost())),
        }
    }

    /// The first entry behind an offset that no run has.
    fn spot_after(&self, offset: u64) -> Result<Option<Spot>, ReadError> {
        let found = self.log.runs.spot_after(&self.topic, self.id, offset)?;
        Ok(found.or_else(|| self.state.lock().tail.first()))
    }

    /// Returns when [`Queue::max_offset`] is beyond `offset`.
    pub async fn wait_beyond(&self, offset: QueueOffset) {
        let _waiting = Waiting::count(&self.waiting);
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Be counted and listen first, then look, so that no move falls between.
            moved.as_mut().enable();
            if self.max_offset() > offset {
                return;
            }
            moved.await;
        }
    }

    /// Sets when appends to this queue are done and visible; `None` for the store's option.
    pub fn set_flush(&self, flush: Option<Flush>) {
        let code = match flush {
            None => 0,
            Some(Flush::Sync) => 1,
            Some(Flush::Async) => 2,
        };
        self.flush.store(code, Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// When appends to this queue are done and visible.
    #[must_use]
    pub fn flush(&self) -> Flush {
        match self.flush.load(Ordering::Relaxed) {
            0 => self.log.options.flush,
            1 => Flush::Sync,
            _ => Flush::Async,
        }
    }

    /// Hides messages that lie before a position of the log (those of a topic that was deleted).
    pub fn hide_before(&self, position: PhysicalOffset) {
        self.hide_before.fetch_max(position.0, Ordering::Relaxed);
    }

    /// First position of the log that this queue shows.
    pub(crate) fn hidden_before(&self) -> u64 {
        self.hide_before.load(Ordering::Relaxed)
    }

    /// Wakes who waits for a move of the log's positions, which must be done.
    pub(crate) fn wake(&self) {
        // To count, to move and to look are in one order: who waits is counted by now, or it will see the move.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.moved.notify_waiters();
        }
    }

    /// The writer's: gives the next message its offset, before it is written. Also whether this group touches the queue first.
    pub(crate) fn push(&self, group: u64, spot: Spot) -> (u64, bool) {
        let mut state = self.state.lock();
        let offset = state.next();
        state.intake.messages += 1;
        state.intake.bytes += u64::from(spot.size);
        state.tail.push(spot);
        let is_first = std::mem::replace(&mut state.touched, group) != group;
        (offset, is_first)
    }

    /// The writer's: takes back what lies at `position` or later, because it could not be written.
    pub(crate) fn take_back(&self, position: u64) {
        let mut state = self.state.lock();
        let State { tail, intake, .. } = &mut *state;
        let kept = tail.partition_point(|spot| spot.physical < position);
        for spot in tail.range(kept..tail.len()) {
            intake.messages = intake.messages.saturating_sub(1);
            intake.bytes = intake.bytes.saturating_sub(u64::from(spot.size));
        }
        tail.truncate(kept);
    }

    /// Recovery's: the entry that the log has for `offset`. Offsets without one in between count as lost.
    pub(crate) fn restore(&self, offset: u64, spot: Spot) -> bool {
        let mut state = self.state.lock();
        if state.tail.is_empty() {
            state.base = state.base.max(offset);
        }
        if offset < state.next() {
            return false;
        }
        while state.next() < offset {
            state.tail.push(spot.lost());
        }
        state.tail.push(spot);
        true
    }

    /// The first offset whose message does not lie below a position, which may not lie below what runs cover.
    pub(crate) fn offset_before(&self, position: u64) -> u64 {
        let state = self.state.lock();
        state.base + state.tail.partition_point(|spot| spot.physical < position) as u64
    }

    /// The index's: makes `spots` the entries in memory; gives the offset of the first.
    pub(crate) fn in_memory(&self, spots: &mut Pieces<Spot>) -> u64 {
        let state = self.state.lock();
        spots.clone_from(&state.tail);
        state.base
    }

    /// The index's: forgets the entries below a position, which are in a run now.
    pub(crate) fn drain(&self, position: u64) {
        let mut state = self.state.lock();
        let count = state.tail.partition_point(|spot| spot.physical < position);
        state.tail.take_first(count);
        state.base += count as u64;
        if state.tail.is_empty() {
            state.tail.shrink();
        }
    }
}

/// One who waits, as long as it lives.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn count(all: &'a AtomicU32) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    fn next(&self) -> u64 {
        self.base + self.tail.len() as u64
    }

    fn copy(&self, from: u64, end: u64, count_max: usize, out: &mut Vec<Entry>) {
        let Some(skip) = from.checked_sub(self.base) else { return };
        let end = end.min(from.saturating_add(count_max as u64)).saturating_sub(self.base);
        let (skip, end) = (skip as usize, (end as usize).min(self.tail.len()));
        if skip < end {
            out.extend(self.tail.range(skip..end).zip(from..).map(|(spot, offset)| spot.entry(offset)));
        }
    }
}

/// The first number of a range for which `is_before` no longer holds; the end if it holds for all.
fn partition(mut start: u64, mut end: u64, mut is_before: impl FnMut(u64) -> bool) -> u64 {
    while start < end {
        let middle = start + (end - start) / 2;
        if is_before(middle) { start = middle + 1 } else { end = middle }
    }
    start
}
