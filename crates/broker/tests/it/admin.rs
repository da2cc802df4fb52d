//! Administration: its lane, what it may change, and the rates that it sees.

use crate::node::Node;
use broker::{AdminError, Counted, PublishError, PullError, SendBack, Setting};
use model::{Group, Topic, TopicConfig};
use rt::sim::{Operation, run};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn messages_go_on_while_administration_is_busy() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let broker = &node.broker;
        node.send("t", "first").await.unwrap();
        let turns = (broker.admin_turn().await.unwrap(), broker.admin_turn().await.unwrap());
        let wait = || {
            let broker = Arc::clone(broker);
            rt::spawn(async move { broker.admin_turn().await.map(drop) })
        };
        let mut waiting: Vec<_> = (0..64).map(|_| wait()).collect();
        rt::sleep(Duration::from_millis(1)).await;
        assert_eq!((broker.admin_stats().in_work, broker.admin_stats().waiting), (2, 64));
        let refused = broker.admin_turn().await.map(drop).unwrap_err();
        assert!(matches!(refused, AdminError::Busy { .. }), "{refused}");

        let before = broker.now();
        node.send("t", "second").await.unwrap();
        assert_eq!(node.bodies("t", 0, "*").await, ["first", "second"]);
        assert!(broker.advance_offset(None, "g", "t", 0, 1).is_ok());
        broker.lock_queues(&Group::from_stored("g"), 1, "c", Vec::new()).await.unwrap();
        assert!(broker.now().0 - before.0 < 1000, "none of it waited for administration");

        drop(turns.0);
        waiting.remove(0).await.unwrap().unwrap();
        rt::sleep(Duration::from_secs(4)).await;
        drop(turns.1);
        assert_eq!(broker.admin_stats().waiting, 0, "each got its turn, or gave up in time");
        broker.admin_turn().await.map(drop).unwrap();
    });
}

#[test]
fn one_that_waits_too_long_is_told() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let _turns = (node.broker.admin_turn().await.unwrap(), node.broker.admin_turn().await.unwrap());
        let refused = node.broker.admin_turn().await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("ask again later"), "{refused}");
        assert_eq!((node.broker.admin_stats().served, node.broker.admin_stats().refused), (2, 1));
    });
}

#[test]
fn rates_follow_what_was_sent_and_read() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        for second in 0..70 {
            node.send("t", "ten bytes!").await.unwrap();
            node.pull("g", "t", second, "*").await.unwrap();
            rt::sleep(Duration::from_secs(1)).await;
        }
        let ask = SendBack { group: "g", offset: 0, delay_level: 0, max_reconsume_times: None };
        let first = node.send("t", "x").await.unwrap().first.physical_offset.0 as i64;
        node.broker.send_back(SendBack { offset: first, ..ask }).await.unwrap();
        rt::sleep(Duration::from_secs(11)).await;
        let (t, g) = (Topic::from_stored("t"), Group::from_stored("g"));
        let messages = |counted: &Counted| node.broker.trend(counted).unwrap().hour.count.messages;
        assert_eq!(messages(&Counted::Stored(t.clone())), 71);
        assert_eq!(messages(&Counted::Read(t.clone(), g.clone())), 70);
        assert_eq!(messages(&Counted::SentBack(t.clone(), g.clone())), 1);
        assert_eq!(messages(&Counted::UsersRead), 70);
        let rate = node.broker.read_rate(&g, &[t]);
        assert!((0.6..=1.0).contains(&rate), "{rate}");
        rt::sleep(Duration::from_secs(70)).await;
        assert_eq!(node.broker.read_rate(&g, &[Topic::from_stored("t")]), 0.0);
    });
}

#[test]
fn changed_settings_hold_and_survive() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let broker = &node.broker;
        let changes = [(Setting::RetentionHours, Some(7)), (Setting::AutoCreateTopics, Some(0))];
        broker.change_settings(&changes).await.unwrap();
        let refused =
            broker.change_settings(&[(Setting::RetentionHours, Some(8)), (Setting::Permission, Some(5))]).await;
        assert!(refused.unwrap_err().to_string().contains("permission is 5"));
        assert_eq!(broker.setting(Setting::RetentionHours), 7, "all or none");
        assert!(matches!(node.send("new", "x").await, Err(PublishError::TopicNotFound { .. })));

        let node = node.power_cycle().await;
        assert_eq!(node.broker.setting(Setting::RetentionHours), 7);
        node.broker.change_settings(&[(Setting::AutoCreateTopics, None)]).await.unwrap();
        node.send("new", "x").await.unwrap();
        let node = node.power_cycle().await;
        assert_eq!(node.broker.setting(Setting::AutoCreateTopics), 1);
    });
}

