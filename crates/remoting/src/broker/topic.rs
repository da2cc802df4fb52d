//! Topics: settings, lists and progress.

use super::attributes::{self, Attributes};
use super::table::{Outcome, Request};
use crate::reply::Reply;
use ::broker::{Broker, Counted};
use model::{PhysicalOffset, Topic, TopicConfig, system};
use std::collections::BTreeMap;
use wire::remoting::body::{
    self, DataVersion, GroupList, MessageQueue, TopicConfigList, TopicList, TopicOffset, TopicStatsTable, TopicTable,
};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, from_slice, to_vec};
use wire::remoting::{ResponseCode, request};

/// A topic's settings as others read them.
#[must_use]
pub(super) fn topic_body(config: &TopicConfig) -> body::TopicConfig {
    body::TopicConfig {
        topic_name: config.topic.to_string(),
        read_queue_nums: config.read_queues as i32,
        write_queue_nums: config.write_queues as i32,
        perm: config.permission as i32,
        topic_sys_flag: config.system_flag as i32,
        order: config.order,
        attributes: config.attributes.clone(),
        ..body::TopicConfig::default()
    }
}

/// The version of a broker's topics as others read it.
#[must_use]
pub(crate) fn version_body(version: model::DataVersion) -> DataVersion {
    DataVersion { state_version: version.state_version, timestamp: version.timestamp, counter: version.counter }
}

/// Topics without a version.
pub(crate) fn topic_table<'a>(topics: impl Iterator<Item = &'a TopicConfig>) -> TopicTable {
    let topic_config_table = topics.map(|config| (config.topic.to_string(), topic_body(config))).collect();
    TopicTable { topic_config_table, ..TopicTable::default() }
}

fn refuse(remark: impl ToString) -> Reply {
    Reply::error(ResponseCode::INVALID_PARAMETER, remark)
}

/// Filters are the same for both kinds, as in the original.
fn check_filter_type(name: &str) -> Result<(), Reply> {
    match name {
        "SINGLE_TAG" | "MULTI_TAG" => Ok(()),
        _ => Err(refuse(format!("topicFilterType is '{name}'; it must be SINGLE_TAG or MULTI_TAG"))),
    }
}

fn count(name: &str, value: i32) -> Result<u32, Reply> {
    u32::try_from(value).map_err(|_| refuse(format!("{name} is {value}; it must not be negative")))
}

fn attributes_of(request: &Request, topic: &str) -> Attributes {
    request.broker.topic(topic).map(|state| state.config.attributes.clone()).unwrap_or_default()
}

pub(super) async fn create(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::CreateTopic::parse(&header.fields)?;
    let topic = Topic::new(ask.topic).map_err(refuse)?;
    check_filter_type(ask.topic_filter_type)?;
    let mut attributes = attributes_of(request, ask.topic);
    attributes::change_by_text(ask.attributes.unwrap_or(""), &mut attributes)?;
    let config = TopicConfig {
        topic,
        read_queues: count("readQueueNums", ask.read_queue_nums)?,
        write_queues: count("writeQueueNums", ask.write_queue_nums)?,
        permission: count("perm", ask.perm)?,
        system_flag: count("topicSysFlag", ask.topic_sys_flag.unwrap_or(0))?,
        order: ask.order.0,
        attributes,
        since: PhysicalOffset(0),
    };
    request.broker.put_topic(config).await?;
    request.broker.name_servers_know_topics().await;
    Ok(Reply::ok())
}

/// Stores topics one after the other, once all are known to be right.
pub(super) async fn create_list(request: &Request) -> Outcome {
    let list: TopicConfigList = from_slice(request.body())?;
    let mut configs = Vec::with_capacity(list.topic_config_list.len());
    for topic in list.topic_config_list {
        let mut attributes = attributes_of(request, &topic.topic_name);
        attributes::change_by_map(topic.attributes, &mut attributes);
        let config = TopicConfig {
            topic: Topic::new(&topic.topic_name).map_err(refuse)?,
            read_queues: count("readQueueNums", topic.read_queue_nums)?,
            write_queues: count("writeQueueNums", topic.write_queue_nums)?,
            permission: count("perm", topic.perm)?,
            system_flag: count("topicSysFlag", topic.topic_sys_flag)?,
            order: topic.order,
            attributes,
            since: PhysicalOffset(0),
        };
        request.broker.check_topic_config(&config)?;
        configs.push(config);
    }
    for config in configs {
        request.broker.put_topic(config).await?;
    }
    request.broker.name_servers_know_topics().await;
    Ok(Reply::ok())
}

pub(super) async fn delete(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::DeleteTopic::parse(&header.fields)?;
    if ask.topic.trim().is_empty() {
        return Err(refuse("the topic name is blank; name the topic to delete"));
    }
    request.broker.delete_topic(ask.topic).await?;
    Ok(Reply::ok())
}

