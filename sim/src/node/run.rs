//! One seed from the first start of the node to the last delivery.

use super::clients::{Client, TOPIC};
use super::ledger::Ledger;
use super::serve::{self, NAME_SERVER_PORT};
use crate::{Invariant, Report, findings};
use parking_lot::Mutex;
use rt::Random;
use rt::sim::{Fault, Operation, Power, SeededRandom, SimHost, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::PlantedBug;
use wire::remoting::Encoding;

/// Longest time, in simulated seconds, that a start may take.
const START_SECONDS_MAX: u64 = 30;

/// Longest time, in simulated seconds, that consumers may need for what is left when the faults are over.
const DRAIN_SECONDS_MAX: u64 = 300;

/// Longest work between two stops, in simulated milliseconds.
const WORK_MS_MAX: u64 = 6000;

/// Space of the node's disk when it is not meant to be short.
const SPACE_AMPLE: u64 = 1 << 34;

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, planted: Option<PlantedBug>) -> Report {
    findings::run(seed, |world| async move {
        let mut run = Run::new(world);
        run.options.planted = planted;
        run.all().await;
        run.report()
    })
}

struct Run {
    world: World,
    random: SeededRandom,
    names: SimHost,
    node: SimHost,
    producers: Vec<(SimHost, Client)>,
    consumers: Vec<(SimHost, Client)>,
    ledger: Arc<Mutex<Ledger>>,
    options: store::Options,
    stops: u64,
    /// The node runs for the last time: what it has must reach the consumers.
    is_last: bool,
}

impl Run {
    fn new(world: World) -> Self {
        let random = world.random().fork(1);
        let ledger = Arc::new(Mutex::new(Ledger::new(world.trace().clone(), TOPIC)));
        let (names, node) = (world.host("names"), world.host("node"));
        let client = |name: String, encoding| {
            let machine = world.host(&name);
            let client = Client {
                name,
                host: machine.boot(),
                random: random.fork(u64::from(machine.ip().is_ipv4()) + 100 * world.trace().events()),
                encoding,
                name_server: SocketAddr::new(names.ip(), NAME_SERVER_PORT),
                ledger: Arc::clone(&ledger),
            };
            (machine, client)
        };
        let encodings = [Encoding::Json, Encoding::Binary];
        let producers = (0..1 + random.index(3)).map(|n| client(format!("producer-{n}"), encodings[n % 2])).collect();
        let consumers = (0..2).map(|n| client(format!("consumer-{n}"), encodings[1 - n])).collect();
        let options = serve::store_options(&random);
        world.trace().note(format_args!("{options:?}"));
        Self { random, names, node, producers, consumers, ledger, options, world, stops: 0, is_last: false }
    }

    async fn all(&mut self) {
        self.start_name_server();
        for (machine, client) in &self.producers {
            machine.spawn(client.clone().produce());
        }
        for (machine, client) in &self.consumers {
            machine.spawn(client.clone().consume());
        }
        for _ in 0..2 + self.random.below(4) {
            if !self.start().await {
                return;
            }
            self.work().await;
            self.ledger.lock().findings.take_panics();
            if self.ledger.lock().findings.is_failed() {
                return;
            }
            self.stop();
            rt::sleep(Duration::from_millis(self.random.below(3000))).await;
        }
        self.world.net().heal();
        self.is_last = true;
        if self.start().await {
            self.work().await;
            self.drain().await;
        }
        self.ledger.lock().findings.take_panics();
    }

    fn start_name_server(&self) {
        let starting = serve::start_name_server(self.names.boot(), self.names.ip());
        self.names.spawn(async move { starting.await.expect("a name server starts on a sound disk") });
    }

