//! Turning a checked message into what the log appends.

use super::redirect::{Target, Wish};
use super::{BatchPart, Publish};
use crate::timed::when::When;
use crate::{Broker, PublishError};
use model::properties;
use model::record::{Draft, body_crc};
use rt::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use store::{Append, Appends, Flush, Wait};

/// What is to be appended, and room in which properties are put together.
pub(super) struct Drafts {
    pub(super) appends: Appends,
    now: Timestamp,
    /// Properties of the last message as they are stored.
    properties: String,
    /// The unique id that its client gave the last message.
    pub(super) unique_key: String,
}

impl Drafts {
    /// Room for so many messages, whose bodies have so many bytes together.
    pub(super) fn new(now: Timestamp, messages: usize, body_bytes: usize) -> Self {
        let appends = Appends::with_capacity(messages, body_bytes);
        Self { appends, now, properties: String::new(), unique_key: String::new() }
    }
}

impl Broker {
    /// What the timed message that was drafted last can be taken back by.
    pub(super) fn recall_handle(&self, drafts: &Drafts) -> Option<Box<str>> {
        crate::timed::handle_of(&self.options().broker_name, &drafts.properties)
    }

    /// Checks one message against the limits and adds its record; tells whether it waits for its time. `joined`: the next
    /// message is of the same batch.
    pub(super) fn draft(
        &self,
        send: &Publish<'_>,
        part: &BatchPart<'_>,
        target: &Target<'_>,
        joined: bool,
        drafts: &mut Drafts,
    ) -> Result<bool, PublishError> {
        let max = self.message_bytes_max();
        if part.body.len() > max {
            return Err(PublishError::BodyTooLarge { len: part.body.len(), max });
        }
        let wish = Wish::of(&part.properties);
        wish.check_supported()?;
        let when = match target.is_dead_letter {
            // A dead letter has waited enough.
            true => None,
            false => wish.asked.when(drafts.now.0, self.timer_delay_max())?,
        };
        drafts.unique_key.clear();
        drafts.unique_key.push_str(wish.labels.unique_key.unwrap_or(""));
        let text = &mut drafts.properties;
        self.put_properties(text, &part.properties, target, when);
        let max = properties::LEN_MAX - when.map_or(0, |_| properties::TIMER_ADDED_LEN_MAX);
        if text.len() > max {
            return Err(PublishError::PropertiesTooLong { len: text.len(), max });
        }
        // What waits for its time is as safe as the topic that it is meant for.
        let wait = match target.queue.flush() {
            Flush::Sync if wish.waits => Wait::Synced,
            _ => Wait::Written,
        };
        let timer_queue = when.map(|_| self.timer_queue()).transpose()?;
        let queue = timer_queue.as_ref().unwrap_or(target.queue);
        let draft = Draft {
            topic: Cow::Borrowed(queue.topic().as_str()),
            queue_id: queue.id(),
            flag: part.flag,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            born_host: send.born_host,
            store_host: self.options().advertised,
            reconsume_times: send.reconsume_times,
            prepared_transaction_offset: 0,
            body: Cow::Borrowed(&part.body),
            body_crc: body_crc(&part.body),
            properties: Cow::Borrowed(text),
        };
        drafts.appends.push_labelled(Append { queue: Arc::clone(queue), draft, wait, joined }, &wish.labels);
        Ok(when.is_some())
    }

    /// Makes `text` the properties as they are stored: the producer's, the cluster, and where and when a timed message is
    /// to go.
    fn put_properties(&self, text: &mut String, given: &str, target: &Target<'_>, when: Option<When>) {
        text.clear();
        match when {
            // A message that waits again forgets the last time.
            Some(when) => text.push_str(&properties::leaving_out(given, |name| when.forgets(name))),
            None => text.push_str(given),
        }
        properties::push(text, properties::CLUSTER, &self.options().cluster);
        if let Some(when) = when {
            properties::push(text, properties::TIMER_OUT_MS, &when.due.to_string());
            properties::push(text, properties::REAL_TOPIC, target.queue.topic().as_str());
            properties::push(text, properties::REAL_QUEUE_ID, &target.queue.id().to_string());
        }
    }
}
