//! Who is connected: producers, consumers, what they subscribe to, and which queues they hold locked.

pub(crate) mod locks;

use crate::{ClientChannel, Notice, TagFilter};
use model::{Group, Topic};
use parking_lot::RwLock;
use rt::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A member that has not been heard of for so long is gone.
const EXPIRY: Duration = Duration::from_secs(120);

/// How a group gets its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumeType {
    /// The application pulls.
    Pull,
    /// The client library pulls on behalf of listeners.
    Push,
    /// Per-message delivery.
    Pop,
}

/// Who of a group gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageModel {
    /// One member.
    Clustering,
    /// Every member.
    Broadcasting,
}

/// Where a group without offsets starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// At the end.
    Last,
    /// At the beginning.
    First,
    /// At a time.
    Timestamp,
}

/// What a group wants of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Topic.
    pub topic: String,
    /// The expression as it was sent.
    pub expression: String,
    /// Type of the expression; `TAG` for tags.
    pub kind: String,
    /// The client's version of it (ms since the epoch).
    pub version: i64,
    /// Tags as the client split them.
    pub tags: Vec<String>,
    /// Hashes of the tags as the client computed them.
    pub codes: Vec<i32>,
    /// What it means.
    pub filter: TagFilter,
    /// The type of the expression if this broker does not serve it: pulls are refused then.
    pub unsupported: Option<String>,
}

impl Subscription {
    /// A subscription that lives as long as one pull.
    #[must_use]
    pub fn of_filter(topic: &str, expression: &str, filter: TagFilter) -> Self {
        Self {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
            kind: "TAG".to_owned(),
            version: 0,
            tags: Vec::new(),
            codes: Vec::new(),
            filter,
            unsupported: None,
        }
    }
}

/// One connected client of a group.
#[derive(Clone)]
pub struct Member {
    /// The name it gives itself.
    pub client_id: String,
    /// How to reach it.
    pub channel: Arc<dyn ClientChannel>,
    /// Code of its language.
    pub language: u8,
    /// Ordinal of its version.
    pub version: i32,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

/// What a client says of one consumer group.
#[derive(Clone)]
pub struct Heartbeat {
    /// Group.
    pub group: Group,
    /// How the group gets its messages.
    pub consume_type: ConsumeType,
    /// Who gets a message.
    pub model: MessageModel,
    /// Where to start.
    pub start_from: StartFrom,
    /// What it wants.
    pub subscriptions: Vec<Subscription>,
}

/// A consumer group's members and subscriptions, as one consistent picture.
#[derive(Clone)]
pub struct GroupView {
    /// How the group gets its messages.
    pub consume_type: ConsumeType,
    /// Who gets a message.
    pub model: MessageModel,
    /// Where a new group starts.
    pub start_from: StartFrom,
    /// Members by the id of their connection.
    pub members: BTreeMap<u64, Member>,
    /// Subscriptions by topic.
    pub subscriptions: HashMap<String, Arc<Subscription>>,
}

impl GroupView {
    /// The subscription to a topic.
    #[must_use]
    pub fn subscription(&self, topic: &str) -> Option<Arc<Subscription>> {
        self.subscriptions.get(topic).cloned()
    }

    /// Whether every member gets every message.
    #[must_use]
    pub fn is_broadcast(&self) -> bool {
        self.model == MessageModel::Broadcasting
    }

    /// Names of the members.
    #[must_use]
    pub fn client_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.members.values().map(|member| member.client_id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn notify(&self, group: &Group) {
        for member in self.members.values() {
            member.channel.notify(&Notice::MembersChanged(group.clone()));
        }
    }
}

/// The producers of a group.
pub type ProducerView = BTreeMap<u64, Member>;

/// Who is connected.
#[derive(Default)]
pub(crate) struct Groups {
    consumers: RwLock<HashMap<Group, Arc<GroupView>>>,
    producers: RwLock<HashMap<Group, ProducerView>>,
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
        self.producers.write().entry(group).or_default().insert(member.channel.id(), member);
    }

