//! What an acknowledgement promises, by broker and by topic.

use crate::bounds::with_attribute;
use crate::node::Node;
use rt::sim::run;
use std::time::Duration;
use store::Flush;

/// Runs of each case: what a loss of power takes is drawn by chance.
const SEEDS: u64 = 5;
const MESSAGES: usize = 5;

/// In how many runs all messages were there after a loss of power right behind the last acknowledgement.
fn survivals(broker: Flush, attribute: &'static str) -> u64 {
    let mut survived = 0;
    for seed in 0..SEEDS {
        survived += run(seed, move |world| async move {
            let node = Node::start_flushing(&world, broker).await;
            node.broker.put_topic(with_attribute("t", "flush", attribute)).await.unwrap();
            for _ in 0..MESSAGES {
                node.send("t", "x").await.unwrap();
            }
            let node = node.power_cycle().await;
            u64::from(node.bodies("t", 0, "*").await.len() == MESSAGES)
        });
    }
    survived
}

#[test]
fn a_topic_that_is_synced_loses_nothing_on_a_broker_that_does_not_sync() {
    assert_eq!(survivals(Flush::Async, "sync"), SEEDS);
}

#[test]
fn a_topic_that_is_not_synced_does_not_wait_on_a_broker_that_syncs() {
    // Had the acknowledgements waited for the disk, all would be there each time.
    assert!(survivals(Flush::Sync, "async") < SEEDS);
}

#[test]
fn a_message_that_waits_is_as_safe_as_its_topic() {
    for seed in 0..SEEDS {
        run(seed, |world| async move {
            let node = Node::start_flushing(&world, Flush::Async).await;
            node.broker.put_topic(with_attribute("t", "flush", "sync")).await.unwrap();
            node.send_with("t", "later", "TIMER_DELAY_MS\u{1}2000\u{2}").await.unwrap();
            let node = node.power_cycle().await;
            rt::sleep(Duration::from_secs(5)).await;
            assert_eq!(node.bodies("t", 0, "*").await, ["later"]);
        });
    }
}
