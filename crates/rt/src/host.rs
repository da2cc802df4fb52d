//! The machine, real or simulated.

use crate::stage::{spawn_simulated, spawn_thread};
use crate::{Clock, Disk, Net, Random, RealClock, RealDisk, RealNet, Signal, Stage, StageHandle, SystemRandom};
use std::io;
use std::sync::Arc;

/// All that a node asks of the machine. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Connections.
    pub net: Arc<dyn Net>,
    /// Chance.
    pub random: Arc<dyn Random>,
    simulated: bool,
}

impl Host {
    /// The machine that this process runs on.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(RealClock::default()),
            disk: Arc::new(RealDisk),
            net: Arc::new(RealNet),
            random: Arc::new(SystemRandom),
            simulated: false,
        }
    }

    /// A host made of simulated parts: stages become tasks of the current (single-threaded) runtime.
    #[must_use]
    pub fn simulated(clock: Arc<dyn Clock>, disk: Arc<dyn Disk>, net: Arc<dyn Net>, random: Arc<dyn Random>) -> Self {
        Self { clock, disk, net, random, simulated: true }
    }

    /// Whether this host is simulated, so that work may not move to other threads.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Runs work that may wait for the disk where it holds up no other task.
    ///
    /// # Panics
    /// If the work does.
    pub async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if self.simulated {
            let before = self.disk.waited();
            let done = work();
            let waited = self.disk.waited().saturating_sub(before);
            if !waited.is_zero() {
                crate::sleep(waited).await;
            }
            return done;
        }
        match crate::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Starts a stage that steps whenever `signal` is given. Fails if the system has no thread left.
    pub fn spawn_stage(&self, name: &str, signal: Signal, stage: impl Stage) -> io::Result<StageHandle> {
        if self.simulated {
            Ok(spawn_simulated(Arc::clone(&self.random), signal, stage))
        } else {
            spawn_thread(name, signal, stage)
        }
    }
}
