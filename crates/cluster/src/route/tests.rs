use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire::remoting::body::{DataVersion, QueueData, RegisterBrokerBody, TopicConfig};

const SECOND: Duration = Duration::from_secs(1);

/// A registration to be told; `topics` with their permission.
#[derive(Clone)]
struct Told {
    cluster: &'static str,
    name: &'static str,
    id: i64,
    address: &'static str,
    zone: Option<&'static str>,
    acting_master: Option<bool>,
    is_complete: bool,
    connection: ConnectionId,
    body: RegisterBrokerBody,
}

fn told(name: &'static str, id: i64, address: &'static str, version: i64, topics: &[&str]) -> Told {
    let mut body = RegisterBrokerBody::default();
    let wrapper = &mut body.topic_config_serialize_wrapper;
    wrapper.data_version = DataVersion { state_version: 0, timestamp: 1, counter: version };
    for topic in topics {
        let config = TopicConfig { topic_name: (*topic).to_owned(), ..TopicConfig::default() };
        wrapper.topic_config_table.insert((*topic).to_owned(), config);
    }
    Told { cluster: "c", name, id, address, zone: None, acting_master: None, is_complete: false, connection: 1, body }
}

impl Told {
    fn to(&self, table: &mut Table, now: Duration) -> (Registered, Vec<Effect>) {
        self.try_to(table, now).expect("accepted")
    }

    fn try_to(&self, table: &mut Table, now: Duration) -> Result<(Registered, Vec<Effect>), RegisterError> {
        let from = Registration {
            cluster: self.cluster,
            broker_name: self.name,
            broker_id: self.id,
            address: self.address,
            ha_address: "ha:1",
            zone: self.zone,
            silence_max: None,
            acting_master: self.acting_master,
            is_complete: self.is_complete,
            body: &self.body,
            connection: self.connection,
        };
        table.register(&from, now)
    }

    fn version(&self) -> DataVersion {
        self.body.topic_config_serialize_wrapper.data_version
    }
}

fn brokers_of(table: &Table, topic: &str) -> Vec<String> {
    let route = table.view().route(topic, None, false);
    route.map(|route| route.queue_datas.into_iter().map(|queues| queues.broker_name).collect()).unwrap_or_default()
}

#[test]
fn a_route_names_queues_and_replicas() {
    let mut table = Table::default();
    told("b1", 0, "h1:1", 1, &["t", "u"]).to(&mut table, SECOND);
    told("b2", 0, "h2:1", 1, &["t", "v"]).to(&mut table, SECOND);
    let (registered, _) = told("b1", 1, "h3:1", 1, &["ignored", "of a replica"]).to(&mut table, SECOND);
    assert_eq!(registered, Registered { ha_address: Some("ha:1".into()), master_address: Some("h1:1".into()) });
    let route = table.view().route("t", None, false).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs, BTreeMap::from([(0, "h1:1".into()), (1, "h3:1".into())]));
    assert_eq!(brokers_of(&table, "t"), ["b1", "b2"]);
    assert_eq!(brokers_of(&table, "ignored"), [""; 0]);
    assert_eq!(table.view().all_topics(), BTreeSet::from(["t", "u", "v"].map(String::from)));
    assert_eq!(table.view().cluster_info().cluster_addr_table["c"].len(), 2);
    assert_eq!(table.view().member_group("c", "b1").broker_addrs.len(), 2);
    assert_eq!(table.view().member_group("other", "b1").broker_addrs.len(), 0);
    assert_eq!(
        table.view().system_topics(),
        (BTreeSet::from(["b1", "b2", "c"].map(String::from)), Some("h1:1".into()))
    );
}

#[test]
fn versions_decide_whether_topics_count() {
    let mut table = Table::default();
    let first = told("b", 0, "h:1", 1, &["t", "u"]);
    first.to(&mut table, SECOND);
    assert_eq!(table.set_writable("b", false), 2);
    first.to(&mut table, SECOND);
    let perm = |table: &Table| table.view().route("t", None, false).unwrap().queue_datas[0].perm;
    assert_eq!(perm(&table), 4, "the same version changes nothing");
    told("b", 0, "h:1", 2, &["t", "u"]).to(&mut table, SECOND);
    assert_eq!(perm(&table), 6);
    assert_eq!(table.set_writable("b", false), 2);
    assert_eq!(table.set_writable("b", true), 2);
    assert_eq!((perm(&table), table.set_writable("none", true)), (6, 0));
    assert_eq!(
        table.is_changed("c", "h:1", &first.version(), 1, SECOND),
        (true, Some(DataVersion { counter: 2, ..first.version() }))
    );
    assert_eq!(table.is_changed("c", "h:9", &first.version(), 1, SECOND), (true, None));
}

