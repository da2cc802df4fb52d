//! What is read by whom: counters on the way of the messages, and their samples.
//!
//! What is stored is counted by the queues themselves. What groups read has a counter for each topic of a group while
//! there is traffic; the counters are emptied by each sample, so one that stays empty can be forgotten. Beside them it is
//! known up to where each queue was handed out, which is further than the group has consumed.

use crate::Broker;
use crate::trends::{Count, Counted, Trend};
use model::{Group, QueueId, QueueOffset, Topic, system};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Parts of the table of counters, each with a lock of its own.
const SHARDS: usize = 16;
/// Most pairs of a topic and a group that have a counter; of more, only the sum is counted.
const PAIRS_MAX: usize = 16_384;
/// Samples after which a pair without traffic is forgotten: an hour, for as long as members may hold what they were handed.
const QUIET_SAMPLES: u64 = 360;
/// The same while the table is more than half full.
const QUIET_SAMPLES_CROWDED: u64 = 6;

/// What a group did in a topic since the last sample.
#[derive(Default)]
struct Pair {
    pulls: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    sent_back: AtomicU64,
    /// Samples without traffic.
    quiet: AtomicU64,
    /// Behind the last message that was handed out, by queue.
    handed: RwLock<BTreeMap<QueueId, AtomicU64>>,
}

impl Pair {
    fn hand(&self, queue: QueueId, next: QueueOffset) {
        if let Some(at) = self.handed.read().get(&queue) {
            return at.store(next.0, Relaxed);
        }
        self.handed.write().insert(queue, next.0.into());
    }
}

type Pairs = HashMap<Group, HashMap<Topic, Pair>>;

/// Counters of what groups read.
pub(crate) struct Traffic {
    hasher: RandomState,
    shards: Vec<RwLock<Pairs>>,
    count: AtomicUsize,
}

impl Default for Traffic {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards, count: AtomicUsize::new(0) }
    }
}

impl Traffic {
    /// Messages were handed to a group, those of a queue up to an offset.
    pub(crate) fn read(&self, group: &Group, topic: &Topic, to: (QueueId, QueueOffset), messages: usize, bytes: usize) {
        self.with(group, topic, |pair| {
            pair.pulls.fetch_add(1, Relaxed);
            pair.messages.fetch_add(messages as u64, Relaxed);
            pair.bytes.fetch_add(bytes as u64, Relaxed);
            pair.hand(to.0, to.1);
        });
    }

    /// Up to where a group was handed the messages of a queue; `None` if nothing was lately.
    pub(crate) fn handed(&self, group: &Group, topic: &Topic, queue: QueueId) -> Option<QueueOffset> {
        let pairs = self.shard(group).read();
        let handed = pairs.get(group)?.get(topic)?.handed.read();
        handed.get(&queue).map(|next| QueueOffset(next.load(Relaxed)))
    }

    /// What a group was handed of a queue before does not count any more: it was sent elsewhere.
    pub(crate) fn forget_handed(&self, group: &Group, topic: &Topic, queue: QueueId) {
        if let Some(pair) = self.shard(group).read().get(group).and_then(|topics| topics.get(topic)) {
            pair.handed.write().remove(&queue);
        }
    }

    fn shard(&self, group: &Group) -> &RwLock<Pairs> {
        &self.shards[self.hasher.hash_one(group) as usize % SHARDS]
    }

    /// A group gave a message back.
    pub(crate) fn sent_back(&self, group: &Group, topic: &str) {
        self.with(group, &Topic::from_stored(topic), |pair| {
            pair.sent_back.fetch_add(1, Relaxed);
        });
    }

    fn with(&self, group: &Group, topic: &Topic, count: impl Fn(&Pair)) {
        let shard = self.shard(group);
        if let Some(pair) = shard.read().get(group).and_then(|topics| topics.get(topic)) {
            return count(pair);
        }
        if self.count.load(Relaxed) >= PAIRS_MAX {
            return;
        }
        let mut pairs = shard.write();
        let topics = pairs.entry(group.clone()).or_default();
        if !topics.contains_key(topic) {
            self.count.fetch_add(1, Relaxed);
        }
        count(topics.entry(topic.clone()).or_default());
    }

    /// Empties the counters, and forgets those that stay empty.
    fn drain(&self, mut told: impl FnMut(&Group, &Topic, Count, u64)) {
        let is_crowded = self.count.load(Relaxed) > PAIRS_MAX / 2;
        let quiet_max = if is_crowded { QUIET_SAMPLES_CROWDED } else { QUIET_SAMPLES };
        for shard in &self.shards {
            let mut is_quiet = false;
            for (group, topics) in shard.read().iter() {
                for (topic, pair) in topics {
                    let take = |counter: &AtomicU64| counter.swap(0, Relaxed);
                    let count =
                        Count { times: take(&pair.pulls), messages: take(&pair.messages), bytes: take(&pair.bytes) };
                    let sent_back = take(&pair.sent_back);
                    if count.times + sent_back > 0 {
                        pair.quiet.store(0, Relaxed);
                        told(group, topic, count, sent_back);
                    } else {
                        is_quiet |= pair.quiet.fetch_add(1, Relaxed) + 1 >= quiet_max;
                    }
                }
            }
            if is_quiet {
                self.forget_quiet(&mut shard.write(), quiet_max);
            }
        }
    }

