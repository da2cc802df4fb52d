//! The changes that make up the metadata.

use model::{Group, GroupConfig, QueueId, QueueOffset, Topic, TopicConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of a change; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One change. Its JSON form is what the journal holds: members may be added with a default, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A topic was created or its settings changed.
    TopicSet(TopicConfig),
    /// A topic is gone, with the offsets of all groups in it.
    TopicDeleted(Topic),
    /// A group was created or its settings changed.
    GroupSet(GroupConfig),
    /// A group is gone. Its offsets stay until they are forgotten.
    GroupDeleted(Group),
    /// A group is gone, with its offsets.
    GroupForgotten(Group),
    /// Consumer offsets moved forward; one that would move back is ignored.
    Offsets(Vec<(Group, Topic, QueueId, QueueOffset)>),
    /// Consumer offsets were set, forward or back, because somebody asked for it.
    OffsetsReset {
        /// Who or what asked; for the audit.
        reason: String,
        /// The offsets.
        entries: Vec<(Group, Topic, QueueId, QueueOffset)>,
        /// Whether members that go on from where they are must still be moved there. Without it a reset that was pressed
        /// before for one of these is over.
        #[serde(default)]
        pressed: bool,
    },
    /// Resets that members have followed, or that nobody follows any more.
    ResetsEnded(Vec<(Group, Topic, QueueId)>),
    /// Which member of an orderly group holds which queue.
    QueueLocks {
        /// The group.
        group: Group,
        /// Queues taken, with the client that holds each.
        taken: Vec<(Topic, QueueId, String)>,
        /// Queues given back.
        freed: Vec<(Topic, QueueId)>,
    },
    /// The members of a group want different things: what each kind of them wants, as expressions by topic. Empty: they
    /// agree again.
    GroupDivided {
        /// The group.
        group: Group,
        /// What each kind of member wants.
        wants: Vec<BTreeMap<String, String>>,
    },
    /// Offsets of a group, of a topic, or of a group in a topic are forgotten. With neither nothing happens.
    OffsetsForgotten {
        /// Only of this group.
        group: Option<Group>,
        /// Only of this topic.
        topic: Option<Topic>,
    },
    /// How far a delay level was delivered.
    DelayProgress {
        /// 1 to 18.
        level: u32,
        /// First message not delivered.
        offset: QueueOffset,
    },
    /// A text was set.
    KvSet {
        /// Namespace.
        namespace: String,
        /// Key.
        key: String,
        /// Text.
        value: String,
    },
    /// Several texts of a namespace were set, or are gone: all of them or none.
    KvEdited {
        /// Namespace.
        namespace: String,
        /// The new text of each key; without one it is gone.
        edits: BTreeMap<String, Option<String>>,
    },
    /// A text is gone.
    KvDeleted {
        /// Namespace.
        namespace: String,
        /// Key.
        key: String,
    },
}
