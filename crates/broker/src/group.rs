//! Who is connected: producers, consumers, what they subscribe to, and which queues they hold locked.

pub(crate) mod cohort;
mod connected;
mod hold;
pub(crate) mod locks;
mod members;
pub(crate) mod wants;

use crate::{ClientChannel, Notice, TagFilter};
use model::{Group, Topic};
use rt::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wants::Wants;

pub(crate) use connected::{Changes, Division, Groups, Moment};

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
    /// When it was last heard of, by [`Broker::steady_now`](crate::Broker::steady_now).
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
    /// Who gets a message; broadcasting only if all members do so.
    pub model: MessageModel,
    /// Where a new group starts.
    pub start_from: StartFrom,
    /// Members by the id of their connection.
    pub members: BTreeMap<u64, Member>,
    /// The newest subscription of any member to each topic.
    pub subscriptions: HashMap<String, Arc<Subscription>>,
    /// What each member said of itself, by the id of its connection.
    said: BTreeMap<u64, Arc<Said>>,
}

/// What one member said in its heartbeat.
struct Said {
    consume_type: ConsumeType,
    wants: Wants,
    subscriptions: HashMap<String, Arc<Subscription>>,
}

impl GroupView {
    /// A member's own subscription to a topic; for others, the newest of any member.
    #[must_use]
    pub fn subscription_of(&self, member: u64, topic: &str) -> Option<Arc<Subscription>> {
        match self.said.get(&member) {
            Some(said) => said.subscriptions.get(topic).cloned(),
            None => self.subscription(topic),
        }
    }

    /// How a member gets its messages.
    #[must_use]
    pub fn consume_type_of(&self, member: u64) -> ConsumeType {
        self.said.get(&member).map_or(self.consume_type, |said| said.consume_type)
    }

    fn wants(&self) -> BTreeMap<u64, Wants> {
        self.said.iter().map(|(member, said)| (*member, said.wants.clone())).collect()
    }

    /// The newest subscription to a topic.
    #[must_use]
    pub fn subscription(&self, topic: &str) -> Option<Arc<Subscription>> {
        self.subscriptions.get(topic).cloned()
    }

    /// Whether a member gets every message; for others, whether all members do.
    #[must_use]
    pub fn is_broadcasting(&self, member: u64) -> bool {
        let said = self.said.get(&member);
        said.map_or(self.model == MessageModel::Broadcasting, |said| said.wants.broadcast)
    }

    /// Names of the members.
    #[must_use]
    pub fn client_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.members.values().map(|member| member.client_id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Tells all members that members came or went.
    pub(crate) fn notify(&self, group: &Group) {
        for member in self.members.values() {
            member.channel.notify(&Notice::MembersChanged(group.clone()));
        }
    }
}

/// The producers of a group.
pub type ProducerView = BTreeMap<u64, Member>;

impl GroupView {
    fn empty(beat: &Heartbeat) -> Self {
        Self {
            consume_type: beat.consume_type,
            model: beat.model,
            start_from: beat.start_from,
            members: BTreeMap::new(),
            subscriptions: HashMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// Takes what a member says; true if it is new or wants something else than before.
    fn take(&mut self, beat: Heartbeat, member: Member) -> bool {
        (self.consume_type, self.start_from) = (beat.consume_type, beat.start_from);
        let id = member.channel.id();
        let is_new = self.members.insert(id, member).is_none();
        let wants = Wants::of(&beat.group, beat.model, beat.subscriptions.iter());
        let known = self.said.get(&id);
        let is_other = known.is_none_or(|said| said.wants != wants || said.consume_type != beat.consume_type);
        let is_same_version = known.is_some_and(|said| {
            let version = |topic: &str| said.subscriptions.get(topic).map(|known| known.version);
            said.subscriptions.len() == beat.subscriptions.len()
                && beat
                    .subscriptions
                    .iter()
                    .all(|subscription| version(&subscription.topic) == Some(subscription.version))
        });
        if is_other || !is_same_version {
            let subscriptions = beat.subscriptions.into_iter();
            let subscriptions = subscriptions.map(|subscription| (subscription.topic.clone(), Arc::new(subscription)));
            let said = Said { consume_type: beat.consume_type, wants, subscriptions: subscriptions.collect() };
            self.said.insert(id, Arc::new(said));
            self.merge();
        }
        is_new || is_other
    }

    fn remove(&mut self, is_gone: &dyn Fn(&Member) -> bool) {
        self.members.retain(|_, member| !is_gone(member));
        self.said.retain(|id, _| self.members.contains_key(id));
        self.merge();
    }

    fn merge(&mut self) {
        let is_broadcast = self.said.values().all(|said| said.wants.broadcast);
        self.model = if is_broadcast { MessageModel::Broadcasting } else { MessageModel::Clustering };
        self.subscriptions.clear();
        for (topic, subscription) in self.said.values().flat_map(|said| &said.subscriptions) {
            let known = self.subscriptions.get(topic);
            if known.is_none_or(|known| known.version < subscription.version) {
                self.subscriptions.insert(topic.clone(), Arc::clone(subscription));
            }
        }
    }

    /// The topics subscribed to.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        self.subscriptions.keys().map(|topic| Topic::from_stored(topic)).collect()
    }
}
