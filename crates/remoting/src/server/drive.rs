//! The task of one connection.

use super::appetite::Appetite;
use super::connection::Connection;
use super::outbox::poll_write;
use super::pace::{Pace, Rates};
use super::tls::{Tls, accept_either};
use super::{Door, Options};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream as _, StreamExt as _};
use rt::{BoxFuture, Clock, Shutdown, Stream};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use wire::remoting::frame::{FrameError, RawFrame, missing, split};
use wire::remoting::header::{Header, HeaderError};

/// Bytes of the read buffer; one request that is larger makes it so large.
const READ_BYTES: usize = 128 << 10;
/// Reads between two turns of other connections on this thread.
const READS_PER_TURN: usize = 4;
/// Requests between two turns of others: a client that sends small ones without a pause must not hold up all others.
const REQUESTS_PER_TURN: usize = 256;
/// Longest pause between two reads of a client that is too fast. Longer ones would leave so much waiting in the socket that its
/// heartbeats, which it gives up after 3 s, come too late; what is further ahead is refused instead.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// How long nothing is read behind requests that were refused, so that a client that repeats them at once is slowed down too.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);
/// What a request weighs beside its bytes.
const REQUEST_OVERHEAD_BYTES: usize = 256;

/// Why a connection was closed from this side.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("malformed frame: {0}")]
    Frame(#[from] FrameError),
    #[error("malformed header: {0}")]
    Header(#[from] HeaderError),
    #[error("nothing was heard of the client for {} s", .0.as_secs())]
    Idle(Duration),
}

impl Closed {
    /// Whether it says no more than that the client is gone.
    pub(super) fn is_departure(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let gone = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
        matches!(self, Self::Idle(_)) || matches!(self, Self::Io(error) if gone.contains(&error.kind()))
    }
}

/// What the door is still working on for one connection.
#[derive(Default)]
pub struct Work {
    quick: FuturesUnordered<Task>,
    patient: FuturesUnordered<Task>,
    bytes: usize,
}

struct Task {
    future: BoxFuture<'static, ()>,
    bytes: usize,
}

impl Future for Task {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.future.as_mut().poll(cx).map(|()| self.bytes)
    }
}

impl Work {
    /// Work that ends soon; shutdown waits for it. `bytes`: what the requests behind it weigh.
    pub fn push(&mut self, bytes: usize, future: BoxFuture<'static, ()>) {
        let bytes = bytes + REQUEST_OVERHEAD_BYTES;
        self.bytes += bytes;
        self.quick.push(Task { future, bytes });
    }

    /// Work that waits for something to happen (a long poll); shutdown drops it.
    pub fn push_patient(&mut self, bytes: usize, future: BoxFuture<'static, ()>) {
        let bytes = bytes + REQUEST_OVERHEAD_BYTES;
        self.bytes += bytes;
        self.patient.push(Task { future, bytes });
    }

    /// Ends what was begun for a client that is gone: it may have been one-way, with nobody to send it again.
    async fn finish(&mut self) {
        self.patient.clear();
        while self.quick.next().await.is_some() {}
    }

    /// Polls what can go on.
    fn poll(&mut self, cx: &mut Context<'_>) {
        for tasks in [&mut self.quick, &mut self.patient] {
            while let Poll::Ready(Some(bytes)) = Pin::new(&mut *tasks).poll_next(cx) {
                self.bytes -= bytes;
            }
        }
    }
}

struct Drive<'a> {
    socket: Box<dyn Stream>,
    connection: &'a Arc<Connection>,
    door: &'a Arc<dyn Door>,
    options: &'a Options,
    clock: Arc<dyn Clock>,
    input: BytesMut,
    output: BytesMut,
    /// Why nothing can be written any more. What the client sent before it went is still read and done.
    unwritable: Option<io::Error>,
    work: Work,
    appetite: Appetite,
    pace: Pace,
    /// Set while nothing is read because the client is too fast.
    pause: Option<BoxFuture<'static, ()>>,
    /// When the client was last heard of, by the monotonic clock.
    heard: Duration,
    idle: BoxFuture<'static, ()>,
    draining: bool,
}

