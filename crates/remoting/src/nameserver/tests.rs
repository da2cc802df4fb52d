use super::*;
use crate::client::Client;
use crate::server::{Options, Response, Server};
use cluster::metadata;
use rt::ShutdownTrigger;
use rt::sim::{self, Fault, Operation, Power, SimHost, World};
use std::net::SocketAddr;
use std::time::Duration;
use wire::remoting::body::{DataVersion, RegisterBrokerBody, TopicConfig, TopicRouteData};
use wire::remoting::registration;

const PORT: u16 = 9876;
const WITHIN: Duration = Duration::from_secs(3);

/// A name server on one simulated machine and a client on another.
struct Site {
    machine: SimHost,
    client: Client,
    stop: ShutdownTrigger,
}

async fn site(world: &World) -> Site {
    silent_site(world, Duration::ZERO).await
}

async fn silent_site(world: &World, silence: Duration) -> Site {
    let machine = world.host("ns");
    let (stop, name_server) = serve(&machine, silence).await;
    machine.spawn(name_server);
    Site { client: Client::new(world.host("client").boot()), machine, stop }
}

/// Everything a name server does, as one future.
async fn serve(machine: &SimHost, silence: Duration) -> (ShutdownTrigger, impl Future<Output = ()> + use<>) {
    let host = machine.boot();
    let metadata = machine.spawn({
        let host = host.clone();
        async move { Metadata::open(&host, "/data/nameserver", metadata::Options::default()) }
    });
    let metadata = metadata.await.unwrap().unwrap();
    let name_server = NameServer::new(&host, metadata, silence);
    let addr = SocketAddr::new(machine.ip(), PORT);
    let door: Arc<dyn Door> = Arc::clone(&name_server) as _;
    let server = Server::bind(&host, addr, Options::default(), None, door).await.unwrap();
    let (stop, shutdown) = ShutdownTrigger::new();
    (stop, async move {
        tokio::join!(server.serve(shutdown.clone()), name_server.run(shutdown));
    })
}

impl Site {
    async fn ask(&self, code: RequestCode, fields: &[(&str, &str)], body: &[u8]) -> Response {
        self.client.call("ns:9876", &Call { code: code.0, fields, body }, WITHIN).await.unwrap()
    }

    async fn check(&self, code: RequestCode, fields: &[(&str, &str)], expected: (ResponseCode, &str)) {
        let answer = self.ask(code, fields, &[]).await;
        let body = String::from_utf8_lossy(&answer.body);
        let text = answer.remark.as_deref().unwrap_or(&body);
        assert_eq!((ResponseCode(answer.code), text), expected, "{code}");
    }

    async fn register(&self, more: &[(&str, &str)], body: &[u8]) -> Response {
        let mut fields = vec![
            ("brokerName", "b"),
            ("brokerAddr", "h:1"),
            ("clusterName", "c"),
            ("haServerAddr", "h:2"),
            ("brokerId", "0"),
        ];
        fields.extend(more);
        self.ask(RequestCode::REGISTER_BROKER, &fields, body).await
    }
}

fn topics() -> RegisterBrokerBody {
    let mut body = RegisterBrokerBody::default();
    let wrapper = &mut body.topic_config_serialize_wrapper;
    wrapper.data_version = DataVersion { state_version: 0, timestamp: 5, counter: 1 };
    for (name, flag) in [("t", 0), ("u", 3), ("v", 2)] {
        let config = TopicConfig { topic_name: name.into(), topic_sys_flag: flag, ..TopicConfig::default() };
        wrapper.topic_config_table.insert(name.into(), config);
    }
    body
}

#[test]
fn no_route_is_told_before_brokers_had_time_to_register() {
    sim::run(1, |world| async move {
        let site = silent_site(&world, Duration::from_secs(30)).await;
        let registered = site.register(&[], &registration::encode(&topics(), false)).await;
        assert_eq!(registered.code, ResponseCode::SUCCESS.0);
        let not_ready = "name server not ready: it waits 30 s more for brokers";
        let route = [("topic", "t")];
        site.check(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, (ResponseCode::SYSTEM_ERROR, not_ready)).await;
        rt::sleep(Duration::from_secs(30)).await;
        let answer = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, &[]).await;
        assert_eq!(answer.code, ResponseCode::SUCCESS.0);
        site.stop.fire();
    });
}

