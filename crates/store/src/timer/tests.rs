//! The index against a sorted map, on a simulated disk: with jobs, power failures, lost and damaged files.

use super::*;
use proptest::prelude::*;
use rt::sim::{Power, SeededRandom, SimDisk};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

const DIR: &str = "/data/timer";

#[derive(Clone, Debug)]
enum Act {
    /// Messages come, due at these times.
    Add(Vec<i64>),
    /// What is due ends, at most so many; of these every so many-th fails and waits again.
    Deliver { now: i64, count: usize, failing: usize },
    /// A pending message ends before its time.
    Cancel { nth: usize },
    /// A job runs to its end.
    Work,
    /// The power goes while a job is written, or between two.
    Crash { is_working: bool, is_power_lost: bool },
    /// A bit turns over.
    Flip,
    /// The files are gone at the next start.
    Wipe,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => proptest::collection::vec(0i64..400, 1..40).prop_map(Act::Add),
        4 => (0i64..400, 1usize..60, 2usize..9)
            .prop_map(|(now, count, failing)| Act::Deliver { now, count, failing }),
        2 => any::<usize>().prop_map(|nth| Act::Cancel { nth }),
        6 => Just(Act::Work),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(is_working, is_power_lost)| Act::Crash { is_working, is_power_lost }),
        1 => Just(Act::Flip),
        1 => Just(Act::Wipe),
    ]
}

struct Case {
    disk: SimDisk,
    index: Index,
    /// What the queue holds: a message comes, or ends.
    queue: Vec<(Pending, bool)>,
    pending: BTreeMap<Due, i32>,
}

const LIMITS: Limits =
    Limits { flush_items: 16, memory_items_max: 64, checkpoint_records: 40, near_max: 16, load_items: 3, runs_max: 3 };

