//! What happened, as one number and a few last lines.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

/// Lines that are kept for the report of a failure.
const LAST_LINES_MAX: usize = 200_000;

/// The ordered events of a run: a hash over all of them and the text of the last. Clones share one trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

struct State {
    hash: Fnv,
    events: u64,
    last: VecDeque<String>,
}

impl Default for State {
    fn default() -> Self {
        Self { hash: Fnv(0xcbf2_9ce4_8422_2325), events: 0, last: VecDeque::new() }
    }
}

impl Trace {
    /// Counts an event into the hash.
    pub fn mark(&self, event: fmt::Arguments<'_>) {
        let mut state = self.0.lock();
        state.add(event);
    }

    /// Counts an event into the hash and keeps its text.
    pub fn note(&self, event: fmt::Arguments<'_>) {
        let mut state = self.0.lock();
        state.add(event);
        if state.last.len() == LAST_LINES_MAX {
            state.last.pop_front();
        }
        let line = format!("{:>6} {event}", state.events);
        state.last.push_back(line);
    }

    /// The hash over all events in their order.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.lock().hash.0
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.0.lock().events
    }

    /// The text of the last noted events, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.0.lock().last.iter().cloned().collect()
    }
}

impl State {
    fn add(&mut self, event: fmt::Arguments<'_>) {
        self.events += 1;
        // The line break keeps "ab","c" apart from "a","bc".
        self.hash.write_fmt(event).and_then(|()| self.hash.write_char('\n')).expect("a hash takes all text");
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
