mod fixture;

use super::*;
use model::{Group, GroupConfig, QueueId, QueueOffset, Topic, TopicConfig};
use proptest::prelude::*;
use rt::Host;
use rt::sim::{self, Fault, Operation, Power, SimHost};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const DIR: &str = "/data/meta";

fn group(name: &str) -> Group {
    Group::new(name).unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn kv(value: &str) -> Change {
    Change::KvSet { namespace: "n".to_owned(), key: "k".to_owned(), value: value.to_owned() }
}

fn open(host: &Host) -> Metadata {
    Metadata::open(host, DIR, Options::default()).unwrap()
}

/// Runs `simulation` on one simulated machine.
fn simulate<F: Future<Output = ()>>(seed: u64, simulation: impl FnOnce(SimHost) -> F) {
    sim::run(seed, |world| simulation(world.host("a")));
}

#[test]
fn changes_survive_the_process_and_the_power() {
    simulate(1, |machine| async move {
        let metadata = open(&machine.boot());
        assert_eq!(metadata.propose(Change::TopicSet(TopicConfig::new(topic("t"), 4))).await, Ok(Version(1)));
        assert_eq!(metadata.propose(Change::GroupSet(GroupConfig::new(group("g")))).await, Ok(Version(2)));
        assert_eq!(metadata.propose(kv("v")).await, Ok(Version(3)));
        let delay = Change::DelayProgress { level: 3, offset: QueueOffset(9) };
        assert_eq!(metadata.propose(delay).await, Ok(Version(4)));
        assert_eq!(metadata.propose(Change::GroupDeleted(group("none"))).await, Ok(Version(5)));
        let before = metadata.read();
        machine.crash(Power::Lost);
        let metadata = open(&machine.boot());
        assert_eq!(*metadata.read(), *before);
        let state = metadata.read();
        assert_eq!(state.topics.get("t").unwrap().read_queues, 4);
        assert_eq!((state.topics_version.counter, state.groups_version.counter), (1, 1));
        assert_eq!((state.kv("n", "k"), state.kv("n", "x")), (Some("v"), None));
        assert_eq!(metadata.close().await, Ok(()));
        assert_eq!(metadata.propose(kv("late")).await, Err(ProposeError::Closed));
    });
}

#[test]
fn texts_are_edited_together() {
    simulate(1, |machine| async move {
        let metadata = open(&machine.boot());
        let edits = |edits: &[(&str, Option<&str>)]| Change::KvEdited {
            namespace: "n".to_owned(),
            edits: edits.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect(),
        };
        metadata.propose(edits(&[("a", Some("1")), ("b", Some("2"))])).await.unwrap();
        metadata.propose(edits(&[("a", None), ("c", Some("3"))])).await.unwrap();
        machine.crash(Power::Lost);
        let metadata = open(&machine.boot());
        let seen = ["a", "b", "c"].map(|key| metadata.read().kv("n", key).map(str::to_owned));
        assert_eq!(seen, [None, Some("2".to_owned()), Some("3".to_owned())]);
        metadata.propose(edits(&[("b", None), ("c", None)])).await.unwrap();
        assert!(metadata.read().kv.is_empty());
    });
}

#[test]
fn offsets_move_forward_only_and_reset_on_demand() {
    simulate(2, |machine| async move {
        let (g, t, q) = (group("g"), topic("t"), QueueId(0));
        let metadata = open(&machine.boot());
        assert_eq!(metadata.offset(&g, &t, q), None);
        assert_eq!(metadata.flush_offsets().await, Ok(()));
        assert_eq!(metadata.advance(&g, &t, q, QueueOffset(10)), Advance::Moved);
        assert_eq!(metadata.advance(&g, &t, q, QueueOffset(10)), Advance::Kept);
        assert_eq!(metadata.advance(&g, &t, q, QueueOffset(7)), Advance::Kept);
        assert_eq!(metadata.flush_offsets().await, Ok(()));
        machine.crash(Power::Lost);
        let metadata = open(&machine.boot());
        assert_eq!(metadata.offset(&g, &t, q), Some(QueueOffset(10)));
        metadata.advance(&g, &t, q, QueueOffset(12));
        metadata.reset("test", vec![(g.clone(), t.clone(), q, QueueOffset(3))]).await.unwrap();
        assert_eq!(metadata.offsets_of_group(&g), vec![(t.clone(), q, QueueOffset(3))]);
        machine.crash(Power::Lost);
        let metadata = open(&machine.boot());
        assert_eq!(metadata.offsets_of_topic(&t), vec![(g.clone(), q, QueueOffset(3))]);
        metadata.propose(Change::OffsetsForgotten { group: None, topic: Some(t.clone()) }).await.unwrap();
        machine.crash(Power::Lost);
        assert_eq!(open(&machine.boot()).offset(&g, &t, q), None);
    });
}

#[test]
fn offsets_reach_the_disk_by_themselves_and_only_those_that_moved() {
    simulate(3, |machine| async move {
        let (g, t) = (group("g"), topic("t"));
        let metadata = open(&machine.boot());
        for queue in 0..10_000 {
            metadata.advance(&g, &t, QueueId(queue), QueueOffset(5));
        }
        metadata.flush_offsets().await.unwrap();
        let before = machine.disk().counters();
        metadata.advance(&g, &t, QueueId(77), QueueOffset(6));
        rt::sleep(std::time::Duration::from_millis(100)).await;
        let after = machine.disk().counters();
        assert_eq!(after.syncs - before.syncs, 1);
        assert!(after.bytes_written - before.bytes_written < 200);
        machine.crash(Power::Lost);
        let metadata = open(&machine.boot());
        assert_eq!(metadata.offset(&g, &t, QueueId(77)), Some(QueueOffset(6)));
        assert_eq!(metadata.offsets_of_group(&g).len(), 10_000);
    });
}

#[test]
fn all_that_waits_shares_one_sync() {
    simulate(4, |machine| async move {
        let metadata = open(&machine.boot());
        let before = machine.disk().counters().syncs;
        let proposals: Vec<_> = (0..100).map(|n| metadata.propose(kv(&n.to_string()))).collect();
        for (n, proposal) in proposals.into_iter().enumerate() {
            assert_eq!(proposal.await, Ok(Version(n as u64 + 1)));
        }
        assert_eq!(machine.disk().counters().syncs - before, 1);
    });
}

#[test]
fn the_number_of_offsets_is_bounded() {
    simulate(5, |machine| async move {
        let options = Options { offsets_max: 2, ..Options::default() };
        let metadata = Metadata::open(&machine.boot(), DIR, options).unwrap();
        let (g, t) = (group("g"), topic("t"));
        let advance = |queue, offset| metadata.advance(&g, &t, QueueId(queue), QueueOffset(offset));
        assert_eq!((advance(0, 1), advance(1, 1), advance(2, 1)), (Advance::Moved, Advance::Moved, Advance::Full));
        assert_eq!(advance(1, 2), Advance::Moved);
        metadata.propose(Change::OffsetsForgotten { group: Some(g.clone()), topic: None }).await.unwrap();
        assert_eq!(advance(2, 1), Advance::Moved);
    });
}

#[test]
fn a_failed_sync_ends_changes_but_not_reads() {
    simulate(6, |machine| async move {
        let metadata = open(&machine.boot());
        metadata.propose(kv("kept")).await.unwrap();
        machine.disk().plan(Fault { operation: Operation::Sync, path_contains: "journal".to_owned(), after: 0 });
        let error = metadata.propose(kv("lost")).await.unwrap_err();
        assert!(matches!(error, ProposeError::Failed { .. }), "{error}");
        assert_eq!(metadata.propose(kv("later")).await.unwrap_err(), error);
        metadata.advance(&group("g"), &topic("t"), QueueId(0), QueueOffset(1));
        assert_eq!(metadata.flush_offsets().await.unwrap_err(), error);
        assert_eq!(metadata.read().kv("n", "k"), Some("kept"));
        assert_eq!(metadata.close().await.unwrap_err(), error);
    });
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    simulate(7, |machine| async move {
        let metadata = open(&machine.boot());
        metadata.propose(kv("kept")).await.unwrap();
        machine.disk().plan(Fault { operation: Operation::Write, path_contains: "journal".to_owned(), after: 0 });
        let error = metadata.propose(kv(&"x".repeat(5000))).await.unwrap_err();
        assert!(matches!(error, ProposeError::Refused { .. }), "{error}");
        assert_eq!(metadata.propose(kv("again")).await, Ok(Version(2)));
        machine.crash(Power::Lost);
        assert_eq!(open(&machine.boot()).read().kv("n", "k"), Some("again"));
    });
}

#[test]
fn damage_in_the_middle_is_told_and_a_torn_tail_is_cut() {
    simulate(8, |machine| async move {
        let metadata = open(&machine.boot());
        for value in ["one", "two", "three"] {
            metadata.propose(kv(value)).await.unwrap();
        }
        machine.crash(Power::Lost);
        let (path, host) = (Path::new(DIR).join("journal"), machine.boot());
        let file = host.disk.open(&path).unwrap();
        let len = file.len().unwrap();
        let frame_len = (len - 32) / 3;
        assert!(machine.disk().flip(&path, 32 + frame_len + 40, 3));
        match Metadata::open(&host, DIR, Options::default()).map(drop) {
            Err(OpenError::Damaged { file, at, .. }) => assert_eq!((file, at), (path.clone(), 32 + frame_len)),
            other => panic!("{other:?}"),
        }
        assert!(machine.disk().flip(&path, 32 + frame_len + 40, 3));
        for cut in [1, frame_len / 2, frame_len - 1] {
            file.set_len(len - cut).unwrap();
            let metadata = open(&host);
            assert_eq!((metadata.read().version, metadata.read().kv("n", "k")), (Version(2), Some("two")));
            assert_eq!(metadata.propose(kv("three")).await, Ok(Version(3)));
            metadata.close().await.unwrap();
        }
        assert_eq!(open(&host).read().kv("n", "k"), Some("three"));
    });
}

#[test]
fn damage_of_the_last_change_is_told_after_a_close() {
    simulate(8, |machine| async move {
        let host = machine.boot();
        let metadata = open(&host);
        for value in ["one", "two"] {
            metadata.propose(kv(value)).await.unwrap();
        }
        metadata.close().await.unwrap();
        let path = Path::new(DIR).join("journal");
        let len = || host.disk.open(&path).unwrap().len().unwrap();
        let closed = len();
        open(&host).close().await.unwrap();
        assert_eq!(len(), closed, "a seal is enough");
        let metadata = open(&host);
        rt::sleep(Duration::from_secs(5)).await;
        drop(metadata);
        assert_eq!(len(), closed, "a seal is enough");
        let last = 32 + (closed - 64) / 2;
        for at in [last, last + 6, last + 40] {
            assert!(machine.disk().flip(&path, at, 3));
            match Metadata::open(&host, DIR, Options::default()).map(drop) {
                Err(OpenError::Damaged { at, .. }) => assert_eq!(at, last),
                other => panic!("{other:?}"),
            }
            assert!(machine.disk().flip(&path, at, 3));
        }
        let metadata = open(&host);
        assert_eq!(metadata.propose(kv("three")).await, Ok(Version(3)));
        machine.crash(Power::Lost);
        assert_eq!(open(&machine.boot()).read().kv("n", "k"), Some("three"));
    });
}

/// A process that is killed has sealed the journal, unless it was just writing.
#[test]
fn damage_of_the_last_change_is_told_when_the_process_was_killed_later() {
    simulate(8, |machine| async move {
        let metadata = open(&machine.boot());
        metadata.propose(kv("one")).await.unwrap();
        rt::sleep(Duration::from_millis(500)).await;
        metadata.propose(kv("two")).await.unwrap();
        rt::sleep(Duration::from_secs(2)).await;
        machine.crash(Power::Lost);
        let (path, host) = (Path::new(DIR).join("journal"), machine.boot());
        let len = host.disk.open(&path).unwrap().len().unwrap();
        let last = 32 + (len - 64) / 2;
        assert!(machine.disk().flip(&path, last + 40, 3));
        match Metadata::open(&host, DIR, Options::default()).map(drop) {
            Err(OpenError::Damaged { at, .. }) => assert_eq!(at, last),
            other => panic!("{other:?}"),
        }
        assert!(machine.disk().flip(&path, last + 40, 3));
        // The seal itself holds nothing.
        assert!(machine.disk().flip(&path, len - 1, 3));
        assert_eq!(open(&host).read().kv("n", "k"), Some("two"));
    });
}

/// While the disk takes nothing, who waits for offsets is told, and closing ends; what was flushed before stays.
#[test]
fn a_full_disk_holds_up_neither_flush_nor_close() {
    simulate(11, |machine| async move {
        let (g, t) = (group("g"), topic("t"));
        let metadata = open(&machine.boot());
        let advance = |to| {
            for queue in 0..60_000 {
                metadata.advance(&g, &t, QueueId(queue), QueueOffset(to));
            }
        };
        advance(1);
        metadata.flush_offsets().await.unwrap();
        machine.disk().set_capacity(0);
        advance(2);
        for _ in 0..2 {
            let error = metadata.flush_offsets().await.unwrap_err();
            assert!(matches!(error, ProposeError::Refused { .. }), "{error}");
        }
        machine.disk().set_capacity(1 << 30);
        metadata.flush_offsets().await.unwrap();
        machine.disk().set_capacity(0);
        advance(3);
        let error = metadata.close().await.unwrap_err();
        assert!(matches!(error, ProposeError::Refused { .. }), "{error}");
        machine.disk().set_capacity(1 << 30);
        machine.crash(Power::Lost);
        let offsets = open(&machine.boot()).offsets_of_group(&g);
        assert_eq!(offsets.len(), 60_000);
        assert!(offsets.iter().all(|(.., offset)| *offset == QueueOffset(2)));
    });
}

/// A topic goes with the offsets in it, a group with its own where that is asked for, by one change each.
#[test]
fn a_deletion_takes_offsets_with_it_in_one_change() {
    simulate(12, |machine| async move {
        let (g, other, t, u, q) = (group("g"), group("other"), topic("t"), topic("u"), QueueId(0));
        let metadata = open(&machine.boot());
        let at = |group: &Group, topic: &Topic| (group.clone(), topic.clone(), q, QueueOffset(5));
        let entries = vec![at(&g, &t), at(&g, &u), at(&other, &t), at(&other, &u)];
        let reset = Change::OffsetsReset { reason: "test".to_owned(), entries, pressed: true };
        metadata.propose(reset).await.unwrap();
        metadata.propose(Change::GroupSet(GroupConfig::new(other.clone()))).await.unwrap();
        metadata.propose(Change::TopicSet(TopicConfig::new(t.clone(), 1))).await.unwrap();
        metadata.propose(Change::TopicDeleted(t.clone())).await.unwrap();
        metadata.propose(Change::GroupForgotten(other.clone())).await.unwrap();
        for _ in 0..2 {
            machine.crash(Power::Lost);
            let metadata = open(&machine.boot());
            let state = metadata.read();
            assert!(state.topics.is_empty() && state.groups.is_empty());
            assert_eq!(state.resets.keys().cloned().collect::<Vec<_>>(), [(g.clone(), u.clone(), q)]);
            assert_eq!(metadata.groups_with_offsets(), std::slice::from_ref(&g));
            assert_eq!(metadata.offsets_of_group(&g), [(u.clone(), q, QueueOffset(5))]);
            metadata.close().await.unwrap();
        }
    });
}

#[test]
fn compaction_keeps_everything_and_bounds_the_journal() {
    simulate(9, |machine| async move {
        let options = Options { compact_bytes_min: 20_000, ..Options::default() };
        let host = machine.boot();
        let metadata = Metadata::open(&host, DIR, options.clone()).unwrap();
        let (g, t) = (group("g"), topic("t"));
        metadata.propose(Change::TopicSet(TopicConfig::new(t.clone(), 4))).await.unwrap();
        for n in 0..2000 {
            metadata.advance(&g, &t, QueueId(n % 50), QueueOffset(u64::from(n)));
            metadata.propose(kv(&n.to_string())).await.unwrap();
        }
        metadata.flush_offsets().await.unwrap();
        let (state, offsets) = (metadata.read(), metadata.offsets_of_group(&g));
        assert!(host.disk.open(&Path::new(DIR).join("journal")).unwrap().len().unwrap() < 30_000);
        machine.crash(Power::Lost);
        let metadata = Metadata::open(&machine.boot(), DIR, options).unwrap();
        assert_eq!(*metadata.read(), *state);
        assert_eq!(metadata.offsets_of_group(&g), offsets);
    });
}

/// What a program does to its metadata.
#[derive(Clone, Debug)]
enum Act {
    Topic(u8, u32),
    DeleteTopic(u8),
    Kv(u8, u8),
    DeleteKv(u8),
    Advance(u8, u8, u64),
    Reset(u8, u8, u64),
    Forget(Option<u8>, Option<u8>),
    Flush,
    PowerLoss,
    Crash,
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = 0u8..4;
    let act = prop_oneof![
        1 => (name.clone(), 1u32..9).prop_map(|(n, queues)| Act::Topic(n, queues)),
        1 => name.clone().prop_map(Act::DeleteTopic),
        1 => (name.clone(), any::<u8>()).prop_map(|(n, value)| Act::Kv(n, value)),
        1 => name.clone().prop_map(Act::DeleteKv),
        5 => (name.clone(), name.clone(), 0u64..50).prop_map(|(g, t, to)| Act::Advance(g, t, to)),
        1 => (name.clone(), name.clone(), 0u64..50).prop_map(|(g, t, to)| Act::Reset(g, t, to)),
        1 => (prop::option::of(name.clone()), prop::option::of(name)).prop_map(|(g, t)| Act::Forget(g, t)),
        1 => Just(Act::Flush),
        1 => Just(Act::PowerLoss),
        1 => Just(Act::Crash),
        1 => Just(Act::Close),
    ];
    prop::collection::vec(act, 1..60)
}

/// The metadata as plain maps.
#[derive(Default)]
struct Plain {
    topics: BTreeMap<String, u32>,
    texts: BTreeMap<String, String>,
    offsets: BTreeMap<(Group, Topic), u64>,
    /// The offsets at the last flush: they may not be lost.
    flushed: BTreeMap<(Group, Topic), u64>,
}

impl Plain {
    fn forget(&mut self, g: Option<&Group>, t: Option<&Topic>) {
        let is_forgotten = |(group, topic): &(Group, Topic)| match (g, t) {
            (None, None) => false,
            (g, t) => g.is_none_or(|g| g == group) && t.is_none_or(|t| t == topic),
        };
        self.offsets.retain(|key, _| !is_forgotten(key));
    }

    fn check(&self, metadata: &Metadata) {
        let state = metadata.read();
        let topics = state.topics.iter().map(|(topic, config)| (topic.to_string(), config.read_queues));
        assert_eq!(topics.collect::<BTreeMap<_, _>>(), self.topics);
        let texts = state.kv.get("n").cloned().unwrap_or_default();
        assert_eq!(texts, self.texts);
        let mut offsets = BTreeMap::new();
        for group in metadata.groups_with_offsets() {
            for (topic, _, offset) in metadata.offsets_of_group(&group) {
                offsets.insert((group.clone(), topic), offset.0);
            }
        }
        assert_eq!(offsets, self.offsets);
    }

    /// After a loss of power an offset may be any that it had since the last flush; then it is the truth.
    fn accept(&mut self, metadata: &Metadata) {
        for ((group, topic), offset) in &mut self.offsets {
            let found = metadata.offset(group, topic, QueueId(0)).map(|found| found.0);
            let flushed = self.flushed.get(&(group.clone(), topic.clone())).copied();
            assert!(found <= Some(*offset) && found >= flushed, "{group} {topic}: {flushed:?} {found:?} {offset}");
            *offset = found.unwrap_or(u64::MAX);
        }
        self.offsets.retain(|_, offset| *offset != u64::MAX);
        self.flushed = self.offsets.clone();
    }
}

async fn run_acts(machine: SimHost, acts: Vec<Act>) {
    let options = Options { compact_bytes_min: 1500, ..Options::default() };
    let open = || Metadata::open(&machine.boot(), DIR, options.clone()).unwrap();
    let (mut plain, mut metadata) = (Plain::default(), open());
    for act in acts {
        let name = |n: u8| format!("n{n}");
        match act {
            Act::Topic(n, queues) => {
                metadata.propose(Change::TopicSet(TopicConfig::new(topic(&name(n)), queues))).await.unwrap();
                plain.topics.insert(name(n), queues);
                plain.flushed = plain.offsets.clone();
            }
            Act::DeleteTopic(n) => {
                metadata.propose(Change::TopicDeleted(topic(&name(n)))).await.unwrap();
                plain.topics.remove(&name(n));
                plain.forget(None, Some(&topic(&name(n))));
                plain.flushed = plain.offsets.clone();
            }
            Act::Kv(n, value) => {
                let (key, value) = (name(n), value.to_string());
                let change = Change::KvSet { namespace: "n".to_owned(), key: key.clone(), value: value.clone() };
                metadata.propose(change).await.unwrap();
                plain.texts.insert(key, value);
            }
            Act::DeleteKv(n) => {
                metadata.propose(Change::KvDeleted { namespace: "n".to_owned(), key: name(n) }).await.unwrap();
                plain.texts.remove(&name(n));
            }
            Act::Advance(g, t, to) => {
                let (g, t) = (group(&name(g)), topic(&name(t)));
                metadata.advance(&g, &t, QueueId(0), QueueOffset(to));
                let known = plain.offsets.entry((g, t)).or_insert(to);
                *known = (*known).max(to);
            }
            Act::Reset(g, t, to) => {
                let (g, t) = (group(&name(g)), topic(&name(t)));
                metadata.reset("test", vec![(g.clone(), t.clone(), QueueId(0), QueueOffset(to))]).await.unwrap();
                plain.offsets.insert((g, t), to);
                plain.flushed = plain.offsets.clone();
            }
            Act::Forget(g, t) => {
                let (g, t) = (g.map(|g| group(&name(g))), t.map(|t| topic(&name(t))));
                let change = Change::OffsetsForgotten { group: g.clone(), topic: t.clone() };
                metadata.propose(change).await.unwrap();
                plain.forget(g.as_ref(), t.as_ref());
                plain.flushed = plain.offsets.clone();
            }
            Act::Flush => {
                metadata.flush_offsets().await.unwrap();
                plain.flushed = plain.offsets.clone();
            }
            Act::PowerLoss | Act::Crash => {
                machine.crash(if matches!(act, Act::PowerLoss) { Power::Lost } else { Power::Kept });
                metadata = open();
                plain.accept(&metadata);
            }
            Act::Close => {
                metadata.close().await.unwrap();
                metadata = open();
                plain.flushed = plain.offsets.clone();
            }
        }
        plain.check(&metadata);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn behaves_like_plain_maps(seed in any::<u64>(), acts in acts()) {
        simulate(seed, |machine| run_acts(machine, acts));
    }
}

/// Changes and offsets without pause, until the machine is gone; what was acknowledged is told.
async fn write_until_the_end(host: Host, acked: std::sync::Arc<parking_lot::Mutex<(u64, u64)>>) {
    let options = Options { compact_bytes_min: 2000, ..Options::default() };
    let metadata = Metadata::open(&host, DIR, options).unwrap();
    let (g, t, q) = (group("g"), topic("t"), QueueId(0));
    let first = metadata.read().kv("n", "k").map_or(0, |value| value.parse().unwrap());
    let from = metadata.offset(&g, &t, q).map_or(0, |offset| offset.0);
    for n in 1.. {
        metadata.advance(&g, &t, q, QueueOffset(from + n));
        let (change, flushed) = (metadata.propose(kv(&(first + n).to_string())), metadata.flush_offsets());
        if let Ok(version) = change.await {
            assert_eq!(metadata.read().version.max(version), metadata.read().version);
            acked.lock().0 = first + n;
        }
        if flushed.await.is_ok() {
            acked.lock().1 = from + n;
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_at_any_moment() {
    for seed in 0..150 {
        sim::run(seed, |world| async move {
            let machine = world.host("a");
            let acked = std::sync::Arc::new(parking_lot::Mutex::new((0, 0)));
            for _ in 0..4 {
                drop(machine.spawn(write_until_the_end(machine.boot(), acked.clone())));
                rt::sleep(std::time::Duration::from_millis(20 + rt::Random::below(world.random(), 400))).await;
                machine.crash(if rt::Random::below(world.random(), 3) == 0 { Power::Kept } else { Power::Lost });
                let metadata = Metadata::open(&machine.boot(), DIR, Options::default()).unwrap();
                let value: u64 = metadata.read().kv("n", "k").map_or(0, |value| value.parse().unwrap());
                let offset = metadata.offset(&group("g"), &topic("t"), QueueId(0)).map_or(0, |offset| offset.0);
                let acked = *acked.lock();
                assert!(value >= acked.0 && offset >= acked.1, "seed {seed}: {value} {offset} {acked:?}");
                metadata.close().await.unwrap();
                machine.crash(Power::Kept);
            }
            assert!(acked.lock().0 > 20, "seed {seed}: it got somewhere");
        });
    }
}
