//! Sending: all sends of one read become one call.

use super::answer;
use super::convert::publish_error;
use crate::reply::Reply;
use crate::server::{Connection, Work};
use ::broker::{BATCH_MESSAGES_MAX, BatchPart, Broker, Content, Publish, Publishing, Receipt};
use bytes::BytesMut;
use model::{MessageId, MessageIdText, PhysicalOffset, properties};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use wire::name;
use wire::remoting::frame::{Encoding, RawFrame};
use wire::remoting::header::Header;
use wire::remoting::request::SendMessage;
use wire::remoting::{FrameWriter, RequestCode, ResponseCode, batch};

/// Bytes of the unique id that the official clients give.
const UNIQUE_KEY_USUAL: usize = 32;

/// The sends of one read.
pub(super) struct Sends<'b> {
    publishing: Publishing<'b>,
    askers: Vec<Asker>,
    /// The unique ids of all sends.
    unique_keys: String,
    bytes: usize,
}

/// Who waits for which answer.
struct Asker {
    opaque: i32,
    encoding: Encoding,
    one_way: bool,
    /// Where in the unique ids its own stand; empty if it gave none.
    unique_key: Range<usize>,
}

impl<'b> Sends<'b> {
    /// Room for the sends among these requests.
    pub(super) fn new(broker: &'b Arc<Broker>, requests: &[RawFrame<'_>]) -> Self {
        let count = requests.len();
        let (askers, unique_keys) = (Vec::with_capacity(count), String::with_capacity(count * UNIQUE_KEY_USUAL));
        let body_bytes = requests.iter().map(|frame| frame.body.len()).sum();
        Self { publishing: broker.publishing(count, body_bytes), askers, unique_keys, bytes: 0 }
    }

    /// Decodes sends and hands them on; those with which something is wrong are answered at once.
    pub(super) fn add_all(&mut self, requests: &[(&RawFrame<'_>, &Header<'_>)], connection: &Connection) {
        let sends: Vec<_> = requests.iter().map(|(_, header)| parse(header)).collect();
        self.publishing.expect(sends.iter().flatten().map(|send| (send.topic, send.queue_id)));
        for ((frame, header), send) in requests.iter().zip(sends) {
            if let Err(reply) = send.and_then(|send| self.add(frame, header, &send, connection)) {
                answer(connection, frame, header, &reply);
            }
        }
    }

    fn add(
        &mut self,
        frame: &RawFrame<'_>,
        header: &Header<'_>,
        send: &SendMessage<'_>,
        connection: &Connection,
    ) -> Result<(), Box<Reply>> {
        let is_batch = send.batch.unwrap_or(false) || header.request_code() == RequestCode::SEND_BATCH_MESSAGE;
        let keys_start = self.unique_keys.len();
        let content = match is_batch {
            true => batch_content(frame.body)?,
            false => {
                let (properties, body) = (Cow::Borrowed(send.properties.unwrap_or("")), Cow::Borrowed(frame.body));
                Content::Single(BatchPart { flag: send.flag, properties, body })
            }
        };
        self.publishing.add(Publish {
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
        self.unique_keys.push_str(match is_batch {
            true => send.properties.and_then(|text| properties::get(text, properties::UNIQ_KEY)).unwrap_or(""),
            false => self.publishing.unique_key(),
        });
        self.askers.push(Asker {
            opaque: header.opaque,
            encoding: frame.encoding,
            one_way: header.is_one_way(),
            unique_key: keys_start..self.unique_keys.len(),
        });
        self.bytes += frame.header.len() + frame.body.len();
        Ok(())
    }

    /// Has the broker store them; the answers follow.
    pub(super) fn store(self, host: SocketAddr, connection: &Arc<Connection>, work: &mut Work) {
        if self.publishing.is_empty() {
            return;
        }
        let Self { publishing, askers, unique_keys, bytes } = self;
        let mut id = MessageId { store_host: host, offset: PhysicalOffset(0) }.text();
        let (storing, connection) = (publishing.store(), Arc::clone(connection));
        let answering = async move {
            let receipts = storing.await;
            connection.send(|out| {
                for (asker, receipt) in askers.iter().zip(receipts).filter(|(asker, _)| !asker.one_way) {
                    match receipt {
                        Ok(receipt) => write_receipt(out, asker, &unique_keys, &receipt, &mut id),
                        Err(error) => publish_error(&error).write(out, asker.encoding, asker.opaque),
                    }
                }
            });
        };
        work.push(bytes, Box::pin(answering));
    }
}

fn parse<'h>(header: &'h Header<'_>) -> Result<SendMessage<'h>, Box<Reply>> {
    let parsed = match header.request_code() {
        RequestCode::SEND_MESSAGE => SendMessage::parse(&header.fields),
        _ => SendMessage::parse_short(&header.fields),
    };
    parsed.map_err(|error| Box::new(Reply::from(error)))
}

fn batch_content(body: &[u8]) -> Result<Content<'_>, Box<Reply>> {
    let entries = batch::decode(body, BATCH_MESSAGES_MAX)
        .map_err(|error| Box::new(Reply::error(ResponseCode::MESSAGE_ILLEGAL, error)))?;
    let parts = entries.iter().map(|entry| BatchPart {
        flag: entry.flag,
        properties: Cow::Borrowed(entry.properties),
        body: Cow::Borrowed(entry.body),
    });
    Ok(Content::Batch(parts.collect()))
}

