//! Stages: loops with state of their own that may block on the disk (the log's writer, its flusher, …).
//!
//! A stage is a struct with a `step`. On the real host each has a named thread; in a simulation it is a task that is
//! stepped in an order drawn from the seed, so that the same code runs in both.

use crate::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::sync::Notify;

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
    thread: parking_lot::Mutex<Option<Thread>>,
    simulated: Notify,
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

    /// Lets the stage step once the other tasks that are ready on this thread have had their turn: what they bring is
    /// done in the same step. Without tasks on this thread, at once.
    pub fn give_soon(&self) {
        if tokio::runtime::Handle::try_current().is_err() {
            return self.give();
        }
        if self.0.is_coming.swap(true, Ordering::AcqRel) {
            return;
        }
        let coming = Coming(self.clone());
        drop(crate::spawn(async move {
            // One turn for the tasks that are ready, one for those that the runtime then finds woken by their sockets.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            drop(coming);
        }));
    }

    fn take(&self) -> bool {
        self.0.given.swap(false, Ordering::AcqRel)
    }
}

/// A signal that is given when this is dropped: also if the task that holds it is ended.
struct Coming(Signal);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.0.is_coming.store(false, Ordering::Release);
        self.0.give();
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

pub(crate) fn spawn_thread(name: &str, signal: Signal, mut stage: impl Stage) -> std::io::Result<StageHandle> {
    let run = move || {
        *signal.0.thread.lock() = Some(thread::current());
        loop {
            match stage.step() {
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
    Ok(StageHandle(Running::Thread(thread::Builder::new().name(name.to_owned()).spawn(run)?)))
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
