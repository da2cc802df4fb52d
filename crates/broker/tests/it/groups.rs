//! Groups as their members see them: divided ones, orderly ones, and what of them survives a loss of power.

use crate::node::{Node, seen};
use broker::{
    Ask, AskError, ClientChannel, ConsumeType, Filter, Heartbeat, Member, MessageModel, Notice, Pull, PullError,
    PullOutcome, PullStep, Pulled, StartFrom, Subscription, TagFilter,
};
use bytes::Bytes;
use model::{Group, GroupConfig, QueueId, Topic};
use rt::BoxFuture;
use rt::sim::run;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A client that hears nothing.
struct Deaf(u64);

impl ClientChannel for Deaf {
    fn id(&self) -> u64 {
        self.0
    }

    fn peer(&self) -> SocketAddr {
        (address(self.0), 1).into()
    }

    fn notify(&self, _: &Notice) {}

    fn ask(&self, _: Ask, _: Duration) -> BoxFuture<'static, Result<Bytes, AskError>> {
        Box::pin(async { Err(AskError::Unreachable("deaf".to_owned())) })
    }
}

/// The machine of a member: each has two, one with an even number and the next.
fn address(member: u64) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(member / 2).unwrap()])
}

async fn join(node: &Node, member: u64, tags: &str) {
    join_as(node, member, tags, MessageModel::Clustering).await;
}

async fn join_as(node: &Node, member: u64, tags: &str, model: MessageModel) {
    let beat = Heartbeat {
        group: Group::new("g").unwrap(),
        consume_type: ConsumeType::Push,
        model,
        start_from: StartFrom::First,
        subscriptions: vec![Subscription::of_filter("t", tags, TagFilter::parse(tags).unwrap())],
    };
    let member = Member {
        client_id: format!("client-{member}"),
        channel: Arc::new(Deaf(member)),
        language: 0,
        version: 0,
        last_seen: node.broker.steady_now(),
    };
    node.broker.consumer_seen(beat, member).await.unwrap();
}

fn pull(node: &Node, member: u64, offset: u64) -> Pulled {
    match node.broker.pull(&ask(member, offset)).unwrap() {
        PullStep::Ready(pulled) => pulled,
        PullStep::Parked(_) => panic!("a pull that does not wait is answered"),
    }
}

fn ask(member: u64, offset: u64) -> Pull<'static> {
    Pull {
        member: Some(member),
        group: "g",
        topic: "t",
        queue_id: 0,
        offset: offset as i64,
        messages_max: 32,
        bytes_max: 1 << 20,
        commit: None,
        wait: None,
        filter: Filter::Subscribed { version: 0 },
    }
}

/// Consumes from where the member is told to begin, to the end; gives the bodies.
async fn consume(node: &Node, member: u64) -> Vec<String> {
    let mut next = node.broker.consumer_offset(Some(member), "g", "t", 0, true).await.unwrap().0;
    let mut bodies = Vec::new();
    loop {
        let pulled = pull(node, member, next);
        if pulled.outcome == PullOutcome::NotFound {
            return bodies;
        }
        bodies.extend(seen(&pulled).into_iter().map(|seen| seen.body));
        next = pulled.next.0;
        node.broker.advance_offset(Some(member), "g", "t", 0, next as i64).unwrap();
    }
}

async fn group_offset(node: &Node) -> u64 {
    node.broker.consumer_offset(None, "g", "t", 0, true).await.unwrap().0
}

async fn send_four(node: &Node) {
    for (body, tag) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")] {
        node.send_with("t", body, &format!("TAGS\u{1}{tag}\u{2}")).await.unwrap();
    }
}

#[test]
fn each_member_gets_what_it_asked_for_and_the_group_waits_for_the_slowest() {
    run(41, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        send_four(&node).await;
        join(&node, 1, "a").await;
        join(&node, 2, "b").await;
        assert_eq!(node.broker.peers("g", 1), ["client-1"]);
        assert_eq!(consume(&node, 2).await, ["b1", "b2"]);
        assert_eq!(group_offset(&node).await, 0);
        assert_eq!(consume(&node, 1).await, ["a1", "a2"]);
        assert_eq!(group_offset(&node).await, 4);
        assert_eq!(node.broker.cohorts("g").len(), 2);
    });
}

#[test]
fn the_first_member_after_a_restart_does_not_pass_what_the_others_want() {
    run(42, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        join(&node, 1, "a").await;
        join(&node, 2, "b").await;
        send_four(&node).await;
        assert_eq!(consume(&node, 2).await, ["b1", "b2"]);
        rt::sleep(Duration::from_secs(1)).await;
        let node = node.power_cycle().await;
        join(&node, 12, "b").await;
        assert_eq!(consume(&node, 12).await, ["b1", "b2"]);
        assert_eq!(group_offset(&node).await, 0);
        join(&node, 11, "a").await;
        assert_eq!(consume(&node, 11).await, ["a1", "a2"]);
        assert_eq!(group_offset(&node).await, 4);
    });
}

#[test]
fn a_group_that_was_divided_for_a_moment_is_of_one_mind_after_a_restart() {
    run(46, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        join(&node, 1, "a").await;
        join(&node, 2, "b").await;
        join(&node, 2, "a").await;
        assert!(node.broker.cohorts("g").is_empty());
        rt::sleep(Duration::from_secs(1)).await;
        let node = node.power_cycle().await;
        assert!(node.broker.cohorts("g").is_empty());
    });
}

#[test]
fn a_pull_that_waits_takes_over_the_share_of_who_leaves() {
    run(43, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        join(&node, 1, "a").await;
        join(&node, 2, "*").await;
        send_four(&node).await;
        assert!(consume(&node, 1).await.is_empty(), "the other member wants all");
        node.broker.channel_closed(2);
        assert_eq!(consume(&node, 1).await, ["a1", "a2"]);
    });
}

