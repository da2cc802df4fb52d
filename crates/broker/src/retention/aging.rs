//! The time by which messages age.
//!
//! A clock that is set far ahead, by mistake or by a machine that has forgotten the time, would make all messages old at
//! once. So they age by the clock only while it goes as time passes. One that is suddenly far ahead is doubted for a time;
//! meanwhile messages age by the time that passes.

use rt::Timestamp;
use std::time::Duration;

/// How far ahead the clock may be at once.
const JUMP_MAX: Duration = Duration::from_secs(24 * 3600);
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
    /// From a time on that has certainly been, as when the newest message was stored.
    pub(super) fn new(time: Timestamp, at: Duration) -> Self {
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
                "the clock is far ahead of the newest message and of the time that has passed since; no message is \
                 deleted for its age by it until it has stayed so for a day, or 'mqadmin deleteExpiredCommitLog' is asked for"
            );
        }
        self.time
    }

    /// An operator says that the clock is right.
    pub(super) fn believe(&mut self, clock: Timestamp, at: Duration) {
        *self = Self::new(clock, at);
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
    fn an_operator_may_believe_it() {
        let mut aging = Aging::new(Timestamp(0), Duration::ZERO);
        assert_eq!(aging.now(Timestamp(1000 * HOUR), Duration::from_secs(60)).0, 60_000);
        aging.believe(Timestamp(1000 * HOUR), Duration::from_secs(61));
        assert_eq!(aging.now(Timestamp(1000 * HOUR), Duration::from_secs(61)).0, 1000 * HOUR);
    }
}