#[test]
fn only_a_complete_registration_takes_topics_away() {
    let mut table = Table::default();
    told("b", 0, "h:1", 1, &["t", "u"]).to(&mut table, SECOND);
    told("b", 0, "h:1", 2, &["new"]).to(&mut table, SECOND);
    assert_eq!(table.view().all_topics().len(), 3);
    told("other", 0, "o:1", 1, &["u", "x"]).to(&mut table, SECOND);
    Told { is_complete: true, ..told("b", 0, "h:1", 3, &["t"]) }.to(&mut table, SECOND);
    assert_eq!(table.view().all_topics(), BTreeSet::from(["t", "u", "x"].map(String::from)));
    assert_eq!(brokers_of(&table, "u"), ["other"]);
    let refused = told("unknown", 0, "n:1", 1, &["single"]).try_to(&mut table, SECOND);
    assert_eq!(refused, Err(RegisterError::NotRegistered { broker: "unknown".into(), broker_id: 0 }));
}

#[test]
fn silence_and_closed_connections_end_a_broker() {
    let mut table = Table::default();
    let broker = told("b", 0, "h:1", 1, &["t", "u"]);
    broker.to(&mut table, SECOND);
    assert_eq!(table.expire(121 * SECOND), []);
    assert!(table.heartbeat("c", "h:1", 1, 100 * SECOND));
    assert_eq!(table.expire(220 * SECOND), []);
    assert!(!table.is_changed("c", "h:1", &broker.version(), 2, 200 * SECOND).0);
    assert_eq!(table.connection_closed(1), [], "it is heard over another connection now");
    assert_eq!(table.expire(321 * SECOND), [Effect::CloseConnection(2)]);
    assert_eq!((table.view().all_topics().len(), table.view().brokers().len()), (0, 0));
    broker.to(&mut table, SECOND);
    assert_eq!(table.connection_closed(1), []);
    assert_eq!((brokers_of(&table, "t").len(), table.view().clusters().len()), (0, 0));
    broker.to(&mut table, SECOND);
    assert_eq!(table.unregister("c", "b", "h:1"), []);
    assert_eq!(brokers_of(&table, "t").len(), 0);
    assert!(!table.heartbeat("c", "h:1", 1, SECOND));
}

#[test]
fn a_replica_stands_in_for_its_master() {
    let mut table = Table::new(Options { acting_master: true, notify_min_broker: true, ..Options::default() });
    let with = |id, address, connection| Told {
        acting_master: Some(true),
        connection,
        ..told("b", id, address, 1, &["t", "u"])
    };
    with(0, "m:1", 10).to(&mut table, SECOND);
    with(2, "s:1", 12).to(&mut table, SECOND);
    assert_eq!(with(1, "r:1", 11).to(&mut table, SECOND).1, []);
    let effects = table.connection_closed(10);
    let told = |to: &[&str], id, address: &str, offline: Option<&str>| {
        let (address, offline_address) = (address.to_owned(), offline.map(str::to_owned));
        vec![Effect::NotifyMinBroker {
            to: to.iter().map(|at| (*at).to_owned()).collect(),
            broker_id: id,
            address,
            offline_address,
            ha_address: Some("ha:1".into()),
        }]
    };
    assert_eq!(effects, told(&["r:1", "s:1"], 1, "r:1", Some("m:1")));
    let route = table.view().route("t", None, true).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs, BTreeMap::from([(0, "r:1".into()), (2, "s:1".into())]));
    assert_eq!(route.queue_datas[0].perm, 4, "nobody takes writes");
    assert!(!table.view().route("t", None, false).unwrap().broker_datas[0].broker_addrs.contains_key(&0));
    assert_eq!(with(0, "m:1", 13).to(&mut table, SECOND).1, told(&["r:1", "s:1"], 0, "m:1", None));
    assert_eq!(table.view().route("t", None, true).unwrap().queue_datas[0].perm, 6);
}

#[test]
fn an_address_has_one_number_and_a_newer_epoch_wins() {
    let mut table = Table::default();
    told("b", 1, "h:1", 1, &["t", "u"]).to(&mut table, SECOND);
    told("b", 0, "h:1", 1, &["t", "u"]).to(&mut table, SECOND);
    assert_eq!(table.view().brokers()["b"].addresses, BTreeMap::from([(0, "h:1".to_owned())]));
    let mut newer = told("b", 0, "n:1", 1, &["t", "u"]);
    newer.body.topic_config_serialize_wrapper.data_version.state_version = 5;
    newer.to(&mut table, SECOND);
    told("b", 0, "h:1", 2, &["t", "u"]).to(&mut table, SECOND);
    assert_eq!(table.view().brokers()["b"].addresses, BTreeMap::from([(0, "n:1".to_owned())]));
}

