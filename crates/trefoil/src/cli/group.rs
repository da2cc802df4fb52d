//! `trefoil group`.

mod create;
mod replay;

use super::output::{show, table};
use super::remote::{Answer, Cluster, Master, is_refused};
use super::{Target, time};
use anyhow::bail;
use serde::Serialize;
use std::collections::BTreeMap;
use wire::remoting::body::{Cohort, ConsumeStats, ConsumerConnection, GroupTable, SubscriptionGroupConfig};
use wire::remoting::code::version_text;
use wire::remoting::{RequestCode, ResponseCode, request, response};

/// Groups asked for at a time.
const PAGE: i32 = 1000;

/// List and create consumer groups, show how far they are, and move them.
#[derive(clap::Subcommand)]
pub(super) enum Group {
    /// List consumer groups.
    List {
        /// Groups of the system too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show how far a group is in each queue, and its members.
    Show {
        /// The group.
        group: String,
        /// Only this topic.
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Create a consumer group, or change the settings of one; what is not named stays as it is.
    Create(create::Create),
    /// Set where a group goes on in a topic. Its members follow, connected or not.
    Reset(replay::Reset),
    /// Go on at the end of a topic: what is not consumed yet is left out.
    Skip(replay::Skip),
    /// Give a group the offsets of another one in a topic.
    Clone(replay::CloneOffsets),
}

pub(super) async fn run(command: Group) -> anyhow::Result<()> {
    match command {
        Group::List { all, target } => list(all, &target).await,
        Group::Show { group, topic, target } => show_group(&group, topic.as_deref(), &target).await,
        Group::Create(command) => create::create(&command).await,
        Group::Reset(command) => replay::reset(&command).await,
        Group::Skip(command) => replay::skip(&command).await,
        Group::Clone(command) => replay::clone(&command).await,
    }
}

#[derive(Serialize)]
struct Listed {
    group: String,
    brokers: Vec<String>,
    enabled: bool,
    retries_max: i32,
}

async fn list(all: bool, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let mut groups: BTreeMap<String, Listed> = BTreeMap::new();
    for master in cluster.masters().await? {
        for config in configs(&cluster, &master).await? {
            let name = config.group_name;
            let listed = groups.entry(name.clone()).or_insert_with(|| Listed {
                group: name,
                brokers: Vec::new(),
                enabled: config.consume_enable,
                retries_max: config.retry_max_times,
            });
            listed.brokers.push(master.name.clone());
        }
    }
    let groups: Vec<_> =
        groups.into_values().filter(|listed| all || !model::system::is_system_group(&listed.group)).collect();
    show(target.output, &groups, || {
        let row = |listed: &Listed| {
            let enabled = if listed.enabled { "yes" } else { "no" };
            [listed.group.clone(), listed.brokers.join(","), enabled.to_owned(), listed.retries_max.to_string()]
        };
        table(["GROUP", "BROKERS", "MAY CONSUME", "RETRIES MAX"], groups.iter().map(row))
    })
}

/// All groups of a broker, asked for in pages as newer brokers want it.
async fn configs(cluster: &Cluster, master: &Master) -> anyhow::Result<Vec<SubscriptionGroupConfig>> {
    let mut found = Vec::new();
    loop {
        let from = i32::try_from(found.len())?;
        let request =
            request::GetAllGroupConfig { group_seq: Some(from), data_version: None, max_group_num: Some(PAGE) };
        let code = RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG;
        let answer: Answer = cluster.ask(&master.addr, code, |out| request.write(out), b"").await?;
        let page: GroupTable = answer.json()?;
        let count = page.subscription_group_table.len();
        found.extend(page.subscription_group_table.into_values());
        let total = response::AllGroupConfig::parse(&answer.fields())?.total_group_num;
        // A broker that names no total has sent all at once.
        if count == 0 || total.is_none_or(|total| found.len() >= usize::try_from(total).unwrap_or(0)) {
            return Ok(found);
        }
    }
}

#[derive(Serialize)]
struct Shown {
    group: String,
    lag: i64,
    queues: Vec<Queue>,
    members: Vec<Member>,
    /// Members that want different things, as the brokers keep them apart; empty if all want the same.
    cohorts: Vec<CohortShown>,
}

#[derive(Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct CohortShown {
    members: Vec<String>,
    wants: BTreeMap<String, String>,
    gets: BTreeMap<String, String>,
    absent_since: i64,
}

#[derive(Serialize)]
struct Queue {
    topic: String,
    broker: String,
    queue: i32,
    consumer_offset: i64,
    broker_offset: i64,
    lag: i64,
    last_consumed: i64,
}

#[derive(Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    client: String,
    address: String,
    language: String,
    version: String,
}

