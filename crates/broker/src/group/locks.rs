//! Locks on queues, by which members of an orderly group keep each other off. A pure state machine: time comes in.

use model::{Group, QueueId, Topic};
use rt::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// A lock not renewed for so long is free.
const EXPIRY: Duration = Duration::from_secs(60);

struct Lock {
    client_id: String,
    renewed: Timestamp,
}

/// Which client holds which queue.
#[derive(Default)]
pub struct QueueLocks(HashMap<Group, HashMap<(Topic, QueueId), Lock>>);

impl QueueLocks {
    /// Takes or renews the lock on a queue; false if another client has it.
    pub fn lock(&mut self, group: &Group, topic: &Topic, queue: QueueId, client_id: &str, now: Timestamp) -> bool {
        let locks = self.0.entry(group.clone()).or_default();
        let lock = locks
            .entry((topic.clone(), queue))
            .or_insert_with(|| Lock { client_id: client_id.to_owned(), renewed: now });
        if lock.client_id != client_id && now.since(lock.renewed) <= EXPIRY {
            return false;
        }
        *lock = Lock { client_id: client_id.to_owned(), renewed: now };
        true
    }

    /// Gives a queue back, if the client has it.
    pub fn unlock(&mut self, group: &Group, topic: &Topic, queue: QueueId, client_id: &str) {
        let Some(locks) = self.0.get_mut(group) else { return };
        let key = (topic.clone(), queue);
        if locks.get(&key).is_some_and(|lock| lock.client_id == client_id) {
            locks.remove(&key);
        }
        if locks.is_empty() {
            self.0.remove(group);
        }
    }

    /// Forgets locks that have expired.
    pub fn expire(&mut self, now: Timestamp) {
        self.0.retain(|_, locks| {
            locks.retain(|_, lock| now.since(lock.renewed) <= EXPIRY);
            !locks.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_one_holder() {
        let (group, topic) = (Group::new("g").unwrap(), Topic::new("t").unwrap());
        let mut locks = QueueLocks::default();
        let mut check = |client: &str, at: i64, expected: bool| {
            assert_eq!(locks.lock(&group, &topic, QueueId(0), client, Timestamp(at)), expected, "{client} at {at}");
        };
        check("a", 0, true);
        check("b", 1_000, false);
        check("a", 50_000, true);
        check("b", 110_000, false);
        check("b", 110_001, true);
        check("a", 110_002, false);
        locks.unlock(&group, &topic, QueueId(0), "a");
        assert!(!locks.lock(&group, &topic, QueueId(0), "a", Timestamp(110_003)));
        locks.unlock(&group, &topic, QueueId(0), "b");
        assert!(locks.lock(&group, &topic, QueueId(0), "a", Timestamp(110_004)));
    }
}