    fn forget_quiet(&self, pairs: &mut Pairs, quiet_max: u64) {
        let is_empty = |pair: &Pair| pair.pulls.load(Relaxed) + pair.sent_back.load(Relaxed) == 0;
        pairs.retain(|_, topics| {
            let before = topics.len();
            topics.retain(|_, pair| pair.quiet.load(Relaxed) < quiet_max || !is_empty(pair));
            self.count.fetch_sub(before - topics.len(), Relaxed);
            !topics.is_empty()
        });
    }
}

impl Broker {
    /// Tells the trends what happened since the last sample. Looks at every queue.
    pub(crate) fn sample_traffic(&self) {
        let is_system = |topic: &Topic| system::is_system_topic(topic.as_str());
        let (mut stored, mut users_stored, mut read_by_system) = <(Count, Count, Count)>::default();
        let mut trends = self.trends().lock();
        self.topics().each(|topic| {
            let mut count = Count::default();
            for queue in topic.queues() {
                let intake = queue.take_intake();
                count.add(Count { times: intake.messages, messages: intake.messages, bytes: intake.bytes });
            }
            let name = &topic.config.topic;
            stored.add(count);
            if !is_system(name) {
                users_stored.add(count);
            }
            if count != Count::default() {
                trends.grew(Counted::Stored(name.clone()), count);
            }
        });
        self.traffic().drain(|group, topic, read, sent_back| {
            if is_system(topic) {
                read_by_system.add(read);
            }
            trends.grew(Counted::Read(topic.clone(), group.clone()), read);
            let sent_back = Count { times: sent_back, messages: sent_back, bytes: 0 };
            trends.grew(Counted::SentBack(topic.clone(), group.clone()), sent_back);
        });
        let read = self.meter().take_read();
        let users_read = Count {
            times: read.times.saturating_sub(read_by_system.times),
            messages: read.messages.saturating_sub(read_by_system.messages),
            bytes: read.bytes.saturating_sub(read_by_system.bytes),
        };
        for (counted, count) in [
            (Counted::AllStored, stored),
            (Counted::UsersStored, users_stored),
            (Counted::AllRead, read),
            (Counted::UsersRead, users_read),
        ] {
            trends.grew(counted, count);
        }
        trends.sample(self.host().clock.monotonic());
    }

    /// What was counted lately; `None` if nothing was for a day, or if more was going on than is kept apart.
    #[must_use]
    pub fn trend(&self, counted: &Counted) -> Option<Trend> {
        self.trends().lock().of(counted)
    }

    /// Messages a second that a group was handed in the last minute, in some topics.
    #[must_use]
    pub fn read_rate(&self, group: &Group, topics: &[Topic]) -> f64 {
        let trends = self.trends().lock();
        let of_topic = |topic: &Topic| trends.of(&Counted::Read(topic.clone(), group.clone()));
        topics.iter().filter_map(of_topic).map(|trend| trend.minute.per_second(|count| count.messages)).sum()
    }

    /// The topics or groups that had most messages in the last minute.
    #[must_use]
    pub fn busiest(&self, count_max: usize, kind: impl Fn(&Counted) -> bool) -> Vec<(Counted, Trend)> {
        self.trends().lock().busiest(count_max, kind)
    }

    /// How many topics and groups have rates of their own, and how often one found no room for them.
    #[must_use]
    pub fn trend_counts(&self) -> (usize, u64) {
        let trends = self.trends().lock();
        (trends.len(), trends.untracked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(traffic: &Traffic) -> Vec<(String, u64, u64)> {
        let mut all = Vec::new();
        traffic.drain(|group, topic, count, sent_back| {
            all.push((format!("{topic}@{group}"), count.messages, sent_back));
        });
        all
    }

    #[test]
    fn counters_are_emptied_and_then_forgotten() {
        let (traffic, group) = (Traffic::default(), Group::from_stored("g"));
        let to = |offset| (QueueId(0), QueueOffset(offset));
        traffic.read(&group, &Topic::from_stored("t"), to(3), 3, 300);
        traffic.read(&group, &Topic::from_stored("t"), to(7), 4, 400);
        traffic.sent_back(&group, "t");
        assert_eq!(drained(&traffic), [("t@g".to_owned(), 7, 1)]);
        for _ in 0..QUIET_SAMPLES {
            assert_eq!(traffic.count.load(Relaxed), 1);
            assert_eq!(drained(&traffic), []);
        }
        assert_eq!(traffic.count.load(Relaxed), 0);
        assert!(traffic.shards.iter().all(|shard| shard.read().is_empty()));
    }

    #[test]
    fn what_was_handed_out_is_known_by_queue() {
        let (traffic, group, topic) = (Traffic::default(), Group::from_stored("g"), Topic::from_stored("t"));
        for (queue, next) in [(0, 5), (1, 9), (0, 8)] {
            traffic.read(&group, &topic, (QueueId(queue), QueueOffset(next)), 1, 1);
        }
        let handed = |queue| traffic.handed(&group, &topic, QueueId(queue)).map(|at| at.0);
        assert_eq!([handed(0), handed(1), handed(2)], [Some(8), Some(9), None]);
        traffic.forget_handed(&group, &topic, QueueId(1));
        assert_eq!([handed(0), handed(1)], [Some(8), None]);
    }

    #[test]
    fn pairs_are_bounded() {
        let traffic = Traffic::default();
        for n in 0..PAIRS_MAX + 10 {
            traffic.read(
                &Group::from_stored(&format!("g{n}")),
                &Topic::from_stored("t"),
                (QueueId(0), QueueOffset(1)),
                1,
                1,
            );
        }
        assert_eq!(drained(&traffic).len(), PAIRS_MAX);
    }
}