async fn show_group(group: &str, topic: Option<&str>, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let mut shown =
        Shown { group: group.to_owned(), lag: 0, queues: Vec::new(), members: Vec::new(), cohorts: Vec::new() };
    let mut is_known = false;
    for master in cluster.masters().await? {
        let queues = known_progress(&cluster, &master, group, topic).await?;
        is_known |= !queues.is_empty();
        shown.queues.extend(queues);
        let (members, cohorts) = members(&cluster, &master, group).await?;
        shown.members.extend(members);
        shown.cohorts.extend(cohorts);
    }
    is_known |= !shown.members.is_empty();
    if !is_known {
        let mut configured = false;
        for master in cluster.masters().await? {
            configured |= configs(&cluster, &master).await?.iter().any(|config| config.group_name == group);
        }
        if !configured {
            bail!("no broker knows the group '{group}'; 'trefoil group list' lists them");
        }
    }
    shown.members.sort();
    shown.members.dedup();
    shown.cohorts.sort();
    shown.cohorts.dedup();
    shown.queues.sort_by(|a, b| (&a.topic, &a.broker, a.queue).cmp(&(&b.topic, &b.broker, b.queue)));
    shown.lag = shown.queues.iter().map(|queue| queue.lag).sum();
    show(target.output, &shown, || text(&shown))
}

/// Whether a broker only says that the group has read nothing there.
fn is_absent(error: &anyhow::Error) -> bool {
    let codes =
        [ResponseCode::TOPIC_NOT_EXIST, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, ResponseCode::CONSUMER_NOT_ONLINE];
    codes.into_iter().any(|code| is_refused(error, code))
}

/// How far a group is at a broker; nothing where it has read nothing.
async fn known_progress(
    cluster: &Cluster,
    master: &Master,
    group: &str,
    topic: Option<&str>,
) -> anyhow::Result<Vec<Queue>> {
    match progress(cluster, master, group, topic).await {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        queues => queues,
    }
}

async fn progress(cluster: &Cluster, master: &Master, group: &str, topic: Option<&str>) -> anyhow::Result<Vec<Queue>> {
    let request = request::GetConsumeStats { consumer_group: group, topic, topic_list: None };
    let answer = cluster.ask(&master.addr, RequestCode::GET_CONSUME_STATS, |out| request.write(out), b"").await?;
    let stats: ConsumeStats = answer.json()?;
    let queue = |(queue, at): (wire::remoting::body::MessageQueue, wire::remoting::body::GroupOffset)| Queue {
        topic: queue.topic,
        broker: queue.broker_name,
        queue: queue.queue_id,
        consumer_offset: at.consumer_offset,
        broker_offset: at.broker_offset,
        lag: at.broker_offset - at.consumer_offset,
        last_consumed: at.last_timestamp,
    };
    Ok(stats.offset_table.into_iter().map(queue).collect())
}

type Members = (Vec<Member>, Vec<CohortShown>);

async fn members(cluster: &Cluster, master: &Master, group: &str) -> anyhow::Result<Members> {
    let request = request::GetConsumerConnections { consumer_group: group };
    let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
    let connections: ConsumerConnection = match cluster.ask(&master.addr, code, |out| request.write(out), b"").await {
        Ok(answer) => answer.json()?,
        Err(error) if is_absent(&error) => return Ok(Members::default()),
        Err(error) => return Err(error),
    };
    let cohort = |cohort: Cohort| CohortShown {
        members: cohort.members,
        wants: cohort.wants,
        gets: cohort.gets,
        absent_since: cohort.absent_since,
    };
    let cohorts = connections.cohorts.into_iter().map(cohort).collect();
    let member = |connection: wire::remoting::body::Connection| Member {
        client: connection.client_id,
        address: connection.client_addr,
        language: connection.language,
        version: version_text(connection.version),
    };
    Ok((connections.connection_set.into_iter().map(member).collect(), cohorts))
}

fn text(shown: &Shown) -> String {
    let queues = shown.queues.iter().map(|queue| {
        let [consumer, broker, lag] = [queue.consumer_offset, queue.broker_offset, queue.lag].map(|n| n.to_string());
        let at = [queue.topic.clone(), queue.broker.clone(), queue.queue.to_string()];
        let [topic, name, id] = at;
        [topic, name, id, consumer, broker, lag, time::text(queue.last_consumed)]
    });
    let head = ["TOPIC", "BROKER", "QUEUE", "CONSUMER OFFSET", "BROKER OFFSET", "LAG", "LAST CONSUMED"];
    let queues = table(head, queues);
    let member = |m: &Member| [m.client.clone(), m.address.clone(), m.language.clone(), m.version.clone()];
    let members = match shown.members.is_empty() {
        true => "no members are connected\n".to_owned(),
        false => table(["MEMBER", "ADDRESS", "LANGUAGE", "VERSION"], shown.members.iter().map(member)),
    };
    format!("{queues}\n{members}\n{}lag {} in all\n", cohorts_text(&shown.cohorts), shown.lag)
}

fn cohorts_text(cohorts: &[CohortShown]) -> String {
    if cohorts.is_empty() {
        return String::new();
    }
    let words = |interests: &BTreeMap<String, String>| {
        let words: Vec<_> = interests.iter().map(|(topic, tags)| format!("{topic}: {tags}")).collect();
        if words.is_empty() { "-".to_owned() } else { words.join(", ") }
    };
    let rows = cohorts.iter().map(|cohort| {
        let members = match cohort.absent_since {
            0 => cohort.members.join(", "),
            since => format!("(left {})", time::text(since)),
        };
        [members, words(&cohort.wants), words(&cohort.gets)]
    });
    format!(
        "the members of this group want different things; each gets its share, || is nothing\n{}\n",
        table(["MEMBERS", "WANT", "GET"], rows)
    )
}
