//! Turning a checked message into what the log appends.

use super::redirect::{Target, Wish};
use super::{BatchPart, Publish};
use crate::timed::when::When;
use crate::{Broker, PublishError};
use model::properties;
use model::record::{Draft, body_crc};
use rt::Timestamp;
use std::sync::Arc;
use store::{Append, Flush, Wait};

impl Broker {
    /// What a timed message can be taken back by.
    pub(super) fn recall_handle(&self, append: &Append, target: &Target) -> Option<Box<str>> {
        if Arc::ptr_eq(&append.queue, &target.queue) {
            return None;
        }
        crate::timed::handle_of(&self.options().broker_name, &append.draft.properties)
    }

    /// Checks one message against the limits and drafts its record. `joined`: the next message is of the same batch.
    pub(super) fn draft(
        &self,
        send: &Publish<'_>,
        part: &BatchPart<'_>,
        target: &Target,
        joined: bool,
        now: Timestamp,
    ) -> Result<Append, PublishError> {
        let max = self.message_bytes_max();
        if part.body.len() > max {
            return Err(PublishError::BodyTooLarge { len: part.body.len(), max });
        }
        let wish = Wish::of(&part.properties);
        wish.check_supported()?;
        let when = match target.is_dead_letter {
            // A dead letter has waited enough.
            true => None,
            false => wish.asked.when(now.0, self.timer_delay_max())?,
        };
        let text = self.stored_properties(&part.properties, target, when);
        let max = properties::LEN_MAX - when.map_or(0, |_| properties::TIMER_ADDED_LEN_MAX);
        if text.len() > max {
            return Err(PublishError::PropertiesTooLong { len: text.len(), max });
        }
        let queue = match when {
            Some(_) => self.timer_queue()?,
            None => Arc::clone(&target.queue),
        };
        let draft = Draft {
            topic: queue.topic().clone(),
            queue_id: queue.id(),
            flag: part.flag,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            born_host: send.born_host,
            store_host: self.options().advertised,
            reconsume_times: send.reconsume_times,
            prepared_transaction_offset: 0,
            body: part.body.clone(),
            body_crc: body_crc(&part.body),
            properties: text,
        };
        // What waits for its time is as safe as the topic that it is meant for.
        let wait = match target.queue.flush() {
            Flush::Sync if wish.waits => Wait::Synced,
            _ => Wait::Written,
        };
        Ok(Append { queue, draft, wait, joined })
    }

    /// The properties as they are stored: the producer's, the cluster, and where and when a timed message is to go.
    fn stored_properties(&self, given: &str, target: &Target, when: Option<When>) -> String {
        let mut text = String::with_capacity(given.len() + self.options().cluster.len() + 64);
        match when {
            // A message that waits again forgets the last time.
            Some(when) => text.push_str(&properties::leaving_out(given, |name| when.forgets(name))),
            None => text.push_str(given),
        }
        properties::push(&mut text, properties::CLUSTER, &self.options().cluster);
        if let Some(when) = when {
            properties::push(&mut text, properties::TIMER_OUT_MS, &when.due.to_string());
            properties::push(&mut text, properties::REAL_TOPIC, target.queue.topic().as_str());
            properties::push(&mut text, properties::REAL_QUEUE_ID, &target.queue.id().to_string());
        }
        text
    }
}
