//! One seed from the first start to the last.

use super::audit::{Answers, answers, audit, compare};
use super::clients::Bench;
use super::ledger::Ledger;
use super::setup::{DIR, Setup};
use crate::{Invariant, Report, findings};
use parking_lot::Mutex;
use rt::Random;
use rt::sim::{Faults, Power, SeededRandom, SimHost, World};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{OpenError, PlantedBug, Recovered, Store};

/// Space of the disk when it is not meant to be short.
const SPACE_AMPLE: u64 = 1 << 34;

/// How long one start works, at most, in simulated milliseconds.
const WORK_MS_MAX: u64 = 500;

/// Whether a store must stay whole if, after a failed sync, only its process is started anew and the power goes later.
const POISON_SURVIVES_KILL: bool = true;

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, planted: Option<PlantedBug>) -> Report {
    findings::run(seed, |world| async move {
        let setup = Arc::new(Setup::of(&world.random().fork(1), planted));
        world.trace().note(format_args!("{:?} {:?}", setup.profile, setup.options));
        let mut ledger = Ledger::new(world.trace().clone(), setup.queues.clone());
        ledger.may_reads_fail = setup.profile.has_errors();
        let ledger = Arc::new(Mutex::new(ledger));
        let machine = world.host("broker");
        let mut run = Run { random: world.random().fork(2), world, machine, setup, ledger, stops: 0, before: None };
        run.all().await;
        run.report()
    })
}

struct Run {
    world: World,
    machine: SimHost,
    setup: Arc<Setup>,
    ledger: Arc<Mutex<Ledger>>,
    random: SeededRandom,
    stops: u64,
    /// What the store answered after it was closed in order: it must answer the same when opened again.
    before: Option<Answers>,
}

impl Run {
    async fn all(&mut self) {
        for _ in 0..self.setup.boots {
            self.one_boot().await;
            self.ledger.lock().findings.take_panics();
            if self.ledger.lock().findings.is_failed() {
                return;
            }
        }
        // The last start is judged too.
        self.calm();
        if let Some((bench, recovered)) = self.open().await {
            audit(&bench, &recovered).await;
        }
        self.ledger.lock().findings.take_panics();
    }

    /// Start, judge, work, stop.
    async fn one_boot(&mut self) {
        self.calm();
        if self.random.below(4) == 0 {
            self.open_badly().await;
        }
        let Some((bench, recovered)) = self.open().await else { return };
        audit(&bench, &recovered).await;
        let is_comparable = {
            let ledger = self.ledger.lock();
            !ledger.findings.is_failed() && !ledger.is_log_rotten
        };
        if let Some(before) = self.before.take().filter(|_| is_comparable) {
            compare(&bench, &before);
        }
        if self.ledger.lock().findings.is_failed() {
            return;
        }
        self.work(bench.clone()).await;
        if self.random.below(4) == 0 && !self.is_over() {
            self.prove_life(&bench).await;
        }
        self.stop(&bench).await;
        self.between_boots().await;
    }

    /// The disk makes no errors from now on.
    fn calm(&self) {
        self.machine.disk().set_faults(Faults::default());
        self.machine.disk().set_capacity(SPACE_AMPLE);
    }

    /// An open that meets errors, or during which the machine dies, may fail; it must not harm anything.
    async fn open_badly(&mut self) {
        if self.setup.profile.has_errors() && self.random.coin() {
            self.machine.disk().set_faults(Faults { read: 50_000, write: 20_000, sync: 50_000, space: 50_000 });
        } else {
            self.machine.disk().die_after(self.random.below(200));
        }
        let opened = self.try_open().await;
        self.world.trace().note(format_args!("open with errors: {:?}", opened.as_ref().map(|(_, found)| found)));
        drop(opened);
        rt::sleep(Duration::from_millis(self.random.below(50))).await;
        let power = self.choose_power();
        if power == Power::Lost {
            self.ledger.lock().loosen();
        }
        self.crash(power);
        self.calm();
    }

    /// Opens the store on a machine without faults: this must succeed.
    async fn open(&mut self) -> Option<(Bench, Recovered)> {
        match self.try_open().await {
            Ok((bench, recovered)) => {
                self.world.trace().note(format_args!("opened: {recovered:?}"));
                let is_rotten = self.ledger.lock().is_log_rotten;
                if !recovered.damages.is_empty() && !is_rotten {
                    let what = format!("damage is reported that nobody did: {:?}", recovered.damages);
                    self.ledger.lock().findings.fail(Invariant::Honest, what);
                }
                Some((bench, recovered))
            }
            Err(why) => {
                self.ledger.lock().findings.fail(Invariant::Live, format!("the store does not open: {why}"));
                None
            }
        }
    }

