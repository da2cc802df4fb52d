//! The listener and the life of its connections.
//!
//! Each connection is one task that owns its socket: it reads frames, hands those of one read to the [`Door`] at once
//! (so that a batch of sends becomes one append), polls what the door is still working on, and writes answers in the
//! order in which they are ready.

mod appetite;
mod connection;
mod drive;
mod outbox;
mod pace;
mod proxied;
mod tls;

pub use connection::{Call, CallError, Connection, Response};
pub use drive::Work;
pub use pace::Rates;
pub use tls::{Tls, TlsError};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use rt::{Clock, Host, Listener, Shutdown, Stream};
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use wire::remoting::frame::{Limits, RawFrame};

/// What a role answers. One value serves all connections of a listener.
pub trait Door: Send + Sync + 'static {
    /// Takes the requests that one read brought, in order. What cannot be answered at once is pushed to `work`.
    fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, work: &mut Work);

    /// The same for requests that are too much for the rates of the connection: what a client may be expected to send again
    /// after `wait` can be refused.
    fn call_too_fast(
        &self,
        connection: &Arc<Connection>,
        requests: Vec<RawFrame<'_>>,
        wait: Duration,
        work: &mut Work,
    ) {
        let _ = wait;
        self.call(connection, requests, work);
    }

    /// The connection is gone; no answer can reach it any more.
    fn closed(&self, connection: &Arc<Connection>);
}

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bounds on one frame.
    pub limits: Limits,
    /// Most connections at a time; further ones are closed at once.
    pub connections_max: usize,
    /// Bytes of requests that one connection may have in work, and bytes of answers that may wait for its reader,
    /// before no more is read from it.
    pub inflight_bytes_max: usize,
    /// Bytes and requests a second that are read from one connection; `None`: no bound.
    pub rates: Rates,
    /// How long a connection may be silent in both directions before it is closed.
    pub idle_max: Duration,
    /// How long answers may take after shutdown was asked for.
    pub drain_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connections_max: 50_000,
            inflight_bytes_max: 64 << 20,
            rates: Rates::default(),
            idle_max: Duration::from_secs(120),
            drain_max: Duration::from_secs(5),
        }
    }
}

/// A bound listener that is not accepting yet.
pub struct Server {
    host: Host,
    listener: Box<dyn Listener>,
    options: Options,
    tls: Option<Tls>,
    door: Arc<dyn Door>,
    open: Arc<AtomicUsize>,
}

