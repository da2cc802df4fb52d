//! Locks on queues, by which members of an orderly group keep each other off. A pure state machine: time comes in, as the
//! time since the start, because the wall clock may be set while a client believes in its lock.
//!
//! A client believes in a lock for 30 s after it was last renewed, and renews every 20 s. So a lock of a client that is
//! connected but silent is free after 60 s; one whose holder's connection is closed, or that was held before a restart of
//! the broker, a little after the holder has ceased to believe in it: no earlier, because a closed connection is no proof
//! that the client has stopped.
//!
//! Cohorts of a divided group are handed different messages, so each has locks of its own. A cohort that is handed nothing
//! of a topic must let go of its queues, and until it has, nobody else gets them.

use model::{Group, QueueId, Topic};
use std::collections::HashMap;
use std::time::Duration;

/// A lock not renewed for so long is free.
const EXPIRY: Duration = Duration::from_secs(60);
/// The same when the holder is not connected.
const EXPIRY_GONE: Duration = Duration::from_secs(32);

type Place = (Topic, QueueId);

struct Lock {
    client_id: String,
    cohort: u32,
    renewed: Duration,
    is_gone: bool,
    /// It is durable: until then, asking for it again is no mere renewal.
    is_kept: bool,
}

impl Lock {
    fn is_free(&self, now: Duration) -> bool {
        now.saturating_sub(self.renewed) > if self.is_gone { EXPIRY_GONE } else { EXPIRY }
    }
}

/// Who asks for locks.
#[derive(Clone, Copy)]
pub(crate) struct Locker<'a> {
    /// Group.
    pub(crate) group: &'a Group,
    /// The client.
    pub(crate) client_id: &'a str,
    /// Its cohort.
    pub(crate) cohort: u32,
}

/// What became of a wish for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// The client has it, and that is to be made durable.
    Taken,
    /// The client still has it.
    Renewed,
    /// Another one has it, or the client's cohort has no use for it.
    Refused,
}

/// Which client holds which queue.
#[derive(Default)]
pub(crate) struct QueueLocks(HashMap<Group, HashMap<Place, Vec<Lock>>>);

impl QueueLocks {
    /// Takes or renews the lock on a queue. `is_idle`: whether a cohort is handed nothing of the topic.
    pub(crate) fn lock(
        &mut self,
        by: Locker<'_>,
        place: &Place,
        is_idle: &dyn Fn(u32) -> bool,
        now: Duration,
    ) -> Locked {
        let locks = self.0.entry(by.group.clone()).or_default().entry(place.clone()).or_default();
        locks.retain(|lock| !lock.is_free(now));
        if is_idle(by.cohort) {
            locks.retain(|lock| lock.client_id != by.client_id);
            return Locked::Refused;
        }
        let in_the_way =
            |lock: &Lock| lock.client_id != by.client_id && (lock.cohort == by.cohort || is_idle(lock.cohort));
        if locks.iter().any(in_the_way) {
            return Locked::Refused;
        }
        match locks.iter_mut().find(|lock| lock.client_id == by.client_id) {
            Some(held) => {
                (held.cohort, held.renewed, held.is_gone) = (by.cohort, now, false);
                if held.is_kept { Locked::Renewed } else { Locked::Taken }
            }
            None => {
                let client_id = by.client_id.to_owned();
                locks.push(Lock { client_id, cohort: by.cohort, renewed: now, is_gone: false, is_kept: false });
                Locked::Taken
            }
        }
    }

    /// A lock of a client is durable, if the client still has it.
    pub(crate) fn keep(&mut self, group: &Group, place: &Place, client_id: &str) {
        let locks = self.0.get_mut(group).and_then(|locks| locks.get_mut(place)).into_iter().flatten();
        locks.filter(|lock| lock.client_id == client_id).for_each(|lock| lock.is_kept = true);
    }

    /// Whether members of a group hold queues.
    pub(crate) fn has_any(&self, group: &Group) -> bool {
        self.0.get(group).is_some_and(|places| places.values().any(|locks| !locks.is_empty()))
    }

    /// Gives a queue back; true if the client had it.
    pub(crate) fn unlock(&mut self, group: &Group, place: &Place, client_id: &str) -> bool {
        let Some(locks) = self.0.get_mut(group).and_then(|locks| locks.get_mut(place)) else { return false };
        let before = locks.len();
        locks.retain(|lock| lock.client_id != client_id);
        locks.len() < before
    }

    /// A client of a group is no longer connected.
    pub(crate) fn gone(&mut self, group: &Group, client_id: &str) {
        let locks = self.0.get_mut(group).into_iter().flat_map(HashMap::values_mut).flatten();
        locks.filter(|lock| lock.client_id == client_id).for_each(|lock| lock.is_gone = true);
    }

