//! The way into the log: admission and the promise of a result.

use crate::{AppendError, Queue};
use model::record::{Draft, Place};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// When an append is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wait {
    /// As the queue says, or the store if it does not.
    #[default]
    Policy,
    /// When written.
    Written,
    /// When synced.
    Synced,
}

/// A message to be stored.
#[derive(Clone)]
pub struct Append {
    /// Its queue, from [`crate::Store::queue`]; topic and queue id of the draft must be the queue's.
    pub queue: Arc<Queue>,
    /// The message.
    pub draft: Draft,
    /// When the append is done.
    pub wait: Wait,
    /// The next message of the same call belongs to the same atomic batch: after a crash both are there or neither.
    pub joined: bool,
}

pub(crate) type Outcome = Vec<Result<Place, AppendError>>;

/// The results of one call of [`crate::Store::append`], in order, once the last of them is known.
#[must_use = "whether the messages are stored is known only when this is done"]
pub struct Appending {
    outcome: oneshot::Receiver<Outcome>,
    count: usize,
}

impl Future for Appending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let count = self.count;
        Pin::new(&mut self.outcome)
            .poll(context)
            // The stage is gone: nobody will ever answer.
            .map(|outcome| outcome.unwrap_or_else(|_| vec![Err(AppendError::Closed); count]))
    }
}
