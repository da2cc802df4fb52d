//! Topics as the running broker holds them.

use crate::quota::Quota;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use model::{QueueId, Topic, TopicConfig, permission, system};
use parking_lot::RwLock;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Flush, Queue, Store};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Parts of the topic table, each with a lock of its own.
const SHARDS: usize = 16;
/// Topic attribute that overrides the broker's flush policy: `sync` or `async`.
pub(crate) const FLUSH_ATTRIBUTE: &str = "flush";

/// A topic with its queues at hand. Replaced as a whole when its settings change.
pub struct TopicState {
    /// Settings.
    pub config: TopicConfig,
    queues: Vec<Arc<Queue>>,
    quota: Option<Box<Quota>>,
    next: AtomicU32,
}

impl TopicState {
    fn new(config: TopicConfig, store: &Store) -> Self {
        let flush = match config.attributes.get(FLUSH_ATTRIBUTE).map(String::as_str) {
            Some("async") => Some(Flush::Async),
            Some("sync") => Some(Flush::Sync),
            _ => None,
        };
        let count = config.read_queues.max(config.write_queues);
        let queues: Vec<_> = (0..count).map(|id| store.queue(&config.topic, QueueId(id))).collect();
        for queue in &queues {
            queue.set_flush(flush);
            queue.hide_before(config.since);
        }
        Self { quota: Quota::of(&config.attributes).map(Box::new), config, queues, next: AtomicU32::new(0) }
    }

    /// A queue by its id.
    #[must_use]
    pub fn queue(&self, id: i32) -> Option<&Arc<Queue>> {
        self.queues.get(usize::try_from(id).ok()?)
    }

    /// All queues, readable or writable.
    #[must_use]
    pub fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// The limits on what is sent to it, if there are any.
    pub(crate) fn quota(&self) -> Option<&Quota> {
        self.quota.as_deref()
    }

    /// The next queue to write to, for senders that leave the choice to the broker.
    pub(crate) fn any_writable(&self) -> i32 {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        (next % self.config.write_queues.max(1)) as i32
    }

    pub(crate) fn is_readable(&self) -> bool {
        permission::is_readable(self.config.permission)
    }

    pub(crate) fn is_writable(&self) -> bool {
        permission::is_writable(self.config.permission)
    }
}

/// All topics by name. A name is hashed once, for the part and for the place in it.
pub(crate) struct Topics {
    /// Nobody can choose names that fall together without knowing it.
    seed: u64,
    shards: [RwLock<Shard>; SHARDS],
}

type Shard = HashTable<Named>;

/// A topic beside its name: with many topics, each is far from the processor, and a name that is compared only after its
/// topic was fetched would be waited for twice.
struct Named {
    /// Of the name.
    hash: u64,
    name: Topic,
    state: Arc<TopicState>,
}

/// The lower bits of a hash choose the place in a part.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn of_shard(shard: &RwLock<Shard>) -> Vec<Arc<TopicState>> {
    shard.read().iter().map(|topic| Arc::clone(&topic.state)).collect()
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self { seed: RandomState::new().hash_one(()), shards: Default::default() }
    }

    fn hash(&self, name: &str) -> u64 {
        xxh3_64_with_seed(name.as_bytes(), self.seed)
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[shard_of(hash)]
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<TopicState>> {
        let hash = self.hash(name);
        self.shard(hash).read().find(hash, |topic| topic.name.as_str() == name).map(|topic| Arc::clone(&topic.state))
    }

    /// The topics of sends that come together, each with the queue that it names, as far as there are such. Of very many
    /// topics and queues each is far from the processor: in steps that only ask for what the next step needs, the waits for
    /// all of them overlap.
    pub(crate) fn get_all<'n>(&self, sends: impl Iterator<Item = (&'n str, i32)>) -> Vec<Arc<TopicState>> {
        // All locks before the first step, because a processor that takes a lock waits for what it has asked for.
        let shards = self.shards.each_ref().map(RwLock::read);
        let found: Vec<(&Named, u64, i32)> = sends
            .filter_map(|(name, queue_id)| {
                let hash = self.hash(name);
                // The first that looks like it: whether it is the one is seen when it is here.
                let named = shards[shard_of(hash)].find(hash, |_| true)?;
                rt::prefetch(named, usize::MAX);
                Some((named, hash, queue_id))
            })
            .collect();
        let found = || found.iter().filter(|(named, hash, _)| named.hash == *hash);
        for (named, ..) in found() {
            rt::prefetch(named.name.as_str(), usize::MAX);
            rt::prefetch(&*named.state, usize::MAX);
        }
        for (named, _, queue_id) in found() {
            if let Some(queue) = named.state.queue(*queue_id) {
                queue.prefetch();
            }
        }
        found().map(|(named, ..)| Arc::clone(&named.state)).collect()
    }

    pub(crate) fn put(&self, config: TopicConfig, store: &Store) -> Arc<TopicState> {
        let state = Arc::new(TopicState::new(config, store));
        let hash = self.hash(state.config.topic.as_str());
        let named = Named { hash, name: state.config.topic.clone(), state: Arc::clone(&state) };
        let mut shard = self.shard(hash).write();
        match shard.entry(hash, |other| other.name == named.name, |topic| topic.hash) {
            Entry::Occupied(mut old) => *old.get_mut() = named,
            Entry::Vacant(place) => drop(place.insert(named)),
        }
        state
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<TopicState>> {
        let hash = self.hash(name);
        let mut shard = self.shard(hash).write();
        shard.find_entry(hash, |topic| topic.name.as_str() == name).ok().map(|found| found.remove().0.state)
    }

    /// All topics, in order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<TopicState>> {
        let mut all = self.unordered();
        all.sort_by(|a, b| a.config.topic.cmp(&b.config.topic));
        all
    }

    pub(crate) fn unordered(&self) -> Vec<Arc<TopicState>> {
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Calls for each topic, in no order; no lock is held meanwhile.
    pub(crate) fn each(&self, mut call: impl FnMut(&TopicState)) {
        for shard in &self.shards {
            of_shard(shard).iter().for_each(|topic| call(topic));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}

/// The system topics that every broker has, with their queues and permissions.
pub(crate) fn system_topics(cluster: &str, broker: &str, default_queues: u32) -> Vec<TopicConfig> {
    let named = |name: &str, queues: u32| TopicConfig::new(Topic::from_stored(name), queues);
    let mut default = named(system::AUTO_CREATE_TOPIC, default_queues);
    default.permission |= permission::INHERIT;
    let mut cluster_topic = named(cluster, 16);
    cluster_topic.permission |= permission::INHERIT;
    let mut broker_topic = named(broker, 1);
    broker_topic.permission |= permission::INHERIT;
    vec![
        default,
        cluster_topic,
        broker_topic,
        named(system::SELF_TEST_TOPIC, 1),
        named(system::BENCHMARK_TOPIC, 1024),
        named(system::OFFSET_MOVED_TOPIC, 1),
        named(system::SCHEDULE_TOPIC, crate::timed::when::LEVELS),
        named(system::TIMER_TOPIC, 1),
        named(system::TRACE_TOPIC, 1),
        named(&system::reply_topic(cluster), 1),
    ]
}
