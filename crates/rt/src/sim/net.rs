//! One network between all simulated hosts: delays from the seed, cut connections, partitions.

mod door;
mod stream;

use super::{SeededRandom, Trace};
use crate::{Net, Random};
use door::{Door, Waiting};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use stream::Connection;
use tokio::sync::Notify;

/// The network as the simulation's owner sees it; a node sees [`SimNet::of_host`]. Clones are the same network.
#[derive(Clone)]
pub struct SimNet(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    healed: Notify,
}

struct State {
    random: SeededRandom,
    trace: Trace,
    /// Grows with each crash of a host; doors of an earlier one are closed.
    generations: BTreeMap<IpAddr, u64>,
    names: BTreeMap<String, IpAddr>,
    listeners: BTreeMap<(IpAddr, u16), Waiting>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    next_port: u16,
    partitions: Vec<(BTreeSet<IpAddr>, BTreeSet<IpAddr>)>,
    delay_max: Duration,
}

/// Longest time a piece of data travels unless told otherwise.
const DELAY_MAX_DEFAULT: Duration = Duration::from_millis(5);

/// First of the ports that connections are opened from and that stand for "any".
const PORT_FIRST: u16 = 32_768;

impl SimNet {
    /// A network without hosts.
    #[must_use]
    pub fn new(random: SeededRandom, trace: Trace) -> Self {
        let state = State {
            random,
            trace,
            generations: BTreeMap::new(),
            names: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_port: PORT_FIRST,
            partitions: Vec::new(),
            delay_max: DELAY_MAX_DEFAULT,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), healed: Notify::new() }))
    }

    /// The network as the host at `ip` sees it, until its next crash.
    #[must_use]
    pub fn of_host(&self, ip: IpAddr) -> Arc<dyn Net> {
        let generation = self.0.state.lock().generation(ip);
        Arc::new(Door { net: self.clone(), ip, generation })
    }

    /// Gives a host a name that others can look up.
    pub fn name(&self, name: &str, ip: IpAddr) {
        self.0.state.lock().names.insert(name.to_owned(), ip);
    }

    /// Sets the longest time that a piece of data travels.
    pub fn set_delay_max(&self, delay: Duration) {
        self.0.state.lock().delay_max = delay;
    }

    /// Stops all traffic between two groups of hosts until [`SimNet::heal`]: data waits, new connections time out.
    pub fn partition(&self, some: impl IntoIterator<Item = IpAddr>, others: impl IntoIterator<Item = IpAddr>) {
        let state = &mut *self.0.state.lock();
        let (some, others): (BTreeSet<_>, BTreeSet<_>) = (some.into_iter().collect(), others.into_iter().collect());
        state.trace.note(format_args!("net partition {some:?} from {others:?}"));
        state.partitions.push((some, others));
    }

    /// Ends every partition.
    pub fn heal(&self) {
        let state = &mut *self.0.state.lock();
        state.trace.note(format_args!("net heals"));
        state.partitions.clear();
        state.connections.values_mut().for_each(Connection::wake);
        self.0.healed.notify_waiters();
    }

    /// Resets one open connection, chosen at random. False if there is none.
    #[must_use]
    pub fn cut_one(&self) -> bool {
        let state = &mut *self.0.state.lock();
        let nth = state.random.index(state.connections.len());
        let Some((id, connection)) = state.connections.iter_mut().nth(nth) else { return false };
        state.trace.note(format_args!("net cuts connection {id}"));
        connection.reset();
        true
    }

    /// Resets every connection of a host.
    pub fn cut_host(&self, ip: IpAddr) {
        let state = &mut *self.0.state.lock();
        state.trace.note(format_args!("net cuts {ip}"));
        state.connections.values_mut().filter(|connection| connection.concerns(ip)).for_each(Connection::reset);
    }

    /// Closes all doors of a host.
    pub(super) fn crash(&self, ip: IpAddr) {
        let state = &mut *self.0.state.lock();
        *state.generations.entry(ip).or_default() += 1;
        state.connections.values_mut().filter(|connection| connection.concerns(ip)).for_each(Connection::reset);
        let gone: Vec<_> = state.listeners.keys().filter(|(host, _)| *host == ip).copied().collect();
        for key in gone {
            if let Some(waker) = state.listeners.remove(&key).and_then(|listener| listener.waker) {
                waker.wake();
            }
        }
    }
}

impl State {
    fn generation(&self, ip: IpAddr) -> u64 {
        self.generations.get(&ip).copied().unwrap_or(0)
    }

    fn delay(&self) -> Duration {
        let most = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
        // Most pieces are quick; one in eight takes its time.
        let most = if self.random.below(8) == 0 { most } else { most / 4 };
        Duration::from_micros(self.random.below(most.saturating_add(1)))
    }

    fn is_cut(&self, hosts: [IpAddr; 2]) -> bool {
        let [a, b] = hosts;
        let between = |(some, others): &(BTreeSet<IpAddr>, BTreeSet<IpAddr>)| {
            (some.contains(&a) && others.contains(&b)) || (some.contains(&b) && others.contains(&a))
        };
        self.partitions.iter().any(between)
    }

    /// A port that nobody uses.
    fn free_port(&mut self, ip: IpAddr) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(PORT_FIRST);
            let is_used =
                self.connections.values().any(|connection| connection.ends.contains(&SocketAddr::new(ip, port)));
            if !is_used && !self.listeners.contains_key(&(ip, port)) {
                return port;
            }
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
