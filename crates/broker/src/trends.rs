//! Rates of many counters over the last minute, hour and day.
//!
//! A pure machine: once a period it is told by how much each counter grew, and answers from what it kept. Only counters
//! that grew lately are kept, at most [`SERIES_MAX`] of them; of more, those that were quiet longest go.

use model::{Group, Topic};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

/// Seconds between two samples.
pub(crate) const PERIOD_SECONDS: u64 = 10;
/// Most counters that are kept; about 1 KiB each.
const SERIES_MAX: usize = 8192;
/// What stays when there is no room for another one.
const SERIES_KEPT: usize = SERIES_MAX / 4 * 3;
/// Samples after which a counter that did not grow is given up: a day.
const QUIET_SAMPLES: u64 = 86_400 / PERIOD_SECONDS;
/// Samples of a minute: a counter that grew within is never given up for want of room.
const MINUTE_SAMPLES: u64 = 60 / PERIOD_SECONDS;
/// Samples from one entry of the hour's and the day's past to the next: ten minutes and an hour.
const HOUR_STEP: u64 = 600 / PERIOD_SECONDS;
const DAY_STEP: u64 = 3600 / PERIOD_SECONDS;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Messages stored in a topic.
    Stored(Topic),
    /// Messages of a topic handed to a group.
    Read(Topic, Group),
    /// Messages of a topic that a group gave back, to have them again or as dead letters.
    SentBack(Topic, Group),
    /// Messages stored in all topics.
    AllStored,
    /// Messages handed to all groups.
    AllRead,
    /// Messages stored in topics that do not belong to the system.
    UsersStored,
    /// Messages of such topics handed to all groups.
    UsersRead,
}

/// How much was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Events: answers that had messages, or messages themselves.
    pub times: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes of their records; 0 where they are not counted.
    pub bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, more: Self) {
        self.times += more.times;
        self.messages += more.messages;
        self.bytes += more.bytes;
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            times: self.times - before.times,
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// By how much a counter grew, and in which time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// By how much.
    pub count: Count,
    /// In which time.
    pub over: Duration,
}

impl Growth {
    /// A part of the count, a second.
    #[must_use]
    pub fn per_second(&self, part: impl Fn(&Count) -> u64) -> f64 {
        if self.over.is_zero() { 0.0 } else { part(&self.count) as f64 / self.over.as_secs_f64() }
    }
}

/// What a counter did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// Over the last minute.
    pub minute: Growth,
    /// Over the last hour.
    pub hour: Growth,
    /// Over the last day.
    pub day: Growth,
}

/// Values at moments of the past, oldest first.
#[derive(Clone, Copy)]
struct Past<T> {
    minute: [T; 7],
    hour: [T; 7],
    day: [T; 25],
}

impl<T: Copy> Past<T> {
    fn new(value: T) -> Self {
        Self { minute: [value; 7], hour: [value; 7], day: [value; 25] }
    }

    fn push(&mut self, sample: u64, value: T) {
        push(&mut self.minute, value);
        if sample.is_multiple_of(HOUR_STEP) {
            push(&mut self.hour, value);
        }
        if sample.is_multiple_of(DAY_STEP) {
            push(&mut self.day, value);
        }
    }
}

fn push<T: Copy>(past: &mut [T], value: T) {
    past.rotate_left(1);
    if let Some(newest) = past.last_mut() {
        *newest = value;
    }
}

struct Series {
    total: Count,
    /// Number of the sample in which it grew last.
    grew: u64,
    past: Past<Count>,
}

/// The counters that grew lately.
pub(crate) struct Trends {
    /// Number of the last sample.
    sample: u64,
    now: Duration,
    times: Past<Duration>,
    series: HashMap<Counted, Series>,
    /// Whether a counter found no room since the last sample.
    is_short: bool,
    untracked: u64,
}

impl Trends {
    /// Begins at a time by the monotonic clock.
    pub(crate) fn new(now: Duration) -> Self {
        let times = Past::new(now);
        Self { sample: 0, now, times, series: HashMap::new(), is_short: false, untracked: 0 }
    }

    /// Tells by how much a counter grew since the last sample.
    pub(crate) fn grew(&mut self, counted: Counted, by: Count) {
        if by == Count::default() {
            return;
        }
        let (has_room, next) = (self.series.len() < SERIES_MAX, self.sample + 1);
        match self.series.entry(counted) {
            Entry::Occupied(mut known) => {
                known.get_mut().total.add(by);
                known.get_mut().grew = next;
            }
            // It did not grow before, or too long ago to matter.
            Entry::Vacant(new) if has_room => {
                new.insert(Series { total: by, grew: next, past: Past::new(Count::default()) });
            }
            Entry::Vacant(_) => {
                self.is_short = true;
                self.untracked += 1;
            }
        }
    }

    /// All counters were told: takes the sample.
    pub(crate) fn sample(&mut self, now: Duration) {
        self.sample += 1;
        self.now = now;
        self.times.push(self.sample, now);
        for series in self.series.values_mut() {
            series.past.push(self.sample, series.total);
        }
        let since = self.sample.saturating_sub(QUIET_SAMPLES);
        self.series.retain(|_, series| series.grew >= since);
        if std::mem::take(&mut self.is_short) {
            self.make_room();
        }
    }

    /// Gives up those that were quiet longest, but none that grew within the last minute.
    fn make_room(&mut self) {
        let mut grew: Vec<u64> = self.series.values().map(|series| series.grew).collect();
        let excess = grew.len().saturating_sub(SERIES_KEPT);
        if excess == 0 {
            return;
        }
        let (_, newest_to_go, _) = grew.select_nth_unstable(excess - 1);
        let limit = (*newest_to_go).min(self.sample.saturating_sub(MINUTE_SAMPLES));
        self.series.retain(|_, series| series.grew > limit);
    }

