//! Messages by their place and by their keys.

use super::client::subscription_body;
use super::table::{Outcome, Request};
use crate::reply::Reply;
use bytes::BytesMut;
use model::{PhysicalOffset, QueueOffset, Topic};
use wire::remoting::body::{ConsumeQueueEntry, ConsumeQueuePage};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, to_vec};
use wire::remoting::{ResponseCode, request};

/// Most messages that one query gives, the newest: the original's bound, which those who look expect.
const MESSAGES_MAX: usize = 64;
/// Bytes of messages found by a key after which no more are given: clients read no answer of more than 16 MiB, and close the
/// connection.
const BYTES_MAX: usize = 8 << 20;
/// Most entries of a queue that one query gives.
const ENTRIES_MAX: usize = 4096;

pub(super) fn view(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::ViewMessage::parse(&header.fields)?;
    let not_found = |reason: String| {
        Reply::error(
            ResponseCode::SYSTEM_ERROR,
            format!("can not find message by the offset, {}: {reason}", ask.offset),
        )
    };
    let position = u64::try_from(ask.offset).map_err(|_| not_found("it is negative".to_owned()))?;
    let record = request.broker.store().read_at(PhysicalOffset(position));
    Ok(Reply::ok().with_body(record.map_err(|error| not_found(error.to_string()))?))
}

pub(super) fn by_key(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryMessage::parse(&header.fields)?;
    let is_unique = ask.unique_key.unwrap_or(false);
    let topic = Topic::from_stored(ask.topic);
    // A unique id says itself when it was made, so clients leave the time open.
    let range = if is_unique { i64::MIN..=i64::MAX } else { ask.begin_timestamp..=ask.end_timestamp };
    let max = usize::try_from(ask.max_num).unwrap_or(1).clamp(1, MESSAGES_MAX);
    let found = match ask.index_type {
        Some("T") => request.broker.messages_with_tag(ask.topic, ask.key, &range, max)?,
        _ => request.broker.store().lookup(&topic, ask.key, range, max)?,
    };
    if found.is_empty() {
        let remark = "can not find message, maybe time range not correct";
        return Err(Reply::error(ResponseCode::QUERY_NOT_FOUND, remark));
    }
    let (mut given, mut bytes) = (0, 0);
    // Who asks for an id is given all that have it.
    while given < found.len() && (is_unique || bytes < BYTES_MAX) {
        bytes += found[given].len();
        given += 1;
    }
    // They are found newest first, and given as the original gives them.
    let mut body = BytesMut::with_capacity(bytes);
    found[..given].iter().rev().for_each(|record| body.extend_from_slice(record));
    let positions = request.broker.store().positions();
    Ok(Reply::ok()
        .with_field("indexLastUpdateTimestamp", request.broker.now().0)
        .with_field("indexLastUpdatePhyoffset", positions.committed)
        .with_body(body.freeze()))
}

/// Entries of a queue as they are in the index, and whether a group's subscription wants them.
pub(super) fn consume_queue(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryConsumeQueue::parse(&header.fields)?;
    let queue = request.broker.queue(ask.topic, ask.queue_id)?;
    let group = ask.consumer_group.filter(|group| !group.is_empty());
    let view = group.and_then(|group| request.broker.consumers(group));
    let subscription = view.and_then(|view| view.subscription(ask.topic));
    let (min, max) = (queue.min_offset(), queue.max_offset());
    let from = QueueOffset(u64::try_from(ask.index).unwrap_or(0).clamp(min.0, max.0));
    let count = usize::try_from(ask.count).unwrap_or(0).min(ENTRIES_MAX);
    let mut entries = Vec::new();
    queue.entries(from, count, &mut entries)?;
    let wants = |tag_hash| subscription.as_ref().is_none_or(|subscription| subscription.filter.wants(tag_hash));
    let data = entries.iter().map(|entry| ConsumeQueueEntry {
        physic_offset: entry.physical.0 as i64,
        physic_size: entry.size as i32,
        tags_code: i64::from(entry.tag_hash),
        eval: wants(entry.tag_hash),
    });
    let body = ConsumeQueuePage {
        queue_data: data.collect(),
        subscription_data: subscription.as_deref().map(subscription_body),
        max_queue_index: max.0 as i64,
        min_queue_index: min.0 as i64,
    };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}
