//! Looking at timed messages, and cancelling them, as an operator does.

use super::{Ask, mark};
use crate::Broker;
use bytes::Bytes;
use model::record::Record;
use model::{PhysicalOffset, Topic, java_hash, properties, system};
use std::sync::Arc;
use store::ReadError;
use store::timer::{Due, Pending};

/// Most messages of one page.
const PAGE_MAX: usize = 256;
/// Bytes of records from which on a page ends.
const PAGE_BYTES: usize = 4 << 20;
/// Messages that the owner is asked about together.
const WHICH_MAX: usize = 64;
/// Most records that are looked at for one key.
const KEY_RECORDS_MAX: usize = 1024;
/// Longest list of ids that a cancelling mark is found by.
const MARK_KEYS_LEN_MAX: usize = 8192;

/// Why timed messages could not be seen or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TimerError {
    /// Too many ask at once.
    #[error("more than {max} questions about timed messages wait; ask again later")]
    Busy {
        /// Most that may wait.
        max: usize,
    },
    /// The index of timed messages is full until its disk takes more.
    #[error(
        "the timed messages that were stored last are not known yet, because the index of those before cannot be \
         written; they are neither lost nor taken back, ask again later"
    )]
    Behind,
    /// Somebody else is about to end one of the messages before its time.
    #[error("the message is just being cancelled, or stored anew because its log file expires; ask again later")]
    Changing,
    /// The broker stops.
    #[error("the broker does not deliver timed messages now; ask again when it runs")]
    Stopped,
    /// The mark could not be stored.
    #[error("the change could not be stored: {0}")]
    Append(String),
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Which timed messages are meant; what is not said does not matter.
#[derive(Clone, Debug, Default)]
pub struct TimerFilter {
    /// The topic that they are for.
    pub topic: Option<String>,
    /// Their unique id, or a word of their keys.
    pub key: Option<String>,
    /// Due at this time or later, ms since the epoch.
    pub from: Option<i64>,
    /// Due before this time, ms since the epoch.
    pub until: Option<i64>,
    /// Exactly this one.
    pub only: Option<Due>,
}

/// A message that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// When it is due, and where it waits.
    pub due: Due,
    /// Its record, as it waits.
    pub record: Bytes,
}

/// Some of the messages that are meant, in order of their due times.
#[derive(Clone, Debug, Default)]
pub struct TimerPage {
    /// The messages.
    pub messages: Vec<Waiting>,
    /// Behind which to go on; none if these are the last.
    pub next: Option<Due>,
}

impl Broker {
    /// Timed messages that still wait: those behind `after`, at most `count_max` and at most a page.
    ///
    /// # Errors
    /// [`TimerError`].
    pub async fn timers(
        self: &Arc<Self>,
        filter: &TimerFilter,
        after: Option<Due>,
        count_max: usize,
    ) -> Result<TimerPage, TimerError> {
        let count_max = count_max.clamp(1, PAGE_MAX);
        let first = Due { at: filter.from.unwrap_or(i64::MIN), position: 0 };
        let after = after.map_or(first, |after| after.max(first));
        let topic = filter.topic.as_deref().map(java_hash);
        let until = filter.until.unwrap_or(i64::MAX);
        let dues = match (filter.only, &filter.key) {
            (Some(only), _) => Some(vec![only]),
            (None, Some(key)) => Some(self.dues_of_key(key.clone()).await?),
            (None, None) => None,
        };
        let found = match dues {
            Some(dues) => {
                let mut found = Vec::new();
                for dues in dues.chunks(WHICH_MAX) {
                    let dues = dues.to_vec();
                    found.extend(self.ask(|reply| Ask::Which { dues, reply }).await??);
                }
                found.retain(|pending| {
                    pending.due > after && pending.due.at < until && topic.is_none_or(|topic| pending.topic == topic)
                });
                found.sort_by_key(|pending| pending.due);
                found.truncate(count_max);
                found
            }
            None => self.pending(after, until, topic, count_max).await?,
        };
        let broker = Arc::clone(self);
        let (mut messages, next) = self.host().run_blocking(move || broker.waiting(&found, count_max)).await?;
        if let Some(topic) = &filter.topic {
            messages.retain(|waiting| property(waiting, properties::REAL_TOPIC).as_ref() == Some(topic));
        }
        Ok(TimerPage { messages, next })
    }

    /// Cancels timed messages that still wait; those that are just being delivered are not. Gives those that will never
    /// be delivered.
    ///
    /// # Errors
    /// [`TimerError`]; then none of them is cancelled, unless the broker stopped in between.
    pub async fn cancel_timers(self: &Arc<Self>, meant: Vec<Waiting>) -> Result<Vec<Waiting>, TimerError> {
        let ids: Vec<String> = meant.iter().filter_map(|waiting| property(waiting, properties::UNIQ_KEY)).collect();
        let mut keys = ids.join(" ");
        if keys.len() > MARK_KEYS_LEN_MAX {
            keys.clear();
        }
        let dues = meant.iter().map(|waiting| waiting.due).collect();
        let cancelled = self.ask(|reply| Ask::Cancel { dues, keys, reply }).await??;
        Ok(meant.into_iter().filter(|waiting| cancelled.contains(&waiting.due)).collect())
    }

    /// Pending messages behind one, before a time, of a topic if one is named.
    async fn pending(
        &self,
        mut after: Due,
        until: i64,
        topic: Option<i32>,
        count_max: usize,
    ) -> Result<Vec<Pending>, TimerError> {
        let mut found = Vec::new();
        loop {
            let count_max = count_max - found.len();
            let (more, next) = self.ask(|reply| Ask::List { after, until, topic, count_max, reply }).await?;
            let is_enough = more.len() == count_max;
            found.extend(more);
            match next.filter(|_| !is_enough) {
                Some(next) => after = next,
                None => return Ok(found),
            }
        }
    }

    async fn dues_of_key(&self, key: String) -> Result<Vec<Due>, TimerError> {
        let (store, topic) = (self.store().clone(), Topic::from_stored(system::TIMER_TOPIC));
        let find = move || store.lookup(&topic, &key, i64::MIN..=i64::MAX, KEY_RECORDS_MAX);
        let records = self.host().run_blocking(find).await?;
        let due = |bytes: &Bytes| match mark::read(&Record::parse(bytes).ok()?) {
            mark::Said::Waits(pending) => Some(pending.due),
            _ => None,
        };
        Ok(records.iter().filter_map(due).collect())
    }

    /// The records of messages, as far as a page has room, and behind which to go on.
    fn waiting(&self, found: &[Pending], count_max: usize) -> Result<(Vec<Waiting>, Option<Due>), TimerError> {
        let (mut messages, mut bytes) = (Vec::with_capacity(found.len()), 0);
        for (nth, pending) in found.iter().enumerate() {
            if bytes >= PAGE_BYTES {
                return Ok((messages, Some(found[nth - 1].due)));
            }
            match self.store().read_at(PhysicalOffset(pending.due.position)) {
                Ok(record) => {
                    bytes += record.len();
                    messages.push(Waiting { due: pending.due, record });
                }
                // Moved or lost in the meantime.
                Err(ReadError::NoRecord { .. } | ReadError::Damaged { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let next = found.last().filter(|_| found.len() == count_max);
        Ok((messages, next.map(|pending| pending.due)))
    }
}

fn property(waiting: &Waiting, name: &str) -> Option<String> {
    Record::parse(&waiting.record).ok()?.property(name).map(str::to_owned)
}
