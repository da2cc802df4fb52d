//! A queue of values in pieces of one size: it grows without moving what is in it, and clones share the full pieces. What
//! is held under a lock is therefore added to, copied and taken off without holding up others.

use smallvec::SmallVec;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Values in a piece.
const PIECE_LEN: usize = 1024;
/// Values of a piece that need no memory of their own.
const FEW: usize = 4;

/// Values in the order in which they came; see the module. Very many queues have one, most of them with few values; what is
/// looked at for each of those stands first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Pieces<T> {
    before: Option<Box<Before<T>>>,
    last: SmallVec<[T; FEW]>,
}

/// The full pieces, at least one.
#[derive(Clone, Debug)]
struct Before<T> {
    full: VecDeque<Arc<Vec<T>>>,
    /// Values at the start of the first piece that were taken off; fewer than are in it.
    taken: usize,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { before: None, last: SmallVec::new() }
    }
}

impl<T: Copy> Clone for Pieces<T> {
    fn clone(&self) -> Self {
        Self { before: self.before.clone(), last: self.last.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.last.clone_from(&source.last);
        self.before.clone_from(&source.before);
    }
}

impl<T: Copy> Pieces<T> {
    pub(crate) fn len(&self) -> usize {
        self.before_len() + self.last.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn before_len(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.full.len() * PIECE_LEN - before.taken)
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        match &self.before {
            Some(before) if index < self.before_len() => {
                let at = before.taken + index;
                before.full[at / PIECE_LEN].get(at % PIECE_LEN)
            }
            _ => self.last.get(index - self.before_len()),
        }
        .copied()
    }

    pub(crate) fn first(&self) -> Option<T> {
        self.get(0)
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.last.last().or_else(|| self.before.as_ref()?.full.back()?.last()).copied()
    }

    pub(crate) fn push(&mut self, value: T) {
        self.last.push(value);
        if self.last.len() == PIECE_LEN {
            let full = std::mem::replace(&mut self.last, SmallVec::with_capacity(PIECE_LEN)).into_vec();
            let before = self.before.get_or_insert_with(|| Box::new(Before { full: VecDeque::new(), taken: 0 }));
            before.full.push_back(Arc::new(full));
        }
    }

    /// The values with these numbers, as far as there are so many.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = T> {
        range.map_while(|index| self.get(index))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        let before =
            self.before.iter().flat_map(|before| before.full.iter().flat_map(|piece| &**piece).skip(before.taken));
        before.chain(self.last.iter()).copied()
    }

    /// How many values come before the first one for which `is_before` does not hold; it must hold for none behind that.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        if let Some(before) = &self.before {
            let number = before.full.partition_point(|piece| piece.last().is_some_and(&is_before));
            if let Some(piece) = before.full.get(number) {
                return (number * PIECE_LEN + piece.partition_point(is_before)).saturating_sub(before.taken);
            }
        }
        self.before_len() + self.last.partition_point(is_before)
    }

    /// Takes off the first `count` values; all, if there are not so many.
    pub(crate) fn take_first(&mut self, count: usize) {
        let of_last = count.saturating_sub(self.before_len()).min(self.last.len());
        if let Some(before) = &mut self.before {
            before.taken += count - of_last;
            let gone = (before.taken / PIECE_LEN).min(before.full.len());
            before.full.drain(..gone);
            before.taken -= gone * PIECE_LEN;
            if before.full.is_empty() {
                self.before = None;
            }
        }
        self.last.drain(..of_last);
    }

    /// Takes off all but the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        while len < self.before_len() {
            let Some(before) = &mut self.before else { break };
            self.last = before.full.pop_back().map_or_else(SmallVec::new, |full| Arc::unwrap_or_clone(full).into());
            if before.full.is_empty() {
                self.last.drain(..before.taken);
                self.before = None;
            }
        }
        self.last.truncate(len - self.before_len());
    }

    /// Gives back memory that a few more values do not need.
    pub(crate) fn shrink(&mut self) {
        self.last.shrink_to_fit();
    }
}

impl<T: Copy> FromIterator<T> for Pieces<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut pieces = Self::default();
        values.into_iter().for_each(|value| pieces.push(value));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        TakeFirst(usize),
        Truncate(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3 * PIECE_LEN).prop_map(Step::Push),
            2 => (0..3 * PIECE_LEN).prop_map(Step::TakeFirst),
            1 => (0..3 * PIECE_LEN).prop_map(Step::Truncate),
        ]
    }

    fn check(pieces: &Pieces<usize>, model: &VecDeque<usize>) {
        assert_eq!(pieces.len(), model.len());
        assert_eq!(pieces.iter().collect::<VecDeque<_>>(), *model);
        assert_eq!((pieces.first(), pieces.last()), (model.front().copied(), model.back().copied()));
        let (third, two_thirds) = (model.len() / 3, model.len() * 2 / 3);
        let range = model.range(third..two_thirds).copied().collect::<Vec<_>>();
        assert_eq!(pieces.range(third..two_thirds).collect::<Vec<_>>(), range);
        assert_eq!(pieces.range(third..usize::MAX).count(), model.len() - third);
        for place in [0, third, two_thirds, model.len()] {
            assert_eq!(pieces.get(place), model.get(place).copied());
            let limit = model.get(place).copied().unwrap_or(usize::MAX);
            assert_eq!(pieces.partition_point(|value| *value < limit), place);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_are_a_queue(steps in proptest::collection::vec(step(), 1..20)) {
            let (mut pieces, mut model, mut next) = (Pieces::default(), VecDeque::new(), 0);
            for step in steps {
                let (old, old_model) = (pieces.clone(), model.clone());
                match step {
                    Step::Push(count) => {
                        (next..next + count).for_each(|value| pieces.push(value));
                        model.extend(next..next + count);
                        next += count;
                    }
                    Step::TakeFirst(count) => {
                        pieces.take_first(count);
                        model.drain(..count.min(model.len()));
                    }
                    Step::Truncate(cut) => {
                        let len = model.len().saturating_sub(cut);
                        pieces.truncate(len);
                        model.truncate(len);
                    }
                }
                check(&pieces, &model);
                check(&old, &old_model);
            }
        }
    }
}