impl Case {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(SeededRandom::new(seed));
        let index = Index::open(disk.mount(), DIR.into(), LIMITS).unwrap();
        Self { disk, index, queue: Vec::new(), pending: BTreeMap::new() }
    }

    fn push(&mut self, pending: Pending, is_coming: bool) {
        self.queue.push((pending, is_coming));
        if is_coming {
            self.pending.insert(pending.due, pending.topic);
        } else {
            assert!(self.pending.remove(&pending.due).is_some(), "{pending:?} ends twice");
        }
        self.catch_up();
    }

    fn catch_up(&mut self) {
        let (next, _) = self.index.applied();
        for (at, (pending, is_coming)) in self.queue.iter().enumerate().skip(next as usize) {
            if *is_coming {
                self.index.add(*pending)
            } else {
                self.index.remove(*pending)
            }
            self.index.set_applied(at as u64 + 1, at as u64);
        }
    }

    /// Damage costs a rebuild.
    fn sound<T>(&mut self, mut ask: impl FnMut(&mut Index) -> io::Result<T>) -> T {
        loop {
            match ask(&mut self.index) {
                Ok(answer) => return answer,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.index.reset().unwrap();
                    self.catch_up();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn reopen(&mut self) {
        self.index = Index::open(self.disk.mount(), DIR.into(), LIMITS).unwrap();
        self.catch_up();
    }

    fn deliver(&mut self, now: i64, count: usize, failing: usize) {
        while self.index.needs_load() {
            self.sound(Index::load);
        }
        let expected: Vec<Due> = self.pending.keys().copied().take_while(|due| due.at <= now).take(count).collect();
        let taken = self.index.take_due(now, count);
        let dues: Vec<Due> = taken.iter().map(|pending| pending.due).collect();
        // What is loaded may be fewer than asked for, never others.
        assert_eq!(dues, expected[..dues.len()]);
        assert!(dues.len() == expected.len() || dues.len() >= LIMITS.near_max / 4, "{dues:?} of {expected:?}");
        for (nth, pending) in taken.into_iter().enumerate() {
            if nth % failing == 1 { self.index.put_back(&[pending]) } else { self.push(pending, false) }
        }
    }

    fn cancel(&mut self, nth: usize) {
        let Some((&due, &topic)) = self.pending.iter().nth(nth % self.pending.len().max(1)) else { return };
        let wanted = Pending { due, topic };
        assert_eq!(self.sound(|index| index.take(due)), Some(wanted));
        assert_eq!(self.sound(|index| index.take(due)), None, "it is taken");
        self.push(wanted, false);
        assert_eq!(self.sound(|index| index.take(due)), None, "it is gone");
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Add(times) => {
                for at in times {
                    let due = Due { at, position: self.queue.len() as u64 };
                    self.push(Pending { due, topic: (at % 3) as i32 }, true);
                }
            }
            Act::Deliver { now, count, failing } => self.deliver(now, count, failing),
            Act::Cancel { nth } => self.cancel(nth),
            Act::Work => {
                if let Some(job) = self.index.job() {
                    match job.run() {
                        Ok(done) => drop(self.index.install(done)),
                        Err(_) => self.index.fail(),
                    }
                }
            }
            Act::Crash { is_working, is_power_lost } => {
                if let Some(job) = self.index.job().filter(|_| is_working) {
                    self.disk.die_after(self.queue.len() as u64 % 12);
                    drop(job.run());
                }
                self.disk.crash(if is_power_lost { Power::Lost } else { Power::Kept });
                self.reopen();
            }
            Act::Flip => drop(self.disk.flip_below(Path::new(DIR))),
            Act::Wipe => {
                self.disk.crash(Power::Kept);
                self.disk.wipe(Path::new(DIR));
                self.reopen();
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let looks_max = 9 + self.queue.len() % 40;
        let found = self.sound(|index| all(index, looks_max));
        assert_eq!(found, self.pending);
        let mut counts = BTreeMap::new();
        self.pending.values().for_each(|topic| *counts.entry(*topic).or_insert(0u64) += 1);
        assert_eq!(*self.index.counts(), counts);
    }
}

/// Everything pending, seen in pieces.
fn all(index: &Index, looks_max: usize) -> io::Result<BTreeMap<Due, i32>> {
    let (mut found, mut after) = (BTreeMap::new(), Some(Due::MIN));
    while let Some(last) = after {
        let mut looks = 0;
        after = index.scan(last, looks_max, |pending| {
            looks += 1;
            found.insert(pending.due, pending.topic);
            ControlFlow::Continue(())
        })?;
        assert!(looks <= looks_max);
    }
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn it_tells_what_a_sorted_map_tells(seed: u64, acts in proptest::collection::vec(act(), 1..60)) {
        let mut case = Case::new(seed);
        for act in acts {
            case.act(act);
        }
        // Whatever happened before, all of it ends, each once.
        while !case.pending.is_empty() {
            case.act(Act::Work);
            case.deliver(i64::MAX, 50, usize::MAX);
        }
        case.check();
    }
}

#[test]
fn memory_is_bounded_however_many_wait() {
    let mut case = Case::new(1);
    for at in 0..5_000_i64 {
        let due = Due { at: at * 7 % 4_999, position: at as u64 };
        case.index.add(Pending { due, topic: 1 });
        case.index.set_applied(at as u64 + 1, at as u64);
        if let Some(job) = case.index.job() {
            drop(case.index.install(job.run().unwrap()));
        }
        while case.index.needs_load() {
            let before = case.index.in_memory().1;
            case.index.load().unwrap();
            assert!(case.index.in_memory().1 <= before + LIMITS.load_items, "a piece is small");
        }
        let (items, near, runs) = case.index.in_memory();
        assert!(items <= LIMITS.flush_items && near <= LIMITS.near_max && runs <= LIMITS.runs_max + 1);
    }
    let mut last = Due::MIN;
    while case.index.needs_load() || case.index.next_at().is_some() {
        case.index.load().unwrap();
        for pending in case.index.take_due(i64::MAX, 7) {
            assert!(pending.due > last);
            last = pending.due;
            case.index.remove(pending);
        }
    }
    assert!(case.index.counts().is_empty());
}

#[test]
fn the_end_of_what_retention_took_is_not_counted() {
    let mut index = Case::new(1).index;
    let message = |at, position| Pending { due: Due { at, position }, topic: 1 };
    index.remove(message(5, 10));
    index.add(message(9, 30));
    index.remove(message(6, 20));
    assert_eq!(*index.counts(), BTreeMap::from([(1, 1)]));
    index.remove(message(9, 30));
    assert!(index.counts().is_empty());
}

/// Files as version 1 wrote them are read by today's code.
mod fixture {
    use super::*;
    use std::path::PathBuf;

    const FIXTURE: Limits = Limits {
        flush_items: 200,
        memory_items_max: 400,
        checkpoint_records: 1000,
        near_max: 64,
        load_items: 16,
        runs_max: 8,
    };

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timer-v1")
    }

    fn nth(nth: u64) -> Pending {
        let topic = if nth.is_multiple_of(3) { model::java_hash("orders") } else { -7 };
        Pending { due: Due { at: 1_795_000_000_000 + (nth as i64 * 7919) % 1000, position: 88 + 240 * nth }, topic }
    }

    fn expected() -> BTreeMap<Due, i32> {
        (50..350).map(nth).map(|pending| (pending.due, pending.topic)).collect()
    }

    #[test]
    #[ignore = "makes the files that the other test reads; only for a new version, into a new folder"]
    fn write_fixture() {
        let mut index = Index::open(rt::Host::real().disk, folder(), FIXTURE).unwrap();
        (0..200).for_each(|n| index.add(nth(n)));
        index.set_applied(200, nth(199).due.position);
        let done = index.job().unwrap().run().unwrap();
        drop(index.install(done));
        (0..50).for_each(|n| index.remove(nth(n)));
        (200..350).for_each(|n| index.add(nth(n)));
        index.set_applied(351, nth(350).due.position);
        let done = index.job().unwrap().run().unwrap();
        drop(index.install(done));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "fixtures are copied with plain files")]
    fn version_1_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        let index = Index::open(rt::Host::real().disk, dir.path().to_owned(), FIXTURE).unwrap();
        assert_eq!(index.applied(), (351, nth(350).due.position));
        assert_eq!(all(&index, usize::MAX).unwrap(), expected());
        assert_eq!(index.counts().values().sum::<u64>(), 300);
    }
}
