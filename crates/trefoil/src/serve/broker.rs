//! The broker's role: store, metadata, ports and registration.

use super::node::Node;
use super::{Address, Hosts, setup};
use crate::config::Settings;
use crate::start::StartError;
use ::broker::Broker;
use cluster::metadata::{self, Metadata};
use remoting::broker::BrokerDoor;
use remoting::client::Client;
use remoting::register::Registration;
use remoting::server::{Door, Server, Tls};
use rt::{Host, Shutdown, ShutdownTrigger, Space, TaskHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Flush, Store};

/// How far below the broker's port the one for the VIP channel lies.
const VIP_DISTANCE: u16 = 2;
/// Sizes of a file of the log that are chosen by themselves.
const SEGMENT_BYTES_MIN: u64 = 16 << 20;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
const SEGMENTS_PER_DISK: u64 = 32;
const SECONDS_PER_HOUR: u64 = 3600;
/// Tries to find two free ports at that distance.
const FREE_PORT_TRIES: usize = 32;
/// How long a start waits for name servers; the rest happens in the background.
const REGISTER_AT_START_MAX: Duration = Duration::from_secs(2);

/// What the ports of a broker need.
pub(super) struct Doors {
    pub(super) tls: Option<Tls>,
    pub(super) name_servers: Vec<String>,
    pub(super) ending: Shutdown,
}

/// A broker that serves.
pub(super) struct Running {
    broker: Arc<Broker>,
    port: SocketAddr,
    vip_port: SocketAddr,
    doors: Vec<TaskHandle<()>>,
    background: Vec<TaskHandle<()>>,
    /// Background work goes on until the ports are closed: parked requests may need it.
    background_end: ShutdownTrigger,
}

/// Opens what was stored and starts to serve it.
pub(super) async fn start(
    host: &Host,
    settings: &Settings,
    hosts: &Hosts,
    node: &Arc<Node>,
    doors: Doors,
) -> Result<Running, StartError> {
    let store = open_store(host, settings).await?;
    let metadata = open_metadata(host, settings).await?;
    let port = free_port(host, hosts, settings.broker_port).await?;
    let advertised = hosts.advertised(port);
    let options = options(settings, advertised);
    let broker = Broker::new(host.clone(), store, metadata, options);
    let settled = broker.settle_offsets().await;
    settled
        .map_err(|error| StartError::Metadata { dir: settings.data_dir.join("metadata"), error: error.to_string() })?;

    let door: Arc<dyn Door> = Arc::new(BrokerDoor::new(Arc::clone(&broker)));
    let main = bind(host, settings, hosts.listen(port), &doors.tls, &door).await?;
    let vip = bind(host, settings, hosts.listen(port - VIP_DISTANCE), &doors.tls, &door).await?;
    node.show(&broker, vec![("broker", main.open_connections()), ("broker-vip", vip.open_connections())]);
    let (port, vip_port) = (main.local_addr(), vip.local_addr());
    let mut serving = Vec::from([main, vip].map(|server| rt::spawn(server.serve(doors.ending.clone()))));

    let address = hosts.advertised_text(port.port());
    let registration = Registration::new(Arc::clone(&broker), Client::new(host.clone()), doors.name_servers, address);
    if rt::timeout(REGISTER_AT_START_MAX, registration.register_all()).await.is_err() {
        tracing::warn!("a name server has not answered yet; registering goes on in the background");
    }
    serving.push(rt::spawn(registration.run(doors.ending)));

    let (background_end, background_ending) = ShutdownTrigger::new();
    let background = vec![rt::spawn(Arc::clone(&broker).run(background_ending))];
    Ok(Running { broker, port, vip_port, doors: serving, background, background_end })
}

impl Running {
    /// Where it can be reached.
    pub(super) fn addresses(&self) -> [Address; 2] {
        [("broker", self.port), ("broker-vip", self.vip_port)]
    }

    /// Waits until requests in work are finished, then closes what is stored. Shutdown must have been asked for.
    pub(super) async fn ended(self) {
        join(self.doors).await;
        self.background_end.fire();
        join(self.background).await;
        self.broker.store().close().await;
        if let Err(error) = self.broker.metadata().close().await {
            tracing::error!(%error, "the last consumer offsets could not be stored");
        }
    }
}

async fn join(tasks: Vec<TaskHandle<()>>) {
    for task in tasks {
        if task.await.is_err() {
            tracing::error!("a part of the broker panicked");
        }
    }
}

/// Size of a file of the log that suits a disk: small enough that retention and a full disk are no matter of a few files,
/// large enough for the largest message and what is stored with it.
fn segment_bytes(space: Space, message_bytes_max: usize) -> u64 {
    let wanted = (space.total / SEGMENTS_PER_DISK).max(1);
    let least = (4 * message_bytes_max as u64).max(SEGMENT_BYTES_MIN);
    (1 << wanted.ilog2()).clamp(least, SEGMENT_BYTES_MAX)
}

