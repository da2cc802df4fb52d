//! Which addresses are listened on and told to clients.

use crate::config::Settings;
use crate::start::StartError;
use rt::Host;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address that documentation uses and nobody has. Nothing is sent to it.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The hosts of this process.
pub(super) struct Hosts {
    listen: IpAddr,
    /// As it is told to clients: may be a name.
    advertised_text: String,
    advertised: IpAddr,
}

impl Hosts {
    /// Looks up what the options say.
    pub(super) async fn find(host: &Host, settings: &Settings) -> Result<Self, StartError> {
        let listen = lookup(host, "listen-host", &settings.listen_host).await?;
        let advertised_text = match &settings.advertise_host {
            Some(advertised) => advertised.clone(),
            None if listen.is_unspecified() => own_address().unwrap_or(Ipv4Addr::LOCALHOST.into()).to_string(),
            None => listen.to_string(),
        };
        let advertised = lookup(host, "advertise-host", &advertised_text).await?;
        Ok(Self { listen, advertised_text, advertised })
    }

    /// Where to listen.
    pub(super) fn listen(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.listen, port)
    }

    /// What is stored with messages.
    pub(super) fn advertised(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.advertised, port)
    }

    /// What clients are told.
    pub(super) fn advertised_text(&self, port: u16) -> String {
        match self.advertised_text.contains(':') {
            true => format!("[{}]:{port}", self.advertised_text),
            false => format!("{}:{port}", self.advertised_text),
        }
    }

    /// Says it loudly if anybody may come.
    pub(super) fn warn_if_open(&self) {
        if !self.listen.is_loopback() {
            tracing::warn!(
                "LISTENING ON {} WITHOUT ACCESS CONTROL: whoever reaches these ports can read, write and delete everything; \
                 keep them behind a firewall, or set listen-host to 127.0.0.1",
                self.listen
            );
        }
        if self.advertised.is_loopback() && !self.listen.is_loopback() {
            tracing::warn!(
                "clients are told to connect to {}: only this machine can; set advertise-host",
                self.advertised
            );
        }
    }
}

/// The address for connections from this machine to a port of its own.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        return SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listening.port());
    }
    listening
}

async fn lookup(host: &Host, option: &'static str, value: &str) -> Result<IpAddr, StartError> {
    if let Ok(addr) = value.parse() {
        return Ok(addr);
    }
    let failed = |error: String| StartError::Lookup { option, value: value.to_owned(), error };
    let found = host.net.resolve(&format!("{value}:0")).await.map_err(|error| failed(error.to_string()))?;
    let preferred = found.iter().find(|addr| addr.is_ipv4()).or(found.first());
    preferred.map(SocketAddr::ip).ok_or_else(|| failed("it has no address".to_owned()))
}

/// The address that packets to other machines would leave from.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(NOWHERE).ok()?;
    let addr = socket.local_addr().ok()?.ip();
    (!addr.is_unspecified()).then_some(addr)
}
