//! Sending: all sends of one read become one call.

use super::convert::publish_error;
use crate::reply::Reply;
use crate::server::{Connection, Work};
use ::broker::{BatchPart, Broker, Content, Publish, Receipt};
use bytes::BytesMut;

use model::{MessageId, properties};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use wire::remoting::frame::{Encoding, RawFrame};
use wire::remoting::header::Header;
use wire::remoting::request::SendMessage;
use wire::remoting::{FrameWriter, RequestCode, ResponseCode, batch};

/// Most messages in one batch request.
const BATCH_MESSAGES_MAX: usize = 10_000;

/// The sends of one read, decoded.
pub(super) struct Sends<'a> {
    publishes: Vec<Publish<'a>>,
    askers: Vec<Asker>,
    bytes: usize,
}

/// Who waits for which answer.
struct Asker {
    opaque: i32,
    encoding: Encoding,
    one_way: bool,
    unique_key: Option<Box<str>>,
}

impl<'a> Sends<'a> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { publishes: Vec::with_capacity(capacity), askers: Vec::with_capacity(capacity), bytes: 0 }
    }

    /// Decodes one send; what is wrong with it is the answer.
    pub(super) fn add(
        &mut self,
        frame: &'a RawFrame,
        header: &'a Header<'_>,
        connection: &Connection,
    ) -> Result<(), Box<Reply>> {
        let parsed = match header.request_code() {
            RequestCode::SEND_MESSAGE => SendMessage::parse(&header.fields),
            _ => SendMessage::parse_short(&header.fields),
        };
        let send = parsed.map_err(|error| Box::new(Reply::from(error)))?;
        let text = send.properties.unwrap_or("");
        let is_batch = send.batch.unwrap_or(false) || header.request_code() == RequestCode::SEND_BATCH_MESSAGE;
        let (content, unique_key) = match is_batch {
            true => batch_content(frame)?,
            false => {
                let part = BatchPart { flag: send.flag, properties: Cow::Borrowed(text), body: frame.body.clone() };
                (Content::Single(part), properties::get(text, properties::UNIQ_KEY).map(Box::from))
            }
        };
        self.publishes.push(Publish {
            topic: Cow::Borrowed(send.topic),
            default_topic: Cow::Borrowed(send.default_topic),
            default_queues: u32::try_from(send.default_topic_queue_nums).unwrap_or(0),
            queue_id: send.queue_id,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            born_host: connection.peer(),
            reconsume_times: send.reconsume_times.unwrap_or(0),
            max_reconsume_times: send.max_reconsume_times,
            content,
        });
        self.askers.push(Asker {
            opaque: header.opaque,
            encoding: frame.encoding,
            one_way: header.is_one_way(),
            unique_key,
        });
        self.bytes += frame.header.len() + frame.body.len();
        Ok(())
    }

    /// Hands the sends to the broker; the answers follow when they are stored.
    pub(super) fn publish(self, broker: &Arc<Broker>, connection: &Arc<Connection>, work: &mut Work) {
        if self.publishes.is_empty() {
            return;
        }
        let publishing = broker.publish(self.publishes);
        let (askers, connection, host) = (self.askers, Arc::clone(connection), broker.options().advertised);
        let answering = async move {
            let receipts = publishing.await;
            connection.send(|out| {
                for (asker, receipt) in askers.iter().zip(receipts).filter(|(asker, _)| !asker.one_way) {
                    match receipt {
                        Ok(receipt) => write_receipt(out, asker, &receipt, host),
                        Err(error) => publish_error(&error).write(out, asker.encoding, asker.opaque),
                    }
                }
            });
        };
        work.push(self.bytes, Box::pin(answering));
    }
}

type Decoded = (Content<'static>, Option<Box<str>>);

fn batch_content(frame: &RawFrame) -> Result<Decoded, Box<Reply>> {
    let entries = batch::decode(&frame.body, BATCH_MESSAGES_MAX)
        .map_err(|error| Box::new(Reply::error(ResponseCode::MESSAGE_ILLEGAL, error)))?;
    let keys: Vec<&str> =
        entries.iter().filter_map(|entry| properties::get(entry.properties, properties::UNIQ_KEY)).collect();
    let unique_keys = (!keys.is_empty()).then(|| keys.join(",").into_boxed_str());
    let parts = entries.iter().map(|entry| BatchPart {
        flag: entry.flag,
        properties: Cow::Owned(entry.properties.to_owned()),
        body: frame.body.slice_ref(entry.body),
    });
    Ok((Content::Batch(parts.collect()), unique_keys))
}

fn write_receipt(out: &mut BytesMut, asker: &Asker, receipt: &Receipt, host: SocketAddr) {
    let mut ids = Vec::with_capacity(33 * (1 + receipt.rest.len()));

    MessageId { store_host: host, offset: receipt.first.physical_offset }.write(&mut ids);
    for place in &receipt.rest {
        ids.push(b',');
        MessageId { store_host: host, offset: place.physical_offset }.write(&mut ids);
    }
    let ids = std::str::from_utf8(&ids).unwrap_or_default();
    let mut writer = FrameWriter::response(out, asker.encoding, ResponseCode::SUCCESS, asker.opaque);
    writer.field_plain("msgId", ids);
    writer.field_i64("queueId", i64::from(receipt.queue_id.0));
    writer.field_u64("queueOffset", receipt.first.queue_offset.0);
    if let Some(key) = &asker.unique_key {
        writer.field("transactionId", key);
    }
    if let Some(handle) = &receipt.recall_handle {
        writer.field_plain("recallHandle", handle);
    }
    writer.field_plain("MSG_REGION", "DefaultRegion");
    writer.field_plain("TRACE_ON", "true");
    writer.finish();
}
