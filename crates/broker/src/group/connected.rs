//! Who is connected, and which groups are divided. Members and cohorts change together.

use super::cohort::{CohortView, Cohorts, Commit, Share};
use super::wants::Wants;
use super::{GroupView, Heartbeat, Member, ProducerView};
use crate::ClientChannel;
use model::{Group, QueueId, QueueOffset, Topic};
use parking_lot::{Mutex, RwLock};
use rt::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A member that has not been heard of for so long is gone.
const EXPIRY: Duration = Duration::from_secs(120);

/// What decides about a change of members.
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    /// The group's offset in a queue.
    pub(crate) known: &'a dyn Fn(&Group, &Topic, QueueId) -> Option<QueueOffset>,
}

/// A group's cohorts changed.
pub(crate) struct Division {
    pub(crate) group: Group,
    /// What is to be kept over a restart.
    pub(crate) kept: Vec<BTreeMap<String, String>>,
    pub(crate) cohorts: Vec<CohortView>,
    /// The cohort that is left, if the group is of one mind again.
    pub(crate) settled: Option<u32>,
}

/// Who came, went, or changed its mind.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) groups: Vec<(Group, Arc<GroupView>)>,
    /// Clients whose connection is closed, or that are silent.
    pub(crate) gone: Vec<(Group, String)>,
    pub(crate) divisions: Vec<Division>,
}

/// Who is connected.
#[derive(Default)]
pub(crate) struct Groups {
    consumers: RwLock<HashMap<Group, Arc<GroupView>>>,
    producers: RwLock<HashMap<Group, ProducerView>>,
    /// Producers by the name that they give themselves: replies are sent to it.
    clients: RwLock<HashMap<String, Arc<dyn ClientChannel>>>,
    /// Groups whose members want different things.
    cohorts: Mutex<HashMap<Group, Cohorts>>,
    /// How many those are.
    divided: AtomicUsize,
    /// Divisions so far.
    epoch: AtomicU64,
}

impl Groups {
    pub(crate) fn get(&self, group: &str) -> Option<Arc<GroupView>> {
        self.consumers.read().get(group).cloned()
    }

