//! Replies to requests: the same header as a send, another way.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use ::broker::{BatchPart, Content, Publish, ReplyError};
use model::{MessageId, properties};
use std::borrow::Cow;
use wire::remoting::header::Header;
use wire::remoting::request::SendMessage;
use wire::remoting::{RequestCode, ResponseCode};

pub(super) async fn respond(request: &Request, header: &Header<'_>) -> Outcome {
    let parsed = match header.request_code() {
        RequestCode::SEND_REPLY_MESSAGE => SendMessage::parse(&header.fields),
        _ => SendMessage::parse_short(&header.fields),
    };
    let send = parsed?;
    let text = send.properties.unwrap_or("");
    let unique_key = properties::get(text, properties::UNIQ_KEY).map(str::to_owned);
    let part = BatchPart {
        flag: send.flag,
        properties: Cow::Owned(text.to_owned()),
        body: Cow::Owned(request.body().to_vec()),
    };
    let publish = Publish {
        topic: Cow::Owned(send.topic.to_owned()),
        default_topic: Cow::Owned(send.default_topic.to_owned()),
        default_queues: u32::try_from(send.default_topic_queue_nums).unwrap_or(0),
        queue_id: send.queue_id,
        sys_flag: send.sys_flag,
        born_timestamp: send.born_timestamp,
        born_host: request.connection.peer(),
        reconsume_times: 0,
        max_reconsume_times: None,
        content: Content::Single(part),
    };
    let receipt = request.broker.reply(send.producer_group, publish).await?;
    let host = request.broker.options().advertised;
    let id = MessageId { store_host: host, offset: receipt.first.physical_offset };
    let reply = Reply::ok()
        .with_field("msgId", id)
        .with_field("queueId", receipt.queue_id)
        .with_field("queueOffset", receipt.first.queue_offset);
    Ok(match unique_key {
        Some(key) => reply.with_field("transactionId", key),
        None => reply,
    })
}

impl From<ReplyError> for Reply {
    fn from(error: ReplyError) -> Self {
        match &error {
            ReplyError::Publish(error) => super::convert::publish_error(error),
            ReplyError::Batch => Self::error(ResponseCode::MESSAGE_ILLEGAL, error),
            ReplyError::NoClient | ReplyError::NotOnline { .. } | ReplyError::Refused { .. } => {
                Self::error(ResponseCode::SYSTEM_ERROR, error)
            }
        }
    }
}
