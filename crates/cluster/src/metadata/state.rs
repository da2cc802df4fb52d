//! The metadata at one version, without consumer offsets.

use super::{Change, Version};
use model::{DataVersion, Group, GroupConfig, QueueId, QueueOffset, Topic, TopicConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Namespace of the broker's settings that were changed while it ran.
pub const BROKER_SETTINGS: &str = "TREFOIL_BROKER_SETTINGS";

/// Which client holds which queue.
pub type HeldQueues = BTreeMap<(Topic, QueueId), String>;

/// A consistent snapshot. Cheap to clone: maps that did not change are shared with the snapshot before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// All changes up to this one are in it.
    pub version: Version,
    /// Topics by name.
    pub topics: Arc<BTreeMap<Topic, Arc<TopicConfig>>>,
    /// When topics last changed.
    pub topics_version: DataVersion,
    /// Groups by name.
    pub groups: Arc<BTreeMap<Group, Arc<GroupConfig>>>,
    /// When groups last changed.
    pub groups_version: DataVersion,
    /// First offset not yet delivered, by delay level.
    pub delay_progress: BTreeMap<u32, QueueOffset>,
    /// Texts by namespace and key.
    pub kv: Arc<BTreeMap<String, BTreeMap<String, String>>>,
    /// Resets that members have not followed yet.
    pub resets: Arc<BTreeMap<(Group, Topic, QueueId), QueueOffset>>,
    /// Who holds which queue of an orderly group.
    pub locks: Arc<BTreeMap<Group, HeldQueues>>,
    /// What the members of groups want that do not agree: expressions by topic.
    pub divided: Arc<BTreeMap<Group, Vec<BTreeMap<String, String>>>>,
}

/// The numbers of a snapshot that its changes do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Versions {
    pub(super) version: Version,
    pub(super) topics: DataVersion,
    pub(super) groups: DataVersion,
}

impl State {
    /// A text.
    #[must_use]
    pub fn kv(&self, namespace: &str, key: &str) -> Option<&str> {
        self.kv.get(namespace)?.get(key).map(String::as_str)
    }

    /// Makes a change, at a time in ms since the epoch; consumer offsets are not its concern.
    pub(super) fn apply(&mut self, change: &Change, timestamp: i64) {
        self.version = self.version.next();
        match change {
            Change::TopicSet(config) => {
                Arc::make_mut(&mut self.topics).insert(config.topic.clone(), Arc::new(config.clone()));
                advance(&mut self.topics_version, timestamp);
            }
            Change::TopicDeleted(topic) => {
                if Arc::make_mut(&mut self.topics).remove(topic).is_some() {
                    advance(&mut self.topics_version, timestamp);
                }
                self.forget_resets(None, Some(topic));
            }
            Change::GroupSet(config) => {
                Arc::make_mut(&mut self.groups).insert(config.group.clone(), Arc::new(config.clone()));
                advance(&mut self.groups_version, timestamp);
            }
            Change::GroupDeleted(group) => self.delete_group(group, timestamp),
            Change::GroupForgotten(group) => {
                self.delete_group(group, timestamp);
                self.forget_resets(Some(group), None);
            }
            Change::DelayProgress { level, offset } => {
                self.delay_progress.insert(*level, *offset);
            }
            Change::KvSet { namespace, key, value } => self.edit(namespace, [(key, Some(value))], timestamp),
            Change::KvDeleted { namespace, key } => self.edit(namespace, [(key, None)], timestamp),
            Change::KvEdited { namespace, edits } => {
                self.edit(namespace, edits.iter().map(|(key, value)| (key, value.as_ref())), timestamp);
            }
            Change::OffsetsReset { entries, pressed, .. } => {
                let resets = Arc::make_mut(&mut self.resets);
                for (group, topic, queue, offset) in entries {
                    let key = (group.clone(), topic.clone(), *queue);
                    match pressed {
                        true => drop(resets.insert(key, *offset)),
                        false => drop(resets.remove(&key)),
                    }
                }
            }
            Change::ResetsEnded(ended) => {
                let resets = Arc::make_mut(&mut self.resets);
                resets.retain(|key, _| !ended.contains(key));
            }
            Change::QueueLocks { group, taken, freed } => self.lock(group, taken, freed),
            Change::GroupDivided { group, wants } => {
                let divided = Arc::make_mut(&mut self.divided);
                match wants.is_empty() {
                    true => drop(divided.remove(group)),
                    false => drop(divided.insert(group.clone(), wants.clone())),
                }
            }
            Change::OffsetsForgotten { group, topic } => self.forget_resets(group.as_ref(), topic.as_ref()),
            Change::Offsets(_) => {}
        }
    }

