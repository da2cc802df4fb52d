//! The way into the log: admission and the promise of a result.

use crate::keys::Digest;
use crate::log::entry::HEADER_LEN;
use crate::log::segment::SEGMENT_HEADER_LEN;
use crate::stats::add;
use crate::store::Shared;
use crate::{AppendError, Flush, Queue};
use model::properties;
use model::record::{Draft, Place};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Largest number of records of one atomic batch: `remaining` of the entry is 16 bits.
const BATCH_COUNT_MAX: u64 = 1 << 16;

/// While less than this waits, the writer is woken only after the other tasks that are ready have had their turn: what
/// they append is then written together, and all that wait are answered together.
const GATHER_BYTES: u64 = 512 * 1024;

/// When an append is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wait {
    /// As the queue says, or the store if it does not.
    #[default]
    Policy,
    /// When written.
    Written,
    /// When synced.
    Synced,
}

/// A message to be stored.
#[derive(Clone)]
pub struct Append {
    /// Its queue, from [`crate::Store::queue`]; topic and queue id of the draft must be the queue's.
    pub queue: Arc<Queue>,
    /// The message. Its `body_crc` must be the body's: it is what readers compare with.
    pub draft: Draft,
    /// When the append is done.
    pub wait: Wait,
    /// The next message of the same call belongs to the same atomic batch: after a crash both are there or neither.
    pub joined: bool,
}

pub(crate) type Outcome = Vec<Result<Place, AppendError>>;

/// The results of one call of [`crate::Store::append`], in order, once the last of them is known.
#[must_use = "whether the messages are stored is known only when this is done"]
pub struct Appending {
    outcome: oneshot::Receiver<Outcome>,
    count: usize,
}

impl Future for Appending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let count = self.count;
        Pin::new(&mut self.outcome)
            .poll(context)
            // The stage is gone: nobody will ever answer.
            .map(|outcome| outcome.unwrap_or_else(|_| vec![Err(AppendError::Closed); count]))
    }
}

/// One call on its way through writer and flush stage.
pub(crate) struct Call {
    pub(crate) appends: Vec<Append>,
    pub(crate) measures: Vec<Measure>,
    /// Results of the first records; the others are still to be written.
    pub(crate) outcome: Outcome,
    /// Whether one of its records waits for the sync.
    pub(crate) is_synced: bool,
    /// When it was handed over, by the monotonic clock.
    pub(crate) since: Duration,
    /// Bytes in the log of all its records.
    pub(crate) bytes: u64,
    sender: oneshot::Sender<Outcome>,
}

/// What is found out about a record before the writer gets it.
pub(crate) struct Measure {
    pub(crate) record_len: u32,
    pub(crate) digest: Digest,
}

impl Measure {
    /// Bytes in the log.
    pub(crate) fn entry_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.record_len)
    }
}

impl Call {
    /// Hands the results over; who asked may be gone.
    pub(crate) fn complete(self) {
        drop(self.sender.send(self.outcome));
    }

    /// Sets the results from a record on to an error.
    pub(crate) fn fail_from(&mut self, first: usize, error: &AppendError) {
        self.outcome.truncate(first);
        self.outcome.resize(self.measures.len(), Err(error.clone()));
    }
}

/// Calls that wait for the writer.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Bytes of calls that are not yet written.
    pending: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    /// Nobody takes them any more.
    is_closed: bool,
}

impl Inbox {
    /// Moves what waits to `out`, which is empty.
    pub(crate) fn take(&self, out: &mut Vec<Call>) {
        std::mem::swap(&mut self.waiting.lock().calls, out);
    }

    /// Lets nothing in any more: what is in it now is the last that can be taken.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
    }

    /// Gives the call back if nobody takes it any more.
    fn put(&self, call: Call) -> Result<(), Call> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(call);
        }
        waiting.calls.push(call);
        Ok(())
    }

    /// Makes room again for others.
    pub(crate) fn release(&self, call: &Call) {
        self.pending.fetch_sub(call.bytes, Ordering::Relaxed);
    }
}

pub(crate) fn append(shared: &Shared, appends: Vec<Append>) -> Result<Appending, AppendError> {
    let log = &shared.log;
    if log.is_closing() {
        return Err(AppendError::Closed);
    }
    if let Some(poison) = log.poison() {
        return Err(poison.clone());
    }
    let measures = measure(&appends, log.options.segment_bytes - SEGMENT_HEADER_LEN)?;
    let bytes = measures.iter().map(Measure::entry_len).sum();
    let max = log.options.pending_bytes_max;
    let pending = shared.inbox.pending.fetch_add(bytes, Ordering::Relaxed) + bytes;
    // A single call larger than the limit passes when nothing else waits.
    if pending > max && pending > bytes {
        shared.inbox.pending.fetch_sub(bytes, Ordering::Relaxed);
        add(&log.stats.busy, 1);
        return Err(AppendError::Busy { pending: pending - bytes, max });
    }
    let since = log.host.clock.monotonic();
    let (sender, outcome) = oneshot::channel();
    let count = appends.len();
    let is_synced = appends.iter().any(|append| match append.wait {
        Wait::Policy => append.queue.flush() == Flush::Sync,
        Wait::Written => false,
        Wait::Synced => true,
    });
    let call = Call { appends, measures, outcome: Vec::with_capacity(count), is_synced, since, bytes, sender };
    if count == 0 {
        call.complete();
    } else {
        if let Err(call) = shared.inbox.put(call) {
            // The store was closed since the first look.
            shared.inbox.release(&call);
            return Err(AppendError::Closed);
        }
        match pending < GATHER_BYTES {
            true => log.signals.writer.give_soon(),
            false => log.signals.writer.give(),
        }
    }
    Ok(Appending { outcome, count })
}

fn measure(appends: &[Append], batch_max: u64) -> Result<Vec<Measure>, AppendError> {
    let mut measures = Vec::with_capacity(appends.len());
    let (mut batch_len, mut batch_count) = (0, 0);
    for append in appends {
        let draft = &append.draft;
        debug_assert_eq!((&draft.topic, draft.queue_id), (append.queue.topic(), append.queue.id()));
        check("properties", draft.properties.len() as u64, properties::LEN_MAX as u64)?;
        check("record", draft.encoded_len() as u64, batch_max.min(i32::MAX as u64) - HEADER_LEN as u64)?;
        let digest = Digest::of(draft.topic.as_str(), &draft.properties);
        let measure = Measure { record_len: draft.encoded_len() as u32, digest };
        batch_len += measure.entry_len();
        batch_count += 1;
        check("batch", batch_len, batch_max)?;
        check("number of records of the batch", batch_count, BATCH_COUNT_MAX)?;
        if !append.joined {
            (batch_len, batch_count) = (0, 0);
        }
        measures.push(measure);
    }
    Ok(measures)
}

fn check(what: &'static str, len: u64, max: u64) -> Result<(), AppendError> {
    if len > max { Err(AppendError::TooLarge { what, len, max }) } else { Ok(()) }
}
