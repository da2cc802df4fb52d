//! Batches on their way from the disk to the log.
//!
//! What is due stands in a line, in the order of its times, until it is read and handed to the log. Reads of messages
//! that lie far back in the log may take long; other messages need not wait for them: a batch goes to the log as soon as
//! it is read, unless one before it that is not read yet has a message of the same topic. So messages of a topic go in
//! the order of their times. A pure state machine: time and what was read come in.

use super::deliver::{BATCH_MESSAGES_MAX, Batch};
use super::mark::Ending;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;
use store::timer::Pending;

/// Messages in the line; what is due beyond that stays in the index.
const LINE_MESSAGES_MAX: usize = 1 << 16;
/// Messages far back in the log that are read together: few, so that one slow read holds up few.
const FAR_MESSAGES_MAX: usize = 128;
/// Batches of messages near the end of the log that are being read.
const NEAR_READS_MAX: usize = 4;
/// The same for those far back.
const FAR_READS_MAX: usize = 6;
/// Batches of either kind that are being read, or read and not in the log. Only one that must go before them may be read
/// beyond that: it frees them.
const IN_HAND_MAX: usize = 12;

/// Where a message lies: near the end of the log, in memory, or where the disk must be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Near,
    Far,
}

/// A batch to be read.
pub(super) struct ToRead {
    pub(super) number: u64,
    pub(super) messages: Vec<Pending>,
    pub(super) ending: Ending,
}

#[derive(Default)]
pub(super) struct Reads {
    line: VecDeque<Read>,
    messages: usize,
    /// Of topics that have messages far back in the line: how many batches have some.
    far_topics: HashMap<i32, usize>,
    numbers: u64,
}

struct Read {
    number: u64,
    messages: Vec<Pending>,
    /// Sorted; empty if the order does not matter.
    topics: Vec<i32>,
    place: Place,
    ending: Ending,
    state: State,
}

enum State {
    /// Not before a time.
    Waits(Duration),
    Reading,
    Done(Box<Batch>),
}

impl Reads {
    pub(super) fn has_room(&self) -> bool {
        self.messages < LINE_MESSAGES_MAX
    }

    /// Whether messages may be moved now: they are far back always.
    pub(super) fn may_move(&self) -> bool {
        self.reading(Place::Far) < FAR_READS_MAX
    }

    /// Messages that are due, behind all others.
    pub(super) fn add(&mut self, due: Vec<Pending>, place: impl Fn(&Pending) -> Place) {
        let mut far: HashSet<i32> = HashSet::new();
        let is_far = |pending: &Pending| {
            // A message waits where the earlier ones of its topic wait.
            let is_behind = self.far_topics.contains_key(&pending.topic) || far.contains(&pending.topic);
            let is_far = is_behind || place(pending) == Place::Far;
            if is_far {
                far.insert(pending.topic);
            }
            is_far
        };
        let (far, near): (Vec<Pending>, Vec<Pending>) = due.into_iter().partition(is_far);
        for (messages, place, count_max) in
            [(near, Place::Near, BATCH_MESSAGES_MAX), (far, Place::Far, FAR_MESSAGES_MAX)]
        {
            for messages in messages.chunks(count_max) {
                let read = self.read(messages.to_vec(), place, Ending::Delivered, Duration::ZERO);
                self.line.push_back(read);
            }
        }
    }

    /// Messages to be stored anew; their order does not matter.
    pub(super) fn add_moved(&mut self, messages: Vec<Pending>) {
        let read = self.read(messages, Place::Far, Ending::Moved, Duration::ZERO);
        self.line.push_back(read);
    }

    /// Due messages that did not get into the log: they are read again at a time, before all that is due later.
    pub(super) fn again(&mut self, messages: Vec<Pending>, not_before: Duration) {
        let Some(first) = messages.first().map(|pending| pending.due) else { return };
        let read = self.read(messages, Place::Far, Ending::Delivered, not_before);
        let is_after = |other: &Pending| other.due > first && read.topics.binary_search(&other.topic).is_ok();
        let at = self.line.iter().position(|other| other.messages.iter().any(is_after));
        self.line.insert(at.unwrap_or(self.line.len()), read);
    }

    fn read(&mut self, messages: Vec<Pending>, place: Place, ending: Ending, not_before: Duration) -> Read {
        let mut topics = Vec::new();
        if ending == Ending::Delivered {
            topics = messages.iter().map(|pending| pending.topic).collect();
            topics.sort_unstable();
            topics.dedup();
        }
        if place == Place::Far {
            topics.iter().for_each(|topic| *self.far_topics.entry(*topic).or_default() += 1);
        }
        self.messages += messages.len();
        self.numbers += 1;
        Read { number: self.numbers, messages, topics, place, ending, state: State::Waits(not_before) }
    }

