//! Answers from a view.

use super::view::{Broker, MASTER, TopicRoute, View};
use model::permission;
use std::collections::{BTreeMap, BTreeSet};
use wire::remoting::body::{BrokerData, BrokerMemberGroup, ClusterInfo, QueueData, TopicRouteData};

/// Topics through which the original's replicas find each other: no stand-in for their master.
const MEMBER_TOPIC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";
/// Bits of a topic's system flag.
const UNIT: i32 = 1;
const UNIT_SUBSCRIPTION: i32 = 2;

/// A caller that wants the brokers of its own zone.
#[derive(Clone, Copy, Debug)]
pub struct Zone<'a>(pub &'a str);

impl View {
    /// Where a topic lives; `None` if no broker serves it.
    #[must_use]
    pub fn route(&self, topic: &str, zone: Option<Zone<'_>>, acting_master: bool) -> Option<TopicRouteData> {
        let known = self.topics.get(topic)?;
        let mut route = TopicRouteData::default();
        for (name, queues) in &known.queues {
            let Some(broker) = self.brokers.get(name) else { continue };
            let has_master = broker.addresses.contains_key(&MASTER);
            // A broker without master stays visible everywhere: its zone's clients have no other.
            let is_near = |zone: Zone<'_>| broker.zone.as_deref().is_some_and(|at| at.eq_ignore_ascii_case(zone.0));
            if has_master && zone.is_some_and(|zone| !is_near(zone)) {
                continue;
            }
            let mut data = broker_data(name, broker);
            if acting_master && !topic.starts_with(MEMBER_TOPIC_PREFIX) {
                stand_in(&mut data, queues);
            }
            route.broker_datas.push(data);
            route.queue_datas.push(queues.clone());
            let servers = broker.filter_servers.iter().map(|(address, servers)| (address.clone(), servers.clone()));
            route.filter_server_table.extend(servers);
        }
        if !known.mappings.is_empty() {
            route.topic_queue_mapping_by_broker = Some(known.mappings.clone());
        }
        // A zone without brokers is an answer; a topic without is none.
        (zone.is_some() || !route.broker_datas.is_empty()).then_some(route)
    }

    /// All brokers and clusters.
    #[must_use]
    pub fn cluster_info(&self) -> ClusterInfo {
        let brokers = self.brokers.iter().map(|(name, broker)| (name.clone(), broker_data(name, broker)));
        ClusterInfo { broker_addr_table: brokers.collect(), cluster_addr_table: self.clusters() }
    }

    /// The replicas of a broker.
    #[must_use]
    pub fn member_group(&self, cluster: &str, name: &str) -> BrokerMemberGroup {
        let broker = self.brokers.get(name).filter(|broker| broker.cluster == cluster);
        BrokerMemberGroup {
            cluster: cluster.to_owned(),
            broker_name: name.to_owned(),
            broker_addrs: broker.map(|broker| broker.addresses.clone()).unwrap_or_default(),
        }
    }

    /// The topics that match.
    fn topics_where(&self, matches: impl Fn(&TopicRoute) -> bool) -> BTreeSet<String> {
        self.topics.iter().filter(|(_, topic)| matches(topic)).map(|(name, _)| name.clone()).collect()
    }

    /// All topics.
    #[must_use]
    pub fn all_topics(&self) -> BTreeSet<String> {
        self.topics_where(|_| true)
    }

    /// Topics of a cluster.
    #[must_use]
    pub fn topics_of_cluster(&self, cluster: &str) -> BTreeSet<String> {
        let is_of_cluster = |name: &String| self.brokers.get(name).is_some_and(|broker| broker.cluster == cluster);
        self.topics_where(|topic| topic.queues.keys().any(is_of_cluster))
    }

    /// Names of clusters and brokers, which are topics of the system, and the address of one broker.
    #[must_use]
    pub fn system_topics(&self) -> (BTreeSet<String>, Option<String>) {
        let mut names: BTreeSet<String> = self.brokers.keys().cloned().collect();
        names.extend(self.brokers.values().map(|broker| broker.cluster.clone()));
        let address = self.brokers.values().find_map(|broker| broker.addresses.values().next().cloned());
        (names, address)
    }

    /// Topics of units.
    #[must_use]
    pub fn unit_topics(&self) -> BTreeSet<String> {
        self.topics_where(|topic| flag(topic) & UNIT != 0)
    }

    /// Topics that units subscribe to; `is_plain`: only those that are not of a unit themselves.
    #[must_use]
    pub fn unit_subscription_topics(&self, is_plain: bool) -> BTreeSet<String> {
        self.topics_where(|topic| flag(topic) & UNIT_SUBSCRIPTION != 0 && (!is_plain || flag(topic) & UNIT == 0))
    }
}

fn flag(topic: &TopicRoute) -> i32 {
    topic.queues.values().next().map_or(0, |queues| queues.topic_sys_flag)
}

fn broker_data(name: &str, broker: &Broker) -> BrokerData {
    BrokerData {
        cluster: broker.cluster.clone(),
        broker_name: name.to_owned(),
        broker_addrs: BTreeMap::clone(&broker.addresses),
        zone_name: broker.zone.clone(),
        enable_acting_master: broker.acting_master,
    }
}

/// Lets the lowest id pass for the master, for reading.
fn stand_in(data: &mut BrokerData, queues: &QueueData) {
    let is_writable = permission::is_writable(queues.perm as u32);
    if data.broker_addrs.contains_key(&MASTER) || !data.enable_acting_master || is_writable {
        return;
    }
    if let Some((_, address)) = data.broker_addrs.pop_first() {
        data.broker_addrs.insert(MASTER, address);
    }
}
