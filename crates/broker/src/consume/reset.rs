//! Resets that the members of a group have not followed yet.
//!
//! A member goes on from where it is and commits that, so a reset must be pressed: until a pull asks for the offset that
//! was set, pulls are answered with it and commits are ignored. What is pressed is kept in the metadata, so that a restart
//! of the broker does not undo a reset. While it is being stored, commits are ignored already: one that came between would
//! undo it. A pure state machine: time comes in.

use model::{Group, QueueId, QueueOffset, Topic};
use rt::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// A reset that nobody followed for so long is no longer pressed; the offset stays as it was set.
const EXPIRY: Duration = Duration::from_secs(120);

pub(crate) type Key = (Group, Topic, QueueId);

/// Resets being pressed.
#[derive(Default)]
pub(crate) struct Resets {
    pressed: HashMap<Key, (QueueOffset, Timestamp)>,
    /// Those that are being stored; a queue may be in it more than once.
    coming: Vec<Key>,
    /// Those that ended and of which the metadata does not know yet.
    ended: Vec<Key>,
}

impl Resets {
    /// Resets are about to be stored.
    pub(crate) fn begin(&mut self, keys: &[Key]) {
        self.coming.extend_from_slice(keys);
    }

    /// They are stored, or could not be.
    pub(crate) fn stored(&mut self, keys: &[Key]) {
        for key in keys {
            if let Some(at) = self.coming.iter().position(|coming| coming == key) {
                self.coming.swap_remove(at);
            }
        }
    }

    pub(crate) fn press(&mut self, key: Key, offset: QueueOffset, now: Timestamp) {
        self.pressed.insert(key, (offset, now));
    }

    /// Those that other changes have taken back, as the metadata knows, are no longer pressed.
    pub(crate) fn forget(&mut self, is_meant: impl Fn(&Key) -> bool) {
        self.pressed.retain(|key, _| !is_meant(key));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pressed.is_empty() && self.coming.is_empty()
    }

    /// Where a pull at `asked` must go on instead; none if it may go on. A pull at the offset that was set follows the
    /// reset and ends it.
    pub(crate) fn redirect(&mut self, key: &Key, asked: QueueOffset, now: Timestamp) -> Option<QueueOffset> {
        let (offset, pressed) = *self.pressed.get(key)?;
        if asked == offset || now.since(pressed) > EXPIRY {
            self.end(key);
            return None;
        }
        Some(offset)
    }

    /// Whether members still have to follow.
    pub(crate) fn is_pressed(&self, key: &Key) -> bool {
        self.pressed.contains_key(key)
    }

    /// Whether a commit is to be ignored.
    pub(crate) fn ignores_commit(&mut self, key: &Key, now: Timestamp) -> bool {
        if self.coming.contains(key) {
            return true;
        }
        let Some((_, pressed)) = self.pressed.get(key) else { return false };
        if now.since(*pressed) > EXPIRY {
            self.end(key);
            return false;
        }
        true
    }

    fn end(&mut self, key: &Key) {
        self.pressed.remove(key);
        self.ended.push(key.clone());
    }

    /// Those that ended since this was last asked, or are too old.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Vec<Key> {
        let old = self.pressed.iter().filter(|(_, (_, pressed))| now.since(*pressed) > EXPIRY);
        let old: Vec<Key> = old.map(|(key, _)| key.clone()).collect();
        old.iter().for_each(|key| self.end(key));
        // One that is pressed again since is not over; whether one that is being stored will be, is not known yet.
        let (pressed, coming) = (&self.pressed, &self.coming);
        let (later, mut ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ended).into_iter().partition(|key| coming.contains(key));
        ended.retain(|key| !pressed.contains_key(key));
        self.ended = later;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        (Group::from_stored("g"), Topic::from_stored("t"), QueueId(0))
    }

    #[test]
    fn a_reset_is_pressed_until_it_is_followed() {
        let mut resets = Resets::default();
        resets.press(key(), QueueOffset(3), Timestamp(0));
        assert_eq!(resets.redirect(&key(), QueueOffset(9), Timestamp(1)), Some(QueueOffset(3)));
        assert!(resets.ignores_commit(&key(), Timestamp(2)));
        assert_eq!(resets.take_ended(Timestamp(2)), []);
        assert_eq!(resets.redirect(&key(), QueueOffset(3), Timestamp(3)), None);
        assert!(!resets.ignores_commit(&key(), Timestamp(4)));
        assert_eq!(resets.redirect(&key(), QueueOffset(9), Timestamp(5)), None);
        assert_eq!(resets.take_ended(Timestamp(5)), [key()]);
        assert_eq!(resets.take_ended(Timestamp(5)), []);
    }

    #[test]
    fn commits_are_ignored_while_a_reset_is_being_stored() {
        let mut resets = Resets::default();
        resets.begin(&[key()]);
        resets.begin(&[key()]);
        assert!(!resets.is_empty() && resets.ignores_commit(&key(), Timestamp(0)));
        assert_eq!(resets.redirect(&key(), QueueOffset(9), Timestamp(0)), None);
        resets.stored(&[key()]);
        assert!(resets.ignores_commit(&key(), Timestamp(0)), "another one is");
        resets.stored(&[key()]);
        assert!(resets.is_empty() && !resets.ignores_commit(&key(), Timestamp(0)));
        assert_eq!(resets.take_ended(Timestamp(0)), []);
    }

    #[test]
    fn a_reset_that_ended_is_told_only_when_the_next_one_is_not_stored() {
        for is_stored in [true, false] {
            let mut resets = Resets::default();
            resets.press(key(), QueueOffset(3), Timestamp(0));
            assert_eq!(resets.redirect(&key(), QueueOffset(3), Timestamp(1)), None);
            resets.begin(&[key()]);
            assert_eq!(resets.take_ended(Timestamp(1)), [], "told now, it would end the next one");
            resets.stored(&[key()]);
            if is_stored {
                resets.press(key(), QueueOffset(1), Timestamp(2));
            }
            assert_eq!(resets.take_ended(Timestamp(2)).len(), usize::from(!is_stored));
        }
    }

    #[test]
    fn a_reset_that_nobody_follows_is_given_up() {
        let mut resets = Resets::default();
        resets.press(key(), QueueOffset(3), Timestamp(0));
        assert_eq!(resets.take_ended(Timestamp(120_000)), []);
        assert_eq!(resets.take_ended(Timestamp(120_001)), [key()]);
        assert!(resets.is_empty());
    }
}
