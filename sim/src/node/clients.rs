//! Producers and consumers as a node sees them: frames from other machines.

use super::connection::{Answer, Connection};
use super::ledger::{Id, Ledger};
use crate::Invariant;
use bytes::BytesMut;
use model::record::{Record, announced_len};
use model::{Group, Topic, properties, system};
use parking_lot::Mutex;
use rt::sim::SeededRandom;
use rt::{Host, Random};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::TopicRouteData;
use wire::remoting::request::{
    GetRoute, PullMessage, QueryConsumerOffset, SendBack, SendMessage, UpdateConsumerOffset,
};
use wire::remoting::{Encoding, FrameWriter, OrDefault, RequestCode, ResponseCode, batch, loose_json};

/// The topic of all messages.
pub(super) const TOPIC: &str = "orders";

/// Its queues.
pub(super) const QUEUES: u32 = 4;

/// How long a pull may wait for messages.
const PULL_WAIT: Duration = Duration::from_secs(2);

/// A queue that a consumer reads.
#[derive(Debug)]
struct Source {
    topic: String,
    queue: u32,
}

impl Source {
    fn id(&self) -> i32 {
        i32::try_from(self.queue).unwrap_or(0)
    }

    fn name(&self) -> String {
        format!("{}/{}", self.topic, self.queue)
    }
}

