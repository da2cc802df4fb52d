//! The network as one host sees it: listening, connecting, looking up.

use super::stream::{Connection, SimStream};
use super::{SimNet, State};
use crate::{BoxFuture, Listener, Net, Stream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Connections that may wait to be accepted.
const BACKLOG: usize = 128;

/// How long a connection is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Door {
    pub(super) net: SimNet,
    pub(super) ip: IpAddr,
    pub(super) generation: u64,
}

/// A place that is listened on.
pub(super) struct Waiting {
    bound: IpAddr,
    queue: VecDeque<u64>,
    pub(super) waker: Option<Waker>,
}

struct SimListener {
    net: SimNet,
    ip: IpAddr,
    generation: u64,
    local: SocketAddr,
}

impl Net for Door {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { self.listen_now(addr) })
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.connect_slowly(addr)).await {
                Ok(result) => result,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        })
    }

    fn resolve<'a>(&'a self, host_and_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { self.look_up(host_and_port) })
    }
}

impl Door {
    fn check(&self, state: &State) -> io::Result<()> {
        if state.generation(self.ip) == self.generation {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NetworkDown, "the simulated host of this network has crashed"))
    }

    fn listen_now(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let state = &mut *self.net.0.state.lock();
        self.check(state)?;
        if !(addr.ip().is_unspecified() || addr.ip().is_loopback() || addr.ip() == self.ip) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let port = if addr.port() == 0 { state.free_port(self.ip) } else { addr.port() };
        if state.listeners.contains_key(&(self.ip, port)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let waiting = Waiting { bound: addr.ip(), queue: VecDeque::new(), waker: None };
        state.listeners.insert((self.ip, port), waiting);
        state.trace.mark(format_args!("net listen {} {port}", self.ip));
        let (net, local) = (self.net.clone(), SocketAddr::new(addr.ip(), port));
        Ok(Box::new(SimListener { net, ip: self.ip, generation: self.generation, local }))
    }

    async fn connect_slowly(&self, addr: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let target = if addr.ip().is_loopback() || addr.ip().is_unspecified() { self.ip } else { addr.ip() };
        let delay = self.net.0.state.lock().delay();
        tokio::time::sleep(delay).await;
        let stream = loop {
            let healed = self.net.0.healed.notified();
            if let Some(stream) = self.try_connect(target, addr)? {
                break stream;
            }
            healed.await;
        };
        let delay = self.net.0.state.lock().delay();
        tokio::time::sleep(delay).await;
        Ok(Box::new(stream))
    }

    /// The connection, or `None` while a partition is in the way.
    fn try_connect(&self, target: IpAddr, addr: SocketAddr) -> io::Result<Option<SimStream>> {
        let state = &mut *self.net.0.state.lock();
        self.check(state)?;
        if state.is_cut([self.ip, target]) {
            return Ok(None);
        }
        let is_local = target == self.ip;
        let fits = |waiting: &Waiting| {
            let open = is_local || !waiting.bound.is_loopback();
            open && waiting.queue.len() < BACKLOG
        };
        if !state.listeners.get(&(target, addr.port())).is_some_and(fits) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let from = if addr.ip().is_loopback() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.ip };
        let local = SocketAddr::new(from, state.free_port(from));
        let peer = if addr.ip().is_unspecified() { SocketAddr::new(target, addr.port()) } else { addr };
        let id = state.next_connection;
        state.next_connection += 1;
        state.connections.insert(id, Connection::new([local, peer], [self.ip, target]));
        state.trace.mark(format_args!("net connect {id} {local} {peer}"));
        if let Some(waiting) = state.listeners.get_mut(&(target, addr.port())) {
            waiting.queue.push_back(id);
            super::wake(&mut waiting.waker);
        }
        Ok(Some(SimStream::new(self.net.clone(), id, 0, [local, peer])))
    }

    fn look_up(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        let state = &mut *self.net.0.state.lock();
        self.check(state)?;
        if let Ok(addr) = host_and_port.parse() {
            return Ok(vec![addr]);
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("no simulated host behind {host_and_port}"));
        let (name, port) = host_and_port.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().map_err(|_| unknown())?;
        if name == "localhost" {
            return Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)]);
        }
        let ip = state.names.get(name).ok_or_else(unknown)?;
        Ok(vec![SocketAddr::new(*ip, port)])
    }
}

impl Listener for SimListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(poll_fn(|cx| self.poll_accept(cx)))
    }
}

impl SimListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Stream>>> {
        let state = &mut *self.net.0.state.lock();
        if state.generation(self.ip) != self.generation {
            return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
        }
        let Some(waiting) = state.listeners.get_mut(&(self.ip, self.local.port())) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while let Some(id) = waiting.queue.pop_front() {
            if let Some(connection) = state.connections.get(&id) {
                let stream = SimStream::new(self.net.clone(), id, 1, connection.ends);
                return Poll::Ready(Ok(Box::new(stream)));
            }
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let state = &mut *self.net.0.state.lock();
        if state.generation(self.ip) != self.generation {
            return;
        }
        let Some(waiting) = state.listeners.remove(&(self.ip, self.local.port())) else { return };
        for id in waiting.queue {
            if let Some(connection) = state.connections.get_mut(&id) {
                connection.reset();
            }
        }
    }
}