    /// Takes over what was held before a restart.
    pub(crate) fn restore(&mut self, group: &Group, place: &Place, client_id: &str, now: Duration) {
        let client_id = client_id.to_owned();
        let lock = Lock { client_id, cohort: 0, renewed: now, is_gone: true, is_kept: true };
        self.0.entry(group.clone()).or_default().entry(place.clone()).or_default().push(lock);
    }

    /// Forgets locks that have expired, and gives them.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<(Group, Vec<Place>)> {
        let mut freed = Vec::new();
        self.0.retain(|group, places| {
            let mut of_group = Vec::new();
            places.retain(|place, locks| {
                let before = locks.len();
                locks.retain(|lock| !lock.is_free(now));
                if locks.is_empty() && before > 0 {
                    of_group.push(place.clone());
                }
                !locks.is_empty()
            });
            if !of_group.is_empty() {
                freed.push((group.clone(), of_group));
            }
            !places.is_empty()
        });
        freed
    }

    /// Only one cohort of a group is left: its locks are the group's.
    pub(crate) fn settle(&mut self, group: &Group, cohort: u32) {
        for locks in self.0.get_mut(group).into_iter().flat_map(HashMap::values_mut) {
            locks.iter_mut().filter(|lock| lock.cohort == cohort).for_each(|lock| lock.cohort = 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table {
        locks: QueueLocks,
        group: Group,
        place: Place,
        idle: Option<u32>,
    }

    impl Table {
        fn new() -> Self {
            let place = (Topic::new("t").unwrap(), QueueId(0));
            Self { locks: QueueLocks::default(), group: Group::new("g").unwrap(), place, idle: None }
        }

        fn check(&mut self, client_id: &str, cohort: u32, at: u64, expected: Locked) {
            let idle = self.idle;
            let by = Locker { group: &self.group, client_id, cohort };
            let locked = self.locks.lock(by, &self.place, &|cohort| idle == Some(cohort), Duration::from_millis(at));
            if locked == Locked::Taken {
                self.locks.keep(&self.group, &self.place, client_id);
            }
            assert_eq!(locked, expected, "{client_id} at {at}");
        }
    }

    #[test]
    fn a_queue_has_one_holder() {
        let mut table = Table::new();
        table.check("a", 0, 0, Locked::Taken);
        table.check("b", 0, 1_000, Locked::Refused);
        table.check("a", 0, 50_000, Locked::Renewed);
        table.check("b", 0, 110_000, Locked::Refused);
        table.check("b", 0, 110_001, Locked::Taken);
        table.check("a", 0, 110_002, Locked::Refused);
        assert!(!table.locks.unlock(&table.group, &table.place, "a"));
        table.check("a", 0, 110_003, Locked::Refused);
        assert!(table.locks.unlock(&table.group, &table.place, "b"));
        table.check("a", 0, 110_004, Locked::Taken);
    }

    #[test]
    fn a_holder_that_is_not_connected_keeps_its_queue_as_long_as_it_may_believe_in_it() {
        let mut table = Table::new();
        table.check("a", 0, 0, Locked::Taken);
        table.locks.gone(&table.group, "a");
        table.check("b", 0, 32_000, Locked::Refused);
        table.check("b", 0, 32_001, Locked::Taken);
        table.locks.gone(&table.group, "b");
        table.check("b", 0, 60_000, Locked::Renewed);
        table.check("a", 0, 100_000, Locked::Refused);
        assert_eq!(
            table.locks.expire(Duration::from_millis(120_001)),
            [(table.group.clone(), vec![table.place.clone()])]
        );
    }

    #[test]
    fn what_is_not_durable_yet_is_no_renewal() {
        let mut table = Table::new();
        let by = Locker { group: &table.group, client_id: "a", cohort: 0 };
        for _ in 0..2 {
            assert_eq!(table.locks.lock(by, &table.place, &|_| false, Duration::ZERO), Locked::Taken);
        }
        table.locks.keep(&table.group, &table.place, "a");
        table.check("a", 0, 1, Locked::Renewed);
    }

    #[test]
    fn locks_of_before_a_restart_hold_until_their_holders_gave_up() {
        let mut table = Table::new();
        table.locks.restore(&table.group, &table.place, "a", Duration::from_millis(0));
        table.check("b", 0, 5_000, Locked::Refused);
        table.check("a", 0, 6_000, Locked::Renewed);
        table.check("b", 0, 40_000, Locked::Refused);
    }

    #[test]
    fn cohorts_have_locks_of_their_own_and_an_idle_one_lets_go() {
        let mut table = Table::new();
        table.check("a", 0, 0, Locked::Taken);
        table.check("b", 1, 1, Locked::Taken);
        table.idle = Some(0);
        table.check("c", 1, 2, Locked::Refused);
        table.locks.unlock(&table.group, &table.place, "b");
        table.check("c", 1, 3, Locked::Refused);
        table.check("a", 0, 4, Locked::Refused);
        table.check("c", 1, 5, Locked::Taken);
        table.locks.settle(&table.group, 1);
        table.check("d", 0, 6, Locked::Refused);
    }
}
