//! The store against a list, on a simulated disk: appends, atomic batches, kills, power failures, lost index files.

use super::*;
use parking_lot::Mutex;
use proptest::prelude::*;
use rt::sim::{Power, SimHost, run};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;

const QUEUES: u32 = 3;
const DIR: &str = "/data/store";

#[derive(Clone, Debug)]
enum Act {
    /// Appends batches of so many messages of so many bytes, and waits for the first ones only.
    Append {
        batches: Vec<(u8, u16)>,
        awaited: usize,
    },
    Crash {
        is_power_lost: bool,
    },
    /// Appends, and crashes so many microseconds later, in the middle of whatever is going on then.
    AppendAndCrash {
        batches: Vec<(u8, u16)>,
        micros: u64,
        is_power_lost: bool,
    },
    Close,
    /// Removes all files of the index.
    WipeIndex,
    /// Turns over a bit of a file of the index.
    DamageIndex,
    Retain {
        keep_bytes: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let batch = (1u8..6, 0u16..700);
    prop_oneof![
        8 => (proptest::collection::vec(batch, 1..12), 0usize..14)
            .prop_map(|(batches, awaited)| Act::Append { batches, awaited }),
        1 => any::<bool>().prop_map(|is_power_lost| Act::Crash { is_power_lost }),
        2 => (proptest::collection::vec((1u8..6, 0u16..700), 1..30), 0u64..3_000, any::<bool>())
            .prop_map(|(batches, micros, is_power_lost)| Act::AppendAndCrash { batches, micros, is_power_lost }),
        1 => Just(Act::Close),
        1 => Just(Act::WipeIndex),
        1 => Just(Act::DamageIndex),
        1 => (0u64..60_000).prop_map(|keep_bytes| Act::Retain { keep_bytes }),
    ]
}

/// A message that was handed to the store.
#[derive(Clone)]
struct Sent {
    body: Vec<u8>,
    batch: u64,
    batch_count: usize,
    offset: Option<u64>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = String::from_utf8_lossy(&self.body[..self.body.len().min(8)]);
        write!(f, "{name:?} of {} bytes, batch of {}, offset {:?}", self.body.len(), self.batch_count, self.offset)
    }
}

/// What must hold.
#[derive(Default)]
struct Model {
    next_batch: u64,
    /// Messages of each queue in the order in which they were handed over.
    sent: BTreeMap<u32, Vec<Sent>>,
    /// Offsets that retention may have removed end here.
    removed: BTreeMap<u32, u64>,
}

type Shared = Arc<Mutex<Model>>;
type Acts = Arc<Mutex<std::vec::IntoIter<Act>>>;

fn options() -> Options {
    Options { unsynced_bytes_max: 64 * 1024, ..small(Path::new(DIR)) }
}

async fn append_all(store: &Store, model: &Shared, batches: &[(u8, u16)], awaited: usize) {
    let mut calls = Vec::new();
    for (count, len) in batches {
        let mut appends = Vec::new();
        let mut slots = Vec::new();
        {
            let mut model = model.lock();
            let batch = model.next_batch;
            model.next_batch += 1;
            for number in 0..*count {
                let id = (batch as u32 + u32::from(number)) % QUEUES;
                let mut body = format!("{batch}/{number}/").into_bytes();
                body.resize(body.len() + usize::from(*len), number);
                let mut append = message(store, "t", id, &body, &format!("KEYS\u{1}b{batch}\u{2}TAGS\u{1}x\u{2}"));
                append.joined = number + 1 < *count;
                appends.push(append);
                let sent = model.sent.entry(id).or_default();
                slots.push((id, sent.len()));
                sent.push(Sent { body, batch, batch_count: usize::from(*count), offset: None });
            }
        }
        calls.push((slots, store.append(appends).unwrap()));
    }
    for (slots, call) in calls.into_iter().take(awaited) {
        for ((id, at), place) in slots.into_iter().zip(call.await) {
            let offset = place.unwrap().queue_offset.0;
            model.lock().sent.get_mut(&id).unwrap()[at].offset = Some(offset);
        }
    }
}

/// Compares all that can be read with what was sent, and takes it for the truth from now on.
fn check(store: &Store, model: &Shared, is_lossless: bool) {
    let mut model = model.lock();
    let mut batches: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for id in 0..QUEUES {
        let queue = queue(store, "t", id);
        let (min, end) = (queue.min_offset().0, queue.max_offset().0);
        let removed = model.removed.get(&id).copied().unwrap_or(0);
        assert!(min <= removed, "queue {id} begins at {min}, retention removed up to {removed}");
        let found = bodies(store, &queue).unwrap();
        assert_eq!(found.len() as u64, end - min);
        let sent = model.sent.remove(&id).unwrap_or_default();
        let mut kept = Vec::new();
        let mut offset = 0;
        for mut message in sent {
            let is_found = match offset < min {
                true => message.offset == Some(offset),
                false => found.get((offset - min) as usize).is_some_and(|body| *body == message.body),
            };
            if !is_found {
                assert!(!is_lossless && message.offset.is_none(), "lost at {offset} of queue {id}: {message:?}");
                continue;
            }
            assert!(message.offset.is_none_or(|expected| expected == offset), "moved to {offset}: {message:?}");
            message.offset = Some(offset);
            let counts = batches.entry(message.batch).or_insert((0, message.batch_count));
            counts.0 += 1;
            kept.push(message);
            offset += 1;
        }
        assert_eq!(offset, end, "queue {id} has messages that were never sent");
        model.sent.insert(id, kept);
    }
    for (batch, (found, count)) in batches {
        assert_eq!(found, count, "batch {batch} is there in part");
    }
}

