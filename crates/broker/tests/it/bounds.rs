//! What is refused, held back or hidden when a bound is reached.

use crate::node::Node;
use broker::{PublishError, PullOutcome};
use model::{Group, GroupConfig, Topic, TopicConfig};
use rt::Clock as _;
use rt::sim::run;
use std::time::Duration;

pub(crate) fn with_attribute(topic: &str, name: &str, value: &str) -> TopicConfig {
    let mut config = TopicConfig::new(Topic::new(topic).unwrap(), 1);
    config.attributes.insert(name.to_owned(), value.to_owned());
    config
}

#[test]
fn a_topic_over_its_quota_refuses_and_takes_again() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("t", "quota.messages-per-second", "2")).await.unwrap();
        let mut taken = 0;
        let refusal = loop {
            match node.send("t", "x").await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100, "the quota is without effect");
        };
        let PublishError::OverQuota { wait, .. } = refusal else { panic!("{refusal}") };
        rt::sleep(wait).await;
        node.send("t", "x").await.unwrap();
        node.send("other", "x").await.unwrap();
    });
}

#[test]
fn a_group_over_its_quota_waits_for_its_messages() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        let mut group = GroupConfig::new(Group::new("slow").unwrap());
        group.attributes.insert("quota.messages-per-second".to_owned(), "1".to_owned());
        node.broker.put_group(group).await.unwrap();
        for _ in 0..100 {
            node.send("t", "x").await.unwrap();
        }
        let started = world.clock().monotonic();
        let (mut offset, mut holds) = (0, 0);
        while offset < 100 {
            let pulled = node.pull("slow", "t", offset, "*").await.unwrap();
            if pulled.hold.is_zero() {
                assert_eq!(pulled.outcome, PullOutcome::Found);
            } else {
                // Less than any client waits, and nothing that could get lost if it did not.
                assert!(pulled.hold < Duration::from_secs(10), "{:?}", pulled.hold);
                assert_eq!((pulled.outcome, pulled.messages()), (PullOutcome::NoMatch, 0));
                holds += 1;
            }
            offset = pulled.next.0 as i64;
            rt::sleep(pulled.hold).await;
        }
        let took = world.clock().monotonic() - started;
        assert!(took > Duration::from_secs(90) && took < Duration::from_secs(110), "{took:?}");
        assert!(holds > 9, "{holds}");
        assert!(node.pull("free", "t", 0, "*").await.unwrap().hold.is_zero());
    });
}

#[test]
fn wrong_attributes_are_refused() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        for (name, value) in [
            ("quota.messages-per-second", "0"),
            ("quota.bytes-per-second", "lots"),
            ("retention.hours", "-1"),
            ("flush", "sometimes"),
            ("no.such.attribute", "1"),
        ] {
            let error = node.broker.put_topic(with_attribute("t", name, value)).await.unwrap_err().to_string();
            assert!(error.contains(name) || error.contains(value), "{name}={value}: {error}");
        }
        for (name, value) in [("quota.messages-per-second", "few"), ("no.such.attribute", "1")] {
            let mut group = GroupConfig::new(Group::new("g").unwrap());
            group.attributes.insert(name.to_owned(), value.to_owned());
            let error = node.broker.put_group(group).await.unwrap_err().to_string();
            assert!(error.contains(name) || error.contains(value), "{name}={value}: {error}");
        }
    });
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_messages_but_gives_them() {
    run(1, |world| async move {
        // More than any simulated disk has.
        let node = Node::start_with(&world, |options| options.disk_reserve_bytes = Some(u64::MAX / 2)).await;
        node.send("t", "before").await.unwrap();
        rt::sleep(Duration::from_secs(3)).await;
        let refusal = node.send("t", "after").await.unwrap_err();
        assert!(matches!(refusal, PublishError::DiskFull { .. }), "{refusal}");
        assert_eq!(node.bodies("t", 0, "*").await, ["before"]);
    });
}

#[test]
fn messages_of_a_topic_kept_for_an_hour_are_gone_after_it() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("short", "retention.hours", "1")).await.unwrap();
        node.send("short", "old").await.unwrap();
        node.send("long", "old").await.unwrap();
        rt::sleep(Duration::from_secs(3700)).await;
        node.send("short", "new").await.unwrap();
        rt::sleep(Duration::from_secs(100)).await;
        let pulled = node.pull("g", "short", 0, "*").await.unwrap();
        assert_eq!((pulled.outcome, pulled.next.0), (PullOutcome::Moved, 1));
        assert_eq!(node.bodies("short", 1, "*").await, ["new"]);
        assert_eq!(node.bodies("long", 0, "*").await, ["old"]);
    });
}