#[test]
fn brokers_register_and_clients_find_their_topics() {
    sim::run(1, |world| async move {
        let site = site(&world).await;
        for compressed in [false, true] {
            let body = registration::encode(&topics(), compressed);
            let crc = model::record::body_crc(&body).to_string();
            let more = [("compressed", if compressed { "true" } else { "false" }), ("bodyCrc32", crc.as_str())];
            let answer = site.register(&more, &body).await;
            assert_eq!((answer.code, answer.remark), (0, None));
            assert_eq!(site.register(&[("bodyCrc32", "77")], &body).await.code, ResponseCode::SYSTEM_ERROR.0);
        }
        let route = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], &[]).await;
        let route: TopicRouteData = serde_json::from_slice(&route.body).unwrap();
        assert_eq!(route.broker_datas[0].broker_addrs[&0], "h:1");
        assert_eq!((route.queue_datas[0].write_queue_nums, route.queue_datas[0].perm), (16, 6));
        let missing = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "none")], &[]).await;
        assert_eq!(missing.code, ResponseCode::TOPIC_NOT_EXIST.0);
        let remark = missing.remark.unwrap();
        assert!(remark.starts_with("No topic route info in name server for the topic: none"), "{remark}");
        let ok = |text| (ResponseCode::SUCCESS, text);
        site.check(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], ok(r#"{"topicList":["t","u","v"]}"#)).await;
        site.check(RequestCode::GET_TOPICS_BY_CLUSTER, &[("cluster", "x")], ok(r#"{"topicList":[]}"#)).await;
        site.check(RequestCode::GET_UNIT_TOPIC_LIST, &[], ok(r#"{"topicList":["u"]}"#)).await;
        site.check(RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST, &[], ok(r#"{"topicList":["u","v"]}"#)).await;
        site.check(RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, &[], ok(r#"{"topicList":["v"]}"#)).await;
        let system = r#"{"topicList":["b","c"],"brokerAddr":"h:1"}"#;
        site.check(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS, &[], ok(system)).await;
        let members = [("clusterName", "c"), ("brokerName", "b")];
        let group = r#"{"brokerMemberGroup":{"cluster":"c","brokerName":"b","brokerAddrs":{"0":"h:1"}}}"#;
        site.check(RequestCode::GET_BROKER_MEMBER_GROUP, &members, ok(group)).await;
        let wiped = site.ask(RequestCode::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "b")], &[]).await;
        assert_eq!(wiped.fields, [("wipeTopicCount".to_owned(), "3".to_owned())]);
        let added = site.ask(RequestCode::ADD_WRITE_PERM_OF_BROKER, &[("brokerName", "b")], &[]).await;
        assert_eq!(added.fields, [("addTopicCount".to_owned(), "3".to_owned())]);
        site.check(RequestCode::DELETE_TOPIC_IN_NAMESRV, &[("topic", "v")], ok("")).await;
        site.check(RequestCode::GET_TOPICS_BY_CLUSTER, &[("cluster", "c")], ok(r#"{"topicList":["t","u"]}"#)).await;
        site.check(
            RequestCode(9999),
            &[],
            (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, " request type 9999 not supported"),
        )
        .await;
        site.stop.fire();
    });
}

/// Brokers and clients of the original that are told their zone name it in every request.
#[test]
fn clients_find_the_brokers_of_their_zone() {
    sim::run(7, |world| async move {
        let site = site(&world).await;
        site.register(&[("__ZONE_NAME", "near"), ("__ZONE_MODE", "true")], &registration::encode(&topics(), false))
            .await;
        for (zone, brokers) in [("near", 1), ("far", 0)] {
            let ask = [("topic", "t"), ("__ZONE_NAME", zone), ("__ZONE_MODE", "true")];
            let route = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &ask, &[]).await;
            let route: TopicRouteData = serde_json::from_slice(&route.body).unwrap();
            assert_eq!((route.broker_datas.len(), route.queue_datas.len()), (brokers, brokers), "{zone}");
        }
        site.stop.fire();
    });
}

#[test]
fn a_broker_is_forgotten_when_its_connection_ends() {
    sim::run(2, |world| async move {
        let site = site(&world).await;
        let machine = world.host("broker");
        let broker =
            Site { client: Client::new(machine.boot()), machine: machine.clone(), stop: ShutdownTrigger::new().0 };
        let body = registration::encode(&topics(), false);
        let registered = machine.spawn(async move {
            let code = broker.register(&[], &body).await.code;
            let version = DataVersion { state_version: 0, timestamp: 5, counter: 1 };
            let ask = [("brokerName", "b"), ("brokerAddr", "h:1"), ("clusterName", "c"), ("brokerId", "0")];
            let body = serde_json::to_vec(&version).unwrap();
            let answer = broker.ask(RequestCode::QUERY_DATA_VERSION, &ask, &body).await;
            assert_eq!(answer.fields, [("changed".to_owned(), "false".to_owned())]);
            assert_eq!(answer.body, body);
            assert_eq!(broker.ask(RequestCode::BROKER_HEARTBEAT, &ask, &[]).await.code, 0);
            // The connection lives as long as the client does.
            rt::spawn(async move {
                rt::sleep(Duration::from_secs(3600)).await;
                drop(broker);
            });
            code
        });
        assert_eq!(registered.await.unwrap(), 0);
        let route = [("topic", "t")];
        assert_eq!(site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, &[]).await.code, 0);
        machine.crash(Power::Kept);
        rt::sleep(Duration::from_secs(1)).await;
        let gone = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, &[]).await;
        assert_eq!(gone.code, ResponseCode::TOPIC_NOT_EXIST.0);
        site.stop.fire();
    });
}

#[test]
fn a_silent_broker_expires() {
    sim::run(3, |world| async move {
        let site = site(&world).await;
        let body = registration::encode(&topics(), false);
        site.register(&[("heartbeatTimeoutMillis", "20000")], &body).await;
        rt::sleep(Duration::from_secs(15)).await;
        let route = [("topic", "t")];
        assert_eq!(site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, &[]).await.code, 0);
        rt::sleep(Duration::from_secs(11)).await;
        let gone = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, &[]).await;
        assert_eq!(gone.code, ResponseCode::TOPIC_NOT_EXIST.0);
        site.stop.fire();
    });
}

#[test]
fn texts_and_configuration_survive_the_power() {
    sim::run(4, |world| async move {
        let site = site(&world).await;
        let ok = (ResponseCode::SUCCESS, "");
        let order = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t"), ("value", "b:4")];
        site.check(RequestCode::PUT_KV_CONFIG, &order, ok).await;
        site.check(RequestCode::PUT_KV_CONFIG, &[("namespace", "n"), ("key", "gone"), ("value", "x")], ok).await;
        site.check(RequestCode::DELETE_KV_CONFIG, &[("namespace", "n"), ("key", "gone")], ok).await;
        let answer = site.register(&[], &registration::encode(&topics(), false)).await;
        assert_eq!(answer.body, br#"{"table":{"t":"b:4"}}"#.as_slice());
        let config = b"# comment\nscanNotActiveBrokerInterval = 700\n".as_slice();
        assert_eq!(site.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], config).await.code, 0);
        let refused = [
            (b"listenPort=1".as_slice(), ResponseCode::INVALID_PARAMETER),
            (b"orderMessageEnable=perhaps", ResponseCode::INVALID_PARAMETER),
            (b"kvConfigPath=/etc/passwd", ResponseCode::NO_PERMISSION),
        ];
        for (body, code) in refused {
            assert_eq!(site.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], body).await.code, code.0);
        }
        site.machine.crash(Power::Lost);
        let (_stop, again) = serve(&site.machine, Duration::ZERO).await;
        site.machine.spawn(again);
        let key = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t")];
        assert_eq!(
            site.ask(RequestCode::GET_KV_CONFIG, &key, &[]).await.fields,
            [("value".to_owned(), "b:4".to_owned())]
        );
        let missing = (ResponseCode::QUERY_NOT_FOUND, "No config item, Namespace: n Key: gone");
        site.check(RequestCode::GET_KV_CONFIG, &[("namespace", "n"), ("key", "gone")], missing).await;
        let list = (ResponseCode::SUCCESS, r#"{"table":{"t":"b:4"}}"#);
        site.check(RequestCode::GET_KVLIST_BY_NAMESPACE, &[("namespace", "ORDER_TOPIC_CONFIG")], list).await;
        let none = (ResponseCode::QUERY_NOT_FOUND, "No config item, Namespace: n");
        site.check(RequestCode::GET_KVLIST_BY_NAMESPACE, &[("namespace", "n")], none).await;
        let config = site.ask(RequestCode::GET_NAMESRV_CONFIG, &[], &[]).await.body;
        assert!(String::from_utf8_lossy(&config).contains("scanNotActiveBrokerInterval=700\n"));
    });
}

