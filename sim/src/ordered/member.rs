//! A member of the orderly group, as the classic clients are: it shares the queues out by the list of members, asks for
//! their locks, believes in each for 30 s after the answer, and consumes one message of a queue at a time.

use super::line::{Client, QUEUES, TOPIC};
use crate::node::Connection;
use rt::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use wire::remoting::body::{
    ConsumerData, ConsumerList, HeartbeatData, LockBatch, LockBatchAnswer, MessageQueue, SubscriptionData,
};
use wire::remoting::loose_json::{Dialect, from_slice, to_vec};
use wire::remoting::request::GetConsumerListByGroup;
use wire::remoting::{RequestCode, ResponseCode};

const GROUP: &str = "ledgers";
/// How long a client believes in a lock after it was told of it.
const BELIEF: Duration = Duration::from_secs(30);
/// How long a client waits for the answer to its wish for locks.
const LOCK_ANSWER_MAX: Duration = Duration::from_secs(1);
/// Longest time between two rounds of sharing out and renewing, in ms.
const ROUND_MS_MAX: u64 = 20_000;
/// Longest time that one message takes, in ms.
const CONSUME_MS_MAX: u64 = 300;

/// A queue that the member believes to hold.
struct Held {
    until: Duration,
    next: u64,
}

type Queues = BTreeMap<u32, Held>;

impl Client {
    /// Consumes until told to stop.
    pub(super) async fn consume_in_order(self) {
        let mut held = Queues::new();
        while !self.ledger.lock().findings.is_failed() {
            if let Err(error) = self.consume_on_one_connection(&mut held).await {
                self.ledger.lock().findings.note(format_args!("{}: {error}", self.name));
            }
            rt::sleep(Duration::from_millis(100 + self.random.below(2000))).await;
        }
    }

    async fn consume_on_one_connection(&self, held: &mut Queues) -> io::Result<()> {
        let mut connection = self.connect().await?;
        let mut round_at = Duration::ZERO;
        while !self.ledger.lock().findings.is_failed() {
            if self.now() >= round_at {
                self.heartbeat(&mut connection).await?;
                self.share_out(&mut connection, held).await?;
                round_at = self.now() + Duration::from_millis(ROUND_MS_MAX / 4 + self.random.below(ROUND_MS_MAX / 2));
            }
            for (queue, held) in &mut *held {
                self.consume_some(&mut connection, *queue, held).await?;
            }
            rt::sleep(Duration::from_millis(100 + self.random.below(1000))).await;
        }
        Ok(())
    }

    async fn heartbeat(&self, connection: &mut Connection) -> io::Result<()> {
        let subscription =
            SubscriptionData { topic: TOPIC.to_owned(), sub_string: "*".to_owned(), ..SubscriptionData::default() };
        let group = ConsumerData {
            group_name: GROUP.to_owned(),
            subscription_data_set: vec![subscription],
            ..ConsumerData::default()
        };
        let client_id = self.name.clone();
        let beat = HeartbeatData { client_id, consumer_data_set: vec![group], ..HeartbeatData::default() };
        connection.ask(RequestCode::HEART_BEAT, |_| (), &to_vec(&beat, Dialect::Strict)).await.map(drop)
    }