/// Serves a connection until either side ends it.
pub(super) async fn run(
    stream: Box<dyn Stream>,
    connection: &Arc<Connection>,
    door: &Arc<dyn Door>,
    options: &Options,
    tls: Option<Tls>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), Closed> {
    let accepted = tokio::select! {
        biased;
        // Who has not said a word has nothing in work.
        () = shutdown.wait() => return Ok(()),
        accepted = rt::timeout(options.idle_max, accept_either(stream, tls)) => accepted,
    };
    let Some(accepted) = accepted.map_err(|_| Closed::Idle(options.idle_max))?? else { return Ok(()) };
    if let Some(client) = accepted.client {
        connection.set_peer(client);
    }
    run_plain(accepted.stream, accepted.input, connection, door, options, clock, shutdown).await
}

/// Serves a connection whose kind is known; `input`: what was already read of it.
pub(super) async fn run_plain(
    socket: Box<dyn Stream>,
    input: BytesMut,
    connection: &Arc<Connection>,
    door: &Arc<dyn Door>,
    options: &Options,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), Closed> {
    let heard = clock.monotonic();
    let mut drive = Drive {
        socket,
        connection,
        door,
        options,
        clock,
        input,
        output: BytesMut::new(),
        unwritable: None,
        work: Work::default(),
        appetite: Appetite::default(),
        pace: Pace::default(),
        pause: None,
        heard,
        idle: Box::pin(rt::sleep(options.idle_max)),
        draining: false,
    };
    let outcome = {
        let mut stop = pin!(shutdown.wait());
        poll_fn(|cx| drive.poll(cx, stop.as_mut())).await
    };
    if drive.draining && outcome.is_ok() {
        let rest = rt::timeout(options.drain_max, poll_fn(|cx| drive.poll_drain(cx))).await;
        return rest.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    }
    if rt::timeout(options.drain_max, drive.work.finish()).await.is_err() {
        tracing::warn!(peer = %connection.peer(), "requests of a client that is gone take too long; they are given up");
    }
    outcome
}

