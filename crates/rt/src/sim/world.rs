//! Hosts that share time and a network.

use super::scope::Scope;
use super::{Power, SeededRandom, SimClock, SimDisk, SimNet, Trace};
use crate::{Host, Random, TaskHandle};
use parking_lot::Mutex;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Everything that one seed makes. Cheap to clone.
#[derive(Clone)]
pub struct World {
    seed: u64,
    random: SeededRandom,
    clock: SimClock,
    net: SimNet,
    trace: Trace,
    hosts: Arc<AtomicU8>,
}

/// A simulated machine. It can be switched on, crash and be switched on again; its disk stays. Clones are the same
/// machine.
#[derive(Clone)]
pub struct SimHost(Arc<Machine>);

struct Machine {
    name: String,
    ip: IpAddr,
    clock: SimClock,
    disk: SimDisk,
    net: SimNet,
    random: SeededRandom,
    trace: Trace,
    scope: Mutex<Scope>,
}

impl World {
    /// The world of a seed. Its clock starts now: make it inside the runtime of [`super::run()`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let trace = Trace::default();
        trace.note(format_args!("world {seed}"));
        Self {
            seed,
            clock: SimClock::default(),
            net: SimNet::new(random.fork(1), trace.clone()),
            random: random.fork(2),
            trace,
            hosts: Arc::default(),
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Chance for the owner of the simulation: what it draws does not shift what the hosts draw.
    #[must_use]
    pub fn random(&self) -> &SeededRandom {
        &self.random
    }

    /// True time.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The network between all hosts.
    #[must_use]
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// What happened so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// A new machine; other hosts can look its name up. A world has at most 250.
    #[must_use]
    pub fn host(&self, name: &str) -> SimHost {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number <= 250, "a world has at most 250 hosts");
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        self.net.name(name, ip);
        let random = SeededRandom::new(self.seed).fork(0x1_0000 + u64::from(number));
        SimHost(Arc::new(Machine {
            name: name.to_owned(),
            ip,
            clock: self.clock.beside(),
            disk: SimDisk::traced(random.fork(1), self.trace.clone()),
            net: self.net.clone(),
            random: random.fork(2),
            trace: self.trace.clone(),
            scope: Mutex::default(),
        }))
    }
}

impl SimHost {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// Its disk, as its owner sees it.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.0.disk
    }

    /// Its clock, which can be set wrong.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    /// The doors of the running machine. After a crash ask again: the old ones lead nowhere.
    #[must_use]
    pub fn boot(&self) -> Host {
        let machine = &self.0;
        machine.trace.note(format_args!("{} boots", machine.name));
        let random = SeededRandom::new(machine.random.next_u64());
        Host::simulated(
            Arc::new(machine.clock.clone()),
            machine.disk.mount(),
            machine.net.of_host(machine.ip),
            Arc::new(random),
        )
    }

    /// Runs a task on this machine: a crash ends it and all that it has started.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> TaskHandle<T> {
        let scope = self.0.scope.lock().clone();
        scope.spawn(task)
    }

    /// Ends every task, connection and open file of this machine; without power also what is not durable.
    pub fn crash(&self, power: Power) {
        let machine = &self.0;
        machine.trace.note(format_args!("{} crashes, power {power:?}", machine.name));
        std::mem::take(&mut *machine.scope.lock()).end();
        machine.disk.crash(power);
        machine.net.crash(machine.ip);
    }
}
