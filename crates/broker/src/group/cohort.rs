//! Members of one group that want different things.
//!
//! Classic clients share the queues of a topic among all members of their group, and each drops what it did not subscribe
//! to: whatever the others asked for is lost. So members that want the same form a *cohort*. Each cohort shares all queues
//! among its own members, is handed only its *share* (of the tags of a topic, those that no cohort before it wants), and has
//! a position of its own, its *line*. The group's offset, which is what survives a restart, follows the line that is
//! furthest behind. When a cohort ends whose share another one wants too, that one is moved back to where the first was:
//! messages may come twice then, but each comes to somebody who asked for it.
//!
//! A cohort whose last member left and whose share nobody else wants is kept for a while, absent: its members find
//! everything when they come back.
//!
//! A pure state machine: time comes in. It exists only for groups that are divided.

use super::wants::{Interest, Wants};
use crate::TagFilter;
use model::{Group, QueueId, QueueOffset, Topic};
use rt::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// How long a cohort without members is kept.
const ABSENT_KEPT: Duration = Duration::from_secs(600);
/// A group that is of one mind again is not watched any longer for moves that nobody followed for so long.
const MOVES_KEPT: Duration = Duration::from_secs(3600);

type Place = (Topic, QueueId);

/// One cohort.
struct Cohort {
    id: u32,
    wants: Wants,
    members: BTreeSet<u64>,
    absent_since: Option<Timestamp>,
    /// What of each topic this cohort is handed.
    shares: BTreeMap<String, Interest>,
    /// Where the cohort is: what it has committed, or where it began to pull.
    lines: HashMap<Place, QueueOffset>,
    /// Where it began to pull.
    began: HashMap<Place, QueueOffset>,
    /// How far it was handed messages, or passed them.
    handed: HashMap<Place, QueueOffset>,
    /// Where its members must go on, and since when they are told.
    moves: HashMap<Place, (QueueOffset, Timestamp)>,
}

/// The cohorts of a divided group.
pub(crate) struct Cohorts {
    retry_topic: String,
    all: Vec<Cohort>,
    next_id: u32,
    /// Changes with every new division of shares; a pull that began before does not count.
    epoch: u64,
}

/// What a pull of a divided group reads.
pub(crate) struct Share {
    /// Of an ordinary topic.
    pub(crate) filter: TagFilter,
    /// Of the group's retry topic: who wants what of the topics that its messages came from.
    pub(crate) retries: Option<Retries>,
    pub(crate) epoch: u64,
}

/// Whose the messages of a retry topic are.
pub(crate) struct Retries {
    mine: u32,
    fallback: u32,
    shares: Vec<(u32, BTreeMap<String, TagFilter>)>,
}

impl Retries {
    /// Whether a message that came from this topic, with tags of this hash, is the asking cohort's.
    pub(crate) fn wants(&self, topic: &str, tag_hash: i32) -> bool {
        let wants = |shares: &BTreeMap<String, TagFilter>| shares.get(topic).is_some_and(|share| share.wants(tag_hash));
        let owner = self.shares.iter().find(|(_, shares)| wants(shares)).map_or(self.fallback, |(id, _)| *id);
        owner == self.mine
    }
}

/// What is to become of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The group's offset moves there.
    Group(QueueOffset),
    /// Only the cohort's line moved, or nothing.
    Kept,
}

/// How a cohort looks from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CohortView {
    /// Connections of its members.
    pub members: BTreeSet<u64>,
    /// What it asked for.
    pub wants: Wants,
    /// What it is handed, by topic.
    pub shares: BTreeMap<String, Interest>,
    /// Since when it has no members.
    pub absent_since: Option<Timestamp>,
}

impl Cohorts {
    /// The cohorts of a group that has been of one mind so far.
    pub(crate) fn new(group: &Group, members: &BTreeMap<u64, Wants>) -> Self {
        let mut cohorts =
            Self { retry_topic: Topic::retry_of(group).as_str().to_owned(), all: Vec::new(), next_id: 0, epoch: 0 };
        if let Some(wants) = members.values().next() {
            let same = members.iter().filter(|(_, other)| *other == wants).map(|(member, _)| *member);
            cohorts.push(wants.clone(), same.collect(), None);
        }
        cohorts.divide();
        cohorts
    }

    /// The cohorts that were kept over a restart; none has a member yet.
    pub(crate) fn restored(group: &Group, kept: &[BTreeMap<String, String>], now: Timestamp, epoch: u64) -> Self {
        let mut cohorts = Self::new(group, &BTreeMap::new());
        for topics in kept {
            cohorts.push(Wants::from_kept(topics), BTreeSet::new(), Some(now));
        }
        cohorts.epoch = epoch;
        cohorts.divide();
        cohorts
    }