fn not_found(topic: &str) -> Reply {
    Reply::error(ResponseCode::TOPIC_NOT_EXIST, format!("No topic in this broker. topic: {topic}"))
}

pub(super) fn config(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetTopicConfig::parse(&header.fields)?;
    let state = request.broker.topic(ask.topic).ok_or_else(|| not_found(ask.topic))?;
    Ok(Reply::ok().with_body(to_vec(&topic_body(&state.config), Dialect::Strict)))
}

/// All topics with their version: what name servers, slaves and tools ask for.
#[must_use]
fn all_topics(broker: &Broker) -> TopicTable {
    // The version comes first: a topic that changes in between is then told again with the next version, not lost.
    let data_version = version_body(broker.metadata().read().topics_version);
    let topics = broker.all_topics();
    TopicTable { data_version, ..topic_table(topics.iter().map(|state| &state.config)) }
}

pub(super) fn all(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetAllTopicConfig::parse(&header.fields)?;
    let mut wrapper = all_topics(&request.broker);
    let total = wrapper.topic_config_table.len();
    let first = first_of_page(ask.topic_seq, ask.data_version, &wrapper.data_version);
    page(&mut wrapper.topic_config_table, first, ask.max_topic_num);
    Ok(Reply::ok().with_field("totalTopicNum", total).with_body(to_vec(&wrapper, Dialect::Loose)))
}

/// Where a page begins. Who read the pages before it of another version (JSON) reads all again: what it has asked for
/// may lie elsewhere by now.
pub(super) fn first_of_page(asked: Option<i32>, version: Option<&str>, current: &DataVersion) -> Option<i32> {
    let is_other = |text: &str| from_slice::<DataVersion>(text.as_bytes()).is_ok_and(|version| version != *current);
    if version.is_some_and(is_other) { None } else { asked }
}

/// Keeps the entries from `first` on, at most `max`: large tables are asked for page by page.
pub(super) fn page<V>(table: &mut BTreeMap<String, V>, first: Option<i32>, max: Option<i32>) {
    let Some(max) = max.and_then(|max| usize::try_from(max).ok()).filter(|max| *max > 0) else { return };
    let first = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(0);
    *table = std::mem::take(table).into_iter().skip(first).take(max).collect();
}

pub(super) fn stats(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::GetTopicStats::parse(&header.fields)?;
    let progress = request.broker.topic_progress(ask.topic)?;
    let broker_name = &request.broker.options().broker_name;
    let table = progress.into_iter().map(|queue| {
        let topic = ask.topic.to_owned();
        let key = MessageQueue { broker_name: broker_name.clone(), queue_id: queue.queue.0 as i32, topic };
        let offsets = TopicOffset {
            min_offset: queue.min.0 as i64,
            max_offset: queue.max.0 as i64,
            last_update_timestamp: queue.last_timestamp,
        };
        (key, offsets)
    });
    let trend = request.broker.trend(&Counted::Stored(Topic::from_stored(ask.topic))).unwrap_or_default();
    let topic_put_tps = trend.minute.per_second(|count| count.messages);
    let body = TopicStatsTable { offset_table: table.collect(), topic_put_tps };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Loose)))
}

pub(super) fn system_list(request: &Request, _: &Header<'_>) -> Outcome {
    let options = request.broker.options();
    let names = request.broker.all_topics().into_iter().map(|state| state.config.topic.to_string());
    let reply_topic = system::reply_topic(&options.cluster);
    let is_system = |name: &String| {
        system::is_system_topic(name) || [&options.cluster, &options.broker_name, &reply_topic].contains(&name)
    };
    let body = TopicList { topic_list: names.filter(is_system).collect(), broker_addr: None };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

pub(super) fn consumers(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::QueryTopicConsumeByWho::parse(&header.fields)?;
    let groups = request.broker.groups_of_topic(&Topic::from_stored(ask.topic));
    let body = GroupList { group_list: groups.iter().map(ToString::to_string).collect() };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let current = DataVersion { state_version: 0, timestamp: 7, counter: 2 };
        let check = |first: i32, version: Option<&str>, max: Option<i32>, expected: &[&str]| {
            let mut table: BTreeMap<_, _> = ["a", "b", "c"].map(|name| (name.to_owned(), ())).into();
            page(&mut table, first_of_page(Some(first), version, &current), max);
            assert_eq!(table.into_keys().collect::<Vec<_>>(), expected, "{first} {version:?} {max:?}");
        };
        check(0, None, None, &["a", "b", "c"]);
        check(0, Some(""), Some(2), &["a", "b"]);
        check(2, None, Some(2), &["c"]);
        check(2, Some(r#"{"counter":2,"stateVersion":0,"timestamp":7}"#), Some(2), &["c"]);
        check(2, Some(r#"{"counter":1,"stateVersion":0,"timestamp":7}"#), Some(2), &["a", "b"]);
    }
}
