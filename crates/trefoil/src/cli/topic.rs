//! `trefoil topic`.

mod order;
mod scale;

use super::output::{show, table};
use super::remote::{Among, Cluster, Master, is_refused, masters_of, signed};
use super::{Target, time};
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::remoting::body::{PERM_READ_WRITE, TopicConfig, TopicRouteData, TopicStatsTable, TopicTable};
use wire::remoting::{OrDefault, RequestCode, ResponseCode, request};

/// List, show, create, scale and delete topics.
#[derive(clap::Subcommand)]
pub(super) enum Topic {
    /// List topics.
    List {
        /// Retry, dead-letter and system topics too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show who serves a topic and what its queues hold.
    Show {
        /// The topic.
        topic: String,
        #[command(flatten)]
        target: Target,
    },
    /// Create a topic, or change the settings of one; what is not named stays as it is.
    Create(Create),
    /// Change the number of queues while producers and consumers go on.
    Scale(scale::Scale),
    /// Delete a topic with its messages.
    Delete {
        /// The topic.
        topic: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// The topic.
    topic: String,
    /// Queues on each broker; a new topic gets 8.
    #[arg(long)]
    queues: Option<u32>,
    /// What clients may do: r, w or rw; a new topic gets rw.
    #[arg(long, value_parser = permission)]
    permission: Option<i32>,
    /// Sets an attribute, such as flush=async; a name without a value takes it away.
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute_change)]
    attribute: Vec<String>,
    #[command(flatten)]
    among: Among,
    #[command(flatten)]
    target: Target,
}

/// Bits of the permission.
const READ: i32 = 4;
const WRITE: i32 = 2;
/// Queues of a new topic.
const QUEUES: i32 = 8;

fn permission(text: &str) -> Result<i32, String> {
    match text {
        "rw" => Ok(PERM_READ_WRITE),
        "r" => Ok(READ),
        "w" => Ok(WRITE),
        _ => Err("allowed are r, w and rw".to_owned()),
    }
}

/// A change of an attribute as brokers read it in a list.
fn attribute_change(text: &str) -> Result<String, String> {
    let name = text.split('=').next().unwrap_or_default();
    if name.is_empty() || text.contains(',') {
        return Err("write NAME=VALUE or NAME, without commas".to_owned());
    }
    Ok(signed(text))
}