impl Drive<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, stop: Pin<&mut impl Future<Output = ()>>) -> Poll<Result<(), Closed>> {
        self.connection.wake.register(cx.waker());
        self.connection.begin_driving();
        let poll = self.turn(cx, stop);
        // Output that the socket would not take is not news: the socket itself wakes the task then.
        if self.connection.end_driving() && self.output.is_empty() {
            cx.waker().wake_by_ref();
        }
        poll
    }

    fn turn(&mut self, cx: &mut Context<'_>, stop: Pin<&mut impl Future<Output = ()>>) -> Poll<Result<(), Closed>> {
        if stop.poll(cx).is_ready() {
            self.draining = true;
            return Poll::Ready(Ok(()));
        }
        while self.idle.as_mut().poll(cx).is_ready() {
            let silent = self.clock.monotonic() - self.heard;
            match self.options.idle_max.checked_sub(silent) {
                Some(left) if !left.is_zero() => self.idle = Box::pin(rt::sleep(left)),
                _ => return Poll::Ready(Err(Closed::Idle(self.options.idle_max))),
            }
        }
        let mut left = REQUESTS_PER_TURN;
        for _ in 0..READS_PER_TURN {
            // Frames that came with the TLS detection, or that the last turn left, are in the buffer before the first read.
            if !self.is_paused(cx) {
                left -= self.dispatch(left)?;
            }
            self.work.poll(cx);
            let has_room = self.poll_output(cx);
            if self.connection.is_closed() && self.output.is_empty() && self.connection.outbox_len() == 0 {
                return Poll::Ready(Ok(()));
            }
            if self.is_paused(cx) || !has_room || self.work.bytes > self.options.inflight_bytes_max {
                return self.pending();
            }
            if left == 0 {
                break;
            }
            match self.poll_input(cx)? {
                Poll::Pending => return self.pending(),
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => self.heard = self.clock.monotonic(),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing to do now; nothing ever, if the client is gone.
    fn pending(&mut self) -> Poll<Result<(), Closed>> {
        self.unwritable.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error.into())))
    }

    /// After shutdown: no more reading, but what is in work is answered.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.work.patient.clear();
        self.connection.wake.register(cx.waker());
        self.work.poll(cx);
        let written = self.poll_output(cx);
        if !self.work.quick.is_empty() || !written || !self.output.is_empty() {
            return Poll::Pending;
        }
        if let Some(error) = self.unwritable.take() {
            return Poll::Ready(Err(error.into()));
        }
        Pin::new(&mut self.socket).poll_shutdown(cx).map_err(Closed::from)
    }

    /// Hands complete frames to the door, at most so many; tells how many.
    fn dispatch(&mut self, requests_max: usize) -> Result<usize, Closed> {
        let (mut requests, mut excess) = (Vec::new(), Vec::new());
        let is_bounded = self.options.rates != Rates::default();
        let now = self.clock.monotonic();
        let mut rest = &self.input[..];
        while requests.len() + excess.len() < requests_max
            && let Some(frame) = split(&mut rest, &self.options.limits)?
        {
            if self.answer_to_us(&frame)? {
                continue;
            }
            let bytes = frame.header.len() + frame.body.len();
            if requests.is_empty() {
                // The others are probably like the first.
                requests.reserve((1 + rest.len() / bytes.max(1)).min(requests_max));
            }
            match is_bounded && self.pace.take(&self.options.rates, bytes, now).is_err() {
                true => excess.push(frame),
                false => requests.push(frame),
            }
        }
        let (owed, count, left) = (self.pace.owed(now), requests.len() + excess.len(), rest.len());
        let pause = match (requests.is_empty(), excess.is_empty()) {
            (_, false) => REFUSAL_PAUSE,
            (false, true) => owed.min(PAUSE_MAX),
            (true, true) => Duration::ZERO,
        };
        if !pause.is_zero() {
            self.pause = Some(Box::pin(rt::sleep(pause)));
        }
        if !requests.is_empty() {
            self.door.call(self.connection, requests, &mut self.work);
        }
        if !excess.is_empty() {
            self.door.call_too_fast(self.connection, excess, owed, &mut self.work);
        }
        self.input.advance(self.input.len() - left);
        Ok(count)
    }

    fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let is_paused = self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending());
        if !is_paused {
            self.pause = None;
        }
        is_paused
    }

    /// Whether a frame answers a question of ours; then it has been delivered.
    fn answer_to_us(&self, frame: &RawFrame<'_>) -> Result<bool, Closed> {
        if !self.connection.has_calls() {
            return Ok(false);
        }
        let header = Header::parse(frame)?;
        if !header.is_response() {
            return Ok(false);
        }
        self.connection.answered(&header, Bytes::copy_from_slice(frame.body));
        Ok(true)
    }

    /// Writes what waits; false if so much waits for the reader that nothing more may be taken in.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        if self.unwritable.is_none() {
            match self.try_output(cx) {
                Ok(has_room) => return has_room,
                Err(error) => self.unwritable = Some(error),
            }
        }
        self.output = BytesMut::new();
        drop(self.connection.take_outbox());
        true
    }

    fn try_output(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut taken = 0;
        loop {
            if self.output.is_empty() {
                match self.connection.take_outbox() {
                    Some(bytes) => self.output = bytes,
                    None => break,
                }
            }
            let waiting = self.output.len();
            let written = poll_write(&mut self.socket, &mut self.output, cx)?;
            taken += waiting - self.output.len();
            if written.is_pending() {
                self.appetite.has_enough(taken, self.clock.monotonic());
                self.connection.set_answer_bytes(self.appetite.bytes());
                return Ok(self.output.len() + self.connection.outbox_len() <= self.options.inflight_bytes_max);
            }
            self.output = BytesMut::new();
        }
        if taken > 0 {
            self.appetite.took_all(taken, || self.clock.monotonic());
            self.connection.set_answer_bytes(self.appetite.bytes());
        }
        // A plain socket has nothing to flush; a TLS one may hold a record back.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(cx) {
            return Err(error);
        }
        Ok(true)
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Result<Poll<usize>, Closed> {
        let wanted = missing(&self.input, &self.options.limits)?.unwrap_or(0);
        // What was dispatched is free again, so that this mostly moves the rest of a frame to the front.
        self.input.reserve(READ_BYTES.saturating_sub(self.input.len()).max(wanted));
        // Dropping the future when it is not ready loses nothing: it holds no bytes.
        match pin!(self.socket.read_buf(&mut self.input)).poll(cx) {
            Poll::Pending => {
                // Most clients are silent most of the time: they must not hold memory meanwhile.
                if self.input.is_empty() && self.work.quick.is_empty() {
                    self.input = BytesMut::new();
                }
                Ok(Poll::Pending)
            }
            Poll::Ready(read) => Ok(Poll::Ready(read?)),
        }
    }
}