#[test]
fn a_broker_that_was_displaced_by_its_namesake_comes_back_when_it_shows_life() {
    let mut table = Table::default();
    let first = Told { connection: 1, is_complete: true, ..told("b", 0, "h1:1", 1, &["t"]) };
    let second = Told { connection: 2, is_complete: true, ..told("b", 0, "h2:1", 1, &["u"]) };
    first.to(&mut table, SECOND);
    second.to(&mut table, SECOND);
    assert_eq!((brokers_of(&table, "t").len(), brokers_of(&table, "u").len()), (0, 1));
    table.connection_closed(2);
    assert_eq!(brokers_of(&table, "u").len(), 0);
    let (is_changed, _) = table.is_changed("c", "h1:1", &first.version(), 1, 2 * SECOND);
    assert!(is_changed, "it is not told that it must register again");
    first.to(&mut table, 2 * SECOND);
    assert_eq!(brokers_of(&table, "t").len(), 1);
}

/// Brokers that were exchanged for others on their address, while the end of the former connection is not noticed.
#[test]
fn a_broker_with_another_name_or_cluster_replaces_the_one_at_its_address() {
    let mut table = Table::default();
    let first = Told { connection: 1, ..told("b", 0, "h:1", 1, &["t", "u"]) };
    let moved = Told { connection: 2, cluster: "d", ..told("b", 0, "h:1", 1, &["t", "u"]) };
    let renamed = Told { connection: 3, cluster: "d", ..told("n", 0, "h:1", 1, &["t", "v"]) };
    first.to(&mut table, SECOND);
    moved.to(&mut table, 2 * SECOND);
    assert_eq!(table.connection_closed(1), []);
    assert_eq!(brokers_of(&table, "u"), ["b"], "it lives on in its new cluster");
    first.to(&mut table, 3 * SECOND);
    moved.to(&mut table, 4 * SECOND);
    assert!(table.heartbeat("d", "h:1", 2, 100 * SECOND));
    assert_eq!(table.expire(124 * SECOND), [Effect::CloseConnection(1)]);
    assert_eq!(brokers_of(&table, "u"), ["b"]);
    renamed.to(&mut table, 125 * SECOND);
    assert_eq!((brokers_of(&table, "t"), brokers_of(&table, "u")), (vec!["n".to_owned()], vec![]));
    assert_eq!(table.connection_closed(3), []);
    assert_eq!((table.view().all_topics().len(), table.view().brokers().len()), (0, 0));
}

#[test]
fn a_replica_that_leaves_under_another_number_is_gone() {
    let mut table = Table::default();
    told("b", 0, "h:1", 1, &["t", "u"]).to(&mut table, SECOND);
    table.unregister("c", "b", "h:1");
    assert_eq!(table.view().brokers().len(), 0);
    told("b", 1, "h:1", 1, &["t", "u"]).to(&mut table, SECOND);
    let mut newer = told("b", 0, "n:1", 1, &["t", "u"]);
    newer.body.topic_config_serialize_wrapper.data_version.state_version = 5;
    newer.to(&mut table, SECOND);
    told("b", 0, "h:1", 2, &["t", "u"]).to(&mut table, SECOND);
    assert_eq!(table.view().brokers()["b"].addresses, BTreeMap::from([(0, "n:1".to_owned())]));
}

#[test]
fn zones_see_their_own_and_what_has_no_master() {
    let mut table = Table::default();
    Told { zone: Some("a"), ..told("b1", 0, "h1:1", 1, &["t", "u"]) }.to(&mut table, SECOND);
    Told { zone: Some("b"), ..told("b2", 0, "h2:1", 1, &["t", "u"]) }.to(&mut table, SECOND);
    told("b3", 1, "h3:1", 1, &["t", "u"]).to(&mut table, SECOND);
    table.register_topic("t", &[queues("b3"), queues("unknown")]);
    let names = |zone: &str| {
        let route = table.view().route("t", Some(Zone(zone)), false).unwrap();
        route.broker_datas.into_iter().map(|broker| broker.broker_name).collect::<Vec<_>>()
    };
    assert_eq!(
        (names("A"), names("b"), names("z")),
        (vec!["b1".into(), "b3".into()], vec!["b2".into(), "b3".into()], vec!["b3".into()])
    );
    assert_eq!(brokers_of(&table, "t"), ["b1", "b2", "b3"]);
}

