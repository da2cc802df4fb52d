//! How much a client is given in one answer: what it takes within [`TAKE_TIME`], by how fast it took what it was sent last.
//! So an answer to a slow one holds little memory, and is not old when it arrives; a fast one gets many messages at a time.

use std::time::Duration;

/// Most bytes of one answer, if it has more than one message.
const BYTES_MAX: usize = 1 << 20;
/// The same for the slowest of clients.
const BYTES_MIN: usize = 32 << 10;
/// How long a client may take for one answer.
const TAKE_TIME: Duration = Duration::from_millis(250);

/// What one connection is given at once.
pub(super) struct Appetite {
    bytes: usize,
    /// Since when the socket has not taken all there is, and how much it took from then on.
    waiting: Option<(Duration, usize)>,
}

impl Default for Appetite {
    fn default() -> Self {
        Self { bytes: BYTES_MAX, waiting: None }
    }
}

impl Appetite {
    /// Bytes to be given in one answer.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The socket took so many bytes and takes no more at present.
    pub(super) fn has_enough(&mut self, taken: usize, now: Duration) {
        match &mut self.waiting {
            None => self.waiting = Some((now, 0)),
            Some((since, sum)) => {
                *sum += taken;
                let passed = now.saturating_sub(*since);
                if passed >= TAKE_TIME {
                    self.bytes = taken_in_time(*sum, passed);
                    self.waiting = Some((now, 0));
                }
            }
        }
    }

    /// The socket took so many bytes, and with them all there was.
    pub(super) fn took_all(&mut self, taken: usize, now: impl FnOnce() -> Duration) {
        let waited = self.waiting.take().map(|(since, sum)| (now().saturating_sub(since), sum + taken));
        self.bytes = match waited {
            Some((passed, sum)) if passed >= TAKE_TIME => taken_in_time(sum, passed),
            _ => (self.bytes * 2).min(BYTES_MAX),
        };
    }
}

/// What is taken in [`TAKE_TIME`] by one that takes so many bytes in a time.
fn taken_in_time(bytes: usize, time: Duration) -> usize {
    let in_time = bytes as u128 * TAKE_TIME.as_nanos() / time.as_nanos().max(1);
    usize::try_from(in_time).unwrap_or(BYTES_MAX).clamp(BYTES_MIN, BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends answer after answer to a client that takes so many bytes in each millisecond; what it is given at the end.
    fn fed(appetite: &mut Appetite, bytes_per_ms: usize, from_ms: u64, ms: u64) -> usize {
        let mut left = 0;
        for now in from_ms..from_ms + ms {
            let offered = if left == 0 { appetite.bytes() } else { left };
            let taken = offered.min(bytes_per_ms);
            left = offered - taken;
            let now = Duration::from_millis(now);
            if left == 0 { appetite.took_all(taken, || now) } else { appetite.has_enough(taken, now) }
        }
        appetite.bytes()
    }

    #[test]
    fn answers_are_as_large_as_the_client_is_fast() {
        let check = |bytes_per_ms: usize, least: usize, most: usize| {
            let bytes = fed(&mut Appetite::default(), bytes_per_ms, 0, 60_000);
            assert!((least..=most).contains(&bytes), "{bytes} for {bytes_per_ms} bytes a millisecond");
        };
        check(10, BYTES_MIN, BYTES_MIN);
        check(1000, 200_000, 500_000);
        check(100_000, BYTES_MAX, BYTES_MAX);
    }

    #[test]
    fn one_that_stood_still_gets_more_again_when_it_goes_on() {
        let mut appetite = Appetite::default();
        appetite.has_enough(1000, Duration::ZERO);
        appetite.took_all(100_000, || Duration::from_secs(10));
        assert_eq!(appetite.bytes(), BYTES_MIN);
        assert_eq!(fed(&mut appetite, 1 << 20, 10_001, 10), BYTES_MAX);
    }

    #[test]
    fn one_that_reads_nothing_gets_little() {
        let mut appetite = Appetite::default();
        appetite.has_enough(1000, Duration::ZERO);
        appetite.has_enough(0, Duration::from_millis(100));
        assert_eq!(appetite.bytes(), BYTES_MAX);
        appetite.has_enough(0, Duration::from_secs(1));
        assert_eq!(appetite.bytes(), BYTES_MIN);
    }
}
