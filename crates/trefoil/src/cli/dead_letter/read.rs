//! Reading the dead letters of a group.

use super::{PREFIX, cut};
use crate::cli::message::Message;
use crate::cli::remote::{Answer, Cluster, Master, is_refused, masters_of};
use crate::cli::time;
use anyhow::{Context as _, bail};
use model::record::{Record, announced_len};
use model::{MessageId, properties};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;
use wire::remoting::{RequestCode, ResponseCode, request, response};

/// Group that reads without leaving a trace; every broker knows it.
const NO_GROUP: &str = "TOOLS_CONSUMER";
/// Messages asked for at a time.
const BATCH: i32 = 32;
/// Records looked at for one id: no broker gives more.
const LOOKUP_MAX: i32 = 64;
/// How often a broker is asked for what it says is there.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The dead letters of one group.
pub(super) struct DeadLetters<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) group: &'a str,
    topic: String,
    /// Brokers that have some, with their numbers of queues.
    brokers: Vec<(Master, i32)>,
}

/// Which of them.
pub(super) struct Meant<'a> {
    /// If any are named, only these.
    pub(super) ids: &'a [String],
    /// Died at this time or later.
    pub(super) since: i64,
    /// Died before this time.
    pub(super) until: i64,
}

/// A dead letter.
#[derive(Serialize)]
pub(super) struct Letter {
    /// The topic that the message came with.
    pub(super) origin_topic: String,
    /// Where the dead letter is stored.
    pub(super) offset_id: String,
    #[serde(flatten)]
    pub(super) message: Message,
    #[serde(skip)]
    pub(super) addr: String,
    #[serde(skip)]
    pub(super) record: Vec<u8>,
}

impl Letter {
    fn new(record: &Record<'_>, master: &Master) -> anyhow::Result<Self> {
        let origin = record.property(properties::RETRY_TOPIC).or(record.property(properties::DLQ_ORIGIN_TOPIC));
        let id = MessageId { store_host: record.store_host, offset: record.physical_offset };
        Ok(Self {
            origin_topic: origin.unwrap_or_default().to_owned(),
            offset_id: id.to_string(),
            message: Message::from_record(record, &master.name)?,
            addr: master.addr.clone(),
            record: record.bytes().to_vec(),
        })
    }

    /// What the index knows the message by.
    pub(super) fn key(&self) -> &str {
        self.message.properties.get(properties::UNIQ_KEY).map_or(&self.offset_id, String::as_str)
    }

    fn has_id(&self, id: &str) -> bool {
        let origins = [properties::ORIGIN_MESSAGE_ID, properties::DLQ_ORIGIN_MESSAGE_ID];
        let is_origin = |name| self.message.properties.get(name).is_some_and(|origin| origin == id);
        self.key() == id || self.offset_id == id || origins.into_iter().any(is_origin)
    }

    /// When it died, its id, topic, attempts, keys and body.
    pub(super) fn row(&self) -> [String; 6] {
        let Message { store_timestamp, id, attempt, keys, body, body_hex, .. } = &self.message;
        let keys = keys.clone().unwrap_or_else(|| "-".to_owned());
        let body = body.as_deref().or(body_hex.as_deref()).unwrap_or_default();
        // The last increment counts the death, not a delivery.
        let attempts = (attempt - 1).max(1).to_string();
        [time::text(*store_timestamp), id.clone(), self.origin_topic.clone(), attempts, keys, cut(body)]
    }
}

impl<'a> DeadLetters<'a> {
    pub(super) async fn open(cluster: &'a Cluster, group: &'a str) -> anyhow::Result<Self> {
        let topic = format!("{PREFIX}{group}");
        let Some(route) = cluster.route(&topic).await? else {
            bail!(
                "no dead letter of the group '{group}' is stored; 'trefoil dead-letter list' shows groups that have some"
            )
        };
        let queues = |master: Master| {
            let queues = route.queue_datas.iter().find(|queues| queues.broker_name == master.name);
            (master, queues.map_or(1, |queues| queues.read_queue_nums.max(queues.write_queue_nums)))
        };
        let brokers = masters_of(&route.broker_datas).into_iter().map(queues).collect();
        Ok(Self { cluster, group, topic, brokers })
    }

    /// Their topic.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The brokers that have some.
    pub(super) fn masters(&self) -> impl Iterator<Item = &Master> {
        self.brokers.iter().map(|(master, _)| master)
    }

    /// Hands over those that are meant, until it is told to stop. An id that none has is an error, after all others.
    pub(super) async fn each(
        &self,
        meant: &Meant<'_>,
        mut each: impl AsyncFnMut(Letter) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut missing: BTreeSet<&str> = meant.ids.iter().map(String::as_str).collect();
        let ids = missing.clone();
        for id in ids {
            for letter in self.lookup(id).await? {
                missing.remove(id);
                if !each(letter).await? {
                    return Ok(());
                }
            }
        }
        if meant.ids.is_empty() || !missing.is_empty() {
            let wanted = missing.clone();
            self.scan(meant, async |letter| {
                let found = wanted.iter().find(|id| letter.has_id(id));
                if let Some(found) = found {
                    missing.remove(*found);
                }
                if found.is_some() || wanted.is_empty() { each(letter).await } else { Ok(true) }
            })
            .await?;
        }
        match missing.first() {
            Some(id) => bail!("'{id}' is no dead letter of the group '{}', or retention has deleted it", self.group),
            None => Ok(()),
        }
    }