    async fn try_open(&self) -> Result<(Bench, Recovered), String> {
        let host = self.machine.boot();
        let (setup, ledger) = (Arc::clone(&self.setup), Arc::clone(&self.ledger));
        let random = self.random.fork(self.stops);
        let disk = self.machine.disk().clone();
        let opening = self.machine.spawn(async move {
            let (store, recovered) = Store::open(&host, setup.options.clone())?;
            let damages = recovered.damages.iter().map(|damage| damage.position..damage.until);
            ledger.lock().reported.extend(damages);
            let queue = |queue: &super::setup::QueueSetup| {
                let opened = store.queue(&queue.topic, queue.id);
                opened.set_flush(queue.flush);
                opened
            };
            let queues = Arc::new(setup.queues.iter().map(queue).collect());
            Ok((Bench { setup, ledger, store, queues, host, random, disk }, recovered))
        });
        match opening.await {
            Ok(opened) => opened.map_err(|error: OpenError| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Clients work while things go wrong.
    async fn work(&mut self, bench: Bench) {
        let disk = self.machine.disk();
        disk.set_faults(self.setup.faults(&self.random));
        for n in 0..self.setup.senders {
            self.machine.spawn(Bench { random: self.random.fork(100 + n), ..bench.clone() }.send());
        }
        self.machine.spawn(Bench { random: self.random.fork(200), ..bench.clone() }.read());
        if self.random.below(3) == 0 {
            self.machine.spawn(Bench { random: self.random.fork(300), ..bench.clone() }.retain());
        }
        let end = self.world.clock().clone();
        let until = rt::Clock::monotonic(&end) + Duration::from_millis(20 + self.random.below(WORK_MS_MAX));
        if self.random.below(3) == 0 {
            self.machine.disk().die_after(self.random.below(2000));
        }
        while rt::Clock::monotonic(&end) < until && !self.is_over() {
            rt::sleep(Duration::from_millis(1 + self.random.below(50))).await;
            self.mischief();
        }
    }

    fn is_over(&self) -> bool {
        self.ledger.lock().findings.is_failed() || self.machine.disk().is_dead()
    }

    /// Something may happen to the machine.
    fn mischief(&mut self) {
        let disk = self.machine.disk();
        match self.random.below(12) {
            0 => {
                let by = i64::try_from(self.random.below(20_000)).unwrap_or(0) - 10_000;
                self.world.trace().note(format_args!("the wall clock jumps by {by} ms"));
                self.machine.clock().jump_wall(by);
            }
            1 | 2 if self.setup.profile.fills_up() => {
                let room = self.random.below(64 << 10);
                self.world.trace().note(format_args!("room for {room} more bytes"));
                disk.set_capacity(disk.used() + room);
            }
            3 if self.setup.profile.fills_up() => disk.set_capacity(SPACE_AMPLE),
            4 if self.setup.profile.rots() && self.random.below(4) == 0 => self.rot(),
            _ => {}
        }
    }

    fn rot(&mut self) {
        let dir = if self.random.coin() { PathBuf::from(DIR) } else { index_dir() };
        let Some(flip) = self.machine.disk().flip_below(&dir) else { return };
        self.world.trace().note(format_args!("a bit rots: {flip:?}"));
        self.ledger.lock().may_reads_fail = true;
        if !flip.path.starts_with(index_dir()) {
            self.ledger.lock().is_log_rotten = true;
        }
    }

    /// With the faults over, a store that is not poisoned takes messages again.
    async fn prove_life(&self, bench: &Bench) {
        self.calm();
        rt::sleep(Duration::from_secs(2)).await;
        let before = self.ledger.lock().findings.acknowledged;
        for _ in 0..5 {
            let open = bench.send_once(1).await;
            if !open || self.ledger.lock().findings.acknowledged > before {
                break;
            }
        }
        let is_poisoned = bench.store.is_poisoned();
        if self.ledger.lock().findings.acknowledged == before && !is_poisoned && !self.machine.disk().is_dead() {
            let what = "the faults are over, but no append succeeds".to_owned();
            self.ledger.lock().findings.fail(Invariant::Live, what);
        }
    }

    /// Closes, kills, or cuts the power.
    async fn stop(&mut self, bench: &Bench) {
        if self.random.below(4) == 0 && !self.is_over() {
            self.close(bench).await;
        }
        let written = bench.store.stats().runs_written.load(Ordering::Relaxed);
        let failed = bench.store.stats().run_errors.load(Ordering::Relaxed);
        self.world.trace().note(format_args!("{written} runs written, {failed} not; {:?}", bench.store.positions()));
        let is_poisoned = bench.store.is_poisoned();
        self.ledger.lock().synced(bench.store.positions().synced);
        let power = if is_poisoned && !POISON_SURVIVES_KILL { Power::Lost } else { self.choose_power() };
        if power == Power::Lost || is_poisoned {
            self.ledger.lock().loosen();
        }
        self.crash(power);
    }

    async fn close(&mut self, bench: &Bench) {
        let is_calm = self.random.coin();
        if is_calm {
            self.calm();
        }
        let store = bench.store.clone();
        let closing = self.machine.spawn(async move { store.close().await });
        let is_closed = rt::timeout(Duration::from_secs(120), closing).await.is_ok();
        if !is_closed && !self.machine.disk().is_dead() {
            self.ledger.lock().findings.fail(Invariant::Live, "the store does not close".to_owned());
        }
        self.world.trace().note(format_args!("closed at {:?}", bench.store.positions()));
        if is_calm && !self.is_over() && !bench.store.is_poisoned() && !self.ledger.lock().is_log_rotten {
            self.before = answers(bench).ok();
        }
    }

    fn choose_power(&self) -> Power {
        if self.random.coin() { Power::Lost } else { Power::Kept }
    }

    fn crash(&mut self, power: Power) {
        self.stops += 1;
        self.machine.crash(power);
    }

    /// While the machine is off, files rot or are deleted by people.
    async fn between_boots(&mut self) {
        rt::sleep(Duration::from_millis(self.random.below(100))).await;
        if self.setup.profile.rots() && self.random.coin() {
            self.rot();
        }
        if self.random.below(5) == 0 {
            self.world.trace().note(format_args!("the index is deleted"));
            self.machine.disk().wipe(&index_dir());
        }
    }

    fn report(&self) -> Report {
        let ledger = self.ledger.lock();
        ledger.findings.report(&self.world, &self.machine, ledger.sent() as u64, self.stops)
    }
}

/// Where everything lies that the store can rebuild from its log.
fn index_dir() -> PathBuf {
    Path::new(DIR).join("index")
}
