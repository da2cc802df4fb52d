//! What the [owner](super::owner) asks of the index: each may wait for the disk.

use super::mark::{self, Said};
use model::record::Record;
use std::io;
use std::ops::ControlFlow;
use store::timer::{Due, Index, Pending};
use store::{Entry, ReadError, Store};

/// Messages of the index looked at in one go: more of them would keep what is due waiting.
const LOOKS_MAX: usize = 4096;
/// Messages moved together when retention comes near.
const ROLL_MESSAGES: usize = 256;

/// Takes in the records of entries.
pub(super) fn take_in(store: &Store, index: &mut Index, entries: &[Entry]) -> io::Result<()> {
    for entry in entries {
        match store.read_at(entry.physical) {
            Ok(bytes) => match Record::parse(&bytes).map(|record| mark::read(&record)) {
                Ok(Said::Waits(pending)) => index.add(pending),
                Ok(Said::Ended(ended)) => ended.into_iter().for_each(|pending| index.remove(pending)),
                Ok(Said::Nothing) | Err(_) => {
                    tracing::error!(position = entry.physical.0, "a record of the timer topic says nothing");
                }
            },
            Err(error @ ReadError::Io { .. }) => return Err(io::Error::other(error)),
            Err(error) => tracing::error!(position = entry.physical.0, %error, "a record of the timer topic is lost"),
        }
        index.set_applied(entry.offset.0 + 1, entry.physical.0);
    }
    Ok(())
}

/// Some of the pending messages behind one and before a time, of a topic if one is given, at most so many; and behind
/// which to look on, unless these are the last.
pub(super) fn list(
    index: &Index,
    after: Due,
    until: i64,
    topic: Option<i32>,
    count_max: usize,
) -> io::Result<(Vec<Pending>, Option<Due>)> {
    let mut found = Vec::new();
    let last = index.scan(after, LOOKS_MAX, |pending| {
        if pending.due.at < until && topic.is_none_or(|topic| pending.topic == topic) {
            found.push(pending);
        }
        let goes_on = pending.due.at < until && found.len() < count_max;
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((found, last.filter(|last| last.at < until)))
}

/// Which of these wait.
pub(super) fn which(index: &mut Index, dues: &[Due]) -> io::Result<Vec<Pending>> {
    let found = take_each(index, dues)?;
    index.put_back(&found);
    Ok(found)
}

/// Takes those of these that wait; all or none if the index cannot be read.
pub(super) fn take_each(index: &mut Index, dues: &[Due]) -> io::Result<Vec<Pending>> {
    let mut taken = Vec::new();
    for due in dues {
        match index.take(*due) {
            Ok(found) => taken.extend(found),
            Err(error) => {
                index.put_back(&taken);
                return Err(error);
            }
        }
    }
    Ok(taken)
}

/// Some of the pending messages whose record lies below a position, and behind which to look on; `None` at the end.
pub(super) fn below_position(index: &Index, after: Due, below: u64) -> io::Result<(Option<Due>, Vec<Due>)> {
    let mut found = Vec::new();
    let last = index.scan(after, LOOKS_MAX, |pending| {
        if pending.due.position < below {
            found.push(pending.due);
        }
        if found.len() < ROLL_MESSAGES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((last, found))
}
