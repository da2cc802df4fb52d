//! A client's connection to a node: one request after the other, in frames.

use bytes::{Buf as _, Bytes, BytesMut};
use rt::{Host, Stream};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::remoting::{Encoding, FrameWriter, Header, Limits, OwnedFrame, RawFrame, RequestCode, ResponseCode, frame};

/// How long a client waits for an answer, the time that a pull is allowed to wait included.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// An open connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    received: BytesMut,
    encoding: Encoding,
    opaque: i32,
}

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) remark: String,
    fields: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A number among the fields.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.parse().ok()
    }
}

impl Connection {
    pub(crate) async fn open(host: &Host, addr: SocketAddr, encoding: Encoding) -> io::Result<Self> {
        let stream = host.net.connect(addr).await?;
        Ok(Self { stream, received: BytesMut::new(), encoding, opaque: 0 })
    }

    /// Sends a request and waits for its answer. After an error the connection is of no use.
    pub(crate) async fn ask(
        &mut self,
        code: RequestCode,
        fields: impl FnOnce(&mut FrameWriter<'_>),
        body: &[u8],
    ) -> io::Result<Answer> {
        self.opaque += 1;
        let mut out = BytesMut::new();
        let mut writer = FrameWriter::request(&mut out, self.encoding, code, self.opaque);
        fields(&mut writer);
        writer.finish_with(body);
        let opaque = self.opaque;
        let answered = rt::timeout(ANSWER_TIME_MAX, async {
            self.stream.write_all(&out).await?;
            loop {
                let frame = self.next_frame().await?;
                if let Some(answer) = answer_to(opaque, &frame.get())? {
                    return Ok(answer);
                }
            }
        });
        answered.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn next_frame(&mut self) -> io::Result<OwnedFrame> {
        loop {
            let mut rest = &self.received[..];
            let cut = frame::split(&mut rest, &Limits::default()).map_err(io::Error::other)?;
            let (cut, left) = (cut.map(|frame| frame.to_owned()), rest.len());
            self.received.advance(self.received.len() - left);
            if let Some(frame) = cut {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The answer to one request; `None` for other frames, such as notices.
fn answer_to(opaque: i32, frame: &RawFrame<'_>) -> io::Result<Option<Answer>> {
    let header = Header::parse(frame).map_err(io::Error::other)?;
    if !header.is_response() || header.opaque != opaque {
        return Ok(None);
    }
    Ok(Some(Answer {
        code: header.response_code(),
        remark: header.remark.as_deref().unwrap_or_default().to_owned(),
        fields: header.fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: Bytes::copy_from_slice(frame.body),
    }))
}