async fn open_store(host: &Host, settings: &Settings) -> Result<Store, StartError> {
    let mut options = store::Options::new(settings.data_dir.join("store"));
    options.flush = if settings.is_flush_sync { Flush::Sync } else { Flush::Async };
    options.flush_interval_ms = settings.flush_interval_ms;
    let dir = options.dir.clone();
    let (disk, data_dir) = (Arc::clone(&host.disk), settings.data_dir.clone());
    let fitting = |space| segment_bytes(space, settings.message_bytes_max);
    options.segment_bytes = match settings.segment_bytes {
        Some(bytes) => bytes,
        None => host.run_blocking(move || disk.space(&data_dir)).await.map_or(SEGMENT_BYTES_MAX, fitting),
    };
    let blocking = host.clone();
    let opened = host.run_blocking(move || Store::open(&blocking, options)).await;
    let (store, recovered) = opened.map_err(|error| StartError::Store { dir, error: error.to_string() })?;
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            position = cut.position.0,
            reason = cut.reason,
            "the log ended in an unfinished write, which was cut"
        );
    }
    for damage in &recovered.damages {
        let (position, until) = (damage.position.0, damage.until.0);
        tracing::error!(position, until, reason = damage.reason, "THE LOG IS DAMAGED here; these bytes are not served");
    }
    tracing::info!(queues = recovered.queues, scanned_bytes = recovered.scanned_bytes, "messages opened");
    Ok(store)
}

async fn open_metadata(host: &Host, settings: &Settings) -> Result<Metadata, StartError> {
    let dir = settings.data_dir.join("metadata");
    let (blocking, at) = (host.clone(), dir.clone());
    let opened = host.run_blocking(move || Metadata::open(&blocking, at, metadata::Options::default())).await;
    opened.map_err(|error| StartError::Metadata { dir, error: error.to_string() })
}

fn options(settings: &Settings, advertised: SocketAddr) -> ::broker::Options {
    ::broker::Options {
        cluster: settings.cluster.clone(),
        broker_name: settings.broker_name.clone(),
        broker_id: settings.broker_id,
        zone: settings.zone.clone(),
        message_bytes_max: settings.message_bytes_max,
        auto_create_topics: settings.auto_create_topics,
        auto_create_groups: settings.auto_create_groups,
        default_topic_queues: settings.default_topic_queues,
        retention: Duration::from_secs(settings.retention_hours.saturating_mul(SECONDS_PER_HOUR)),
        retention_bytes: settings.retention_bytes,
        disk_reserve_bytes: settings.disk_reserve_bytes,
        cold_read_bytes_per_second: settings.cold_read_bytes_per_second,
        pull_messages_max: settings.pull_messages_max,
        timer_delay_max: Duration::from_secs(settings.timer_delay_max_seconds),
        ..::broker::Options::new(advertised)
    }
}

async fn bind(
    host: &Host,
    settings: &Settings,
    addr: SocketAddr,
    tls: &Option<Tls>,
    door: &Arc<dyn Door>,
) -> Result<Server, StartError> {
    let server = Server::bind(host, addr, setup::listener(settings), tls.clone(), Arc::clone(door)).await;
    server.map_err(|error| StartError::Listen { role: "broker", option: "broker-port", addr, error })
}

/// The port asked for; for 0, one that is free together with its VIP port. The broker must know its address before it
/// listens, so the port is tried out first.
async fn free_port(host: &Host, hosts: &Hosts, asked: u16) -> Result<u16, StartError> {
    let failed = |addr, error| StartError::Listen { role: "broker", option: "broker-port", addr, error };
    if asked != 0 {
        return Ok(asked);
    }
    let any = hosts.listen(0);
    for _ in 0..FREE_PORT_TRIES {
        let main = host.net.listen(any).await.map_err(|error| failed(any, error))?;
        let port = main.local_addr().port();
        if port > VIP_DISTANCE && host.net.listen(hosts.listen(port - VIP_DISTANCE)).await.is_ok() {
            return Ok(port);
        }
    }
    Err(failed(any, std::io::Error::other("no two free ports at a distance of two were found")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_disks_get_small_files() {
        let check = |total: u64, message: usize, expected: u64| {
            assert_eq!(segment_bytes(Space { total, available: 0 }, message), expected);
        };
        check(0, 4 << 20, 16 << 20);
        check(400 << 20, 4 << 20, 16 << 20);
        check(10 << 30, 4 << 20, 256 << 20);
        check(4 << 40, 4 << 20, 1 << 30);
        check(400 << 20, 64 << 20, 256 << 20);
    }
}
