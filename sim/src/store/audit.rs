//! After every start: all that is there is read, and compared with all that was promised.

use super::clients::Bench;
use super::ledger::{Fate, Id};
use crate::Invariant;
use model::{PhysicalOffset, QueueOffset};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use store::{Boundary, Entry, Queue, ReadError, Recovered};

/// Entries asked for at once.
const ENTRIES_AT_ONCE: usize = 64;

/// What one queue holds.
#[derive(Default)]
struct Found {
    ids: BTreeSet<Id>,
    damaged: Vec<Range<u64>>,
    min: QueueOffset,
}

/// How long a damaged file of the index may take to be rebuilt.
const REBUILD_SECONDS_MAX: u64 = 20;

/// Reads everything. Call it while the disk makes no errors.
pub(super) async fn audit(bench: &Bench, recovered: &Recovered) {
    let mut found = Vec::new();
    for number in 0..bench.queues.len() {
        found.push(walk(bench, number).await);
    }
    let sent = bench.ledger.lock().sent();
    for id in 0..sent {
        judge(bench, recovered, &found, id);
    }
    judge_batches(bench);
    for _ in 0..8.min(sent) {
        bench.look_up();
    }
}

/// Reads one queue from its beginning to its end.
async fn walk(bench: &Bench, number: usize) -> Found {
    let queue = &bench.queues[number];
    let (mut at, max) = (queue.min_offset(), queue.max_offset());
    let mut found = Found { min: at, ..Found::default() };
    let mut patience = REBUILD_SECONDS_MAX;
    while at < max && !bench.ledger.lock().findings.is_failed() {
        let mut entries = Vec::new();
        match queue.entries(at, ENTRIES_AT_ONCE, &mut entries) {
            Ok(()) if entries.is_empty() => {
                let what = format!("queue {number} has nothing at {at}, below its end {max}");
                bench.ledger.lock().findings.fail(Invariant::Dense, what);
            }
            Ok(()) => {
                let before = found.ids.len();
                found.ids.extend(bench.read_entries(number, at.0, &entries));
                let next = at.plus(entries.len() as u64);
                if found.ids.len() - before < entries.len() {
                    // Some records could not be read, which was reported when it happened.
                    found.damaged.push(at.0..next.0);
                }
                at = next;
            }
            Err(ReadError::Damaged { .. }) => match queue.readable_from(at) {
                Ok(next) if next > at && bench.ledger.lock().is_log_rotten => {
                    found.damaged.push(at.0..next.0);
                    at = next;
                }
                other => {
                    let what = format!("queue {number} is damaged at {at} without cause or end: {other:?}");
                    bench.ledger.lock().findings.fail(Invariant::Honest, what);
                }
            },
            Err(ReadError::Rebuilding { .. }) if bench.ledger.lock().may_reads_fail && patience > 0 => {
                patience -= 1;
                rt::sleep(Duration::from_secs(1)).await;
            }
            // While a file of the index could not be read, the first offset was not known.
            Err(ReadError::NoOffset { min, .. }) if at == found.min && min > at && patience < REBUILD_SECONDS_MAX => {
                (at, found.min) = (min, min);
            }
            Err(error) => {
                let what = format!("queue {number} cannot be read at {at}: {error}");
                bench.ledger.lock().findings.fail(Invariant::Honest, what);
            }
        }
    }
    found
}

/// Was this message's promise kept?
fn judge(bench: &Bench, recovered: &Recovered, found: &[Found], id: Id) {
    let ledger = &mut *bench.ledger.lock();
    let in_queue = &found[ledger.queue_of(id)];
    if in_queue.ids.contains(&id) || ledger.findings.is_failed() {
        return;
    }
    match ledger.fate(id) {
        Fate::Stored { spot, .. } => {
            let name = ledger.name(id, spot.offset);
            let is_cut = recovered.cut.as_ref().is_some_and(|cut| cut.position <= spot.physical);
            // The last message of a queue: the report of the place is all that can be known of it.
            let is_reported = ledger.reported.iter().any(|damage| damage.contains(&spot.physical));
            if spot.offset < in_queue.min {
                expire(bench, ledger, id, spot.physical);
            } else if in_queue.damaged.iter().any(|range| range.contains(&spot.offset.0)) {
                ledger.findings.note(format_args!("{name}: message {id} is reported as damaged"));
            } else if ledger.is_log_rotten && (is_cut || is_reported) {
                ledger.set_fate(id, Fate::Gone);
            } else {
                let what = format!("{name}: message {id} was stored at {} and is lost ({recovered:?})", spot.physical);
                ledger.findings.fail(Invariant::Kept, what);
            }
        }
        // With damage in the queue one cannot know whether it is there.
        Fate::Loose { .. } | Fate::Open if in_queue.damaged.is_empty() => ledger.set_fate(id, Fate::Gone),
        _ => {}
    }
}

