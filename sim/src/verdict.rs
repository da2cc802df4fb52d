//! What a run found.

use std::fmt;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: what was acknowledged is found again.
    Kept,
    /// I2: nothing that was never sent, nothing changed.
    Genuine,
    /// I4: offsets are dense, unique, never reused, never move.
    Dense,
    /// I5: a queue is consumed in order, by one at a time.
    Ordered,
    /// An atomic batch is there whole or not at all.
    Atomic,
    /// I8: a timed message is never early, comes once, can be cancelled until it is due, and survives any downtime.
    Timely,
    /// I9: the offsets of a group move forward only.
    Forward,
    /// I11: what is sent back comes again, or is a dead letter, and is counted.
    Retried,
    /// I12: what is derived from the log equals its rebuild.
    Derived,
    /// Damage is reported, never served, and never invented.
    Honest,
    /// When faults are over, the work goes on.
    Live,
    /// No code panics.
    Sound,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "I1 kept: what was acknowledged is found again",
            Self::Genuine => "I2 genuine: nothing is changed or made up",
            Self::Dense => "I4 dense: offsets have no gap, are never reused and never move",
            Self::Ordered => "I5 ordered: a queue is consumed in order, by one at a time",
            Self::Atomic => "atomic: a batch is there whole or not at all",
            Self::Timely => "I8 timely: a timed message is never early, comes once or is cancelled, and survives",
            Self::Forward => "I9 forward: offsets of a group move forward only",
            Self::Retried => "I11 retried: what is sent back comes again as often as allowed, then is a dead letter",
            Self::Derived => "I12 derived: derived state equals its rebuild",
            Self::Honest => "honest: damage is reported, never served, never invented",
            Self::Live => "live: when faults are over, the work goes on",
            Self::Sound => "sound: no code panics",
        })
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.invariant, self.what)
    }
}

/// The outcome of one seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Hash over all events in order: equal for equal seeds.
    pub trace: u64,
    /// How many events there were.
    pub events: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Records read and compared.
    pub compared: u64,
    /// How often the machine stopped.
    pub stops: u64,
    /// Faults that the disk made.
    pub faults: u64,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// The last events, oldest first.
    pub last: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {:>6}  trace {:016x}  {} events, {} sent, {} acknowledged, {} compared, {} stops, {} faults",
            self.seed, self.trace, self.events, self.sent, self.acknowledged, self.compared, self.stops, self.faults
        )?;
        let Some(violation) = &self.violation else { return Ok(()) };
        writeln!(f, "\nVIOLATION with seed {}\n  {violation}\nlast events:", self.seed)?;
        self.last.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
