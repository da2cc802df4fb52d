use crate::node::{Node, publish, seen};
use broker::{RecallError, TimerError, TimerFilter};
use model::record::{Draft, body_crc};
use model::{QueueId, QueueOffset, Topic, properties};
use rt::sim::{World, run};
use std::time::Duration;
use store::{Append, Wait};

fn at(world: &World, delay_ms: i64) -> String {
    let due = rt::Clock::now(world.clock()).0 + delay_ms;
    format!("TIMER_DELIVER_MS\u{1}{due}\u{2}UNIQ_KEY\u{1}id-{delay_ms}\u{2}")
}

/// All that is in a queue: bodies, and how late each was stored.
async fn arrived(node: &Node, topic: &str) -> Vec<(String, i64)> {
    let queue = node.broker.queue(topic, 0).unwrap();
    let (mut offset, mut all) = (0, Vec::new());
    while offset < queue.max_offset().0 {
        let mut entries = Vec::new();
        queue.entries(QueueOffset(offset), 32, &mut entries).unwrap();
        for seen in seen(&node.pull("g", topic, offset as i64, "*").await.unwrap()).iter().zip(&entries) {
            let due = properties::get(&seen.0.properties, properties::TIMER_OUT_MS).and_then(|due| due.parse().ok());
            all.push((seen.0.body.clone(), seen.1.store_timestamp - due.unwrap_or(0)));
            offset += 1;
        }
    }
    all
}

async fn bodies(node: &Node, topic: &str) -> Vec<String> {
    arrived(node, topic).await.into_iter().map(|(body, _)| body).collect()
}

#[test]
fn messages_come_in_the_order_of_their_times_and_none_early() {
    run(41, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for delay in [900, 20, 5_000, 20, 1, 700] {
            node.send_with("t", &delay.to_string(), &at(&world, delay)).await.unwrap();
        }
        node.send_with("t", "past", &at(&world, -5)).await.unwrap();
        assert!(bodies(&node, "t").await.contains(&"past".to_owned()), "what is past comes at once");
        rt::sleep(Duration::from_secs(6)).await;
        let mut arrived = arrived(&node, "t").await;
        arrived.retain(|(body, _)| body != "past");
        let order: Vec<&str> = arrived.iter().map(|(body, _)| body.as_str()).collect();
        assert_eq!(order, ["1", "20", "20", "700", "900", "5000"]);
        for (body, late) in arrived {
            assert!((0..=50).contains(&late), "{body} is {late} ms late");
        }
    });
}

/// A message as the first version stored it: in the schedule topic, to wait for its level.
async fn store_as_the_first_version(node: &Node, level: u32, body: &str) {
    let queue = node.broker.store().queue(&Topic::from_stored("SCHEDULE_TOPIC_XXXX"), QueueId(level - 1));
    let body = body.as_bytes().to_vec();
    let draft = Draft {
        topic: queue.topic().as_str().to_owned().into(),
        queue_id: queue.id(),
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: node.broker.options().advertised,
        store_host: node.broker.options().advertised,
        reconsume_times: 1,
        prepared_transaction_offset: 0,
        body_crc: body_crc(&body),
        body: body.into(),
        properties: format!("DELAY\u{1}{level}\u{2}REAL_TOPIC\u{1}t\u{2}REAL_QID\u{1}0\u{2}").into(),
    };
    let append = Append { queue, draft, wait: Wait::Policy, joined: false };
    node.broker.store().append(vec![append]).unwrap().await.remove(0).unwrap();
}

#[test]
fn what_the_first_version_delayed_is_delivered_once() {
    run(47, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for (level, body) in [(2, "5 s"), (1, "1 s"), (3, "10 s"), (2, "5 s too")] {
            store_as_the_first_version(&node, level, body).await;
        }
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(4)).await;
        assert_eq!(bodies(&node, "t").await, ["1 s"]);
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "t").await, ["1 s", "5 s", "5 s too"]);
        let node = node.power_cycle_after(Duration::from_secs(60)).await;
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(bodies(&node, "t").await, ["1 s", "5 s", "5 s too", "10 s"]);
    });
}