/// A configuration that is not durable is not in force: what a restart would take back was never there.
#[test]
fn a_configuration_that_cannot_be_stored_is_not_in_force() {
    sim::run(4, |world| async move {
        let site = site(&world).await;
        site.register(&[], &registration::encode(&topics(), false)).await;
        site.check(
            RequestCode::PUT_KV_CONFIG,
            &[("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t"), ("value", "b:4")],
            (ResponseCode::SUCCESS, ""),
        )
        .await;
        let order = async || {
            let route = site.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], &[]).await;
            String::from_utf8_lossy(&route.body).contains("b:4")
        };
        let (on, fault) = (b"orderMessageEnable=true\nscanNotActiveBrokerInterval=900", Operation::Write);
        site.machine.disk().plan(Fault { operation: fault, path_contains: "journal".to_owned(), after: 0 });
        let refused = site.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], on).await;
        assert_eq!(refused.code, ResponseCode::SYSTEM_BUSY.0);
        let config = site.ask(RequestCode::GET_NAMESRV_CONFIG, &[], &[]).await.body;
        assert!(String::from_utf8_lossy(&config).contains("scanNotActiveBrokerInterval=5000\n"));
        assert!(!order().await);
        assert_eq!(site.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], on).await.code, 0);
        assert!(order().await);
        site.stop.fire();
    });
}

