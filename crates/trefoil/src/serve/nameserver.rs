//! The name server's role.

use super::{Hosts, setup};
use crate::config::Settings;
use crate::start::StartError;
use cluster::metadata::{self, Metadata};
use remoting::nameserver::NameServer;
use remoting::server::{Door, Server, Tls};
use rt::{Host, Shutdown, TaskHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Starts to answer who serves what.
pub(super) async fn start(
    host: &Host,
    settings: &Settings,
    hosts: &Hosts,
    tls: Option<Tls>,
    ending: Shutdown,
) -> Result<(SocketAddr, TaskHandle<()>), StartError> {
    let metadata = open_metadata(host, settings).await?;
    let name_server = NameServer::new(host, metadata.clone(), Duration::from_secs(settings.nameserver_wait_seconds));
    let addr = hosts.listen(settings.nameserver_port);
    let door: Arc<dyn Door> = Arc::clone(&name_server) as _;
    let server = Server::bind(host, addr, setup::listener(settings), tls, door).await;
    let failed = |error| StartError::Listen { role: "name server", option: "nameserver-port", addr, error };
    let server = server.map_err(failed)?;
    let addr = server.local_addr();
    let task = rt::spawn(async move {
        let expiring = rt::spawn(name_server.run(ending.clone()));
        server.serve(ending).await;
        if expiring.await.is_err() {
            tracing::error!("the name server's expiry panicked");
        }
        if let Err(error) = metadata.close().await {
            tracing::error!(%error, "the name server's texts could not be stored");
        }
    });
    Ok((addr, task))
}

async fn open_metadata(host: &Host, settings: &Settings) -> Result<Metadata, StartError> {
    let dir = settings.data_dir.join("nameserver");
    let (blocking, at) = (host.clone(), dir.clone());
    let opened = host.run_blocking(move || Metadata::open(&blocking, at, metadata::Options::default())).await;
    opened.map_err(|error| StartError::Metadata { dir, error: error.to_string() })
}
