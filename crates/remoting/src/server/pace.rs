//! How fast one connection is read: over its rates reading pauses, and the client feels it by the back-pressure of TCP. What
//! is further ahead of the rates even so is read, and can be refused.

use std::time::Duration;

/// How much may be read at once after a pause, in time.
const BURST: Duration = Duration::from_secs(1);
/// How much more is taken before further requests are refused, in time.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// Bounds on what is read from one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bytes a second.
    pub bytes: Option<u64>,
    /// Requests a second.
    pub requests: Option<u64>,
}

/// What one connection has used of its rates (generic cell rate algorithm: the time up to which it is paid).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    bytes_paid_at: Duration,
    requests_paid_at: Duration,
}

impl Pace {
    /// Takes note of a request that was read at a time (monotonic).
    ///
    /// # Errors
    /// How long to wait, if so much was read already that this one is too much. It does not count then.
    pub(super) fn take(&mut self, rates: &Rates, bytes: usize, now: Duration) -> Result<(), Duration> {
        let owed = self.owed(now);
        if owed > AHEAD_MAX {
            return Err(owed);
        }
        let pay = |paid_at: &mut Duration, count: usize, rate: Option<u64>| {
            if let Some(rate) = rate {
                let nanos = count as u128 * 1_000_000_000 / u128::from(rate.max(1));
                *paid_at = (*paid_at).max(now) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            }
        };
        pay(&mut self.bytes_paid_at, bytes, rates.bytes);
        pay(&mut self.requests_paid_at, 1, rates.requests);
        Ok(())
    }

    /// How long it takes until what was read is paid, but for what may be read at once.
    pub(super) fn owed(&self, now: Duration) -> Duration {
        self.bytes_paid_at.max(self.requests_paid_at).saturating_sub(now + BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pace: &mut Pace, rates: &Rates, requests: usize, bytes: usize, now: Duration) -> usize {
        (0..requests).filter(|_| pace.take(rates, bytes, now).is_ok()).count()
    }

    #[test]
    fn without_rates_there_is_no_pause() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, &Rates::default(), 1000, usize::MAX, Duration::ZERO), 1000);
        assert_eq!(pace.owed(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_was_read_too_fast_is_waited_for_and_what_is_far_too_much_refused() {
        let at = Duration::from_secs;
        let check = |rates: Rates, bytes: usize| {
            let mut pace = Pace::default();
            let mut step = |now, requests, expected, owed| {
                assert_eq!(taken(&mut pace, &rates, requests, bytes, at(now)), expected, "taken after {now} s");
                assert_eq!(pace.owed(at(now)), owed, "owed after {now} s");
            };
            step(10, 10, 10, at(0));
            step(10, 5, 5, Duration::from_millis(500));
            step(10, 50, 6, Duration::from_millis(1100));
            step(11, 50, 10, Duration::from_millis(1100));
            step(20, 10, 10, at(0));
        };
        check(Rates { bytes: None, requests: Some(10) }, 1);
        check(Rates { bytes: Some(1000), requests: None }, 100);
        check(Rates { bytes: Some(1000), requests: Some(1000) }, 100);
    }

    #[test]
    fn one_request_may_be_larger_than_the_rate() {
        let mut pace = Pace::default();
        let rates = Rates { bytes: Some(1000), requests: None };
        assert_eq!(pace.take(&rates, 5000, Duration::ZERO), Ok(()));
        assert_eq!(pace.take(&rates, 1, Duration::ZERO), Err(Duration::from_secs(4)));
    }
}
