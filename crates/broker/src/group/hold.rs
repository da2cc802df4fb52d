//! Queues held by members of orderly groups: who has which is kept over a restart of the broker, so that no second member
//! consumes a queue while the first still believes that it is its own.

use super::locks::{Locked, Locker};
use crate::administration::not_stored;
use crate::{AdminError, Broker};
use cluster::metadata::Change;
use model::{Group, QueueId, Topic};

impl Broker {
    /// Takes or renews locks for a member; gives the queues that it has now. New ones are durable on return.
    ///
    /// # Errors
    /// [`AdminError::Metadata`]; the member then asks again, and has what it had.
    pub async fn lock_queues(
        &self,
        group: &Group,
        member: u64,
        client_id: &str,
        queues: Vec<(Topic, QueueId)>,
    ) -> Result<Vec<(Topic, QueueId)>, AdminError> {
        let member = self.groups().member_named(group.as_str(), member, client_id);
        let by = Locker { group, client_id, cohort: self.groups().cohort_of(group.as_str(), member) };
        let (now, mut taken, mut held) = (self.host().clock.monotonic(), Vec::new(), Vec::new());
        let keeping = {
            let mut locks = self.locks().lock();
            for place in queues {
                let is_idle = |cohort: u32| self.groups().is_idle(group.as_str(), cohort, place.0.as_str());
                let locked = locks.lock(by, &place, &is_idle, now);
                #[cfg(feature = "planted-bugs")]
                let locked = match self.store().has_bug(store::PlantedBug::LockShared) {
                    true => Locked::Renewed,
                    false => locked,
                };
                if locked == Locked::Taken {
                    taken.push((place.0.clone(), place.1, client_id.to_owned()));
                }
                if locked != Locked::Refused {
                    held.push(place);
                }
            }
            // Still under the lock: changes must reach the journal in the order in which they were made.
            (!taken.is_empty()).then(|| {
                let change = Change::QueueLocks { group: group.clone(), taken: taken.clone(), freed: Vec::new() };
                self.metadata().propose(change)
            })
        };
        if let Some(keeping) = keeping {
            keeping.await.map_err(not_stored)?;
            let mut locks = self.locks().lock();
            taken.into_iter().for_each(|(topic, queue, _)| locks.keep(group, &(topic, queue), client_id));
        }
        Ok(held)
    }

    /// Gives queues back: the other members may have them when they next ask.
    pub fn unlock_queues(&self, group: &Group, client_id: &str, queues: Vec<(Topic, QueueId)>) {
        let mut locks = self.locks().lock();
        let freed: Vec<_> = queues.into_iter().filter(|place| locks.unlock(group, place, client_id)).collect();
        self.forget_locks(group, freed);
    }

    /// Frees what its holders can no longer believe to have.
    pub(crate) fn expire_locks(&self) {
        let freed = {
            let mut locks = self.locks().lock();
            let freed = locks.expire(self.host().clock.monotonic());
            freed.iter().for_each(|(group, places)| self.forget_locks(group, places.clone()));
            freed
        };
        for (group, places) in freed {
            tracing::info!(%group, queues = places.len(), "queues whose holder is gone are free");
            if let Some(view) = self.groups().get(group.as_str()) {
                view.notify(&group);
            }
        }
    }

    /// To be called under the lock of the locks: changes must reach the journal in the order in which they were made.
    fn forget_locks(&self, group: &Group, freed: Vec<(Topic, QueueId)>) {
        if freed.is_empty() {
            return;
        }
        let proposal = self.metadata().propose(Change::QueueLocks { group: group.clone(), taken: Vec::new(), freed });
        rt::spawn(async move {
            // If it is not kept, the next start holds the queues for a moment longer than needed.
            drop(proposal.await);
        });
    }

    /// Takes over what the metadata kept of members and their queues.
    pub(crate) fn restore_groups(&self) {
        let (state, now, started) = (self.metadata().read(), self.steady_now(), self.host().clock.monotonic());
        for (group, kept) in &*state.divided {
            self.groups().restore(group, kept, now);
        }
        #[cfg(feature = "planted-bugs")]
        if self.store().has_bug(store::PlantedBug::LocksForgotten) {
            return;
        }
        let mut locks = self.locks().lock();
        for (group, held) in &*state.locks {
            for (place, client_id) in held {
                locks.restore(group, place, client_id, started);
            }
        }
        drop(locks);
        let mut resets = self.resets().lock();
        for (key, offset) in &*state.resets {
            resets.press(key.clone(), *offset, now);
        }
    }
}
