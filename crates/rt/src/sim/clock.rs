//! Time that only moves when every task waits.

use crate::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Wall time at which a simulation starts: 2026-01-01, 00:00 UTC.
const START: Timestamp = Timestamp(1_767_225_600_000);

/// The time of a paused tokio runtime, with a wall clock that can be set wrong. Clones share that setting.
#[derive(Clone)]
pub struct SimClock {
    start: Instant,
    shift_ms: Arc<AtomicI64>,
}

impl Default for SimClock {
    fn default() -> Self {
        Self { start: Instant::now(), shift_ms: Arc::new(AtomicI64::new(0)) }
    }
}

impl SimClock {
    /// A clock with the same monotonic time and a wall time of its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { start: self.start, shift_ms: Arc::new(AtomicI64::new(self.shift_ms.load(Ordering::Relaxed))) }
    }

    /// Sets the wall clock forward (or, if negative, back) by some milliseconds, as an operator or NTP does.
    pub fn jump_wall(&self, by_ms: i64) {
        self.shift_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let true_time = START.after(self.monotonic());
        Timestamp(true_time.0.saturating_add(self.shift_ms.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
