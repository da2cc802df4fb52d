//! One queue of a topic: positions of its messages in the log.

use crate::{Flush, ReadError};
use model::{PhysicalOffset, QueueId, QueueOffset, Topic};

/// Where a message of a queue lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the queue.
    pub offset: QueueOffset,
    /// Position of the record in the log.
    pub physical: PhysicalOffset,
    /// Bytes of the record.
    pub size: u32,
    /// [`model::java_hash`] of its tags; 0 if it has none.
    pub tag_hash: i32,
    /// Ms since the epoch by the broker's clock.
    pub store_timestamp: i64,
}

/// Which message a time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The first one stored at that time or later; the end of the queue if there is none.
    #[default]
    Lower,
    /// The last one stored at that time or earlier; the first of the queue if there is none.
    Upper,
}

/// One queue of a topic.
pub struct Queue {
    topic: Topic,
    id: QueueId,
}

impl Queue {
    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// The first readable offset; the end if there is none.
    #[must_use]
    pub fn min_offset(&self) -> QueueOffset {
        QueueOffset(0)
    }

    /// The first offset that readers may not see yet: the end of the queue.
    #[must_use]
    pub fn max_offset(&self) -> QueueOffset {
        QueueOffset(0)
    }

    /// Appends up to `count_max` visible entries from `from` on to `out`: none at the end of the queue, fewer before a
    /// damaged place.
    ///
    /// # Errors
    /// [`ReadError::NoOffset`] below [`Queue::min_offset`] or beyond [`Queue::max_offset`], [`ReadError::Damaged`] if
    /// the message at `from` is lost in a damaged part of the log. May block on the disk for offsets that are not
    /// [hot](crate::Store::is_hot).
    pub fn entries(&self, from: QueueOffset, count_max: usize, out: &mut Vec<Entry>) -> Result<(), ReadError> {
        let _ = (from, count_max, out);
        Ok(())
    }

    /// The first offset from `from` on whose message is not lost in a damaged part of the log.
    ///
    /// # Errors
    /// As [`Queue::entries`].
    pub fn readable_from(&self, from: QueueOffset) -> Result<QueueOffset, ReadError> {
        Ok(from)
    }

    /// The offset that a time (ms since the epoch) means.
    ///
    /// # Errors
    /// [`ReadError`] if the index cannot be read.
    pub fn offset_at(&self, timestamp: i64, boundary: Boundary) -> Result<QueueOffset, ReadError> {
        let _ = (timestamp, boundary);
        Ok(QueueOffset(0))
    }

    /// Returns when [`Queue::max_offset`] is beyond `offset`.
    pub async fn wait_beyond(&self, offset: QueueOffset) {
        let _ = offset;
        std::future::pending::<()>().await;
    }

    /// Sets when appends to this queue are done and visible; `None` for the store's option.
    pub fn set_flush(&self, flush: Option<Flush>) {
        let _ = flush;
    }

    /// Hides messages that lie before a position of the log (those of a topic that was deleted).
    pub fn hide_before(&self, position: PhysicalOffset) {
        let _ = position;
    }
}
