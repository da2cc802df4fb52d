//! A connection that counts, and that ends when it is silent for too long: whoever opens many and asks nothing must not
//! use up the descriptors that the broker's own connections need.

use rt::{BoxFuture, Stream};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The connections that are open.
#[derive(Default)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    /// Takes one more; `None`: there are too many.
    pub(crate) fn admit(&self, inner: Box<dyn Stream>) -> Option<Bounded> {
        let place = Place(Arc::clone(&self.0));
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        (before < CONNECTIONS_MAX).then(|| Bounded { inner, silence: silence(), _place: place })
    }
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See the head of this file.
pub(crate) struct Bounded {
    inner: Box<dyn Stream>,
    silence: BoxFuture<'static, ()>,
    _place: Place,
}

fn silence() -> BoxFuture<'static, ()> {
    Box::pin(rt::sleep(SILENCE_MAX))
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.silence = silence();
            return read;
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
