//! Offsets of queues and of groups.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use crate::server::Connection;
use ::broker::Broker;
use model::{Group, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::remoting::body::{ConsumerOffsets, MessageQueue, ResetOffsetBody};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, to_vec};
use wire::remoting::{Language, ResponseCode, request};

pub(super) fn commit_one_way(broker: &Arc<Broker>, connection: &Connection, header: &Header<'_>) {
    let Ok(ask) = request::UpdateConsumerOffset::parse(&header.fields) else { return };
    let member = member(broker, connection, ask.consumer_group);
    let committed = broker.advance_offset(member, ask.consumer_group, ask.topic, ask.queue_id, ask.commit_offset);
    if let Err(error) = committed {
        tracing::debug!(group = ask.consumer_group, %error, "a commit was ignored");
    }
}

/// The member of a group that asks.
fn member(broker: &Broker, connection: &Connection, group: &str) -> Option<u64> {
    Some(broker.member_at(group, connection.id(), connection.peer().ip()))
}

pub(super) async fn query(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryConsumerOffset::parse(&header.fields)?;
    let zero_if_unknown = ask.set_zero_if_not_found.unwrap_or(true);
    let member = member(&request.broker, &request.connection, ask.consumer_group);
    let offset =
        request.broker.consumer_offset(member, ask.consumer_group, ask.topic, ask.queue_id, zero_if_unknown).await?;
    Ok(Reply::ok().with_field("offset", offset))
}

pub(super) async fn update(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::UpdateConsumerOffset::parse(&header.fields)?;
    let member = member(&request.broker, &request.connection, ask.consumer_group);
    request.broker.advance_offset(member, ask.consumer_group, ask.topic, ask.queue_id, ask.commit_offset)?;
    request.broker.flush_offsets().await?;
    Ok(Reply::ok())
}

pub(super) fn max(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetMaxOffset::parse(&header.fields)?;
    let queue = request.broker.queue(ask.topic, ask.queue_id)?;
    Ok(Reply::ok().with_field("offset", queue.max_offset()))
}

pub(super) fn min(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetMinOffset::parse(&header.fields)?;
    let queue = request.broker.queue(ask.topic, ask.queue_id)?;
    Ok(Reply::ok().with_field("offset", queue.min_offset()))
}

pub(super) async fn search(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::SearchOffset::parse(&header.fields)?;
    super::pull::refuse_lite_topic(ask.lite_topic)?;
    let upper = ask.boundary_type.is_some_and(|kind| kind.eq_ignore_ascii_case("upper"));
    let (broker, topic) = (Arc::clone(&request.broker), ask.topic.to_owned());
    let (queue_id, timestamp) = (ask.queue_id, ask.timestamp);
    let search = move || broker.offset_at(&topic, queue_id, timestamp, upper);
    let offset = request.broker.host().run_blocking(search).await?;
    Ok(Reply::ok().with_field("offset", offset))
}

pub(super) async fn earliest(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetEarliestStoreTime::parse(&header.fields)?;
    let (broker, topic, queue_id) = (Arc::clone(&request.broker), ask.topic.to_owned(), ask.queue_id);
    let time = request.broker.host().run_blocking(move || broker.earliest_time(&topic, queue_id)).await?;
    Ok(Reply::ok().with_field("timestamp", time))
}

pub(super) fn all(request: &Request, _: &Header<'_>) -> Outcome {
    let mut table: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    for group in request.broker.metadata().read().groups.keys() {
        for (topic, queue, offset) in request.broker.metadata().offsets_of_group(group) {
            table.entry(format!("{topic}@{group}")).or_default().insert(queue.0 as i32, offset.0 as i64);
        }
    }
    let body = ConsumerOffsets { offset_table: table, data_version: None };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Loose)))
}

pub(super) async fn reset(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::ResetOffset::parse(&header.fields)?;
    let group = Group::new(ask.group).map_err(|error| Reply::error(ResponseCode::INVALID_PARAMETER, error))?;
    let only = match (ask.queue_id, ask.offset) {
        (Some(queue), offset) if queue >= 0 => Some((queue, offset)),
        _ => None,
    };
    let reset = request.broker.reset_offsets(&group, ask.topic, only, ask.timestamp, ask.is_force).await?;
    let broker_name = &request.broker.options().broker_name;
    let table = reset.into_iter().map(|(queue, offset)| {
        let topic = ask.topic.to_owned();
        (MessageQueue { broker_name: broker_name.clone(), queue_id: queue.0 as i32, topic }, offset.0 as i64)
    });
    let dialect = if header.language == Language::GO.0 { Dialect::Strict } else { Dialect::Loose };
    Ok(Reply::ok().with_body(to_vec(&ResetOffsetBody { offset_table: table.collect() }, dialect)))
}

pub(super) async fn clone_group(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::CloneGroupOffset::parse(&header.fields)?;
    let broker = &request.broker;
    let (source, target) = (Group::from_stored(ask.src_group), Group::new(ask.dest_group));
    let target = target.map_err(|error| Reply::error(ResponseCode::INVALID_PARAMETER, error))?;
    let topics = match ask.topic {
        Some(topic) if !topic.is_empty() => vec![Topic::from_stored(topic)],
        _ => broker.topics_of_group(&source),
    };
    broker.clone_offsets(&source, &target, &topics).await?;
    Ok(Reply::ok())
}
