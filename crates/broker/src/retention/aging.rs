//! The time by which messages age.
//!
//! A clock that is set far ahead, by mistake or by a machine that has forgotten the time, would make all messages old at
//! once. So they age by the clock only while it goes as time passes. One that is suddenly far ahead is doubted for a time;
//! meanwhile messages age by the time that passes.

use rt::Timestamp;
use std::time::Duration;

/// How far ahead the clock may be at once.
const JUMP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How much later than the newest message a broker may start without a doubt: it may have been down.
const DOWNTIME_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a clock must stay ahead to be believed.
const DOUBT: Duration = Duration::from_secs(24 * 3600);

/// What is known of the time.
#[derive(Debug)]
pub(super) struct Aging {
    time: Timestamp,
    /// When it was that time, by the monotonic clock.
    at: Duration,
    doubted_since: Option<Duration>,
}

impl Aging {
    /// At the start, when the newest message was stored at `newest`.
    pub(super) fn at_start(newest: Option<Timestamp>, clock: Timestamp, at: Duration) -> Self {
        let certain = newest.filter(|newest| clock.since(*newest) > DOWNTIME_MAX);
        Self::new(certain.unwrap_or(clock), at)
    }

    /// From a time on that has certainly been.
    fn new(time: Timestamp, at: Duration) -> Self {
        Self { time, at, doubted_since: None }
    }

    /// The time by which messages age, when the clock says `clock`. Not before that time if it is doubted.
    pub(super) fn now(&mut self, clock: Timestamp, at: Duration) -> Timestamp {
        let passed = self.time.after(at.saturating_sub(self.at));
        let was_doubted = self.doubted_since;
        let is_ahead = clock.since(passed) > JUMP_MAX;
        self.doubted_since = is_ahead.then(|| was_doubted.unwrap_or(at));
        if self.doubted_since.is_some_and(|since| at.saturating_sub(since) >= DOUBT) {
            tracing::warn!("the clock has stayed far ahead for a day; messages age by it from now on");
            self.doubted_since = None;
        }
        (self.time, self.at) = (if self.doubted_since.is_some() { passed } else { clock }, at);
        if self.doubted_since.is_some() && was_doubted.is_none() {
            let hours = clock.since(passed).as_secs() / 3600;
            tracing::warn!(
                hours,
                "the clock is far ahead of the newest message, or of the time that has passed; no message is \
                 deleted for its age by it until it has stayed so for a day, or 'mqadmin deleteExpiredCommitLog' is asked for"
            );
        }
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Looks each hour at a clock that is `ahead` hours ahead from hour 2 on; by how many hours messages have aged then.
    fn ages(ahead: i64, hours: i64) -> i64 {
        let mut aging = Aging::new(Timestamp(0), Duration::ZERO);
        let look = |hour: i64| {
            let clock = if hour < 2 { hour } else { hour + ahead };
            aging.now(Timestamp(clock * HOUR), Duration::from_millis((hour * HOUR) as u64)).0 / HOUR
        };
        (0..=hours).map(look).last().unwrap_or(0)
    }

    #[test]
    fn a_clock_far_ahead_is_doubted_for_a_day() {
        let check = |ahead: i64, hours: i64, expected: i64| assert_eq!(ages(ahead, hours), expected, "{ahead} {hours}");
        check(0, 100, 100);
        check(24, 2, 26);
        check(-500, 3, -497);
        check(100_000, 2, 2);
        check(100_000, 25, 25);
        check(100_000, 26, 100_026);
        check(100_000, 50, 100_050);
    }

    #[test]
    fn a_clock_that_is_set_right_again_was_never_believed() {
        let mut aging = Aging::new(Timestamp(0), Duration::ZERO);
        let mut look =
            |clock: i64, hours: u64| aging.now(Timestamp(clock * HOUR), Duration::from_secs(hours * 3600)).0 / HOUR;
        assert_eq!((look(9000, 1), look(9010, 11), look(12, 12), look(9999, 13)), (1, 11, 12, 13));
        assert_eq!((look(9999, 36), look(9999, 37)), (36, 9999));
    }

    #[test]
    fn a_downtime_is_believed_unless_it_is_very_long() {
        let check = |newest: Option<i64>, expected: i64| {
            let newest = newest.map(|hours| Timestamp(hours * HOUR));
            let mut aging = Aging::at_start(newest, Timestamp(9000 * HOUR), Duration::ZERO);
            let now = aging.now(Timestamp(9001 * HOUR), Duration::from_secs(3600));
            assert_eq!(now.0 / HOUR, expected, "{newest:?}");
        };
        check(None, 9001);
        check(Some(8999), 9001);
        check(Some(9000 - 89 * 24), 9001);
        check(Some(9000 - 91 * 24), 9000 - 91 * 24 + 1);
        check(Some(9010), 9001);
    }
}
