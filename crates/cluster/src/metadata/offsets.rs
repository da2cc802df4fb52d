//! Consumer offsets in memory, and which of them the journal does not know yet.

use super::Change;
use model::{Group, QueueId, QueueOffset, Topic};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Parts with a lock of their own; a group is in one of them.
const SHARDS: usize = 16;

/// One offset.
#[derive(Clone, Copy)]
struct Slot {
    offset: QueueOffset,
    /// Whether the journal does not have this value yet; then the slot is in its shard's list.
    is_dirty: bool,
}

#[derive(Default)]
struct Shard {
    groups: HashMap<Group, HashMap<Topic, BTreeMap<QueueId, Slot>>>,
    dirty: Vec<(Group, Topic, QueueId)>,
}

/// What an advance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The offset is further now.
    Moved,
    /// It was as far already.
    Kept,
    /// A new offset found no room: see [`Options::offsets_max`](super::Options).
    Full,
}

pub(super) struct Offsets {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
    count_max: usize,
    /// Advances so far.
    moves: AtomicU64,
}

impl Offsets {
    pub(super) fn new(count_max: usize) -> Self {
        Self { shards: Default::default(), count: AtomicUsize::new(0), count_max, moves: AtomicU64::new(0) }
    }

    fn shard(&self, group: &Group) -> &Mutex<Shard> {
        let mut hasher = DefaultHasher::new();
        group.hash(&mut hasher);
        &self.shards[hasher.finish() as usize % SHARDS]
    }

