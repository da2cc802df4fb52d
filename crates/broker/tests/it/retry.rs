use crate::node::{Node, seen};
use broker::SendBack;
use model::properties;
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
