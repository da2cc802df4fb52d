//! `trefoil timer`: messages that wait for their time.

mod cancel;
mod waiting;

use super::output::{show, table};
use super::remote::Among;
use super::{Target, time};
use anyhow::bail;
use waiting::{Filter, Found, Waiting};

/// List, show and cancel messages that wait for their time.
#[derive(clap::Subcommand)]
pub(super) enum Timer {
    /// List messages that wait, those due next first: delayed ones, and retries.
    List {
        #[command(flatten)]
        which: Which,
        /// Most messages.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        max: u32,
        #[command(flatten)]
        among: Among,
        #[command(flatten)]
        target: Target,
    },
    /// Show a message that waits.
    Show {
        /// Its unique id, its recall handle, or the id that the broker gave.
        id: String,
        #[command(flatten)]
        among: Among,
        #[command(flatten)]
        target: Target,
    },
    /// Cancel messages that wait: they are never delivered.
    Cancel(cancel::Cancel),
}

/// Which messages are meant.
#[derive(clap::Args, Clone, Default)]
#[group(required = false, multiple = true)]
pub(super) struct Which {
    /// Only those for this topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only those with this key or unique id.
    #[arg(long)]
    key: Option<String>,
    /// Only those due at this time or later (ms since the epoch, or 2026-11-21T06:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = time::arg)]
    since: Option<i64>,
    /// Only those due before this time.
    #[arg(long, value_name = "TIME", value_parser = time::arg)]
    until: Option<i64>,
}

impl Which {
    fn filter(&self) -> Filter<'_> {
        let Self { topic, key, since, until } = self;
        Filter { topic: topic.as_deref(), key: key.as_deref(), since: *since, until: *until, only: None }
    }
}

pub(super) async fn run(command: Timer) -> anyhow::Result<()> {
    match command {
        Timer::List { which, max, among, target } => list(&which, max as usize, &among, &target).await,
        Timer::Show { id, among, target } => show_one(&id, &among, &target).await,
        Timer::Cancel(command) => cancel::run(&command).await,
    }
}

async fn list(which: &Which, max: usize, among: &Among, target: &Target) -> anyhow::Result<()> {
    let found = waiting::find(&target.cluster(), among, &which.filter(), max).await?;
    show_found(&found, target)?;
    if !found.is_all {
        eprintln!("more than these {max} wait; --max shows more");
    }
    found.silent.check()
}

/// Says that nothing waits only if all brokers said so.
fn show_found(found: &Found, target: &Target) -> anyhow::Result<()> {
    let is_unknown = found.messages.is_empty() && !found.silent.is_empty();
    show(target.output, &found.messages, || if is_unknown { String::new() } else { rows(&found.messages) })
}

async fn show_one(id: &str, among: &Among, target: &Target) -> anyhow::Result<()> {
    let found = waiting::by_id(&target.cluster(), among, id).await?;
    if found.is_empty() {
        bail!("no message '{id}' waits: it was delivered or cancelled, or it was never here");
    }
    show(target.output, &found, || found.iter().map(detailed).collect())
}

/// One line for each.
fn rows(found: &[Waiting]) -> String {
    if found.is_empty() {
        return "no message waits\n".to_owned();
    }
    let row = |waiting: &Waiting| {
        let [topic, broker, id] = [&waiting.topic, &waiting.broker, &waiting.id].map(Clone::clone);
        let keys = waiting.keys.clone().unwrap_or_else(|| "-".to_owned());
        [time::text(waiting.due), topic, broker, waiting.attempt.to_string(), id, keys]
    };
    table(["DUE", "TOPIC", "BROKER", "ATTEMPT", "ID", "KEYS"], found.iter().map(row))
}

fn detailed(waiting: &Waiting) -> String {
    let Waiting { topic, broker, queue, id, offset_id, attempt, .. } = waiting;
    let (due, stored) = (time::text(waiting.due), time::text(waiting.store_timestamp));
    let mut text = format!("due {due} in {topic}, queue {queue} of {broker}, attempt {attempt}\n");
    text.push_str(&format!("  id {id}\n  stored {stored} as {offset_id}\n"));
    if let Some(handle) = &waiting.recall_handle {
        text.push_str(&format!("  recall handle {handle}\n"));
    }
    for (name, value) in &waiting.properties {
        text.push_str(&format!("  {name}={value}\n"));
    }
    let body = waiting.body.as_deref().or(waiting.body_hex.as_deref()).unwrap_or_default();
    format!("{text}{body}\n")
}
