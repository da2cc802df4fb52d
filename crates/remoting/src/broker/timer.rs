//! Timed messages: recall, and what operators ask.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use ::broker::{Due, RecallError, TimerError, TimerFilter, TimerPage};
use bytes::BytesMut;
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, to_vec};
use wire::remoting::{FieldError, ResponseCode, body, request};

/// Messages of one answer if the caller names no number.
const PAGE: i32 = 256;

pub(super) async fn recall(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::RecallMessage::parse(&header.fields)?;
    let id = request.broker.recall(ask.topic, ask.recall_handle.unwrap_or_default()).await?;
    Ok(Reply::ok().with_field("msgId", id).with_field("MSG_REGION", "DefaultRegion"))
}

pub(super) async fn list(request: &Request, header: &Header<'_>) -> Outcome {
    page(request, header).await.map(|page| answer(&page))
}

pub(super) async fn cancel(request: &Request, header: &Header<'_>) -> Outcome {
    let TimerPage { messages, next } = page(request, header).await?;
    let messages = request.broker.cancel_timers(messages).await?;
    Ok(answer(&TimerPage { messages, next }))
}

async fn page(request: &Request, header: &Header<'_>) -> Result<TimerPage, Reply> {
    let ask = request::TimerQuery::parse(&header.fields)?;
    let filter = TimerFilter {
        topic: ask.topic.map(str::to_owned),
        key: ask.key.map(str::to_owned),
        from: ask.from,
        until: ask.until,
        only: due("only", ask.only)?,
    };
    let after = due("after", ask.after)?;
    let count_max = usize::try_from(ask.max_num.unwrap_or(PAGE)).unwrap_or(1);
    Ok(request.broker.timers(&filter, after, count_max).await?)
}

fn answer(page: &TimerPage) -> Reply {
    let mut body = BytesMut::new();
    page.messages.iter().for_each(|waiting| body.extend_from_slice(&waiting.record));
    let reply = Reply::ok().with_body(body.freeze());
    match page.next {
        Some(Due { at, position }) => reply.with_field("next", format!("{at}:{position}")),
        None => reply,
    }
}

fn due(field: &'static str, text: Option<&str>) -> Result<Option<Due>, FieldError> {
    let read = |text: &str| {
        let (at, position) = text.split_once(':')?;
        Some(Due { at: at.parse().ok()?, position: position.parse().ok()? })
    };
    let bad = |text: &str| FieldError::bad(field, text, "a due time, a colon and a position");
    text.map(|text| read(text).ok_or_else(|| bad(text))).transpose()
}

/// The original's delay levels have a position each; here they are timed messages like all others.
pub(super) fn delay_offsets(request: &Request, _: &Header<'_>) -> Outcome {
    let table = body::DelayOffsets { data_version: version(request, 0), ..Default::default() };
    Ok(Reply::ok().with_body(to_vec(&table, Dialect::Strict)))
}

/// The original's checkpoint: read up to which time, how far its own log is flushed, how far the timer topic is read
/// (here and at the master), then a version; eight bytes each.
pub(super) async fn check_point(request: &Request) -> Outcome {
    let (_, applied) = request.broker.timer_counts().await?;
    let (now, applied) = (request.broker.now().0, applied as i64);
    let numbers = [now, 0, applied, applied, 0, now, applied];
    Ok(Reply::ok().with_body(numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>()))
}

pub(super) async fn metrics(request: &Request) -> Outcome {
    let (counts, applied) = request.broker.timer_counts().await?;
    let version = version(request, applied);
    let count = |count: u64| body::TimingCount { count, time_stamp: version.timestamp };
    let timing_count = counts.into_iter().map(|(topic, waiting)| (topic, count(waiting))).collect();
    Ok(Reply::ok().with_body(to_vec(&body::TimerMetrics { data_version: version, timing_count }, Dialect::Strict)))
}

fn version(request: &Request, counter: u64) -> body::DataVersion {
    body::DataVersion { counter: counter as i64, state_version: 0, timestamp: request.broker.now().0 }
}

impl From<RecallError> for Reply {
    fn from(error: RecallError) -> Self {
        let code = match &error {
            RecallError::TopicNotFound { .. } => ResponseCode::TOPIC_NOT_EXIST,
            RecallError::Timer(error) => timer_code(error),
            _ => ResponseCode::ILLEGAL_OPERATION,
        };
        Self::error(code, error)
    }
}

impl From<TimerError> for Reply {
    fn from(error: TimerError) -> Self {
        Self::error(timer_code(&error), error)
    }
}

fn timer_code(error: &TimerError) -> ResponseCode {
    match error {
        TimerError::Busy { .. } | TimerError::Behind | TimerError::Changing => ResponseCode::SYSTEM_BUSY,
        TimerError::Stopped | TimerError::Append(_) | TimerError::Read(_) => ResponseCode::SYSTEM_ERROR,
    }
}
