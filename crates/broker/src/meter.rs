//! Counts of what went in and out, and rates over the last seconds and minutes.

use crate::trends::Count;
use parking_lot::Mutex;
use rt::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Histogram;

/// Seconds of history kept for rates.
const HISTORY_SECONDS: usize = 600;
/// Seconds over which the times of sends are told together.
const TIMES_SECONDS: u64 = 60;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Counters of one broker. All grow only.
#[derive(Debug, Default)]
pub struct Meter {
    /// Messages handed out to pulls.
    messages_out: AtomicU64,
    /// Their bytes.
    bytes_out: AtomicU64,
    /// Pulls that found messages.
    pulls_found: AtomicU64,
    /// Pulls that found none.
    pulls_missed: AtomicU64,
    /// Sends refused because a topic or a client was over its rate.
    refused_by_quota: AtomicU64,
    /// Pulls whose answer was held back because a group was over its quota.
    delayed_by_quota: AtomicU64,
    publish_latency: Histogram,
    history: Mutex<History>,
    /// What was handed out until the last sample of the trends.
    read_before: Mutex<Count>,
}

/// Totals at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages stored.
    pub messages_in: u64,
    /// Messages handed out.
    pub messages_out: u64,
    /// Bytes of them.
    pub bytes_out: u64,
    /// Pulls that found messages.
    pub pulls_found: u64,
    /// Pulls that found none.
    pub pulls_missed: u64,
    /// Timed messages that began to wait.
    pub timers_in: u64,
    /// Timed messages delivered.
    pub timers_out: u64,
}

#[derive(Debug, Default)]
struct History {
    samples: VecDeque<Totals>,
    /// How many samples were taken.
    seconds: u64,
    /// Times of all sends until the last whole minute ended, and of those during it.
    sends_until: SendTimes,
    sends_during: SendTimes,
    day: i64,
    this_morning: Totals,
    yesterday_morning: Totals,
}

/// How many sends took how long, by the buckets of a [`Histogram`].
pub type SendTimes = [u64; Histogram::BUCKETS];

/// A rate over the last 10 seconds, minute, and 10 minutes, per second.
pub type Rates = [f64; 3];

impl Meter {
    pub(crate) fn pulled(&self, messages: usize, bytes: usize) {
        if messages == 0 {
            self.pulls_missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.pulls_found.fetch_add(1, Ordering::Relaxed);
        self.messages_out.fetch_add(messages as u64, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts a send that was refused because its topic or its client was over a rate.
    pub fn refused_by_quota(&self) {
        self.refused_by_quota.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delayed_by_quota(&self) {
        self.delayed_by_quota.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn published(&self, sends: usize, time: Duration) {
        self.publish_latency.record_many(time, sends as u64);
    }

    /// Time of sends, from their arrival until they were as safe as their topics promise, or refused.
    #[must_use]
    pub fn publish_latency(&self) -> &Histogram {
        &self.publish_latency
    }

    /// Sends refused and pulls held back because of quotas.
    #[must_use]
    pub fn by_quota(&self) -> (u64, u64) {
        (self.refused_by_quota.load(Ordering::Relaxed), self.delayed_by_quota.load(Ordering::Relaxed))
    }

    /// Totals now, without what the log and the timers count.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            messages_out: self.messages_out.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            pulls_found: self.pulls_found.load(Ordering::Relaxed),
            pulls_missed: self.pulls_missed.load(Ordering::Relaxed),
            ..Totals::default()
        }
    }

    /// Takes a sample; to be called once a second.
    pub(crate) fn sample(&self, totals: Totals, now: Timestamp) {
        let mut history = self.history.lock();
        let day = now.0.div_euclid(DAY_MS);
        if day != history.day {
            history.yesterday_morning = history.this_morning;
            history.this_morning = if history.day == 0 { Totals::default() } else { totals };
            history.day = day;
        }
        history.seconds += 1;
        if history.seconds.is_multiple_of(TIMES_SECONDS) {
            let until = self.publish_latency.counts();
            history.sends_during = std::array::from_fn(|bucket| until[bucket] - history.sends_until[bucket]);
            history.sends_until = until;
        }
        if history.samples.len() > HISTORY_SECONDS {
            history.samples.pop_front();
        }
        history.samples.push_back(totals);
    }

    /// What was handed out since this was called last.
    pub(crate) fn take_read(&self) -> Count {
        let totals = self.totals();
        let now = Count { times: totals.pulls_found, messages: totals.messages_out, bytes: totals.bytes_out };
        now.since(std::mem::replace(&mut *self.read_before.lock(), now))
    }

    /// Rates of a counter.
    #[must_use]
    pub fn rates(&self, counter: impl Fn(&Totals) -> u64) -> Rates {
        let history = self.history.lock();
        let rate = |seconds: usize| {
            let newest = history.samples.len().checked_sub(1);
            let (Some(newest), true) = (newest, history.samples.len() > 1) else { return 0.0 };
            let span = seconds.min(newest);
            let growth = counter(&history.samples[newest]).saturating_sub(counter(&history.samples[newest - span]));
            growth as f64 / span as f64
        };
        [rate(10), rate(60), rate(HISTORY_SECONDS)]
    }

    /// Times of the sends of the last whole minute.
    #[must_use]
    pub fn minute_of_sends(&self) -> SendTimes {
        self.history.lock().sends_during
    }

    /// Totals at the last two midnights (UTC): yesterday's, then today's.
    #[must_use]
    pub fn mornings(&self) -> (Totals, Totals) {
        let history = self.history.lock();
        (history.yesterday_morning, history.this_morning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        let meter = Meter::default();
        let totals = |n: u64| Totals { messages_in: n, ..Totals::default() };
        assert_eq!(meter.rates(|t| t.messages_in), [0.0; 3]);
        for second in 0..=100 {
            meter.sample(totals(second * 7), Timestamp(second as i64 * 1000));
        }
        assert_eq!(meter.rates(|t| t.messages_in), [7.0; 3]);
    }

    #[test]
    fn times_of_sends_are_those_of_a_whole_minute() {
        let meter = Meter::default();
        let seconds = |sends_each: usize, count: u64| {
            for _ in 0..count {
                meter.published(sends_each, Duration::from_micros(70));
                meter.sample(Totals::default(), Timestamp(0));
            }
            meter.minute_of_sends().iter().sum::<u64>()
        };
        assert_eq!([seconds(1, 59), seconds(1, 1), seconds(5, 59), seconds(5, 1)], [0, 60, 60, 300]);
    }

    #[test]
    fn a_new_day_begins_at_midnight() {
        let meter = Meter::default();
        let totals = |n: u64| Totals { messages_in: n, ..Totals::default() };
        meter.sample(totals(5), Timestamp(DAY_MS));
        meter.sample(totals(9), Timestamp(2 * DAY_MS));
        assert_eq!(meter.mornings(), (totals(0), totals(9)));
    }
}