#[test]
fn a_month_without_power_delays_and_loses_nothing() {
    run(42, |world| async move {
        let node =
            Node::start_with(&world, |options| options.timer_delay_max = Duration::from_secs(400 * 86_400)).await;
        node.create("t", 1).await;
        let day = 86_400_000;
        for days in [1, 20, 300] {
            node.send_with("t", &days.to_string(), &at(&world, days * day)).await.unwrap();
        }
        let node = node.power_cycle_after(Duration::from_secs(30 * 86_400)).await;
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "t").await, ["1", "20"]);
        let node = node.power_cycle_after(Duration::from_secs(270 * 86_400)).await;
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "t").await, ["1", "20", "300"]);
    });
}

#[test]
fn what_is_taken_back_never_comes_and_what_came_cannot_be_taken_back() {
    run(43, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let soon = node.send_with("t", "soon", &at(&world, 500)).await.unwrap().recall_handle.unwrap();
        let later = node.send_with("t", "later", &at(&world, 2_000)).await.unwrap().recall_handle.unwrap();
        assert_eq!(node.broker.recall("t", &later).await.unwrap(), "id-2000");
        assert_eq!(node.broker.recall("t", &later).await.unwrap(), "id-2000", "again is no harm");
        rt::sleep(Duration::from_secs(4)).await;
        assert_eq!(bodies(&node, "t").await, ["soon"]);
        assert!(matches!(node.broker.recall("t", &soon).await, Err(RecallError::TooLate { .. })));
        assert!(matches!(node.broker.recall("t", "bad").await, Err(RecallError::Handle)));
        assert!(matches!(node.broker.recall("u", &soon).await, Err(RecallError::TopicNotFound { .. })));
    });
}

#[test]
fn operators_find_and_cancel_by_key_and_time() {
    run(44, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for delay in [10_000, 20_000, 30_000] {
            node.send_with("t", &delay.to_string(), &at(&world, delay)).await.unwrap();
        }
        rt::sleep(Duration::from_millis(100)).await;
        let all = node.broker.timers(&TimerFilter::default(), None, 2).await.unwrap();
        assert_eq!(all.messages.len(), 2);
        let rest = node.broker.timers(&TimerFilter::default(), all.next, 2).await.unwrap();
        assert_eq!((rest.messages.len(), rest.next), (1, None));
        let key = TimerFilter { key: Some("id-20000".to_owned()), ..TimerFilter::default() };
        let found = node.broker.timers(&key, None, 10).await.unwrap().messages;
        assert_eq!(found.len(), 1);
        let only = TimerFilter { only: Some(found[0].due), ..TimerFilter::default() };
        assert_eq!(node.broker.timers(&only, None, 10).await.unwrap().messages[0].record, found[0].record);
        assert_eq!(node.broker.cancel_timers(found).await.unwrap().len(), 1);
        rt::sleep(Duration::from_millis(100)).await;
        for gone in [&key, &only] {
            assert!(node.broker.timers(gone, None, 10).await.unwrap().messages.is_empty());
        }
        let (counts, _) = node.broker.timer_counts().await.unwrap();
        assert_eq!(counts.get("t"), Some(&2));
        rt::sleep(Duration::from_secs(31)).await;
        assert_eq!(bodies(&node, "t").await, ["10000", "30000"]);
    });
}