/// `id`: an id of this broker.
fn write_receipt(out: &mut BytesMut, asker: &Asker, unique_keys: &str, receipt: &Receipt, id: &mut MessageIdText) {
    let mut writer = FrameWriter::response(out, asker.encoding, ResponseCode::SUCCESS, asker.opaque);
    id.move_to(receipt.first.physical_offset);
    if receipt.rest.is_empty() {
        writer.field_plain(name!("msgId"), id.as_bytes());
    } else {
        let mut ids = id.as_str().to_owned();
        for place in &receipt.rest {
            id.move_to(place.physical_offset);
            ids.push(',');
            ids.push_str(id.as_str());
        }
        writer.field_plain(name!("msgId"), &ids);
    }
    writer.field_i64(name!("queueId"), i64::from(receipt.queue_id.0));
    writer.field_u64(name!("queueOffset"), receipt.first.queue_offset.0);
    if !asker.unique_key.is_empty() {
        writer.field_text(name!("transactionId"), &unique_keys[asker.unique_key.clone()]);
    }
    if let Some(handle) = &receipt.recall_handle {
        writer.field_plain(name!("recallHandle"), handle.as_bytes());
    }
    writer.field_plain(name!("MSG_REGION"), "DefaultRegion");
    writer.field_plain(name!("TRACE_ON"), "true");
    writer.finish();
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::record::Place;
    use model::{QueueId, QueueOffset};

    /// The bytes of an answer, without the two lengths and the encoding in front.
    fn answer(encoding: Encoding, host: &str, key: &str, handle: Option<&str>, offsets: &[u64]) -> String {
        let asker = Asker { opaque: 1_000_000_017, encoding, one_way: false, unique_key: 1..1 + key.len() };
        let place = |offset: &u64| Place {
            queue_offset: QueueOffset(123_456),
            physical_offset: PhysicalOffset(*offset),
            store_timestamp: 1,
        };
        let receipt = Receipt {
            queue_id: QueueId(10),
            first: place(&offsets[0]),
            rest: offsets[1..].iter().map(place).collect(),
            recall_handle: handle.map(Into::into),
        };
        let store_host = host.parse().expect("an address");
        let mut id = MessageId { store_host, offset: PhysicalOffset(u64::MAX) }.text();
        let mut out = BytesMut::new();
        write_receipt(&mut out, &asker, &format!("<{key}>"), &receipt, &mut id);
        out[8..].escape_ascii().to_string().replace("\\\"", "\"")
    }

    #[test]
    fn a_send_is_answered_with_where_it_is() {
        let json = |fields: &str| {
            let begin = r#"{"code":0,"flag":1,"opaque":1000000017,"language":"JAVA","serializeTypeCurrentRPC":"JSON","version":513"#;
            format!(r#"{begin},"extFields":{{{fields},"MSG_REGION":"DefaultRegion","TRACE_ON":"true"}}}}"#)
        };
        assert_eq!(
            answer(
                Encoding::Json,
                "127.0.0.1:10911",
                "7F00000105E818B4AAC2123456780001",
                None,
                &[0x0123_4567_89AB_CDEF]
            ),
            json(
                r#""msgId":"7F00000100002A9F0123456789ABCDEF","queueId":"10","queueOffset":"123456","transactionId":"7F00000105E818B4AAC2123456780001""#
            ),
        );
        assert_eq!(
            answer(Encoding::Json, "[::1]:10911", "k\t", Some("handle"), &[1, 0xFEDC_BA98]),
            json(
                r#""msgId":"0000000000000000000000000000000100002A9F0000000000000001,0000000000000000000000000000000100002A9F00000000FEDCBA98","queueId":"10","queueOffset":"123456","transactionId":"k\\t","recallHandle":"handle""#
            ),
        );
        assert_eq!(
            answer(Encoding::Json, "1.2.3.4:80", "", None, &[2]),
            json(r#""msgId":"01020304000000500000000000000002","queueId":"10","queueOffset":"123456""#),
        );
        assert_eq!(
            answer(Encoding::Binary, "1.2.3.4:80", "k", None, &[2]),
            concat!(
                r"\x00\x00\x00\x02\x01;\x9a\xca\x11\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x94",
                r"\x00\x05msgId\x00\x00\x00 01020304000000500000000000000002\x00\x07queueId\x00\x00\x00\x0210",
                r"\x00\x0bqueueOffset\x00\x00\x00\x06123456\x00\rtransactionId\x00\x00\x00\x01k",
                r"\x00\nMSG_REGION\x00\x00\x00\rDefaultRegion\x00\x08TRACE_ON\x00\x00\x00\x04true",
            ),
        );
    }
}
