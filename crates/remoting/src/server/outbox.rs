//! Answers on their way to one socket.

use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Room taken for the next answers when the box is empty, in bytes; an empty box holds none.
const CAPACITY: usize = 64 << 10;

/// Encoded frames that the socket has not taken yet.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: BytesMut,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Lets `encode` append whole frames.
    pub(super) fn push<T>(&mut self, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        if self.bytes.is_empty() {
            self.bytes.reserve(CAPACITY);
        }
        encode(&mut self.bytes)
    }

    /// Takes everything, leaving the box empty.
    pub(super) fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.bytes)
    }
}

/// Writes as much of `bytes` as the socket takes; ready when nothing is left.
pub(super) fn poll_write<W: AsyncWrite + Unpin>(
    socket: &mut W,
    bytes: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !bytes.is_empty() {
        let written = ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &[IoSlice::new(bytes)]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        bytes.advance(written);
    }
    Poll::Ready(Ok(()))
}
