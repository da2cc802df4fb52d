//! The owner of timed messages: the one task that knows what is pending and ends it.
//!
//! It goes round and round: take in what is new in the timer topic, line up what is due, load a piece of what
//! is due next, answer, sleep until something happens. What is due comes first, and whatever else it does is cut into
//! pieces that take about a ms, because what is due waits meanwhile. It never waits for a message of its own topic to be
//! read: see [`Reads`]. Several batches are read at once, and several wait for the log.

mod answer;

use super::deliver::{self, BATCH_MESSAGES_MAX, Batch};
use super::look::{below_position, take_each, take_in};
use super::mark::Ending;
use super::reads::{Place, Reads, ToRead};
use super::{Ask, TimerError, add};
use crate::Broker;
use model::{PhysicalOffset, QueueOffset};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::timer::{Done, Due, Index, Pending};
use store::{AppendError, Appends, Entry, Queue, ReadError};
use tokio::sync::{mpsc, oneshot};

/// Batches whose append is under way.
const IN_FLIGHT_MAX: usize = 8;
/// Ends that the owner has not seen yet; whatever has ended then waits.
const ENDED_MAX: usize = 2 * IN_FLIGHT_MAX;
/// Records of the timer topic taken in together.
const TAKE_IN_RECORDS: usize = 1024;
/// Bytes of them.
const TAKE_IN_BYTES: u64 = 8 << 20;
/// Pause after a failure, so that a full disk is not asked in a spin.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Pause while too much waits for the log's writer already.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Longest sleep: the wall clock may be set.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What has come to its end.
enum Ended {
    /// When it was stored.
    Batch(Started, Result<i64, AppendError>),
    /// The number of what was to be read.
    Read(u64, Batch),
    Job(io::Result<Done>),
}

/// A batch whose append is under way.
struct Started {
    /// The messages that it ends.
    ended: Vec<Pending>,
    ending: Ending,
    /// How many of them have no message in it.
    lost: usize,
    reply: Option<CancelReply>,
}

type CancelReply = oneshot::Sender<Result<Vec<Due>, TimerError>>;

/// Moving messages out of the way of retention.
struct Rolling {
    below: u64,
    after: Due,
    /// This pass has seen some, so another one follows.
    found: bool,
    reply: oneshot::Sender<()>,
}

pub(super) struct Owner {
    broker: Arc<Broker>,
    queue: Arc<Queue>,
    /// Not here while it waits for the disk, or before it is opened.
    index: Option<Index>,
    asked: mpsc::Receiver<Ask>,
    /// What cannot be answered yet.
    rolling: VecDeque<Rolling>,
    reads: Reads,
    ended: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    in_flight: usize,
    /// An append failed: nothing is started until then, in time since the start.
    paused_until: Duration,
    /// Work on the index's files found them damaged.
    damage: Option<io::Error>,
}

impl Owner {
    pub(super) fn new(broker: Arc<Broker>, queue: Arc<Queue>, asked: mpsc::Receiver<Ask>) -> Self {
        let (index, rolling, reads, paused_until) = (None, VecDeque::new(), Reads::default(), Duration::ZERO);
        let ended = mpsc::channel(ENDED_MAX);
        Self { broker, queue, index, asked, rolling, reads, ended, in_flight: 0, paused_until, damage: None }
    }

