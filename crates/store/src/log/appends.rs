//! Messages on their way into the log, encoded by whoever brings them: the one writer only fills in what the log gives.

use super::entry::{self, HEADER_LEN};
use crate::keys::Digest;
use crate::{AppendError, Queue};
use model::properties::{self, Labels};
use model::record::Draft;
use std::sync::Arc;

/// Largest number of records of one atomic batch: `remaining` of the entry is 16 bits.
const BATCH_COUNT_MAX: u64 = 1 << 16;
/// Longest record: readers take its size for a signed number of 32 bits.
const RECORD_LEN_MAX: u64 = i32::MAX as u64 - HEADER_LEN as u64;
/// Bytes that a message has beside its body, usually.
const BESIDE_BODY_USUAL: usize = 320;

/// When an append is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wait {
    /// As the queue says, or the store if it does not.
    #[default]
    Policy,
    /// When written.
    Written,
    /// When synced.
    Synced,
}

/// A message to be stored.
#[derive(Clone)]
pub struct Append<'a> {
    /// Its queue, from [`crate::Store::queue`]; topic and queue id of the draft must be the queue's.
    pub queue: Arc<Queue>,
    /// The message. Its `body_crc` must be the body's: it is what readers compare with.
    pub draft: Draft<'a>,
    /// When the append is done.
    pub wait: Wait,
    /// The next message of the same call belongs to the same atomic batch: after a crash both are there or neither.
    pub joined: bool,
}

/// Messages for one call of [`crate::Store::append`], each encoded as it is added.
#[derive(Default)]
pub struct Appends {
    /// Their entries, back to back.
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// The first message that can never be stored, and how many were before it.
    flaw: Option<Box<(usize, AppendError)>>,
}

/// What is known of an encoded message.
pub(crate) struct Item {
    pub(crate) queue: Arc<Queue>,
    pub(crate) digest: Digest,
    pub(crate) record_len: u32,
    pub(crate) wait: Wait,
    pub(crate) joined: bool,
}

impl Item {
    /// Bytes in the log.
    pub(crate) fn entry_len(&self) -> usize {
        HEADER_LEN + self.record_len as usize
    }
}

impl Appends {
    /// Room for so many messages, whose bodies have so many bytes together.
    #[must_use]
    pub fn with_capacity(messages: usize, body_bytes: usize) -> Self {
        let bytes = Vec::with_capacity(body_bytes + messages * BESIDE_BODY_USUAL);
        Self { bytes, items: Vec::with_capacity(messages), flaw: None }
    }

    /// Adds a message. One that is too large has the whole call refused.
    pub fn push(&mut self, append: Append<'_>) {
        let digest = Digest::of(&append.draft.topic, &Labels::of(&append.draft.properties));
        self.add(append, digest);
    }

    /// The same for a message whose labels were read already.
    pub fn push_labelled(&mut self, append: Append<'_>, labels: &Labels<'_>) {
        debug_assert_eq!(*labels, Labels::of(&append.draft.properties));
        let digest = Digest::of(&append.draft.topic, labels);
        self.add(append, digest);
    }

    fn add(&mut self, append: Append<'_>, digest: Digest) {
        let Append { queue, draft, wait, joined } = append;
        debug_assert_eq!((&*draft.topic, draft.queue_id), (queue.topic().as_str(), queue.id()));
        let len = draft.encoded_len();
        let properties = check("properties", draft.properties.len() as u64, properties::LEN_MAX as u64);
        if let Err(error) = properties.and_then(|()| check("record", len as u64, RECORD_LEN_MAX)) {
            self.flaw.get_or_insert_with(|| Box::new((self.items.len(), error)));
            return;
        }
        entry::put_draft(&mut self.bytes, &draft);
        self.items.push(Item { queue, digest, record_len: len as u32, wait, joined });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes back all but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        let taken_back: usize = self.items.drain(count..).map(|item| item.entry_len()).sum();
        self.bytes.truncate(self.bytes.len() - taken_back);
        self.flaw.take_if(|flaw| flaw.0 >= count);
    }

    /// Whether all of them can be stored; an atomic batch has at most so many bytes.
    pub(crate) fn check(&self, batch_max: u64) -> Result<(), AppendError> {
        if let Some(flaw) = &self.flaw {
            return Err(flaw.1.clone());
        }
        let (mut batch_len, mut batch_count) = (0, 0);
        for item in &self.items {
            check("record", u64::from(item.record_len), batch_max - HEADER_LEN as u64)?;
            batch_len += item.entry_len() as u64;
            batch_count += 1;
            check("batch", batch_len, batch_max)?;
            check("number of records of the batch", batch_count, BATCH_COUNT_MAX)?;
            if !item.joined {
                (batch_len, batch_count) = (0, 0);
            }
        }
        Ok(())
    }
}

impl<'a> From<Vec<Append<'a>>> for Appends {
    fn from(messages: Vec<Append<'a>>) -> Self {
        let mut appends = Self::default();
        messages.into_iter().for_each(|append| appends.push(append));
        appends
    }
}

fn check(what: &'static str, len: u64, max: u64) -> Result<(), AppendError> {
    if len > max { Err(AppendError::TooLarge { what, len, max }) } else { Ok(()) }
}
