//! Several sorted sources as one: what is in memory and in runs.

use super::run::Run;
use super::{Due, Item};
use std::collections::{BTreeMap, btree_map};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

/// What is not in a run yet.
pub(super) type Memory = BTreeMap<Due, (i32, bool)>;

/// A run and the first of its items that counts.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) run: Arc<Run>,
    pub(super) from: Due,
}

impl Live {
    /// Whether the run may say something of a message.
    pub(super) fn covers(&self, due: Due) -> bool {
        self.from <= due && due <= self.run.last
    }
}

enum Source<'a> {
    Memory(btree_map::Range<'a, Due, (i32, bool)>),
    Run { run: Arc<Run>, items: std::vec::IntoIter<Item>, next: usize },
}

impl Source<'_> {
    fn next(&mut self) -> io::Result<Option<Item>> {
        match self {
            Self::Memory(range) => Ok(range.next().map(|(&due, &(topic, is_gone))| Item { due, topic, is_gone })),
            Self::Run { run, items, next } => loop {
                if let Some(item) = items.next() {
                    return Ok(Some(item));
                }
                if *next == run.blocks() {
                    return Ok(None);
                }
                *items = run.block(*next)?.into_iter();
                *next += 1;
            },
        }
    }
}

/// What all sources together say of one message.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) due: Due,
    pub(super) topic: i32,
    /// A source says that it came.
    pub(super) came: bool,
    /// A source says that it is gone.
    pub(super) went: bool,
}

impl Seen {
    pub(super) fn is_pending(&self) -> bool {
        self.came && !self.went
    }
}

/// Sorted sources as one.
pub(super) struct Merged<'a> {
    heads: Vec<(Item, Source<'a>)>,
}

impl<'a> Merged<'a> {
    /// Everything behind `after`.
    pub(super) fn new(memories: impl IntoIterator<Item = &'a Memory>, runs: &[Live], after: Due) -> io::Result<Self> {
        let mut merged = Self { heads: Vec::new() };
        for memory in memories {
            merged.add(Source::Memory(memory.range((Bound::Excluded(after), Bound::Unbounded))), Due::MIN, after)?;
        }
        for live in runs {
            let first = live.run.block_of(live.from.max(after));
            let source = Source::Run { run: Arc::clone(&live.run), items: Vec::new().into_iter(), next: first };
            merged.add(source, live.from, after)?;
        }
        Ok(merged)
    }

    fn add(&mut self, mut source: Source<'a>, from: Due, after: Due) -> io::Result<()> {
        while let Some(item) = source.next()? {
            if item.due >= from && item.due > after {
                self.heads.push((item, source));
                break;
            }
        }
        Ok(())
    }

    /// The next message that any source knows of.
    pub(super) fn next(&mut self) -> io::Result<Option<Seen>> {
        let Some(due) = self.heads.iter().map(|(item, _)| item.due).min() else { return Ok(None) };
        let mut seen = Seen { due, topic: 0, came: false, went: false };
        let mut at = 0;
        while at < self.heads.len() {
            let (item, source) = &mut self.heads[at];
            if item.due != due {
                at += 1;
                continue;
            }
            seen.topic = item.topic;
            seen.came |= !item.is_gone;
            seen.went |= item.is_gone;
            match source.next()? {
                Some(next) => {
                    *item = next;
                    at += 1;
                }
                None => drop(self.heads.swap_remove(at)),
            }
        }
        Ok(Some(seen))
    }
}