    /// What a counter did lately; `None` if it did not grow for a day.
    pub(crate) fn of(&self, counted: &Counted) -> Option<Trend> {
        self.series.get(counted).map(|series| self.trend(series))
    }

    fn trend(&self, series: &Series) -> Trend {
        let growth = |before: Count, at: Duration| Growth {
            count: series.total.since(before),
            over: self.now.saturating_sub(at),
        };
        Trend {
            minute: growth(series.past.minute[0], self.times.minute[0]),
            hour: growth(series.past.hour[0], self.times.hour[0]),
            day: growth(series.past.day[0], self.times.day[0]),
        }
    }

    /// The counters of a kind that grew most in the last minute, at most so many; `kind` says which are meant.
    pub(crate) fn busiest(&self, count_max: usize, kind: impl Fn(&Counted) -> bool) -> Vec<(Counted, Trend)> {
        let grown = |series: &Series| series.total.messages - series.past.minute[0].messages;
        let mut busy: Vec<_> =
            self.series.iter().filter(|(counted, series)| grown(series) > 0 && kind(counted)).collect();
        busy.sort_by_key(|(_, series)| std::cmp::Reverse(grown(series)));
        busy.truncate(count_max);
        busy.into_iter().map(|(counted, series)| (counted.clone(), self.trend(series))).collect()
    }

    /// How many counters are kept.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// How often a counter that grew found no room.
    pub(crate) fn untracked(&self) -> u64 {
        self.untracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: usize) -> Counted {
        Counted::Stored(Topic::from_stored(&format!("t{n}")))
    }

    fn messages(count: u64) -> Count {
        Count { times: count, messages: count, bytes: count * 100 }
    }

    /// Samples until a second, with so many messages of topic 0 a sample.
    fn run(trends: &mut Trends, until: u64, a_sample: u64) {
        while trends.now < Duration::from_secs(until) {
            trends.grew(topic(0), messages(a_sample));
            trends.sample(trends.now + Duration::from_secs(PERIOD_SECONDS));
        }
    }

    fn check(trends: &Trends, expected: [(u64, u64); 3]) {
        let trend = trends.of(&topic(0)).unwrap();
        let seen = [trend.minute, trend.hour, trend.day].map(|growth| (growth.count.messages, growth.over.as_secs()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn windows_are_full_after_their_time() {
        let mut trends = Trends::new(Duration::ZERO);
        assert_eq!(trends.of(&topic(0)), None);
        run(&mut trends, 30, 50);
        check(&trends, [(150, 30); 3]);
        run(&mut trends, 600, 50);
        check(&trends, [(300, 60), (3000, 600), (3000, 600)]);
        run(&mut trends, 7200, 50);
        check(&trends, [(300, 60), (18_000, 3600), (36_000, 7200)]);
        run(&mut trends, 2 * 86_400, 50);
        check(&trends, [(300, 60), (18_000, 3600), (432_000, 86_400)]);
    }

    #[test]
    fn rates_are_per_second_and_fall_to_nothing() {
        let mut trends = Trends::new(Duration::ZERO);
        run(&mut trends, 3600, 70);
        let minute = trends.of(&topic(0)).unwrap().minute;
        assert_eq!((minute.per_second(|c| c.messages), minute.per_second(|c| c.bytes)), (7.0, 700.0));
        run(&mut trends, 3660, 0);
        assert_eq!(trends.of(&topic(0)).unwrap().minute.per_second(|c| c.messages), 0.0);
        assert!(trends.busiest(5, |_| true).is_empty());
        run(&mut trends, 3660 + 86_400, 0);
        assert_eq!((trends.of(&topic(0)), trends.len()), (None, 0), "a day without messages");
    }

    #[test]
    fn a_topic_that_begins_late_is_measured_against_the_whole_window() {
        let mut trends = Trends::new(Duration::ZERO);
        run(&mut trends, 3600, 0);
        run(&mut trends, 3610, 60);
        check(&trends, [(60, 60), (60, 3610), (60, 3610)]);
    }

    #[test]
    fn those_that_are_quiet_make_room() {
        let mut trends = Trends::new(Duration::ZERO);
        (0..SERIES_MAX).for_each(|n| trends.grew(topic(n), messages(1)));
        trends.sample(Duration::from_secs(10));
        trends.grew(topic(SERIES_MAX), messages(1));
        trends.sample(Duration::from_secs(20));
        assert_eq!((trends.len(), trends.untracked()), (SERIES_MAX, 1), "all of them grew within a minute");
        for second in (30..=100).step_by(10) {
            trends.grew(topic(0), messages(1));
            trends.grew(topic(SERIES_MAX), messages(1));
            trends.sample(Duration::from_secs(second));
        }
        assert!(trends.of(&topic(SERIES_MAX)).is_some() && trends.of(&topic(0)).is_some());
        assert!(trends.len() <= SERIES_MAX);
    }

    #[test]
    fn the_busiest_come_first() {
        let mut trends = Trends::new(Duration::ZERO);
        (1..10).for_each(|n| trends.grew(topic(n), messages(n as u64)));
        trends.grew(Counted::AllRead, messages(1000));
        trends.sample(Duration::from_secs(10));
        let busiest = trends.busiest(2, |counted| matches!(counted, Counted::Stored(_)));
        assert_eq!(busiest.into_iter().map(|(counted, _)| counted).collect::<Vec<_>>(), [topic(9), topic(8)]);
    }
}
