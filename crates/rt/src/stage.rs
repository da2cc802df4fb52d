//! Stages: loops with state of their own that may block on the disk (the log's writer, its flusher, …).
//!
//! A stage is a struct with a `step`. On the real host each has a named thread; in a simulation it is a task that is
//! stepped in an order drawn from the seed, so that the same code runs in both. A task that brings a stage work may lend it
//! its own thread instead: that saves two switches between threads, and their delay.

use crate::Random;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Steps that a task's thread is lent for; then the stage goes on on its own.
const LENT_STEPS_MAX: usize = 4;
/// After lent steps that took longer than this, the stage keeps to its own thread for [`SLOW_TIMES`] as long: for a disk that
/// is slow, tasks wait a twentieth of the time at most. Longer would let pauses of a shared processor count for too much.
const LENT_TIME_MAX: Duration = Duration::from_millis(5);
/// See [`LENT_TIME_MAX`].
const SLOW_TIMES: u32 = 20;

/// What a stage wants after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Step again at once.
    Again,
    /// Step when the signal is given.
    Wait,
    /// Step when the signal is given, or after this time.
    WaitFor(Duration),
    /// Never step again.
    Done,
}

/// A loop with state of its own.
pub trait Stage: Send + 'static {
    /// Does what there is to do without waiting for more.
    fn step(&mut self) -> Step;
}

/// Wakes one stage. Cheap to clone; signals given before the stage waits are not lost.
#[derive(Clone, Default)]
pub struct Signal(Arc<SignalState>);

#[derive(Default)]
struct SignalState {
    given: AtomicBool,
    /// A task is about to give it, see [`Signal::give_soon`].
    is_coming: AtomicBool,
    thread: Mutex<Option<Thread>>,
    resting: Mutex<Resting>,
    simulated: Notify,
}

/// A stage of the real host between its steps.
#[derive(Default)]
struct Resting {
    /// None once it is done.
    stage: Option<Box<dyn Stage>>,
    /// Until then no thread is lent to it.
    slow_until: Option<Instant>,
}

impl Resting {
    fn step(&mut self) -> Step {
        // A stage that panics does not come back.
        let Some(mut stage) = self.stage.take() else { return Step::Done };
        let step = stage.step();
        if step != Step::Done {
            self.stage = Some(stage);
        }
        step
    }

    /// Steps while there is work, but not for long; whether all of it is done.
    fn step_lent(&mut self) -> bool {
        let start = Instant::now();
        if self.slow_until.is_some_and(|until| start < until) {
            return false;
        }
        let is_idle = (0..LENT_STEPS_MAX).map(|_| self.step()).find(|step| *step != Step::Again) == Some(Step::Wait);
        let took = start.elapsed();
        self.slow_until = (took > LENT_TIME_MAX).then(|| start + took * (1 + SLOW_TIMES));
        is_idle
    }
}

impl Signal {
    /// Lets the stage step (once more, if it is stepping now).
    pub fn give(&self) {
        if self.0.given.swap(true, Ordering::AcqRel) {
            return;
        }
        match &*self.0.thread.lock() {
            Some(thread) => thread.unpark(),
            None => self.0.simulated.notify_one(),
        }
    }

    /// Has the stage step here and now, unless it is stepping or slow: then as [`Signal::give`].
    pub fn give_here(&self) {
        let Some(mut resting) = self.0.resting.try_lock() else { return self.give() };
        let is_idle = catch_unwind(AssertUnwindSafe(|| resting.step_lent())).unwrap_or_else(|_| {
            tracing::error!("a stage panicked; what it owned is lost");
            false
        });
        drop(resting);
        if !is_idle {
            self.give();
        }
    }

    /// The same once the other tasks that are ready on this thread have had their turn: what they bring is done in the same
    /// step. Without tasks on this thread, as [`Signal::give`].
    pub fn give_soon(&self) {
        if tokio::runtime::Handle::try_current().is_err() {
            return self.give();
        }
        if self.0.is_coming.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut coming = Coming { signal: self.clone(), is_lent: false };
        drop(crate::spawn(async move {
            // One turn for the tasks that are ready, one for those that the runtime then finds woken by their sockets.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            coming.is_lent = true;
            drop(coming);
        }));
    }

    fn take(&self) -> bool {
        self.0.given.swap(false, Ordering::AcqRel)
    }
}

/// A signal that is given when this is dropped: also if the task that holds it is ended.
struct Coming {
    signal: Signal,
    /// Whether this thread may be lent to the stage.
    is_lent: bool,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.signal.0.is_coming.store(false, Ordering::Release);
        if self.is_lent { self.signal.give_here() } else { self.signal.give() }
    }
}

/// A started stage.
pub struct StageHandle(Running);

enum Running {
    Thread(thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

impl StageHandle {
    /// Waits until the stage is done. In a simulation, where nothing may block, it returns at once.
    pub fn join(self) {
        match self.0 {
            Running::Thread(thread) => {
                if thread.join().is_err() {
                    tracing::error!("a stage panicked; what it owned is lost");
                }
            }
            Running::Task(task) => drop(task),
        }
    }
}

pub(crate) fn spawn_thread(name: &str, signal: Signal, stage: impl Stage) -> std::io::Result<StageHandle> {
    let resting = signal.clone();
    resting.0.resting.lock().stage = Some(Box::new(stage));
    let run = move || {
        *signal.0.thread.lock() = Some(thread::current());
        loop {
            let step = signal.0.resting.lock().step();
            match step {
                Step::Again => {}
                Step::Wait => {
                    while !signal.take() {
                        thread::park();
                    }
                }
                Step::WaitFor(time) => {
                    if !signal.take() {
                        thread::park_timeout(time);
                        signal.take();
                    }
                }
                Step::Done => return,
            }
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    // It may hold this very signal: who leaves it there never frees either.
    let thread = thread.inspect_err(|_| drop(resting.0.resting.lock().stage.take()))?;
    Ok(StageHandle(Running::Thread(thread)))
}

pub(crate) fn spawn_simulated(random: Arc<dyn Random>, signal: Signal, mut stage: impl Stage) -> StageHandle {
    /// Longest time, in simulated milliseconds, that a stage takes to get the processor.
    const DELAY_MILLIS_MAX: u64 = 4;
    let run = async move {
        loop {
            tokio::time::sleep(Duration::from_millis(random.below(DELAY_MILLIS_MAX))).await;
            match stage.step() {
                Step::Again => {}
                Step::Wait => {
                    while !signal.take() {
                        signal.0.simulated.notified().await;
                    }
                }
                Step::WaitFor(time) => {
                    if !signal.take() {
                        drop(tokio::time::timeout(time, signal.0.simulated.notified()).await);
                        signal.take();
                    }
                }
                Step::Done => return,
            }
        }
    };
    StageHandle(Running::Task(crate::spawn(run)))
}