/// It lies below the first offset of its queue, so it must lie below the start of the log.
fn expire(bench: &Bench, ledger: &mut super::Ledger, id: Id, physical: PhysicalOffset) {
    let start = bench.store.positions().min;
    if physical < start {
        ledger.set_fate(id, Fate::Expired);
    } else if !ledger.is_log_rotten || bench.store.read_at(physical).is_ok() {
        let what = format!("message {id} at {physical} is below its queue, but the log begins at {start}");
        ledger.findings.fail(Invariant::Kept, what);
    }
}

fn judge_batches(bench: &Bench) {
    let ledger = &mut *bench.ledger.lock();
    if ledger.is_log_rotten {
        return;
    }
    let is_there = |fate| matches!(fate, Fate::Stored { .. } | Fate::Expired);
    let torn = ledger.batches().iter().find(|members| {
        let there = members.iter().filter(|&&id| is_there(ledger.fate(id))).count();
        there != 0 && there != members.len()
    });
    if let Some(members) = torn {
        let fates: Vec<_> = members.iter().map(|&id| (id, ledger.fate(id))).collect();
        ledger.findings.fail(Invariant::Atomic, format!("a batch is torn: {fates:?}"));
    }
}

/// What a store answers from its index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers(Vec<QueueAnswers>);

#[derive(Debug, PartialEq, Eq)]
struct QueueAnswers {
    min: QueueOffset,
    max: QueueOffset,
    entries: Vec<Entry>,
    /// For times around those of some entries: the offsets that they mean.
    offsets_at: Vec<(QueueOffset, QueueOffset)>,
}

/// Asks everything that the index answers. Call it while the disk makes no errors.
pub(super) fn answers(bench: &Bench) -> Result<Answers, ReadError> {
    bench.queues.iter().map(|queue| answers_of(queue)).collect::<Result<_, _>>().map(Answers)
}

fn answers_of(queue: &Queue) -> Result<QueueAnswers, ReadError> {
    let (min, max) = (queue.min_offset(), queue.max_offset());
    let mut entries = Vec::new();
    let mut at = min;
    while at < max {
        let before = entries.len();
        queue.entries(at, ENTRIES_AT_ONCE, &mut entries)?;
        at = at.plus((entries.len() - before).max(1) as u64);
    }
    let some = entries.iter().step_by(entries.len() / 8 + 1);
    let times = some.flat_map(|entry| [entry.store_timestamp - 1, entry.store_timestamp, entry.store_timestamp + 1]);
    let offsets_at =
        times.map(|time| Ok((queue.offset_at(time, Boundary::Lower)?, queue.offset_at(time, Boundary::Upper)?)));
    let offsets_at = offsets_at.collect::<Result<_, _>>()?;
    Ok(QueueAnswers { min, max, entries, offsets_at })
}

/// Compares the answers of a store with those that it gave before it was closed.
pub(super) fn compare(bench: &Bench, before: &Answers) {
    let now = match answers(bench) {
        Ok(now) => now,
        Err(error) => {
            let what = format!("what could be read before the restart cannot be read now: {error}");
            return bench.ledger.lock().findings.fail(Invariant::Derived, what);
        }
    };
    bench.ledger.lock().findings.note(format_args!("answers compared"));
    let Some(number) = (0..now.0.len()).find(|&number| now.0[number] != before.0[number]) else { return };
    let (now, before) = (&now.0[number], &before.0[number]);
    let what = if now.entries != before.entries {
        let first = now.entries.iter().zip(&before.entries).find(|(now, before)| now != before);
        let ((from, to), (min, max)) = ((before.min, before.max), (now.min, now.max));
        format!("{from} to {to} before, {min} to {max} now, first difference {first:?}")
    } else {
        format!("offsets by time were {:?} and are {:?}", before.offsets_at, now.offsets_at)
    };
    let what = format!("queue {number} answers otherwise than before it was closed: {what}");
    bench.ledger.lock().findings.fail(Invariant::Derived, what);
}
