//! Reads of messages that are no longer in memory: few at a time, and while producers send, at a bounded rate, so that
//! a consumer that catches up does not hold up the others.

use super::pull::HOLD_MAX;
use crate::Broker;
use crate::quota::Rate;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reads from the disk at a time.
const READS_MAX: usize = 2;
/// Most bytes of one answer that comes from the disk, if it has more than one message.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 10;

pub(crate) struct ColdReads {
    turns: Semaphore,
    budget: Option<Mutex<Budget>>,
    /// Whether producers sent during the last second.
    is_hot_in_use: AtomicBool,
}

/// What may be read, and how much of what was read is paid.
struct Budget {
    rate: Rate,
    counted: u64,
}

impl ColdReads {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        let budget = bytes_per_second.map(|bytes| Mutex::new(Budget { rate: Rate::new(bytes), counted: 0 }));
        Self { turns: Semaphore::new(READS_MAX), budget, is_hot_in_use: AtomicBool::new(false) }
    }

    pub(crate) fn set_hot_in_use(&self, is_in_use: bool) {
        self.is_hot_in_use.store(is_in_use, Ordering::Relaxed);
    }

    /// How long no more may be read, when so many bytes have been read since the start.
    fn owed(&self, read: u64, now: Duration) -> Duration {
        let Some(budget) = &self.budget else { return Duration::ZERO };
        let mut budget = budget.lock();
        let new = read.saturating_sub(budget.counted);
        budget.counted = budget.counted.max(read);
        if !self.is_hot_in_use.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        budget.rate.take(new, now);
        budget.rate.wait(now)
    }
}

impl Broker {
    /// Waits for the turn of a read from the disk, within the rate; it may go on while the permit lives. `None` if that takes
    /// longer than a client waits for its answer.
    pub async fn cold_turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = async {
            // The semaphore is never closed.
            let turn = self.cold_reads().turns.acquire().await.ok();
            let read = self.store().stats().cold_read_bytes.load(Ordering::Relaxed);
            let owed = self.cold_reads().owed(read, self.host().clock.monotonic());
            if !owed.is_zero() {
                rt::sleep(owed).await;
            }
            turn
        };
        rt::timeout(HOLD_MAX, turn).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_paid_while_producers_send() {
        let reads = ColdReads::new(Some(1000));
        let at = Duration::from_secs;
        let check =
            |read: u64, now: u64, owed: u64| assert_eq!(reads.owed(read, at(now)), at(owed), "{read} at {now} s");
        check(50_000, 10, 0);
        reads.set_hot_in_use(true);
        check(50_000, 11, 0);
        check(55_000, 11, 4);
        check(55_000, 13, 2);
        check(56_000, 13, 3);
        reads.set_hot_in_use(false);
        check(90_000, 13, 0);
        assert_eq!(ColdReads::new(None).owed(u64::MAX, at(1)), at(0));
    }
}
