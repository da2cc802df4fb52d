//! The metadata as its users hold it.

use super::frame::PAYLOAD_BYTES_MAX;
use super::load::{self, OpenError};
use super::offsets::Offsets;
use super::snapshot::{JOURNAL, encode};
use super::state::State;
use super::writer::Writer;
use super::{Change, MetadataLog, Options, ProposeError, Version};
use arc_swap::ArcSwap;
use model::{Group, QueueId, QueueOffset, Topic};
use parking_lot::Mutex;
use rt::{BoxFuture, Host, Signal, StageHandle, watch};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

pub use super::offsets::Advance;

/// Most changes that wait for the disk.
const PROPOSALS_MAX: usize = 10_000;
/// Most bytes of one change.
const CHANGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 4;

/// Metadata in a local journal. Clones are the same metadata. The folder must not be open elsewhere: the holder of the
/// data folder's lock sees to that.
#[derive(Clone)]
pub struct Metadata(Arc<Handle>);

/// Lets the writer end with the last user.
struct Handle {
    shared: Arc<Shared>,
    stage: Mutex<Option<StageHandle>>,
}

/// What users and the writer share.
pub(super) struct Shared {
    pub(super) state: ArcSwap<State>,
    pub(super) offsets: Offsets,
    pub(super) inbox: Mutex<Inbox>,
    pub(super) signal: Signal,
    /// Whether an offset has moved since the writer last looked.
    pub(super) has_moved: AtomicBool,
    /// Whether it was said that there is no room for another offset.
    pub(super) is_full_told: AtomicBool,
    pub(super) durable: watch::Sender<Durable>,
    pub(super) journal: String,
}

/// What waits for the writer.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) proposals: Vec<Proposal>,
    /// Whether somebody waits for offsets to be durable.
    pub(super) wants_flush: bool,
    pub(super) is_closing: bool,
}

pub(super) struct Proposal {
    pub(super) change: Change,
    pub(super) line: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<Version, ProposeError>>,
}

/// How far the offsets are safe.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    /// Advances that the journal has.
    pub(super) moves: u64,
    pub(super) failed: Option<ProposeError>,
    /// How often the disk refused offsets, and why it last did.
    pub(super) refusals: u64,
    pub(super) refused: Option<ProposeError>,
    /// Whether the writer has ended.
    pub(super) is_closed: bool,
}

