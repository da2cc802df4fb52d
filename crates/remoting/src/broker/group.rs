//! Consumer groups: settings, lists and lag.

use super::attributes;
use super::client::subscription_body;
use super::table::{Outcome, Request};
use super::topic::{first_of_page, page, version_body};
use crate::reply::Reply;
use ::broker::{Broker, GroupDeletion, QueueLag};
use model::{BrokerId, Group, GroupConfig, RetryPolicy, Topic};
use std::collections::{BTreeMap, BTreeSet};
use wire::remoting::body::{
    ConsumeStats, ConsumeStatsList, ConsumeTimeSpan, GroupOffset, GroupTable, MessageQueue, MessageRequestMode, Opaque,
    QueueTimeSpan, SubscriptionAnswer, SubscriptionGroupConfig, SubscriptionGroupList, TopicList,
};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, from_slice, to_vec};
use wire::remoting::{ResponseCode, request};

fn group_body(config: &GroupConfig) -> SubscriptionGroupConfig {
    let policy = config.retry_policy.as_deref().and_then(|text| serde_json::from_str(text).ok()).map(Opaque);
    SubscriptionGroupConfig {
        group_name: config.group.to_string(),
        consume_enable: config.consume_enabled,
        consume_from_min_enable: config.from_min_enabled,
        consume_broadcast_enable: config.broadcast_enabled,
        consume_message_orderly: config.orderly,
        retry_queue_nums: config.retry_queues as i32,
        retry_max_times: config.retry_max,
        group_retry_policy: policy,
        broker_id: config.broker_id.0 as i64,
        which_broker_when_consume_slowly: config.broker_id_when_slow.0 as i64,
        notify_consumer_ids_changed_enable: config.notify_members,
        group_sys_flag: config.system_flag,
        consume_timeout_minute: config.consume_timeout_minutes as i32,
        subscription_data_set: None,
        attributes: config.attributes.clone(),
    }
}

fn group_config(body: SubscriptionGroupConfig, known: Option<&GroupConfig>) -> Result<GroupConfig, Reply> {
    let refuse = |remark: String| Reply::error(ResponseCode::INVALID_PARAMETER, remark);
    let group = Group::new(&body.group_name).map_err(|error| refuse(error.to_string()))?;
    let count = |name: &str, value: i64| {
        u32::try_from(value).map_err(|_| refuse(format!("{name} is {value}; it must not be negative")))
    };
    let policy = body.group_retry_policy.map(|policy| serde_json::Value::Object(policy.0).to_string());
    policy.as_deref().map(RetryPolicy::parse).transpose().map_err(|error| refuse(error.to_string()))?;
    let mut attributes = known.map(|config| config.attributes.clone()).unwrap_or_default();
    attributes::change_by_map(body.attributes, &mut attributes);
    Ok(GroupConfig {
        group,
        consume_enabled: body.consume_enable,
        from_min_enabled: body.consume_from_min_enable,
        broadcast_enabled: body.consume_broadcast_enable,
        orderly: body.consume_message_orderly,
        retry_queues: count("retryQueueNums", i64::from(body.retry_queue_nums))?,
        retry_max: body.retry_max_times,
        retry_policy: policy,
        broker_id: BrokerId(u64::from(count("brokerId", body.broker_id)?)),
        broker_id_when_slow: BrokerId(u64::from(count(
            "whichBrokerWhenConsumeSlowly",
            body.which_broker_when_consume_slowly,
        )?)),
        notify_members: body.notify_consumer_ids_changed_enable,
        system_flag: body.group_sys_flag,
        consume_timeout_minutes: count("consumeTimeoutMinute", i64::from(body.consume_timeout_minute))?,
        attributes,
        forbidden_topics: known.map(|config| config.forbidden_topics.clone()).unwrap_or_default(),
    })
}

pub(super) async fn create(request: &Request) -> Outcome {
    put(request, vec![from_slice(request.body())?]).await
}

pub(super) async fn create_list(request: &Request) -> Outcome {
    let list: SubscriptionGroupList = from_slice(request.body())?;
    put(request, list.group_config_list).await
}

/// Stores groups one after the other, once all are known to be right.
async fn put(request: &Request, bodies: Vec<SubscriptionGroupConfig>) -> Outcome {
    let broker = &request.broker;
    let mut configs = Vec::with_capacity(bodies.len());
    for body in bodies {
        let known = broker.group_config(&Group::from_stored(&body.group_name));
        let config = group_config(body, known.as_deref())?;
        broker.check_group_config(&config)?;
        configs.push(config);
    }
    for config in configs {
        broker.put_group(config).await?;
    }
    Ok(Reply::ok())
}

