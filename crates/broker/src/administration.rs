//! A lane of its own for administration: few requests at a time, and few that wait for their turn, so that what operators
//! and dashboards ask never holds up messages, heartbeats and offsets. And what they change is changed whole.

use crate::{AdminError, Broker};
use cluster::metadata::ProposeError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Administrative requests in work at a time.
const TURNS: usize = 2;
/// Most administrative requests that wait for their turn.
const WAITING_MAX: usize = 64;
/// How long one may wait for its turn.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// The lane.
pub(crate) struct Lane {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    served: AtomicU64,
    refused: AtomicU64,
}

/// What the lane does and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Requests in work.
    pub in_work: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// Requests that had their turn.
    pub served: u64,
    /// Requests refused because too many waited, or they waited too long.
    pub refused: u64,
}

/// The right to do administrative work, while it lives.
pub struct AdminTurn(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Default for Lane {
    fn default() -> Self {
        let (served, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { turns: Arc::new(Semaphore::new(TURNS)), waiting: AtomicUsize::new(0), served, refused }
    }
}

/// Leaves the waiting room even if who waits gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Broker {
    /// Waits for the turn of an administrative request.
    ///
    /// # Errors
    /// [`AdminError::Busy`] if too many wait already, or the turn does not come in time.
    pub async fn admin_turn(&self) -> Result<AdminTurn, AdminError> {
        let lane = self.admin_lane();
        let busy = || {
            lane.refused.fetch_add(1, Relaxed);
            AdminError::Busy { in_work: TURNS, waiting: lane.waiting.load(Relaxed) }
        };
        let turn = match Arc::clone(&lane.turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let before = lane.waiting.fetch_add(1, Relaxed);
                let _waiting = Waiting(&lane.waiting);
                if before >= WAITING_MAX {
                    return Err(busy());
                }
                // The semaphore is never closed.
                let turn =
                    rt::timeout(WAIT_MAX, Arc::clone(&lane.turns).acquire_owned()).await.ok().and_then(Result::ok);
                turn.ok_or_else(busy)?
            }
        };
        lane.served.fetch_add(1, Relaxed);
        Ok(AdminTurn(turn))
    }

    /// What administration does and did.
    #[must_use]
    pub fn admin_stats(&self) -> LaneStats {
        let lane = self.admin_lane();
        LaneStats {
            in_work: TURNS - lane.turns.available_permits(),
            waiting: lane.waiting.load(Relaxed),
            served: lane.served.load(Relaxed),
            refused: lane.refused.load(Relaxed),
        }
    }
}

/// Makes a change to its end even if the caller stops waiting, because its connection is closed: what is in force must not
/// differ from the metadata.
pub(crate) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, AdminError>> + Send + 'static,
) -> Result<T, AdminError> {
    rt::spawn(change).await.unwrap_or_else(|_| Err(AdminError::Metadata("the broker stops".to_owned())))
}

pub(crate) fn not_stored(error: ProposeError) -> AdminError {
    AdminError::Metadata(error.to_string())
}