#[test]
fn however_many_wait_those_of_one_topic_are_listed_and_what_is_due_comes() {
    run(48, |world| async move {
        let node = Node::start(&world).await;
        node.create("many", 1).await;
        node.create("few", 1).await;
        for batch in 0..5 {
            let send = |nth: i64| publish("many", "m", &at(&world, 60_000 + batch * 1000 + nth));
            let receipts = node.publish_all((0..1000).map(send)).await;
            assert!(receipts.iter().all(Result::is_ok));
        }
        // Before all the others, among them, and behind them.
        for delay in [1_000, 62_000, 64_500, 90_000] {
            node.send_with("few", &delay.to_string(), &at(&world, delay)).await.unwrap();
        }
        let few = TimerFilter { topic: Some("few".to_owned()), ..TimerFilter::default() };
        let first = node.broker.timers(&few, None, 3).await.unwrap();
        let rest = node.broker.timers(&few, first.next, 3).await.unwrap();
        assert_eq!((first.messages.len(), rest.messages.len(), rest.next), (3, 1, None));
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "few").await, ["1000"]);
        rt::sleep(Duration::from_secs(90)).await;
        let arrived = arrived(&node, "many").await;
        assert_eq!(arrived.len(), 5000);
        assert!(arrived.iter().all(|(_, late)| (0..=50).contains(late)));
    });
}

#[test]
fn a_start_that_reads_all_anew_cancels_nothing_that_came() {
    run(49, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let send = |nth: i64| publish("t", "m", &at(&world, 1000 + nth));
        node.publish_all((0..3000).map(send)).await;
        let last = TimerFilter { from: Some(rt::Clock::now(world.clock()).0 + 3500), ..TimerFilter::default() };
        let waiting = node.broker.timers(&last, None, 100).await.unwrap().messages;
        assert_eq!(waiting.len(), 100);
        rt::sleep(Duration::from_secs(5)).await;
        assert_eq!(bodies(&node, "t").await.len(), 3000);
        node.delete_timer_index();
        let node = node.power_cycle().await;
        assert!(node.broker.cancel_timers(waiting).await.unwrap().is_empty(), "they came");
        assert_eq!(bodies(&node, "t").await.len(), 3000);
    });
}

#[test]
fn a_time_too_far_ahead_is_refused() {
    run(45, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let refused = node.send_with("t", "x", "TIMER_DELAY_SEC\u{1}259201\u{2}").await;
        assert!(refused.unwrap_err().to_string().contains("the max delay 259200000ms"));
        let mut odd = publish("t", "x", "TIMER_DELAY_MS\u{1}soon\u{2}");
        odd.queue_id = 0;
        assert!(node.broker.publish(odd).await.is_err());
    });
}

/// While the index is full, what was stored last is not known to wait, and still not said to be delivered.
#[test]
fn a_recall_while_the_index_is_full_is_not_too_late() {
    run(58, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        node.fail_timer_index(20);
        for _ in 0..700 {
            node.send_with("t", "before", &at(&world, 100_000)).await.unwrap();
        }
        let handle = node.send_with("t", "last", &at(&world, 90_000)).await.unwrap().recall_handle.unwrap();
        let behind = node.broker.recall("t", &handle).await;
        assert!(matches!(behind, Err(RecallError::Timer(TimerError::Behind))), "{behind:?}");
        rt::sleep(Duration::from_secs(20)).await;
        assert_eq!(node.broker.recall("t", &handle).await.unwrap(), "id-90000");
        rt::sleep(Duration::from_secs(100)).await;
        let arrived = bodies(&node, "t").await;
        assert_eq!((arrived.len(), arrived.contains(&"last".to_owned())), (700, false));
    });
}