    /// Never ends by itself.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.work().await;
            tracing::warn!(%error, "timed messages wait longer");
            self.settle(error.kind() == io::ErrorKind::InvalidData).await;
            rt::sleep(RETRY_PAUSE).await;
        }
    }

    /// Lets what is on its way into the log come to its end, gives up the rest, and forgets an index that is damaged.
    async fn settle(&mut self, is_damaged: bool) {
        while self.in_flight > 0 || self.index.as_ref().is_some_and(Index::is_working) {
            if let Some(ended) = self.ended.1.recv().await {
                self.end(ended);
            }
        }
        let given_up = self.reads.give_up();
        if let Some(index) = &mut self.index {
            index.put_back(&given_up);
        }
        if (self.damage.take().is_some() || is_damaged) && self.index.is_some() {
            tracing::warn!("the index of timed messages is damaged; building it anew from the log");
            if let Err(error) = self.with_index(Index::reset).await {
                tracing::warn!(%error, "the index of timed messages cannot be removed");
            }
        }
    }

    async fn work(&mut self) -> io::Result<std::convert::Infallible> {
        if self.index.is_none() {
            let store = self.broker.store().clone();
            self.index = Some(self.broker.host().run_blocking(move || store.open_timers()).await?);
        }
        self.compare_with_log().await?;
        self.know_all().await?;
        loop {
            self.take_in().await?;
            self.start_job();
            self.deliver();
            if self.index().needs_load() {
                self.with_index(Index::load).await?;
            }
            self.roll().await?;
            self.show();
            self.wait().await?;
        }
    }

    /// Before the last mark is known, nothing can be said to be pending, and nobody is answered.
    async fn know_all(&mut self) -> io::Result<()> {
        let end = self.queue.max_offset().0;
        while self.index().applied().0 < end {
            self.take_in().await?;
            self.start_job();
            self.end_what_ended()?;
            if self.index().is_full()
                && let Ok(Some(ended)) = rt::timeout(RETRY_PAUSE, self.ended.1.recv()).await
            {
                self.end(ended);
            }
        }
        Ok(())
    }

    fn index(&mut self) -> &mut Index {
        self.index.as_mut().expect("the index is here except while somebody waits for it")
    }

    /// Work on the index that may wait for the disk.
    async fn with_index<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Index) -> T + Send + 'static) -> T {
        let mut index = self.index.take().expect("the index is here except while somebody waits for it");
        let work = move || {
            let answer = work(&mut index);
            (index, answer)
        };
        let (index, answer) = self.broker.host().run_blocking(work).await;
        self.index = Some(index);
        answer
    }

    /// An index that speaks of another log than this one (part of it was lost with the power) is forgotten.
    async fn compare_with_log(&mut self) -> io::Result<()> {
        let (next, position) = self.index().applied();
        let Some(last) = next.checked_sub(1) else { return Ok(()) };
        let is_same = match last {
            _ if next > self.queue.max_offset().0 => false,
            _ if last < self.queue.min_offset().0 => true,
            _ => {
                let mut entries = Vec::new();
                let read = self.queue.entries(QueueOffset(last), 1, &mut entries);
                read.is_err() || entries.first().is_none_or(|entry| entry.physical.0 == position)
            }
        };
        if !is_same {
            tracing::warn!("the log is not the one that the index of timed messages knows; building it anew");
            self.with_index(Index::reset).await?;
        }
        Ok(())
    }

    /// Takes in what is next in the timer topic.
    async fn take_in(&mut self) -> io::Result<()> {
        let (known, position) = self.index().applied();
        let from = known.max(self.queue.min_offset().0);
        // Of what retention has taken nothing waits.
        self.index().set_applied(from, position);
        if self.index().is_full() || from >= self.queue.max_offset().0 {
            return Ok(());
        }
        let mut entries = Vec::new();
        match self.queue.entries(QueueOffset(from), TAKE_IN_RECORDS, &mut entries) {
            Ok(()) => {}
            Err(error @ ReadError::Damaged { .. }) => {
                let readable = self.queue.readable_from(QueueOffset(from)).map_err(io::Error::other)?;
                tracing::error!(from, to = readable.0, %error, "timed messages are lost in a damaged place of the log");
                self.index().set_applied(readable.0, position);
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += u64::from(entry.size);
            bytes <= TAKE_IN_BYTES
        };
        let count = entries.iter().take_while(fits).count().max(1);
        entries.truncate(count);
        let store = self.broker.store().clone();
        match entries.first() {
            Some(first) if store.is_hot(first.physical) => take_in(&store, self.index(), &entries),
            Some(_) => self.with_index(move |index| take_in(&store, index, &entries)).await,
            None => Ok(()),
        }
    }

    /// Starts work on the index's files, if there is any.
    fn start_job(&mut self) {
        if self.is_paused() {
            return;
        }
        let Some(job) = self.index().job() else { return };
        let (host, ended) = (self.broker.host().clone(), self.ended.0.clone());
        rt::spawn(async move {
            let done = host.run_blocking(move || job.run()).await;
            drop(ended.send(Ended::Job(done)).await);
        });
    }

    fn pause(&mut self, pause: Duration) {
        self.paused_until = self.paused_until.max(self.broker.host().clock.monotonic() + pause);
    }

    fn is_paused(&self) -> bool {
        self.broker.host().clock.monotonic() < self.paused_until
    }

    fn may_start(&self) -> bool {
        self.in_flight < IN_FLIGHT_MAX && !self.is_paused()
    }

    /// Lines up what is due, has it read, and hands what is read to the log.
    fn deliver(&mut self) {
        while self.may_start()
            && let Some((Batch { appends, ended, lost, .. }, ending)) = self.reads.next()
        {
            self.append(appends, Started { ended, ending, lost, reply: None });
        }
        let now = self.broker.now().0;
        while !self.is_paused() && self.reads.has_room() {
            let due = self.index().take_due(now, BATCH_MESSAGES_MAX);
            if due.is_empty() {
                break;
            }
            let store = self.broker.store();
            let is_near = |pending: &Pending| store.is_hot(PhysicalOffset(pending.due.position));
            self.reads.add(due, |pending| if is_near(pending) { Place::Near } else { Place::Far });
        }
        let now = self.broker.host().clock.monotonic();
        while let Some(to_read) = self.reads.start(now) {
            self.read(to_read);
        }
    }

    fn read(&self, ToRead { number, messages, ending }: ToRead) {
        let (broker, queue, ended) = (Arc::clone(&self.broker), Arc::clone(&self.queue), self.ended.0.clone());
        let bytes_max = self.broker.store().batch_bytes_max() / 2;
        rt::spawn(async move {
            let host = broker.host().clone();
            let read = move || deliver::batch(&broker, &queue, messages, ending, bytes_max);
            drop(ended.send(Ended::Read(number, host.run_blocking(read).await)).await);
        });
    }

    fn append(&mut self, appends: Appends, started: Started) {
        self.in_flight += 1;
        let appending = match self.broker.store().append(appends) {
            Ok(appending) => appending,
            Err(error) => return self.end(Ended::Batch(started, Err(error))),
        };
        let sender = self.ended.0.clone();
        rt::spawn(async move {
            // The first that failed speaks for all: they are one batch.
            let result = appending.await.into_iter().try_fold(0, |_, place| Ok(place?.store_timestamp));
            drop(sender.send(Ended::Batch(started, result)).await);
        });
    }

    fn end_what_ended(&mut self) -> io::Result<()> {
        while let Ok(ended) = self.ended.1.try_recv() {
            self.end(ended);
        }
        self.damage.take().map_or(Ok(()), Err)
    }

    fn end(&mut self, what: Ended) {
        match what {
            Ended::Job(Ok(done)) => {
                let unneeded = self.index().install(done);
                rt::spawn_blocking(move || drop(unneeded));
            }
            Ended::Job(Err(error)) => {
                self.index().fail();
                if error.kind() == io::ErrorKind::InvalidData {
                    self.damage = Some(error);
                    return;
                }
                tracing::warn!(%error, "the index of timed messages cannot be written; it stays in memory");
                self.pause(RETRY_PAUSE);
            }
            Ended::Read(number, mut batch) => {
                let mut not_before = Duration::ZERO;
                if let Some(error) = batch.failure.take() {
                    tracing::warn!(messages = batch.rest.len(), %error, "timed messages cannot be read now and wait longer");
                    not_before = self.broker.host().clock.monotonic() + RETRY_PAUSE;
                }
                self.reads.done(number, batch, not_before);
            }
            Ended::Batch(started, result) => {
                self.in_flight -= 1;
                match &result {
                    // They are pending until their mark is read back.
                    Ok(stored_at) => self.count(&started, *stored_at),
                    Err(error) => {
                        if matches!(error, AppendError::Busy { .. }) {
                            self.pause(BUSY_PAUSE);
                        } else {
                            tracing::warn!(messages = started.ended.len(), %error, "timed messages wait longer");
                            self.pause(RETRY_PAUSE);
                        }
                        match started.ending {
                            Ending::Delivered => self.reads.again(started.ended.clone(), self.paused_until),
                            Ending::Cancelled | Ending::Moved => self.index().put_back(&started.ended),
                        }
                    }
                }
                if let Some(reply) = started.reply {
                    let dues = started.ended.iter().map(|pending| pending.due).collect();
                    drop(reply.send(result.map(|_| dues).map_err(|error| TimerError::Append(error.to_string()))));
                }
            }
        }
    }

    fn count(&self, Started { ended, ending, lost, .. }: &Started, stored_at: i64) {
        let stats = self.broker.timer_stats();
        match ending {
            Ending::Delivered => {
                add(&stats.delivered, ended.len() - lost);
                add(&stats.lost, *lost);
                for pending in ended {
                    let late = u64::try_from(stored_at.saturating_sub(pending.due.at)).unwrap_or(0);
                    stats.lateness.record(Duration::from_millis(late));
                }
            }
            Ending::Cancelled => add(&stats.cancelled, ended.len()),
            Ending::Moved => add(&stats.moved, ended.len()),
        }
    }

    fn show(&mut self) {
        let in_line = self.reads.first_at();
        let index = self.index();
        let (pending, next) = (index.counts().values().sum(), in_line.into_iter().chain(index.next_at()).min());
        let stats = self.broker.timer_stats();
        stats.pending.store(pending, Ordering::Relaxed);
        stats.next_due_ms.store(next.unwrap_or(0), Ordering::Relaxed);
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> io::Result<()> {
        let index = self.index.as_ref().expect("the index is here except while somebody waits for it");
        let known = QueueOffset(if index.is_full() { u64::MAX } else { index.applied().0 });
        let sleep = self.sleep(index);
        tokio::select! {
            biased;
            Some(ended) = self.ended.1.recv() => self.end(ended),
            Some(ask) = self.asked.recv() => self.answer(ask).await?,
            () = self.queue.wait_beyond(known) => {}
            () = rt::sleep(sleep) => {}
        }
        self.end_what_ended()
    }

    /// How long there is nothing to do if nothing happens.
    fn sleep(&self, index: &Index) -> Duration {
        if index.needs_load() {
            return Duration::ZERO;
        }
        if self.in_flight >= IN_FLIGHT_MAX {
            // The end of a batch wakes us.
            return SLEEP_MAX;
        }
        let monotonic = self.broker.host().clock.monotonic();
        let pause = self.paused_until.saturating_sub(monotonic);
        // Between two passes something must have happened first.
        if pause.is_zero()
            && self.reads.may_move()
            && self.rolling.front().is_some_and(|rolling| rolling.after > Due::MIN)
        {
            return Duration::ZERO;
        }
        let now = self.broker.now().0;
        let until_due = |at: i64| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0));
        // What is read and has not been handed over waits for the end of a pause, or for an earlier batch, which wakes us.
        let pauses = (self.reads.has_done() && !pause.is_zero()).then_some(pause);
        let tries_again = self.reads.tries_again(monotonic).map(|at| at.saturating_sub(monotonic));
        let next_at = if self.reads.has_room() { index.next_at() } else { None };
        let due = next_at.map(|at| until_due(at).max(pause));
        [due, pauses, tries_again].into_iter().flatten().fold(SLEEP_MAX, Duration::min)
    }

    /// Goes on moving messages out of the way of retention.
    async fn roll(&mut self) -> io::Result<()> {
        let Some(rolling) = self.rolling.front() else { return Ok(()) };
        let (below, after) = (rolling.below, rolling.after);
        let (next, position) = self.index().applied();
        let knows_all = position >= below || next >= self.queue.max_offset().0;
        if !knows_all || self.is_paused() || !self.reads.may_move() {
            return Ok(());
        }
        let look = move |index: &mut Index| {
            let (last, found) = below_position(index, after, below)?;
            let taken = take_each(index, &found)?;
            io::Result::Ok((last, !found.is_empty(), taken))
        };
        let (last, is_found, found) = self.with_index(look).await?;
        if let Some(rolling) = self.rolling.front_mut() {
            rolling.found |= is_found;
            rolling.after = last.unwrap_or(Due::MIN);
            if last.is_none() && !std::mem::take(&mut rolling.found) {
                self.broker.store().keep_from(PhysicalOffset(below));
                if let Some(rolling) = self.rolling.pop_front() {
                    rolling.reply.send(()).ok();
                }
            }
        }
        if !found.is_empty() {
            self.reads.add_moved(found);
            self.deliver();
        }
        Ok(())
    }
}
