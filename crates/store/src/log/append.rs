//! The way into the log: admission and the promise of a result.

use super::appends::{Appends, Wait};
use super::segment::SEGMENT_HEADER_LEN;
use crate::stats::add;
use crate::store::Shared;
use crate::{AppendError, Flush};
use model::record::Place;
use parking_lot::Mutex;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// While less than this waits, it is written only after the other tasks that are ready have had their turn: what they append
/// is then written together, and a client that sleeps is woken once for all its answers. More is written while it is in the
/// processor's cache.
const GATHER_BYTES: u64 = 192 * 1024;

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
    pub(crate) appends: Appends,
    /// Which of their bytes belong to the group that is written next.
    pub(crate) group: Range<usize>,
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

impl Call {
    /// Hands the results over; who asked may be gone.
    pub(crate) fn complete(self) {
        drop(self.sender.send(self.outcome));
    }

    /// Sets the results from a record on to an error.
    pub(crate) fn fail_from(&mut self, first: usize, error: &AppendError) {
        self.outcome.truncate(first);
        self.outcome.resize(self.appends.len(), Err(error.clone()));
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

    /// Refuses the call if nobody takes it any more.
    fn put(&self, call: Call) -> Result<(), AppendError> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            self.release(&call);
            return Err(AppendError::Closed);
        }
        waiting.calls.push(call);
        Ok(())
    }

    /// Makes room again for others.
    pub(crate) fn release(&self, call: &Call) {
        self.pending.fetch_sub(call.bytes, Ordering::Relaxed);
    }
}

pub(crate) fn append(shared: &Shared, appends: Appends) -> Result<Appending, AppendError> {
    let log = &shared.log;
    if log.is_closing() {
        return Err(AppendError::Closed);
    }
    if let Some(poison) = log.poison() {
        return Err(poison.clone());
    }
    appends.check(log.options.segment_bytes - SEGMENT_HEADER_LEN)?;
    let bytes = appends.bytes.len() as u64;
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
    let is_synced = appends.items.iter().any(|item| match item.wait {
        Wait::Policy => item.queue.flush() == Flush::Sync,
        Wait::Written => false,
        Wait::Synced => true,
    });
    let call = Call { appends, group: 0..0, outcome: Vec::with_capacity(count), is_synced, since, bytes, sender };
    if count == 0 {
        call.complete();
    } else {
        // The store may have been closed since the first look.
        shared.inbox.put(call)?;
        match pending < GATHER_BYTES {
            true => log.signals.writer.give_soon(),
            false => log.signals.writer.give_here(),
        }
    }
    Ok(Appending { outcome, count })
}
