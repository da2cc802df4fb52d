//! `trefoil group reset`, `skip` and `clone`.

use super::super::output::{show, table};
use super::super::remote::{Cluster, masters_of};
use super::super::{Target, time};
use super::known_progress;
use serde::Serialize;
use wire::remoting::body::ResetOffsetBody;
use wire::remoting::{RequestCode, request};

/// The time that means the end of each queue.
const END: i64 = -1;

/// Set where a group goes on in a topic.
#[derive(clap::Args)]
pub(in crate::cli) struct Reset {
    /// The group.
    group: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// Where to: first, last, time=T (ms since the epoch, or 2026-11-21T06:00:00Z), or with --queue offset=N.
    #[arg(long, value_parser = To::parse)]
    to: To,
    /// Only this queue on each broker.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    queue: Option<i32>,
    /// Only go back: queues where the group is before that time stay as they are.
    #[arg(long)]
    only_back: bool,
    #[command(flatten)]
    target: Target,
}

/// Go on at the end.
#[derive(clap::Args)]
pub(in crate::cli) struct Skip {
    /// The group.
    group: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    #[command(flatten)]
    target: Target,
}

/// Give a group the offsets of another one.
#[derive(clap::Args)]
pub(in crate::cli) struct CloneOffsets {
    /// The group whose offsets are taken.
    source: String,
    /// The group that gets them.
    destination: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    #[command(flatten)]
    target: Target,
}

/// Where a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum To {
    Time(i64),
    Offset(i64),
}

impl To {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once('=') {
            None if text == "first" => Some(Self::Time(0)),
            None if text == "last" => Some(Self::Time(END)),
            Some(("offset", offset)) => offset.parse().ok().filter(|offset| *offset >= 0).map(Self::Offset),
            Some(("time", at)) => time::parse(at).map(Self::Time),
            _ => None,
        };
        parsed.ok_or_else(|| "allowed are first, last, time=T and offset=N".to_owned())
    }
}

#[derive(Serialize)]
struct Moved {
    broker: String,
    queue: i32,
    offset: i64,
}

pub(super) async fn reset(command: &Reset) -> anyhow::Result<()> {
    let (timestamp, offset) = match (command.to, command.queue) {
        (To::Time(at), _) => (at, None),
        (To::Offset(offset), Some(_)) => (0, Some(offset)),
        (To::Offset(_), None) => anyhow::bail!("an offset means something else in each queue: name one with --queue"),
    };
    let request = request::ResetOffset {
        topic: &command.topic,
        group: &command.group,
        queue_id: command.queue,
        offset,
        timestamp,
        is_force: !command.only_back,
    };
    ask(&command.target, &request).await
}

pub(super) async fn skip(command: &Skip) -> anyhow::Result<()> {
    let request = request::ResetOffset {
        topic: &command.topic,
        group: &command.group,
        queue_id: None,
        offset: None,
        timestamp: END,
        is_force: true,
    };
    ask(&command.target, &request).await
}

async fn ask(target: &Target, request: &request::ResetOffset<'_>) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let route = cluster.known_route(request.topic).await?;
    let mut moved = Vec::new();
    for master in masters_of(&route.broker_datas) {
        let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
        let answer = cluster.ask(&master.addr, code, |out| request.write(out), b"").await?;
        let body: ResetOffsetBody = answer.json()?;
        moved.extend(body.offset_table.into_iter().map(|(queue, offset)| Moved {
            broker: queue.broker_name,
            queue: queue.queue_id,
            offset,
        }));
    }
    show(target.output, &moved, || {
        let row = |moved: &Moved| [moved.broker.clone(), moved.queue.to_string(), moved.offset.to_string()];
        table(["BROKER", "QUEUE", "OFFSET"], moved.iter().map(row))
    })
}

pub(super) async fn clone(command: &CloneOffsets) -> anyhow::Result<()> {
    let CloneOffsets { source, destination, topic, target } = command;
    let cluster: Cluster = target.cluster();
    let route = cluster.known_route(topic).await?;
    let masters = masters_of(&route.broker_datas);
    let mut has_offsets = false;
    for master in &masters {
        has_offsets |= known_progress(&cluster, master, source, None).await?.iter().any(|queue| queue.topic == *topic);
    }
    if !has_offsets {
        // A mistyped name must not look like a clone that worked.
        anyhow::bail!(
            "the group '{source}' has no offsets in '{topic}'; 'trefoil group show {source}' tells where it has some"
        );
    }
    let request = request::CloneGroupOffset {
        src_group: source,
        dest_group: destination,
        topic: Some(topic),
        offline: Some(false),
    };
    for master in masters {
        cluster.ask(&master.addr, RequestCode::CLONE_GROUP_OFFSET, |out| request.write(out), b"").await?;
    }
    let value = serde_json::json!({ "source": source, "destination": destination, "topic": topic });
    show(target.output, &value, || format!("group '{destination}' is in '{topic}' where '{source}' is\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let check = |text: &str, expected: Option<To>| assert_eq!(To::parse(text).ok(), expected, "{text}");
        check("first", Some(To::Time(0)));
        check("last", Some(To::Time(END)));
        check("time=5", Some(To::Time(5)));
        check("offset=7", Some(To::Offset(7)));
        check("offset=-7", None);
        check("yesterday", None);
    }
}
