//! `trefoil timer cancel`.

use super::waiting::{self, Filter, Silent, Waiting, page};
use super::{Which, show_found};
use crate::cli::output::{show, table};
use crate::cli::remote::{Among, Cluster, Master};
use crate::cli::{Format, Target};
use anyhow::bail;
use broker::RecallHandle;
use serde::Serialize;
use wire::remoting::{RequestCode, request};

/// Messages shown of those that would be cancelled.
const SHOWN_MAX: usize = 100;

/// Cancel messages that wait.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("meant").required(true).multiple(true).args(["ids", "topic", "key", "since", "until", "all"]))]
pub(in crate::cli) struct Cancel {
    /// Unique ids, recall handles, or ids that brokers gave.
    #[arg(conflicts_with_all = ["topic", "key", "since", "until", "all"])]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// All that wait.
    #[arg(long)]
    all: bool,
    /// Do it; without this, those that are meant by anything but their ids are only shown.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    among: Among,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Outcome {
    id: String,
    topic: Option<String>,
    due: Option<i64>,
    cancelled: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Outcome {
    fn cancelled(waiting: &Waiting) -> Self {
        let (id, topic) = (waiting.id.clone(), Some(waiting.topic.clone()));
        Self { id, topic, due: Some(waiting.due), cancelled: true, reason: None }
    }

    fn failed(id: &str, reason: &str) -> Self {
        Self { id: id.to_owned(), topic: None, due: None, cancelled: false, reason: Some(reason.to_owned()) }
    }
}

pub(super) async fn run(command: &Cancel) -> anyhow::Result<()> {
    let cluster = command.target.cluster();
    if !command.ids.is_empty() {
        return by_ids(&cluster, command).await;
    }
    let filter = command.which.filter();
    if !command.yes {
        let found = waiting::find(&cluster, &command.among, &filter, SHOWN_MAX).await?;
        show_found(&found, &command.target)?;
        found.silent.check()?;
        let more = if found.is_all { "" } else { " and more" };
        bail!("nothing is cancelled: {}{more} are meant, and --yes was not given", found.messages.len());
    }
    let (mut outcomes, mut silent) = (Vec::new(), Silent::default());
    let done = everywhere(&cluster, command, &filter, &mut outcomes, &mut silent).await;
    // What was cancelled before something failed stays so.
    show(command.target.output, &outcomes, || format!("{} cancelled\n", outcomes.len()))?;
    done?;
    silent.check()
}

async fn everywhere(
    cluster: &Cluster,
    command: &Cancel,
    filter: &Filter<'_>,
    outcomes: &mut Vec<Outcome>,
    silent: &mut Silent,
) -> anyhow::Result<()> {
    for master in cluster.masters_among(&command.among).await? {
        silent.except(all_of(cluster, &master, filter, outcomes).await)?;
    }
    Ok(())
}

/// Cancels page by page; what comes meanwhile is cancelled too.
async fn all_of(
    cluster: &Cluster,
    master: &Master,
    filter: &Filter<'_>,
    outcomes: &mut Vec<Outcome>,
) -> anyhow::Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = page(cluster, master, RequestCode::CANCEL_TIMERS, filter, after.as_deref()).await?;
        outcomes.extend(page.messages.iter().map(Outcome::cancelled));
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn by_ids(cluster: &Cluster, command: &Cancel) -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for id in &command.ids {
        match RecallHandle::parse(id) {
            Some(handle) => outcomes.push(recall(cluster, id, handle).await),
            None => by_id(cluster, &command.among, id, &mut outcomes).await?,
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.cancelled).count();
    if command.target.output == Format::Json || outcomes.len() > 1 || failed == 0 {
        show(command.target.output, &outcomes, || text(&outcomes))?;
    }
    match outcomes.iter().find_map(|outcome| outcome.reason.as_ref()) {
        Some(reason) if outcomes.len() == 1 => bail!("{reason}"),
        Some(_) => bail!("{failed} of {} are not cancelled", outcomes.len()),
        None => Ok(()),
    }
}

/// Asks as the sender would, which brokers of Apache RocketMQ understand too.
async fn recall(cluster: &Cluster, text: &str, handle: RecallHandle) -> Outcome {
    let asked = async {
        let masters = cluster.masters().await?;
        let Some(master) = masters.into_iter().find(|master| master.name == handle.broker) else {
            bail!("no broker '{}' is here, where the message waits", handle.broker)
        };
        let request = request::RecallMessage {
            producer_group: Some("CLI_PRODUCER"),
            topic: &handle.topic,
            recall_handle: Some(text),
        };
        cluster.ask(&master.addr, RequestCode::RECALL_MESSAGE, |out| request.write(out), b"").await
    };
    match asked.await {
        Ok(_) => {
            Outcome { id: handle.id, topic: Some(handle.topic), due: Some(handle.due), cancelled: true, reason: None }
        }
        Err(error) => Outcome::failed(&handle.id, &format!("{error:#}")),
    }
}

/// Exactly the messages that have the id now.
async fn by_id(cluster: &Cluster, among: &Among, id: &str, outcomes: &mut Vec<Outcome>) -> anyhow::Result<()> {
    let found = waiting::by_id(cluster, among, id).await?;
    if found.is_empty() {
        outcomes.push(Outcome::failed(id, &format!("no message '{id}' waits: it was delivered or cancelled before")));
    }
    for waiting in found {
        let filter = Filter { only: Some(&waiting.place.only), ..Filter::default() };
        let master = Master { name: waiting.broker.clone(), addr: waiting.place.addr.clone(), cluster: String::new() };
        let page = page(cluster, &master, RequestCode::CANCEL_TIMERS, &filter, None).await?;
        outcomes.push(match page.messages.is_empty() {
            true => Outcome::failed(id, &format!("the message '{id}' is just being delivered")),
            false => Outcome::cancelled(&waiting),
        });
    }
    Ok(())
}

fn text(outcomes: &[Outcome]) -> String {
    let row = |outcome: &Outcome| {
        let topic = outcome.topic.clone().unwrap_or_else(|| "-".to_owned());
        let due = outcome.due.map_or("-".to_owned(), crate::cli::time::text);
        let result = outcome.reason.clone().unwrap_or_else(|| "cancelled".to_owned());
        [outcome.id.clone(), topic, due, result]
    };
    table(["ID", "TOPIC", "DUE", "RESULT"], outcomes.iter().map(row))
}
