use crate::node::{Node, publish, seen};
use broker::{Publish, SendBack};
use model::{Group, GroupConfig, QueueId, Topic, properties};
use rt::sim::run;
use std::time::Duration;

#[test]
fn a_message_sent_back_comes_again_and_at_last_becomes_a_dead_letter() {
    run(31, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let receipt = node.send("t", "hard").await.unwrap();
        let back = |offset: u64, max: i32| SendBack {
            group: "g",
            offset: offset as i64,
            delay_level: 1,
            max_reconsume_times: Some(max),
        };
        node.broker.send_back(back(receipt.first.physical_offset.0, 1)).await.unwrap();
        let again = node.pull_waiting("g", "%RETRY%g", 0, "*", Duration::from_secs(15)).await.unwrap();
        let again = &seen(&again)[0];
        assert_eq!((again.body.as_str(), again.reconsume_times), ("hard", 1));
        assert_eq!(properties::get(&again.properties, properties::RETRY_TOPIC), Some("t"));
        assert_eq!(properties::get(&again.properties, properties::DELAY), Some("1"));

        let queue = node.broker.queue("%RETRY%g", 0).unwrap();
        let mut entries = Vec::new();
        queue.entries(model::QueueOffset(0), 1, &mut entries).unwrap();
        node.broker.send_back(back(entries[0].physical.0, 1)).await.unwrap();
        let dead = node.pull_waiting("g", "%DLQ%g", 0, "*", Duration::from_secs(15)).await.unwrap();
        let dead = &seen(&dead)[0];
        assert_eq!(dead.body, "hard");
        assert_eq!(properties::get(&dead.properties, properties::DLQ_ORIGIN_TOPIC), Some("t"));
    });
}

#[test]
fn a_delayed_message_is_not_early_and_survives_a_power_failure() {
    run(32, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        node.send_with("t", "later", "DELAY\u{1}3\u{2}").await.unwrap();
        rt::sleep(Duration::from_secs(5)).await;
        let node = node.power_cycle().await;
        let started = world.clock().clone();
        let before = rt::Clock::monotonic(&started);
        let pulled = node.pull_waiting("g", "t", 0, "*", Duration::from_secs(60)).await.unwrap();
        let waited = rt::Clock::monotonic(&started) - before;
        assert_eq!(seen(&pulled)[0].body, "later");
        assert!(waited >= Duration::from_secs(4) && waited <= Duration::from_secs(6), "{waited:?}");
    });
}

#[test]
fn pauses_follow_the_policy_of_the_group() {
    run(33, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let policy = |json: &str| {
            let mut config = GroupConfig::new(Group::new("g").unwrap());
            config.retry_policy = Some(json.to_owned());
            config
        };
        let check = async |delay_level: i32, json: &str, expected_ms: i64| {
            node.broker.put_group(policy(json)).await.unwrap();
            let sent = node.send("t", "hard").await.unwrap();
            let offset = sent.first.physical_offset.0 as i64;
            let back = SendBack { group: "g", offset, delay_level, max_reconsume_times: None };
            let queue = node.broker.queue("%RETRY%g", 0);
            let next = queue.map_or(0, |queue| queue.max_offset().0 as i64);
            let before = rt::Clock::now(world.clock()).0;
            node.broker.send_back(back).await.unwrap();
            let again = node.pull_waiting("g", "%RETRY%g", next, "*", Duration::from_secs(30)).await.unwrap();
            let waited = rt::Clock::now(world.clock()).0 - before;
            assert!((expected_ms..expected_ms + 200).contains(&waited), "{json}: {waited} ms");
            assert_eq!(seen(&again)[0].reconsume_times, 1);
        };
        check(0, r#"{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[250,3000]}}"#, 250).await;
        check(0, r#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":700}}"#, 700).await;
        check(0, r#"{"type":"CUSTOMIZED"}"#, 10_000).await;
        // A level that the consumer asks for goes before the policy.
        check(1, r#"{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[250]}}"#, 1_000).await;
    });
}

#[test]
fn what_a_consumer_puts_into_the_retry_topic_itself_has_all_its_deliveries() {
    run(34, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let group = Group::new("g").unwrap();
        let put = async |reconsume_times: i32| {
            let retry = Publish { reconsume_times, max_reconsume_times: Some(2), ..publish("%RETRY%g", "hard", "") };
            node.broker.publish(retry).await.unwrap();
            let in_topic = |topic: &str| node.broker.queue(topic, 0).map_or(0, |queue| queue.max_offset().0);
            (in_topic("%RETRY%g"), in_topic("%DLQ%g"))
        };
        assert_eq!(put(2).await, (1, 0));
        assert_eq!(put(3).await, (1, 1));
        // An orderly one does so when there has been the last.
        node.broker.lock_queues(&group, 1, "c", vec![(Topic::from_stored("t"), QueueId(0))]).await.unwrap();
        assert_eq!(put(2).await, (1, 2));
    });
}
