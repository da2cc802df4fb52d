//! One seed: starts, work, stops and long nights, and a last start when every time is over.

use super::clients::{Client, DELAY_MAX_MS, TOPIC};
use super::ledger::Ledger;
use crate::{Invariant, Report, findings};
use broker::Broker;
use cluster::metadata::{self, Metadata};
use model::{Topic, TopicConfig};
use parking_lot::Mutex;
use rt::sim::{Fault, Operation, Power, SeededRandom, SimHost, World};
use rt::{Clock, Host, Random, Shutdown, ShutdownTrigger};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{PlantedBug, Store, timer};

/// Folder of the messages.
const STORE_DIR: &str = "/data/store";
/// Folder of the log.
const LOG_DIR: &str = "/data/store/log";
/// Folder of the index of timed messages.
const INDEX_DIR: &str = "/data/store/timer";
/// Folder of topics and groups.
const METADATA_DIR: &str = "/data/metadata";
/// Space of the disk when it is not meant to be short.
const SPACE_AMPLE: u64 = 1 << 34;
/// Longest work between two stops, in ms; retention looks once a minute.
const WORK_MS_MAX: u64 = 150_000;
/// Time, in simulated seconds, in which everything must come when every time is over.
const DRAIN_SECONDS_MAX: u64 = 180;
const DAY: Duration = Duration::from_secs(86_400);

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, planted: Option<PlantedBug>) -> Report {
    findings::run(seed, |world| async move {
        let mut run = Run::new(world, planted);
        run.all().await;
        run.report()
    })
}

struct Run {
    world: World,
    random: SeededRandom,
    node: SimHost,
    ledger: Arc<Mutex<Ledger>>,
    options: store::Options,
    retention_bytes: u64,
    stops: u64,
}

fn store_options(random: &SeededRandom, planted: Option<PlantedBug>) -> store::Options {
    let pick = |among: &[u64]| among[random.index(among.len())];
    let limits = timer::Limits {
        flush_items: pick(&[8, 64]) as usize,
        memory_items_max: 256,
        checkpoint_records: pick(&[16, 200]),
        near_max: pick(&[16, 256]) as usize,
        load_items: 5,
        runs_max: 3,
    };
    store::Options {
        dir: PathBuf::from(STORE_DIR),
        segment_bytes: pick(&[32 << 10, 128 << 10]),
        run_entries_max: pick(&[32, 1024]) as usize,
        run_log_bytes: pick(&[8 << 10, 1 << 20]),
        hot_bytes: pick(&[4 << 10, 1 << 20]),
        timer: limits,
        planted,
        ..store::Options::default()
    }
}

/// Starts the broker; it runs until the host crashes.
async fn start(
    host: Host,
    options: store::Options,
    retention_bytes: u64,
) -> anyhow::Result<(Arc<Broker>, ShutdownTrigger)> {
    let (store, recovered) = Store::open(&host, options)?;
    anyhow::ensure!(recovered.damages.is_empty(), "damage that nobody did: {:?}", recovered.damages);
    let metadata = Metadata::open(&host, METADATA_DIR, metadata::Options::default())?;
    let mut settings = broker::Options::new(([10, 0, 0, 1], 10_911).into());
    settings.retention_bytes = Some(retention_bytes);
    settings.timer_delay_max = Duration::from_millis(DELAY_MAX_MS);
    let broker = Broker::new(host, store, metadata, settings);
    broker.settle_offsets().await?;
    let (trigger, shutdown): (_, Shutdown) = ShutdownTrigger::new();
    rt::spawn(Arc::clone(&broker).run(shutdown));
    broker.put_topic(TopicConfig::new(Topic::from_stored(TOPIC), 1)).await?;
    Ok((broker, trigger))
}

impl Run {
    fn new(world: World, planted: Option<PlantedBug>) -> Self {
        let random = world.random().fork(1);
        let ledger = Arc::new(Mutex::new(Ledger::new(world.trace().clone())));
        let node = world.host("node");
        let options = store_options(&random, planted);
        let retention_bytes = if random.coin() { 64 << 10 } else { 1 << 20 };
        Self { world, random, node, ledger, options, retention_bytes, stops: 0 }
    }

