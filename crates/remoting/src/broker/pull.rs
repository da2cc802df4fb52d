//! Pulling: hot answers are gathered straight into the connection's buffer.

use super::answer;
use super::convert::pull_error;
use crate::reply::Reply;
use crate::server::{Connection, Work};
use ::broker::{Broker, Filter, Pull, PullError, PullOutcome, PullStep, Pulled};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use wire::name;
use wire::remoting::frame::{Encoding, RawFrame};
use wire::remoting::header::Header;
use wire::remoting::request::PullMessage;
use wire::remoting::{FrameWriter, ResponseCode};

/// Longest time that a pull may wait.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Whom to answer.
#[derive(Clone, Copy)]
struct Asker {
    opaque: i32,
    encoding: Encoding,
    one_way: bool,
}

pub(super) fn pull(
    broker: &Arc<Broker>,
    connection: &Arc<Connection>,
    frame: &RawFrame<'_>,
    header: &Header<'_>,
    work: &mut Work,
) {
    let request = match PullMessage::parse(&header.fields) {
        Ok(request) => request,
        Err(error) => return answer(connection, frame, header, &Reply::from(error)),
    };
    if let Err(refusal) = refuse_lite_topic(request.lite_topic) {
        return answer(connection, frame, header, &refusal);
    }
    let asker = Asker { opaque: header.opaque, encoding: frame.encoding, one_way: header.is_one_way() };
    let bytes = frame.header.len();
    match broker.pull(&ask(&request, connection)) {
        Ok(PullStep::Ready(pulled)) => deliver(broker, connection, asker, Ok(pulled), work, bytes),
        Err(error) => deliver(broker, connection, asker, Err(error), work, bytes),
        Ok(PullStep::Parked(parked)) => {
            let (broker, connection) = (Arc::clone(broker), Arc::clone(connection));
            work.push_patient(
                bytes,
                Box::pin(async move {
                    let outcome = parked.finish().await;
                    send(&broker, &connection, asker, outcome).await;
                }),
            );
        }
    }
}

/// Lite topics lie within others; what is asked of one must not be answered from the other.
pub(super) fn refuse_lite_topic(name: Option<&str>) -> Result<(), Reply> {
    match name {
        None | Some("") => Ok(()),
        Some(name) => {
            let remark =
                format!("lite topic '{name}' cannot be read: lite topics are not supported; leave out liteTopic");
            Err(Reply::error(ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}

fn ask<'a>(request: &PullMessage<'a>, connection: &Connection) -> Pull<'a> {
    let has = |flag: i32| request.sys_flag & flag != 0;
    let given = request.subscription.filter(|_| has(PullMessage::SUBSCRIPTION));
    let asked_bytes = request.max_msg_bytes.and_then(|max| usize::try_from(max).ok()).filter(|max| *max > 0);
    let answer_bytes = connection.answer_bytes();
    let suspend_ms = u64::try_from(request.suspend_timeout_millis.0).ok().filter(|ms| *ms > 0);
    Pull {
        member: Some(connection.id()),
        group: request.consumer_group,
        topic: request.topic,
        queue_id: request.queue_id,
        offset: request.queue_offset,
        messages_max: request.max_msg_nums,
        bytes_max: asked_bytes.map_or(answer_bytes, |max| max.min(answer_bytes)),
        commit: has(PullMessage::COMMIT_OFFSET).then_some(request.commit_offset.0),
        wait: suspend_ms.filter(|_| has(PullMessage::SUSPEND)).map(|ms| Duration::from_millis(ms).min(WAIT_MAX)),
        filter: match given {
            Some(expression) => Filter::Given { kind: request.expression_type, expression },
            None if has(PullMessage::SUBSCRIPTION) => Filter::Given { kind: request.expression_type, expression: "*" },
            None => Filter::Subscribed { version: request.sub_version.0 },
        },
    }
}

fn deliver(
    broker: &Arc<Broker>,
    connection: &Arc<Connection>,
    asker: Asker,
    outcome: Result<Pulled, PullError>,
    work: &mut Work,
    bytes: usize,
) {
    let waits = |pulled: &Pulled| !pulled.is_hot() || !pulled.hold.is_zero() || !connection.has_room();
    if outcome.as_ref().is_ok_and(waits) {
        let bytes = bytes + outcome.as_ref().map_or(0, Pulled::memory_bytes);
        let (broker, connection) = (Arc::clone(broker), Arc::clone(connection));
        work.push(bytes, Box::pin(async move { send(&broker, &connection, asker, outcome).await }));
    } else if !asker.one_way {
        connection.send(|out| write(out, asker, &outcome));
    }
}

/// Sends an answer whose messages may have to come from the disk.
async fn send(broker: &Arc<Broker>, connection: &Arc<Connection>, asker: Asker, outcome: Result<Pulled, PullError>) {
    if asker.one_way {
        return;
    }
    if let Ok(pulled) = &outcome {
        rt::sleep(pulled.hold).await;
    }
    connection.room().await;
    if outcome.as_ref().map_or(true, Pulled::is_hot) {
        return connection.send(|out| write(out, asker, &outcome));
    }
    let _turn = loop {
        let Some(turn) = broker.cold_turn().await else {
            return connection.send(|out| write(out, asker, &outcome.map(Pulled::put_off)));
        };
        // While this one waited others of its connection may have filled the room.
        if connection.has_room() {
            break turn;
        }
        drop(turn);
        connection.room().await;
    };
    let encode = move || {
        let mut bytes = BytesMut::new();
        write(&mut bytes, asker, &outcome);
        bytes
    };
    let bytes = broker.host().run_blocking(encode).await;
    connection.send(|out| out.extend_from_slice(&bytes));
}

fn write(out: &mut BytesMut, asker: Asker, outcome: &Result<Pulled, PullError>) {
    match outcome {
        Ok(pulled) => write_pulled(out, asker, pulled),
        Err(error) => pull_error(error).write(out, asker.encoding, asker.opaque),
    }
}

fn write_pulled(out: &mut BytesMut, asker: Asker, pulled: &Pulled) {
    let (code, remark) = match pulled.outcome {
        PullOutcome::Found => (ResponseCode::SUCCESS, "FOUND"),
        PullOutcome::NotFound => (ResponseCode::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE"),
        PullOutcome::NoMatch => (ResponseCode::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE"),
        PullOutcome::Moved => (ResponseCode::PULL_OFFSET_MOVED, "OFFSET_MOVED"),
    };
    let start = out.len();
    out.reserve(pulled.bytes() + 512);
    let mut writer = FrameWriter::response(out, asker.encoding, code, asker.opaque);
    writer.remark(remark);
    writer.field_u64(name!("suggestWhichBrokerId"), pulled.suggested_broker);
    writer.field_u64(name!("nextBeginOffset"), pulled.next.0);
    writer.field_u64(name!("minOffset"), pulled.min.0);
    writer.field_u64(name!("maxOffset"), pulled.max.0);
    writer.finish_detached(pulled.bytes());
    drop(writer);
    if let Err(error) = pulled.gather(out) {
        out.truncate(start);
        match pulled.before_damage() {
            Some(readable) => write_pulled(out, asker, &readable),
            None => {
                tracing::error!(%error, "a pull cannot be answered");
                pull_error(&PullError::Read(error)).write(out, asker.encoding, asker.opaque);
            }
        }
    }
}
