//! What is set for a topic.

use crate::{PhysicalOffset, Topic, permission};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most queues that a topic may have.
pub const QUEUES_MAX: u32 = 16_384;

/// A topic's settings. Durable as one change of the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfig {
    /// Name.
    pub topic: Topic,
    /// Queues that consumers read, 1 to [`QUEUES_MAX`].
    pub read_queues: u32,
    /// Queues that producers write, 1 to [`QUEUES_MAX`].
    pub write_queues: u32,
    /// See [`permission`].
    pub permission: u32,
    /// The original's `topicSysFlag`: 1 unit, 2 unit subscription.
    #[serde(default)]
    pub system_flag: u32,
    /// Whether producers must keep to the broker-independent order configuration.
    #[serde(default)]
    pub order: bool,
    /// Attributes such as `message.type`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Messages stored before this position belong to a deleted topic of the same name and are hidden.
    #[serde(default)]
    pub since: PhysicalOffset,
}

impl TopicConfig {
    /// A topic that can be read and written, with as many queues for both.
    #[must_use]
    pub fn new(topic: Topic, queues: u32) -> Self {
        Self {
            topic,
            read_queues: queues,
            write_queues: queues,
            permission: permission::READ | permission::WRITE,
            system_flag: 0,
            order: false,
            attributes: BTreeMap::new(),
            since: PhysicalOffset(0),
        }
    }
}

/// When a broker's topics last changed: name servers compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    /// The controller's epoch; 0 without one.
    pub state_version: i64,
    /// Ms since the epoch.
    pub timestamp: i64,
    /// Changes so far.
    pub counter: i64,
}
