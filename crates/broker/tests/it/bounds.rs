//! What is refused, held back or hidden when a bound is reached.

use crate::node::Node;
use broker::{PublishError, PullOutcome};
use bytes::BytesMut;
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
            ("retention.bytes", "0"),
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

/// A clock that is wrong by years deletes nothing, unless it stays wrong for a day.
#[test]
fn a_clock_that_is_suddenly_far_ahead_makes_nothing_old() {
    const YEARS_MS: i64 = 10 * 365 * 24 * 3_600_000;
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("t", "retention.hours", "50")).await.unwrap();
        node.send("t", "kept").await.unwrap();
        node.jump_wall(YEARS_MS);
        rt::sleep(Duration::from_secs(3600)).await;
        assert_eq!(node.bodies("t", 0, "*").await, ["kept"]);
        node.jump_wall(-YEARS_MS);
        rt::sleep(Duration::from_secs(3600)).await;
        // So it is when the clock is wrong at the start.
        node.jump_wall(YEARS_MS);
        let node = node.power_cycle_after(Duration::from_secs(10)).await;
        rt::sleep(Duration::from_secs(3600)).await;
        assert_eq!(node.bodies("t", 0, "*").await, ["kept"]);
        rt::sleep(Duration::from_secs(24 * 3600)).await;
        assert_eq!(first(&node, "t").await, 1, "the clock has stayed so");
    });
}

#[test]
fn what_became_old_during_a_downtime_is_gone_after_it() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("t", "retention.hours", "50")).await.unwrap();
        node.send("t", "old").await.unwrap();
        let node = node.power_cycle_after(Duration::from_secs(7 * 24 * 3600)).await;
        rt::sleep(Duration::from_secs(10)).await;
        assert_eq!(first(&node, "t").await, 1);
    });
}

#[test]
fn an_operator_may_say_that_the_clock_is_right() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("t", "retention.hours", "1")).await.unwrap();
        node.send("t", "old").await.unwrap();
        node.jump_wall(48 * 3_600_000);
        rt::sleep(Duration::from_secs(600)).await;
        assert_eq!(first(&node, "t").await, 0);
        node.broker.believe_clock().await;
        node.broker.retain().await;
        assert_eq!(first(&node, "t").await, 1);
    });
}

/// Stores messages of a quarter of a file of the log.
async fn fill(node: &Node, topic: &str, count: usize) {
    for _ in 0..count {
        node.send(topic, &"x".repeat(1 << 20)).await.unwrap();
    }
}

/// Where a consumer that begins at 0 is sent.
async fn first(node: &Node, topic: &str) -> u64 {
    let pulled = node.pull("g", topic, 0, "*").await.unwrap();
    match pulled.outcome {
        PullOutcome::Found => 0,
        PullOutcome::Moved => pulled.next.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_go_when_all_in_them_is_old_and_nothing_is_kept_longer() {
    run(1, |world| async move {
        let two_hours = |options: &mut broker::Options| options.retention = Duration::from_secs(2 * 3600);
        let node = Node::start_with(&world, two_hours).await;
        node.create("t", 1).await;
        node.broker.put_topic(with_attribute("long", "retention.hours", "10")).await.unwrap();
        fill(&node, "t", 5).await;
        node.send("long", "kept").await.unwrap();
        fill(&node, "t", 5).await;
        rt::sleep(Duration::from_secs(3600)).await;
        assert_eq!(first(&node, "t").await, 0, "nothing is old enough");
        rt::sleep(Duration::from_secs(2 * 3600)).await;
        node.send("t", "new").await.unwrap();
        rt::sleep(Duration::from_secs(100)).await;
        let kept = first(&node, "t").await;
        assert!((1..=5).contains(&kept), "{kept}: the file with the message of the other topic stays, those before go");
        assert_eq!(node.bodies("long", 0, "*").await, ["kept"]);
        assert_eq!(node.bodies("t", 10, "*").await, ["new"]);
        rt::sleep(Duration::from_secs(10 * 3600)).await;
        fill(&node, "t", 4).await;
        rt::sleep(Duration::from_secs(100)).await;
        assert_eq!(first(&node, "long").await, 1);
        assert!(first(&node, "t").await > kept);
    });
}

#[test]
fn the_oldest_files_go_when_there_are_more_bytes_than_wanted() {
    run(1, |world| async move {
        let node = Node::start_with(&world, |options| options.retention_bytes = Some(8 << 20)).await;
        node.create("t", 1).await;
        fill(&node, "t", 30).await;
        rt::sleep(Duration::from_secs(100)).await;
        let first = first(&node, "t").await;
        // Whole files of 4 MiB: the newest 8 MiB are kept, and what shares a file with them.
        assert!((17..=22).contains(&first), "{first}");
        for offset in first..30 {
            let pulled = node.pull("g", "t", offset as i64, "*").await.unwrap();
            assert_eq!(pulled.outcome, PullOutcome::Found, "{offset}");
        }
        rt::sleep(Duration::from_secs(4 * 3600)).await;
        assert_eq!(node.pull("g", "t", 0, "*").await.unwrap().next.0, first, "nothing more goes");
    });
}

#[test]
fn a_topic_may_take_so_many_bytes_and_no_more() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.broker.put_topic(with_attribute("bounded", "retention.bytes", &(8 << 20).to_string())).await.unwrap();
        node.send("other", "early").await.unwrap();
        fill(&node, "bounded", 5).await;
        rt::sleep(Duration::from_secs(100)).await;
        assert_eq!(first(&node, "bounded").await, 0, "there is less than it may have");
        fill(&node, "bounded", 25).await;
        node.send("other", "late").await.unwrap();
        rt::sleep(Duration::from_secs(100)).await;
        assert_eq!(first(&node, "bounded").await, 22);
        assert_eq!(node.bodies("other", 0, "*").await, ["early", "late"]);
        assert_eq!(node.broker.store().positions().min.0, 0, "the first file has a message of another topic");
        // Counted anew.
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(100)).await;
        assert_eq!(first(&node, "bounded").await, 22);
        node.broker.put_topic(with_attribute("other", "retention.bytes", "1")).await.unwrap();
        fill(&node, "bounded", 2).await;
        rt::sleep(Duration::from_secs(100)).await;
        assert_eq!(first(&node, "bounded").await, 24);
        assert_eq!(node.bodies("other", 1, "*").await, ["late"]);
        let freed = node.broker.store().positions().min.0;
        assert!(freed > 16 << 20, "files of which nothing can be read go: {freed}");
    });
}

#[test]
fn who_would_wait_too_long_for_the_disk_asks_again_later() {
    run(1, |world| async move {
        let node = Node::start_with(&world, |options| options.cold_read_bytes_per_second = Some(1)).await;
        node.send("t", "old").await.unwrap();
        node.bury().await;
        let pulled = node.pull("g", "t", 0, "*").await.unwrap();
        assert!(!pulled.is_hot());
        assert!(node.broker.cold_turn().await.is_some());
        pulled.gather(&mut BytesMut::new()).unwrap();
        node.send("t", "new").await.unwrap();
        rt::sleep(Duration::from_millis(1500)).await;
        assert!(node.broker.cold_turn().await.is_none());
        let later = pulled.put_off();
        assert_eq!((later.outcome, later.next.0, later.messages()), (PullOutcome::NoMatch, 0, 0));
    });
}