fn queues(broker: &str) -> QueueData {
    QueueData { broker_name: broker.into(), read_queue_nums: 1, write_queue_nums: 1, perm: 6, topic_sys_flag: 0 }
}

#[test]
fn topics_are_deleted_everywhere_or_from_a_cluster() {
    let mut table = Table::default();
    told("b1", 0, "h1:1", 1, &["t", "u"]).to(&mut table, SECOND);
    Told { cluster: "d", ..told("b2", 0, "h2:1", 1, &["t", "u"]) }.to(&mut table, SECOND);
    table.delete_topic("t", Some("c"));
    assert_eq!((brokers_of(&table, "t"), brokers_of(&table, "u").len()), (vec!["b2".to_owned()], 2));
    table.delete_topic("u", None);
    table.delete_topic("t", Some("d"));
    assert_eq!(table.view().all_topics().len(), 0);
    assert_eq!(table.view().topics_of_cluster("d").len(), 0);
}

#[test]
fn readers_keep_their_view() {
    let routes = Routes::new(Table::default());
    let before = routes.view();
    routes.apply(|table| told("b", 0, "h:1", 1, &["t", "u"]).to(table, SECOND));
    assert_eq!((before.topics().len(), routes.view().topics().len()), (0, 2));
    let view = routes.view();
    routes.apply(|table| table.heartbeat("c", "h:1", 1, SECOND));
    assert!(std::sync::Arc::ptr_eq(&view, &routes.view()), "a sign of life changes nothing for readers");
}

/// What happens to a name server.
#[derive(Clone, Debug)]
enum Event {
    Register { broker: usize, version: i64, topics: Vec<usize>, connection: ConnectionId },
    Close(ConnectionId),
    Unregister(usize),
    Expire,
    Delete(usize),
}

const NAMES: [&str; 3] = ["b0", "b1", "b2"];
const ADDRESSES: [&str; 3] = ["h0:1", "h1:1", "h2:1"];
const TOPICS: [&str; 4] = ["t0", "t1", "t2", "t3"];

fn event() -> impl Strategy<Value = Event> {
    let topics = prop::collection::vec(0..TOPICS.len(), 2..4);
    prop_oneof![
        3 => (0..3usize, 0..5i64, topics, 0..4u64)
            .prop_map(|(broker, version, topics, connection)| Event::Register { broker, version, topics, connection }),
        1 => (0..4u64).prop_map(Event::Close),
        1 => (0..3usize).prop_map(Event::Unregister),
        1 => Just(Event::Expire),
        1 => (0..TOPICS.len()).prop_map(Event::Delete),
    ]
}

proptest! {
    /// Complete registrations with growing versions against one set of (broker, topic) pairs.
    #[test]
    fn behaves_like_a_set_of_pairs(events in prop::collection::vec((event(), 0u64..90), 1..60)) {
        let (mut table, mut now) = (Table::default(), SECOND);
        let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut live: BTreeMap<usize, (Duration, ConnectionId, i64)> = BTreeMap::new();
        for (event, pause) in events {
            now += Duration::from_secs(pause);
            match event {
                Event::Register { broker, version, topics, connection } => {
                    let names: Vec<_> = topics.iter().map(|topic| TOPICS[*topic]).collect();
                    let told = told(NAMES[broker], 0, ADDRESSES[broker], version, &names);
                    Told { is_complete: true, connection, ..told }.to(&mut table, now);
                    if live.get(&broker).is_none_or(|known| known.2 != version) {
                        pairs.retain(|pair| pair.0 != broker);
                    }
                    pairs.extend(topics.iter().map(|topic| (broker, *topic)));
                    live.insert(broker, (now, connection, version));
                }
                Event::Close(connection) => {
                    table.connection_closed(connection);
                    live.retain(|_, known| known.1 != connection);
                }
                Event::Unregister(broker) => {
                    table.unregister("c", NAMES[broker], ADDRESSES[broker]);
                    live.remove(&broker);
                }
                Event::Expire => {
                    table.expire(now);
                    live.retain(|_, known| known.0 + Duration::from_secs(120) >= now);
                }
                Event::Delete(topic) => {
                    table.delete_topic(TOPICS[topic], None);
                    pairs.retain(|pair| pair.1 != topic);
                }
            }
            pairs.retain(|pair| live.contains_key(&pair.0));
            for (index, topic) in TOPICS.iter().enumerate() {
                let expected: Vec<_> = pairs.iter().filter(|pair| pair.1 == index).map(|pair| NAMES[pair.0]).collect();
                prop_assert_eq!(brokers_of(&table, topic), expected);
            }
            prop_assert_eq!(table.view().brokers().len(), live.len());
        }
    }
}