#[test]
fn a_broker_without_write_permission_drains() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let mut ordered = TopicConfig::new(Topic::from_stored("ordered"), 1);
        ordered.order = true;
        node.broker.put_topic(ordered).await.unwrap();
        node.send("t", "x").await.unwrap();
        let version = node.broker.metadata().read().topics_version;
        node.broker.change_settings(&[(Setting::Permission, Some(4))]).await.unwrap();
        assert_ne!(node.broker.metadata().read().topics_version, version, "name servers must hear of it");
        assert!(matches!(node.send("ordered", "x").await, Err(PublishError::BrokerForbidden { permission: 4 })));
        node.send("t", "from a producer with an old route").await.unwrap();
        node.broker.change_settings(&[(Setting::Permission, Some(2))]).await.unwrap();
        assert!(matches!(node.pull("g", "t", 0, "*").await, Err(PullError::BrokerForbidden { permission: 2 })));
        node.broker.change_settings(&[(Setting::Permission, None)]).await.unwrap();
        node.pull("g", "t", 0, "*").await.unwrap();
    });
}

#[test]
fn settings_change_all_or_none_when_the_disk_fails() {
    for operation in [Operation::Write, Operation::Sync] {
        run(1, |world| async move {
            let node = Node::start(&world).await;
            let both = [Setting::RetentionHours, Setting::TimerDelayMaxSeconds];
            let values = |node: &Node| both.map(|setting| node.broker.setting(setting));
            let before = values(&node);
            node.break_journal(operation);
            let changes = [(both[0], Some(7)), (both[1], Some(70))];
            let changed = node.broker.change_settings(&changes).await;
            assert!(matches!(changed, Err(AdminError::Metadata(_))), "{changed:?}");
            assert_eq!(values(&node), before, "{operation:?}");
            let node = node.power_cycle().await;
            let held = values(&node);
            assert!(held == before || held == [7, 70], "{operation:?}: {held:?}");
        });
    }
}

#[test]
fn settings_hold_when_nobody_waits_for_the_answer() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let changes = [(Setting::RetentionHours, Some(7))];
        let changing = node.broker.change_settings(&changes);
        assert!(rt::timeout(Duration::ZERO, changing).await.is_err());
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(node.broker.setting(Setting::RetentionHours), 7);
        let node = node.power_cycle().await;
        assert_eq!(node.broker.setting(Setting::RetentionHours), 7);
    });
}

#[test]
fn a_new_topic_waits_for_name_servers_that_answer() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let broker = &node.broker;
        let creating = async |topic: &str| {
            let before = broker.now();
            node.send(topic, "x").await.unwrap();
            Duration::from_millis((broker.now().0 - before.0) as u64)
        };
        let alone = creating("nobody-to-tell").await;
        assert!(alone < Duration::from_millis(500), "there is nobody to wait for: {alone:?}");

        let told = broker.announcement(None).await;
        broker.name_server_knows("a:9876", told.change);
        broker.name_server_knows("b:9876", told.change);
        let (teller, mut changed) = (Arc::clone(broker), broker.topics_changed());
        let telling = rt::spawn(async move {
            changed.changed().await.unwrap();
            rt::sleep(Duration::from_millis(250)).await;
            let news = teller.announcement(Some(told.change)).await;
            let names: Vec<_> = news.topics.iter().map(|topic| topic.config.topic.as_str()).collect();
            assert_eq!((news.is_complete, names), (false, vec!["told"]));
            teller.name_server_knows("a:9876", news.change);
            rt::sleep(Duration::from_millis(250)).await;
            teller.name_server_silent("b:9876");
        });
        let waited = creating("told").await;
        assert!((500..900).contains(&waited.as_millis()), "until the last that answers: {waited:?}");
        telling.await.unwrap();

        let waited = creating("slow").await;
        assert!((1000..1500).contains(&waited.as_millis()), "a name server that hangs is waited for once: {waited:?}");
        let waited = creating("slower").await;
        assert!(waited < Duration::from_millis(500), "and not again: {waited:?}");
    });
}

#[test]
fn topics_are_made_and_deleted_even_if_nobody_waits_for_the_answer() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let name = Topic::from_stored("t");
        let creating = node.broker.put_topic(TopicConfig::new(name.clone(), 3));
        assert!(rt::timeout(Duration::ZERO, creating).await.is_err());
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(node.broker.topic("t").map(|topic| topic.queues().len()), Some(3));

        assert!(rt::timeout(Duration::ZERO, node.broker.delete_topic("t")).await.is_err());
        rt::sleep(Duration::from_secs(1)).await;
        assert!(!node.broker.metadata().read().topics.contains_key(&name));
        // What is sent to it now is stored in a topic that the next start knows.
        node.send("t", "x").await.unwrap();
        let node = node.power_cycle().await;
        assert_eq!(node.pull("g", "t", 0, "*").await.unwrap().max.0, 1);
    });
}

#[test]
fn settings_of_a_group_are_not_replaced_by_those_that_its_first_pull_brings() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let group = Group::new("g").unwrap();
        let mut config = model::GroupConfig::new(group.clone());
        config.retry_max = 3;
        assert!(rt::timeout(Duration::ZERO, node.broker.put_group(config)).await.is_err());
        node.pull("g", "t", 0, "*").await.unwrap();
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(node.broker.group_config(&group).unwrap().retry_max, 3);
    });
}
