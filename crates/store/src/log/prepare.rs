//! The stage that has the next segment ready before the writer needs it.

use super::segment::Segment;
use crate::store::Shared;
use parking_lot::Mutex;
use rt::{Stage, Step};
use std::io;
use std::sync::Arc;

/// The segment after the one being written, if it is ready.
#[derive(Default)]
pub(crate) struct Prepared(Mutex<Option<Segment>>);

pub(crate) struct Preparer {
    pub(crate) shared: Arc<Shared>,
}

impl Stage for Preparer {
    fn step(&mut self) -> Step {
        let log = &self.shared.log;
        if log.is_closing() {
            self.shared.ended(|ended| ended.prepare = true);
            return Step::Done;
        }
        let mut prepared = self.shared.prepared.0.lock();
        let end = log.segments.load().last().map_or(0, |segment| segment.end());
        if prepared.as_ref().is_none_or(|segment| segment.start != end) {
            // Should it fail, the writer will when it comes so far, and tell those who wait.
            *prepared = create(&self.shared, end)
                .inspect_err(|error| tracing::warn!(%error, "cannot reserve space for the next file of the log yet"))
                .ok();
        }
        Step::Wait
    }
}

/// The segment that starts at a position: the prepared one, or a new one.
pub(crate) fn take(shared: &Shared, start: u64) -> io::Result<Segment> {
    let mut prepared = shared.prepared.0.lock();
    match prepared.take() {
        Some(segment) if segment.start == start => Ok(segment),
        _ => create(shared, start),
    }
}

fn create(shared: &Shared, start: u64) -> io::Result<Segment> {
    let log = &shared.log;
    let options = &log.options;
    Segment::create(&*log.host.disk, &log.log_dir(), start, options.segment_bytes, options.epoch.0)
}
