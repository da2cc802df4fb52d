use crate::node::{Node, seen};
use broker::PullOutcome;
use bytes::BytesMut;
use model::QueueOffset;
use rt::sim::run;
use std::time::Duration;

#[test]
fn a_waiting_pull_is_woken_by_a_wanted_message_only() {
    run(11, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let waiting = node.pull_waiting("g", "t", 0, "b", Duration::from_secs(15));
        let sending = async {
            rt::sleep(Duration::from_secs(1)).await;
            node.send_with("t", "not wanted", "TAGS\u{1}a\u{2}").await.unwrap();
            rt::sleep(Duration::from_secs(1)).await;
            node.send_with("t", "wanted", "TAGS\u{1}b\u{2}").await.unwrap();
        };
        let (pulled, ()) = tokio::join!(waiting, sending);
        let pulled = pulled.unwrap();
        assert_eq!(seen(&pulled)[0].body, "wanted");
        assert_eq!(pulled.next.0, 2);
    });
}

#[test]
fn a_pull_that_waited_in_vain_says_where_to_go_on() {
    run(12, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        node.send_with("t", "a", "TAGS\u{1}a\u{2}").await.unwrap();
        let pulled = node.pull_waiting("g", "t", 1, "b", Duration::from_secs(15)).await.unwrap();
        assert_eq!((pulled.outcome, pulled.next.0), (PullOutcome::NotFound, 1));
        let pulled = node.pull("g", "t", 0, "b").await.unwrap();
        assert_eq!((pulled.outcome, pulled.next.0), (PullOutcome::NoMatch, 1));
    });
}

#[test]
fn offsets_outside_the_queue_are_corrected() {
    run(13, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let empty = node.pull("g", "t", 0, "*").await.unwrap();
        assert_eq!((empty.outcome, empty.next.0), (PullOutcome::NotFound, 0));
        node.send("t", "a").await.unwrap();
        let beyond = node.pull("g", "t", 9, "*").await.unwrap();
        assert_eq!((beyond.outcome, beyond.next.0), (PullOutcome::Moved, 1));
        let before = node.pull("g", "t", -1, "*").await.unwrap();
        assert_eq!((before.outcome, before.next.0), (PullOutcome::Moved, 0));
        let at_end = node.pull("g", "t", 1, "*").await.unwrap();
        assert_eq!((at_end.outcome, at_end.next.0), (PullOutcome::NotFound, 1));
    });
}

#[test]
fn messages_are_found_by_their_tag_newest_first() {
    run(14, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        // BB and Aa have the same hash.
        for (body, tag) in [("1", "Aa"), ("2", "BB"), ("3", "Aa"), ("4", "other"), ("5", "Aa")] {
            rt::sleep(Duration::from_secs(1)).await;
            node.send_with("t", body, &format!("TAGS\u{1}{tag}\u{2}")).await.unwrap();
        }
        let found = |times: std::ops::RangeInclusive<i64>, count_max: usize| {
            let records = node.broker.messages_with_tag("t", "Aa", &times, count_max).unwrap();
            let body = |bytes: &bytes::Bytes| model::record::Record::parse(bytes).unwrap().body.to_vec();
            records.iter().map(|bytes| String::from_utf8(body(bytes)).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(found(i64::MIN..=i64::MAX, 10), ["5", "3", "1"]);
        assert_eq!(found(i64::MIN..=i64::MAX, 1), ["5"]);
        let now = node.broker.now().0;
        assert_eq!(found(i64::MIN..=now - 1000, 10), ["3", "1"]);
        assert_eq!(found(now - 2500..=now, 10), ["5", "3"]);
        assert_eq!(found(now + 1..=i64::MAX, 10), [] as [&str; 0]);
    });
}

#[test]
fn what_lies_before_a_damaged_message_is_delivered() {
    run(14, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for body in ["a", "b", "damaged", "d"] {
            node.send("t", body).await.unwrap();
        }
        let mut entries = Vec::new();
        node.broker.queue("t", 0).unwrap().entries(QueueOffset(2), 1, &mut entries).unwrap();
        node.damage_log(entries[0].physical.0 + 30);
        let pulled = node.pull("g", "t", 0, "*").await.unwrap();
        assert!(pulled.gather(&mut BytesMut::new()).is_err());
        let readable = pulled.before_damage().unwrap();
        assert_eq!((readable.messages(), readable.next.0), (2, 2));
        assert_eq!(seen(&readable).len(), 2);
        let at_damage = node.pull("g", "t", 2, "*").await.unwrap();
        assert!(at_damage.before_damage().is_none());
        assert_eq!(seen(&node.pull("g", "t", 3, "*").await.unwrap())[0].body, "d");
    });
}