impl Metadata {
    /// Opens the metadata in `dir`, created if absent. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`]; what is on disk stays as it is.
    pub fn open(host: &Host, dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let offsets = Offsets::new(options.offsets_max);
        let loaded = load::load(&*host.disk, dir, &offsets)?;
        let signal = Signal::default();
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(loaded.state.clone()),
            offsets,
            inbox: Mutex::default(),
            signal: signal.clone(),
            has_moved: AtomicBool::new(false),
            is_full_told: AtomicBool::new(false),
            durable: watch::channel(Durable::default()).0,
            journal: dir.join(JOURNAL).display().to_string(),
        });
        let writer = Writer::new(host, dir, options, loaded, Arc::clone(&shared));
        let stage = host.spawn_stage("metadata", signal, writer);
        let stage = stage.map_err(|error| OpenError::Io { dir: dir.to_owned(), error })?;
        Ok(Self(Arc::new(Handle { shared, stage: Mutex::new(Some(stage)) })))
    }

    /// The newest snapshot. It costs one atomic operation.
    #[must_use]
    pub fn read(&self) -> Arc<State> {
        self.0.shared.state.load_full()
    }

    /// Makes a change. It counts from the call on, even if the future is dropped; durable when the future is done.
    #[must_use = "the change may fail"]
    pub fn propose(&self, change: Change) -> BoxFuture<'static, Result<Version, ProposeError>> {
        let answer = self.submit(change);
        Box::pin(async move { answer?.await.unwrap_or(Err(ProposeError::Closed)) })
    }

    fn submit(&self, change: Change) -> Result<oneshot::Receiver<Result<Version, ProposeError>>, ProposeError> {
        let line = encode(&change);
        if line.len() > CHANGE_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: line.len(), max: CHANGE_BYTES_MAX });
        }
        let (sender, receiver) = oneshot::channel();
        let mut inbox = self.0.shared.inbox.lock();
        if inbox.is_closing {
            return Err(ProposeError::Closed);
        }
        let waiting = inbox.proposals.len();
        if waiting >= PROPOSALS_MAX {
            return Err(ProposeError::Busy { waiting });
        }
        inbox.proposals.push(Proposal { change, line, answer: sender });
        drop(inbox);
        self.0.shared.signal.give();
        Ok(receiver)
    }

    /// A group's offset in a queue: the next message that it will read. It may not be durable yet: see
    /// [`Metadata::flush_offsets`].
    #[must_use]
    pub fn offset(&self, group: &Group, topic: &Topic, queue: QueueId) -> Option<QueueOffset> {
        self.0.shared.offsets.get(group, topic, queue)
    }

    /// Moves a group's offset forward, never back. In memory at once, durable within [`Options::offset_sync_ms`].
    pub fn advance(&self, group: &Group, topic: &Topic, queue: QueueId, offset: QueueOffset) -> Advance {
        let shared = &self.0.shared;
        let advance = shared.offsets.advance(group, topic, queue, offset);
        match advance {
            Advance::Moved if !shared.has_moved.swap(true, Ordering::AcqRel) => shared.signal.give(),
            // Commits come without a pause; the first one says it for all.
            Advance::Full if !shared.is_full_told.swap(true, Ordering::Relaxed) => tracing::error!(
                %group, %topic,
                "there is no room for another consumer offset: groups do not keep their progress in queues that are new to \
                 them; delete groups and topics that are not used any more"
            ),
            _ => {}
        }
        advance
    }

    /// Waits until every advance made so far is durable; returns at once if all are. An offset that is told to a client
    /// after this never moves back by a loss of power.
    ///
    /// # Errors
    /// [`ProposeError::Refused`] (the offsets stay in memory and are tried again), [`ProposeError::Failed`] or
    /// [`ProposeError::Closed`].
    pub fn flush_offsets(&self) -> BoxFuture<'static, Result<(), ProposeError>> {
        let shared = Arc::clone(&self.0.shared);
        let target = shared.offsets.moves();
        let mut durable = shared.durable.subscribe();
        let refusals = {
            let durable = durable.borrow_and_update();
            if durable.moves >= target {
                return Box::pin(std::future::ready(Ok(())));
            }
            durable.refusals
        };
        shared.inbox.lock().wants_flush = true;
        shared.signal.give();
        Box::pin(async move {
            let has_ended = |durable: &Durable| durable.failed.is_some() || durable.is_closed;
            let is_settled =
                |durable: &Durable| durable.moves >= target || has_ended(durable) || durable.refusals != refusals;
            match durable.wait_for(is_settled).await {
                Ok(durable) if durable.moves >= target => Ok(()),
                Ok(durable) => {
                    let refused = durable.refused.clone().filter(|_| durable.refusals != refusals);
                    Err(durable.failed.clone().or(refused).unwrap_or(ProposeError::Closed))
                }
                Err(_) => Err(ProposeError::Closed),
            }
        })
    }

    /// Sets offsets, forward or back, for a reason that the journal keeps; durable when the future is done.
    #[must_use = "the reset may fail"]
    pub fn reset(
        &self,
        reason: impl Into<String>,
        entries: Vec<(Group, Topic, QueueId, QueueOffset)>,
    ) -> BoxFuture<'static, Result<Version, ProposeError>> {
        self.propose(Change::OffsetsReset { reason: reason.into(), entries, pressed: false })
    }

    /// All offsets of a group, sorted.
    #[must_use]
    pub fn offsets_of_group(&self, group: &Group) -> Vec<(Topic, QueueId, QueueOffset)> {
        self.0.shared.offsets.of_group(group)
    }

    /// All offsets in a topic, sorted.
    #[must_use]
    pub fn offsets_of_topic(&self, topic: &Topic) -> Vec<(Group, QueueId, QueueOffset)> {
        self.0.shared.offsets.of_topic(topic)
    }

    /// Every group that has an offset, sorted.
    #[must_use]
    pub fn groups_with_offsets(&self) -> Vec<Group> {
        self.0.shared.offsets.groups()
    }

    /// Makes all durable and ends the writer; later changes are refused.
    ///
    /// # Errors
    /// [`ProposeError::Failed`] or [`ProposeError::Refused`] if something could not be made durable: offsets that moved
    /// since they were last flushed, never what was acknowledged.
    pub async fn close(&self) -> Result<(), ProposeError> {
        self.0.shared.close();
        let mut durable = self.0.shared.durable.subscribe();
        let failed = match durable.wait_for(|durable| durable.is_closed).await {
            Ok(durable) => durable.failed.clone(),
            Err(_) => None,
        };
        if let Some(stage) = self.0.stage.lock().take() {
            stage.join();
        }
        failed.map_or(Ok(()), Err)
    }
}

impl MetadataLog for Metadata {
    fn read(&self) -> Arc<State> {
        self.read()
    }

    fn propose(&self, change: Change) -> BoxFuture<'static, Result<Version, ProposeError>> {
        self.propose(change)
    }
}

impl Shared {
    fn close(&self) {
        self.inbox.lock().is_closing = true;
        self.signal.give();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}