    fn delete_group(&mut self, group: &Group, timestamp: i64) {
        if Arc::make_mut(&mut self.groups).remove(group).is_some() {
            advance(&mut self.groups_version, timestamp);
        }
    }

    fn forget_resets(&mut self, group: Option<&Group>, topic: Option<&Topic>) {
        let is_forgotten = |key: &(Group, Topic, QueueId)| {
            (group.is_some() || topic.is_some())
                && group.is_none_or(|group| *group == key.0)
                && topic.is_none_or(|topic| *topic == key.1)
        };
        Arc::make_mut(&mut self.resets).retain(|key, _| !is_forgotten(key));
    }

    fn edit<'a>(
        &mut self,
        namespace: &str,
        edits: impl IntoIterator<Item = (&'a String, Option<&'a String>)>,
        timestamp: i64,
    ) {
        // Settings of the broker are part of what name servers are told of its topics.
        if namespace == BROKER_SETTINGS {
            advance(&mut self.topics_version, timestamp);
        }
        let kv = Arc::make_mut(&mut self.kv);
        let keys = kv.entry(namespace.to_owned()).or_default();
        for (key, value) in edits {
            match value {
                Some(value) => drop(keys.insert(key.clone(), value.clone())),
                None => drop(keys.remove(key)),
            }
        }
        if keys.is_empty() {
            kv.remove(namespace);
        }
    }

    fn lock(&mut self, group: &Group, taken: &[(Topic, QueueId, String)], freed: &[(Topic, QueueId)]) {
        let locks = Arc::make_mut(&mut self.locks);
        let of_group = locks.entry(group.clone()).or_default();
        of_group.extend(taken.iter().map(|(topic, queue, client)| ((topic.clone(), *queue), client.clone())));
        freed.iter().for_each(|key| drop(of_group.remove(key)));
        if of_group.is_empty() {
            locks.remove(group);
        }
    }

    /// Resets being pressed, as one change. It sets the offsets too; in a snapshot those that moved since come after it.
    fn pressed(&self) -> Option<Change> {
        let entries: Vec<_> =
            self.resets.iter().map(|((group, topic, queue), at)| (group.clone(), topic.clone(), *queue, *at)).collect();
        let reason = "pressed when the snapshot was made".to_owned();
        (!entries.is_empty()).then_some(Change::OffsetsReset { reason, entries, pressed: true })
    }

    pub(super) fn versions(&self) -> Versions {
        Versions { version: self.version, topics: self.topics_version, groups: self.groups_version }
    }

    pub(super) fn set_versions(&mut self, versions: Versions) {
        self.version = versions.version;
        self.topics_version = versions.topics;
        self.groups_version = versions.groups;
    }

    /// The changes that make this state from nothing.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let topics = self.topics.values().map(|config| Change::TopicSet(TopicConfig::clone(config)));
        let groups = self.groups.values().map(|config| Change::GroupSet(GroupConfig::clone(config)));
        let delays = self.delay_progress.iter();
        let delays = delays.map(|(level, offset)| Change::DelayProgress { level: *level, offset: *offset });
        let texts = self.kv.iter().flat_map(|(namespace, keys)| keys.iter().map(move |text| (namespace, text)));
        let texts = texts.map(|(namespace, (key, value))| Change::KvSet {
            namespace: namespace.clone(),
            key: key.clone(),
            value: value.clone(),
        });
        let locks = self.locks.iter().map(|(group, held)| Change::QueueLocks {
            group: group.clone(),
            taken: held.iter().map(|((topic, queue), client)| (topic.clone(), *queue, client.clone())).collect(),
            freed: Vec::new(),
        });
        let divided = self.divided.iter();
        let divided = divided.map(|(group, wants)| Change::GroupDivided { group: group.clone(), wants: wants.clone() });
        topics.chain(groups).chain(delays).chain(texts).chain(self.pressed()).chain(locks).chain(divided)
    }
}

fn advance(version: &mut DataVersion, timestamp: i64) {
    version.timestamp = timestamp;
    version.counter += 1;
}
