//! The listener and its few paths.

use crate::bounded::{Bounded, Open};
use crate::metrics::{Metrics, Page};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use rt::{Host, Shutdown};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Pause after the system refused to accept, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers may take after shutdown was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Whether this process can do its work.
pub trait Health: Send + Sync {
    /// Nothing if requests should be sent here; else why not.
    ///
    /// # Errors
    /// The reason, for people.
    fn ready(&self) -> Result<(), String>;
}

struct Sources {
    health: Arc<dyn Health>,
    metrics: Vec<Arc<dyn Metrics>>,
    host: Host,
}

/// A bound HTTP port that is not accepting yet.
pub struct Server {
    listener: Box<dyn rt::Listener>,
    sources: Arc<Sources>,
}

impl Server {
    /// Binds `addr`; port 0 means any free port.
    ///
    /// # Errors
    /// The system's, with the address in its text.
    pub async fn bind(
        host: &Host,
        addr: SocketAddr,
        health: Arc<dyn Health>,
        metrics: Vec<Arc<dyn Metrics>>,
    ) -> io::Result<Self> {
        let listener = host.net.listen(addr).await;
        let listener =
            listener.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
        Ok(Self { listener, sources: Arc::new(Sources { health, metrics, host: host.clone() }) })
    }

    /// The address, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Answers until shutdown.
    pub async fn serve(self, shutdown: Shutdown) {
        let router = Router::new()
            .route("/health/live", get(|| async { "live\n" }))
            .route("/health/ready", get(ready))
            .route("/metrics", get(metrics))
            .fallback(not_found)
            .with_state(self.sources);
        let ended = shutdown.clone();
        let serving = axum::serve(Incoming(self.listener, Open::default()), router);
        let serving = serving.with_graceful_shutdown(async move { shutdown.wait().await });
        let overdue = async move {
            ended.wait().await;
            rt::sleep(DRAIN_MAX).await;
        };
        let done = rt::spawn(async move { serving.await });
        let abort = done.abort_handle();
        let waiting = async { drop(done.await) };
        first_of(waiting, overdue).await;
        abort.abort();
    }
}

/// Waits for the first of two.
async fn first_of(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|context| {
        if one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
}

async fn ready(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    match sources.health.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    // With very many queues this takes a while: it must not hold up the connections of the broker.
    let host = sources.host.clone();
    let write = move || {
        let mut page = Page::default();
        sources.metrics.iter().for_each(|source| source.write(&mut page));
        page.into_text()
    };
    let text = host.run_blocking(write).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn not_found(uri: Uri) -> impl IntoResponse {
    let text = format!("nothing at {}; there are /health/live, /health/ready and /metrics\n", uri.path());
    (StatusCode::NOT_FOUND, text)
}

/// Our listener as axum wants it.
struct Incoming(Box<dyn rt::Listener>, Open);

impl axum::serve::Listener for Incoming {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let mut is_failing = false;
        loop {
            match self.0.accept().await {
                Ok(stream) => {
                    let peer = stream.peer_addr();
                    match self.1.admit(stream) {
                        Some(stream) => return (stream, peer),
                        None => tracing::warn!(%peer, "too many HTTP connections; closed"),
                    }
                }
                Err(error) => {
                    // Said once: it is tried again so often that it would fill the log.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "cannot accept HTTP connections until some are closed");
                    }
                    rt::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.0.local_addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct NotYet;

    impl Health for NotYet {
        fn ready(&self) -> Result<(), String> {
            Err("the log is being read".to_owned())
        }
    }

    struct One;

    impl Metrics for One {
        fn write(&self, page: &mut Page) {
            page.single("one", Kind::Gauge, "One.", 1);
        }
    }

    async fn check(host: &Host, addr: SocketAddr, path: &str, status: &str, body: &str) {
        let mut stream = host.net.connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(body), "{path}: {answer}");
    }

    #[tokio::test]
    async fn paths_answer() {
        let host = Host::real();
        let addr = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(&host, addr, Arc::new(NotYet), vec![Arc::new(One)]).await.unwrap();
        let addr = server.local_addr();
        let (trigger, shutdown) = rt::ShutdownTrigger::new();
        let serving = rt::spawn(server.serve(shutdown));
        check(&host, addr, "/health/live", "200", "live\n").await;
        check(&host, addr, "/health/ready", "503", "not ready: the log is being read\n").await;
        check(&host, addr, "/metrics", "200", "# HELP one One.\n# TYPE one gauge\none 1\n").await;
        check(&host, addr, "/x", "404", "/metrics\n").await;
        trigger.fire();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn connections_without_a_question_do_not_pile_up() {
        let host = Host::real();
        let addr = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(&host, addr, Arc::new(NotYet), Vec::new()).await.unwrap();
        let addr = server.local_addr();
        let (_trigger, shutdown) = rt::ShutdownTrigger::new();
        rt::spawn(server.serve(shutdown));
        let mut silent = Vec::new();
        for _ in 0..256 {
            silent.push(host.net.connect(addr).await.unwrap());
        }
        let mut refused = host.net.connect(addr).await.unwrap();
        assert!(matches!(refused.read(&mut [0; 9]).await, Ok(0) | Err(_)));
        drop(silent);
        let mut answer = String::new();
        while answer.is_empty() {
            let mut stream = host.net.connect(addr).await.unwrap();
            // It is closed at once until the others are seen to be gone.
            drop(stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await);
            drop(stream.read_to_string(&mut answer).await);
        }
        assert!(answer.ends_with("live\n"), "{answer}");
    }
}
