//! `trefoil consume`.

mod reader;

use super::output::{self, Closed, progress};
use super::remote::{Cluster, masters_of};
use super::{Format, Target, time};
use anyhow::{Context as _, bail};
use reader::{Batch, Reader};
use std::sync::Arc;
use tokio::sync::mpsc;
use wire::remoting::body::TopicRouteData;

/// Group that reads without leaving a trace; every broker knows it.
const NO_GROUP: &str = "TOOLS_CONSUMER";
/// Batches that wait to be printed.
const BATCHES_MAX: usize = 16;
/// Bit of a route's permission.
const READ: i32 = 4;

/// Read messages of a topic as they come.
#[derive(clap::Args)]
pub(super) struct Consume {
    /// The topic.
    topic: String,
    /// Where to begin: first, last (only what comes from now on), offset=N or time=T (ms since the epoch, or
    /// 2026-11-21T06:00:00Z). Without it: where the group is, or else at the first message.
    #[arg(long, value_parser = From::parse)]
    from: Option<From>,
    /// Consumer group whose progress is stored; without one, nobody's is.
    #[arg(long)]
    group: Option<String>,
    /// Only messages with this tag; several with || between them.
    #[arg(long, default_value = "*")]
    tag: String,
    /// Only this queue.
    #[arg(long)]
    queue: Option<i32>,
    /// Stop after this many messages.
    #[arg(long, value_name = "COUNT")]
    max: Option<u64>,
    /// Stop at the end of what is stored when the command starts.
    #[arg(long)]
    until_end: bool,
    /// Print queue, offset, time, tag and keys before each body.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    target: Target,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// At the oldest message.
    First,
    /// After the newest message.
    Last,
    /// At an offset in each queue.
    Offset(i64),
    /// At the first message stored at or after a time.
    Time(i64),
}

impl From {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once(['=', ':', ' ']) {
            None if text == "first" => Some(Self::First),
            None if text == "last" => Some(Self::Last),
            Some(("offset", offset)) => offset.parse().ok().filter(|offset| *offset >= 0).map(Self::Offset),
            Some(("time", at)) => time::parse(at).map(Self::Time),
            _ => None,
        };
        parsed.ok_or_else(|| "allowed are first, last, offset=N and time=T (ms, or 2026-11-21T06:00:00Z)".to_owned())
    }
}

pub(super) async fn run(command: Consume) -> anyhow::Result<()> {
    let cluster = Arc::new(command.target.cluster());
    let route = cluster.known_route(&command.topic).await?;
    let mut readers = Vec::new();
    for (broker, addr, queue) in readable(&route, command.queue) {
        readers.push(Reader::open(Arc::clone(&cluster), &command, broker, addr, queue).await?);
    }
    if readers.is_empty() {
        bail!("the topic '{}' has no such queue that can be read", command.topic);
    }
    let total = readers.iter().map(|reader| if command.until_end { reader.ahead() } else { 0 }).sum();
    let (sender, mut batches) = mpsc::channel(BATCHES_MAX);
    for reader in readers {
        let sender = sender.clone();
        rt::spawn(async move {
            if let Err(error) = reader.run(&sender).await {
                drop(sender.send(Err(error)).await);
            }
        });
    }
    drop(sender);
    let bar = if std::io::IsTerminal::is_terminal(&std::io::stdout()) { progress_hidden() } else { progress(total) };
    let printed = print_all(&command, &cluster, &mut batches, &bar).await;
    bar.finish_and_clear();
    printed
}

fn progress_hidden() -> indicatif::ProgressBar {
    indicatif::ProgressBar::hidden()
}

/// Broker, address and id of the queues that can be read.
fn readable(route: &TopicRouteData, only: Option<i32>) -> Vec<(String, String, i32)> {
    let mut queues = Vec::new();
    for master in masters_of(&route.broker_datas) {
        for data in route.queue_datas.iter().filter(|data| data.broker_name == master.name && data.perm & READ != 0) {
            let ids = (0..data.read_queue_nums).filter(|id| only.is_none_or(|only| only == *id));
            queues.extend(ids.map(|id| (master.name.clone(), master.addr.clone(), id)));
        }
    }
    queues
}

async fn print_all(
    command: &Consume,
    cluster: &Cluster,
    batches: &mut mpsc::Receiver<anyhow::Result<Batch>>,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    let mut left = command.max.unwrap_or(u64::MAX);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    while left > 0 {
        let batch = tokio::select! {
            _ = &mut interrupted => return Ok(()),
            batch = batches.recv() => batch,
        };
        let Some(batch) = batch else { return Ok(()) };
        let mut batch = batch?;
        let count = batch.messages.len() as u64;
        if count > left {
            batch.keep(usize::try_from(left).unwrap_or(usize::MAX));
        }
        left -= count.min(left);
        bar.inc(count);
        let text: anyhow::Result<String> = batch.messages.iter().map(|message| line(command, message)).collect();
        let text = text?;
        output::print(&text).map_err(|error| if error.is::<Closed>() { Closed.into() } else { error })?;
        if let Some(group) = &command.group {
            batch.commit(cluster, group, &command.topic).await.context("the group's progress cannot be stored")?;
        }
    }
    Ok(())
}

fn line(command: &Consume, message: &super::message::Message) -> anyhow::Result<String> {
    Ok(match command.target.output {
        Format::Text => message.text(command.verbose),
        Format::Json => format!("{}\n", serde_json::to_string(message)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_read() {
        for (text, expected) in [
            ("first", Ok(From::First)),
            ("last", Ok(From::Last)),
            ("offset=12", Ok(From::Offset(12))),
            ("offset:0", Ok(From::Offset(0))),
            ("time=1000", Ok(From::Time(1000))),
            ("time=1970-01-01T00:00:01Z", Ok(From::Time(1000))),
        ] {
            assert_eq!(From::parse(text), expected, "{text}");
        }
        for wrong in ["", "offset", "offset=-1", "time=soon", "First"] {
            assert!(From::parse(wrong).is_err(), "{wrong}");
        }
    }
}