pub(super) fn all(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetAllGroupConfig::parse(&header.fields)?;
    let state = request.broker.metadata().read();
    let data_version = version_body(state.groups_version);
    let mut table: BTreeMap<_, _> =
        state.groups.iter().map(|(group, config)| (group.to_string(), group_body(config))).collect();
    let total = table.len();
    page(&mut table, first_of_page(ask.group_seq, ask.data_version, &data_version), ask.max_group_num);
    let forbidden = state.groups.values().filter(|config| !config.forbidden_topics.is_empty());
    let body = GroupTable {
        subscription_group_table: table,
        forbidden_table: forbidden
            .map(|config| (config.group.to_string(), config.forbidden_topics.iter().map(|t| (t.clone(), 1)).collect()))
            .collect(),
        data_version,
    };
    Ok(Reply::ok().with_field("totalGroupNum", total).with_body(to_vec(&body, Dialect::Loose)))
}

pub(super) fn config(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetGroupConfig::parse(&header.fields)?;
    let config = request.broker.group_config(&Group::from_stored(ask.group)).ok_or_else(|| {
        let remark = format!("No group in this broker. group: {}", ask.group);
        Reply::error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark)
    })?;
    Ok(Reply::ok().with_body(to_vec(&group_body(&config), Dialect::Strict)))
}

pub(super) async fn delete(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::DeleteGroup::parse(&header.fields)?;
    let deletion = match ask.clean_offset.unwrap_or(false) {
        true => GroupDeletion::ForgetOffsets,
        false => GroupDeletion::KeepOffsets,
    };
    request.broker.delete_group(ask.group_name, deletion).await?;
    Ok(Reply::ok())
}

pub(super) fn stats(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetConsumeStats::parse(&header.fields)?;
    let group = Group::from_stored(ask.consumer_group);
    let mut lags = Vec::new();
    match asked_topics(&ask) {
        topics if topics.is_empty() => lags = request.broker.lag(&group, None)?,
        topics => {
            for topic in topics {
                lags.extend(request.broker.lag(&group, Some(&topic))?);
            }
        }
    }
    let body = consume_stats(&request.broker, &group, lags);
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Loose)))
}

/// The topics asked about; none: all that the group reads. A list goes before a single topic.
fn asked_topics(ask: &request::GetConsumeStats<'_>) -> BTreeSet<Topic> {
    let named = |text: &str| -> BTreeSet<Topic> {
        text.split(';').filter(|topic| !topic.is_empty()).map(Topic::from_stored).collect()
    };
    match named(ask.topic_list.unwrap_or("")) {
        list if list.is_empty() => named(ask.topic.unwrap_or("")),
        list => list,
    }
}

/// How far all groups are; with `is_order` only in topics whose queues are in order.
pub(super) fn stats_of_all(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetBrokerConsumeStats::parse(&header.fields)?;
    let broker = &request.broker;
    let groups: Vec<Group> = broker.metadata().read().groups.keys().cloned().collect();
    let (mut consume_stats_list, mut total_diff, mut total_inflight_diff) = (Vec::new(), 0, 0);
    for group in groups {
        let mut of_group = Vec::new();
        for topic in broker.topics_of_group(&group) {
            let Some(state) = broker.topic(topic.as_str()) else { continue };
            if ask.is_order.0 && !state.config.order {
                continue;
            }
            let lags = broker.lag(&group, Some(&topic))?;
            let lag = |lag: &QueueLag| lag.broker_offset.0 as i64 - lag.consumer_offset.0 as i64;
            total_diff += lags.iter().map(lag).sum::<i64>();
            let in_flight = |lag: &QueueLag| lag.handed_offset.0 as i64 - lag.consumer_offset.0 as i64;
            total_inflight_diff += lags.iter().map(in_flight).sum::<i64>();
            of_group.push(consume_stats(broker, &group, lags));
        }
        consume_stats_list.push(BTreeMap::from([(group.to_string(), of_group)]));
    }
    let broker_addr = Some(broker.options().advertised.to_string());
    let body = ConsumeStatsList { consume_stats_list, broker_addr, total_diff, total_inflight_diff };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Loose)))
}

fn consume_stats(broker: &Broker, group: &Group, lags: Vec<QueueLag>) -> ConsumeStats {
    let mut topics: Vec<Topic> = lags.iter().map(|lag| lag.topic.clone()).collect();
    topics.dedup();
    let table = lags.into_iter().map(|lag| {
        let key = MessageQueue {
            broker_name: broker.options().broker_name.clone(),
            queue_id: lag.queue.0 as i32,
            topic: lag.topic.to_string(),
        };
        let offsets = GroupOffset {
            broker_offset: lag.broker_offset.0 as i64,
            consumer_offset: lag.consumer_offset.0 as i64,
            pull_offset: lag.handed_offset.0 as i64,
            last_timestamp: lag.last_timestamp,
        };
        (key, offsets)
    });
    ConsumeStats { offset_table: table.collect(), consume_tps: broker.read_rate(group, &topics) }
}

