//! Byte streams between addresses.

use crate::BoxFuture;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

mod real;
pub use real::RealNet;

/// An open connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The other end.
    fn peer_addr(&self) -> SocketAddr;
    /// This end.
    fn local_addr(&self) -> SocketAddr;
}

/// Accepts connections on one address.
pub trait Listener: Send {
    /// The address that is listened on; the real port where 0 was asked for.
    fn local_addr(&self) -> SocketAddr;
    /// The next connection. An error concerns one connection or a passing shortage: call again.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// The network as one host sees it.
pub trait Net: Send + Sync {
    /// Listens on an address; port 0 means any free port.
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Opens a connection.
    fn connect(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
    /// The addresses behind `host:port`, looked up anew at each call.
    fn resolve<'a>(&'a self, host_and_port: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}