    /// Takes a consumer's heartbeat. `notify`: whether the group's members are told of changes. True if the group's
    /// members or subscriptions changed.
    pub(crate) fn consumer_seen(&self, beat: Heartbeat, member: Member, notify: bool) -> bool {
        let mut consumers = self.consumers.write();
        let group = beat.group.clone();
        let old = consumers.get(&group);
        let mut view = match old {
            Some(view) => GroupView::clone(view),
            None => GroupView {
                consume_type: beat.consume_type,
                model: beat.model,
                start_from: beat.start_from,
                members: BTreeMap::new(),
                subscriptions: HashMap::new(),
            },
        };
        view.consume_type = beat.consume_type;
        view.model = beat.model;
        view.start_from = beat.start_from;
        let is_new = view.members.insert(member.channel.id(), member).is_none();
        let changed = is_new | view.merge(beat.subscriptions);
        let view = Arc::new(view);
        consumers.insert(group.clone(), Arc::clone(&view));
        drop(consumers);
        if changed && notify {
            view.notify(&group);
        }
        changed
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
    pub(crate) fn leave(&self, channel: u64, producer: Option<&str>, consumer: Option<&str>, notify: bool) {
        if let Some(group) = producer {
            remove_producers(&mut self.producers.write(), Some(group), |member| member.channel.id() == channel);
        }
        if let Some(group) = consumer {
            self.remove_consumers(Some(group), &|member| member.channel.id() == channel, &|_| notify);
        }
    }

    /// Removes a client from every group: its connection is closed.
    pub(crate) fn closed(&self, channel: u64, notify: &dyn Fn(&Group) -> bool) {
        remove_producers(&mut self.producers.write(), None, |member| member.channel.id() == channel);
        self.remove_consumers(None, &|member| member.channel.id() == channel, notify);
    }

    /// Removes clients that have been silent for too long.
    pub(crate) fn expire(&self, now: Timestamp, notify: &dyn Fn(&Group) -> bool) {
        let is_gone = |member: &Member| now.since(member.last_seen) > EXPIRY;
        remove_producers(&mut self.producers.write(), None, is_gone);
        self.remove_consumers(None, &is_gone, notify);
    }

    fn remove_consumers(&self, only: Option<&str>, is_gone: &dyn Fn(&Member) -> bool, notify: &dyn Fn(&Group) -> bool) {
        let mut changed = Vec::new();
        let mut consumers = self.consumers.write();
        consumers.retain(|group, view| {
            let concerned = only.is_none_or(|name| name == group.as_str());
            if !concerned || !view.members.values().any(is_gone) {
                return true;
            }
            Arc::make_mut(view).members.retain(|_, member| !is_gone(member));
            changed.push((group.clone(), Arc::clone(view)));
            !view.members.is_empty()
        });
        drop(consumers);
        for (group, view) in changed.into_iter().filter(|(group, _)| notify(group)) {
            view.notify(&group);
        }
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

impl GroupView {
    /// Takes newer subscriptions over and drops those no longer named; true if the set of topics or an expression
    /// changed.
    fn merge(&mut self, subscriptions: Vec<Subscription>) -> bool {
        let mut changed = false;
        let named: Vec<String> = subscriptions.iter().map(|subscription| subscription.topic.clone()).collect();
        for subscription in subscriptions {
            match self.subscriptions.get(&subscription.topic) {
                Some(known) if known.version >= subscription.version => {}
                known => {
                    changed |= known.is_none_or(|known| known.expression != subscription.expression);
                    self.subscriptions.insert(subscription.topic.clone(), Arc::new(subscription));
                }
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| named.contains(topic));
        changed | (self.subscriptions.len() != before)
    }

    /// The topics subscribed to.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        self.subscriptions.keys().map(|topic| Topic::from_stored(topic)).collect()
    }
}