    async fn start(&self) -> bool {
        let host = self.node.boot();
        let starting =
            self.node.spawn(serve::start_broker(host, self.node.ip(), self.names.ip(), self.options.clone()));
        let why = match rt::timeout(Duration::from_secs(START_SECONDS_MAX), starting).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => panic.to_string(),
            Err(_) => format!("not within {START_SECONDS_MAX} s"),
        };
        self.ledger.lock().findings.take_panics();
        self.ledger.lock().findings.fail(Invariant::Live, format!("the node does not start: {why}"));
        false
    }

    /// Clients work while the network has its moods.
    async fn work(&mut self) {
        let clock = self.world.clock().clone();
        let until = rt::Clock::monotonic(&clock) + Duration::from_millis(200 + self.random.below(WORK_MS_MAX));
        if !self.is_last && self.random.below(2) == 0 {
            self.node.disk().die_after(self.random.below(600));
        }
        let disk = self.node.disk().clone();
        while rt::Clock::monotonic(&clock) < until && !self.ledger.lock().findings.is_failed() && !disk.is_dead() {
            rt::sleep(Duration::from_millis(1 + self.random.below(200))).await;
            self.mischief();
        }
        self.world.net().heal();
    }

    fn mischief(&mut self) {
        let net = self.world.net();
        match self.random.below(16) {
            0 | 1 => {
                let _was_open = net.cut_one();
            }
            2 => net.cut_host(self.node.ip()),
            3 => {
                let clients = self.producers.iter().chain(&self.consumers);
                let far = clients.map(|(machine, _)| machine.ip()).filter(|_| self.random.coin());
                net.partition([self.node.ip(), self.names.ip()], far.collect::<Vec<_>>());
            }
            4 | 5 => net.heal(),
            6 => net.set_delay_max(Duration::from_millis(1 + self.random.below(200))),
            7 => self.restart_consumer(),
            8 => {
                let by = i64::try_from(self.random.below(60_000)).unwrap_or(0) - 30_000;
                self.world.trace().note(format_args!("the node's wall clock jumps by {by} ms"));
                self.node.clock().jump_wall(by);
            }
            9 if self.random.below(4) == 0 => {
                self.stops += 1;
                self.names.crash(if self.random.coin() { Power::Lost } else { Power::Kept });
                self.start_name_server();
            }
            10 if !self.is_last => self.harm_disk(),
            _ => {}
        }
    }

    /// The node's disk refuses something, until the next stop.
    fn harm_disk(&self) {
        let disk = self.node.disk();
        let after = self.random.below(20);
        let path_contains = if self.random.coin() { "/data/store/log" } else { "/data/metadata" }.to_owned();
        match self.random.below(3) {
            0 => {
                self.world.trace().note(format_args!("a sync of {path_contains} will fail after {after} more"));
                disk.plan(Fault { operation: Operation::Sync, path_contains, after });
            }
            1 => {
                self.world.trace().note(format_args!("a write to {path_contains} will fail after {after} more"));
                disk.plan(Fault { operation: Operation::Write, path_contains, after });
            }
            _ => {
                let room = self.random.below(128 << 10);
                self.world.trace().note(format_args!("room for {room} more bytes"));
                disk.set_capacity(disk.used() + room);
            }
        }
    }

    /// A consumer that dies begins again where its group is.
    fn restart_consumer(&mut self) {
        let nth = self.random.index(self.consumers.len());
        let (machine, client) = &mut self.consumers[nth];
        machine.crash(Power::Kept);
        client.host = machine.boot();
        client.random = self.random.fork(self.world.trace().events());
        machine.spawn(client.clone().consume());
    }

    fn stop(&mut self) {
        self.stops += 1;
        self.node.disk().set_capacity(SPACE_AMPLE);
        self.node.disk().forget_plans();
        self.node.crash(if self.random.coin() { Power::Lost } else { Power::Kept });
    }

    /// With the faults over and nobody sending, every group must get what it lacks.
    async fn drain(&self) {
        for (machine, _) in &self.producers {
            machine.crash(Power::Kept);
        }
        self.world.net().set_delay_max(Duration::from_millis(5));
        for _ in 0..DRAIN_SECONDS_MAX {
            let is_done = |(_, client): &(SimHost, Client)| self.ledger.lock().undelivered(&client.name).is_empty();
            if self.ledger.lock().findings.is_failed() || self.consumers.iter().all(is_done) {
                return;
            }
            rt::sleep(Duration::from_secs(1)).await;
        }
        for (_, client) in &self.consumers {
            let ledger = &mut *self.ledger.lock();
            if let Some(&id) = ledger.undelivered(&client.name).first() {
                let (place, is_back) = (ledger.place(id), ledger.is_sent_back(&client.name, id));
                let what = format!("{} never got message {id}, at {place:?}, sent back: {is_back}", client.name);
                ledger.findings.fail(Invariant::Kept, what);
            }
        }
    }

    fn report(&self) -> Report {
        let ledger = self.ledger.lock();
        ledger.findings.report(&self.world, &self.node, ledger.sent() as u64, self.stops)
    }
}
