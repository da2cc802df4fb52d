use crate::node::Node;
use broker::{AdminError, GroupDeletion, Setting};
use broker::{OffsetError, PullOutcome};
use model::{Group, Topic};
use rt::sim::run;
use store::Flush;

#[test]
fn offsets_only_move_forward_and_a_told_offset_survives_a_power_failure() {
    run(21, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for _ in 0..10 {
            node.send("t", "x").await.unwrap();
        }
        node.broker.advance_offset(None, "g", "t", 0, 7).unwrap();
        node.broker.advance_offset(None, "g", "t", 0, 3).unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 7);
        let node = node.power_cycle().await;
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 7);
        let reset =
            node.broker.reset_offsets(&Group::new("g").unwrap(), "t", Some((0, Some(2))), 0, true).await.unwrap();
        assert_eq!(reset[0].1.0, 2);
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 2);
    });
}

#[test]
fn a_group_passes_over_nothing_after_the_end_of_the_log_was_lost() {
    run(25, |world| async move {
        let node = Node::start_flushing(&world, Flush::Async).await;
        node.create("t", 1).await;
        for _ in 0..10 {
            node.send("t", "x").await.unwrap();
        }
        node.broker.advance_offset(None, "g", "t", 0, 10).unwrap();
        node.broker.flush_offsets().await.unwrap();
        let node = node.power_cycle().await;
        let end = node.broker.queue("t", 0).unwrap().max_offset();
        assert!(end.0 < 10, "the power failure took nothing");
        node.send("t", "new").await.unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap(), end);
        let node = node.power_cycle().await;
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap(), end);
    });
}

#[test]
fn no_offset_is_kept_for_a_name_that_no_group_can_have() {
    run(24, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        node.send("t", "x").await.unwrap();
        for name in ["", "a group", &"g".repeat(1000)] {
            let refused = node.broker.advance_offset(None, name, "t", 0, 1);
            assert!(matches!(refused, Err(OffsetError::GroupNotFound { .. })), "{name}: {refused:?}");
        }
    });
}

#[test]
fn a_new_group_starts_at_zero_on_a_young_topic_unless_it_asks_not_to() {
    run(22, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let at_once = node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap();
        assert_eq!(at_once.0, 0, "what arrives before the group asks for the end must not be passed");
        node.send("t", "x").await.unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 0);
        assert!(matches!(node.broker.consumer_offset(None, "g", "t", 0, false).await, Err(OffsetError::NotFound)));
    });
}

#[test]
fn a_reset_holds_against_members_that_go_on_from_where_they_are() {
    run(23, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for _ in 0..10 {
            node.send("t", "x").await.unwrap();
        }
        node.broker.advance_offset(None, "g", "t", 0, 10).unwrap();
        let group = Group::new("g").unwrap();
        node.broker.reset_offsets(&group, "t", Some((0, Some(4))), 0, true).await.unwrap();
        node.broker.advance_offset(None, "g", "t", 0, 10).unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 4);
        let pulled = node.pull("g", "t", 10, "*").await.unwrap();
        assert_eq!((pulled.outcome, pulled.next.0), (PullOutcome::Moved, 4));
        assert_eq!(node.pull("g", "t", 4, "*").await.unwrap().messages(), 6);
        node.broker.advance_offset(None, "g", "t", 0, 10).unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 10);
        node.broker.advance_offset(None, "g", "t", 0, 99).unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 10);
    });
}

#[test]
fn a_clone_or_a_deletion_ends_a_reset_that_nobody_has_followed() {
    run(29, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for _ in 0..10 {
            node.send("t", "x").await.unwrap();
        }
        let (g, source) = (Group::from_stored("g"), Group::from_stored("source"));
        for (group, offset) in [("g", 10), ("source", 7)] {
            node.broker.advance_offset(None, group, "t", 0, offset).unwrap();
        }
        rt::sleep(std::time::Duration::from_secs(1)).await;
        let told = async |node: &Node| node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0;
        node.broker.reset_offsets(&g, "t", Some((0, Some(4))), 0, true).await.unwrap();
        node.broker.clone_offsets(&source, &g, &[Topic::from_stored("t")]).await.unwrap();
        assert_eq!(node.pull("g", "t", 7, "*").await.unwrap().messages(), 3);
        node.broker.advance_offset(None, "g", "t", 0, 8).unwrap();
        assert_eq!(told(&node).await, 8);
        let node = node.power_cycle().await;
        assert_eq!(node.pull("g", "t", 8, "*").await.unwrap().messages(), 2);
        assert_eq!(told(&node).await, 8);

        node.broker.reset_offsets(&g, "t", Some((0, Some(4))), 0, true).await.unwrap();
        node.broker.delete_group("g", GroupDeletion::ForgetOffsets).await.unwrap();
        node.broker.advance_offset(None, "g", "t", 0, 9).unwrap();
        assert_eq!(told(&node).await, 9);
        node.broker.reset_offsets(&g, "t", Some((0, Some(4))), 0, true).await.unwrap();
        node.broker.delete_topic("t").await.unwrap();
        node.create("t", 1).await;
        node.broker.advance_offset(None, "g", "t", 0, 10).unwrap();
        assert_eq!(told(&node).await, 10);
    });
}

