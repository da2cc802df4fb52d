//! The one stage that writes the journal: all that waits is written and synced together.

use super::frame::FrameBuilder;
use super::journal::{Durable, Inbox, Proposal, Shared};
use super::load::Loaded;
use super::snapshot::{self, encode};
use super::state::State;
use super::{Change, Options, ProposeError, Version};
use model::{Group, QueueId, QueueOffset, Topic};
use rt::{File, Host, Stage, Step};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Most offsets in one batch; more go with the next.
const OFFSETS_PER_BATCH: usize = 50_000;
/// Bytes of proposals at which a batch is closed.
const BATCH_BYTES: usize = 16 << 20;
/// How long the journal is quiet before a seal is put behind its last frame.
const SEAL_AFTER: Duration = Duration::from_secs(1);
/// The journal is replaced by a snapshot when it is this many times as long as the last one.
const COMPACT_FACTOR: u64 = 4;

pub(super) struct Writer {
    host: Host,
    dir: PathBuf,
    options: Options,
    shared: Arc<Shared>,
    state: State,
    journal: Arc<dyn File>,
    journal_len: u64,
    snapshot_len: u64,
    /// When the writer saw the first offset that is not durable, by the monotonic clock.
    moved_at: Option<Duration>,
    /// Length at which the next compaction is tried; it grows if one fails.
    compact_at: u64,
    failed: Option<ProposeError>,
    /// Whether the journal ends with a frame without changes, or that could not be had.
    is_sealed: bool,
    /// When the last frame was written, by the monotonic clock.
    written_at: Duration,
}

/// Changes that go to the disk together.
#[derive(Default)]
struct Batch {
    offsets: Vec<(Group, Topic, QueueId, QueueOffset)>,
    proposals: Vec<Proposal>,
    /// Advances that are durable with this batch, if it has all of them.
    moves: Option<u64>,
}

impl Writer {
    pub(super) fn new(host: &Host, dir: &Path, options: Options, loaded: Loaded, shared: Arc<Shared>) -> Self {
        let mut writer = Self {
            host: host.clone(),
            dir: dir.to_owned(),
            options,
            shared,
            state: loaded.state,
            journal: loaded.journal,
            journal_len: loaded.journal_len,
            snapshot_len: loaded.snapshot_len,
            moved_at: None,
            compact_at: 0,
            failed: None,
            is_sealed: loaded.is_sealed,
            written_at: host.clock.monotonic(),
        };
        writer.compact_at = writer.next_compaction();
        writer
    }

    fn next_compaction(&self) -> u64 {
        self.options.compact_bytes_min.max(COMPACT_FACTOR * self.snapshot_len)
    }

    /// How long offsets may still wait; zero if they are due.
    fn offsets_wait(&mut self) -> Option<Duration> {
        let now = self.host.clock.monotonic();
        if self.shared.has_moved.load(Ordering::Acquire) {
            self.moved_at.get_or_insert(now);
        }
        let due = self.moved_at? + Duration::from_millis(self.options.offset_sync_ms);
        Some(due.saturating_sub(now))
    }

    /// Takes what is to be written now.
    fn take_batch(&mut self, inbox: &mut Inbox) -> Batch {
        let mut bytes = 0;
        let mut fits = |proposal: &Proposal| {
            bytes += proposal.line.len();
            bytes <= BATCH_BYTES
        };
        let count = inbox.proposals.iter().map_while(|proposal| fits(proposal).then_some(())).count().max(1);
        let proposals = inbox.proposals.drain(..count.min(inbox.proposals.len())).collect();
        Batch { proposals, ..Batch::default() }
    }

    fn drain_offsets(&mut self, batch: &mut Batch) {
        // The order matters: an advance after the flag is cleared sets it again, one before the count is drained below.
        self.shared.has_moved.store(false, Ordering::Release);
        let moves = self.shared.offsets.moves();
        if self.shared.offsets.drain(OFFSETS_PER_BATCH, &mut batch.offsets) {
            self.moved_at = None;
            batch.moves = Some(moves);
        } else {
            // The rest is due at once.
            self.moved_at = Some(Duration::ZERO);
        }
    }

