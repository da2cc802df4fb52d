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
        let Some(last) = log.segments.load().last().cloned() else { return Step::Wait };
        // A file of the log is on disk before the one after it, so that recovery never finds a gap.
        if let Err(error) = last.settle(&*log.host.disk) {
            log.set_poison(&last.path, &error);
            log.signals.flush.give();
            return Step::Wait;
        }
        let mut prepared = self.shared.prepared.0.lock();
        let end = last.end();
        if prepared.as_ref().is_none_or(|segment| segment.start != end) {
            // Should it fail, the writer will when it comes so far, and tell those who wait.
            let settled = |segment: Segment| segment.sync(&*log.host.disk).map(|()| segment);
            *prepared = create(&self.shared, end)
                .and_then(settled)
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
        _ => {
            let log = &shared.log;
            if let Some(last) = log.segments.load().last() {
                last.settle(&*log.host.disk).inspect_err(|error| log.set_poison(&last.path, error))?;
            }
            create(shared, start)
        }
    }
}

fn create(shared: &Shared, start: u64) -> io::Result<Segment> {
    let log = &shared.log;
    let options = &log.options;
    Segment::create(&*log.host.disk, &log.log_dir(), start, options.segment_bytes, options.epoch.0)
}