/// A reset to messages that were lost with the power goes to what is the end now, and to nothing that comes later.
#[test]
fn a_reset_to_what_was_lost_passes_over_nothing() {
    run(25, |world| async move {
        let node = Node::start_flushing(&world, Flush::Async).await;
        node.create("t", 1).await;
        node.send("t", "x").await.unwrap();
        node.broker.advance_offset(None, "g", "t", 0, 1).unwrap();
        rt::sleep(std::time::Duration::from_secs(1)).await;
        for _ in 0..10 {
            node.send("t", "x").await.unwrap();
        }
        let group = Group::from_stored("g");
        node.broker.reset_offsets(&group, "t", Some((0, Some(11))), 0, true).await.unwrap();
        let node = node.power_cycle().await;
        let end = node.broker.queue("t", 0).unwrap().max_offset().0;
        assert!(end < 11, "the power failure took nothing");
        for _ in 0..20 {
            node.send("t", "new").await.unwrap();
        }
        let moved = node.pull("g", "t", 0, "*").await.unwrap();
        assert_eq!((moved.outcome, moved.next.0), (PullOutcome::Moved, end));
        assert_eq!(node.pull("g", "t", end as i64, "*").await.unwrap().messages(), 20);
    });
}

#[test]
fn a_group_that_nobody_knows_has_no_offsets() {
    run(24, |world| async move {
        let node = Node::start(&world).await;
        let broker = &node.broker;
        node.create("t", 1).await;
        node.send("t", "x").await.unwrap();
        let typo = Group::new("typo").unwrap();
        broker.put_group(model::GroupConfig::new(typo.clone())).await.unwrap();
        let beyond = broker.reset_offsets(&typo, "t", Some((0, Some(2))), 0, true).await;
        assert_eq!(beyond.unwrap_err().to_string(), "offset is 2; allowed are 0 to 1");
        broker.delete_group("typo", GroupDeletion::ForgetOffsets).await.unwrap();
        let reset = broker.reset_offsets(&typo, "t", None, 0, true).await;
        assert!(matches!(reset, Err(AdminError::GroupNotFound { group }) if group == "typo"));

        // A commit makes the group, as a pull does, so that it is seen.
        broker.advance_offset(None, "g", "t", 0, 1).unwrap();
        rt::sleep(std::time::Duration::from_secs(1)).await;
        assert!(broker.metadata().read().groups.contains_key("g"));
        let topics = broker.topics_of_group(&Group::from_stored("g"));
        broker.clone_offsets(&Group::from_stored("g"), &Group::from_stored("copy"), &topics).await.unwrap();
        assert_eq!(broker.consumer_offset(None, "copy", "t", 0, false).await.unwrap().0, 1);

        broker.change_settings(&[(Setting::AutoCreateGroups, Some(0))]).await.unwrap();
        let committed = broker.advance_offset(None, "h", "t", 0, 1);
        assert!(matches!(committed, Err(OffsetError::GroupNotFound { group }) if group == "h"));
        let cloned = broker.clone_offsets(&Group::from_stored("g"), &typo, &topics).await;
        assert!(matches!(cloned, Err(AdminError::GroupNotFound { group }) if group == "typo"));
    });
}

#[test]
fn a_new_group_misses_nothing_of_a_topic_that_was_made_again() {
    run(26, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for _ in 0..5 {
            node.send("t", "old").await.unwrap();
        }
        node.broker.delete_topic("t").await.unwrap();
        node.create("t", 1).await;
        let begins = async |group: &str| node.broker.consumer_offset(None, group, "t", 0, true).await.unwrap().0;
        assert_eq!(begins("before").await, 5);
        node.send("t", "new").await.unwrap();
        assert_eq!(begins("after").await, 5);
        assert_eq!(node.bodies("t", 5, "*").await, ["new"]);
        let (group, topic) = (Group::from_stored("g"), model::Topic::from_stored("t"));
        let lag = node.broker.lag(&group, Some(&topic)).unwrap();
        assert_eq!((lag[0].consumer_offset.0, lag[0].broker_offset.0), (5, 6));
        let node = node.power_cycle().await;
        assert_eq!(node.broker.consumer_offset(None, "later", "t", 0, true).await.unwrap().0, 5);
    });
}

#[test]
fn a_reset_names_a_queue_that_exists() {
    run(27, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 2).await;
        node.broker.advance_offset(None, "g", "t", 0, 0).unwrap();
        rt::sleep(std::time::Duration::from_secs(1)).await;
        let reset = node.broker.reset_offsets(&Group::from_stored("g"), "t", Some((2, Some(0))), 0, true).await;
        assert_eq!(reset.unwrap_err().to_string(), "queueId is 2; allowed are 0 to 1");
    });
}

#[test]
fn a_reset_is_made_even_if_nobody_waits_for_the_answer() {
    run(28, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for _ in 0..4 {
            node.send("t", "x").await.unwrap();
        }
        node.broker.advance_offset(None, "g", "t", 0, 4).unwrap();
        let group = Group::from_stored("g");
        let reset = node.broker.reset_offsets(&group, "t", Some((0, Some(1))), 0, true);
        assert!(rt::timeout(std::time::Duration::from_micros(1), reset).await.is_err());
        rt::sleep(std::time::Duration::from_secs(1)).await;
        node.broker.advance_offset(None, "g", "t", 0, 4).unwrap();
        assert_eq!(node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0, 1);
    });
}
