//! What is set for a consumer group.

use crate::{BrokerId, Group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A consumer group's settings. Durable as one change of the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Name.
    pub group: Group,
    /// Whether the group may consume at all.
    pub consume_enabled: bool,
    /// Whether the group may start from the oldest message.
    pub from_min_enabled: bool,
    /// Whether each member may receive every message.
    pub broadcast_enabled: bool,
    /// Whether the group consumes in order (POP).
    pub orderly: bool,
    /// Queues of the group's retry topic.
    pub retry_queues: u32,
    /// Deliveries after the first, before a message becomes a dead letter; −1: no end.
    pub retry_max: i32,
    /// The original's retry policy as JSON: see [`RetryPolicy`](crate::RetryPolicy).
    #[serde(default)]
    pub retry_policy: Option<String>,
    /// Broker to read from.
    pub broker_id: BrokerId,
    /// Broker to read from while the group lags.
    pub broker_id_when_slow: BrokerId,
    /// Whether members are told when members come and go.
    pub notify_members: bool,
    /// The original's `groupSysFlag`.
    pub system_flag: i32,
    /// Minutes after which a client gives up on a message that it consumes.
    pub consume_timeout_minutes: u32,
    /// Attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Topics that the group may not read.
    #[serde(default)]
    pub forbidden_topics: Vec<String>,
}

impl GroupConfig {
    /// The settings that a group has unless told otherwise.
    #[must_use]
    pub fn new(group: Group) -> Self {
        Self {
            group,
            consume_enabled: true,
            from_min_enabled: true,
            broadcast_enabled: true,
            orderly: false,
            retry_queues: 1,
            retry_max: 16,
            retry_policy: None,
            broker_id: BrokerId(0),
            broker_id_when_slow: BrokerId(1),
            notify_members: true,
            system_flag: 0,
            consume_timeout_minutes: 15,
            attributes: BTreeMap::new(),
            forbidden_topics: Vec::new(),
        }
    }
}
