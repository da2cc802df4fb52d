//! What every client here needs of a node: to find it, to pull, to commit.

use super::ledger::{Id, Ledger};
use crate::node::{Answer, Connection};
use model::record::{Record, announced_len};
use parking_lot::Mutex;
use rt::sim::{SeededRandom, SimClock};
use rt::{Clock, Host};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::request::{PullMessage, QueryConsumerOffset, UpdateConsumerOffset};
use wire::remoting::{Encoding, RequestCode, ResponseCode};

/// The topic of all messages.
pub(super) const TOPIC: &str = "orders";
/// Its queues.
pub(super) const QUEUES: u32 = 4;

/// One client process.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) host: Host,
    pub(super) clock: SimClock,
    pub(super) random: SeededRandom,
    pub(super) broker: SocketAddr,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// A message that was pulled.
pub(super) struct Pulled {
    pub(super) id: Id,
    pub(super) offset: u64,
    pub(super) position: u64,
    pub(super) times: i32,
}

impl Client {
    pub(super) fn now(&self) -> Duration {
        Clock::monotonic(&self.clock)
    }

    pub(super) async fn connect(&self) -> io::Result<Connection> {
        Connection::open(&self.host, self.broker, Encoding::Json).await
    }

    /// Where a group is; `None` if it never was there, or there is no such topic yet.
    pub(super) async fn progress(
        &self,
        connection: &mut Connection,
        group: &str,
        topic: &str,
        queue: u32,
    ) -> io::Result<Option<u64>> {
        let ask = QueryConsumerOffset {
            consumer_group: group,
            topic,
            queue_id: queue as i32,
            set_zero_if_not_found: Some(false),
            broker_name: None,
        };
        let answer = connection.ask(RequestCode::QUERY_CONSUMER_OFFSET, |fields| ask.write(fields), b"").await?;
        match answer.code {
            ResponseCode::SUCCESS => Ok(answer.number("offset")),
            ResponseCode::QUERY_NOT_FOUND => Ok(None),
            _ if topic != TOPIC => Ok(None),
            code => Err(io::Error::other(format!("where to begin: {code:?} {}", answer.remark))),
        }
    }

    /// What lies at an offset and behind it.
    pub(super) async fn pull(
        &self,
        connection: &mut Connection,
        group: &str,
        topic: &str,
        queue: u32,
        offset: u64,
    ) -> io::Result<Vec<Pulled>> {
        let ask = PullMessage {
            consumer_group: group,
            topic,
            queue_id: queue as i32,
            queue_offset: offset as i64,
            max_msg_nums: 1 + self.random.index(8) as i32,
            sys_flag: PullMessage::SUBSCRIPTION,
            subscription: Some("*"),
            expression_type: Some("TAG"),
            ..PullMessage::default()
        };
        let answer = connection.ask(RequestCode::PULL_MESSAGE, |fields| ask.write(fields), b"").await?;
        match answer.code {
            ResponseCode::SUCCESS => parse(offset, &answer),
            ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_RETRY_IMMEDIATELY => Ok(Vec::new()),
            _ if topic != TOPIC => Ok(Vec::new()),
            code => Err(io::Error::other(format!("pull: {code:?} {}", answer.remark))),
        }
    }

    /// Commits; whether that was acknowledged.
    pub(super) async fn commit(
        &self,
        connection: &mut Connection,
        group: &str,
        topic: &str,
        queue: u32,
        offset: u64,
    ) -> io::Result<bool> {
        let ask = UpdateConsumerOffset {
            consumer_group: group,
            topic,
            queue_id: queue as i32,
            commit_offset: offset as i64,
            broker_name: None,
        };
        let answer = connection.ask(RequestCode::UPDATE_CONSUMER_OFFSET, |fields| ask.write(fields), b"").await?;
        Ok(answer.code == ResponseCode::SUCCESS)
    }
}

fn parse(from: u64, answer: &Answer) -> io::Result<Vec<Pulled>> {
    let (mut rest, mut pulled) = (&answer.body[..], Vec::new());
    while !rest.is_empty() {
        let record = Record::parse(rest).map_err(io::Error::other)?;
        let offset = record.queue_offset.0;
        if offset != from + pulled.len() as u64 {
            return Err(io::Error::other(format!("offset {offset} after {} from {from}", pulled.len())));
        }
        let id = std::str::from_utf8(record.body).ok().and_then(|body| body.split_once(' '));
        let id = id.and_then(|(key, number)| Some((key.parse().ok()?, number.parse().ok()?)));
        let id = id.ok_or_else(|| io::Error::other("a message that nobody sent"))?;
        let (position, times) = (record.physical_offset.0, record.reconsume_times);
        pulled.push(Pulled { id, offset, position, times });
        rest = &rest[announced_len(rest).unwrap_or(rest.len()).min(rest.len())..];
    }
    Ok(pulled)
}
