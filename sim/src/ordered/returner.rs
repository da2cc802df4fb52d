//! A group that wants most messages again, until they are dead.

use super::line::{Client, Pulled, QUEUES, TOPIC};
use crate::node::Connection;
use model::{Group, Topic};
use rt::Random;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use wire::remoting::request::SendBack;
use wire::remoting::{RequestCode, ResponseCode};

const GROUP: &str = "returners";
/// How often a message may be consumed again.
const TIMES_MAX: i32 = 3;

/// What it has read of each queue, across its connections.
type Offsets = BTreeMap<(String, u32), u64>;

impl Client {
    /// Reads the topic, what comes again, and the dead letters, until told to stop.
    pub(super) async fn give_back(self) {
        let mut offsets = Offsets::new();
        while !self.ledger.lock().findings.is_failed() {
            if let Err(error) = self.give_back_on_one_connection(&mut offsets).await {
                self.ledger.lock().findings.note(format_args!("{}: {error}", self.name));
            }
            rt::sleep(Duration::from_millis(100 + self.random.below(1000))).await;
        }
    }

    async fn give_back_on_one_connection(&self, offsets: &mut Offsets) -> io::Result<()> {
        let mut connection = self.connect().await?;
        let group = Group::from_stored(GROUP);
        let (retry, dead) = (Topic::retry_of(&group).to_string(), Topic::dead_letter_of(&group).to_string());
        let mut sources: Vec<(String, u32)> = (0..QUEUES).map(|queue| (TOPIC.to_owned(), queue)).collect();
        sources.extend([(retry, 0), (dead.clone(), 0)]);
        while !self.ledger.lock().findings.is_failed() {
            for source in &sources {
                let next = offsets.get(source).copied().unwrap_or(0);
                let pulled = self.pull(&mut connection, GROUP, &source.0, source.1, next).await?;
                for message in pulled {
                    offsets.insert(source.clone(), message.offset + 1);
                    self.judge(&mut connection, &message, source.0 == TOPIC, source.0 == dead).await?;
                }
            }
            rt::sleep(Duration::from_millis(200 + self.random.below(2000))).await;
        }
        Ok(())
    }

    async fn judge(
        &self,
        connection: &mut Connection,
        message: &Pulled,
        is_new: bool,
        is_dead: bool,
    ) -> io::Result<()> {
        if !is_new {
            self.ledger.lock().came_back(message.id, message.times, is_dead, TIMES_MAX);
        }
        if is_dead || self.random.below(3) == 0 {
            return Ok(());
        }
        let ask = SendBack {
            offset: message.position as i64,
            group: GROUP,
            delay_level: self.random.index(3) as i32,
            origin_msg_id: None,
            origin_topic: Some(TOPIC),
            unit_mode: Some(false),
            max_reconsume_times: Some(TIMES_MAX),
            broker_name: None,
        };
        // Until there is an answer, both are possible.
        self.ledger.lock().send_back(message.id, message.times);
        let answer = connection.ask(RequestCode::CONSUMER_SEND_MSG_BACK, |fields| ask.write(fields), b"").await?;
        if answer.code == ResponseCode::SUCCESS {
            self.ledger.lock().sent_back(message.id, message.times);
        }
        Ok(())
    }
}