    /// Lets go of queues that are others' now, and asks for the locks of its own.
    async fn share_out(&self, connection: &mut Connection, held: &mut Queues) -> io::Result<()> {
        let ask = GetConsumerListByGroup { consumer_group: GROUP };
        let answer = connection.ask(RequestCode::GET_CONSUMER_LIST_BY_GROUP, |fields| ask.write(fields), b"").await?;
        if answer.code != ResponseCode::SUCCESS {
            return Ok(());
        }
        let mut members = from_slice::<ConsumerList>(&answer.body).map_err(io::Error::other)?.consumer_id_list;
        members.sort();
        let Some(place) = members.iter().position(|id| *id == self.name) else { return Ok(()) };
        let mine = |queue: u32| queue as usize % members.len() == place;
        let given_up: Vec<u32> = held.keys().copied().filter(|queue| !mine(*queue)).collect();
        for queue in given_up {
            if let Some(Held { next, .. }) = held.remove(&queue) {
                self.ledger.lock().lets_go(&self.name, queue);
                self.save(connection, queue, next).await?;
                let ask = to_vec(&self.locks([queue]), Dialect::Strict);
                connection.ask(RequestCode::UNLOCK_BATCH_MQ, |_| (), &ask).await?;
            }
        }
        self.lock(connection, (0..QUEUES).filter(|queue| mine(*queue)).collect(), held).await
    }

    fn locks(&self, queues: impl IntoIterator<Item = u32>) -> LockBatch {
        let place = |queue: u32| MessageQueue {
            broker_name: "broker-a".to_owned(),
            queue_id: queue as i32,
            topic: TOPIC.to_owned(),
        };
        LockBatch {
            consumer_group: GROUP.to_owned(),
            client_id: self.name.clone(),
            only_this_broker: false,
            mq_set: queues.into_iter().map(place).collect(),
        }
    }

    async fn lock(&self, connection: &mut Connection, mine: Vec<u32>, held: &mut Queues) -> io::Result<()> {
        let ask = to_vec(&self.locks(mine.iter().copied()), Dialect::Strict);
        let answer = rt::timeout(LOCK_ANSWER_MAX, connection.ask(RequestCode::LOCK_BATCH_MQ, |_| (), &ask)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if answer.code != ResponseCode::SUCCESS {
            self.ledger.lock().findings.note(format_args!("{}: no locks: {}", self.name, answer.remark));
            return Ok(());
        }
        let locked = from_slice::<LockBatchAnswer>(&answer.body).map_err(io::Error::other)?.lock_ok_mq_set;
        let locked: BTreeSet<u32> = locked.iter().map(|queue| queue.queue_id as u32).collect();
        for queue in mine {
            if !locked.contains(&queue) {
                if held.remove(&queue).is_some() {
                    self.ledger.lock().lets_go(&self.name, queue);
                }
                continue;
            }
            let (now, until) = (self.now(), self.now() + BELIEF);
            self.ledger.lock().holds(&self.name, queue, now, until);
            let is_believed = held.get(&queue).is_some_and(|held| held.until > now);
            if is_believed && let Some(held) = held.get_mut(&queue) {
                held.until = until;
                continue;
            }
            let next = self.progress(connection, GROUP, TOPIC, queue).await?.unwrap_or(0);
            self.ledger.lock().begins_at(&self.name, queue, next);
            held.insert(queue, Held { until, next });
        }
        Ok(())
    }

    async fn consume_some(&self, connection: &mut Connection, queue: u32, held: &mut Held) -> io::Result<()> {
        if self.now() >= held.until {
            return Ok(());
        }
        let pulled = self.pull(connection, GROUP, TOPIC, queue, held.next).await?;
        let from = held.next;
        for message in pulled {
            // The pull may have taken long.
            if self.now() >= held.until {
                return Ok(());
            }
            self.ledger.lock().consume(&self.name, queue, message.offset, message.id);
            rt::sleep(Duration::from_millis(self.random.below(CONSUME_MS_MAX))).await;
            self.ledger.lock().consumed(queue, message.offset, message.id);
            held.next = message.offset + 1;
        }
        if held.next > from && self.random.coin() {
            self.save(connection, queue, held.next).await?;
        }
        Ok(())
    }

    async fn save(&self, connection: &mut Connection, queue: u32, next: u64) -> io::Result<()> {
        self.ledger.lock().commits(queue, next);
        if self.commit(connection, GROUP, TOPIC, queue, next).await? {
            self.ledger.lock().committed(queue, next);
        }
        Ok(())
    }
}
