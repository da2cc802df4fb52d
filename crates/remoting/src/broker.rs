//! The broker's door: frames to calls of [`broker::Broker`] and back.
//!
//! Sends and pulls, which come by the hundred thousand, are decoded and answered here without detours; everything else
//! goes through one table from request code to handler.

mod attributes;
mod callback;
mod client;
mod cold;
mod config;
mod convert;
mod group;
mod offset;
mod pull;
mod query;
mod respond;
mod runtime;
mod send;
mod table;
mod timer;
mod topic;

pub(crate) use topic::{topic_table, version_body};

use crate::reply::Reply;
use crate::server::{Connection, Door, Work};
use broker::Broker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::frame::RawFrame;
use wire::remoting::header::{Header, Memory};
use wire::remoting::{RequestCode, ResponseCode};

/// Headers that are decoded before the first of them is served: so the waits for what sends to many topics need overlap.
const HEADERS_AT_ONCE: usize = 32;
/// Most memories of headers that are kept for the next reads.
const MEMORIES_MAX: usize = 8;

/// Answers the broker's request codes.
pub struct BrokerDoor {
    broker: Arc<Broker>,
    /// What the headers of a read have in common with those of another, of any connection.
    memories: Mutex<Vec<Memory>>,
}

impl BrokerDoor {
    /// A door to a broker.
    #[must_use]
    pub fn new(broker: Arc<Broker>) -> Self {
        Self { broker, memories: Mutex::default() }
    }
}

/// Appends an answer to what a connection sends, unless nobody waits for it.
fn answer(connection: &Connection, frame: &RawFrame<'_>, header: &Header<'_>, reply: &Reply) {
    if !header.is_one_way() {
        connection.send(|out| reply.write(out, frame.encoding, header.opaque));
    }
}

/// The headers of these frames up to the first malformed one.
fn parse_all<'a>(frames: &[RawFrame<'a>], memory: &mut Memory, connection: &Connection) -> Vec<Header<'a>> {
    let mut headers = Vec::with_capacity(frames.len());
    for frame in frames {
        match memory.parse(frame) {
            Ok(header) => headers.push(header),
            Err(error) => {
                tracing::warn!(peer = %connection.peer(), %error, "malformed header; the connection is closed");
                break;
            }
        }
    }
    headers
}

impl Door for BrokerDoor {
    fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, work: &mut Work) {
        self.serve(connection, &requests, None, work);
    }

    fn call_too_fast(
        &self,
        connection: &Arc<Connection>,
        requests: Vec<RawFrame<'_>>,
        wait: Duration,
        work: &mut Work,
    ) {
        self.serve(connection, &requests, Some(wait), work);
    }

    fn closed(&self, connection: &Arc<Connection>) {
        self.broker.channel_closed(connection.id());
    }
}

impl BrokerDoor {
    /// `wait`: the client is too fast, and its sends are refused until then.
    fn serve(&self, connection: &Arc<Connection>, requests: &[RawFrame<'_>], wait: Option<Duration>, work: &mut Work) {
        let mut sends: Option<send::Sends<'_>> = None;
        let mut memory = self.memories.lock().pop().unwrap_or_default();
        for frames in requests.chunks(HEADERS_AT_ONCE) {
            let headers = parse_all(frames, &mut memory, connection);
            let mut to_store = Vec::with_capacity(headers.len());
            for (frame, header) in frames.iter().zip(&headers) {
                match header.request_code() {
                    _ if header.is_response() => {} // it came after its question was given up
                    RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
                        match wait {
                            Some(wait) => answer(connection, frame, header, &self.too_fast(wait)),
                            None => to_store.push((frame, header)),
                        }
                    }
                    RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                        pull::pull(&self.broker, connection, frame, header, work);
                    }
                    _ => table::dispatch(&self.broker, connection, frame, header, work),
                }
            }
            if !to_store.is_empty() {
                let sends = sends.get_or_insert_with(|| send::Sends::new(&self.broker, requests));
                sends.add_all(&to_store, connection);
            }
            let is_malformed = headers.len() < frames.len();
            headers.into_iter().for_each(|header| memory.take_back(header));
            if is_malformed {
                connection.close();
                break;
            }
        }
        self.keep(memory);
        if let Some(sends) = sends {
            sends.store(self.broker.options().advertised, connection, work);
        }
    }

    fn keep(&self, memory: Memory) {
        let mut memories = self.memories.lock();
        if memories.len() < MEMORIES_MAX {
            memories.push(memory);
        }
    }

    fn too_fast(&self, wait: Duration) -> Reply {
        self.broker.meter().refused_by_quota();
        let (options, wait) = ("client-requests-per-second and client-bytes-per-second", wait.as_millis() + 1);
        let text = format!("this client is over its rate (options {options}); send again in {wait} ms");
        Reply::error(ResponseCode::SYSTEM_BUSY, text)
    }
}

/// A request that no table knows.
fn unsupported(header: &Header<'_>) -> Reply {
    Reply::error(
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        format!(" request type {} not supported", header.request_code()),
    )
}
