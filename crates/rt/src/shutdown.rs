//! Telling every part of a process to finish.

use crate::watch;

/// Asks for shutdown; also when dropped.
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Tells when shutdown has been asked for. Cheap to clone.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl ShutdownTrigger {
    /// A trigger and the token it fires.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Asks every holder of the token to finish.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether shutdown has been asked for.
    #[must_use]
    pub fn is_fired(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when shutdown has been asked for.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        // A dropped trigger means the same: nobody is left to ask.
        drop(receiver.wait_for(|fired| *fired).await);
    }
}