    /// Writes, syncs, and only then lets the batch be seen and answers it.
    fn commit(&mut self, mut batch: Batch) -> Result<(), ProposeError> {
        if let Some(error) = self.failed.clone() {
            refuse(batch.proposals, &error);
            return Err(error);
        }
        let timestamp = self.host.clock.now().0;
        let mut next = self.state.clone();
        let mut frame = FrameBuilder::new();
        if !batch.offsets.is_empty() {
            let change = Change::Offsets(std::mem::take(&mut batch.offsets));
            frame.push(&encode(&change));
            next.apply(&change, timestamp);
            if let Change::Offsets(offsets) = change {
                batch.offsets = offsets;
            }
        }
        let mut versions = Vec::with_capacity(batch.proposals.len());
        for proposal in &batch.proposals {
            frame.push(&proposal.line);
            next.apply(&proposal.change, timestamp);
            versions.push(next.version);
        }
        if frame.changes() > 0 {
            let bytes = frame.finish(self.state.version.next().0, timestamp);
            if let Err(error) = self.write(&bytes) {
                self.undo_drain(batch.offsets, &error);
                refuse(batch.proposals, &error);
                return Err(error);
            }
        }
        self.publish(next, batch, versions);
        Ok(())
    }

    /// Offsets that could not be journaled are tried again after the usual wait; who waits for them is told.
    fn undo_drain(&mut self, offsets: Vec<(Group, Topic, QueueId, QueueOffset)>, error: &ProposeError) {
        if offsets.is_empty() {
            return;
        }
        self.shared.offsets.undo_drain(offsets);
        self.shared.has_moved.store(true, Ordering::Release);
        self.moved_at = None;
        self.shared.durable.send_modify(|durable| {
            durable.refusals += 1;
            durable.refused = Some(error.clone());
        });
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ProposeError> {
        let path = self.shared.journal.clone();
        if let Err(error) = self.journal.write_at(bytes, self.journal_len) {
            let reason = error.to_string();
            // Half a batch must not stay: a later, shorter one would leave its end behind.
            return Err(match self.journal.set_len(self.journal_len) {
                Ok(()) => ProposeError::Refused { path, reason },
                Err(error) => self.poison(error),
            });
        }
        if let Err(error) = self.journal.sync() {
            return Err(self.poison(error));
        }
        self.journal_len += bytes.len() as u64;
        (self.is_sealed, self.written_at) = (false, self.host.clock.monotonic());
        Ok(())
    }

    /// After a failed sync nobody knows what the disk has: nothing is written any more.
    fn poison(&mut self, error: io::Error) -> ProposeError {
        let error = ProposeError::Failed { path: self.shared.journal.clone(), reason: error.to_string() };
        tracing::error!(%error, "metadata can no longer be changed");
        self.failed = Some(error.clone());
        self.shared.durable.send_modify(|durable| durable.failed = Some(error.clone()));
        error
    }

    fn publish(&mut self, next: State, batch: Batch, versions: Vec<Version>) {
        if next.version != self.state.version {
            self.state = next;
            self.shared.state.store(Arc::new(self.state.clone()));
        }
        for (proposal, version) in batch.proposals.into_iter().zip(versions) {
            if let Change::OffsetsReset { reason, entries, .. } = &proposal.change {
                tracing::info!(%version, %reason, offsets = entries.len(), "consumer offsets are reset");
            }
            self.shared.offsets.apply(&proposal.change);
            // Whoever asked may have stopped waiting; the change is made all the same.
            drop(proposal.answer.send(Ok(version)));
        }
        if let Some(moves) = batch.moves {
            self.shared.durable.send_modify(|durable: &mut Durable| durable.moves = durable.moves.max(moves));
        }
    }

    fn compact_if_due(&mut self) {
        if self.journal_len < self.compact_at || self.failed.is_some() {
            return;
        }
        let disk = &*self.host.disk;
        match snapshot::write(disk, &self.dir, &self.state, &self.shared.offsets) {
            Ok(len) => self.snapshot_len = len,
            Err(error) => {
                tracing::warn!(%error, dir = %self.dir.display(), "the metadata journal could not be compacted; it grows on");
                self.compact_at = self.journal_len + self.options.compact_bytes_min.max(1);
                return;
            }
        }
        match snapshot::new_journal(disk, &self.dir, self.state.version) {
            Ok(journal) => {
                self.journal = journal;
                self.journal_len = super::frame::HEAD_LEN as u64;
                self.is_sealed = true;
                self.compact_at = self.next_compaction();
            }
            // The name may mean the old journal or the new one: neither may be continued.
            Err(error) => drop(self.poison(error)),
        }
    }

    fn end(&mut self, failed: Option<ProposeError>) -> Step {
        if failed.is_none() {
            self.seal();
        }
        self.shared.durable.send_modify(|durable| {
            durable.failed = failed;
            durable.is_closed = true;
        });
        Step::Done
    }

    /// What there is to do while nobody wants anything.
    fn rest(&mut self) -> Step {
        if self.failed.is_some() || self.is_sealed {
            return Step::Wait;
        }
        let quiet = self.host.clock.monotonic().saturating_sub(self.written_at);
        if let Some(left) = SEAL_AFTER.checked_sub(quiet).filter(|left| !left.is_zero()) {
            return Step::WaitFor(left);
        }
        self.seal();
        Step::Wait
    }

    /// Puts a frame without changes behind the last one, so that damage to that one cannot be taken for a torn write.
    fn seal(&mut self) {
        if self.is_sealed {
            return;
        }
        let seal = FrameBuilder::new().finish(self.state.version.next().0, self.host.clock.now().0);
        if let Err(error) = self.write(&seal) {
            tracing::warn!(%error, "the metadata journal ends without its seal; nothing is lost by that");
        }
        // If it failed, the next frame brings the next try.
        self.is_sealed = true;
    }
}

fn refuse(proposals: Vec<Proposal>, error: &ProposeError) {
    for proposal in proposals {
        drop(proposal.answer.send(Err(error.clone())));
    }
}

impl Stage for Writer {
    fn step(&mut self) -> Step {
        let wait = self.offsets_wait();
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.inbox.lock();
        let is_closing = inbox.is_closing;
        let is_flush = std::mem::take(&mut inbox.wants_flush) || is_closing || wait.is_some_and(|wait| wait.is_zero());
        if self.failed.is_some() && is_closing {
            refuse(std::mem::take(&mut inbox.proposals), &ProposeError::Closed);
            drop(inbox);
            return self.end(self.failed.clone());
        }
        if inbox.proposals.is_empty() && (!is_flush || self.failed.is_some()) {
            // Offsets that cannot be written any more wait for nothing.
            return match wait {
                Some(wait) if self.failed.is_none() => Step::WaitFor(wait),
                _ => {
                    drop(inbox);
                    self.rest()
                }
            };
        }
        let mut batch = self.take_batch(&mut inbox);
        drop(inbox);
        if self.failed.is_none() {
            // Offsets that moved share the sync whenever there is one.
            self.drain_offsets(&mut batch);
        }
        let has_all = batch.moves == Some(shared.offsets.moves());
        let failed = self.commit(batch).err();
        self.compact_if_due();
        // What the disk refuses now, it would refuse again: closing waits for no room.
        let is_last = is_closing && (has_all || failed.is_some());
        if is_last && shared.inbox.lock().proposals.is_empty() {
            return self.end(failed);
        }
        Step::Again
    }
}
