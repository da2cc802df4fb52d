//! A node as the binary composes it, on a simulated host.

use anyhow::{Context, Result};
use broker::Broker;
use cluster::metadata::Metadata;
use remoting::broker::BrokerDoor;
use remoting::server::{self, Server};
use rt::sim::SeededRandom;
use rt::{Host, ShutdownTrigger};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;

/// Where clients find the broker.
pub(super) const BROKER_PORT: u16 = 10_911;

/// Folder of the messages.
const STORE_DIR: &str = "/data/store";

/// Folder of topics, groups and offsets.
const METADATA_DIR: &str = "/data/metadata";

/// A store of small files, so that short runs see many of them. Flush is the default: an acknowledgement is durable.
pub(super) fn store_options(random: &SeededRandom) -> store::Options {
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

/// Starts broker and door; they run until the host crashes.
pub(super) async fn start(host: Host, ip: IpAddr, options: store::Options) -> Result<()> {
    let addr = SocketAddr::new(ip, BROKER_PORT);
    let (store, recovered) = Store::open(&host, options).context("the store does not open")?;
    anyhow::ensure!(recovered.damages.is_empty(), "damage that nobody did: {:?}", recovered.damages);
    let metadata = Metadata::open(&host, METADATA_DIR, cluster::metadata::Options::default())?;
    let broker = Broker::new(host.clone(), store, metadata, broker::Options::new(addr));
    let (trigger, shutdown) = ShutdownTrigger::new();
    let door = Arc::new(BrokerDoor::new(Arc::clone(&broker)));
    let server = Server::bind(&host, addr, server::Options::default(), None, door).await?;
    rt::spawn(broker.run(shutdown.clone()));
    rt::spawn(async move {
        server.serve(shutdown).await;
        drop(trigger);
    });
    Ok(())
}
