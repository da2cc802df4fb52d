//! Those who send, read, cancel and send back, in the same process as the broker.

use super::ledger::{Id, Ledger};
use crate::Invariant;
use broker::{BatchPart, Broker, Content, Publish, RecallError, SendBack, TimerFilter};
use model::record::Record;
use model::{QueueOffset, properties};
use parking_lot::Mutex;
use rt::Random;
use rt::sim::SeededRandom;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use store::ReadError;

/// Where messages go.
pub(super) const TOPIC: &str = "orders";
/// Who reads them.
const GROUP: &str = "billing";
/// Where they come again.
const RETRY: &str = "%RETRY%billing";
/// Longest wait, in ms.
pub(super) const DELAY_MAX_MS: u64 = 40 * 86_400_000;

/// A message that may be cancelled.
struct Target {
    id: Id,
    handle: Option<Box<str>>,
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) broker: Arc<Broker>,
    pub(super) random: SeededRandom,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    /// Sends, and now and then changes its mind.
    pub(super) async fn produce(self) {
        let mut targets: Vec<Target> = Vec::new();
        while !self.ledger.lock().findings.is_failed() {
            let burst = if self.random.below(8) == 0 { 1 + self.random.index(40) } else { 1 };
            for _ in 0..burst {
                targets.extend(self.send().await);
            }
            if self.random.below(3) == 0 && !targets.is_empty() {
                let target = targets.swap_remove(self.random.index(targets.len()));
                self.cancel(target).await;
            }
            targets.truncate(64);
            rt::sleep(Duration::from_millis(self.random.below(1500))).await;
        }
    }

    /// Most wait for a short while, some for a month.
    fn delay(&self) -> u64 {
        match self.random.below(8) {
            0 => 0,
            1..4 => self.random.below(2_000),
            4 | 5 => self.random.below(120_000),
            6 => self.random.below(86_400_000),
            _ => self.random.below(DELAY_MAX_MS),
        }
    }

    async fn send(&self) -> Option<Target> {
        let (now, delay) = (self.broker.now().0, self.delay());
        let (due, text) = match self.random.below(4) {
            0 => (now + 1000, "DELAY\u{1}1\u{2}".to_owned()),
            1 => (now + delay as i64, format!("TIMER_DELAY_MS\u{1}{delay}\u{2}")),
            _ => (now + delay as i64, format!("TIMER_DELIVER_MS\u{1}{}\u{2}", now + delay as i64)),
        };
        let id = self.ledger.lock().send(due);
        let text = format!("{text}UNIQ_KEY\u{1}id-{id}\u{2}");
        let pad = "x".repeat(self.random.index(300));
        let part = BatchPart { flag: 0, properties: Cow::Owned(text), body: format!("{id} {pad}").into_bytes().into() };
        let publish = Publish {
            topic: Cow::Borrowed(TOPIC),
            default_topic: Cow::Borrowed("TBW102"),
            default_queues: 1,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: now,
            born_host: self.broker.options().advertised,
            reconsume_times: 0,
            max_reconsume_times: None,
            content: Content::Single(part),
        };
        let receipt = self.broker.publish(publish).await.ok()?;
        self.ledger.lock().acknowledge(id);
        Some(Target { id, handle: receipt.recall_handle })
    }

    /// By the handle, or as an operator does.
    async fn cancel(&self, Target { id, handle }: Target) {
        let was = self.ledger.lock().is_asked(id);
        self.ledger.lock().cancel(id);
        let answer = match handle.filter(|_| self.random.coin()) {
            Some(handle) => match self.broker.recall(TOPIC, &handle).await {
                Ok(_) => Some(true),
                Err(RecallError::TooLate { .. } | RecallError::NotFound) => Some(false),
                Err(_) => None,
            },
            None => {
                // Its retries have the same id, and another topic.
                let filter = TimerFilter {
                    topic: Some(TOPIC.to_owned()),
                    key: Some(format!("id-{id}")),
                    ..TimerFilter::default()
                };
                match self.broker.timers(&filter, None, 8).await {
                    Ok(page) => self.broker.cancel_timers(page.messages).await.ok().map(|ended| !ended.is_empty()),
                    Err(_) => None,
                }
            }
        };
        if let Some(is_cancelled) = answer {
            self.ledger.lock().cancelled(id, is_cancelled, was);
        }
    }

    /// Reads what comes, and now and then wants it again.
    pub(super) async fn consume(self) {
        while !self.ledger.lock().findings.is_failed() {
            self.read(TOPIC).await;
            self.read(RETRY).await;
            rt::sleep(Duration::from_millis(1 + self.random.below(200))).await;
        }
    }

    async fn read(&self, topic: &str) {
        let Ok(queue) = self.broker.queue(topic, 0) else { return };
        let next = self.ledger.lock().next(topic);
        let mut entries = Vec::new();
        match queue.entries(QueueOffset(next), 64, &mut entries) {
            Ok(()) => {}
            Err(ReadError::NoOffset { min, end, .. }) => {
                let what = format!("offset {next} of {topic} is to be read; it reaches from {min} to {end}");
                return self.ledger.lock().findings.fail(Invariant::Kept, what);
            }
            // Another time, when the disk is better.
            Err(_) => return,
        }
        for entry in entries {
            let Ok(bytes) = self.broker.store().read_at(entry.physical) else { return };
            let Some((id, back)) = self.judge(topic, &bytes, entry.store_timestamp) else { return };
            self.ledger.lock().read_to(topic, entry.offset.0 + 1);
            if back {
                let ask = SendBack {
                    group: GROUP,
                    offset: entry.physical.0 as i64,
                    delay_level: 1 + i32::from(self.random.coin()),
                    max_reconsume_times: Some(16),
                };
                // Until there is an answer, both are possible.
                self.ledger.lock().send_back(id);
                if self.broker.send_back(ask).await.is_ok() {
                    self.ledger.lock().sent_back(id);
                }
            }
        }
    }

    /// Tells the ledger; gives the message, and whether to send it back.
    fn judge(&self, topic: &str, bytes: &[u8], stored_at: i64) -> Option<(Id, bool)> {
        let ledger = &mut *self.ledger.lock();
        let record = Record::parse(bytes).ok()?;
        let id = std::str::from_utf8(record.body).ok().and_then(|body| body.split(' ').next()?.parse::<Id>().ok());
        let Some(id) = id else {
            ledger.findings.fail(Invariant::Genuine, format!("a message of {topic} is none that was sent"));
            return None;
        };
        if topic == TOPIC {
            ledger.deliver(id, stored_at);
            return Some((id, self.random.below(6) == 0));
        }
        if record.property(properties::RETRY_TOPIC) != Some(TOPIC) {
            ledger.findings.fail(Invariant::Genuine, format!("message {id} came again without its topic"));
        }
        ledger.deliver_again(id);
        Some((id, false))
    }
}
