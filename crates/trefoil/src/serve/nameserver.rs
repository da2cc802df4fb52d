//! The name server's role.

use super::Hosts;
use crate::config::Settings;
use crate::start::StartError;
use remoting::server::Tls;
use rt::{Host, Shutdown, TaskHandle};
use std::net::SocketAddr;

/// Starts to answer who serves what.
pub(super) async fn start(
    host: &Host,
    settings: &Settings,
    hosts: &Hosts,
    tls: Option<Tls>,
    ending: Shutdown,
) -> Result<(SocketAddr, TaskHandle<()>), StartError> {
    let _ = (host, settings, hosts, tls);
    Ok((hosts.listen(settings.nameserver_port), rt::spawn(async move { ending.wait().await })))
}