/// Distinguishes connections for as long as the process lives.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Serves a connection that this side opened; the task ends with the connection.
pub(crate) fn drive_client(
    stream: Box<dyn Stream>,
    door: Arc<dyn Door>,
    options: Options,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Arc<Connection> {
    let id = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
    let connection = Arc::new(Connection::new(id, stream.peer_addr(), stream.local_addr()));
    let driven = Arc::clone(&connection);
    rt::spawn(async move {
        if let Err(error) = drive::run_plain(stream, BytesMut::new(), &driven, &door, &options, clock, shutdown).await {
            tracing::debug!(peer = %driven.peer(), %error, "connection closed");
        }
        driven.close();
        door.closed(&driven);
    });
    connection
}

/// Pause after the system refused to accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Binds `addr`; port 0 means any free port.
    ///
    /// # Errors
    /// The system's, with the address in its text.
    pub async fn bind(
        host: &Host,
        addr: SocketAddr,
        options: Options,
        tls: Option<Tls>,
        door: Arc<dyn Door>,
    ) -> io::Result<Self> {
        let listener = host
            .net
            .listen(addr)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
        Ok(Self { host: host.clone(), listener, options, tls, door, open: Arc::default() })
    }

    /// The address, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The number of open connections, kept current while the server runs.
    #[must_use]
    pub fn open_connections(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    /// Accepts until shutdown, then returns when every connection has finished what it had in work or
    /// [`Options::drain_max`] is over.
    pub async fn serve(mut self, shutdown: Shutdown) {
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.wait() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => {
                    is_failing = false;
                    self.admit(stream, &shutdown);
                }
                Err(error) => {
                    // Said once: it is tried again so often that it would fill the log.
                    if !std::mem::replace(&mut is_failing, true) {
                        let open = self.open.load(Ordering::Acquire);
                        tracing::warn!(%error, open, "cannot accept connections until some are closed; if too many files are open, raise their limit (ulimit -n)");
                    }
                    rt::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let drained = async {
            while self.open.load(Ordering::Acquire) > 0 {
                rt::sleep(Duration::from_millis(5)).await;
            }
        };
        if rt::timeout(self.options.drain_max + Duration::from_secs(1), drained).await.is_err() {
            tracing::warn!(connections = self.open.load(Ordering::Acquire), "connections left open at shutdown");
        }
    }

    fn admit(&self, stream: Box<dyn Stream>, shutdown: &Shutdown) {
        if self.open.fetch_add(1, Ordering::AcqRel) >= self.options.connections_max {
            self.open.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(peer = %stream.peer_addr(), limit = self.options.connections_max, "too many connections; closed");
            return;
        }
        let id = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(id, stream.peer_addr(), stream.local_addr()));
        let (door, options, tls) = (Arc::clone(&self.door), self.options.clone(), self.tls.clone());
        let (open, clock, shutdown) = (Arc::clone(&self.open), Arc::clone(&self.host.clock), shutdown.clone());
        rt::spawn(async move {
            let driving = drive::run(stream, &connection, &door, &options, tls, clock, shutdown);
            // A bug must not leave a member behind that nobody can reach, or take a place among the connections for ever.
            let outcome = AssertUnwindSafe(driving).catch_unwind().await;
            let peer = connection.peer();
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.is_departure() => tracing::debug!(%peer, %error, "connection closed"),
                Ok(Err(error)) => tracing::warn!(%peer, %error, "connection closed"),
                Err(_) => tracing::error!(%peer, "a request panicked; its connection is closed"),
            }
            connection.close();
            door.closed(&connection);
            open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, ClientError};
    use crate::reply::write_request;
    use rt::sim::World;
    use rt::{ShutdownTrigger, TaskHandle};
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

    /// A server on the host `server`, port 1, while it lives.
    struct Site {
        addr: SocketAddr,
        stop: ShutdownTrigger,
        open: Arc<AtomicUsize>,
        serving: TaskHandle<()>,
    }

    impl Site {
        async fn start(world: &World, door: Arc<dyn Door>) -> Self {
            let machine = world.host("server");
            let (host, addr) = (machine.boot(), SocketAddr::new(machine.ip(), 1));
            let server = Server::bind(&host, addr, Options::default(), None, door).await.unwrap();
            let (stop, shutdown) = ShutdownTrigger::new();
            let open = server.open_connections();
            Self { addr, stop, open, serving: machine.spawn(server.serve(shutdown)) }
        }

        async fn connect(&self, world: &World) -> Box<dyn Stream> {
            world.host("client").boot().net.connect(self.addr).await.unwrap()
        }
    }

    #[derive(Default)]
    struct Broken(AtomicBool);

    impl Door for Broken {
        fn call(&self, _: &Arc<Connection>, _: Vec<RawFrame<'_>>, _: &mut Work) {
            panic!("a bug");
        }

        fn closed(&self, _: &Arc<Connection>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Answers as much as the connection is to be given.
    #[derive(Default)]
    struct Generous(parking_lot::Mutex<Option<Arc<Connection>>>);

    impl Door for Generous {
        fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, _: &mut Work) {
            *self.0.lock() = Some(Arc::clone(connection));
            requests.iter().for_each(|_| connection.send(|out| out.resize(out.len() + connection.answer_bytes(), 0)));
        }

        fn closed(&self, _: &Arc<Connection>) {}
    }

    #[test]
    fn answers_follow_the_speed_of_the_client() {
        rt::sim::run(1, |world| async move {
            let door = Arc::new(Generous::default());
            let site = Site::start(&world, Arc::clone(&door) as _).await;
            let mut client = site.connect(&world).await;
            let mut asked = BytesMut::new();
            for opaque in 0..10 {
                write_request(&mut asked, &Call { code: 1, fields: &[], body: &[] }, opaque, false);
            }
            let answer_bytes = || door.0.lock().as_ref().unwrap().answer_bytes();
            let mut piece = vec![0; 16 << 10];
            client.write_all(&asked).await.unwrap();
            for _ in 0..20 {
                client.read_exact(&mut piece).await.unwrap();
                rt::sleep(Duration::from_millis(100)).await;
            }
            let slow = answer_bytes();
            assert!((32 << 10..64 << 10).contains(&slow), "{slow} at 160 KiB a second");
            for _ in 20..10 * (1 << 20) / piece.len() {
                client.read_exact(&mut piece).await.unwrap();
            }
            for _ in 0..10 {
                client.write_all(&asked[..asked.len() / 10]).await.unwrap();
                client.read_exact(&mut piece).await.unwrap();
            }
            rt::sleep(Duration::from_secs(1)).await;
            assert!(answer_bytes() > slow, "{}", answer_bytes());
        });
    }

    /// The connection of a client that sent requests and went: they are there, one for each read, but nothing can be written.
    struct Gone(VecDeque<Vec<u8>>);

    impl Stream for Gone {
        fn peer_addr(&self) -> SocketAddr {
            SocketAddr::from(([1, 2, 3, 4], 5))
        }

        fn local_addr(&self) -> SocketAddr {
            SocketAddr::from(([1, 2, 3, 4], 6))
        }
    }

    impl AsyncRead for Gone {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let piece = self.0.pop_front().ok_or(io::ErrorKind::ConnectionReset)?;
            buf.put_slice(&piece);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Counts requests, but takes a second for each.
    #[derive(Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Door for Counting {
        fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, work: &mut Work) {
            connection.send(|out| out.resize(out.len() + 1, 0));
            let (count, sum) = (requests.len(), Arc::clone(&self.0));
            let counting = async move {
                rt::sleep(Duration::from_secs(1)).await;
                sum.fetch_add(count, Ordering::Relaxed);
            };
            work.push(0, Box::pin(counting));
        }

        fn closed(&self, _: &Arc<Connection>) {}
    }

    #[test]
    fn what_a_client_sent_before_it_went_is_done() {
        rt::sim::run(1, |world| async move {
            let mut request = BytesMut::new();
            write_request(&mut request, &Call { code: 1, fields: &[], body: &[] }, 1, true);
            let stream = Box::new(Gone(vec![request.to_vec(); 10].into()));
            let connection = Arc::new(Connection::new(1, stream.peer_addr(), stream.local_addr()));
            let counting = Arc::new(Counting::default());
            let door: Arc<dyn Door> = Arc::clone(&counting) as _;
            let (_stop, shutdown) = ShutdownTrigger::new();
            let clock = world.host("server").boot().clock;
            let driven = drive::run(stream, &connection, &door, &Options::default(), None, clock, shutdown).await;
            assert!(driven.is_err_and(|error| error.is_departure()));
            assert_eq!(counting.0.load(Ordering::Relaxed), 10);
        });
    }

    /// Who is seen when a connection to a server begins so, and a frame follows; with pauses between all bytes.
    fn seen(beginning: Vec<u8>) -> Option<String> {
        rt::sim::run(1, |world| async move {
            let door = Arc::new(Generous::default());
            let site = Site::start(&world, Arc::clone(&door) as _).await;
            let mut client = site.connect(&world).await;
            let mut bytes = BytesMut::from(&*beginning);
            write_request(&mut bytes, &Call { code: 1, fields: &[], body: &[] }, 1, false);
            for byte in bytes {
                drop(client.write_all(&[byte]).await);
                rt::sleep(Duration::from_millis(10)).await;
            }
            let connection = door.0.lock().take()?;
            Some(if connection.peer() == client.local_addr() {
                "itself".to_owned()
            } else {
                connection.peer().to_string()
            })
        })
    }

    #[test]
    fn a_load_balancer_says_who_the_client_is() {
        let check = |beginning: &[u8], expected: Option<&str>| {
            assert_eq!(seen(beginning.to_vec()).as_deref(), expected, "{}", beginning.escape_ascii());
        };
        let v2 = |command: u8, rest: &[u8]| {
            [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11, 0, rest.len() as u8] as &[u8], rest].concat()
        };
        let addresses = [9, 8, 7, 6, 10, 0, 0, 1, 0x12, 0x34, 0x2a, 0x9f];
        check(b"", Some("itself"));
        check(b"PROXY TCP4 9.8.7.6 10.0.0.1 4660 10911\r\n", Some("9.8.7.6:4660"));
        check(b"PROXY TCP6 2001:db8::7 ::1 4660 10911\r\n", Some("[2001:db8::7]:4660"));
        check(b"PROXY UNKNOWN\r\n", Some("itself"));
        check(&v2(0x21, &addresses), Some("9.8.7.6:4660"));
        check(&v2(0x21, &[&addresses as &[u8], &[0xea, 0, 2, b'v', b'1']].concat()), Some("9.8.7.6:4660"));
        check(&v2(0x20, &addresses), Some("itself"));
        check(b"PROXY TCP4 9.8.7.6\r\n", None);
        check(b"POST / HTTP/1.1\r\n", None);
        check(&v2(0x31, &addresses), None);
    }

    #[test]
    fn a_connection_that_never_said_a_word_holds_up_no_stop() {
        rt::sim::run(1, |world| async move {
            let site = Site::start(&world, Arc::new(Generous::default())).await;
            let _silent = site.connect(&world).await;
            rt::sleep(Duration::from_secs(1)).await;
            assert_eq!(site.open.load(Ordering::Relaxed), 1);
            site.stop.fire();
            assert!(rt::timeout(Duration::from_secs(1), site.serving).await.is_ok());
        });
    }

    #[test]
    fn a_connection_ends_whole_when_a_request_panics() {
        rt::sim::run(1, |world| async move {
            let door = Arc::new(Broken::default());
            let site = Site::start(&world, Arc::clone(&door) as _).await;
            let client = Client::new(world.host("client").boot());
            let call = Call { code: 1, fields: &[], body: &[] };
            let answer = client.call("server:1", &call, Duration::from_secs(3)).await;
            assert!(matches!(answer, Err(ClientError::Call { error: CallError::Closed, .. })), "{answer:?}");
            rt::sleep(Duration::from_secs(1)).await;
            assert!(door.0.load(Ordering::Relaxed));
            assert_eq!(site.open.load(Ordering::Relaxed), 0);
        });
    }
}
