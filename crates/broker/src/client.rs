//! How the broker reaches a client, whatever door it came through.

use crate::Reply;
use bytes::Bytes;
use model::{Group, QueueId, QueueOffset, Topic};
use rt::BoxFuture;
use std::net::SocketAddr;
use std::time::Duration;

/// Something a client should know; no answer is expected.
#[derive(Debug, Clone)]
pub enum Notice {
    /// Members of a group came or went: assign queues anew.
    MembersChanged(Group),
    /// An operator set the group's offsets: drop what is in hand and go on from there.
    OffsetsReset(Box<OffsetsReset>),
}

/// Offsets that an operator set.
#[derive(Debug, Clone)]
pub struct OffsetsReset {
    /// Group.
    pub group: Group,
    /// Topic.
    pub topic: Topic,
    /// This broker's name.
    pub broker: String,
    /// The time that was asked for.
    pub timestamp: i64,
    /// The offsets.
    pub offsets: Vec<(QueueId, QueueOffset)>,
    /// Code of the client's language: it decides about the form.
    pub language: u8,
}

/// A question to a client. Bodies are the protocol's own and pass through untouched.
#[derive(Debug, Clone)]
pub enum Ask {
    /// What is the consumer doing.
    RunningInfo {
        /// Group.
        group: Group,
        /// Client.
        client: String,
        /// With the stacks of its threads.
        stacks: bool,
    },
    /// How far is the consumer.
    Status {
        /// Topic.
        topic: Topic,
        /// Group.
        group: Group,
    },
    /// Here is the reply that you wait for.
    Reply(Box<Reply>),
    /// Consume this message now.
    ConsumeDirectly {
        /// Group.
        group: Group,
        /// Client.
        client: String,
        /// The message's id.
        message_id: String,
        /// This broker's name.
        broker: String,
        /// The record.
        record: Bytes,
    },
}

/// Why a client gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// No such client is connected.
    #[error("consumer '{client}' of group '{group}' is not online")]
    NotOnline {
        /// Group.
        group: String,
        /// Client.
        client: String,
    },
    /// The client is too old to understand.
    #[error("the client does not answer: {0}")]
    Unreachable(String),
    /// The client refused.
    #[error("the client answered code {code}: {remark}")]
    Refused {
        /// Its code.
        code: i32,
        /// Its reason.
        remark: String,
    },
}

/// A connected client. An unreachable one is an error, not a wait.
pub trait ClientChannel: Send + Sync {
    /// Distinguishes connections.
    fn id(&self) -> u64;
    /// The client's address.
    fn peer(&self) -> SocketAddr;
    /// Tells the client something, at most once.
    fn notify(&self, notice: &Notice);
    /// Asks the client something.
    fn ask(&self, ask: Ask, within: Duration) -> BoxFuture<'static, Result<Bytes, AskError>>;
}
