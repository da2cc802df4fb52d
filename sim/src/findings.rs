//! What a run has found so far: the part that every ledger has, and the shell that every run has.

use crate::{Invariant, Report, Violation, panics, seeded};
use rt::sim::{self, SimHost, Trace, World};
use std::fmt;

/// Runs one seed on a thread on which nothing differs from run to run.
pub(crate) fn run<F: Future<Output = Report>>(seed: u64, simulation: impl FnOnce(World) -> F + Send) -> Report {
    panics::watch();
    seeded::run(seed, || sim::run(seed, simulation))
}

/// The first thing that was wrong, and how much was looked at.
pub(crate) struct Findings {
    trace: Trace,
    violation: Option<Violation>,
    /// Messages acknowledged.
    pub(crate) acknowledged: u64,
    /// Records read and compared.
    pub(crate) compared: u64,
}

impl Findings {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, violation: None, acknowledged: 0, compared: 0 }
    }

    /// An event of the run.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.trace.note(what);
    }

    /// Something that must hold does not; only the first counts.
    pub(crate) fn fail(&mut self, invariant: Invariant, what: String) {
        self.note(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(Violation { invariant, what });
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.violation.is_some()
    }

    #[cfg(test)]
    pub(crate) fn violated(&self) -> Option<Invariant> {
        self.violation.as_ref().map(|violation| violation.invariant)
    }

    /// Panics since the last look are violations.
    pub(crate) fn take_panics(&mut self) {
        for panic in panics::take() {
            self.fail(Invariant::Sound, panic);
        }
    }

    /// The outcome of a run on `machine`, in which so many messages were sent.
    pub(crate) fn report(&self, world: &World, machine: &SimHost, sent: u64, stops: u64) -> Report {
        Report {
            seed: world.seed(),
            trace: self.trace.hash(),
            events: self.trace.events(),
            sent,
            acknowledged: self.acknowledged,
            compared: self.compared,
            stops,
            faults: machine.disk().counters().faults,
            violation: self.violation.clone(),
            last: self.trace.last(),
        }
    }
}
