//! Which tasks belong to which simulated host, so that a crash can end them.

use parking_lot::Mutex;
use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinHandle};

/// List length from which finished tasks are forgotten.
const TASKS_BEFORE_SWEEP: usize = 64;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

tokio::task_local! {
    static CURRENT: Scope;
}

/// Whether this thread runs a simulation.
#[must_use]
pub fn is_running() -> bool {
    RUNNING.get()
}

/// Marks this thread as running a simulation until it is dropped.
#[cfg(feature = "testing")]
pub(super) struct Running(bool);

#[cfg(feature = "testing")]
impl Running {
    pub(super) fn enter() -> Self {
        Self(RUNNING.replace(true))
    }
}

#[cfg(feature = "testing")]
impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// The tasks of one host from one boot to its crash.
#[derive(Clone, Default)]
pub(super) struct Scope(Arc<Mutex<Tasks>>);

#[derive(Default)]
struct Tasks {
    handles: Vec<AbortHandle>,
    is_ended: bool,
    sweep_at: usize,
}

impl Scope {
    /// Runs a task in this scope, and all that it starts.
    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let handle = tokio::spawn(CURRENT.scope(self.clone(), task));
        let mut tasks = self.0.lock();
        if tasks.is_ended {
            handle.abort();
            return handle;
        }
        if tasks.handles.len() >= tasks.sweep_at {
            tasks.handles.retain(|task| !task.is_finished());
            tasks.sweep_at = tasks.handles.len() * 2 + TASKS_BEFORE_SWEEP;
        }
        tasks.handles.push(handle.abort_handle());
        handle
    }

    /// Ends every task at once: none takes another step.
    pub(super) fn end(&self) {
        let mut tasks = self.0.lock();
        tasks.is_ended = true;
        let handles = std::mem::take(&mut tasks.handles);
        drop(tasks);
        for handle in handles {
            handle.abort();
        }
    }
}

/// Starts a task in the scope of the current one, if it has any.
pub(crate) fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    match CURRENT.try_with(Clone::clone) {
        Ok(scope) => scope.spawn(task),
        Err(_) => tokio::spawn(task),
    }
}