    /// Those with the sender's id, by the brokers' index.
    async fn lookup(&self, id: &str) -> anyhow::Result<Vec<Letter>> {
        let mut found = Vec::new();
        for (master, _) in &self.brokers {
            for record in query(self.cluster, &master.addr, &self.topic, id).await? {
                let letter = Letter::new(&Record::parse(&record)?, master)?;
                found.extend((letter.key() == id).then_some(letter));
            }
        }
        Ok(found)
    }

    /// When a dead letter was put back into the retry topic, if it was: ms since the epoch.
    pub(super) async fn resent(&self, letter: &Letter) -> anyhow::Result<Option<i64>> {
        let retry = format!("%RETRY%{}", self.group);
        let mut times = Vec::new();
        for record in query(self.cluster, &letter.addr, &retry, letter.key()).await? {
            let record = Record::parse(&record)?;
            if record.property(properties::DLQ_RESENT_FROM) == Some(&letter.offset_id) {
                times.push(record.store_timestamp);
            }
        }
        Ok(times.into_iter().min())
    }

    async fn scan(
        &self,
        meant: &Meant<'_>,
        mut each: impl AsyncFnMut(Letter) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        for (master, queues) in &self.brokers {
            for queue in 0..*queues {
                let mut next = self.start(master, queue, meant.since).await?;
                let request = request::GetMaxOffset { topic: &self.topic, queue_id: queue, ..Default::default() };
                let end = self.offset(master, RequestCode::GET_MAX_OFFSET, |out| request.write(out)).await?;
                while next < end {
                    let records;
                    (records, next) = self.pull(master, queue, next).await?;
                    for record in records {
                        let record = Record::parse(&record)?;
                        let is_meant = (meant.since..meant.until).contains(&record.store_timestamp);
                        if is_meant && !each(Letter::new(&record, master)?).await? {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn start(&self, master: &Master, queue_id: i32, since: i64) -> anyhow::Result<i64> {
        let topic = &self.topic;
        if since > 0 {
            let request = request::SearchOffset { topic, queue_id, timestamp: since, ..Default::default() };
            return self.offset(master, RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, |out| request.write(out)).await;
        }
        let request = request::GetMinOffset { topic, queue_id, broker_name: None };
        self.offset(master, RequestCode::GET_MIN_OFFSET, |out| request.write(out)).await
    }

    async fn offset(
        &self,
        master: &Master,
        code: RequestCode,
        fields: impl FnOnce(&mut Vec<(String, String)>),
    ) -> anyhow::Result<i64> {
        let answer = self.cluster.ask(&master.addr, code, fields, b"").await?;
        Ok(response::Offset::parse(&answer.fields())?.offset)
    }

    /// Records from an offset on, and where they end.
    async fn pull(&self, master: &Master, queue: i32, from: i64) -> anyhow::Result<(Vec<Vec<u8>>, i64)> {
        let request = request::PullMessage {
            consumer_group: NO_GROUP,
            topic: &self.topic,
            queue_id: queue,
            queue_offset: from,
            max_msg_nums: BATCH,
            sys_flag: request::PullMessage::SUBSCRIPTION,
            subscription: Some("*"),
            expression_type: Some("TAG"),
            ..Default::default()
        };
        for _ in 0..TRIES {
            let code = RequestCode::PULL_MESSAGE;
            let fields = |out: &mut Vec<(String, String)>| request.write(out);
            let answer = self.cluster.call(&master.addr, code, fields, b"", Duration::ZERO).await?;
            let next = match answer.code {
                ResponseCode::SUCCESS
                | ResponseCode::PULL_NOT_FOUND
                | ResponseCode::PULL_RETRY_IMMEDIATELY
                | ResponseCode::PULL_OFFSET_MOVED => response::PullMessage::parse(&answer.fields())?.next_begin_offset,
                ResponseCode::NO_PERMISSION => bail!(
                    "{} lets nobody read the dead letters of '{}': make the topic '{}' readable first, as \
                     'mqadmin updateTopicPerm' does",
                    master.addr,
                    self.group,
                    self.topic
                ),
                code => bail!("{} refused to hand out dead letters: {} ({code})", master.addr, answer.remark()),
            };
            let records = if answer.code == ResponseCode::SUCCESS { records(&answer)? } else { Vec::new() };
            if next > from || !records.is_empty() {
                return Ok((records, next));
            }
            rt::sleep(PAUSE).await;
        }
        bail!("{} has more dead letters in queue {queue}, but does not hand out what is at {from}", master.addr)
    }
}

/// Messages of a topic with a sender's id.
async fn query(cluster: &Cluster, addr: &str, topic: &str, id: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let request = request::QueryMessage {
        topic,
        key: id,
        max_num: LOOKUP_MAX,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
        index_type: None,
        last_key: None,
        unique_key: Some(true),
    };
    match cluster.ask(addr, RequestCode::QUERY_MESSAGE, |out| request.write(out), b"").await {
        Ok(answer) => records(&answer),
        Err(error) if is_refused(&error, ResponseCode::QUERY_NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn records(answer: &Answer) -> anyhow::Result<Vec<Vec<u8>>> {
    let (mut rest, mut found) = (answer.body(), Vec::new());
    while !rest.is_empty() {
        let len = announced_len(rest).filter(|len| *len <= rest.len()).context("an answer cannot be read")?;
        found.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    Ok(found)
}