pub(super) fn time_span(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryConsumeTimeSpan::parse(&header.fields)?;
    let (broker, topic) = (&request.broker, Topic::from_stored(ask.topic));
    let now = broker.now().0;
    let progress = broker.topic_progress(topic.as_str())?;
    let lags = broker.lag(&Group::from_stored(ask.group), Some(&topic))?;
    let mut spans = Vec::new();
    for (queue, lag) in progress.iter().zip(&lags) {
        let id = queue.queue.0 as i32;
        let mut next = Vec::new();
        if lag.consumer_offset < queue.max {
            let from = lag.consumer_offset.max(queue.min);
            broker.queue(topic.as_str(), id)?.entries(from, 1, &mut next)?;
        }
        let min_time_stamp = broker.earliest_time(topic.as_str(), id)?;
        spans.push(QueueTimeSpan {
            message_queue: MessageQueue {
                broker_name: broker.options().broker_name.clone(),
                queue_id: id,
                topic: topic.to_string(),
            },
            min_time_stamp,
            max_time_stamp: queue.last_timestamp,
            // Where nothing is consumed yet, or only what is deleted, the oldest message there is stands for the last one.
            consume_time_stamp: if lag.last_timestamp == 0 { min_time_stamp } else { lag.last_timestamp },
            delay_time: next.first().map_or(0, |next| (now - next.store_timestamp).max(0)),
        });
    }
    Ok(Reply::ok().with_body(to_vec(&ConsumeTimeSpan { consume_time_span_set: spans }, Dialect::Loose)))
}

/// How the members of a group are to ask for messages of a topic. They pull, as long as nothing else is built.
pub(super) fn request_mode(request: &Request) -> Outcome {
    let ask: MessageRequestMode = from_slice(request.body())?;
    let topic = Topic::from_stored(&ask.topic);
    if topic.retry_group().is_some() {
        return Err(Reply::error(ResponseCode::NO_PERMISSION, "retry topic is not allowed to set mode"));
    }
    if request.broker.topic(&ask.topic).is_none() {
        return Err(Reply::error(ResponseCode::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist")));
    }
    match ask.mode.as_str() {
        "PULL" => Ok(Reply::ok()),
        mode => {
            let remark = format!("the mode is '{mode}'; this broker serves PULL only, POP is not built yet");
            Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark))
        }
    }
}

pub(super) fn topics(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryTopicsByConsumer::parse(&header.fields)?;
    let topics = request.broker.topics_of_group(&Group::from_stored(ask.group));
    let body = TopicList { topic_list: topics.iter().map(ToString::to_string).collect(), broker_addr: None };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

pub(super) fn subscription(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QuerySubscriptionByConsumer::parse(&header.fields)?;
    let topic = ask.topic.unwrap_or("");
    let view = request.broker.consumers(ask.group);
    let found = view.and_then(|view| view.subscription(topic));
    let body = SubscriptionAnswer {
        subscription_data: found.map(|subscription| subscription_body(&subscription)),
        group: ask.group.to_owned(),
        topic: topic.to_owned(),
    };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

pub(super) async fn forbidden(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GroupForbidden::parse(&header.fields)?;
    let config = request.broker.group_config_or_create(ask.group);
    let config = config.ok_or_else(|| {
        Reply::error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, format!("group '{}' does not exist", ask.group))
    })?;
    let mut config = GroupConfig::clone(&config);
    if let Some(readable) = ask.readable {
        config.forbidden_topics.retain(|topic| topic != ask.topic);
        if !readable {
            config.forbidden_topics.push(ask.topic.to_owned());
        }
        request.broker.put_group(config.clone()).await?;
    }
    let readable = !config.forbidden_topics.iter().any(|topic| topic == ask.topic);
    let body = serde_json::json!({ "group": ask.group, "topic": ask.topic, "readable": readable });
    Ok(Reply::ok().with_body(body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_asked_about() {
        let check = |topic: Option<&str>, topic_list: Option<&str>, expected: &[&str]| {
            let ask = request::GetConsumeStats { consumer_group: "g", topic, topic_list };
            let seen: Vec<String> = asked_topics(&ask).iter().map(ToString::to_string).collect();
            assert_eq!(seen, expected, "{topic:?} {topic_list:?}");
        };
        check(None, None, &[]);
        check(Some(""), Some(""), &[]);
        check(Some("t"), None, &["t"]);
        check(None, Some("b;a;"), &["a", "b"]);
        check(Some("t"), Some("a;a"), &["a"]);
    }
}
