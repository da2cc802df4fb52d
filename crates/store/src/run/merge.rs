//! Merging neighbouring runs into one, in one pass and with little memory.

use super::read::{Row, Run, TopicNames};
use super::write::{QueueTable, RunWriter};
use crate::index::{Key, Spot};
use model::{QueueId, Topic};
use rt::Disk;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// One run that covers what `runs` cover, which follow each other. `table` has all queues at their end.
pub(crate) fn merge(disk: &dyn Disk, dir: &Path, runs: &[Arc<Run>], table: &QueueTable) -> io::Result<Arc<Run>> {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return Err(io::Error::other("there is no run to merge"));
    };
    let mut writer = RunWriter::create(disk, dir, first.header.from, last.header.to)?;
    merge_queues(runs, &mut writer)?;
    merge_keys(runs, &mut writer)?;
    writer.finish(Some(table))
}

fn merge_queues(runs: &[Arc<Run>], writer: &mut RunWriter<'_>) -> io::Result<()> {
    let mut names: Vec<_> = runs.iter().map(|run| TopicNames::new(run)).collect();
    let mut rows: Vec<_> = runs.iter().map(|run| run.rows()).collect();
    let mut heap: BinaryHeap<Reverse<(Topic, QueueId, usize)>> = BinaryHeap::new();
    let mut heads = vec![Row::default(); runs.len()];
    let mut advance = |number: usize, heads: &mut Vec<Row>| -> io::Result<Option<Reverse<_>>> {
        let Some(row) = rows[number].next().transpose()? else { return Ok(None) };
        heads[number] = row;
        Ok(Some(Reverse((names[number].get(row.topic)?, row.id, number))))
    };
    for number in 0..runs.len() {
        heap.extend(advance(number, &mut heads)?);
    }
    let mut current: Option<(Topic, QueueId, u64)> = None;
    while let Some(Reverse((topic, id, number))) = heap.pop() {
        let row = heads[number];
        let next = match &current {
            Some((t, i, next)) if *t == topic && *i == id => *next,
            _ => {
                writer.queue(&topic, id, row.first);
                row.first
            }
        };
        copy(&runs[number], row, next, writer)?;
        current = Some((topic, id, row.end().max(next)));
        heap.extend(advance(number, &mut heads)?);
    }
    Ok(())
}

/// Copies a queue's entries; offsets between `next` and the row's first one count as lost.
fn copy(run: &Run, row: Row, next: u64, writer: &mut RunWriter<'_>) -> io::Result<()> {
    let skipped = next.saturating_sub(row.first).min(row.count);
    let mut lost = row.first.saturating_sub(next);
    for spot in run.entries(row.index + skipped..row.index + row.count) {
        let spot: Spot = spot?;
        for _ in 0..std::mem::take(&mut lost) {
            writer.entry(&spot.lost())?;
        }
        writer.entry(&spot)?;
    }
    Ok(())
}

fn merge_keys(runs: &[Arc<Run>], writer: &mut RunWriter<'_>) -> io::Result<()> {
    let mut keys: Vec<_> = runs.iter().map(|run| run.keys(0..run.header.keys)).collect();
    let mut heap: BinaryHeap<Reverse<(Key, usize)>> = BinaryHeap::new();
    for (number, keys) in keys.iter_mut().enumerate() {
        heap.extend(keys.next().transpose()?.map(|key| Reverse((key, number))));
    }
    while let Some(mut top) = heap.peek_mut() {
        let Reverse((key, number)) = *top;
        writer.key(key)?;
        match keys[number].next().transpose()? {
            Some(next) => *top = Reverse((next, number)),
            None => drop(PeekMut::pop(top)),
        }
    }
    Ok(())
}
