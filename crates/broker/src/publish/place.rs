//! Turning a checked message into what the log appends.

use super::redirect::{Target, Wish};
use super::{BatchPart, Publish};
use crate::{Broker, PublishError};
use bytes::Bytes;
use model::properties;
use model::record::{Draft, body_crc};
use std::sync::Arc;
use store::{Append, Wait};

impl Broker {
    /// Checks one message against the limits and drafts its record. `joined`: the next message is of the same batch.
    pub(super) fn draft(
        &self,
        send: &Publish<'_>,
        part: &BatchPart<'_>,
        target: &Target,
        joined: bool,
    ) -> Result<Append, PublishError> {
        let max = self.options().message_bytes_max;
        if part.body.len() > max {
            return Err(PublishError::BodyTooLarge { len: part.body.len(), max });
        }
        let wish = Wish::of(&part.properties);
        wish.check_supported()?;
        // A dead letter has waited enough.
        let delay_level = wish.delay_level.filter(|_| !target.is_dead_letter);
        let text = self.stored_properties(&part.properties, target, delay_level.is_some());
        if text.len() > properties::LEN_MAX {
            return Err(PublishError::PropertiesTooLong { len: text.len(), max: properties::LEN_MAX });
        }
        let queue = match delay_level {
            Some(level) => self.delay_queue(level)?,
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
            properties: Bytes::from(text.into_bytes()),
        };
        let wait = if wish.waits { Wait::Policy } else { Wait::Written };
        Ok(Append { queue, draft, wait, joined })
    }

    /// The properties as they are stored: the producer's, the cluster, and where a delayed message is to go.
    fn stored_properties(&self, given: &str, target: &Target, is_delayed: bool) -> String {
        let mut text = String::with_capacity(given.len() + self.options().cluster.len() + 64);
        text.push_str(given);
        properties::push(&mut text, properties::CLUSTER, &self.options().cluster);
        if is_delayed {
            properties::push(&mut text, properties::REAL_TOPIC, target.queue.topic().as_str());
            properties::push(&mut text, properties::REAL_QUEUE_ID, &target.queue.id().to_string());
        }
        text
    }
}
