//! Finding messages that wait.

use crate::cli::message::Message;
use crate::cli::remote::{Among, Answer, Cluster, Master, is_refused};
use anyhow::Context as _;
use broker::RecallHandle;
use model::record::Record;
use model::{MessageId, properties};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::remoting::{RequestCode, ResponseCode, request};

/// Messages asked for at a time.
const PAGE: i32 = 256;

/// A message that waits.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    /// Ms since the epoch.
    pub(super) due: i64,
    /// Where it will be delivered.
    pub(super) topic: String,
    pub(super) queue: String,
    pub(super) broker: String,
    pub(super) id: String,
    /// The id that the broker gave: where it waits.
    pub(super) offset_id: String,
    /// What its sender takes it back by; retries and messages delayed by a level have none.
    pub(super) recall_handle: Option<String>,
    pub(super) attempt: i32,
    pub(super) tag: Option<String>,
    pub(super) keys: Option<String>,
    pub(super) born_timestamp: i64,
    pub(super) store_timestamp: i64,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_hex: Option<String>,
    #[serde(skip)]
    pub(super) place: Place,
}

/// Names one waiting message for good.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) addr: String,
    /// Due time and position, as brokers read them.
    pub(super) only: String,
}

/// Which messages are meant.
#[derive(Clone, Copy, Default)]
pub(super) struct Filter<'a> {
    pub(super) topic: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
    pub(super) only: Option<&'a str>,
}

/// Messages of one answer, and behind which to go on.
pub(super) struct Page {
    pub(super) messages: Vec<Waiting>,
    pub(super) next: Option<String>,
}

/// A broker that has no such request: one of Apache RocketMQ.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot list or cancel timed messages; {OF_APACHE}")]
pub(super) struct Unable(String);

/// What can be done all the same.
const OF_APACHE: &str = "only Trefoil brokers can, and --broker asks one alone. Of a broker of Apache RocketMQ, \
                         'trefoil timer cancel HANDLE' takes back one message by the recall handle that its sender was given";

/// Brokers that could not answer; whatever is said of waiting messages is not said of theirs.
#[derive(Default)]
pub(super) struct Silent(Vec<String>);

impl Silent {
    /// Keeps the answer of a broker, if it has one; another failure than its inability stays one.
    pub(super) fn except<T>(&mut self, answer: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                self.0.push(error.downcast::<Unable>()?.0);
                Ok(None)
            }
        }
    }

    /// Whether all brokers answered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An error if there are any: what was shown or done is not all then.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.is_empty() { Ok(()) } else { Err(Unable(self.0.join(", ")).into()) }
    }
}

/// The messages that were found.
pub(super) struct Found {
    /// Those due first come first.
    pub(super) messages: Vec<Waiting>,
    /// Whether no more than these wait at the brokers that answered.
    pub(super) is_all: bool,
    pub(super) silent: Silent,
}

/// Lists or cancels the messages of one broker that are meant, a page of them. Brokers of another kind are [`Unable`].
pub(super) async fn page(
    cluster: &Cluster,
    master: &Master,
    code: RequestCode,
    filter: &Filter<'_>,
    after: Option<&str>,
) -> anyhow::Result<Page> {
    let Filter { topic, key, since, until, only } = *filter;
    let request = request::TimerQuery { topic, key, from: since, until, only, after, max_num: Some(PAGE) };
    match cluster.ask(&master.addr, code, |out| request.write(out), b"").await {
        Ok(answer) => read(&answer, master),
        Err(error) if is_refused(&error, ResponseCode::REQUEST_CODE_NOT_SUPPORTED) => {
            Err(Unable(format!("{} ({})", master.name, master.addr)).into())
        }
        Err(error) => Err(error),
    }
}

fn read(answer: &Answer, master: &Master) -> anyhow::Result<Page> {
    let (mut rest, mut messages) = (answer.body(), Vec::new());
    while !rest.is_empty() {
        let record = Record::parse(rest).with_context(|| format!("{} sent what cannot be read", master.addr))?;
        messages.push(waiting(&record, master)?);
        rest = &rest[record.bytes().len()..];
    }
    let next = answer.fields().get("next").map(str::to_owned);
    Ok(Page { messages, next })
}