/// Code and fields of a request.
type Asked = (i32, Vec<(String, String)>);

/// A replica that others may connect to; what it is told.
#[derive(Default)]
struct Replica(Mutex<Vec<Asked>>);

impl Door for Replica {
    fn call(&self, _: &Arc<Connection>, requests: Vec<RawFrame<'_>>, _: &mut Work) {
        for frame in &requests {
            let header = Header::parse(frame).unwrap();
            let fields = header.fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            self.0.lock().push((header.code, fields));
        }
    }

    fn closed(&self, _: &Arc<Connection>) {}
}

#[test]
fn replicas_hear_at_their_own_address_that_their_master_left() {
    sim::run(6, |world| async move {
        let site = site(&world).await;
        assert_eq!(site.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], b"notifyMinBrokerIdChanged=true").await.code, 0);
        let (machine, replica) = (world.host("replica"), Arc::new(Replica::default()));
        let (host, addr) = (machine.boot(), SocketAddr::new(machine.ip(), 1));
        let server = Server::bind(&host, addr, Options::default(), None, Arc::clone(&replica) as _).await.unwrap();
        let (_stop, shutdown) = ShutdownTrigger::new();
        machine.spawn(server.serve(shutdown));
        let body = registration::encode(&topics(), false);
        for (id, address) in [("0", "master:1"), ("1", "replica:1")] {
            let fields = [
                ("brokerName", "b"),
                ("brokerAddr", address),
                ("clusterName", "c"),
                ("haServerAddr", "h:2"),
                ("brokerId", id),
            ];
            assert_eq!(site.ask(RequestCode::REGISTER_BROKER, &fields, &body).await.code, 0);
        }
        let leaves = [("brokerName", "b"), ("brokerAddr", "master:1"), ("clusterName", "c"), ("brokerId", "0")];
        assert_eq!(site.ask(RequestCode::UNREGISTER_BROKER, &leaves, &[]).await.code, 0);
        rt::sleep(Duration::from_secs(1)).await;
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let told = vec![
            field("minBrokerId", "1"),
            field("minBrokerAddr", "replica:1"),
            field("offlineBrokerAddr", "master:1"),
            field("haBrokerAddr", "h:2"),
        ];
        assert_eq!(*replica.0.lock(), [(RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE.0, told)]);
        site.stop.fire();
    });
}

#[test]
fn what_is_stored_is_in_force_though_nobody_waits_for_it() {
    for seed in 0..60 {
        sim::run(seed, |world| async move {
            let site = site(&world).await;
            let hasty = world.host("hasty");
            let client = Client::new(hasty.boot());
            hasty.spawn(async move {
                let code = RequestCode::UPDATE_NAMESRV_CONFIG.0;
                let change = Call { code, fields: &[], body: b"scanNotActiveBrokerInterval=700" };
                drop(client.call("ns:9876", &change, WITHIN).await);
            });
            rt::sleep(Duration::from_millis(seed % 20)).await;
            hasty.crash(Power::Kept);
            rt::sleep(Duration::from_secs(1)).await;
            let in_force = site.ask(RequestCode::GET_NAMESRV_CONFIG, &[], &[]).await.body;
            site.machine.crash(Power::Lost);
            let (_stop, again) = serve(&site.machine, Duration::ZERO).await;
            site.machine.spawn(again);
            assert_eq!(site.ask(RequestCode::GET_NAMESRV_CONFIG, &[], &[]).await.body, in_force, "seed {seed}");
        });
    }
}