/// Members that broadcast keep their offsets themselves: the broker knows no lag of them. Tools find their group by its
/// retry topic.
#[test]
fn a_group_that_broadcasts_is_found_and_has_no_lag() {
    run(1, |world| async move {
        let node = Node::start(&world).await;
        send_four(&node).await;
        let lag = || node.broker.lag(&Group::from_stored("g"), None).unwrap();
        join_as(&node, 1, "*", MessageModel::Broadcasting).await;
        assert!(node.broker.topic("%RETRY%g").is_some());
        assert_eq!(lag(), []);
        node.broker.client_left(1, None, Some("g"));
        join(&node, 2, "*").await;
        assert_eq!(lag().iter().map(|lag| lag.broker_offset.0).sum::<u64>(), 4);
    });
}

/// One member with another model than the others does not keep them from consuming.
#[test]
fn a_member_that_broadcasts_where_it_may_not_stops_nobody_else() {
    run(48, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        send_four(&node).await;
        let group = GroupConfig { broadcast_enabled: false, ..GroupConfig::new(Group::new("g").unwrap()) };
        node.broker.put_group(group).await.unwrap();
        join(&node, 1, "*").await;
        join_as(&node, 2, "*", MessageModel::Broadcasting).await;
        assert_eq!(consume(&node, 1).await, ["a1", "b1", "a2", "b2"]);
        assert!(matches!(node.broker.pull(&ask(2, 0)), Err(PullError::GroupForbidden { .. })));
        assert!(!node.broker.lag(&Group::from_stored("g"), None).unwrap().is_empty());
    });
}

/// Clients with a VIP channel commit over another connection than that of their heartbeats.
#[test]
fn a_second_connection_speaks_for_the_member_at_its_address() {
    run(47, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        for (member, tags) in [(2, "a"), (3, "a"), (4, "b"), (6, "b"), (7, "c")] {
            join(&node, member, tags).await;
        }
        let check = |connection: u64, beside: u64, expected: u64| {
            assert_eq!(
                node.broker.member_at("g", connection, address(beside)),
                expected,
                "{connection} beside {beside}"
            );
        };
        check(102, 3, 2);
        check(104, 4, 4);
        check(7, 2, 7);
        // Those there want different things, or nobody is there.
        check(106, 6, 106);
        check(110, 10, 110);
        let place = || vec![(Topic::new("t").unwrap(), QueueId(0))];
        let group = Group::new("g").unwrap();
        for (member, locked) in [(2, 1), (7, 1), (3, 0)] {
            let held = node.broker.lock_queues(&group, 100, &format!("client-{member}"), place()).await.unwrap();
            assert_eq!(held.len(), locked, "each cohort has its own locks: {member}");
        }
    });
}

#[test]
fn a_queue_stays_with_its_holder_over_a_restart() {
    run(44, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        let group = Group::new("g").unwrap();
        let place = || vec![(Topic::new("t").unwrap(), QueueId(0))];
        assert_eq!(node.broker.lock_queues(&group, 1, "a", place()).await.unwrap().len(), 1);
        let node = node.power_cycle().await;
        assert!(node.broker.lock_queues(&group, 2, "b", place()).await.unwrap().is_empty());
        assert_eq!(node.broker.lock_queues(&group, 3, "a", place()).await.unwrap().len(), 1);
        node.broker.unlock_queues(&group, "a", place());
        assert_eq!(node.broker.lock_queues(&group, 2, "b", place()).await.unwrap().len(), 1);
        let node = node.power_cycle().await;
        rt::sleep(Duration::from_secs(40)).await;
        assert_eq!(node.broker.lock_queues(&group, 3, "a", place()).await.unwrap().len(), 1);
    });
}

#[test]
fn a_reset_holds_over_a_restart() {
    run(45, |world| async move {
        let node = Node::start(&world).await;
        node.create("t", 1).await;
        send_four(&node).await;
        join(&node, 1, "*").await;
        assert_eq!(consume(&node, 1).await.len(), 4);
        let group = Group::new("g").unwrap();
        node.broker.reset_offsets(&group, "t", Some((0, Some(1))), 0, true).await.unwrap();
        let node = node.power_cycle().await;
        join(&node, 11, "*").await;
        // The client goes on from where it was.
        node.broker.advance_offset(Some(11), "g", "t", 0, 4).unwrap();
        assert_eq!(group_offset(&node).await, 1);
        let moved = pull(&node, 11, 4);
        assert_eq!((moved.outcome, moved.next.0), (PullOutcome::Moved, 1));
        assert_eq!(seen(&pull(&node, 11, 1)).len(), 3);
        rt::sleep(Duration::from_secs(2)).await;
        let node = node.power_cycle().await;
        node.broker.advance_offset(None, "g", "t", 0, 4).unwrap();
        assert_eq!(group_offset(&node).await, 4);
    });
}

#[test]
fn members_stay_when_somebody_sets_the_clock_and_go_when_they_are_silent() {
    for by_ms in [-3_600_000, 3_600_000] {
        run(1, |world| async move {
            let node = Node::start(&world).await;
            node.create("t", 1).await;
            join(&node, 1, "*").await;
            rt::sleep(Duration::from_secs(5)).await;
            node.jump_wall(by_ms);
            rt::sleep(Duration::from_secs(100)).await;
            assert!(node.broker.consumers("g").is_some(), "{by_ms}");
            rt::sleep(Duration::from_secs(30)).await;
            assert!(node.broker.consumers("g").is_none(), "{by_ms}");
        });
    }
}
