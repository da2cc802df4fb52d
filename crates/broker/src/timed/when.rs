//! What the properties of a message say about when it is to be delivered.

use crate::PublishError;
use model::properties;
use std::time::Duration;

/// Delay levels, numbered from 1.
pub(crate) const LEVELS: u32 = 18;
/// Seconds of each level.
const SECONDS: [u64; LEVELS as usize] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];

/// How long messages of a level wait.
pub(crate) fn duration_of(level: u32) -> Duration {
    let index = level.clamp(1, LEVELS) as usize - 1;
    Duration::from_secs(SECONDS[index])
}

/// Whether the value of [`properties::DELAY`] asks for a delay.
pub(crate) fn is_level(value: &str) -> bool {
    value.parse::<i64>().is_ok_and(|level| level > 0)
}

/// When a message asks to be delivered: by a level, or else by the first of the three properties that it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    level: Option<u32>,
    seconds: Option<&'a str>,
    millis: Option<&'a str>,
    at: Option<&'a str>,
}

/// A message is to be delivered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    /// Ms since the epoch.
    pub(crate) due: i64,
    /// Asked for by a delay level.
    pub(crate) by_level: bool,
}

impl When {
    /// Whether a property belongs to an earlier wait, so that the message must not show it again. A level makes what else
    /// asks for a wait void.
    pub(crate) fn forgets(self, name: &str) -> bool {
        [properties::REAL_TOPIC, properties::REAL_QUEUE_ID].contains(&name)
            || properties::TIMER_NOTED.contains(&name)
            || (self.by_level && properties::TIMER_ASKED.contains(&name))
    }
}

impl<'a> Asked<'a> {
    /// Notes a property.
    pub(crate) fn note(&mut self, name: &str, value: &'a str) {
        match name {
            properties::DELAY => {
                let level = value.parse::<i64>().unwrap_or(0);
                self.level = (level > 0).then(|| level.min(i64::from(LEVELS)) as u32);
            }
            properties::TIMER_DELAY_SEC => self.seconds = Some(value),
            properties::TIMER_DELAY_MS => self.millis = Some(value),
            properties::TIMER_DELIVER_MS => self.at = Some(value),
            _ => {}
        }
    }

    /// When to deliver; `None` for at once, also if the time has passed.
    pub(crate) fn when(&self, now: i64, delay_max: Duration) -> Result<Option<When>, PublishError> {
        if let Some(level) = self.level {
            let delay = duration_of(level).as_millis() as i64;
            return Ok(Some(When { due: now + delay, by_level: true }));
        }
        let (property, value, due): (_, _, fn(i64, i64) -> i64) = match (self.seconds, self.millis, self.at) {
            (Some(seconds), ..) => {
                (properties::TIMER_DELAY_SEC, seconds, |now, value| now.saturating_add(value.saturating_mul(1000)))
            }
            (_, Some(millis), _) => (properties::TIMER_DELAY_MS, millis, i64::saturating_add),
            (.., Some(at)) => (properties::TIMER_DELIVER_MS, at, |_, value| value),
            (None, None, None) => return Ok(None),
        };
        let max = i64::try_from(delay_max.as_millis()).unwrap_or(i64::MAX);
        let refuse = || PublishError::Delay { property, value: value.chars().take(64).collect(), max_ms: max };
        let due = due(now, value.trim().parse().map_err(|_| refuse())?);
        if due.saturating_sub(now) > max {
            return Err(refuse());
        }
        Ok((due > now).then_some(When { due, by_level: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn check(text: &str, expected: Option<Option<(i64, bool)>>) {
        let mut asked = Asked::default();
        properties::iter(text).for_each(|(name, value)| asked.note(name, value));
        let when = asked.when(NOW, Duration::from_secs(100)).ok();
        assert_eq!(when, expected.map(|when| when.map(|(due, by_level)| When { due, by_level })), "{text:?}");
    }

    #[test]
    fn the_first_property_counts_and_a_level_before_all() {
        check("", Some(None));
        check("DELAY\u{1}1\u{2}", Some(Some((NOW + 1000, true))));
        check("DELAY\u{1}99\u{2}", Some(Some((NOW + 7_200_000, true))));
        check("DELAY\u{1}-1\u{2}TIMER_DELAY_MS\u{1}5\u{2}", Some(Some((NOW + 5, false))));
        check("TIMER_DELAY_MS\u{1}5\u{2}TIMER_DELAY_SEC\u{1}3\u{2}", Some(Some((NOW + 3000, false))));
        check("TIMER_DELIVER_MS\u{1}1000007\u{2}", Some(Some((NOW + 7, false))));
        check("DELAY\u{1}2\u{2}TIMER_DELAY_MS\u{1}5\u{2}", Some(Some((NOW + 5000, true))));
    }

    #[test]
    fn the_past_is_now_and_what_is_too_far_or_no_number_is_refused() {
        check("TIMER_DELIVER_MS\u{1}999999\u{2}", Some(None));
        check("TIMER_DELAY_SEC\u{1}0\u{2}", Some(None));
        check("TIMER_DELAY_SEC\u{1}-9\u{2}", Some(None));
        check("TIMER_DELAY_SEC\u{1}100\u{2}", Some(Some((NOW + 100_000, false))));
        check("TIMER_DELAY_SEC\u{1}101\u{2}", None);
        check("TIMER_DELIVER_MS\u{1}9223372036854775807\u{2}", None);
        check("TIMER_DELAY_MS\u{1}soon\u{2}", None);
    }
}