/// One client process.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) host: Host,
    pub(super) random: SeededRandom,
    pub(super) encoding: Encoding,
    pub(super) name_server: SocketAddr,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    /// Sends until told to stop, over as many connections as it takes.
    pub(super) async fn produce(self) {
        while !self.ledger.lock().findings.is_failed() {
            if let Err(error) = self.produce_on_one_connection().await {
                self.ledger.lock().findings.note(format_args!("{}: {error}", self.name));
            }
            rt::sleep(Duration::from_millis(50 + self.random.below(300))).await;
        }
    }

    /// Consumes all queues until told to stop.
    pub(super) async fn consume(self) {
        while !self.ledger.lock().findings.is_failed() {
            if let Err(error) = self.consume_on_one_connection().await {
                self.ledger.lock().findings.note(format_args!("{}: {error}", self.name));
            }
            rt::sleep(Duration::from_millis(50 + self.random.below(300))).await;
        }
    }

    /// Asks the name server where the topic is and connects to its broker.
    async fn connect(&self) -> io::Result<Connection> {
        let mut names = Connection::open(&self.host, self.name_server, self.encoding).await?;
        // A topic that no broker has told of yet is created by the first send, through the default topic.
        let addr = match self.route(&mut names, TOPIC).await? {
            Some(addr) => addr,
            None => self.route(&mut names, system::AUTO_CREATE_TOPIC).await?.ok_or(io::ErrorKind::NotFound)?,
        };
        Connection::open(&self.host, addr, self.encoding).await
    }

    async fn route(&self, names: &mut Connection, topic: &str) -> io::Result<Option<SocketAddr>> {
        let ask = GetRoute { topic, accept_standard_json_only: Some(true) };
        let answer = names.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, |fields| ask.write(fields), b"").await?;
        match answer.code {
            ResponseCode::SUCCESS => {
                let route: TopicRouteData = loose_json::from_slice(&answer.body).map_err(io::Error::other)?;
                let master = route.broker_datas.first().and_then(|broker| broker.broker_addrs.get(&0));
                Ok(master.and_then(|addr| addr.parse().ok()))
            }
            ResponseCode::TOPIC_NOT_EXIST => Ok(None),
            code => Err(io::Error::other(format!("route of {topic}: {code:?} {}", answer.remark))),
        }
    }

    async fn produce_on_one_connection(&self) -> io::Result<()> {
        let mut connection = self.connect().await?;
        while !self.ledger.lock().findings.is_failed() {
            let count = if self.random.below(4) == 0 { 2 + self.random.index(6) } else { 1 };
            self.send(&mut connection, count).await?;
            rt::sleep(Duration::from_millis(self.random.below(40))).await;
        }
        Ok(())
    }

    /// Sends one message, or several as a batch.
    async fn send(&self, connection: &mut Connection, count: usize) -> io::Result<()> {
        let queue = i32::try_from(self.random.below(u64::from(QUEUES))).unwrap_or(0);
        let ids: Vec<Id> = (0..count).map(|_| self.ledger.lock().send(self.random.index(400))).collect();
        let is_batch = count > 1;
        let (body, text) = if is_batch { (self.batch(&ids), String::new()) } else { self.single(ids[0]) };
        let message = SendMessage {
            producer_group: "producers",
            topic: TOPIC,
            default_topic: "TBW102",
            default_topic_queue_nums: i32::try_from(QUEUES).unwrap_or(4),
            queue_id: queue,
            sys_flag: 0,
            born_timestamp: self.host.clock.now().0,
            flag: 0,
            properties: Some(&text),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(is_batch),
            broker_name: None,
        };
        let code = match (is_batch, self.random.coin()) {
            (true, _) => RequestCode::SEND_BATCH_MESSAGE,
            (false, true) => RequestCode::SEND_MESSAGE_V2,
            (false, false) => RequestCode::SEND_MESSAGE,
        };
        let is_short = code != RequestCode::SEND_MESSAGE;
        let write =
            |fields: &mut FrameWriter<'_>| if is_short { message.write_short(fields) } else { message.write(fields) };
        let answer = connection.ask(code, write, &body).await?;
        self.judge_send(&ids, &answer);
        Ok(())
    }

    fn single(&self, id: Id) -> (Vec<u8>, String) {
        (self.ledger.lock().body(id), text(id))
    }

    fn batch(&self, ids: &[Id]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for &id in ids {
            let body = self.ledger.lock().body(id);
            batch::encode(&batch::Entry { flag: 0, body: &body, properties: &text(id) }, &mut out);
        }
        out.to_vec()
    }

    fn judge_send(&self, ids: &[Id], answer: &Answer) {
        let ledger = &mut *self.ledger.lock();
        match answer.code {
            ResponseCode::SUCCESS => {
                let queue = answer.number("queueId").and_then(|queue| u32::try_from(queue).ok());
                let (Some(queue), Some(first)) = (queue, answer.number("queueOffset")) else {
                    return ledger.findings.fail(Invariant::Genuine, "an acknowledgement without a place".to_owned());
                };
                for (&id, offset) in ids.iter().zip(first..) {
                    ledger.acknowledge(id, queue, offset);
                }
            }
            // Asked to come back, or not allowed: nothing was stored.
            ResponseCode::SYSTEM_BUSY | ResponseCode::MESSAGE_ILLEGAL | ResponseCode::NO_PERMISSION => {
                ids.iter().for_each(|&id| ledger.refuse(id, &answer.remark));
            }
            code => ledger.findings.note(format_args!("{}: open {ids:?}: {code:?} {}", self.name, answer.remark)),
        }
    }

    async fn consume_on_one_connection(&self) -> io::Result<()> {
        let mut connection = self.connect().await?;
        let mut sources: Vec<Source> = (0..QUEUES).map(|queue| Source { topic: TOPIC.to_owned(), queue }).collect();
        // What the group could not digest comes again here.
        sources.push(Source { topic: Topic::retry_of(&Group::from_stored(&self.name)).to_string(), queue: 0 });
        let mut offsets = Vec::new();
        for source in &sources {
            offsets.push(self.where_to_begin(&mut connection, source).await?);
        }
        loop {
            for (source, offset) in sources.iter().zip(&mut offsets) {
                let next = self.pull(&mut connection, source, *offset).await?;
                if next != *offset {
                    *offset = next;
                    self.commit(&mut connection, source, next).await?;
                }
            }
            if self.ledger.lock().findings.is_failed() {
                return Ok(());
            }
            rt::sleep(Duration::from_millis(1 + self.random.below(30))).await;
        }
    }

    async fn where_to_begin(&self, connection: &mut Connection, source: &Source) -> io::Result<u64> {
        let ask = QueryConsumerOffset {
            consumer_group: &self.name,
            topic: &source.topic,
            queue_id: source.id(),
            set_zero_if_not_found: Some(false),
            broker_name: None,
        };
        let answer = connection.ask(RequestCode::QUERY_CONSUMER_OFFSET, |fields| ask.write(fields), b"").await?;
        match (answer.code, answer.number("offset")) {
            (ResponseCode::SUCCESS, Some(offset)) => {
                self.ledger.lock().told_progress(&self.name, &source.name(), offset);
                Ok(offset)
            }
            (ResponseCode::QUERY_NOT_FOUND, _) => {
                self.ledger.lock().told_progress(&self.name, &source.name(), 0);
                Ok(0)
            }
            _ if source.topic != TOPIC => Ok(0),
            (code, _) => Err(io::Error::other(format!("where to begin in {source:?}: {code:?} {}", answer.remark))),
        }
    }

    /// Pulls once. Returns the next offset.
    async fn pull(&self, connection: &mut Connection, source: &Source, offset: u64) -> io::Result<u64> {
        let commits = self.random.below(4) == 0;
        let waits = self.random.below(4) == 0;
        let mut sys_flag = PullMessage::SUBSCRIPTION;
        sys_flag |= if commits { PullMessage::COMMIT_OFFSET } else { 0 };
        sys_flag |= if waits { PullMessage::SUSPEND } else { 0 };
        let ask = PullMessage {
            consumer_group: &self.name,
            topic: &source.topic,
            queue_id: source.id(),
            queue_offset: i64::try_from(offset).unwrap_or(0),
            max_msg_nums: 1 + i32::try_from(self.random.below(32)).unwrap_or(0),
            sys_flag,
            commit_offset: OrDefault(i64::try_from(offset).unwrap_or(0)),
            suspend_timeout_millis: OrDefault(i64::try_from(PULL_WAIT.as_millis()).unwrap_or(0)),
            subscription: Some("*"),
            expression_type: Some("TAG"),
            ..PullMessage::default()
        };
        let answer = connection.ask(RequestCode::PULL_MESSAGE, |fields| ask.write(fields), b"").await?;
        match answer.code {
            ResponseCode::SUCCESS => {
                let (next, position) = self.take(source, offset, &answer);
                if let Some((id, position)) = position.filter(|_| self.random.below(6) == 0) {
                    self.send_back(connection, id, position).await?;
                }
                Ok(next)
            }
            ResponseCode::TOPIC_NOT_EXIST if source.topic != TOPIC => Ok(offset),
            ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_RETRY_IMMEDIATELY => Ok(offset),
            ResponseCode::PULL_OFFSET_MOVED => {
                let [next, min, max] = ["nextBeginOffset", "minOffset", "maxOffset"].map(|name| answer.number(name));
                let what = format!(
                    "{} asked for {offset} of {source:?} and is sent to {next:?}; it reaches from {min:?} to {max:?}",
                    self.name
                );
                self.ledger.lock().findings.fail(Invariant::Kept, what);
                Ok(offset)
            }
            code => Err(io::Error::other(format!("pull from {source:?}: {code:?} {}", answer.remark))),
        }
    }

    /// Takes the messages of an answer: they must begin at the offset asked for and have no gap. Returns the next offset
    /// and a message with its position in the log, if it came for the first time.
    fn take(&self, source: &Source, from: u64, answer: &Answer) -> (u64, Option<(Id, u64)>) {
        let ledger = &mut *self.ledger.lock();
        let (mut rest, mut next, mut first) = (&answer.body[..], from, None);
        while !rest.is_empty() {
            let record = match Record::parse(rest) {
                Ok(record) => record,
                Err(error) => {
                    ledger
                        .findings
                        .fail(Invariant::Genuine, format!("{source:?} after offset {next}: no record: {error}"));
                    return (next, None);
                }
            };
            if record.queue_offset.0 != next {
                let what = format!("{source:?}: offset {} where {next} must be", record.queue_offset);
                ledger.findings.fail(Invariant::Dense, what);
                return (next, None);
            }
            if source.topic == TOPIC {
                let id = ledger.deliver(&self.name, source.queue, &record);
                first = first.or(id.map(|id| (id, record.physical_offset.0)));
            } else {
                ledger.redeliver(&self.name, &record);
            }
            next += 1;
            rest = &rest[announced_len(rest).unwrap_or(rest.len()).min(rest.len())..];
        }
        if answer.number("nextBeginOffset") != Some(next) {
            let told = answer.number("nextBeginOffset");
            ledger.findings.fail(Invariant::Dense, format!("{source:?}: next is {next}, but {told:?} is told"));
        }
        (next, first)
    }

    /// The group could not digest a message and wants it again.
    async fn send_back(&self, connection: &mut Connection, id: Id, position: u64) -> io::Result<()> {
        let ask = SendBack {
            offset: i64::try_from(position).unwrap_or(0),
            group: &self.name,
            delay_level: 1 + i32::from(self.random.coin()),
            origin_msg_id: None,
            origin_topic: Some(TOPIC),
            unit_mode: Some(false),
            max_reconsume_times: Some(16),
            broker_name: None,
        };
        let answer = connection.ask(RequestCode::CONSUMER_SEND_MSG_BACK, |fields| ask.write(fields), b"").await?;
        if answer.code == ResponseCode::SUCCESS {
            self.ledger.lock().sent_back(&self.name, id);
        }
        Ok(())
    }

    async fn commit(&self, connection: &mut Connection, source: &Source, offset: u64) -> io::Result<()> {
        if self.random.below(3) == 0 {
            return Ok(());
        }
        let ask = UpdateConsumerOffset {
            consumer_group: &self.name,
            topic: &source.topic,
            queue_id: source.id(),
            // Now and then a late commit comes in: it must change nothing.
            commit_offset: i64::try_from(if self.random.below(8) == 0 { offset / 2 } else { offset }).unwrap_or(0),
            broker_name: None,
        };
        let answer = connection.ask(RequestCode::UPDATE_CONSUMER_OFFSET, |fields| ask.write(fields), b"").await?;
        if answer.code == ResponseCode::SUCCESS {
            self.ledger.lock().committed(&self.name, &source.name(), u64::try_from(ask.commit_offset).unwrap_or(0));
        }
        Ok(())
    }
}

fn text(id: Id) -> String {
    let mut text = String::new();
    for (name, value) in Ledger::properties(id) {
        properties::push(&mut text, name, &value);
    }
    text
}
