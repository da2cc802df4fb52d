//! A broker introduces itself, with its topics.

use super::live::Live;
use super::table::{Effect, Table};
use super::view::{Broker, MASTER};
use super::{ConnectionId, Monotonic};
use model::permission;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{QueueData, RegisterBrokerBody, TopicConfig, TopicTable};

/// What a replica tells.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// Its cluster.
    pub cluster: &'a str,
    /// Name of its broker.
    pub broker_name: &'a str,
    /// Its number; 0 is the master.
    pub broker_id: i64,
    /// What clients connect to.
    pub address: &'a str,
    /// What other replicas connect to.
    pub ha_address: &'a str,
    /// Where it stands.
    pub zone: Option<&'a str>,
    /// How long it may be silent.
    pub silence_max: Option<Duration>,
    /// Whether a replica may stand in for the master; old brokers do not say.
    pub acting_master: Option<bool>,
    /// Whether the topics are all that there are, so that others are gone.
    pub is_complete: bool,
    /// Its topics.
    pub body: &'a RegisterBrokerBody,
    /// The connection that it came over.
    pub connection: ConnectionId,
}

/// What the replica hears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Where to replicate from, for others than the master.
    pub ha_address: Option<String>,
    /// The master, for others than the master.
    pub master_address: Option<String>,
}

/// Why a registration does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A single topic of a replica whose others are not known: it must send all of them first.
    #[error("broker {broker} with id {broker_id} is not registered; register all its topics before a single one")]
    NotRegistered {
        /// Name of the broker.
        broker: String,
        /// Number of the replica.
        broker_id: i64,
    },
}

impl Table {
    /// A replica registers. Its topics count if it is the master, or stands in for one.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing has changed then.
    pub fn register(
        &mut self,
        from: &Registration<'_>,
        now: Monotonic,
    ) -> Result<(Registered, Vec<Effect>), RegisterError> {
        let wrapper = &from.body.topic_config_serialize_wrapper;
        let known = self.view.brokers.get(from.broker_name);
        let is_known = known.is_some_and(|broker| broker.addresses.contains_key(&from.broker_id));
        if !is_known && !from.is_complete && wrapper.topic_config_table.len() == 1 {
            return Err(RegisterError::NotRegistered {
                broker: from.broker_name.to_owned(),
                broker_id: from.broker_id,
            });
        }
        if self.is_outdated(from, wrapper) {
            tracing::warn!(
                broker = from.broker_name,
                id = from.broker_id,
                address = from.address,
                "another broker with a newer epoch has this name and id; the registration is ignored"
            );
            return Ok((Registered::default(), self.unregister(from.cluster, from.broker_name, from.address)));
        }
        self.displace(from);
        let former = self.live.get(from.cluster, from.address).filter(|live| live.broker_name != from.broker_name);
        let former = former.map(|live| live.broker_name.clone());
        // It has another name now; nobody else would ever take the former one away.
        let mut effects = former.map_or_else(Vec::new, |name| self.unregister(from.cluster, &name, from.address));
        let known_version = self.live.get(from.cluster, from.address).map(|live| live.version);
        let (is_new_replica, lowest_before) = self.put_replica(from);
        let broker = &self.view.brokers[from.broker_name];
        let lowest = broker.addresses.keys().next().copied();
        let is_stand_in = from.acting_master.is_some() && from.broker_id != MASTER && lowest == Some(from.broker_id);
        if from.broker_id == MASTER || is_stand_in {
            let is_changed = is_new_replica || known_version != Some(wrapper.data_version);
            let writes_end = is_stand_in && broker.acting_master;
            self.put_topics(from, wrapper, is_changed, writes_end);
        }
        self.live.put(
            from.cluster,
            from.address,
            Live {
                broker_name: from.broker_name.to_owned(),
                heard: now,
                timeout: from.silence_max.filter(|time| !time.is_zero()).unwrap_or(self.options.silence_max),
                version: wrapper.data_version,
                ha_address: from.ha_address.to_owned(),
                connection: from.connection,
            },
        );
        if lowest_before.is_some_and(|before| from.broker_id < before) {
            effects.extend(self.notify_min_broker(from.broker_name, None));
        }
        Ok((self.master_of(from), effects))
    }

    /// Cluster and address of another replica that has this name and id.
    fn holder(&self, from: &Registration<'_>) -> Option<(String, String)> {
        let broker = self.view.brokers.get(from.broker_name)?;
        let holder = broker.addresses.get(&from.broker_id).filter(|holder| *holder != from.address)?;
        Some((broker.cluster.clone(), holder.clone()))
    }

