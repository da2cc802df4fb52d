//! One who sends by key: a key has one queue, and its next message goes out when the one before is acknowledged.

use super::line::{Client, QUEUES, TOPIC};
use crate::node::Connection;
use rt::Random;
use std::io;
use std::time::Duration;
use wire::remoting::request::SendMessage;
use wire::remoting::{RequestCode, ResponseCode};

/// Keys of each producer.
const KEYS: u32 = 6;

impl Client {
    /// Sends its keys until told to stop.
    pub(super) async fn produce(self, producer: u32) {
        while !self.ledger.lock().findings.is_failed() {
            if let Err(error) = self.produce_on_one_connection(producer).await {
                self.ledger.lock().findings.note(format_args!("{}: {error}", self.name));
            }
            rt::sleep(Duration::from_millis(100 + self.random.below(1000))).await;
        }
    }

    async fn produce_on_one_connection(&self, producer: u32) -> io::Result<()> {
        let mut connection = self.connect().await?;
        while !self.ledger.lock().findings.is_failed() {
            self.send(&mut connection, producer * KEYS + self.random.below(u64::from(KEYS)) as u32).await?;
            rt::sleep(Duration::from_millis(self.random.below(1500))).await;
        }
        Ok(())
    }

    async fn send(&self, connection: &mut Connection, key: u32) -> io::Result<()> {
        let id = self.ledger.lock().send(key);
        let message = SendMessage {
            producer_group: "producers",
            topic: TOPIC,
            default_topic: "TBW102",
            default_topic_queue_nums: QUEUES as i32,
            queue_id: (key % QUEUES) as i32,
            sys_flag: 0,
            born_timestamp: self.host.clock.now().0,
            flag: 0,
            properties: Some(""),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
            broker_name: None,
        };
        let body = format!("{} {}", id.0, id.1);
        let write = |fields: &mut wire::remoting::FrameWriter<'_>| message.write_short(fields);
        let answer = connection.ask(RequestCode::SEND_MESSAGE_V2, write, body.as_bytes()).await?;
        let place = (answer.number("queueId"), answer.number("queueOffset"));
        match (answer.code, place) {
            (ResponseCode::SUCCESS, (Some(queue), Some(offset))) => {
                self.ledger.lock().acknowledge(id, queue as u32, offset);
            }
            (code, _) => self.ledger.lock().findings.note(format_args!("{id:?}: {code:?} {}", answer.remark)),
        }
        Ok(())
    }
}
