//! One connection: requests go out in order, answers come back by their number.

use anyhow::Context as _;
use bytes::BytesMut;
use parking_lot::Mutex;
use rt::Host;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use wire::remoting::frame::{self, Limits};
use wire::remoting::{Encoding, FrameWriter, Header, RawFrame, RequestCode, ResponseCode, loose_json};

/// Bounds on what a server may answer; pulls of large messages fit.
const LIMITS: Limits = Limits { frame_bytes_max: 128 << 20, header_bytes_max: 4 << 20 };

/// A server said no.
#[derive(Debug, thiserror::Error)]
#[error("{addr} refused {request}: {remark} ({code})")]
pub(crate) struct Refused {
    /// Who.
    pub(crate) addr: String,
    /// What was asked.
    pub(crate) request: RequestCode,
    /// The code of its answer.
    pub(crate) code: ResponseCode,
    /// Its words.
    pub(crate) remark: String,
}

/// An answer.
pub(crate) struct Answer {
    /// Its code.
    pub(crate) code: ResponseCode,
    frame: RawFrame,
}

impl Answer {
    /// The header, fields included.
    pub(crate) fn header(&self) -> anyhow::Result<Header<'_>> {
        Header::parse(&self.frame).context("the answer cannot be read")
    }

    /// The body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.frame.body
    }

    /// The body, which is JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        loose_json::from_slice(&self.frame.body).context("the answer cannot be read")
    }
}

type Waiting = Arc<Mutex<Option<HashMap<i32, oneshot::Sender<RawFrame>>>>>;

/// A connection.
pub(crate) struct Connection {
    addr: String,
    timeout: Duration,
    out: tokio::sync::Mutex<Out>,
    /// `None` once the connection is closed.
    waiting: Waiting,
}

struct Out {
    stream: WriteHalf<Box<dyn rt::Stream>>,
    next: i32,
    buffer: BytesMut,
}

/// A request whose answer is on its way.
pub(crate) struct Pending {
    addr: String,
    request: RequestCode,
    timeout: Duration,
    answer: oneshot::Receiver<RawFrame>,
}

impl Connection {
    pub(super) async fn open(host: &Host, addr: &str, timeout: Duration) -> anyhow::Result<Arc<Self>> {
        let addrs = host.net.resolve(addr).await?;
        let mut last = anyhow::anyhow!("the name has no address");
        for resolved in addrs {
            match host.net.connect(resolved).await {
                Ok(stream) => {
                    let (read, write) = tokio::io::split(stream);
                    let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
                    rt::spawn(read_answers(read, Arc::clone(&waiting)));
                    let out = Out { stream: write, next: 1, buffer: BytesMut::new() };
                    return Ok(Arc::new(Self { addr: addr.to_owned(), timeout, out: out.into(), waiting }));
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Sends a request. Requests arrive in the order of these calls.
    pub(crate) async fn send(
        &self,
        request: RequestCode,
        fields: impl FnOnce(&mut FrameWriter<'_>),
        body: &[u8],
    ) -> anyhow::Result<Pending> {
        let lost = || format!("{} closed the connection", self.addr);
        let (sender, answer) = oneshot::channel();
        let mut out = self.out.lock().await;
        let Out { stream, next, buffer } = &mut *out;
        *next = next.wrapping_add(1);
        buffer.clear();
        let mut frame = FrameWriter::request(buffer, Encoding::Json, request, *next);
        fields(&mut frame);
        frame.finish_with(body);
        self.waiting.lock().as_mut().with_context(lost)?.insert(*next, sender);
        stream.write_all(buffer).await.with_context(lost)?;
        Ok(Pending { addr: self.addr.clone(), request, timeout: self.timeout, answer })
    }
}

impl Pending {
    /// Waits longer than usual, for a request that the server may hold back.
    pub(crate) fn held_for(mut self, time: Duration) -> Self {
        self.timeout += time;
        self
    }

    /// The answer, whatever its code.
    pub(crate) async fn any_answer(self) -> anyhow::Result<Answer> {
        let Self { addr, request, timeout, answer } = self;
        let frame = rt::timeout(timeout, answer).await;
        let frame = frame.with_context(|| format!("{addr} did not answer {request} within {timeout:?}"))?;
        let frame = frame.with_context(|| format!("{addr} closed the connection before it answered {request}"))?;
        let code =
            Header::parse(&frame).with_context(|| format!("{addr} answered something unreadable"))?.response_code();
        Ok(Answer { code, frame })
    }

    /// The answer, if it is success.
    pub(crate) async fn answer(self) -> anyhow::Result<Answer> {
        let (addr, request) = (self.addr.clone(), self.request);
        let answer = self.any_answer().await?;
        if answer.code == ResponseCode::SUCCESS {
            return Ok(answer);
        }
        let remark = answer.header()?.remark.map_or("no reason given".to_owned(), |remark| first_line(&remark));
        Err(Refused { addr, request, code: answer.code, remark }.into())
    }
}

/// Servers of the original put stack traces into remarks.
fn first_line(remark: &str) -> String {
    remark.lines().next().unwrap_or_default().trim().to_owned()
}

/// Asks and waits; an answer that is not success is an error.
pub(super) async fn ask(
    connection: &Connection,
    code: RequestCode,
    fields: impl FnOnce(&mut FrameWriter<'_>),
    body: &[u8],
) -> anyhow::Result<Answer> {
    connection.send(code, fields, body).await?.answer().await
}

async fn read_answers(mut stream: ReadHalf<Box<dyn rt::Stream>>, waiting: Waiting) {
    let mut buffer = BytesMut::new();
    'connection: loop {
        loop {
            match frame::split(&mut buffer, &LIMITS) {
                Ok(Some(frame)) => deliver(frame, &waiting),
                Ok(None) => break,
                Err(_) => break 'connection,
            }
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    waiting.lock().take();
}

fn deliver(frame: RawFrame, waiting: &Waiting) {
    let Ok(header) = Header::parse(&frame) else { return };
    if !header.is_response() {
        return; // a notice to consumers that we are not
    }
    let sender = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&header.opaque));
    drop(header);
    if let Some(sender) = sender {
        drop(sender.send(frame));
    }
}
