//! One seed: members come, are killed and cut off, the node is killed and started, and in the end everything must come.

use super::ledger::Ledger;
use super::line::Client;
use crate::node::serve::{self, BROKER_PORT};
use crate::{Invariant, Report, findings};
use parking_lot::Mutex;
use rt::Random;
use rt::sim::{Power, SeededRandom, SimHost, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::PlantedBug;

/// Longest time, in simulated seconds, that a start may take.
const START_SECONDS_MAX: u64 = 30;
/// Simulated seconds in which everything must come when the faults are over: the longest lock, the longest retry, and
/// what was left.
const DRAIN_SECONDS_MAX: u64 = 600;
/// Longest work between two stops, in simulated milliseconds.
const WORK_MS_MAX: u64 = 60_000;
const MEMBERS: u64 = 3;
const SPACE_AMPLE: u64 = 1 << 34;

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
    names: SimHost,
    node: SimHost,
    producers: Vec<SimHost>,
    members: Vec<(SimHost, String)>,
    returner: SimHost,
    ledger: Arc<Mutex<Ledger>>,
    options: store::Options,
    stops: u64,
    processes: u64,
}

impl Run {
    fn new(world: World, planted: Option<PlantedBug>) -> Self {
        let random = world.random().fork(1);
        let ledger = Arc::new(Mutex::new(Ledger::new(world.trace().clone())));
        let (names, node) = (world.host("names"), world.host("node"));
        node.disk().set_capacity(SPACE_AMPLE);
        let producers = (0..2).map(|n| world.host(&format!("producer-{n}"))).collect();
        let members = (0..MEMBERS).map(|n| (world.host(&format!("member-{n}")), String::new())).collect();
        let returner = world.host("returner");
        let mut options = serve::store_options(&random);
        options.planted = planted;
        Self { world, random, names, node, producers, members, returner, ledger, options, stops: 0, processes: 0 }
    }

    /// A process of its own: each has another name, as clients have another id after a restart.
    fn client(&mut self, name: &str, machine: &SimHost) -> Client {
        self.processes += 1;
        Client {
            name: format!("{name}@{}", self.processes),
            host: machine.boot(),
            clock: self.world.clock().clone(),
            random: self.random.fork(100 + self.processes),
            broker: SocketAddr::new(self.node.ip(), BROKER_PORT),
            ledger: Arc::clone(&self.ledger),
        }
    }

    async fn all(&mut self) {
        let starting = serve::start_name_server(self.names.boot(), self.names.ip());
        self.names.spawn(async move { starting.await.expect("a name server starts on a sound disk") });
        for n in 0..self.producers.len() {
            let machine = self.producers[n].clone();
            let client = self.client("producer", &machine);
            machine.spawn(client.produce(n as u32));
        }
        let returner = self.returner.clone();
        let client = self.client("returner", &returner);
        returner.spawn(client.give_back());
        for member in 0..self.members.len() {
            self.start_member(member);
        }
        for _ in 0..1 + self.random.below(3) {
            if !self.start().await {
                return;
            }
            self.work(false).await;
            self.ledger.lock().findings.take_panics();
            if self.ledger.lock().findings.is_failed() {
                return;
            }
            self.stops += 1;
            self.node.crash(if self.random.coin() { Power::Lost } else { Power::Kept });
            rt::sleep(Duration::from_millis(self.random.below(5000))).await;
        }
        if self.start().await {
            self.work(true).await;
            self.drain().await;
        }
        self.ledger.lock().findings.take_panics();
    }

    fn start_member(&mut self, member: usize) {
        let machine = self.members[member].0.clone();
        let client = self.client("member", &machine);
        self.members[member].1.clone_from(&client.name);
        machine.spawn(client.consume_in_order());
    }

    fn kill_member(&mut self, member: usize) {
        let (machine, name) = &self.members[member];
        machine.crash(Power::Kept);
        self.ledger.lock().died(name);
    }

    async fn start(&self) -> bool {
        let (node, names) = (&self.node, &self.names);
        let starting = serve::start_broker(node.boot(), node.ip(), names.ip(), self.options.clone());
        let why = match rt::timeout(Duration::from_secs(START_SECONDS_MAX), node.spawn(starting)).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => panic.to_string(),
            Err(_) => format!("not within {START_SECONDS_MAX} s"),
        };
        self.ledger.lock().findings.take_panics();
        self.ledger.lock().findings.fail(Invariant::Live, format!("the node does not start: {why}"));
        false
    }

    async fn work(&mut self, is_last: bool) {
        let clock = self.world.clock().clone();
        let until = rt::Clock::monotonic(&clock) + Duration::from_millis(2000 + self.random.below(WORK_MS_MAX));
        if !is_last && self.random.below(4) == 0 {
            self.node.disk().die_after(self.random.below(2000));
        }
        while rt::Clock::monotonic(&clock) < until
            && !self.ledger.lock().findings.is_failed()
            && !self.node.disk().is_dead()
        {
            rt::sleep(Duration::from_millis(1 + self.random.below(4000))).await;
            self.mischief();
        }
        self.world.net().heal();
    }

    fn mischief(&mut self) {
        let net = self.world.net();
        match self.random.below(12) {
            0 => {
                let _was_open = net.cut_one();
            }
            1 => net.cut_host(self.node.ip()),
            2 | 3 => {
                let far = self.members.iter().map(|(machine, _)| machine.ip()).filter(|_| self.random.coin());
                net.partition([self.node.ip()], far.collect::<Vec<_>>());
            }
            4 | 5 => net.heal(),
            6 => net.set_delay_max(Duration::from_millis(1 + self.random.below(200))),
            7 | 8 => {
                let member = self.random.index(self.members.len());
                self.kill_member(member);
                self.start_member(member);
            }
            9 => {
                let by = self.random.below(120_000) as i64 - 60_000;
                self.world.trace().note(format_args!("the node's wall clock jumps by {by} ms"));
                self.node.clock().jump_wall(by);
            }
            _ => {}
        }
    }

    async fn drain(&self) {
        self.producers.iter().for_each(|machine| machine.crash(Power::Kept));
        self.world.net().set_delay_max(Duration::from_millis(5));
        let mut missing = None;
        for _ in 0..DRAIN_SECONDS_MAX {
            rt::sleep(Duration::from_secs(1)).await;
            missing = self.ledger.lock().missing();
            if missing.is_none() || self.ledger.lock().findings.is_failed() {
                break;
            }
        }
        if let Some((invariant, what)) = missing {
            self.ledger.lock().findings.fail(invariant, what);
        }
    }

    fn report(&self) -> Report {
        let ledger = self.ledger.lock();
        ledger.findings.report(&self.world, &self.node, ledger.sent, self.stops)
    }
}
