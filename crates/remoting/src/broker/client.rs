//! Clients: heartbeats, members of groups, locks, and questions passed on to them.

use super::callback::Channel;
use super::table::{Outcome, Request};
use crate::reply::Reply;
use ::broker::{
    Ask, Broker, CohortView, ConsumeType, GroupView, Heartbeat, Interest, Member, MessageModel, SendBack, StartFrom,
    Subscription, TagFilter,
};
use model::{Group, MessageId, PhysicalOffset, QueueId, Topic};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use wire::remoting::body::{
    CheckClient, Connection, ConsumeFromWhere, ConsumerConnection, ConsumerData, ConsumerList, HeartbeatData,
    LockBatch, LockBatchAnswer, MessageQueue, ProducerConnection, ProducerInfo, ProducerTable, SubscriptionData,
};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, from_slice, to_vec};
use wire::remoting::{Language, ResponseCode, body, request};

pub(super) async fn heartbeat(request: &Request, header: &Header<'_>) -> Outcome {
    let data: HeartbeatData = from_slice(request.body())?;
    let broker = &request.broker;
    let member = Member {
        client_id: data.client_id.clone(),
        channel: Arc::new(Channel { connection: Arc::clone(&request.connection) }),
        language: header.language,
        version: header.version,
        last_seen: broker.steady_now(),
    };
    for producer in &data.producer_data_set {
        broker.producer_seen(&producer.group_name, member.clone());
    }
    let (mut must_resend, mut refusal) = (false, None);
    for consumer in data.consumer_data_set {
        if data.without_sub {
            must_resend |= !broker.consumer_refreshed(&consumer.group_name, request.connection.id());
        } else if let Err(refused) = consumer_seen(broker, consumer, member.clone()).await {
            // The client's other groups have nothing to do with it.
            refusal.get_or_insert(refused);
        }
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    Ok(Reply::ok().with_field("IS_SUPPORT_HEART_BEAT_V2", true).with_field("IS_SUB_CHANGE", must_resend))
}

async fn consumer_seen(broker: &Arc<Broker>, data: ConsumerData, member: Member) -> Result<(), Reply> {
    broker.consumer_seen(consumer_heartbeat(data)?, member).await?;
    Ok(())
}

fn consumer_heartbeat(data: ConsumerData) -> Result<Heartbeat, Reply> {
    let group = Group::new(&data.group_name).map_err(|error| Reply::error(ResponseCode::INVALID_PARAMETER, error))?;
    Ok(Heartbeat {
        group,
        consume_type: match data.consume_type {
            body::ConsumeType::Actively => ConsumeType::Pull,
            body::ConsumeType::Passively => ConsumeType::Push,
            body::ConsumeType::Pop => ConsumeType::Pop,
        },
        model: match data.message_model {
            body::MessageModel::Broadcasting => MessageModel::Broadcasting,
            body::MessageModel::Clustering | body::MessageModel::LiteSelective => MessageModel::Clustering,
        },
        start_from: match data.consume_from_where {
            ConsumeFromWhere::FirstOffset | ConsumeFromWhere::MinOffset => StartFrom::First,
            ConsumeFromWhere::Timestamp => StartFrom::Timestamp,
            _ => StartFrom::Last,
        },
        subscriptions: data.subscription_data_set.into_iter().map(subscription).collect::<Result<_, _>>()?,
    })
}

fn subscription(data: SubscriptionData) -> Result<Subscription, Reply> {
    let kind = data.expression_type.clone().unwrap_or_else(|| "TAG".to_owned());
    let parsed = TagFilter::parse_typed(Some(&kind), &data.sub_string);
    let (filter, unsupported) = match parsed {
        Ok(filter) => (filter, None),
        Err(::broker::FilterError::Unsupported(kind)) => (TagFilter::All, Some(kind)),
        Err(error) => return Err(Reply::error(ResponseCode::SUBSCRIPTION_PARSE_FAILED, error)),
    };
    Ok(Subscription {
        topic: data.topic,
        expression: data.sub_string,
        kind,
        version: data.sub_version,
        tags: data.tags_set.into_iter().collect(),
        codes: data.code_set.into_iter().collect(),
        filter,
        unsupported,
    })
}

pub(super) fn subscription_body(subscription: &Subscription) -> SubscriptionData {
    SubscriptionData {
        class_filter_mode: false,
        topic: subscription.topic.clone(),
        sub_string: subscription.expression.clone(),
        tags_set: subscription.tags.iter().cloned().collect(),
        code_set: subscription.codes.iter().copied().collect(),
        sub_version: subscription.version,
        expression_type: Some(subscription.kind.clone()),
        filter_class_source: None,
    }
}

pub(super) fn unregister(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::UnregisterClient::parse(&header.fields)?;
    request.broker.client_left(request.connection.id(), ask.producer_group, ask.consumer_group);
    Ok(Reply::ok())
}

pub(super) fn members(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetConsumerListByGroup::parse(&header.fields)?;
    let (broker, connection) = (&request.broker, &request.connection);
    let member = broker.member_at(ask.consumer_group, connection.id(), connection.peer().ip());
    let ids = broker.peers(ask.consumer_group, member);
    if ids.is_empty() {
        let remark = format!("no consumer for this group, {}", ask.consumer_group);
        return Err(Reply::error(ResponseCode::SYSTEM_ERROR, remark));
    }
    Ok(Reply::ok().with_body(to_vec(&ConsumerList { consumer_id_list: ids }, Dialect::Strict)))
}

pub(super) fn check_config(request: &Request) -> Outcome {
    let ask: CheckClient = from_slice(request.body())?;
    let data = ask.subscription_data;
    match TagFilter::parse_typed(data.expression_type.as_deref(), &data.sub_string) {
        Ok(_) => Ok(Reply::ok()),
        Err(error @ ::broker::FilterError::Unsupported(_)) => Err(Reply::error(ResponseCode::SYSTEM_ERROR, error)),
        Err(error) => Err(Reply::error(ResponseCode::SUBSCRIPTION_PARSE_FAILED, error)),
    }
}

pub(super) async fn send_back(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::SendBack::parse(&header.fields)?;
    let send_back = SendBack {
        group: ask.group,
        offset: ask.offset,
        delay_level: ask.delay_level,
        max_reconsume_times: ask.max_reconsume_times,
    };
    request.broker.send_back(send_back).await?;
    Ok(Reply::ok())
}

pub(super) async fn lock(request: &Request) -> Outcome {
    let ask: LockBatch = from_slice(request.body())?;
    let group = Group::from_stored(&ask.consumer_group);
    let queues = ask.mq_set.iter().map(place).collect();
    let held = request.broker.lock_queues(&group, request.connection.id(), &ask.client_id, queues).await?;
    let held: HashSet<_> = held.into_iter().collect();
    let locked = ask.mq_set.into_iter().filter(|queue| held.contains(&place(queue)));
    Ok(Reply::ok().with_body(to_vec(&LockBatchAnswer { lock_ok_mq_set: locked.collect() }, Dialect::Strict)))
}

pub(super) fn unlock(request: &Request) -> Outcome {
    let ask: LockBatch = from_slice(request.body())?;
    let group = Group::from_stored(&ask.consumer_group);
    request.broker.unlock_queues(&group, &ask.client_id, ask.mq_set.iter().map(place).collect());
    Ok(Reply::ok())
}

fn place(queue: &MessageQueue) -> (Topic, QueueId) {
    (Topic::from_stored(&queue.topic), QueueId(queue.queue_id.max(0) as u32))
}

pub(super) async fn running_info(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetConsumerRunningInfo::parse(&header.fields)?;
    let question = Ask::RunningInfo {
        group: Group::from_stored(ask.consumer_group),
        client: ask.client_id.to_owned(),
        stacks: ask.jstack_enable.unwrap_or(false),
    };
    let body = request.broker.ask_member(ask.consumer_group, ask.client_id, question).await?;
    Ok(Reply::ok().with_body(body))
}

/// The offsets that members of a group hold in memory, of all members or of one.
pub(super) async fn status(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetConsumerStatus::parse(&header.fields)?;
    let view = request.broker.consumers(ask.group).ok_or_else(|| {
        Reply::error(ResponseCode::CONSUMER_NOT_ONLINE, format!("no member of group '{}' is online", ask.group))
    })?;
    let mut table = BTreeMap::new();
    for member in view.members.values() {
        if ask.client_addr.is_some_and(|wanted| !wanted.is_empty() && wanted != member.client_id) {
            continue;
        }
        let question = Ask::Status { topic: Topic::from_stored(ask.topic), group: Group::from_stored(ask.group) };
        let answer = request.broker.ask_member(ask.group, &member.client_id, question).await.map_err(Reply::from);
        // Members that cannot tell (those in Go cannot) do not keep the others from being seen.
        match answer.and_then(|answer| from_slice::<body::ConsumerStatus>(&answer).map_err(Reply::from)) {
            Ok(status) => {
                table.insert(member.client_id.clone(), body::ClientOffsets(status.message_queue_table));
            }
            Err(error) => {
                tracing::debug!(
                    group = ask.group,
                    client = member.client_id,
                    remark = error.remark,
                    "no status of a member"
                )
            }
        }
    }
    let answer = body::ConsumerStatus { consumer_table: table, ..Default::default() };
    Ok(Reply::ok().with_body(to_vec(&answer, Dialect::Loose)))
}

pub(super) async fn consume_directly(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::ConsumeMessageDirectly::parse(&header.fields)?;
    let id = ask.msg_id.ok_or_else(|| Reply::error(ResponseCode::INVALID_PARAMETER, "field 'msgId' is missing"))?;
    let parsed: MessageId = id.parse().map_err(|error| Reply::error(ResponseCode::INVALID_PARAMETER, error))?;
    let store = request.broker.store().clone();
    let record = request.broker.host().run_blocking(move || store.read_at(PhysicalOffset(parsed.offset.0))).await?;
    let client = ask.client_id.unwrap_or("");
    let question = Ask::ConsumeDirectly {
        group: Group::from_stored(ask.consumer_group),
        client: client.to_owned(),
        message_id: id.to_owned(),
        broker: request.broker.options().broker_name.clone(),
        record,
    };
    let body = request.broker.ask_member(ask.consumer_group, client, question).await?;
    Ok(Reply::ok().with_body(body))
}

fn connection_body(member: &Member) -> Connection {
    Connection {
        client_id: member.client_id.clone(),
        client_addr: member.channel.peer().to_string(),
        language: Language(member.language).name().to_owned(),
        version: member.version,
    }
}

pub(super) fn consumer_connections(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetConsumerConnections::parse(&header.fields)?;
    let view = request.broker.consumers(ask.consumer_group).ok_or_else(|| {
        let remark = format!("the consumer group[{}] not online", ask.consumer_group);
        Reply::error(ResponseCode::CONSUMER_NOT_ONLINE, remark)
    })?;
    let table = view.subscriptions.iter().map(|(topic, subscription)| (topic.clone(), subscription_body(subscription)));
    let answer = ConsumerConnection {
        connection_set: view.members.values().map(connection_body).collect(),
        subscription_table: table.collect(),
        consume_type: match view.consume_type {
            ConsumeType::Pull => body::ConsumeType::Actively,
            ConsumeType::Push => body::ConsumeType::Passively,
            ConsumeType::Pop => body::ConsumeType::Pop,
        },
        message_model: match view.model {
            MessageModel::Broadcasting => body::MessageModel::Broadcasting,
            MessageModel::Clustering => body::MessageModel::Clustering,
        },
        consume_from_where: match view.start_from {
            StartFrom::Last => ConsumeFromWhere::LastOffset,
            StartFrom::First => ConsumeFromWhere::FirstOffset,
            StartFrom::Timestamp => ConsumeFromWhere::Timestamp,
        },
        cohorts: request.broker.cohorts(ask.consumer_group).iter().map(|cohort| cohort_body(cohort, &view)).collect(),
    };
    Ok(Reply::ok().with_body(to_vec(&answer, Dialect::Strict)))
}

fn cohort_body(cohort: &CohortView, view: &GroupView) -> body::Cohort {
    let texts = |interests: &BTreeMap<String, Interest>| {
        interests.iter().map(|(topic, interest)| (topic.clone(), interest.to_string())).collect()
    };
    let member = |id: &u64| view.members.get(id).map(|member| member.client_id.clone());
    body::Cohort {
        members: cohort.members.iter().filter_map(member).collect(),
        wants: texts(cohort.wants.topics()),
        gets: texts(&cohort.shares),
        absent_since: cohort.absent_since.map_or(0, |since| since.0),
    }
}

pub(super) fn producer_connections(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetProducerConnections::parse(&header.fields)?;
    let view = request.broker.producers(ask.producer_group).ok_or_else(|| {
        Reply::error(ResponseCode::SYSTEM_ERROR, format!("the producer group[{}] not exist", ask.producer_group))
    })?;
    let answer = ProducerConnection { connection_set: view.values().map(connection_body).collect() };
    Ok(Reply::ok().with_body(to_vec(&answer, Dialect::Strict)))
}

pub(super) fn all_producers(request: &Request, _: &Header<'_>) -> Outcome {
    let info = |member: &Member| ProducerInfo {
        client_id: member.client_id.clone(),
        remote_ip: member.channel.peer().to_string(),
        language: Language(member.language).name().to_owned(),
        version: member.version,
        last_update_timestamp: member.last_seen.0,
    };
    let groups = request.broker.all_producers().into_iter();
    let data = groups.map(|(group, view)| (group.to_string(), view.values().map(info).collect())).collect();
    Ok(Reply::ok().with_body(to_vec(&ProducerTable { data }, Dialect::Strict)))
}
