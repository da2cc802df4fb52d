//! One connection: two bounded pipes with travel time.

use super::{SimNet, State, wake};
use crate::{Random, Stream};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes on their way in one direction before the writer has to wait.
const PIPE_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Connection {
    pub(super) ends: [SocketAddr; 2],
    hosts: [IpAddr; 2],
    /// The pipe that each end writes to.
    pipes: [Pipe; 2],
    /// Which ends are gone.
    dropped: [bool; 2],
    is_reset: bool,
}

struct Pipe {
    pieces: VecDeque<(Instant, VecDeque<u8>)>,
    buffered: usize,
    /// When the last piece arrives; none overtakes another.
    last: Instant,
    /// When the end of the stream arrives.
    end: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

pub(super) struct SimStream {
    net: SimNet,
    id: u64,
    side: usize,
    ends: [SocketAddr; 2],
    arrival: Option<Pin<Box<Sleep>>>,
}

/// What a read finds.
enum Found {
    Ready,
    Later(Instant),
    Nothing,
}

impl Connection {
    pub(super) fn new(ends: [SocketAddr; 2], hosts: [IpAddr; 2]) -> Self {
        Self { ends, hosts, pipes: [Pipe::new(), Pipe::new()], dropped: [false; 2], is_reset: false }
    }

    pub(super) fn concerns(&self, ip: IpAddr) -> bool {
        self.hosts.contains(&ip)
    }

    pub(super) fn reset(&mut self) {
        self.is_reset = true;
        self.wake();
    }

    pub(super) fn wake(&mut self) {
        for pipe in &mut self.pipes {
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }
}

impl Pipe {
    fn new() -> Self {
        let (pieces, last) = (VecDeque::new(), Instant::now());
        Self { pieces, buffered: 0, last, end: None, reader: None, writer: None }
    }

    fn push(&mut self, bytes: &[u8], at: Instant) {
        self.last = self.last.max(at);
        self.buffered += bytes.len();
        self.pieces.push_back((self.last, bytes.iter().copied().collect()));
        wake(&mut self.reader);
    }

    fn finish(&mut self, at: Instant) {
        self.last = self.last.max(at);
        self.end.get_or_insert(self.last);
        wake(&mut self.reader);
    }

    fn pull(&mut self, buf: &mut ReadBuf<'_>, now: Instant) -> Found {
        let mut found = Found::Nothing;
        while buf.remaining() > 0 {
            let Some((at, piece)) = self.pieces.front_mut() else { break };
            if *at > now {
                return if matches!(found, Found::Ready) { found } else { Found::Later(*at) };
            }
            let n = piece.len().min(buf.remaining());
            for byte in piece.drain(..n) {
                buf.put_slice(&[byte]);
            }
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            self.buffered -= n;
            found = Found::Ready;
            wake(&mut self.writer);
        }
        match (found, self.end) {
            (Found::Nothing, Some(end)) if end <= now => Found::Ready,
            (Found::Nothing, Some(end)) => Found::Later(end),
            (found, _) => found,
        }
    }
}

impl SimStream {
    pub(super) fn new(net: SimNet, id: u64, side: usize, ends: [SocketAddr; 2]) -> Self {
        Self { net, id, side, ends, arrival: None }
    }

    fn try_read(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> io::Result<Found> {
        let state = &mut *self.net.0.state.lock();
        let hosts = state.connections.get(&self.id).map(|connection| connection.hosts);
        let is_cut = hosts.is_some_and(|hosts| state.is_cut(hosts));
        let connection = open(state, self.id)?;
        let pipe = &mut connection.pipes[1 - self.side];
        let before = buf.filled().len();
        let found = if is_cut { Found::Nothing } else { pipe.pull(buf, Instant::now()) };
        pipe.reader = Some(cx.waker().clone());
        if matches!(found, Found::Ready) {
            state.trace.mark(format_args!("net read {} {} {}", self.id, self.side, buf.filled().len() - before));
        }
        Ok(found)
    }

    fn try_write(&self, cx: &Context<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
        let state = &mut *self.net.0.state.lock();
        let arrival = Instant::now() + state.delay();
        // Now and then only a part is taken, so that no reader may count on whole frames.
        let is_partial = state.random.below(8) == 0;
        let part = state.random.index(bytes.len()) + 1;
        let side = self.side;
        let connection = open(state, self.id)?;
        if connection.dropped[1 - side] {
            // What is sent to nobody is answered with a reset.
            connection.reset();
            return Ok(Some(bytes.len()));
        }
        let pipe = &mut connection.pipes[side];
        if pipe.end.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = PIPE_BYTES_MAX.saturating_sub(pipe.buffered);
        if room == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Ok(None);
        }
        let n = bytes.len().min(room).min(if is_partial { part } else { usize::MAX });
        pipe.push(&bytes[..n], arrival);
        state.trace.mark(format_args!("net write {} {side} {n}", self.id));
        Ok(Some(n))
    }

    fn finish(&self) -> io::Result<()> {
        let state = &mut *self.net.0.state.lock();
        let arrival = Instant::now() + state.delay();
        open(state, self.id)?.pipes[self.side].finish(arrival);
        Ok(())
    }
}

fn open(state: &mut State, id: u64) -> io::Result<&mut Connection> {
    match state.connections.get_mut(&id) {
        Some(connection) if !connection.is_reset => Ok(connection),
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

impl Stream for SimStream {
    fn peer_addr(&self) -> SocketAddr {
        self.ends[1 - self.side]
    }

    fn local_addr(&self) -> SocketAddr {
        self.ends[self.side]
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.try_read(cx, buf)? {
                Found::Ready => return Poll::Ready(Ok(())),
                Found::Nothing => return Poll::Pending,
                Found::Later(at) => {
                    let mut arrival = Box::pin(tokio::time::sleep_until(at));
                    if arrival.as_mut().poll(cx).is_pending() {
                        self.arrival = Some(arrival);
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.try_write(cx, bytes)? {
            Some(n) => Poll::Ready(Ok(n)),
            None => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish())
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let state = &mut *self.net.0.state.lock();
        let arrival = Instant::now() + state.delay();
        let Some(connection) = state.connections.get_mut(&self.id) else { return };
        connection.dropped[self.side] = true;
        connection.pipes[self.side].finish(arrival);
        wake(&mut connection.pipes[1 - self.side].writer);
        if connection.dropped == [true; 2] {
            state.connections.remove(&self.id);
        }
    }
}
