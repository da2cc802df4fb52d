//! Taking a timed message back by the handle that its sender was given.
//!
//! A handle is the URL-safe base64 of `v1 topic broker due-time unique-id`.

use super::when::is_level;
use super::{Ask, TimerError, mark};
use crate::Broker;
use model::record::Record;
use model::{Topic, properties, system};
use std::fmt;
use std::sync::Arc;
use store::timer::Due;

/// Records looked at for one unique id: the message, what retention made of it, and marks.
const RECORDS_MAX: usize = 64;

/// Why a message was not taken back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecallError {
    /// The handle cannot be read.
    #[error("the recall handle is not valid; use the one that the send was answered with")]
    Handle,
    /// No such topic.
    #[error("recall failed, the topic '{topic}' does not exist")]
    TopicNotFound {
        /// Its name.
        topic: String,
    },
    /// The handle is for another topic.
    #[error("recall failed, the topic does not match: the handle is for '{topic}'")]
    OtherTopic {
        /// The topic of the handle.
        topic: String,
    },
    /// The handle is for another broker.
    #[error("recall failed, the message waits at broker '{broker}'; ask that one")]
    OtherBroker {
        /// Its name.
        broker: String,
    },
    /// The message is delivered, or is just being delivered.
    #[error("recall failed, the message was due at {due} and is or will be delivered")]
    TooLate {
        /// Ms since the epoch.
        due: i64,
    },
    /// There is no such message.
    #[error("recall failed, no message with this id waits here")]
    NotFound,
    /// The owner of timed messages did not do it.
    #[error(transparent)]
    Timer(#[from] TimerError),
}

/// What names a timed message for the one who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallHandle {
    /// The topic that it is for.
    pub topic: String,
    /// The broker where it waits.
    pub broker: String,
    /// When it is due, ms since the epoch.
    pub due: i64,
    /// Its unique id.
    pub id: String,
}

/// The handle for a message as it is stored in the timer topic; `None` if it waits by a delay level or has no unique id.
pub(crate) fn handle_of(broker: &str, text: &str) -> Option<Box<str>> {
    let (mut topic, mut due, mut id) = (None, None, None);
    for (name, value) in properties::iter(text) {
        match name {
            properties::REAL_TOPIC => topic = Some(value),
            properties::TIMER_OUT_MS => due = Some(value),
            properties::UNIQ_KEY => id = Some(value),
            properties::DELAY if is_level(value) => return None,
            _ => {}
        }
    }
    Some(base64(format!("v1 {} {broker} {} {}", topic?, due?, id?).as_bytes()).into())
}

impl RecallHandle {
    /// Reads the text of a handle; `None` if it is none.
    #[must_use]
    pub fn parse(handle: &str) -> Option<Self> {
        let text = String::from_utf8(unbase64(handle)?).ok()?;
        let mut words = text.split(' ');
        let mut next = || words.next().filter(|word| !word.is_empty());
        if next()? != "v1" {
            return None;
        }
        let (topic, broker) = (next()?.to_owned(), next()?.to_owned());
        Some(Self { topic, broker, due: next()?.parse().ok()?, id: next()?.to_owned() })
    }
}

impl fmt::Display for RecallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, broker, due, id } = self;
        f.write_str(&base64(format!("v1 {topic} {broker} {due} {id}").as_bytes()))
    }
}

impl Broker {
    /// Takes a timed message back. Afterwards it is never delivered; taking back twice succeeds twice. Gives its id.
    ///
    /// # Errors
    /// [`RecallError`]; the message is then delivered, or was never here.
    pub async fn recall(self: &Arc<Self>, topic: &str, handle: &str) -> Result<String, RecallError> {
        let handle = RecallHandle::parse(handle).ok_or(RecallError::Handle)?;
        if self.topics().get(topic).is_none() {
            return Err(RecallError::TopicNotFound { topic: topic.to_owned() });
        }
        if handle.topic != topic {
            return Err(RecallError::OtherTopic { topic: handle.topic });
        }
        if handle.broker != self.options().broker_name {
            return Err(RecallError::OtherBroker { broker: handle.broker });
        }
        let mut asked = Vec::new();
        loop {
            let (dues, is_cancelled) = self.dues_of(&handle).await?;
            if dues.is_empty() {
                return Err(RecallError::NotFound);
            }
            let (meant, keys) = (dues.clone(), handle.id.clone());
            let cancelled = self.ask(|reply| Ask::Cancel { dues: meant, keys, reply }).await??;
            if is_cancelled || !cancelled.is_empty() {
                return Ok(handle.id);
            }
            // Retention may have stored the message anew since it was looked for.
            if dues == asked {
                return Err(RecallError::TooLate { due: handle.due });
            }
            asked = dues;
        }
    }

    /// Where the message of a handle waits, or waited, and whether it was cancelled.
    async fn dues_of(&self, handle: &RecallHandle) -> Result<(Vec<Due>, bool), TimerError> {
        let (store, id) = (self.store().clone(), handle.id.clone());
        let timers = Topic::from_stored(system::TIMER_TOPIC);
        let find = move || store.lookup(&timers, &id, i64::MIN..=i64::MAX, RECORDS_MAX);
        let found = self.host().run_blocking(find).await?;
        let records: Vec<Record<'_>> = found.iter().filter_map(|bytes| Record::parse(bytes).ok()).collect();
        let is_meant = |record: &&Record<'_>| {
            record.property(properties::UNIQ_KEY) == Some(handle.id.as_str())
                && record.property(properties::REAL_TOPIC) == Some(handle.topic.as_str())
        };
        let meant = records.iter().filter(is_meant);
        let dues: Vec<Due> = meant.map(|record| Due { at: handle.due, position: record.physical_offset.0 }).collect();
        let is_cancelled = records.iter().any(|record| mark::cancels(record, &dues));
        Ok((dues, is_cancelled))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let six = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(six) } else { '=' });
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | ALPHABET.iter().position(|known| *known == symbol)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_reads_back() {
        let check = |text: &str, expected: &str| {
            assert_eq!(base64(text.as_bytes()), expected);
            assert_eq!(unbase64(expected).as_deref(), Some(text.as_bytes()));
        };
        check("", "");
        check("v1 a", "djEgYQ==");
        check("v1 ab", "djEgYWI=");
        check("v1 abc", "djEgYWJj");
        check("???>>>", "Pz8_Pj4-");
        assert_eq!(unbase64("a b"), None);
    }

    #[test]
    fn handles_are_the_originals() {
        let text = "UNIQ_KEY\u{1}7F00\u{2}REAL_TOPIC\u{1}orders\u{2}TIMER_OUT_MS\u{1}1795253605001\u{2}";
        let handle = handle_of("broker-a", text).unwrap();
        assert_eq!(unbase64(&handle).unwrap(), b"v1 orders broker-a 1795253605001 7F00");
        let read = RecallHandle::parse(&handle).unwrap();
        assert_eq!((read.topic.as_str(), read.due, read.id.as_str()), ("orders", 1_795_253_605_001, "7F00"));
        assert_eq!(read.to_string(), *handle);
        for bad in ["", "djEg", "!!", "djIgYSBiIDEgYw=="] {
            assert!(RecallHandle::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(handle_of("b", "REAL_TOPIC\u{1}t\u{2}TIMER_OUT_MS\u{1}1\u{2}"), None, "without an id");
    }
}
