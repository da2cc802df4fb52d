//! A connection as the doors see it: a place to put answers, and a way to ask the client something.

use super::appetite::Appetite;
use super::outbox::Outbox;
use crate::reply::write_request;
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use wire::remoting::header::Header;

/// Most requests to one client that may wait for its answer.
const CALLS_MAX: usize = 1024;
/// Bytes that wait to be sent from which on large answers are made only when the client has taken some: so one that asks
/// for much and reads nothing holds no memory, and one that reads holds up the others of its thread for no longer.
const OUTBOX_ROOM_BYTES: usize = 4 << 20;
/// Answers that are made when the client has taken what waited; each that leaves room is followed by more.
const WAKES_PER_TAKE: usize = 64;

/// One client connection. Doors keep it in an `Arc`; it is useless, but harmless, once closed.
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    /// The client behind a load balancer.
    proxied: OnceLock<SocketAddr>,
    local: SocketAddr,
    outbox: Mutex<Outbox>,
    pub(super) wake: AtomicWaker,
    /// Set while the connection's own task runs: it looks at the outbox before it sleeps and need not be woken.
    driving: AtomicBool,
    closed: AtomicBool,
    answer_bytes: AtomicUsize,
    next_opaque: AtomicI32,
    calls: Mutex<HashMap<i32, oneshot::Sender<Response>>>,
    /// Answers that wait for room, the oldest first.
    crowd: Mutex<VecDeque<Waker>>,
}

/// A request that the server sends to a client.
pub struct Call<'a> {
    /// Request code.
    pub code: i32,
    /// Extension fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: &'a [u8],
}

/// A client's answer.
#[derive(Debug)]
pub struct Response {
    /// Response code.
    pub code: i32,
    /// Why, for people.
    pub remark: Option<String>,
    /// Extension fields.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// Why a client could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection is closed.
    #[error("the client's connection is closed")]
    Closed,
    /// Too many questions wait already.
    #[error("{CALLS_MAX} questions to this client wait for answers; ask later")]
    Busy,
    /// No answer in time.
    #[error("the client did not answer in time")]
    Timeout,
}

impl Connection {
    pub(super) fn new(id: u64, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            id,
            peer,
            proxied: OnceLock::new(),
            local,
            outbox: Mutex::default(),
            wake: AtomicWaker::new(),
            driving: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            answer_bytes: AtomicUsize::new(Appetite::default().bytes()),
            next_opaque: AtomicI32::new(0),
            calls: Mutex::default(),
            crowd: Mutex::default(),
        }
    }

    /// Unique while the process lives.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The client's address, as a load balancer in front has told it, or as the system knows it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.proxied.get().copied().unwrap_or(self.peer)
    }

    /// Takes the word of a load balancer, once.
    pub(super) fn set_peer(&self, client: SocketAddr) {
        self.proxied.get_or_init(|| client);
    }

    /// The address that the client reached.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the connection is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Appends whole frames to what is sent next. Dropped silently once the connection is closed.
    pub fn send<T>(&self, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        let result = self.outbox.lock().push(encode);
        if !self.driving.load(Ordering::SeqCst) {
            self.wake.wake();
        }
        result
    }

    /// Most bytes of messages to be put into one answer, by how fast the client takes what it is sent. One message may be larger.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn set_answer_bytes(&self, bytes: usize) {
        self.answer_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether little enough waits to be sent that a large answer may be made now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox_len() < OUTBOX_ROOM_BYTES || self.is_closed()
    }

    /// Waits until there is room for a large answer.
    pub async fn room(&self) {
        poll_fn(|cx| {
            let mut crowd = self.crowd.lock();
            if self.has_room() {
                return Poll::Ready(());
            }
            crowd.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Sends a request to which no answer is wanted.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub fn notify(&self, call: &Call<'_>) -> Result<(), CallError> {
        if self.is_closed() {
            return Err(CallError::Closed);
        }
        let opaque = self.next_opaque.fetch_add(1, Ordering::Relaxed);
        self.send(|out| write_request(out, call, opaque, true));
        Ok(())
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, call: &Call<'_>, within: Duration) -> Result<Response, CallError> {
        let opaque = self.next_opaque.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut calls = self.calls.lock();
            if self.is_closed() {
                return Err(CallError::Closed);
            }
            if calls.len() >= CALLS_MAX {
                return Err(CallError::Busy);
            }
            calls.insert(opaque, sender);
        }
        self.send(|out| write_request(out, call, opaque, false));
        let answer = rt::timeout(within, receiver).await;
        self.calls.lock().remove(&opaque);
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::Timeout),
        }
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.lock().is_empty()
    }

    /// Hands a client's answer to whoever waits for it.
    pub(super) fn answered(&self, header: &Header<'_>, body: Bytes) {
        let Some(waiting) = self.calls.lock().remove(&header.opaque) else {
            return; // it came too late
        };
        let response = Response {
            code: header.code,
            remark: header.remark.as_ref().map(|remark| remark.clone().into_owned()),
            fields: header.fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            body,
        };
        // Whoever asked may have stopped waiting; then nobody misses the answer.
        drop(waiting.send(response));
    }

    pub(super) fn begin_driving(&self) {
        self.driving.store(true, Ordering::SeqCst);
    }

    /// From now on senders wake the task. True if something was sent just before: the task must look again.
    pub(super) fn end_driving(&self) -> bool {
        self.driving.store(false, Ordering::SeqCst);
        self.outbox_len() > 0
    }

    pub(super) fn outbox_len(&self) -> usize {
        self.outbox.lock().len()
    }

    pub(super) fn take_outbox(&self) -> Option<BytesMut> {
        let taken = {
            let mut outbox = self.outbox.lock();
            (outbox.len() > 0).then(|| outbox.take())
        };
        if taken.is_some() {
            let mut crowd = self.crowd.lock();
            let woken = crowd.len().min(WAKES_PER_TAKE);
            crowd.drain(..woken).for_each(Waker::wake);
        }
        taken
    }

    /// Closes the connection after what was sent before; waiting calls fail.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.calls.lock().clear();
        self.crowd.lock().drain(..).for_each(Waker::wake);
        self.wake.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn large_answers_wait_until_the_client_takes_what_there_is() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(1, addr, addr);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(pin!(connection.room()).poll(&mut cx).is_ready());

        connection.send(|out| out.resize(OUTBOX_ROOM_BYTES, 0));
        let mut room = pin!(connection.room());
        assert!(room.as_mut().poll(&mut cx).is_pending());
        assert!(!woken.0.load(Ordering::Relaxed));
        drop(connection.take_outbox());
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(room.poll(&mut cx).is_ready());
    }
}
