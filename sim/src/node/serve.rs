//! A node as the binary composes it, on a simulated host.

use anyhow::{Context, Result};
use broker::Broker;
use cluster::metadata::{self, Metadata};
use remoting::broker::BrokerDoor;
use remoting::client::Client;
use remoting::nameserver::NameServer;
use remoting::register::Registration;
use remoting::server::{self, Door, Server};
use rt::sim::SeededRandom;
use rt::{Host, ShutdownTrigger};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Where clients find the broker.
pub(crate) const BROKER_PORT: u16 = 10_911;

/// Where clients and brokers find the name server.
pub(crate) const NAME_SERVER_PORT: u16 = 9876;

/// Folder of the messages.
const STORE_DIR: &str = "/data/store";

/// Folder of topics, groups and offsets.
const METADATA_DIR: &str = "/data/metadata";

/// Folder of the name server's own texts.
const NAMES_DIR: &str = "/data/nameserver";

/// A store of small files, so that short runs see many of them. Flush is the default: an acknowledgement is durable.
pub(crate) fn store_options(random: &SeededRandom) -> store::Options {
    let pick = |among: &[u64]| among[random.index(among.len())];
    store::Options {
        dir: PathBuf::from(STORE_DIR),
        segment_bytes: pick(&[32 << 10, 256 << 10]),
        run_entries_max: usize::try_from(pick(&[32, 1024])).unwrap_or(1024),
        run_log_bytes: pick(&[8 << 10, 1 << 20]),
        hot_bytes: pick(&[4 << 10, 1 << 20]),
        ..store::Options::default()
    }
}

/// Starts a name server and its door; they run until the host crashes.
pub(crate) async fn start_name_server(host: Host, ip: IpAddr) -> Result<()> {
    let metadata = Metadata::open(&host, NAMES_DIR, metadata::Options::default())?;
    let name_server = NameServer::new(&host, metadata, Duration::ZERO);
    let door: Arc<dyn Door> = Arc::clone(&name_server) as _;
    let addr = SocketAddr::new(ip, NAME_SERVER_PORT);
    let server = Server::bind(&host, addr, server::Options::default(), None, door).await?;
    let (trigger, shutdown) = ShutdownTrigger::new();
    rt::spawn(name_server.run(shutdown.clone()));
    rt::spawn(until_crash(server.serve(shutdown), trigger));
    Ok(())
}

/// Starts broker, door and registration; they run until the host crashes.
pub(crate) async fn start_broker(host: Host, ip: IpAddr, names: IpAddr, options: store::Options) -> Result<()> {
    let addr = SocketAddr::new(ip, BROKER_PORT);
    let (store, recovered) = Store::open(&host, options).context("the store does not open")?;
    anyhow::ensure!(recovered.damages.is_empty(), "damage that nobody did: {:?}", recovered.damages);
    let metadata = Metadata::open(&host, METADATA_DIR, metadata::Options::default())?;
    let broker = Broker::new(host.clone(), store, metadata, broker::Options::new(addr));
    broker.settle_offsets().await?;
    let door = Arc::new(BrokerDoor::new(Arc::clone(&broker)));
    let server = Server::bind(&host, addr, server::Options::default(), None, door).await?;
    let (trigger, shutdown) = ShutdownTrigger::new();
    rt::spawn(Arc::clone(&broker).run(shutdown.clone()));
    rt::spawn(until_crash(server.serve(shutdown.clone()), trigger));
    let names = SocketAddr::new(names, NAME_SERVER_PORT).to_string();
    let registration = Registration::new(broker, Client::new(host), vec![names], addr.to_string());
    rt::spawn(async move {
        registration.register_all().await;
        registration.run(shutdown).await;
    });
    Ok(())
}

/// Holds the trigger: dropping it would ask for shutdown.
async fn until_crash(serving: impl Future<Output = ()>, trigger: ShutdownTrigger) {
    serving.await;
    drop(trigger);
}
