//! Rates that an operator allows a topic, a group, or reads from the disk.
//!
//! Sources: the generic cell rate algorithm (ITU-T I.371): a rate is one point in time, up to which what was taken is paid.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;

/// Topic and group attribute: messages a second.
pub(crate) const MESSAGES: &str = "quota.messages-per-second";
/// Topic and group attribute: bytes of bodies and properties a second.
pub(crate) const BYTES: &str = "quota.bytes-per-second";
/// How much may be taken at once after a pause, in time.
const BURST: Duration = Duration::from_secs(1);

/// One limit of a number a second.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    per_second: u64,
    /// When all that was taken is paid, by the monotonic clock.
    paid_at: Duration,
}

impl Rate {
    /// `per_second` is at least 1.
    pub(crate) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), paid_at: Duration::ZERO }
    }

    /// How long to wait before more may be taken.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        self.paid_at.saturating_sub(now + BURST)
    }

    /// Takes, though it may be too much.
    pub(crate) fn take(&mut self, count: u64, now: Duration) {
        let cost = Duration::from_nanos((u128::from(count) * 1_000_000_000 / u128::from(self.per_second)) as u64);
        self.paid_at = self.paid_at.max(now) + cost;
    }
}

/// The limits of one topic or group.
#[derive(Debug)]
pub(crate) struct Quota(Mutex<Rates>);

#[derive(Clone, Debug)]
struct Rates {
    messages: Option<Rate>,
    bytes: Option<Rate>,
}

impl Rates {
    fn wait(&self, now: Duration) -> Duration {
        [&self.messages, &self.bytes].into_iter().flatten().map(|rate| rate.wait(now)).max().unwrap_or_default()
    }

    fn take(&mut self, messages: usize, bytes: usize, now: Duration) {
        for (rate, count) in [(&mut self.messages, messages), (&mut self.bytes, bytes)] {
            if let Some(rate) = rate {
                rate.take(count as u64, now);
            }
        }
    }
}

impl Quota {
    /// The limits that attributes set, if any.
    pub(crate) fn of(attributes: &BTreeMap<String, String>) -> Option<Self> {
        let rate = |name: &str| attributes.get(name).and_then(|value| per_second(value)).map(Rate::new);
        let rates = Rates { messages: rate(MESSAGES), bytes: rate(BYTES) };
        (rates.messages.is_some() || rates.bytes.is_some()).then_some(Self(Mutex::new(rates)))
    }

    /// Takes, or says after which time to ask again. What is larger than the limit passes when nothing is owed.
    pub(crate) fn try_take(&self, messages: usize, bytes: usize, now: Duration) -> Result<(), Duration> {
        let mut rates = self.0.lock();
        match rates.wait(now) {
            Duration::ZERO => {
                rates.take(messages, bytes, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

/// The number that an attribute's value says: at least 1.
pub(crate) fn per_second(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(messages: &str, bytes: &str) -> Option<Quota> {
        let pairs = [(MESSAGES, messages), (BYTES, bytes)].into_iter().filter(|(_, value)| !value.is_empty());
        Quota::of(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn no_attribute_no_quota() {
        assert!(quota("", "").is_none());
        assert!(quota("0", "many").is_none());
    }

    #[test]
    fn a_second_in_advance_and_then_the_rate() {
        let quota = quota("10", "").unwrap();
        let taken = |from: u64, to: u64| {
            (from..to).filter(|ms| quota.try_take(1, 1000, Duration::from_millis(*ms)).is_ok()).count()
        };
        let check = |from: u64, to: u64, least: usize| {
            let count = taken(from, to);
            assert!((least..=least + 1).contains(&count), "{count} from {from} to {to} ms, {least} expected");
        };
        check(0, 1000, 20);
        check(1000, 3000, 20);
        check(60_000, 61_000, 20);
    }

    #[test]
    fn who_is_too_fast_is_told_how_long_to_wait() {
        let quota = quota("", "1000").unwrap();
        let at = Duration::from_secs;
        assert_eq!(quota.try_take(1, 5000, at(100)), Ok(()));
        assert_eq!(quota.try_take(1, 1, at(100)), Err(at(4)));
        assert_eq!(quota.try_take(1, 1000, at(104)), Ok(()));
        assert_eq!(quota.try_take(1, 1, at(104)), Err(at(1)));
        assert_eq!(quota.try_take(1, 1, at(105)), Ok(()));
    }
}