#[test]
fn retention_moves_what_still_waits() {
    run(46, |world| async move {
        let node = Node::start_with(&world, |options| options.retention_bytes = Some(0)).await;
        node.create("t", 1).await;
        let handle = node.send_with("t", "kept", &at(&world, 400_000)).await.unwrap().recall_handle.unwrap();
        node.send_with("t", "taken back", &at(&world, 400_001)).await.unwrap();
        // The log goes on to its next files.
        for _ in 0..10 {
            node.send("t", &"x".repeat(1 << 20)).await.unwrap();
        }
        rt::sleep(Duration::from_secs(130)).await;
        assert!(node.broker.store().positions().min.0 > 0, "something was deleted");
        assert_eq!(node.broker.timer_stats().moved.load(std::sync::atomic::Ordering::Relaxed), 2);
        let key = TimerFilter { key: Some("id-400001".to_owned()), ..TimerFilter::default() };
        let found = node.broker.timers(&key, None, 9).await.unwrap().messages;
        assert_eq!(node.broker.cancel_timers(found).await.unwrap().len(), 1);
        node.delete_timer_index();
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(5)).await;
        assert_eq!(node.broker.timer_stats().pending.load(std::sync::atomic::Ordering::Relaxed), 1);
        rt::sleep(Duration::from_secs(295)).await;
        let queue = node.broker.queue("t", 0).unwrap();
        let mut entries = Vec::new();
        queue.entries(QueueOffset(queue.max_offset().0 - 1), 1, &mut entries).unwrap();
        let last = node.pull("g", "t", entries[0].offset.0 as i64, "*").await.unwrap();
        assert_eq!(seen(&last)[0].body, "kept");
        assert!(node.broker.recall("t", &handle).await.is_err());
    });
}

/// Neither while its record is read to be stored anew, nor if it is stored anew while it is looked for.
#[test]
fn a_recall_while_retention_moves_the_message_is_not_too_late() {
    for others in [30, 0] {
        run(59, |world| async move {
            let node = Node::start_with(&world, |options| options.retention_bytes = Some(0)).await;
            node.create("t", 1).await;
            for nth in 0..others {
                node.send_with("t", "other", &at(&world, 399_000 + nth)).await.unwrap();
            }
            let handle = node.send_with("t", "x", &at(&world, 400_000)).await.unwrap().recall_handle.unwrap();
            let file = node.bury().await;
            let started = rt::Clock::monotonic(world.clock());
            node.slow_reads(&file, Duration::from_secs(2));
            // Retention looks every minute.
            rt::sleep(Duration::from_secs(61)).await;
            let mut refusals = 0;
            while let Err(error) = node.broker.recall("t", &handle).await {
                assert!(matches!(error, RecallError::Timer(TimerError::Changing)), "{error:?}");
                refusals += 1;
                rt::sleep(Duration::from_secs(5)).await;
            }
            assert_eq!(refusals > 0, others > 0);
            assert!(rt::Clock::monotonic(world.clock()) - started < Duration::from_secs(300));
            node.slow_reads(&file, Duration::ZERO);
            rt::sleep(Duration::from_secs(400)).await;
            let moved = node.broker.timer_stats().moved.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(moved, others as u64 + 1);
            let delivered = node.broker.timer_stats().delivered.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(delivered, others as u64);
        });
    }
}

#[test]
fn timers_go_on_after_retention_has_taken_all_of_them() {
    run(56, |world| async move {
        let node = Node::start_with(&world, |options| options.retention_bytes = Some(0)).await;
        node.create("t", 1).await;
        node.send_with("t", "first", &at(&world, 500)).await.unwrap();
        rt::sleep(Duration::from_secs(2)).await;
        for _ in 0..10 {
            node.send("t", &"x".repeat(1 << 20)).await.unwrap();
        }
        rt::sleep(Duration::from_secs(130)).await;
        let timers = node.broker.queue(model::system::TIMER_TOPIC, 0).unwrap();
        assert!(timers.min_offset().0 > 0 && timers.min_offset() == timers.max_offset());
        let node = node.power_cycle().await;
        let end = node.broker.queue("t", 0).unwrap().max_offset().0;
        node.send_with("t", "second", &at(&world, 500)).await.unwrap();
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(node.bodies("t", end as i64, "*").await, ["second"]);
    });
}