    pub(crate) fn consumers(&self) -> Vec<(Group, Arc<GroupView>)> {
        let mut all: Vec<_> = self.consumers.read().iter().map(|(g, view)| (g.clone(), Arc::clone(view))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    pub(crate) fn producers(&self, group: &str) -> Option<ProducerView> {
        self.producers.read().get(group).cloned()
    }

    pub(crate) fn all_producers(&self) -> Vec<(Group, ProducerView)> {
        self.producers.read().iter().map(|(group, view)| (group.clone(), view.clone())).collect()
    }

    pub(crate) fn producer_seen(&self, group: Group, member: Member) {
        let known = self.clients.read().get(&member.client_id).map(|channel| channel.id());
        if known != Some(member.channel.id()) {
            self.clients.write().insert(member.client_id.clone(), Arc::clone(&member.channel));
        }
        self.producers.write().entry(group).or_default().insert(member.channel.id(), member);
    }

    /// The connection of a producing client.
    pub(crate) fn client(&self, client_id: &str) -> Option<Arc<dyn ClientChannel>> {
        self.clients.read().get(client_id).cloned()
    }

    /// Takes a consumer's heartbeat.
    pub(crate) fn consumer_seen(&self, beat: Heartbeat, member: Member, moment: &Moment<'_>) -> Changes {
        let mut consumers = self.consumers.write();
        let group = beat.group.clone();
        let old = consumers.get(&group);
        let mut view = old.map_or_else(|| GroupView::empty(&beat), |view| GroupView::clone(view));
        let before = view.wants();
        let changed = view.take(beat, member);
        let view = Arc::new(view);
        consumers.insert(group.clone(), Arc::clone(&view));
        if !changed {
            return Changes::default();
        }
        let divisions = self.divide(&group, &before, &view.wants(), moment).into_iter().collect();
        Changes { groups: vec![(group, view)], gone: Vec::new(), divisions }
    }

    /// Sees whether the members of a group want the same. The caller holds the lock on the members.
    fn divide(
        &self,
        group: &Group,
        before: &BTreeMap<u64, Wants>,
        after: &BTreeMap<u64, Wants>,
        moment: &Moment<'_>,
    ) -> Option<Division> {
        let mut divided = self.cohorts.lock();
        let mut wants = after.values();
        let first = wants.next();
        if !divided.contains_key(group) {
            if wants.all(|other| Some(other) == first) {
                return None;
            }
            divided.insert(group.clone(), Cohorts::new(group, before));
        }
        let cohorts = divided.get_mut(group)?;
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        let known = |topic: &Topic, queue: QueueId| (moment.known)(group, topic, queue);
        let changed = cohorts.update(after, moment.now, epoch, &known);
        let settled = cohorts.settled(moment.now);
        let division = (changed || settled.is_some()).then(|| Division {
            group: group.clone(),
            kept: cohorts.kept(),
            cohorts: cohorts.view(),
            settled,
        });
        if settled.is_some() {
            divided.remove(group);
        }
        self.divided.store(divided.len(), Ordering::Release);
        division
    }

    /// Looks again at the divided groups: cohorts that are absent for too long end.
    pub(crate) fn review(&self, moment: &Moment<'_>) -> Vec<Division> {
        if !self.is_any_divided() {
            return Vec::new();
        }
        let consumers = self.consumers.write();
        let groups: Vec<Group> = self.cohorts.lock().keys().cloned().collect();
        let wants = |group: &Group| consumers.get(group).map(|view| view.wants()).unwrap_or_default();
        groups.iter().filter_map(|group| self.divide(group, &BTreeMap::new(), &wants(group), moment)).collect()
    }

    /// Takes over what was known of divided groups before a restart.
    pub(crate) fn restore(&self, group: &Group, kept: &[BTreeMap<String, String>], now: Timestamp) {
        let mut divided = self.cohorts.lock();
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        divided.insert(group.clone(), Cohorts::restored(group, kept, now, epoch));
        self.divided.store(divided.len(), Ordering::Release);
    }

    /// Whether the members of a group want different things.
    pub(crate) fn is_divided(&self, group: &str) -> bool {
        self.is_any_divided() && self.cohorts.lock().contains_key(group)
    }

    pub(crate) fn is_any_divided(&self) -> bool {
        self.divided.load(Ordering::Acquire) > 0
    }

    /// Asks the cohorts of a group; `None` if it is of one mind.
    fn of_divided<T>(&self, group: &str, ask: impl FnOnce(&mut Cohorts) -> T) -> Option<T> {
        if !self.is_any_divided() {
            return None;
        }
        self.cohorts.lock().get_mut(group).map(ask)
    }

    /// See [`Cohorts::pull`].
    pub(crate) fn pull(
        &self,
        group: &Group,
        member: u64,
        place: &(Topic, QueueId),
        asked: QueueOffset,
        known: impl FnOnce() -> Option<QueueOffset>,
    ) -> Option<Result<Share, QueueOffset>> {
        self.of_divided(group.as_str(), |cohorts| cohorts.pull(member, place, asked, known()))?
    }

    /// See [`Cohorts::hand`]; false too if the group is of one mind again.
    pub(crate) fn hand(
        &self,
        group: &Group,
        member: u64,
        place: &(Topic, QueueId),
        next: QueueOffset,
        epoch: u64,
    ) -> bool {
        self.of_divided(group.as_str(), |cohorts| cohorts.hand(member, place, next, epoch)).unwrap_or(false)
    }

    /// See [`Cohorts::commit`].
    pub(crate) fn commit(
        &self,
        group: &Group,
        member: u64,
        place: &(Topic, QueueId),
        offset: QueueOffset,
        known: impl FnOnce() -> Option<QueueOffset>,
    ) -> Option<Commit> {
        self.of_divided(group.as_str(), |cohorts| cohorts.commit(member, place, offset, known()))
    }

    /// See [`Cohorts::line`].
    pub(crate) fn line(&self, group: &str, member: u64, place: &(Topic, QueueId)) -> Option<QueueOffset> {
        self.of_divided(group, |cohorts| cohorts.line(member, place))?
    }

    /// See [`Cohorts::reset`].
    pub(crate) fn reset(&self, group: &Group, place: &(Topic, QueueId), offset: QueueOffset, now: Timestamp) {
        self.of_divided(group.as_str(), |cohorts| cohorts.reset(place, offset, now));
    }

    /// A member's cohort, and which of some topics that cohort is handed nothing of; also for other cohorts of the group.
    pub(crate) fn cohort_of(&self, group: &str, member: u64) -> u32 {
        self.of_divided(group, |cohorts| cohorts.id_of(member)).unwrap_or(0)
    }

    /// Whether a cohort of a group is handed nothing of a topic.
    pub(crate) fn is_idle(&self, group: &str, cohort: u32, topic: &str) -> bool {
        self.of_divided(group, |cohorts| cohorts.is_idle(cohort, topic)).unwrap_or(false)
    }

    /// The member for which a connection speaks: its own, or else one at the same address, if all there want the same.
    pub(crate) fn member_at(&self, group: &str, connection: u64, from: IpAddr) -> u64 {
        let Some(view) = self.divided_without(group, connection) else { return connection };
        let there = view.members.iter().filter(|(_, member)| member.channel.peer().ip() == from);
        let mut there = there.map(|(id, _)| (*id, self.cohort_of(group, *id)));
        match there.next() {
            Some((first, cohort)) if there.all(|(_, other)| other == cohort) => first,
            _ => connection,
        }
    }

    /// The member for which a connection speaks: its own, or else one that gives itself this name.
    pub(crate) fn member_named(&self, group: &str, connection: u64, client_id: &str) -> u64 {
        let Some(view) = self.divided_without(group, connection) else { return connection };
        let named = view.members.iter().find(|(_, member)| member.client_id == client_id);
        named.map_or(connection, |(id, _)| *id)
    }

    /// A group for which it matters what its members want, and of which a connection is no member.
    fn divided_without(&self, group: &str, connection: u64) -> Option<Arc<GroupView>> {
        let view = if self.is_any_divided() { self.get(group) } else { None };
        view.filter(|view| !view.members.contains_key(&connection))
    }

    /// The members with which a client shares queues; for whoever is no member, all.
    pub(crate) fn peers(&self, group: &str, member: u64) -> Vec<String> {
        let Some(view) = self.get(group) else { return Vec::new() };
        let peers = self.of_divided(group, |cohorts| cohorts.peers(member).cloned()).flatten();
        let Some(peers) = peers else { return view.client_ids() };
        let mut ids: Vec<_> = peers.iter().filter_map(|peer| view.members.get(peer)).collect();
        ids.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        ids.dedup_by(|a, b| a.client_id == b.client_id);
        ids.into_iter().map(|member| member.client_id.clone()).collect()
    }

    /// The cohorts of a group; empty if it is of one mind.
    pub(crate) fn cohorts(&self, group: &str) -> Vec<CohortView> {
        self.of_divided(group, |cohorts| cohorts.view()).unwrap_or_default()
    }

    /// The groups whose members want different things.
    pub(crate) fn divided(&self) -> Vec<Group> {
        self.cohorts.lock().keys().cloned().collect()
    }

    /// Refreshes a member whose heartbeat leaves its unchanged subscriptions out; false if it is not known.
    pub(crate) fn consumer_refreshed(&self, group: &str, channel: u64, now: Timestamp) -> bool {
        let mut consumers = self.consumers.write();
        let Some(view) = consumers.get_mut(group) else { return false };
        let Some(member) = Arc::make_mut(view).members.get_mut(&channel) else { return false };
        member.last_seen = now;
        true
    }

    /// Removes a client from the groups that it names.
    pub(crate) fn leave(
        &self,
        channel: u64,
        producer: Option<&str>,
        consumer: Option<&str>,
        moment: &Moment<'_>,
    ) -> Changes {
        if let Some(group) = producer {
            remove_producers(&mut self.producers.write(), Some(group), |member| member.channel.id() == channel);
        }
        match consumer {
            Some(group) => self.remove_consumers(Some(group), &|member| member.channel.id() == channel, moment),
            None => Changes::default(),
        }
    }

    /// Removes a client from every group: its connection is closed.
    pub(crate) fn closed(&self, channel: u64, moment: &Moment<'_>) -> Changes {
        self.clients.write().retain(|_, client| client.id() != channel);
        remove_producers(&mut self.producers.write(), None, |member| member.channel.id() == channel);
        self.remove_consumers(None, &|member| member.channel.id() == channel, moment)
    }

    /// Removes clients that have been silent for too long.
    pub(crate) fn expire(&self, moment: &Moment<'_>) -> Changes {
        let is_gone = |member: &Member| moment.now.since(member.last_seen) > EXPIRY;
        remove_producers(&mut self.producers.write(), None, is_gone);
        self.remove_consumers(None, &is_gone, moment)
    }

    fn remove_consumers(&self, only: Option<&str>, is_gone: &dyn Fn(&Member) -> bool, moment: &Moment<'_>) -> Changes {
        let mut changes = Changes::default();
        let mut consumers = self.consumers.write();
        consumers.retain(|group, view| {
            let concerned = only.is_none_or(|name| name == group.as_str());
            if !concerned || !view.members.values().any(is_gone) {
                return true;
            }
            let before = view.wants();
            let gone = view.members.values().filter(|member| is_gone(member));
            changes.gone.extend(gone.map(|member| (group.clone(), member.client_id.clone())));
            Arc::make_mut(view).remove(is_gone);
            changes.divisions.extend(self.divide(group, &before, &view.wants(), moment));
            changes.groups.push((group.clone(), Arc::clone(view)));
            !view.members.is_empty()
        });
        changes
    }
}

fn remove_producers(
    producers: &mut HashMap<Group, ProducerView>,
    only: Option<&str>,
    is_gone: impl Fn(&Member) -> bool,
) {
    producers.retain(|group, view| {
        if only.is_none_or(|name| name == group.as_str()) {
            view.retain(|_, member| !is_gone(member));
        }
        !view.is_empty()
    });
}
