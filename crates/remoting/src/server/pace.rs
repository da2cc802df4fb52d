//! How fast one connection is read: over its rates nothing more is taken from the socket for a while, and the client
//! feels it by the back-pressure of TCP.

use std::time::Duration;

/// How much may be read at once after a pause, in time.
const BURST: Duration = Duration::from_secs(1);

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
    /// Takes note of what was read at a time (monotonic); gives how long to read nothing.
    pub(super) fn read(&mut self, rates: &Rates, bytes: usize, requests: usize, now: Duration) -> Duration {
        let pay = |paid_at: &mut Duration, count: usize, rate: Option<u64>| {
            if let Some(rate) = rate {
                let nanos = count as u128 * 1_000_000_000 / u128::from(rate.max(1));
                *paid_at = (*paid_at).max(now) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            }
            paid_at.saturating_sub(now + BURST)
        };
        let for_bytes = pay(&mut self.bytes_paid_at, bytes, rates.bytes);
        for_bytes.max(pay(&mut self.requests_paid_at, requests, rates.requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_rates_there_is_no_pause() {
        let mut pace = Pace::default();
        assert_eq!(pace.read(&Rates::default(), usize::MAX, usize::MAX, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_was_read_too_fast_is_waited_for() {
        let (mut pace, at) = (Pace::default(), Duration::from_secs);
        let rates = Rates { bytes: Some(1000), requests: Some(10) };
        let mut check = |bytes, requests, now, expected| assert_eq!(pace.read(&rates, bytes, requests, now), expected);
        check(1000, 1, at(10), at(0));
        check(2000, 1, at(10), at(2));
        check(0, 0, at(12), at(0));
        check(0, 50, at(20), at(4));
    }
}
