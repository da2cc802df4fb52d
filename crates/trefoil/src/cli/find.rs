//! `trefoil message`: single messages by id and by key.

use super::message::Message;
use super::output::show;
use super::remote::{Master, is_refused, masters_of};
use super::{Target, time};
use anyhow::bail;
use model::MessageId;
use model::record::Record;
use std::cmp::Reverse;
use wire::remoting::{RequestCode, ResponseCode, request};

/// Find single messages.
#[derive(clap::Subcommand)]
pub(super) enum Find {
    /// Show the message with an id: the one that the broker gave, or, with --topic, the client's own.
    Show {
        /// The id.
        id: String,
        /// The message's topic.
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// List messages of a topic that have a key, newest first.
    Query {
        /// The topic.
        topic: String,
        /// The key: one of the words that the sender set.
        #[arg(long)]
        key: String,
        /// Only those stored at this time or later (ms since the epoch, or 2026-11-21T06:00:00Z).
        #[arg(long, value_parser = time::arg)]
        since: Option<i64>,
        /// Only those stored at this time or earlier.
        #[arg(long, value_parser = time::arg)]
        until: Option<i64>,
        /// Most messages of one broker, which gives 64 at most.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(i32).range(1..=64))]
        max: i32,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) async fn run(command: Find) -> anyhow::Result<()> {
    match command {
        Find::Show { id, topic: None, target } => by_place(&id, &target).await,
        Find::Show { id, topic: Some(topic), target } => {
            let found = lookup(&target, &ask(&topic, &id, true, 0, i64::MAX, 32)).await?;
            print(&target, &found, &id)
        }
        Find::Query { topic, key, since, until, max, target } => {
            let request = ask(&topic, &key, false, since.unwrap_or(0), until.unwrap_or(i64::MAX), max);
            let found = lookup(&target, &request).await?;
            print(&target, &found, &key)
        }
    }
}

fn ask<'a>(topic: &'a str, key: &'a str, is_id: bool, since: i64, until: i64, max: i32) -> request::QueryMessage<'a> {
    request::QueryMessage {
        topic,
        key,
        max_num: max,
        begin_timestamp: since,
        end_timestamp: until,
        index_type: None,
        last_key: None,
        unique_key: is_id.then_some(true),
    }
}

async fn by_place(id: &str, target: &Target) -> anyhow::Result<()> {
    let Ok(place) = id.parse::<MessageId>() else {
        bail!("'{id}' is not an id that a broker gave (32 or 56 hexadecimal digits); the client's own needs --topic")
    };
    let cluster = target.cluster();
    let offset = i64::try_from(place.offset.0)?;
    let request = request::ViewMessage { topic: None, offset };
    let addr = place.store_host.to_string();
    let answer = cluster.ask(&addr, RequestCode::VIEW_MESSAGE_BY_ID, |out| request.write(out), b"").await?;
    print(target, &messages(answer.body(), &addr)?, id)
}

async fn lookup(target: &Target, request: &request::QueryMessage<'_>) -> anyhow::Result<Vec<Message>> {
    let cluster = target.cluster();
    let route = cluster.known_route(request.topic).await?;
    let mut found = Vec::new();
    for Master { name, addr, .. } in masters_of(&route.broker_datas) {
        match cluster.ask(&addr, RequestCode::QUERY_MESSAGE, |out| request.write(out), b"").await {
            Ok(answer) => found.extend(messages(answer.body(), &name)?),
            Err(error) if is_refused(&error, ResponseCode::QUERY_NOT_FOUND) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|message| Reverse((message.store_timestamp, message.queue, message.offset)));
    Ok(found)
}

fn messages(mut rest: &[u8], broker: &str) -> anyhow::Result<Vec<Message>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let record = Record::parse(rest)?;
        found.push(Message::from_record(&record, broker)?);
        rest = &rest[record.bytes().len()..];
    }
    Ok(found)
}

fn print(target: &Target, found: &[Message], what: &str) -> anyhow::Result<()> {
    if found.is_empty() {
        bail!("no message with '{what}' is stored, or it was deleted by retention");
    }
    show(target.output, &found, || found.iter().map(detailed).collect())
}

fn detailed(message: &Message) -> String {
    let mut text = format!("topic {} ", message.topic) + &message.text(true);
    for (name, value) in &message.properties {
        text.push_str(&format!("  {name}={value}\n"));
    }
    text
}
