//! Tasks and waiting. All of it runs on tokio, whose time stands still and leaps in a simulation.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, as the object-safe seams return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running task; dropping it lets the task go on.
pub type TaskHandle<T> = tokio::task::JoinHandle<T>;

/// The time that [`timeout`] gave was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within the time given")]
pub struct Elapsed;

/// Runs a future as a task of its own.
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> TaskHandle<T> {
    crate::sim::scope::spawn(task)
}

/// Runs work that blocks (cold reads, DNS) away from the tasks. In a simulation it is a task like the others.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
    if crate::sim::is_running() {
        return spawn(async move {
            tokio::task::yield_now().await;
            work()
        });
    }
    tokio::task::spawn_blocking(work)
}

/// The threads that run the tasks, as a stage reaches them from its own.
pub struct TaskThreads(Option<tokio::runtime::Handle>);

impl TaskThreads {
    /// Those of the caller; none if it runs outside tasks.
    #[must_use]
    pub fn current() -> Self {
        Self(tokio::runtime::Handle::try_current().ok())
    }

    /// Runs work that does not block on one of the threads: here and now if this is one of them, or if there are none. Work
    /// that wakes many tasks wakes them there for the price of one.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Some(_) if crate::sim::is_running() => drop(spawn(async move { work() })),
            Some(threads) if tokio::runtime::Handle::try_current().is_err() => {
                drop(threads.spawn(async move { work() }));
            }
            _ => work(),
        }
    }
}

/// Waits.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for a future, but not longer than `duration`.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::time::timeout(duration, future).await.map_err(|_| Elapsed)
}
