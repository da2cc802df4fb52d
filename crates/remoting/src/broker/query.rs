//! Messages by their place and by their keys.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use bytes::BytesMut;
use model::{PhysicalOffset, Topic};
use wire::remoting::header::Header;
use wire::remoting::{ResponseCode, request};

/// Most messages that one query gives.
const MESSAGES_MAX: usize = 1024;

pub(super) async fn view(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::ViewMessage::parse(&header.fields)?;
    let not_found = |reason: String| {
        Reply::error(
            ResponseCode::SYSTEM_ERROR,
            format!("can not find message by the offset, {}: {reason}", ask.offset),
        )
    };
    let position = u64::try_from(ask.offset).map_err(|_| not_found("it is negative".to_owned()))?;
    let store = request.broker.store().clone();
    let record = request.broker.host().run_blocking(move || store.read_at(PhysicalOffset(position))).await;
    Ok(Reply::ok().with_body(record.map_err(|error| not_found(error.to_string()))?))
}

pub(super) async fn by_key(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryMessage::parse(&header.fields)?;
    let is_unique = ask.unique_key.unwrap_or(false);
    if ask.index_type.is_some_and(|kind| kind == "T") {
        let remark = "queries by tag are not supported by this broker yet; query by key or unique id";
        return Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark));
    }
    let (topic, key) = (Topic::from_stored(ask.topic), ask.key.to_owned());
    // A unique id says itself when it was made, so clients leave the time open.
    let range = if is_unique { i64::MIN..=i64::MAX } else { ask.begin_timestamp..=ask.end_timestamp };
    let max = usize::try_from(ask.max_num).unwrap_or(1).clamp(1, MESSAGES_MAX);
    let store = request.broker.store().clone();
    let found = request.broker.host().run_blocking(move || store.lookup(&topic, &key, range, max)).await?;
    if found.is_empty() {
        let remark = "can not find message, maybe time range not correct";
        return Err(Reply::error(ResponseCode::QUERY_NOT_FOUND, remark));
    }
    let mut body = BytesMut::new();
    found.iter().for_each(|record| body.extend_from_slice(record));
    let positions = request.broker.store().positions();
    Ok(Reply::ok()
        .with_field("indexLastUpdateTimestamp", request.broker.now().0)
        .with_field("indexLastUpdatePhyoffset", positions.committed)
        .with_body(body.freeze()))
}