    /// Advances so far; an advance that was counted is in a list of dirty slots or has been drained.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, group: &Group, topic: &Topic, queue: QueueId) -> Option<QueueOffset> {
        let shard = self.shard(group).lock();
        shard.groups.get(group)?.get(topic)?.get(&queue).map(|slot| slot.offset)
    }

    pub(super) fn advance(&self, group: &Group, topic: &Topic, queue: QueueId, offset: QueueOffset) -> Advance {
        let shard = &mut *self.shard(group).lock();
        let known = shard.groups.get_mut(group).and_then(|topics| topics.get_mut(topic)?.get_mut(&queue));
        let was_dirty = match known {
            Some(slot) if slot.offset >= offset => return Advance::Kept,
            Some(slot) => {
                slot.offset = offset;
                std::mem::replace(&mut slot.is_dirty, true)
            }
            None if self.count.load(Ordering::Relaxed) >= self.count_max => return Advance::Full,
            None => {
                self.put(shard, group, topic, queue, Slot { offset, is_dirty: true });
                false
            }
        };
        if !was_dirty {
            shard.dirty.push((group.clone(), topic.clone(), queue));
        }
        self.moves.fetch_add(1, Ordering::AcqRel);
        Advance::Moved
    }

    fn put(&self, shard: &mut Shard, group: &Group, topic: &Topic, queue: QueueId, slot: Slot) {
        let topics = match shard.groups.get_mut(group) {
            Some(topics) => topics,
            None => shard.groups.entry(group.clone()).or_default(),
        };
        let queues = match topics.get_mut(topic) {
            Some(queues) => queues,
            None => topics.entry(topic.clone()).or_default(),
        };
        if queues.insert(queue, slot).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes up to `limit` offsets that the journal lacks; true if those were all.
    pub(super) fn drain(&self, limit: usize, into: &mut Vec<(Group, Topic, QueueId, QueueOffset)>) -> bool {
        for shard in &self.shards {
            let shard = &mut *shard.lock();
            while into.len() < limit {
                let Some((group, topic, queue)) = shard.dirty.pop() else { break };
                let slot = shard.groups.get_mut(&group).and_then(|topics| topics.get_mut(&topic)?.get_mut(&queue));
                if let Some(slot) = slot
                    && slot.is_dirty
                {
                    slot.is_dirty = false;
                    into.push((group, topic, queue, slot.offset));
                }
            }
            if !shard.dirty.is_empty() {
                return false;
            }
            shard.dirty.shrink_to(1024);
        }
        true
    }

    /// Gives offsets back that were drained but could not be journaled.
    pub(super) fn undo_drain(&self, drained: Vec<(Group, Topic, QueueId, QueueOffset)>) {
        for (group, topic, queue, _) in drained {
            let shard = &mut *self.shard(&group).lock();
            let slot = shard.groups.get_mut(&group).and_then(|topics| topics.get_mut(&topic)?.get_mut(&queue));
            if let Some(slot) = slot
                && !std::mem::replace(&mut slot.is_dirty, true)
            {
                shard.dirty.push((group, topic, queue));
            }
        }
    }

    /// Makes a change that the journal has.
    pub(super) fn apply(&self, change: &Change) {
        match change {
            Change::Offsets(entries) => {
                for (group, topic, queue, offset) in entries {
                    let shard = &mut *self.shard(group).lock();
                    let known = shard.groups.get(group).and_then(|topics| topics.get(topic)?.get(queue));
                    if known.is_none_or(|slot| slot.offset < *offset) {
                        self.put(shard, group, topic, *queue, Slot { offset: *offset, is_dirty: false });
                    }
                }
            }
            Change::OffsetsReset { entries, .. } => {
                for (group, topic, queue, offset) in entries {
                    let shard = &mut *self.shard(group).lock();
                    self.put(shard, group, topic, *queue, Slot { offset: *offset, is_dirty: false });
                }
            }
            Change::OffsetsForgotten { group, topic } => self.forget(group.as_ref(), topic.as_ref()),
            Change::TopicDeleted(topic) => self.forget(None, Some(topic)),
            Change::GroupForgotten(group) => self.forget(Some(group), None),
            _ => {}
        }
    }

    fn forget(&self, group: Option<&Group>, topic: Option<&Topic>) {
        let forgotten = match (group, topic) {
            (None, None) => 0,
            (Some(group), None) => {
                let removed = self.shard(group).lock().groups.remove(group);
                removed.map_or(0, |topics| topics.values().map(BTreeMap::len).sum())
            }
            (Some(group), Some(topic)) => forget_topic(&mut self.shard(group).lock(), group, topic),
            (None, Some(topic)) => {
                let shards = self.shards.iter().map(|shard| {
                    let shard = &mut *shard.lock();
                    let groups: Vec<Group> = shard.groups.keys().cloned().collect();
                    groups.iter().map(|group| forget_topic(shard, group, topic)).sum::<usize>()
                });
                shards.sum()
            }
        };
        self.count.fetch_sub(forgotten, Ordering::Relaxed);
    }

    pub(super) fn of_group(&self, group: &Group) -> Vec<(Topic, QueueId, QueueOffset)> {
        let shard = self.shard(group).lock();
        let mut all = Vec::new();
        for (topic, queues) in shard.groups.get(group).into_iter().flatten() {
            all.extend(queues.iter().map(|(queue, slot)| (topic.clone(), *queue, slot.offset)));
        }
        drop(shard);
        all.sort();
        all
    }

    pub(super) fn of_topic(&self, topic: &Topic) -> Vec<(Group, QueueId, QueueOffset)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            for (group, topics) in &shard.lock().groups {
                let queues = topics.get(topic).into_iter().flatten();
                all.extend(queues.map(|(queue, slot)| (group.clone(), *queue, slot.offset)));
            }
        }
        all.sort();
        all
    }

    /// All groups, so that offsets can be walked without stopping the others for long.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for shard in &self.shards {
            groups.extend(shard.lock().groups.keys().cloned());
        }
        groups.sort();
        groups
    }
}

fn forget_topic(shard: &mut Shard, group: &Group, topic: &Topic) -> usize {
    let Some(topics) = shard.groups.get_mut(group) else { return 0 };
    let forgotten = topics.remove(topic).map_or(0, |queues| queues.len());
    if topics.is_empty() {
        shard.groups.remove(group);
    }
    forgotten
}