    fn reading(&self, place: Place) -> usize {
        let is_read = |read: &&Read| read.place == place && matches!(read.state, State::Reading);
        self.line.iter().filter(is_read).count()
    }

    /// The next batch to read, if there is one whose turn it is.
    pub(super) fn start(&mut self, now: Duration) -> Option<ToRead> {
        let may_read = [self.reading(Place::Near) < NEAR_READS_MAX, self.reading(Place::Far) < FAR_READS_MAX];
        // In hand, of either kind, before the one that is looked at; and topics that cannot go on yet.
        let (mut in_hand, mut stuck): ([usize; 2], HashSet<i32>) = ([0; 2], HashSet::new());
        for read in &mut self.line {
            let place = read.place as usize;
            match read.state {
                State::Waits(not_before) if not_before > now => stuck.extend(&read.topics),
                State::Waits(_) => {
                    let has_turn = may_read[place] && in_hand[place] < IN_HAND_MAX;
                    if has_turn && !read.topics.iter().any(|topic| stuck.contains(topic)) {
                        read.state = State::Reading;
                        let messages = read.messages.clone();
                        return Some(ToRead { number: read.number, messages, ending: read.ending });
                    }
                }
                State::Reading | State::Done(_) => in_hand[place] += 1,
            }
        }
        None
    }

    /// What was read. Messages that did not fit, or could not be read now, are read next, not before a time.
    pub(super) fn done(&mut self, number: u64, mut batch: Batch, rest_not_before: Duration) {
        // Given up meanwhile?
        let Some(at) = self.line.iter().position(|read| read.number == number) else { return };
        let Some(read) = self.line.remove(at) else { return };
        self.forget(&read);
        let (rest, ended) = (std::mem::take(&mut batch.rest), batch.ended.clone());
        if !rest.is_empty() {
            let rest = self.read(rest, read.place, read.ending, rest_not_before);
            self.line.insert(at, rest);
        }
        if !ended.is_empty() {
            let done = self.read(ended, read.place, read.ending, Duration::ZERO);
            self.line.insert(at, Read { state: State::Done(Box::new(batch)), ..done });
        }
    }

    /// The next batch for the log.
    pub(super) fn next(&mut self) -> Option<(Batch, Ending)> {
        let mut before: HashSet<i32> = HashSet::new();
        let mut left = self.line.iter().filter(|read| matches!(read.state, State::Done(_))).count();
        let mut at = 0;
        loop {
            if left == 0 {
                return None;
            }
            let read = self.line.get(at)?;
            let is_done = matches!(read.state, State::Done(_));
            left -= usize::from(is_done);
            if is_done && read.topics.iter().all(|topic| !before.contains(topic)) {
                break;
            }
            before.extend(&read.topics);
            at += 1;
        }
        let read = self.line.remove(at)?;
        self.forget(&read);
        match read.state {
            State::Done(batch) => Some((*batch, read.ending)),
            _ => None,
        }
    }

    /// Whether something is read and only waits for the log.
    pub(super) fn has_done(&self) -> bool {
        self.line.iter().any(|read| matches!(read.state, State::Done(_)))
    }

    /// When the first message in the line was due, in ms since the epoch.
    pub(super) fn first_at(&self) -> Option<i64> {
        self.line.iter().filter_map(|read| read.messages.first()).map(|pending| pending.due.at).min()
    }

    /// The first time after `now` at which something may be read that may not be read yet.
    pub(super) fn tries_again(&self, now: Duration) -> Option<Duration> {
        let later = self.line.iter().filter_map(|read| match read.state {
            State::Waits(not_before) if not_before > now => Some(not_before),
            _ => None,
        });
        later.min()
    }

    fn forget(&mut self, read: &Read) {
        self.messages -= read.messages.len();
        if read.place == Place::Near {
            return;
        }
        for topic in &read.topics {
            if let Some(count) = self.far_topics.get_mut(topic) {
                *count -= 1;
                if *count == 0 {
                    self.far_topics.remove(topic);
                }
            }
        }
    }

    /// Empties the line. What is being read is of no interest any more.
    pub(super) fn give_up(&mut self) -> Vec<Pending> {
        let line = std::mem::take(self);
        self.numbers = line.numbers;
        line.line.into_iter().flat_map(|read| read.messages).collect()
    }
}

#[cfg(test)]
mod tests;
