//! `model` holds the field's words as types: topics, queues, offsets, messages, and the record format, which is the
//! same on disk and in pull replies.
//!
//! It is not a drawer for shared helpers; it has no async code and knows no protocol. Start at [`record`].

mod group_config;
mod ids;
mod message_id;
mod names;
pub mod permission;
pub mod properties;
pub mod record;
mod retry_policy;
pub mod sys_flag;
pub mod system;
mod topic_config;

pub use group_config::GroupConfig;
pub use ids::{BrokerId, ClientId, Epoch, PhysicalOffset, QueueId, QueueOffset};
pub use message_id::{MessageId, MessageIdError, MessageIdText};
pub use names::{GROUP_LEN_MAX, Group, NameError, TOPIC_LEN_MAX, Topic, java_hash};
pub use retry_policy::{RetryPolicy, RetryPolicyError};
pub use topic_config::{DataVersion, QUEUES_MAX, TopicConfig};
