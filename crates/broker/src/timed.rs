//! Messages that are delivered at a time: delay levels, delays and delivery times, and retries that wait.
//!
//! Such a message is stored once, in the timer topic, with its topic, queue and due time as properties. The one
//! [owner] reads that topic, keeps the [index](store::timer) of what is pending, and delivers what is due: the
//! messages and one *mark* that names them are one atomic batch of the log, so that after any crash a message is
//! delivered and marked, or neither. Cancelling is a mark alone. All that ends a message goes through the owner: it is
//! delivered or cancelled, never both.

mod deliver;
mod find;
mod levels;
mod look;
mod mark;
mod owner;
mod reads;
mod recall;
pub(crate) mod when;

pub use find::{TimerError, TimerFilter, TimerPage, Waiting};
pub(crate) use recall::handle_of;
pub use recall::{RecallError, RecallHandle};

use crate::{Broker, PublishError};
use model::{PhysicalOffset, system};
use owner::Owner;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use store::timer::{Due, Pending};
use store::{Histogram, Queue};
use tokio::sync::{mpsc, oneshot};

/// Questions that wait for the owner; further ones are refused.
const ASKS_MAX: usize = 64;

/// Pending messages, and behind which there may be more.
type Listed = (Vec<Pending>, Option<Due>);

/// What the owner is asked. Each is short work: while the owner is at it, what is due waits.
pub(crate) enum Ask {
    /// Some pending messages behind one, up to a time, of a topic if one is named, and behind which to ask on.
    List { after: Due, until: i64, topic: Option<i32>, count_max: usize, reply: oneshot::Sender<Listed> },
    /// Which of these are pending.
    Which { dues: Vec<Due>, reply: oneshot::Sender<Result<Vec<Pending>, TimerError>> },
    /// End these before their time; which of them were ended, once that is safe.
    Cancel { dues: Vec<Due>, keys: String, reply: oneshot::Sender<Result<Vec<Due>, TimerError>> },
    /// Nothing pending may be left below a position of the log.
    Roll { below: u64, reply: oneshot::Sender<()> },
    /// Pending messages by the hash of their topic, and the next offset of the timer queue.
    Counts { reply: oneshot::Sender<(BTreeMap<i32, u64>, u64)> },
}

/// Counters of timed messages. All but the first two grow only.
#[derive(Debug, Default)]
pub struct TimerStats {
    /// Messages that wait.
    pub pending: AtomicU64,
    /// When the next one is due, in ms since the epoch; 0 if none is.
    pub next_due_ms: AtomicI64,
    /// Messages delivered.
    pub delivered: AtomicU64,
    /// Messages cancelled.
    pub cancelled: AtomicU64,
    /// Messages stored anew because retention came to where they were.
    pub moved: AtomicU64,
    /// Messages that could not be delivered: their topic is gone, or their record is damaged.
    pub lost: AtomicU64,
    /// From due to stored in the queue that consumers read.
    pub lateness: Histogram,
}

impl TimerStats {
    /// For how long the message due first has been due at a time (ms since the epoch), in ms.
    #[must_use]
    pub fn behind_ms(&self, now: i64) -> i64 {
        match self.next_due_ms.load(Ordering::Relaxed) {
            0 => 0,
            next => now.saturating_sub(next).max(0),
        }
    }
}

/// The broker's side of the owner.
pub(crate) struct Timed {
    asks: mpsc::Sender<Ask>,
    /// Taken by the owner when it starts.
    asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    pub(crate) stats: TimerStats,
}

impl Default for Timed {
    fn default() -> Self {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        Self { asks, asked: Mutex::new(Some(asked)), stats: TimerStats::default() }
    }
}

impl Broker {
    /// Counters of timed messages.
    #[must_use]
    pub fn timer_stats(&self) -> &TimerStats {
        &self.timed().stats
    }

    /// Where messages wait.
    pub(crate) fn timer_queue(&self) -> Result<Arc<Queue>, PublishError> {
        let missing = || PublishError::TopicNotFound { topic: system::TIMER_TOPIC.to_owned() };
        let topic = self.topics().get(system::TIMER_TOPIC).ok_or_else(missing)?;
        topic.queue(0).cloned().ok_or_else(missing)
    }

    /// Delivers timed messages; returns only if it cannot start. Ends when dropped.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        let asked = self.timed().asked.lock().take();
        if let (Ok(queue), Some(asked)) = (self.timer_queue(), asked) {
            let owner = Owner::new(Arc::clone(&self), Arc::clone(&queue), asked);
            tokio::join!(levels::adopt(&self, &queue), owner.run());
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, TimerError> {
        let (reply, answer) = oneshot::channel();
        self.timed().asks.try_send(ask(reply)).map_err(|_| TimerError::Busy { max: ASKS_MAX })?;
        answer.await.map_err(|_| TimerError::Stopped)
    }

    /// Makes sure that no pending message lies below a position, so that retention may have what is there.
    pub(crate) async fn roll_timers(&self, below: PhysicalOffset) -> Result<(), TimerError> {
        #[cfg(feature = "planted-bugs")]
        if self.store().has_bug(store::PlantedBug::TimersExpire) {
            self.store().keep_from(below);
            return Ok(());
        }
        self.ask(|reply| Ask::Roll { below: below.0, reply }).await
    }

    /// Pending messages by topic, and how many records of the timer topic are taken in.
    ///
    /// # Errors
    /// [`TimerError`] if there is no answer.
    pub async fn timer_counts(&self) -> Result<(BTreeMap<String, u64>, u64), TimerError> {
        let (counts, applied) = self.ask(|reply| Ask::Counts { reply }).await?;
        let mut named: BTreeMap<i32, String> = BTreeMap::new();
        for topic in self.all_topics() {
            let name = topic.config.topic.as_str();
            named.insert(model::java_hash(name), name.to_owned());
        }
        let name = |hash: i32| named.get(&hash).cloned().unwrap_or_else(|| format!("unknown topic {hash:08x}"));
        Ok((counts.into_iter().map(|(hash, count)| (name(hash), count)).collect(), applied))
    }
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