fn permission_text(permission: i32) -> String {
    let text: String =
        [(READ, 'r'), (WRITE, 'w')].iter().filter(|(bit, _)| permission & bit != 0).map(|(_, c)| *c).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

pub(super) async fn run(command: Topic) -> anyhow::Result<()> {
    match command {
        Topic::List { all, target } => list(all, &target).await,
        Topic::Show { topic, target } => show_topic(&topic, &target).await,
        Topic::Create(command) => create(&command).await,
        Topic::Scale(command) => scale::scale(&command).await,
        Topic::Delete { topic, target } => delete(&topic, &target).await,
    }
}

/// Whether people made this topic.
fn is_users(topic: &str, info: &wire::remoting::body::ClusterInfo) -> bool {
    let is_infrastructure = info.cluster_addr_table.contains_key(topic) || info.broker_addr_table.contains_key(topic);
    let is_derived = topic.starts_with("%RETRY%") || topic.starts_with("%DLQ%") || topic.starts_with("rmq_sys_");
    !is_infrastructure && !is_derived && !model::system::is_system_topic(topic) && !topic.ends_with("_REPLY_TOPIC")
}

async fn list(all: bool, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let mut topics = cluster.topics().await?;
    if !all {
        let info = cluster.info().await?;
        topics.retain(|topic| is_users(topic, &info));
    }
    topics.sort();
    show(target.output, &topics, || table(["TOPIC"], topics.iter().map(|topic| [topic.clone()])))
}

#[derive(Serialize)]
struct Shown {
    topic: String,
    brokers: Vec<Served>,
    queues: Vec<Queue>,
}

#[derive(Serialize)]
struct Served {
    broker: String,
    address: Option<String>,
    read_queues: i32,
    write_queues: i32,
    permission: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Queue {
    broker: String,
    queue: i32,
    min_offset: i64,
    max_offset: i64,
    messages: i64,
    last_stored: i64,
}

async fn show_topic(topic: &str, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let route = cluster.known_route(topic).await?;
    let mut shown = Shown { topic: topic.to_owned(), brokers: served(&route), queues: Vec::new() };
    for master in masters_of(&route.broker_datas) {
        shown.queues.extend(queues(&cluster, &master, topic).await?);
        // A route also lacks the bit where the whole broker takes no messages.
        let Some(config) = config(&cluster, &master, topic).await? else { continue };
        for served in shown.brokers.iter_mut().filter(|served| served.broker == master.name) {
            if !served.permission.contains('w') {
                note_if_closed(&config, &master);
            }
            served.attributes.clone_from(&config.attributes);
        }
    }
    show(target.output, &shown, || text(&shown))
}

/// A topic's settings at one broker; `None` if it does not serve the topic.
async fn config(cluster: &Cluster, master: &Master, topic: &str) -> anyhow::Result<Option<TopicConfig>> {
    match config_with_attributes(cluster, master, topic).await {
        // Apache's brokers before 5.0, which know no attributes, tell of all topics at once.
        Err(error) if is_refused(&error, ResponseCode::REQUEST_CODE_NOT_SUPPORTED) => {
            let answer = cluster.ask(&master.addr, RequestCode::GET_ALL_TOPIC_CONFIG, |_| {}, b"").await?;
            Ok(answer.json::<TopicTable>()?.topic_config_table.remove(topic))
        }
        config => config,
    }
}

/// The same, of brokers that know attributes.
async fn config_with_attributes(
    cluster: &Cluster,
    master: &Master,
    topic: &str,
) -> anyhow::Result<Option<TopicConfig>> {
    let request = request::GetTopicConfig { topic };
    match cluster.ask(&master.addr, RequestCode::GET_TOPIC_CONFIG, |out| request.write(out), b"").await {
        Ok(answer) => answer.json().map(Some),
        Err(error) if is_refused(&error, ResponseCode::TOPIC_NOT_EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a topic's settings at one broker, which keeps the attributes that no change names, and has its order configuration
/// follow.
async fn store(
    cluster: &Cluster,
    master: &Master,
    topic: &str,
    config: &TopicConfig,
    changes: &[String],
) -> anyhow::Result<()> {
    let changes = changes.join(",");
    let request = request::CreateTopic {
        topic,
        default_topic: OrDefault(super::remote::MODEL_TOPIC),
        read_queue_nums: config.read_queue_nums,
        write_queue_nums: config.write_queue_nums,
        perm: config.perm,
        topic_filter_type: &config.topic_filter_type,
        topic_sys_flag: Some(config.topic_sys_flag),
        order: OrDefault(config.order),
        attributes: (!changes.is_empty()).then_some(changes.as_str()),
        force: None,
    };
    let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
    cluster.ask(&master.addr, code, |out| request.write(out), b"").await?;
    order::follow(cluster, master, topic, config.write_queue_nums).await
}

/// Nobody remembers for a command that was killed that the topic is to be opened again: say how.
fn note_if_closed(config: &TopicConfig, master: &Master) {
    if config.perm & WRITE == 0 {
        let (topic, broker, permission) = (&config.topic_name, &master.name, permission_text(config.perm));
        eprintln!(
            "'{topic}' takes no messages on {broker}: its permission is {permission}, as set by an operator, or left \
             behind by a 'topic scale --keep-order' that was killed; 'trefoil topic create {topic} --broker {broker} \
             --permission rw' opens it again"
        );
    }
}

fn served(route: &TopicRouteData) -> Vec<Served> {
    let masters = masters_of(&route.broker_datas);
    let mut served: Vec<_> = route
        .queue_datas
        .iter()
        .map(|queues| Served {
            broker: queues.broker_name.clone(),
            address: masters.iter().find(|master| master.name == queues.broker_name).map(|master| master.addr.clone()),
            read_queues: queues.read_queue_nums,
            write_queues: queues.write_queue_nums,
            permission: permission_text(queues.perm),
            attributes: BTreeMap::new(),
        })
        .collect();
    served.sort_by(|a, b| a.broker.cmp(&b.broker));
    served
}

async fn queues(cluster: &Cluster, master: &Master, topic: &str) -> anyhow::Result<Vec<Queue>> {
    let request = request::GetTopicStats { topic };
    let answer = cluster.ask(&master.addr, RequestCode::GET_TOPIC_STATS_INFO, |out| request.write(out), b"").await?;
    let stats: TopicStatsTable = answer.json()?;
    let queue = |(queue, at): (wire::remoting::body::MessageQueue, wire::remoting::body::TopicOffset)| Queue {
        broker: queue.broker_name,
        queue: queue.queue_id,
        min_offset: at.min_offset,
        max_offset: at.max_offset,
        messages: at.max_offset - at.min_offset,
        last_stored: at.last_update_timestamp,
    };
    let mut queues: Vec<_> = stats.offset_table.into_iter().map(queue).collect();
    queues.sort_by_key(|queue| queue.queue);
    Ok(queues)
}

fn text(shown: &Shown) -> String {
    let brokers = shown.brokers.iter().map(|served| {
        let address = served.address.clone().unwrap_or_else(|| "-".to_owned());
        let queues = [served.read_queues, served.write_queues].map(|queues| queues.to_string());
        let [read, write] = queues;
        let attributes: Vec<_> = served.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        [served.broker.clone(), address, read, write, served.permission.clone(), attributes.join(",")]
    });
    let queues = shown.queues.iter().map(|queue| {
        let numbers = [queue.min_offset, queue.max_offset, queue.messages].map(|number| number.to_string());
        let [min, max, messages] = numbers;
        [queue.broker.clone(), queue.queue.to_string(), min, max, messages, time::text(queue.last_stored)]
    });
    let brokers = table(["BROKER", "ADDRESS", "READ QUEUES", "WRITE QUEUES", "PERMISSION", "ATTRIBUTES"], brokers);
    let queues = table(["BROKER", "QUEUE", "MIN OFFSET", "MAX OFFSET", "MESSAGES", "LAST STORED"], queues);
    format!("{brokers}\n{queues}")
}

async fn create(command: &Create) -> anyhow::Result<()> {
    let Create { topic, queues, permission, attribute, among, target } = command;
    model::Topic::new(topic)?;
    let cluster = target.cluster();
    let masters = cluster.masters_among(among).await?;
    let queues = queues.map(i32::try_from).transpose().context("too many queues")?;
    let mut configs = Vec::with_capacity(masters.len());
    for master in &masters {
        let known = match attribute.is_empty() {
            true => config(&cluster, master, topic).await?,
            false => config_with_attributes(&cluster, master, topic)
                .await
                .with_context(|| format!("cannot set attributes on {}", master.name))?,
        };
        if let (Some(known), Some(queues)) = (&known, queues) {
            refuse_fewer_queues(topic, known, queues, master)?;
        }
        configs.push(changed(known, queues, *permission));
    }
    for (master, config) in masters.iter().zip(&configs) {
        store(&cluster, master, topic, config, attribute).await?;
    }
    cluster.wait_for_route(topic, &masters).await?;
    let brokers: Vec<_> = masters.iter().map(|master| master.name.as_str()).collect();
    let has: Vec<_> = configs.iter().map(|config| config.write_queue_nums).collect();
    let same = has.first().filter(|first| has.iter().all(|queues| queues == *first));
    let value = serde_json::json!({ "topic": topic, "brokers": brokers, "queues": same });
    let text = || match same {
        Some(queues) => format!("topic '{topic}' has {queues} queues on {}\n", brokers.join(", ")),
        None => {
            let each: Vec<_> =
                has.iter().zip(&brokers).map(|(queues, broker)| format!("{queues} on {broker}")).collect();
            format!("topic '{topic}' has these queues: {}\n", each.join(", "))
        }
    };
    show(target.output, &value, text)
}

/// What is to be stored on a broker: the settings there are, and the changes.
fn changed(known: Option<TopicConfig>, queues: Option<i32>, permission: Option<i32>) -> TopicConfig {
    let new = || TopicConfig {
        read_queue_nums: QUEUES,
        write_queue_nums: QUEUES,
        perm: PERM_READ_WRITE,
        ..TopicConfig::default()
    };
    let mut config = known.unwrap_or_else(new);
    if let Some(queues) = queues {
        (config.read_queue_nums, config.write_queue_nums) = (queues, queues);
    }
    config.perm = permission.unwrap_or(config.perm);
    config
}

/// Messages in queues that are no longer read would wait for ever.
fn refuse_fewer_queues(topic: &str, known: &TopicConfig, queues: i32, master: &Master) -> anyhow::Result<()> {
    if known.read_queue_nums > queues {
        let (name, has) = (&master.name, known.read_queue_nums);
        bail!(
            "'{topic}' has {has} queues on {name}; 'trefoil topic scale {topic} --queues {queues}' takes some away safely"
        );
    }
    Ok(())
}

async fn delete(topic: &str, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let route = cluster.route(topic).await?;
    let route = route.with_context(|| format!("no broker serves the topic '{topic}'"))?;
    let request = request::DeleteTopic { topic };
    for master in masters_of(&route.broker_datas) {
        cluster.ask(&master.addr, RequestCode::DELETE_TOPIC_IN_BROKER, |out| request.write(out), b"").await?;
    }
    let request = request::DeleteTopicRoute { topic, cluster_name: None };
    for addr in cluster.name_servers() {
        let answer = cluster.ask(addr, RequestCode::DELETE_TOPIC_IN_NAMESRV, |out| request.write(out), b"").await;
        match answer {
            Err(error) if !is_refused(&error, ResponseCode::TOPIC_NOT_EXIST) => return Err(error),
            _ => {}
        }
    }
    show(target.output, &serde_json::json!({ "topic": topic, "deleted": true }), || {
        format!("topic '{topic}' is deleted\n")
    })
}
