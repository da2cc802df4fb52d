//! Reads one queue.

use super::{Consume, From, NO_GROUP};
use crate::cli::message::Message;
use crate::cli::remote::{Answer, Cluster, is_refused};
use anyhow::{Context as _, bail};
use model::record::{Record, announced_len};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::remoting::{OrDefault, RequestCode, ResponseCode, request, response};

/// Messages asked for at a time.
const BATCH: i32 = 32;
/// How long a broker may hold back the answer when there is nothing new.
const HOLD: Duration = Duration::from_secs(15);
/// Pause when a broker answers at once that there is nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads one queue.
pub(super) struct Reader {
    cluster: Arc<Cluster>,
    broker: String,
    addr: String,
    topic: String,
    group: String,
    tag: String,
    queue: i32,
    next: i64,
    end: Option<i64>,
}

/// Messages of one queue, in order; none where a stretch of it has none that is wanted.
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    addr: String,
    queue: i32,
    /// Where the queue goes on after them.
    next: i64,
}

impl Batch {
    /// Forgets all but the first messages.
    pub(super) fn keep(&mut self, count: usize) {
        self.messages.truncate(count);
        if let Some(last) = self.messages.last() {
            self.next = i64::try_from(last.offset).unwrap_or(i64::MAX).saturating_add(1);
        }
    }

    /// Stores that a group has read these.
    pub(super) async fn commit(&self, cluster: &Cluster, group: &str, topic: &str) -> anyhow::Result<()> {
        let request = request::UpdateConsumerOffset {
            consumer_group: group,
            topic,
            queue_id: self.queue,
            commit_offset: self.next,
            broker_name: None,
        };
        cluster.ask(&self.addr, RequestCode::UPDATE_CONSUMER_OFFSET, |out| request.write(out), b"").await.map(drop)
    }
}

impl Reader {
    pub(super) async fn open(
        cluster: Arc<Cluster>,
        command: &Consume,
        broker: String,
        addr: String,
        queue: i32,
    ) -> anyhow::Result<Self> {
        let group = command.group.clone().unwrap_or_else(|| NO_GROUP.to_owned());
        let (topic, tag) = (command.topic.clone(), command.tag.clone());
        let mut reader = Self { cluster, broker, addr, topic, group, tag, queue, next: 0, end: None };
        reader.next = reader.start(command.from, command.group.is_some()).await?;
        if command.until_end {
            reader.end = Some(reader.max_offset().await?);
        }
        Ok(reader)
    }

    /// Messages between here and the end, if that is where to stop.
    pub(super) fn ahead(&self) -> u64 {
        self.end.map_or(0, |end| u64::try_from(end - self.next).unwrap_or(0))
    }

    async fn start(&self, from: Option<From>, has_group: bool) -> anyhow::Result<i64> {
        if from.is_none()
            && has_group
            && let Some(offset) = self.group_offset().await?
        {
            return Ok(offset);
        }
        let Self { topic, queue, .. } = self;
        match from.unwrap_or(From::First) {
            From::Offset(offset) => Ok(offset),
            From::Last => self.max_offset().await,
            From::First => {
                let request = request::GetMinOffset { topic, queue_id: *queue, broker_name: None };
                self.offset(RequestCode::GET_MIN_OFFSET, |out| request.write(out)).await
            }
            From::Time(timestamp) => {
                let request = request::SearchOffset { topic, queue_id: *queue, timestamp, ..Default::default() };
                self.offset(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, |out| request.write(out)).await
            }
        }
    }

    async fn group_offset(&self) -> anyhow::Result<Option<i64>> {
        let request = request::QueryConsumerOffset {
            consumer_group: &self.group,
            topic: &self.topic,
            queue_id: self.queue,
            set_zero_if_not_found: Some(false),
            broker_name: None,
        };
        match self.offset(RequestCode::QUERY_CONSUMER_OFFSET, |out| request.write(out)).await {
            Ok(offset) => Ok(Some(offset)),
            Err(error) if is_refused(&error, ResponseCode::QUERY_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn max_offset(&self) -> anyhow::Result<i64> {
        let request = request::GetMaxOffset { topic: &self.topic, queue_id: self.queue, ..Default::default() };
        self.offset(RequestCode::GET_MAX_OFFSET, |out| request.write(out)).await
    }

    async fn offset(&self, code: RequestCode, fields: impl FnOnce(&mut Vec<(String, String)>)) -> anyhow::Result<i64> {
        let answer = self.cluster.ask(&self.addr, code, fields, b"").await?;
        Ok(response::Offset::parse(&answer.fields())?.offset)
    }

    /// Reads until nobody listens any more, or the end is reached.
    pub(super) async fn run(mut self, out: &mpsc::Sender<anyhow::Result<Batch>>) -> anyhow::Result<()> {
        while self.end.is_none_or(|end| self.next < end) {
            let (messages, next) = self.pull().await?;
            // What came after the end is not shown, so no group has read it.
            let next = self.end.map_or(next, |end| next.min(end));
            let (passed, moved) = (next > self.next, next != self.next);
            self.next = next;
            // A stretch without a message that is wanted counts too: it need not be read again.
            if messages.is_empty() && !passed {
                if !moved {
                    rt::sleep(PAUSE).await;
                }
                continue;
            }
            let batch = Batch { messages, addr: self.addr.clone(), queue: self.queue, next };
            if out.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn pull(&self) -> anyhow::Result<(Vec<Message>, i64)> {
        let request = request::PullMessage {
            consumer_group: &self.group,
            topic: &self.topic,
            queue_id: self.queue,
            queue_offset: self.next,
            max_msg_nums: BATCH,
            sys_flag: request::PullMessage::SUSPEND | request::PullMessage::SUBSCRIPTION,
            suspend_timeout_millis: OrDefault(i64::try_from(HOLD.as_millis()).unwrap_or(i64::MAX)),
            subscription: Some(&self.tag),
            expression_type: Some("TAG"),
            ..Default::default()
        };
        let code = RequestCode::PULL_MESSAGE;
        let answer = self.cluster.call(&self.addr, code, |out| request.write(out), b"", HOLD).await?;
        match answer.code {
            ResponseCode::SUCCESS
            | ResponseCode::PULL_NOT_FOUND
            | ResponseCode::PULL_RETRY_IMMEDIATELY
            | ResponseCode::PULL_OFFSET_MOVED => {
                let next = response::PullMessage::parse(&answer.fields())?.next_begin_offset;
                let messages = if answer.code == ResponseCode::SUCCESS { self.messages(&answer)? } else { Vec::new() };
                Ok((messages, next))
            }
            code => bail!("{} refused to hand out messages: {} ({code})", self.addr, answer.remark()),
        }
    }

    fn messages(&self, answer: &Answer) -> anyhow::Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut rest = answer.body();
        while let Some(len) = announced_len(rest) {
            let unreadable = || format!("{} handed out a message that cannot be read", self.addr);
            let record = Record::parse(rest).with_context(unreadable)?;
            let is_wanted = self.end.is_none_or(|end| i64::try_from(record.queue_offset.0).is_ok_and(|at| at < end));
            if is_wanted && self.has_tag(&record) {
                messages.push(Message::from_record(&record, &self.broker).with_context(unreadable)?);
            }
            rest = &rest[len..];
        }
        Ok(messages)
    }

    /// Brokers compare hashes of tags; the words are compared here.
    fn has_tag(&self, record: &Record<'_>) -> bool {
        let wanted = self.tag.trim();
        let tag = record.property(model::properties::TAGS);
        wanted.is_empty() || wanted == "*" || wanted.split("||").any(|wanted| tag == Some(wanted.trim()))
    }
}
