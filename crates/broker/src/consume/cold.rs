//! Reads of messages that are no longer in memory: few at a time, and while producers send, at a bounded rate, so that
//! a consumer that catches up does not hold up the others.

use crate::Broker;
use crate::quota::Rate;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reads from the disk at a time.
const READS_MAX: usize = 2;
/// Most bytes of one answer that comes from the disk, if it has more than one message.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 10;

pub(crate) struct ColdReads {
    turns: Semaphore,
    rate: Option<Mutex<Rate>>,
    /// Whether producers sent during the last second.
    is_hot_in_use: AtomicBool,
}

impl ColdReads {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            turns: Semaphore::new(READS_MAX),
            rate: bytes_per_second.map(|bytes| Mutex::new(Rate::new(bytes))),
            is_hot_in_use: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_hot_in_use(&self, is_in_use: bool) {
        self.is_hot_in_use.store(is_in_use, Ordering::Relaxed);
    }
}

impl Broker {
    /// Waits until a read of so many bytes from the disk is within the rate.
    pub async fn cold_pace(&self, bytes: usize) {
        let cold = self.cold_reads();
        if let Some(rate) = cold.rate.as_ref().filter(|_| cold.is_hot_in_use.load(Ordering::Relaxed)) {
            let wait = {
                let (mut rate, now) = (rate.lock(), self.host().clock.monotonic());
                rate.take(bytes as u64, now);
                rate.wait(now)
            };
            rt::sleep(wait).await;
        }
    }

    /// Waits for the turn of a read from the disk; it may go on while the permit lives.
    pub async fn cold_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.cold_reads().turns.acquire().await.ok()
    }
}
