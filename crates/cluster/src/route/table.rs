//! The state machine: who left, permissions, topics taken away.

use super::live::{Live, LiveBrokers};
use super::view::{MASTER, View};
use super::{ConnectionId, Monotonic};
use model::permission;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{DataVersion, QueueData};

/// How the table behaves. Changeable while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a broker that names no time of its own may be silent. Default 120 s.
    pub silence_max: Duration,
    /// Whether replicas may stand in for a missing master. Default false.
    pub acting_master: bool,
    /// Whether replicas hear of a new lowest id in their group. Default false.
    pub notify_min_broker: bool,
    /// Whether topics that a registration does not name are taken from its broker even if it does not claim to be
    /// complete. Default false: brokers of the original also register topics one by one.
    pub delete_topics_with_registration: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            silence_max: Duration::from_secs(120),
            acting_master: false,
            notify_min_broker: false,
            delete_topics_with_registration: false,
        }
    }
}

/// What must be told to others after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell replicas that their group has another lowest id.
    NotifyMinBroker {
        /// Addresses of the replicas to tell.
        to: Vec<String>,
        /// The lowest id.
        broker_id: i64,
        /// Its address.
        address: String,
        /// The replica that left, if one did.
        offline_address: Option<String>,
        /// Where the lowest id replicates from.
        ha_address: Option<String>,
    },
    /// Nothing was heard of a broker for too long.
    CloseConnection(ConnectionId),
}

/// All routes. Nothing in it knows the time: each event brings it.
#[derive(Default)]
pub struct Table {
    pub(super) options: Options,
    pub(super) view: View,
    pub(super) live: LiveBrokers,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Changes how it behaves from now on.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// The state as readers see it.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether a broker's topics differ from what is known, and the version known. If nothing changed, the question
    /// counts as a sign of life.
    pub fn is_changed(
        &mut self,
        cluster: &str,
        address: &str,
        version: &DataVersion,
        connection: ConnectionId,
        now: Monotonic,
    ) -> (bool, Option<DataVersion>) {
        let known = self.live.get(cluster, address).map(|live| live.version);
        let is_changed = known != Some(*version);
        if !is_changed {
            self.live.hear(cluster, address, connection, now);
        }
        (is_changed, known)
    }

    /// Takes a sign of life; false if it came from nobody who is registered.
    pub fn heartbeat(&mut self, cluster: &str, address: &str, connection: ConnectionId, now: Monotonic) -> bool {
        self.live.hear(cluster, address, connection, now)
    }

    /// A replica leaves.
    pub fn unregister(&mut self, cluster: &str, name: &str, address: &str) -> Vec<Effect> {
        let live = self.live.remove(cluster, address);
        let name = live.as_ref().map_or(name, |live| &live.broker_name);
        // A broker that changed its cluster lives on there.
        if self.live.has(name, address) {
            return Vec::new();
        }
        self.remove_replica(name, address, live.as_ref())
    }

    /// A connection is gone, and with it the replicas that registered over it.
    pub fn connection_closed(&mut self, connection: ConnectionId) -> Vec<Effect> {
        let gone = self.live.find(|live| live.connection == connection);
        gone.into_iter()
            .flat_map(|(cluster, address, live)| self.unregister(&cluster, &live.broker_name, &address))
            .collect()
    }

    /// Forgets replicas that were silent for too long.
    pub fn expire(&mut self, now: Monotonic) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (cluster, address, live) in self.live.find(|live| live.heard + live.timeout < now) {
            tracing::warn!(%cluster, broker = %live.broker_name, %address, "nothing was heard of a broker for {} s; its routes are gone", live.timeout.as_secs());
            effects.extend(self.unregister(&cluster, &live.broker_name, &address));
            effects.push(Effect::CloseConnection(live.connection));
        }
        effects
    }

    fn remove_replica(&mut self, name: &str, address: &str, live: Option<&Live>) -> Vec<Effect> {
        let Some(broker) = self.view.broker_mut(name) else { return Vec::new() };
        let lowest = broker.addresses.keys().next().copied();
        broker.addresses.retain(|_, at| at != address);
        broker.filter_servers.remove(address);
        let (is_empty, acting_master) = (broker.addresses.is_empty(), broker.acting_master);
        let has_master = broker.addresses.contains_key(&MASTER);
        let lowest_now = broker.addresses.keys().next().copied();
        if is_empty {
            Arc::make_mut(&mut self.view.brokers).remove(name);
            self.view.remove_queues_of(name, |_| true);
            return Vec::new();
        }
        if acting_master && !has_master {
            // Who stands in serves reads; nobody takes writes.
            self.view.edit_queues_of(name, |queues| queues.perm &= !(permission::WRITE as i32));
        }
        let offline = live.map(|_| address.to_owned());
        if lowest_now != lowest { self.notify_min_broker(name, offline) } else { Vec::new() }
    }

    /// Tells a group that its lowest id is another one: all of it if a replica left, else all but the newcomer.
    pub(super) fn notify_min_broker(&self, name: &str, offline_address: Option<String>) -> Vec<Effect> {
        let Some(broker) = self.view.brokers.get(name).filter(|_| self.options.notify_min_broker) else {
            return Vec::new();
        };
        let Some((id, address)) = broker.addresses.first_key_value() else { return Vec::new() };
        let told = broker.addresses.values().filter(|at| offline_address.is_some() || *at != address);
        let to: Vec<String> = told.cloned().collect();
        if to.is_empty() {
            return Vec::new();
        }
        let ha_address = self.live.get(&broker.cluster, address).map(|live| live.ha_address.clone());
        vec![Effect::NotifyMinBroker { to, broker_id: *id, address: address.clone(), offline_address, ha_address }]
    }

    /// Takes or gives the right to write to all topics of a broker; gives the number of topics.
    pub fn set_writable(&mut self, broker: &str, is_writable: bool) -> usize {
        self.view.edit_queues_of(broker, |queues| match is_writable {
            true => queues.perm = (permission::READ | permission::WRITE) as i32,
            false => queues.perm &= !(permission::WRITE as i32),
        })
    }

    /// Takes a topic away, everywhere or from one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some(cluster) = cluster else {
            Arc::make_mut(&mut self.view.topics).remove(topic);
            return;
        };
        let of_cluster = self.view.brokers.iter().filter(|(_, broker)| broker.cluster == cluster);
        let names: HashSet<String> = of_cluster.map(|(name, _)| name.clone()).collect();
        let topics = Arc::make_mut(&mut self.view.topics);
        let Some(known) = topics.get_mut(topic) else { return };
        let known = Arc::make_mut(known);
        known.queues.retain(|name, _| !names.contains(name));
        known.mappings.retain(|name, _| !names.contains(name));
        if known.queues.is_empty() {
            topics.remove(topic);
        }
    }

    /// Puts a topic onto brokers without their registration; queues of unknown brokers are left out.
    pub fn register_topic(&mut self, topic: &str, queues: &[QueueData]) {
        let known: BTreeMap<String, QueueData> = queues
            .iter()
            .filter(|queue| self.view.brokers.contains_key(&queue.broker_name))
            .map(|queue| (queue.broker_name.clone(), queue.clone()))
            .collect();
        if !known.is_empty() {
            self.view.topic_mut(topic).queues.extend(known);
        }
    }
}
