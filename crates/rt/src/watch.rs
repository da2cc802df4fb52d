//! A value that many watch.
//!
//! Like tokio's channel of that name, but those who wait are woken in the order in which they began to wait: tokio
//! draws that order by chance from a source that a simulation cannot seed.

use parking_lot::{RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// A look at the value. While it is held the value cannot change: do not hold it across a suspension point.
pub type Ref<'a, T> = RwLockReadGuard<'a, T>;

/// The sender is gone: the value will not change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left to change the value")]
pub struct Closed;

/// Changes the value.
pub struct Sender<T>(Arc<Shared<T>>);

/// Sees the value and learns of changes. A clone has seen what its original has.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

struct Shared<T> {
    value: RwLock<T>,
    version: AtomicU64,
    is_closed: AtomicBool,
    moved: Notify,
}

/// A watched value.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (version, is_closed) = (AtomicU64::new(0), AtomicBool::new(false));
    let shared = Arc::new(Shared { value: RwLock::new(value), version, is_closed, moved: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver { shared, seen: 0 })
}

impl<T> Sender<T> {
    /// Puts a new value in; returns the old one.
    pub fn send_replace(&self, value: T) -> T {
        let mut old = value;
        self.send_modify(|value| std::mem::swap(value, &mut old));
        old
    }

    /// Changes the value in place.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        {
            let mut value = self.0.value.write();
            change(&mut value);
            self.0.version.fetch_add(1, Ordering::Release);
        }
        self.0.moved.notify_waiters();
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.value.read()
    }

    /// A receiver that has seen the value as it is now.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: Arc::clone(&self.0), seen: self.0.version.load(Ordering::Acquire) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.moved.notify_waiters();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Receiver<T> {
    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.value.read()
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.value.read();
        self.seen = self.shared.version.load(Ordering::Acquire);
        value
    }

    /// What was sent so far counts as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.load(Ordering::Acquire);
    }

    /// Whether there is a change that was not seen.
    ///
    /// # Errors
    /// [`Closed`] if the sender is gone.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        if self.shared.is_closed.load(Ordering::Acquire) {
            return Err(Closed);
        }
        Ok(self.shared.version.load(Ordering::Acquire) != self.seen)
    }

    /// Returns when there is a change that was not seen; it counts as seen then.
    ///
    /// # Errors
    /// [`Closed`] if the sender is gone and all is seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.shared.changed(&mut self.seen).await
    }

    /// Returns the value when it is as asked for.
    ///
    /// # Errors
    /// [`Closed`] if the sender is gone before.
    pub async fn wait_for(&mut self, mut is_fitting: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        let (shared, seen) = (&*self.shared, &mut self.seen);
        loop {
            if let Some(value) = shared.fitting(seen, &mut is_fitting) {
                return Ok(value);
            }
            shared.changed(seen).await?;
        }
    }
}

impl<T> Shared<T> {
    fn fitting(&self, seen: &mut u64, is_fitting: &mut impl FnMut(&T) -> bool) -> Option<Ref<'_, T>> {
        let value = self.value.read();
        *seen = self.version.load(Ordering::Acquire);
        is_fitting(&value).then_some(value)
    }

    async fn changed(&self, seen: &mut u64) -> Result<(), Closed> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Listen first, then look, so that no change falls between.
            moved.as_mut().enable();
            let is_closed = self.is_closed.load(Ordering::Acquire);
            let version = self.version.load(Ordering::Acquire);
            if version != *seen {
                *seen = version;
                return Ok(());
            }
            if is_closed {
                return Err(Closed);
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_seen_once_and_the_end_is_told() {
        let (sender, mut receiver) = channel(1);
        assert_eq!((*receiver.borrow(), receiver.has_changed()), (1, Ok(false)));
        assert_eq!(sender.send_replace(2), 1);
        assert_eq!(receiver.has_changed(), Ok(true));
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.has_changed(), Ok(false));
        let mut late = sender.subscribe();
        let waiting = tokio::spawn(async move { late.wait_for(|value| *value > 5).await.map(|value| *value) });
        tokio::task::yield_now().await;
        sender.send_modify(|value| *value += 1);
        sender.send_modify(|value| *value += 3);
        assert_eq!(waiting.await.expect("no panic"), Ok(6));
        sender.send_replace(7);
        drop(sender);
        assert_eq!((receiver.changed().await, receiver.changed().await), (Ok(()), Err(Closed)));
        assert_eq!(receiver.wait_for(|value| *value == 0).await.map(|value| *value), Err(Closed));
    }
}