    fn push(&mut self, wants: Wants, members: BTreeSet<u64>, absent_since: Option<Timestamp>) {
        self.all.push(Cohort {
            id: self.next_id,
            wants,
            members,
            absent_since,
            shares: BTreeMap::new(),
            lines: HashMap::new(),
            began: HashMap::new(),
            handed: HashMap::new(),
            moves: HashMap::new(),
        });
        self.next_id += 1;
    }

    /// Takes the group's members as they are now. True if cohorts came, went, or are handed something else.
    pub(crate) fn update(
        &mut self,
        members: &BTreeMap<u64, Wants>,
        now: Timestamp,
        epoch: u64,
        known: &dyn Fn(&Topic, QueueId) -> Option<QueueOffset>,
    ) -> bool {
        let before: Vec<(u32, bool)> = self.all.iter().map(|c| (c.id, c.absent_since.is_some())).collect();
        for cohort in &mut self.all {
            cohort.take_members(members, now);
        }
        for (member, wants) in members {
            match self.all.iter_mut().find(|cohort| cohort.wants == *wants) {
                Some(cohort) => drop(cohort.members.insert(*member)),
                None => self.push(wants.clone(), BTreeSet::from([*member]), None),
            }
        }
        let ended = self.end_cohorts(now);
        let after: Vec<(u32, bool)> = self.all.iter().map(|c| (c.id, c.absent_since.is_some())).collect();
        if before == after {
            return false;
        }
        self.epoch = epoch;
        let old: HashMap<u32, BTreeMap<String, Interest>> =
            self.all.iter().map(|cohort| (cohort.id, cohort.shares.clone())).collect();
        self.divide();
        self.move_back(&old, &ended, now, known);
        true
    }

    /// Takes out the cohorts that need not be waited for.
    fn end_cohorts(&mut self, now: Timestamp) -> Vec<Cohort> {
        let mut ended = Vec::new();
        while let Some(at) = (0..self.all.len()).find(|at| self.is_over(*at, now)) {
            ended.push(self.all.remove(at));
        }
        ended
    }

    fn is_over(&self, at: usize, now: Timestamp) -> bool {
        let cohort = &self.all[at];
        if !cohort.members.is_empty() {
            return false;
        }
        let Some(since) = cohort.absent_since else { return true };
        if now.since(since) > ABSENT_KEPT || !cohort.wants.is_shared() {
            return true;
        }
        let present = || self.all.iter().filter(|other| !other.members.is_empty() && other.wants.is_shared());
        cohort.shares.iter().all(|(topic, share)| {
            let wanted: Vec<&Interest> = present().filter_map(|other| other.wants.topics.get(topic)).collect();
            share.is_covered_by(&wanted)
        })
    }

