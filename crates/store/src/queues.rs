//! All queues by topic and number.

use crate::Queue;
use crate::log::Log;
use model::{QueueId, Topic};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// All queues by topic and number.
#[derive(Default)]
pub(crate) struct Queues(RwLock<Known>);

#[derive(Default)]
struct Known {
    topics: HashMap<Topic, Vec<Arc<Queue>>>,
    /// All of them in order, if it was asked for since the last was made.
    in_order: Option<Arc<[Arc<Queue>]>>,
}

fn find(queues: &[Arc<Queue>], id: QueueId) -> Result<usize, usize> {
    queues.binary_search_by_key(&id, |queue| queue.id())
}

impl Queues {
    pub(crate) fn get(&self, topic: &Topic, id: QueueId) -> Option<Arc<Queue>> {
        let known = self.0.read();
        let queues = known.topics.get(topic)?;
        find(queues, id).ok().map(|at| Arc::clone(&queues[at]))
    }

    pub(crate) fn get_or_make(&self, topic: &Topic, id: QueueId, log: &Arc<Log>) -> Arc<Queue> {
        self.get(topic, id).unwrap_or_else(|| self.restore(topic, id, log, 0))
    }

    /// The queue, made with its next offset if absent.
    pub(crate) fn restore(&self, topic: &Topic, id: QueueId, log: &Arc<Log>, next: u64) -> Arc<Queue> {
        let Known { topics, in_order } = &mut *self.0.write();
        // The name that all queues of a topic share is the one that came first.
        let topic = topics.get_key_value(topic).map_or(topic, |(topic, _)| topic).clone();
        let queues = topics.entry(topic.clone()).or_default();
        match find(queues, id) {
            Ok(at) => Arc::clone(&queues[at]),
            Err(at) => {
                let queue = Arc::new(Queue::new(topic, id, Arc::clone(log), next));
                queues.insert(at, Arc::clone(&queue));
                *in_order = None;
                queue
            }
        }
    }

    /// All of them, in order of topic and number.
    pub(crate) fn all(&self) -> Arc<[Arc<Queue>]> {
        if let Some(in_order) = &self.0.read().in_order {
            return Arc::clone(in_order);
        }
        let Known { topics, in_order } = &mut *self.0.write();
        Arc::clone(in_order.get_or_insert_with(|| {
            let mut sorted: Vec<_> = topics.iter().collect();
            sorted.sort_unstable_by_key(|(topic, _)| *topic);
            sorted.into_iter().flat_map(|(_, queues)| queues.iter().cloned()).collect()
        }))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().topics.values().map(Vec::len).sum()
    }
}
