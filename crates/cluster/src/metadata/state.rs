//! The metadata at one version, without consumer offsets.

use super::{Change, Version};
use model::{DataVersion, Group, GroupConfig, QueueOffset, Topic, TopicConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

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
            }
            Change::GroupSet(config) => {
                Arc::make_mut(&mut self.groups).insert(config.group.clone(), Arc::new(config.clone()));
                advance(&mut self.groups_version, timestamp);
            }
            Change::GroupDeleted(group) => {
                if Arc::make_mut(&mut self.groups).remove(group).is_some() {
                    advance(&mut self.groups_version, timestamp);
                }
            }
            Change::DelayProgress { level, offset } => {
                self.delay_progress.insert(*level, *offset);
            }
            Change::KvSet { namespace, key, value } => {
                let namespace = Arc::make_mut(&mut self.kv).entry(namespace.clone()).or_default();
                namespace.insert(key.clone(), value.clone());
            }
            Change::KvDeleted { namespace, key } => {
                let kv = Arc::make_mut(&mut self.kv);
                if let Some(keys) = kv.get_mut(namespace) {
                    keys.remove(key);
                    if keys.is_empty() {
                        kv.remove(namespace);
                    }
                }
            }
            Change::Offsets(_) | Change::OffsetsReset { .. } | Change::OffsetsForgotten { .. } => {}
        }
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
        topics.chain(groups).chain(delays).chain(texts)
    }
}

fn advance(version: &mut DataVersion, timestamp: i64) {
    version.timestamp = timestamp;
    version.counter += 1;
}