    /// Gives each cohort its share of each topic: first those that want all of it, then those with the most tags, and what
    /// nobody who is there wants is left to those that are absent.
    fn divide(&mut self) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        let topics: BTreeSet<String> = self.all.iter().flat_map(|cohort| cohort.wants.topics.keys().cloned()).collect();
        self.all.iter_mut().for_each(|cohort| cohort.shares.clear());
        for topic in topics {
            order.sort_by_key(|at| {
                let cohort = &self.all[*at];
                let breadth = cohort.wants.topics.get(&topic).map_or(0, Interest::breadth);
                (cohort.members.is_empty(), std::cmp::Reverse(breadth), cohort.id)
            });
            let mut taken: Vec<Interest> = Vec::new();
            for at in &order {
                let cohort = &mut self.all[*at];
                let Some(wanted) = cohort.wants.topics.get(&topic) else { continue };
                let share = match cohort.wants.is_shared() {
                    true => wanted.without(&taken),
                    false => wanted.clone(),
                };
                if cohort.wants.is_shared() {
                    taken.push(wanted.clone());
                }
                cohort.shares.insert(topic.clone(), share);
            }
        }
    }

    /// Whoever is handed more than before goes back to where those were who had it.
    fn move_back(
        &mut self,
        old: &HashMap<u32, BTreeMap<String, Interest>>,
        ended: &[Cohort],
        now: Timestamp,
        known: &dyn Fn(&Topic, QueueId) -> Option<QueueOffset>,
    ) {
        let any_wider = self.all.iter().any(|cohort| {
            let old = old.get(&cohort.id);
            cohort.shares.iter().any(|(topic, share)| !share.is_covered_by(&narrower(old, topic)))
        });
        let absent: Vec<HashMap<Place, QueueOffset>> =
            self.all.iter().filter(|cohort| cohort.members.is_empty()).map(|cohort| cohort.lines.clone()).collect();
        let floor = |place: &Place| {
            let lines = ended.iter().filter_map(|cohort| cohort.lines.get(place).copied());
            let lines = lines.chain(absent.iter().filter_map(|lines| lines.get(place).copied()));
            lines.chain(known(&place.0, place.1)).min()
        };
        for cohort in self.all.iter_mut().filter(|cohort| cohort.wants.is_shared()) {
            let before = old.get(&cohort.id);
            for (place, handed) in &cohort.handed {
                let topic = place.0.as_str();
                let is_wider = match cohort.shares.get(topic) {
                    Some(share) => !share.is_covered_by(&narrower(before, topic)),
                    None => topic == self.retry_topic && any_wider,
                };
                // Where nobody was, the cohort goes back to where it began.
                let Some(floor) = floor(place).or_else(|| cohort.began.get(place).copied()) else { continue };
                if is_wider && floor < *handed {
                    cohort.moves.insert(place.clone(), (floor, now));
                    cohort.lines.insert(place.clone(), floor);
                }
            }
            let Cohort { moves, handed, .. } = cohort;
            handed.retain(|place, _| !moves.contains_key(place));
        }
    }

    fn of(&self, member: u64) -> Option<&Cohort> {
        self.all.iter().find(|cohort| cohort.members.contains(&member))
    }

    fn of_mut(&mut self, member: u64) -> Option<&mut Cohort> {
        self.all.iter_mut().find(|cohort| cohort.members.contains(&member))
    }

    /// A member's cohort, for locks; 0 for whoever is none.
    pub(crate) fn id_of(&self, member: u64) -> u32 {
        self.of(member).map_or(0, |cohort| cohort.id)
    }

    /// Whether a cohort is handed nothing of a topic: its members must let go of their queues.
    pub(crate) fn is_idle(&self, id: u32, topic: &str) -> bool {
        let cohort = self.all.iter().find(|cohort| cohort.id == id);
        cohort.is_none_or(|cohort| cohort.shares.get(topic).is_some_and(Interest::is_nothing))
    }

    /// The connections with which a member shares queues.
    pub(crate) fn peers(&self, member: u64) -> Option<&BTreeSet<u64>> {
        self.of(member).map(|cohort| &cohort.members)
    }

    /// Begins a pull at `asked`, with the group's offset `known`: where it must go instead, or what it may read. `None` if the member's pulls are its own
    /// business.
    pub(crate) fn pull(
        &mut self,
        member: u64,
        place: &Place,
        asked: QueueOffset,
        known: Option<QueueOffset>,
    ) -> Option<Result<Share, QueueOffset>> {
        let epoch = self.epoch;
        let retry_topic = self.retry_topic.clone();
        // A member may have more in hand than is committed.
        let begin = known.map_or(asked, |known| known.min(asked));
        let cohort = self.of_mut(member).filter(|cohort| cohort.wants.is_shared())?;
        if let Some((to, _)) = cohort.moves.get(place).copied() {
            if asked != to {
                return Some(Err(to));
            }
            cohort.moves.remove(place);
        }
        let topic = place.0.as_str();
        if topic == retry_topic {
            cohort.begin(place, begin);
            let retries = Some(self.retries(member));
            return Some(Ok(Share { filter: TagFilter::All, retries, epoch }));
        }
        let filter = cohort.shares.get(topic)?.filter();
        cohort.begin(place, begin);
        Some(Ok(Share { filter, retries: None, epoch }))
    }

    fn retries(&self, member: u64) -> Retries {
        let shared = || self.all.iter().filter(|cohort| cohort.wants.is_shared());
        let share = |cohort: &Cohort| cohort.shares.iter().map(|(t, share)| (t.clone(), share.filter())).collect();
        let (present, absent): (Vec<_>, Vec<_>) = shared().partition(|cohort| !cohort.members.is_empty());
        Retries {
            mine: self.id_of(member),
            fallback: present.first().map_or(0, |cohort| cohort.id),
            shares: present.iter().chain(&absent).map(|cohort| (cohort.id, share(cohort))).collect(),
        }
    }

    /// Ends a pull that goes on at `next`; false if shares changed since it began: then it was in vain.
    pub(crate) fn hand(&mut self, member: u64, place: &Place, next: QueueOffset, epoch: u64) -> bool {
        if self.epoch != epoch {
            return false;
        }
        if let Some(cohort) = self.of_mut(member) {
            let handed = cohort.handed.entry(place.clone()).or_insert(next);
            *handed = next.max(*handed);
        }
        true
    }

    /// Takes a member's commit; `known`: the group's offset.
    pub(crate) fn commit(
        &mut self,
        member: u64,
        place: &Place,
        offset: QueueOffset,
        known: Option<QueueOffset>,
    ) -> Commit {
        let retry_topic = self.retry_topic.clone();
        let topic = place.0.as_str();
        let takes = |cohort: &Cohort| {
            let share = cohort.shares.get(topic);
            cohort.wants.is_shared() && (topic == retry_topic || share.is_some_and(|share| !share.is_nothing()))
        };
        let is_read = self.all.iter().any(takes);
        let Some(cohort) = self.of_mut(member).filter(|cohort| cohort.wants.is_shared()) else { return Commit::Kept };
        if !cohort.wants.topics.contains_key(topic) && topic != retry_topic {
            return if is_read { Commit::Kept } else { Commit::Group(offset) };
        }
        if cohort.moves.contains_key(place) {
            return Commit::Kept;
        }
        let line = cohort.lines.entry(place.clone()).or_insert(offset);
        *line = offset.max(*line);
        let known = known.unwrap_or(QueueOffset(0));
        let lines = self.all.iter().filter(|cohort| takes(cohort));
        let behind = lines.map(|cohort| cohort.lines.get(place).copied().unwrap_or(known)).min();
        behind.filter(|behind| *behind > known).map_or(Commit::Kept, Commit::Group)
    }

    /// Where a member's cohort is, if it was anywhere since the group is divided.
    pub(crate) fn line(&self, member: u64, place: &Place) -> Option<QueueOffset> {
        self.of(member).filter(|cohort| cohort.wants.is_shared())?.lines.get(place).copied()
    }

    /// An operator sets the group's offset: all cohorts go there.
    pub(crate) fn reset(&mut self, place: &Place, offset: QueueOffset, now: Timestamp) {
        for cohort in self.all.iter_mut().filter(|cohort| cohort.wants.is_shared()) {
            cohort.lines.insert(place.clone(), offset);
            cohort.handed.remove(place);
            cohort.moves.insert(place.clone(), (offset, now));
        }
    }

    /// The last cohort, if the group is of one mind again and nobody is being moved.
    pub(crate) fn settled(&self, now: Timestamp) -> Option<u32> {
        match &self.all[..] {
            [] => Some(0),
            [only] if only.absent_since.is_none() => {
                let is_moving = only.moves.values().any(|(_, since)| now.since(*since) <= MOVES_KEPT);
                (!is_moving).then_some(only.id)
            }
            _ => None,
        }
    }

    /// What is kept over a restart: the wants of all cohorts while there are several.
    pub(crate) fn kept(&self) -> Vec<BTreeMap<String, String>> {
        let shared: Vec<_> = self.all.iter().filter(|cohort| cohort.wants.is_shared()).collect();
        if shared.len() < 2 { Vec::new() } else { shared.iter().map(|cohort| cohort.wants.to_kept()).collect() }
    }

    /// How they look from outside.
    pub(crate) fn view(&self) -> Vec<CohortView> {
        let view = |cohort: &Cohort| CohortView {
            members: cohort.members.clone(),
            wants: cohort.wants.clone(),
            shares: cohort.shares.clone(),
            absent_since: cohort.absent_since,
        };
        self.all.iter().map(view).collect()
    }
}

fn narrower<'a>(old: Option<&'a BTreeMap<String, Interest>>, topic: &str) -> Vec<&'a Interest> {
    old.and_then(|old| old.get(topic)).into_iter().collect()
}

impl Cohort {
    fn begin(&mut self, place: &Place, at: QueueOffset) {
        self.lines.entry(place.clone()).or_insert(at);
        self.began.entry(place.clone()).or_insert(at);
    }

    /// Keeps the members that still want the same. One that only changed its mind does not make the cohort absent: it
    /// knows what it gives up.
    fn take_members(&mut self, members: &BTreeMap<u64, Wants>, now: Timestamp) {
        let had_members = !self.members.is_empty();
        let has_left = self.members.iter().any(|member| !members.contains_key(member));
        self.members.retain(|member| members.get(member) == Some(&self.wants));
        let returns = members.values().any(|wants| *wants == self.wants);
        if returns {
            self.absent_since = None;
        } else if had_members && self.members.is_empty() {
            self.absent_since = has_left.then_some(now);
        }
    }
}

#[cfg(test)]
#[path = "cohort/tests.rs"]
mod tests;
