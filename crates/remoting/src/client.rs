//! Asking other servers: name servers, brokers, of ours or the original's.
//!
//! One connection for each address, shared by all who ask, opened when first needed and again after it broke.

use crate::server::{Call, CallError, Connection, Door, Options, Response, Work, drive_client};
use parking_lot::Mutex;
use rt::{Host, Shutdown, ShutdownTrigger};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::frame::RawFrame;
use wire::remoting::{RequestCode, ResponseCode};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// The server.
        address: String,
        /// The system's answer.
        error: io::Error,
    },
    /// Connected, but no answer came.
    #[error("{address} gave no answer to {code}: {error}")]
    Call {
        /// The server.
        address: String,
        /// What was asked.
        code: RequestCode,
        /// What happened.
        error: CallError,
    },
    /// The server refused.
    #[error("{address} refused {request}: {code}: {remark}")]
    Refused {
        /// The server.
        address: String,
        /// What was asked.
        request: RequestCode,
        /// Its code.
        code: ResponseCode,
        /// Its reason.
        remark: String,
    },
}

/// Asks servers. Cheap to clone; the connections close when the last clone is gone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    host: Host,
    options: Options,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    door: Arc<dyn Door>,
    shutdown: Shutdown,
    _stop: ShutdownTrigger,
}

/// Servers that are asked do not ask back; what they send on their own is dropped.
struct NoDoor;

impl Door for NoDoor {
    fn call(&self, _: &Arc<Connection>, _: Vec<RawFrame<'_>>, _: &mut Work) {}

    fn closed(&self, _: &Arc<Connection>) {}
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self::with_door(host, Arc::new(NoDoor))
    }

    /// A client whose servers may ask back.
    #[must_use]
    pub fn with_door(host: Host, door: Arc<dyn Door>) -> Self {
        let (stop, shutdown) = ShutdownTrigger::new();
        let options = Options::default();
        Self(Arc::new(Inner { host, options, connections: Mutex::default(), door, shutdown, _stop: stop }))
    }

    /// Asks the server at `address` (`host:port`) and gives its answer whatever its code.
    ///
    /// # Errors
    /// [`ClientError`] if no answer came.
    pub async fn call(&self, address: &str, call: &Call<'_>, within: Duration) -> Result<Response, ClientError> {
        let (connection, was_open) = self.connection(address).await?;
        let failed = |error| ClientError::Call { address: address.to_owned(), code: RequestCode(call.code), error };
        match connection.call(call, within).await {
            Ok(response) => Ok(response),
            // It may have been closed since it was last used, before the request was read.
            Err(CallError::Closed) if was_open => {
                self.forget(address, &connection);
                let (connection, _) = self.connection(address).await?;
                connection.call(call, within).await.map_err(failed)
            }
            Err(error) => {
                if error == CallError::Timeout {
                    self.forget(address, &connection);
                }
                Err(failed(error))
            }
        }
    }

    /// Asks like [`call`](Self::call), but hands the request to a connection once at most: for what must not be done twice.
    ///
    /// # Errors
    /// [`ClientError`] if no answer came; after [`ClientError::Call`] the server may have done it all the same.
    pub async fn call_once(&self, address: &str, call: &Call<'_>, within: Duration) -> Result<Response, ClientError> {
        let (connection, _) = self.connection(address).await?;
        let answer = connection.call(call, within).await;
        answer.map_err(|error| {
            if error == CallError::Timeout {
                self.forget(address, &connection);
            }
            ClientError::Call { address: address.to_owned(), code: RequestCode(call.code), error }
        })
    }

    /// Asks, and takes any code but success for a refusal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ask(&self, address: &str, call: &Call<'_>, within: Duration) -> Result<Response, ClientError> {
        let response = self.call(address, call, within).await?;
        if response.code == ResponseCode::SUCCESS.0 {
            return Ok(response);
        }
        Err(ClientError::Refused {
            address: address.to_owned(),
            request: RequestCode(call.code),
            code: ResponseCode(response.code),
            remark: response.remark.unwrap_or_default(),
        })
    }

    /// Tells without waiting for an answer.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection.
    pub async fn tell(&self, address: &str, call: &Call<'_>) -> Result<(), ClientError> {
        let (connection, _) = self.connection(address).await?;
        connection.notify(call).map_err(|error| ClientError::Call {
            address: address.to_owned(),
            code: RequestCode(call.code),
            error,
        })
    }

    fn forget(&self, address: &str, connection: &Arc<Connection>) {
        let mut connections = self.0.connections.lock();
        if connections.get(address).is_some_and(|known| Arc::ptr_eq(known, connection)) {
            connections.remove(address);
        }
        connection.close();
    }

    /// The connection to an address, and whether it was open before.
    async fn connection(&self, address: &str) -> Result<(Arc<Connection>, bool), ClientError> {
        if let Some(known) = self.0.connections.lock().get(address).filter(|known| !known.is_closed()) {
            return Ok((Arc::clone(known), true));
        }
        let opened = rt::timeout(CONNECT_TIMEOUT, self.open(address)).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let connection = opened.map_err(|error| ClientError::Connect { address: address.to_owned(), error })?;
        self.0.connections.lock().insert(address.to_owned(), Arc::clone(&connection));
        Ok((connection, false))
    }

    async fn open(&self, address: &str) -> io::Result<Arc<Connection>> {
        let inner = &self.0;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for candidate in inner.host.net.resolve(address).await? {
            match inner.host.net.connect(candidate).await {
                Ok(stream) => {
                    let clock = Arc::clone(&inner.host.clock);
                    let (door, shutdown) = (Arc::clone(&inner.door), inner.shutdown.clone());
                    return Ok(drive_client(stream, door, inner.options.clone(), clock, shutdown));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reply;
    use crate::server::Server;
    use rt::sim;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use wire::remoting::header::Header;

    /// Answers the first request; of all others it counts that they came, and drops their connection.
    #[derive(Default)]
    struct Dropping(AtomicUsize);

    impl Door for Dropping {
        fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, _: &mut Work) {
            for frame in requests {
                if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
                    connection.close();
                    continue;
                }
                let opaque = Header::parse(&frame).unwrap().opaque;
                connection.send(|out| Reply::ok().write(out, frame.encoding, opaque));
            }
        }

        fn closed(&self, _: &Arc<Connection>) {}
    }

    #[test]
    fn what_must_not_be_done_twice_is_asked_once_when_the_connection_drops() {
        sim::run(1, |world| async move {
            let (machine, asker) = (world.host("server"), world.host("client"));
            for (is_once, expected) in [(false, 3), (true, 2)] {
                let door = Arc::new(Dropping::default());
                let addr = SocketAddr::new(machine.ip(), 1000 + expected as u16);
                let (stop, shutdown) = ShutdownTrigger::new();
                let server =
                    Server::bind(&machine.boot(), addr, Options::default(), None, Arc::clone(&door) as _).await;
                machine.spawn(server.unwrap().serve(shutdown));
                let (client, address) = (Client::new(asker.boot()), addr.to_string());
                let (call, within) = (Call { code: 10, fields: &[], body: b"x" }, Duration::from_secs(3));
                client.call_once(&address, &call, within).await.unwrap();
                let error = match is_once {
                    true => client.call_once(&address, &call, within).await.unwrap_err(),
                    false => client.call(&address, &call, within).await.unwrap_err(),
                };
                assert!(matches!(error, ClientError::Call { error: CallError::Closed, .. }), "{error}");
                assert_eq!(door.0.load(Ordering::Relaxed), expected);
                stop.fire();
            }
        });
    }
}