#[test]
fn no_property_of_a_message_makes_it_a_mark() {
    run(57, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let mark = "TIMER_MARK\u{1}cancelled\u{2}";
        let receipt = node.send_with("t", &"x".repeat(40), &format!("{mark}{}", at(&world, 500))).await.unwrap();
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "t").await.len(), 1);
        let late = node.broker.recall("t", &receipt.recall_handle.unwrap()).await;
        assert!(matches!(late, Err(RecallError::TooLate { .. })));
    });
}

#[test]
fn a_slow_read_delays_no_other_topic_and_no_send() {
    run(51, |world| async move {
        let node = Node::start(&world).await;
        node.create("far", 1).await;
        node.create("near", 1).await;
        let far: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        let due = at(&world, 10_000);
        for body in &far {
            node.send_with("far", body, &due).await.unwrap();
        }
        let file = node.bury().await;
        node.send_with("near", "with them", &due).await.unwrap();
        node.send_with("far", "last", &at(&world, 10_100)).await.unwrap();
        rt::sleep(Duration::from_secs(9)).await;
        node.slow_reads(&file, Duration::from_millis(100));
        rt::sleep(Duration::from_millis(1_200)).await;
        assert!(bodies(&node, "far").await.is_empty(), "a batch of 128 takes 12 seconds to read");
        for nth in 0..50 {
            let before = rt::Clock::monotonic(world.clock());
            node.send_with("near", &nth.to_string(), &at(&world, 100)).await.unwrap();
            assert!(rt::Clock::monotonic(world.clock()) - before < Duration::from_millis(50), "a send waited");
            rt::sleep(Duration::from_millis(20)).await;
        }
        rt::sleep(Duration::from_millis(200)).await;
        let near = arrived(&node, "near").await;
        assert_eq!(near.len(), 51);
        for (body, late) in near {
            assert!((0..=50).contains(&late), "{body} is {late} ms late");
        }
        rt::sleep(Duration::from_secs(60)).await;
        node.slow_reads(&file, Duration::ZERO);
        let mut expected = far;
        expected.push("last".to_owned());
        assert_eq!(bodies(&node, "far").await, expected, "in the order of their times, each once");
    });
}

#[test]
fn a_message_that_cannot_be_read_now_delays_no_other_topic_and_comes_later() {
    run(52, |world| async move {
        let node = Node::start(&world).await;
        node.create("far", 1).await;
        node.create("near", 1).await;
        for body in ["1", "2"] {
            node.send_with("far", body, &at(&world, 5_000)).await.unwrap();
        }
        let file = node.bury().await;
        node.send_with("near", "near", &at(&world, 5_000)).await.unwrap();
        rt::sleep(Duration::from_secs(4)).await;
        node.fail_read(&file);
        rt::sleep(Duration::from_millis(1_200)).await;
        let near = arrived(&node, "near").await;
        assert!((0..=50).contains(&near[0].1), "{near:?}");
        assert!(bodies(&node, "far").await.is_empty());
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(bodies(&node, "far").await, ["1", "2"]);
    });
}

#[test]
fn a_crash_during_slow_reads_loses_and_doubles_nothing() {
    run(53, |world| async move {
        let node = Node::start(&world).await;
        node.create("far", 1).await;
        let all: Vec<String> = (0..1_600).map(|n| n.to_string()).collect();
        let (sent, due) = (rt::Clock::monotonic(world.clock()), at(&world, 60_000));
        for body in &all {
            node.send_with("far", body, &due).await.unwrap();
        }
        let file = node.bury().await;
        node.slow_reads(&file, Duration::from_millis(20));
        let mut some = 0;
        while some == 0 {
            assert!(rt::Clock::monotonic(world.clock()) - sent < Duration::from_secs(90));
            rt::sleep(Duration::from_secs(1)).await;
            some = bodies(&node, "far").await.len();
        }
        assert!(some < 1_600, "the first batches came, the next ones are being read");
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(60)).await;
        assert_eq!(bodies(&node, "far").await, all);
    });
}
