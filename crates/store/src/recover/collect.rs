//! The index of a part of the log, gathered from its records.

use super::walk::Visit;
use crate::Damage;
use crate::index::{Key, Spot};
use crate::keys::Digest;
use crate::run::read::Run;
use crate::run::write::RunWriter;
use model::properties::Labels;
use model::record::Record;
use model::{PhysicalOffset, QueueId, Topic};
use rt::Disk;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// When to write what was gathered to a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) log_bytes: u64,
}

/// The index of a part of the log; full parts go to runs.
pub(crate) struct Collector<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    limits: Limits,
    /// Where segments begin and end, in order: no run reaches over one.
    borders: Vec<u64>,
    /// Where the part in memory begins.
    pub(crate) from: u64,
    slots: HashMap<Topic, HashMap<QueueId, u32>>,
    names: Vec<(Topic, QueueId)>,
    rows: Vec<Row>,
    keys: Vec<Key>,
    /// Rows and keys of whole batches.
    whole: (usize, usize),
    /// Finished runs.
    pub(crate) runs: Vec<Arc<Run>>,
    pub(crate) damages: Vec<Damage>,
    pub(crate) last_timestamp: i64,
}

#[derive(Clone, Copy)]
struct Row {
    slot: u32,
    offset: u64,
    spot: Spot,
}

/// What is left in memory at the end.
pub(crate) struct Rest {
    /// Entries in order of the log.
    pub(crate) entries: Vec<((Topic, QueueId), u64, Spot)>,
    pub(crate) keys: Vec<Key>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, dir: &'a Path, limits: Limits, borders: Vec<u64>, from: u64) -> Self {
        Self {
            disk,
            dir,
            limits,
            borders,
            from,
            slots: HashMap::new(),
            names: Vec::new(),
            rows: Vec::new(),
            keys: Vec::new(),
            whole: (0, 0),
            runs: Vec::new(),
            damages: Vec::new(),
            last_timestamp: i64::MIN,
        }
    }

    /// Writes what is in memory to a run up to `to`, even if it is empty.
    pub(crate) fn write_run(&mut self, to: u64) -> io::Result<()> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.names[*a as usize].cmp(&self.names[*b as usize]));
        let mut rank = vec![0; order.len()];
        (0u32..).zip(&order).for_each(|(place, slot)| rank[*slot as usize] = place);
        self.rows.sort_by_key(|row| (rank[row.slot as usize], row.offset));
        self.keys.sort_unstable();
        let mut writer = RunWriter::create(self.disk, self.dir, self.from, to)?;
        for rows in self.rows.chunk_by(|a, b| a.slot == b.slot) {
            let (topic, id) = &self.names[rows[0].slot as usize];
            let mut next = rows[0].offset;
            writer.queue(topic, *id, next);
            for row in rows {
                if row.offset < next {
                    self.damages.push(twice(row));
                    continue;
                }
                for _ in next..row.offset {
                    writer.entry(&row.spot.lost())?;
                }
                writer.entry(&row.spot)?;
                next = row.offset + 1;
            }
        }
        self.keys.iter().try_for_each(|key| writer.key(*key))?;
        self.runs.push(writer.finish(None)?);
        self.rows.clear();
        self.keys.clear();
        self.whole = (0, 0);
        self.from = to;
        Ok(())
    }

    /// What no run took.
    pub(crate) fn into_rest(mut self) -> Rest {
        self.take_back();
        let names = &self.names;
        let entries = self.rows.iter().map(|row| (names[row.slot as usize].clone(), row.offset, row.spot)).collect();
        Rest { entries, keys: self.keys }
    }

    fn slot(&mut self, topic: &str, id: QueueId) -> u32 {
        if let Some(slot) = self.slots.get(topic).and_then(|queues| queues.get(&id)) {
            return *slot;
        }
        let slot = self.names.len() as u32;
        let topic = Topic::from_stored(topic);
        self.names.push((topic.clone(), id));
        self.slots.entry(topic).or_default().insert(id, slot);
        slot
    }
}

fn twice(row: &Row) -> Damage {
    let position = PhysicalOffset(row.spot.physical);
    let reason = format!("a second message has offset {} of its queue; it is left out", row.offset);
    Damage { position, until: PhysicalOffset(row.spot.end()), reason }
}

impl Visit for Collector<'_> {
    fn record(&mut self, record: &Record<'_>) {
        let digest = Digest::of(record.topic, &Labels::of(record.properties));
        let physical = record.physical_offset.0;
        let spot = Spot {
            physical,
            size: record.bytes().len() as u32,
            tag_hash: digest.tag_hash,
            store_timestamp: record.store_timestamp,
        };
        let slot = self.slot(record.topic, record.queue_id);
        self.rows.push(Row { slot, offset: record.queue_offset.0, spot });
        self.keys.extend(digest.keys().map(|hash| Key { hash, physical }));
    }

    fn commit(&mut self, position: u64) -> io::Result<()> {
        if let Some(row) = self.rows.last() {
            self.last_timestamp = self.last_timestamp.max(row.spot.store_timestamp);
        }
        self.whole = (self.rows.len(), self.keys.len());
        let is_full = self.rows.len() >= self.limits.entries || position - self.from >= self.limits.log_bytes;
        let mut is_written = false;
        // Behind a damaged place the position may lie several segments further.
        while let Some(border) = self.borders.iter().copied().find(|border| self.from < *border && *border <= position)
        {
            self.write_run(border)?;
            is_written = true;
        }
        if is_full && !is_written { self.write_run(position) } else { Ok(()) }
    }

    fn take_back(&mut self) {
        self.rows.truncate(self.whole.0);
        self.keys.truncate(self.whole.1);
    }

    fn damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }
}