fn waiting(record: &Record<'_>, master: &Master) -> anyhow::Result<Waiting> {
    let property = |name| record.property(name).unwrap_or_default();
    let due = property(properties::TIMER_OUT_MS).parse().context("a message that waits has no due time")?;
    let topic = property(properties::REAL_TOPIC).to_owned();
    let queue = property(properties::REAL_QUEUE_ID).to_owned();
    let is_by_level = property(properties::DELAY).parse::<i64>().is_ok_and(|level| level > 0);
    let handle = record.property(properties::UNIQ_KEY).filter(|_| !is_by_level).map(|id| {
        let (topic, broker, id) = (topic.clone(), master.name.clone(), id.to_owned());
        RecallHandle { topic, broker, due, id }.to_string()
    });
    let position = record.physical_offset;
    let message = Message::from_record(record, &master.name)?;
    Ok(Waiting {
        due,
        topic,
        queue,
        broker: message.broker,
        id: message.id,
        offset_id: MessageId { store_host: record.store_host, offset: position }.to_string(),
        recall_handle: handle,
        attempt: message.attempt,
        tag: message.tag,
        keys: message.keys,
        born_timestamp: message.born_timestamp,
        store_timestamp: message.store_timestamp,
        properties: message.properties,
        body: message.body,
        body_hex: message.body_hex,
        place: Place { addr: master.addr.clone(), only: format!("{due}:{}", position.0) },
    })
}

/// The messages of all brokers that are meant, at most so many. Fails if no broker can answer.
pub(super) async fn find(cluster: &Cluster, among: &Among, filter: &Filter<'_>, max: usize) -> anyhow::Result<Found> {
    let masters = cluster.masters_among(among).await?;
    let mut found = Found { messages: Vec::new(), is_all: true, silent: Silent::default() };
    for master in &masters {
        let (mut after, mut count): (Option<String>, _) = (None, 0);
        loop {
            let page = page(cluster, master, RequestCode::LIST_TIMERS, filter, after.as_deref()).await;
            let Some(page) = found.silent.except(page)? else { break };
            count += page.messages.len();
            found.messages.extend(page.messages);
            after = page.next;
            if after.is_none() || count > max {
                break;
            }
        }
    }
    if found.silent.0.len() == masters.len() {
        found.silent.check()?;
    }
    found.messages.sort_by_key(|waiting| waiting.due);
    found.is_all = found.messages.len() <= max;
    found.messages.truncate(max);
    Ok(found)
}

/// The messages with an id: the sender's, a recall handle, or the broker's.
pub(super) async fn by_id(cluster: &Cluster, among: &Among, id: &str) -> anyhow::Result<Vec<Waiting>> {
    let handle = RecallHandle::parse(id);
    let filter = match &handle {
        Some(handle) => Filter {
            topic: Some(&handle.topic),
            key: Some(&handle.id),
            since: Some(handle.due),
            until: Some(handle.due.saturating_add(1)),
            only: None,
        },
        None => Filter { key: Some(id), ..Filter::default() },
    };
    let wanted = handle.as_ref().map_or(id, |handle| &handle.id);
    let Found { messages: mut found, silent, .. } = find(cluster, among, &filter, usize::MAX).await?;
    found.retain(|waiting| waiting.id == wanted);
    if let (true, Ok(place)) = (found.is_empty(), id.parse::<MessageId>()) {
        found = by_place(cluster, &place).await?;
    }
    if found.is_empty() {
        silent.check()?;
    }
    Ok(found)
}

async fn by_place(cluster: &Cluster, place: &MessageId) -> anyhow::Result<Vec<Waiting>> {
    let mut masters = cluster.masters().await?;
    let addr = place.store_host.to_string();
    masters.sort_by_key(|master| master.addr != addr);
    let request = request::ViewMessage { topic: None, offset: i64::try_from(place.offset.0)? };
    // A broker may be known by its name, while messages have its address.
    for master in masters {
        let code = RequestCode::VIEW_MESSAGE_BY_ID;
        let answer = match cluster.ask(&master.addr, code, |out| request.write(out), b"").await {
            Ok(answer) => answer,
            Err(error) if is_refused(&error, ResponseCode::SYSTEM_ERROR) => continue,
            Err(error) => return Err(error),
        };
        let record = Record::parse(answer.body()).ok().filter(|record| record.store_host == place.store_host);
        let due = record.and_then(|record| record.property(properties::TIMER_OUT_MS)?.parse::<i64>().ok());
        let Some(due) = due else { continue };
        let only = format!("{due}:{}", place.offset.0);
        let filter = Filter { only: Some(&only), ..Filter::default() };
        return Ok(page(cluster, &master, RequestCode::LIST_TIMERS, &filter, None).await?.messages);
    }
    Ok(Vec::new())
}