fn check_keys(store: &Store, model: &Shared) {
    let model = model.lock();
    let topic = Topic::from_stored("t");
    let Some(last) = model.sent.get(&0).and_then(|sent| sent.last()) else { return };
    let is_removed = last.offset.is_none_or(|offset| offset < queue(store, "t", 0).min_offset().0);
    let found = store.lookup(&topic, &format!("b{}", last.batch), 0..=i64::MAX, 100).unwrap();
    assert!(is_removed || found.len() == last.batch_count, "{} of {last:?}", found.len());
}

/// Asks for a crash so many microseconds later.
type CrashIn = oneshot::Sender<(u64, bool)>;

/// One life of the store; tells how it ends.
async fn life(host: SimHost, model: Shared, acts: Acts, crash: CrashIn) -> Option<Act> {
    let doors = host.boot();
    let (store, recovered) = Store::open(&doors, options()).unwrap();
    assert_eq!(recovered.damages, [], "{:?}", host.disk().files());
    wait_for_index(&store, QUEUES).await;
    check(&store, &model, false);
    check_keys(&store, &model);
    loop {
        let next = acts.lock().next();
        match next {
            Some(Act::Append { batches, awaited }) => append_all(&store, &model, &batches, awaited).await,
            Some(Act::AppendAndCrash { batches, micros, is_power_lost }) => {
                crash.send((micros, is_power_lost)).unwrap();
                for batch in batches.chunks(4) {
                    append_all(&store, &model, batch, 2).await;
                }
                return std::future::pending().await;
            }
            Some(Act::Retain { keep_bytes }) => {
                // Once this is done, so is all before it.
                append_all(&store, &model, &[(1, 0)], 1).await;
                check(&store, &model, true);
                store.retain(&Retention { bytes_max: Some(keep_bytes), ..Retention::default() }).unwrap();
                let ends = (0..QUEUES).map(|id| (id, queue(&store, "t", id).min_offset().0));
                model.lock().removed.extend(ends);
            }
            Some(Act::Close) => {
                store.close().await;
                check(&store, &model, true);
                return Some(Act::Close);
            }
            None => {
                store.close().await;
                check(&store, &model, true);
                check_keys(&store, &model);
                return None;
            }
            Some(end) => return Some(end),
        }
    }
}

async fn lives(host: SimHost, acts: Vec<Act>) {
    let (model, acts) = (Shared::default(), Arc::new(Mutex::new(acts.into_iter())));
    let index = PathBuf::from(DIR).join("index");
    loop {
        let (sender, crash) = oneshot::channel();
        let life = host.spawn(life(host.clone(), Arc::clone(&model), Arc::clone(&acts), sender));
        if let Ok((micros, is_power_lost)) = crash.await {
            rt::sleep(Duration::from_micros(micros)).await;
            host.crash(if is_power_lost { Power::Lost } else { Power::Kept });
            if let Err(error) = life.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
            continue;
        }
        match life.await.unwrap() {
            None => return,
            Some(Act::Crash { is_power_lost: true }) => host.crash(Power::Lost),
            Some(Act::WipeIndex) => {
                host.crash(Power::Kept);
                host.disk().wipe(&index);
            }
            Some(Act::DamageIndex) => {
                host.crash(Power::Lost);
                drop(host.disk().flip_below(&index));
            }
            Some(_) => host.crash(Power::Kept),
        }
    }
}

/// Fewer than usual, unless `PROPTEST_CASES` asks for another number.
fn cases() -> u32 {
    match ProptestConfig::default().cases {
        256 => 60,
        asked => asked,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_doubled(seed in any::<u64>(), acts in proptest::collection::vec(act(), 1..40)) {
        run(seed, |world| lives(world.host("a"), acts));
    }
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use crate::PlantedBug;

    async fn life(host: SimHost, model: Shared, bug: PlantedBug) {
        let options = Options { planted: Some(bug), ..options() };
        let (store, recovered) = Store::open(&host.boot(), options).unwrap();
        assert_eq!(recovered.damages, []);
        wait_for_index(&store, QUEUES).await;
        check(&store, &model, false);
        loop {
            append_all(&store, &model, &[(3, 200); 5], 2).await;
        }
    }

    /// Whether a bug is seen in one of some simple histories.
    fn is_found(bug: PlantedBug) -> bool {
        (0..100u64).any(|seed| {
            let history = || {
                run(seed, |world| async move {
                    let host = world.host("a");
                    let model = Shared::default();
                    for round in 0..6 {
                        let life = host.spawn(life(host.clone(), Arc::clone(&model), bug));
                        rt::sleep(Duration::from_micros(500 + round * 700 + seed * 37)).await;
                        host.crash(Power::Lost);
                        if let Err(error) = life.await
                            && error.is_panic()
                        {
                            std::panic::resume_unwind(error.into_panic());
                        }
                    }
                });
            };
            std::panic::catch_unwind(history).is_err()
        })
    }

    #[test]
    fn each_is_found() {
        use PlantedBug::{AckBeforeSync, OffsetReused, RunBeyondSync, SyncSkipped};
        for bug in [SyncSkipped, AckBeforeSync, OffsetReused, RunBeyondSync] {
            assert!(is_found(bug), "{bug:?} was not found");
        }
    }
}
