//! What readers see.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use wire::remoting::body::{Opaque, QueueData};

/// Id of a master.
pub(super) const MASTER: i64 = 0;

/// A broker: one name, one address for each replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// The cluster that it belongs to.
    pub cluster: String,
    /// Addresses by replica, 0 being the master.
    pub addresses: BTreeMap<i64, String>,
    /// Where it stands.
    pub zone: Option<String>,
    /// Whether another replica may stand in for the master.
    pub acting_master: bool,
    /// Filter servers by broker address; only passed on.
    pub filter_servers: BTreeMap<String, Vec<String>>,
}

/// A topic: its queues by broker name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicRoute {
    /// Queues by broker name.
    pub queues: BTreeMap<String, QueueData>,
    /// Mapping of logical queues by broker name; only passed on.
    pub mappings: BTreeMap<String, Opaque>,
}

/// A consistent state of the table. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(super) brokers: Arc<BTreeMap<String, Arc<Broker>>>,
    pub(super) topics: Arc<HashMap<String, Arc<TopicRoute>>>,
}

impl View {
    /// Brokers by name.
    #[must_use]
    pub fn brokers(&self) -> &BTreeMap<String, Arc<Broker>> {
        &self.brokers
    }

    /// Topics by name.
    #[must_use]
    pub fn topics(&self) -> &HashMap<String, Arc<TopicRoute>> {
        &self.topics
    }

    /// Broker names by cluster.
    #[must_use]
    pub fn clusters(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut clusters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, broker) in &*self.brokers {
            clusters.entry(broker.cluster.clone()).or_default().insert(name.clone());
        }
        clusters
    }

    pub(super) fn broker_mut(&mut self, name: &str) -> Option<&mut Broker> {
        Arc::make_mut(&mut self.brokers).get_mut(name).map(Arc::make_mut)
    }

    pub(super) fn topic_mut(&mut self, name: &str) -> &mut TopicRoute {
        Arc::make_mut(Arc::make_mut(&mut self.topics).entry(name.to_owned()).or_default())
    }

    /// Lets `change` edit the queues that a broker has in each topic that it serves; gives their number.
    pub(super) fn edit_queues_of(&mut self, broker: &str, mut change: impl FnMut(&mut QueueData)) -> usize {
        let mut count = 0;
        for topic in Arc::make_mut(&mut self.topics).values_mut().filter(|topic| topic.queues.contains_key(broker)) {
            if let Some(queues) = Arc::make_mut(topic).queues.get_mut(broker) {
                change(queues);
                count += 1;
            }
        }
        count
    }

    /// Takes a broker out of the topics that `is_gone` names; a topic that no broker serves is forgotten.
    pub(super) fn remove_queues_of(&mut self, broker: &str, is_gone: impl Fn(&str) -> bool) {
        Arc::make_mut(&mut self.topics).retain(|name, topic| {
            if topic.queues.contains_key(broker) && is_gone(name) {
                let topic = Arc::make_mut(topic);
                topic.queues.remove(broker);
                topic.mappings.remove(broker);
            }
            !topic.queues.is_empty()
        });
    }
}