    /// Whoever has this name and id at another address has it no longer: should it live, it must register anew.
    fn displace(&mut self, from: &Registration<'_>) {
        let Some((cluster, holder)) = self.holder(from) else { return };
        if self.live.remove(&cluster, &holder).is_some() {
            tracing::warn!(
                broker = from.broker_name,
                id = from.broker_id,
                address = from.address,
                displaced = holder,
                "a broker takes the place of another one with its name and id; if both live, give each its own name"
            );
        }
    }

    /// Whether another address holds this name and id by a newer epoch.
    fn is_outdated(&self, from: &Registration<'_>, wrapper: &TopicTable) -> bool {
        let Some((cluster, holder)) = self.holder(from) else { return false };
        let epoch = self.live.get(&cluster, &holder).map(|live| live.version.state_version);
        epoch.is_some_and(|epoch| epoch > wrapper.data_version.state_version)
    }

    /// Notes the replica's address; tells whether it is new and what the lowest id was.
    fn put_replica(&mut self, from: &Registration<'_>) -> (bool, Option<i64>) {
        let brokers = Arc::make_mut(&mut self.view.brokers);
        let known = brokers.get(from.broker_name);
        let lowest = known.and_then(|broker| broker.addresses.keys().next().copied());
        let mut broker = known.map(|known| Broker::clone(known)).unwrap_or_default();
        // A replica that became master has one number only, the new one.
        broker.addresses.retain(|id, address| address != from.address || *id == from.broker_id);
        let is_new = broker.addresses.insert(from.broker_id, from.address.to_owned()).is_none();
        broker.cluster = from.cluster.to_owned();
        broker.zone = from.zone.map(str::to_owned);
        broker.acting_master = from.acting_master.unwrap_or(false);
        match from.body.filter_server_list.is_empty() {
            true => broker.filter_servers.remove(from.address),
            false => broker.filter_servers.insert(from.address.to_owned(), from.body.filter_server_list.clone()),
        };
        if known.is_none_or(|known| **known != broker) {
            brokers.insert(from.broker_name.to_owned(), Arc::new(broker));
        }
        (is_new, lowest)
    }

    fn put_topics(&mut self, from: &Registration<'_>, wrapper: &TopicTable, is_changed: bool, writes_end: bool) {
        let topics = &wrapper.topic_config_table;
        let is_complete = from.is_complete || self.options.delete_topics_with_registration;
        if is_changed && is_complete && wrapper.topic_queue_mapping_info_map.is_empty() {
            self.view.remove_queues_of(from.broker_name, |topic| !topics.contains_key(topic));
        }
        for (topic, config) in topics {
            let queues = self.view.topics.get(topic).and_then(|topic| topic.queues.get(from.broker_name));
            if !is_changed && queues.is_some() {
                continue;
            }
            let wanted = queue_data(from.broker_name, config, writes_end);
            if queues != Some(&wanted) {
                self.view.topic_mut(topic).queues.insert(from.broker_name.to_owned(), wanted);
            }
        }
        if !is_changed {
            return;
        }
        for (topic, mapping) in &wrapper.topic_queue_mapping_info_map {
            let broker = mapping.0.get("bname").and_then(|name| name.as_str()).unwrap_or(from.broker_name);
            self.view.topic_mut(topic).mappings.insert(broker.to_owned(), mapping.clone());
        }
    }

    /// What a replica that is not the master needs to know.
    fn master_of(&self, from: &Registration<'_>) -> Registered {
        let broker = self.view.brokers.get(from.broker_name).filter(|_| from.broker_id != MASTER);
        let Some(master) = broker.and_then(|broker| broker.addresses.get(&MASTER)) else {
            return Registered::default();
        };
        let ha_address = self.live.get(from.cluster, master).map(|live| live.ha_address.clone());
        Registered { ha_address, master_address: Some(master.clone()) }
    }
}

fn queue_data(broker: &str, config: &TopicConfig, writes_end: bool) -> QueueData {
    let perm = if writes_end { config.perm & !(permission::WRITE as i32) } else { config.perm };
    QueueData {
        broker_name: broker.to_owned(),
        read_queue_nums: config.read_queue_nums,
        write_queue_nums: config.write_queue_nums,
        perm,
        topic_sys_flag: config.topic_sys_flag,
    }
}
