use crate::node::{Node, part, publish};
use broker::{Content, Publish, PublishError};
use rt::sim::run;

#[test]
fn messages_of_a_queue_are_numbered_and_survive_a_power_failure() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        node.create("orders", 2).await;
        for i in 0..5 {
            let receipt = node.send("orders", &format!("m{i}")).await.unwrap();
            assert_eq!(receipt.first.queue_offset.0, i);
        }
        let node = node.power_cycle().await;
        assert_eq!(node.bodies("orders", 0, "*").await, ["m0", "m1", "m2", "m3", "m4"]);
        assert_eq!(node.send("orders", "m5").await.unwrap().first.queue_offset.0, 5);
    });
}

#[test]
fn a_send_creates_its_topic_after_the_default_one() {
    run(2, |world| async move {
        let node = Node::start(&world).await;
        node.send("fresh", "a").await.unwrap();
        assert_eq!(node.broker.topic("fresh").unwrap().config.write_queues, 4);
        let node = node.power_cycle().await;
        assert_eq!(node.bodies("fresh", 0, "*").await, ["a"]);
    });
}

#[test]
fn refusals_name_their_reason() {
    run(3, |world| async move {
        let node = Node::start_with(&world, |options| {
            options.auto_create_topics = false;
            options.message_bytes_max = 8;
        })
        .await;
        node.create("t", 1).await;
        let check = async |send: Publish<'static>, expected: &str| {
            let error = node.broker.publish(send).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(publish("none", "a", ""), "topic 'none' does not exist").await;
        check(publish("SCHEDULE_TOPIC_XXXX", "a", ""), "belongs to the system").await;
        check(publish("t", "123456789", ""), "9 bytes exceeds the limit of 8 bytes").await;
        check(publish("t", "a", &"x".repeat(32_768)), "properties of").await;
        check(Publish { queue_id: 7, ..publish("t", "a", "") }, "queue 7 of topic 't' does not exist").await;
        check(publish("t", "a", "TRAN_MSG\u{1}true\u{2}"), "transaction messages are not supported").await;
        check(publish("t", "a", "TIMER_DELAY_SEC\u{1}soon\u{2}"), "timer message illegal").await;
        let empty = Publish { content: Content::Batch(Vec::new()), ..publish("t", "", "") };
        check(empty, "batch is not allowed").await;
    });
}

#[test]
fn sends_of_one_call_succeed_or_fail_by_themselves() {
    run(4, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let bad = Publish { queue_id: 9, ..publish("t", "b", "") };
        let answers = node.publish_all([publish("t", "a", ""), bad, publish("t", "c", "")]).await;
        assert_eq!(answers[0].as_ref().unwrap().first.queue_offset.0, 0);
        assert!(matches!(answers[1], Err(PublishError::QueueNotFound { queue: 9, .. })));
        assert_eq!(answers[2].as_ref().unwrap().first.queue_offset.0, 1);
        assert_eq!(node.bodies("t", 0, "*").await, ["a", "c"]);
    });
}

#[test]
fn a_batch_is_stored_together() {
    run(5, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let batch = Content::Batch(vec![part("a", "TAGS\u{1}x\u{2}"), part("b", ""), part("c", "TAGS\u{1}x\u{2}")]);
        let receipt = node.broker.publish(Publish { content: batch, ..publish("t", "", "") }).await.unwrap();
        assert_eq!(receipt.rest.len(), 2);
        assert_eq!(node.bodies("t", 0, "x").await, ["a", "c"]);
    });
}

#[test]
fn a_deleted_topic_does_not_give_its_messages_to_its_successor() {
    run(6, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        node.send("t", "old").await.unwrap();
        node.broker.delete_topic("t").await.unwrap();
        assert!(matches!(node.pull("g", "t", 0, "*").await, Err(broker::PullError::TopicNotFound { .. })));
        node.create("t", 1).await;
        let receipt = node.send("t", "new").await.unwrap();
        let offset = receipt.first.queue_offset.0 as i64;
        assert_eq!(node.bodies("t", offset, "*").await, ["new"]);
        let node = node.power_cycle().await;
        let pulled = node.pull("g", "t", 0, "*").await.unwrap();
        assert_eq!(pulled.min.0 as i64, offset);
    });
}

#[test]
fn sends_that_are_announced_are_stored_where_they_belong() {
    run(5, |world| async move {
        let node = Node::start_with(&world, |options| options.auto_create_topics = false).await;
        let topics: Vec<String> = (0..300).map(|number| format!("t{number}")).collect();
        for topic in &topics {
            node.create(topic, 1).await;
        }
        // Every third is expected, among others that do not exist, belong to the system, or name no queue.
        let mut publishing = node.broker.publishing(0, 0);
        for some in topics.chunks(30) {
            let expected = some.iter().step_by(3).flat_map(|topic| [(topic.as_str(), 0), ("none", 0), (topic, 9)]);
            publishing.expect([("SCHEDULE_TOPIC_XXXX", -1)].into_iter().chain(expected));
            publishing.add(publish("SCHEDULE_TOPIC_XXXX", "", ""));
            for topic in some {
                publishing.add(publish(topic, topic, ""));
                publishing.add(publish("none", "", ""));
                publishing.add(publish(topic, "again", ""));
            }
        }
        let receipts = publishing.store().await;
        assert_eq!(receipts.iter().filter(|receipt| receipt.is_ok()).count(), 2 * topics.len());
        for topic in &topics {
            assert_eq!(node.bodies(topic, 0, "*").await, [topic.as_str(), "again"]);
        }
    });
}
