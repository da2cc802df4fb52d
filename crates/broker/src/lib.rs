//! `broker` is what a message means: topics, publishing, pulling, groups and their offsets, retries and dead letters.
//!
//! It knows no protocol: doors translate bytes into its calls and back, and hold no semantics themselves. Start at
//! [`Broker`].

mod admin;
mod administration;
mod audience;
mod broker;
mod client;
mod consume;
mod error;
mod group;
mod meter;
mod options;
mod publish;
mod quota;
mod reply;
mod retention;
mod room;
mod settings;
mod timed;
mod topic;
mod traffic;
mod trends;

pub use admin::{GroupDeletion, QueueLag, QueueProgress};
pub use administration::{AdminTurn, LaneStats};
pub use audience::Announcement;
pub use broker::Broker;
pub use client::{Ask, AskError, ClientChannel, Notice, OffsetsReset};
pub use consume::filter::{FilterError, TagFilter};
pub use consume::offsets::OffsetError;
pub use consume::pull::{Filter, Parked, Pull, PullOutcome, PullStep, Pulled};
pub use consume::send_back::SendBack;
pub use error::{AdminError, PublishError, PullError, SendBackError};
pub use group::cohort::CohortView;
pub use group::wants::{Interest, Wants};
pub use group::{ConsumeType, GroupView, Heartbeat, Member, MessageModel, ProducerView, StartFrom, Subscription};
pub use meter::{Meter, Rates, SendTimes, Totals};
pub use options::Options;
pub use publish::{BATCH_MESSAGES_MAX, BatchPart, Content, Publish, Publishing, Receipt};
pub use reply::{Reply, ReplyError};
pub use settings::{Setting, SettingChange};
pub use timed::{RecallError, RecallHandle, TimerError, TimerFilter, TimerPage, TimerStats, Waiting};
pub use topic::TopicState;
pub use trends::{Count, Counted, Growth, Trend};

// Part of this crate's errors: doors map them without knowing the store.
pub use store::timer::Due;
pub use store::{AppendError, Flush, Histogram, ReadError};