    async fn all(&mut self) {
        self.node.disk().set_capacity(SPACE_AMPLE);
        for _ in 0..2 + self.random.below(4) {
            if let Some(trigger) = self.start(false).await {
                self.work().await;
                drop(trigger);
            }
            self.ledger.lock().findings.take_panics();
            if self.ledger.lock().findings.is_failed() {
                return;
            }
            self.stop();
            self.night().await;
        }
        // Past every time, with all faults over.
        let last = self.ledger.lock().last_due();
        let now = Clock::now(self.node.clock()).0;
        rt::sleep(Duration::from_millis(u64::try_from(last - now).unwrap_or(0))).await;
        match self.start(true).await {
            Some(trigger) => {
                self.drain().await;
                drop(trigger);
            }
            None => self.ledger.lock().findings.fail(Invariant::Live, "the broker does not start".to_owned()),
        }
        self.ledger.lock().findings.take_panics();
    }

    async fn start(&self, is_last: bool) -> Option<ShutdownTrigger> {
        let host = self.node.boot();
        let starting = self.node.spawn(start(host, self.options.clone(), self.retention_bytes));
        let (broker, trigger) = match rt::timeout(DAY, starting).await {
            Ok(Ok(Ok(started))) => started,
            // The fault of a disk that was told to fail.
            Ok(Ok(Err(error))) => {
                self.world.trace().note(format_args!("no start: {error:#}"));
                return None;
            }
            Ok(Err(_)) | Err(_) => return None,
        };
        let client = |purpose: u64| Client {
            broker: Arc::clone(&broker),
            random: self.random.fork(purpose + 10 * self.stops),
            ledger: Arc::clone(&self.ledger),
        };
        self.node.spawn(client(1).consume());
        if !is_last {
            self.node.spawn(client(2).produce());
            self.node.spawn(client(3).produce());
        }
        Some(trigger)
    }

    async fn work(&self) {
        let until = self.world.clock().monotonic() + Duration::from_millis(200 + self.random.below(WORK_MS_MAX));
        if self.random.below(3) == 0 {
            self.node.disk().die_after(self.random.below(4000));
        }
        let disk = self.node.disk();
        while self.world.clock().monotonic() < until && !self.ledger.lock().findings.is_failed() && !disk.is_dead() {
            rt::sleep(Duration::from_millis(1 + self.random.below(2000))).await;
            match self.random.below(40) {
                0 => self.harm_disk(),
                1 => {
                    let flipped = disk.flip_below(Path::new(INDEX_DIR)).is_some();
                    self.world.trace().note(format_args!("a bit of the index turns over: {flipped}"));
                }
                2 => {
                    let time = Duration::from_millis(self.random.below(50));
                    self.world.trace().note(format_args!("a read of the log takes {time:?}"));
                    disk.slow_reads(LOG_DIR, time);
                }
                _ => {}
            }
        }
    }

    /// The disk refuses something, until the next stop.
    fn harm_disk(&self) {
        let after = self.random.below(20);
        let path_contains = if self.random.coin() { LOG_DIR } else { INDEX_DIR }.to_owned();
        let operation = [Operation::Sync, Operation::Write, Operation::Read][self.random.index(3)];
        self.world.trace().note(format_args!("{operation:?} of {path_contains} will fail after {after} more"));
        self.node.disk().plan(Fault { operation, path_contains, after });
    }

    fn stop(&mut self) {
        self.stops += 1;
        self.node.disk().forget_plans();
        self.node.disk().slow_reads("", Duration::ZERO);
        self.node.crash(if self.random.coin() { Power::Lost } else { Power::Kept });
    }

    /// The machine is off for a moment, or for a month; somebody may delete the index.
    async fn night(&self) {
        if self.random.below(5) == 0 {
            self.world.trace().note(format_args!("the index of timed messages is deleted"));
            self.node.disk().wipe(Path::new(INDEX_DIR));
        }
        let off = match self.random.below(6) {
            0 => 31 * DAY,
            1 => DAY,
            _ => Duration::from_millis(self.random.below(3000)),
        };
        rt::sleep(off).await;
    }

    async fn drain(&self) {
        let mut missing = None;
        for _ in 0..DRAIN_SECONDS_MAX {
            missing = self.ledger.lock().missing();
            if missing.is_none() || self.ledger.lock().findings.is_failed() {
                break;
            }
            rt::sleep(Duration::from_secs(1)).await;
        }
        if let Some(missing) = missing {
            self.ledger.lock().findings.fail(Invariant::Timely, missing);
        }
        // What came twice comes soon.
        rt::sleep(Duration::from_secs(15)).await;
    }

    fn report(&self) -> Report {
        let ledger = self.ledger.lock();
        ledger.findings.report(&self.world, &self.node, ledger.sent(), self.stops)
    }
}
