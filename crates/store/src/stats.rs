//! Counters for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the store was opened. All grow only.
#[derive(Debug, Default)]
pub struct Stats {
    /// Records written.
    pub appended_records: AtomicU64,
    /// Bytes of log written.
    pub appended_bytes: AtomicU64,
    /// Calls of the system that wrote them.
    pub writes: AtomicU64,
    /// Writes that failed.
    pub write_errors: AtomicU64,
    /// Appends refused because too much was waiting.
    pub busy: AtomicU64,
    /// Syncs of the log.
    pub syncs: AtomicU64,
    /// Syncs that failed.
    pub sync_errors: AtomicU64,
    /// Time of one write.
    pub write_latency: Histogram,
    /// Time of one sync.
    pub sync_latency: Histogram,
    /// Time to gather the records of one answer.
    pub read_latency: Histogram,
    /// Bytes read from the disk for messages that were no longer in memory.
    pub cold_read_bytes: AtomicU64,
    /// Reads that found the log damaged.
    pub damaged_reads: AtomicU64,
    /// Runs of the index written.
    pub runs_written: AtomicU64,
    /// Runs of the index merged away.
    pub runs_merged: AtomicU64,
    /// Runs of the index that could not be written; the next try follows.
    pub run_errors: AtomicU64,
    /// Segments removed by retention.
    pub segments_removed: AtomicU64,
}

/// Durations counted in buckets; bucket `i` holds those of at most [`Histogram::BOUNDS_MICROS`]`[i]`, the last one the
/// rest.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; Histogram::BUCKETS],
    sum_micros: AtomicU64,
    longest_micros: AtomicU64,
}

impl Histogram {
    /// Upper bounds of the buckets in microseconds.
    pub const BOUNDS_MICROS: [u64; 19] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
        2_000_000, 3_000_000, 4_000_000, 5_000_000, 10_000_000,
    ];
    /// How many buckets there are.
    pub const BUCKETS: usize = Self::BOUNDS_MICROS.len() + 1;

    /// Counts a duration.
    pub fn record(&self, time: Duration) {
        self.record_many(time, 1);
    }

    /// Counts a duration that so many had.
    pub fn record_many(&self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = Self::BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
        // Read first: a new longest one is rare, and writing would move the line between processors.
        if micros > self.longest_micros.load(Ordering::Relaxed) {
            self.longest_micros.fetch_max(micros, Ordering::Relaxed);
        }
    }

    /// The longest duration in microseconds.
    #[must_use]
    pub fn longest_micros(&self) -> u64 {
        self.longest_micros.load(Ordering::Relaxed)
    }

    /// Counts per bucket (not cumulative).
    #[must_use]
    pub fn counts(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|i| self.buckets[i].load(Ordering::Relaxed))
    }

    /// Sum of all durations in microseconds.
    #[must_use]
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros.load(Ordering::Relaxed)
    }
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
