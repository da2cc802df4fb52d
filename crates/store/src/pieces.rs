//! A queue of values in pieces of one size: it grows without moving what is in it, and clones share the full pieces. What
//! is held under a lock is therefore added to, copied and taken off without holding up others.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Values in a piece.
const PIECE_LEN: usize = 1024;

/// Values in the order in which they came; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<T> {
    last: Vec<T>,
    /// What comes before `last`.
    full: VecDeque<Arc<Vec<T>>>,
    /// Values at the start of the first piece that were taken off; fewer than are in it.
    taken: usize,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { last: Vec::new(), full: VecDeque::new(), taken: 0 }
    }
}

impl<T: Copy> Pieces<T> {
    pub(crate) fn len(&self) -> usize {
        self.full.len() * PIECE_LEN + self.last.len() - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        let at = self.taken + index;
        match self.full.get(at / PIECE_LEN) {
            Some(piece) => piece.get(at % PIECE_LEN),
            None => self.last.get(at - self.full.len() * PIECE_LEN),
        }
        .copied()
    }

    pub(crate) fn first(&self) -> Option<T> {
        self.get(0)
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.last.last().or_else(|| self.full.back()?.last()).copied()
    }

    pub(crate) fn push(&mut self, value: T) {
        self.last.push(value);
        if self.last.len() == PIECE_LEN {
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(PIECE_LEN));
            self.full.push_back(Arc::new(full));
        }
    }

    /// The values with these numbers, as far as there are so many.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = T> {
        range.map_while(|index| self.get(index))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.full.iter().flat_map(|piece| piece.iter()).chain(&self.last).skip(self.taken).copied()
    }

    /// How many values come before the first one for which `is_before` does not hold; it must hold for none behind that.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let (mut start, mut end) = (0, self.len());
        while start < end {
            let middle = start + (end - start) / 2;
            match self.get(middle).is_some_and(|value| is_before(&value)) {
                true => start = middle + 1,
                false => end = middle,
            }
        }
        start
    }

    /// Takes off the first `count` values; all, if there are not so many.
    pub(crate) fn take_first(&mut self, count: usize) {
        self.taken += count.min(self.len());
        let gone = (self.taken / PIECE_LEN).min(self.full.len());
        self.full.drain(..gone);
        self.taken -= gone * PIECE_LEN;
        self.tidy();
    }

    /// Takes off all but the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        let end = self.taken + len;
        while end < self.full.len() * PIECE_LEN {
            self.last = self.full.pop_back().map_or_else(Vec::new, Arc::unwrap_or_clone);
        }
        self.last.truncate(end - self.full.len() * PIECE_LEN);
        self.tidy();
    }

    fn tidy(&mut self) {
        if self.is_empty() {
            (self.taken, self.full) = (0, VecDeque::new());
            self.last.clear();
        }
    }

    /// Gives back memory but for room for `len` values in the piece that is not full.
    pub(crate) fn shrink_to(&mut self, len: usize) {
        self.last.shrink_to(len);
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
