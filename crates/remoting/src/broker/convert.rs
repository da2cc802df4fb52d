//! Errors of the broker as response codes, one place for all.

use crate::reply::Reply;
use ::broker::{AdminError, AskError, OffsetError, PublishError, PullError, SendBackError};
use ::broker::{AppendError, ReadError};
use wire::remoting::ResponseCode;

pub(super) fn publish_error(error: &PublishError) -> Reply {
    let code = match error {
        PublishError::TopicNotFound { .. } => ResponseCode::TOPIC_NOT_EXIST,
        PublishError::Forbidden { .. }
        | PublishError::BrokerForbidden { .. }
        | PublishError::SystemTopic { .. }
        | PublishError::Unsupported { .. } => ResponseCode::NO_PERMISSION,
        PublishError::GroupNotFound { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        PublishError::QueueNotFound { .. } | PublishError::Name(_) => ResponseCode::INVALID_PARAMETER,
        PublishError::BodyTooLarge { .. }
        | PublishError::PropertiesTooLong { .. }
        | PublishError::Delay { .. }
        | PublishError::Batch { .. } => ResponseCode::MESSAGE_ILLEGAL,
        PublishError::CreateTopic { .. } => ResponseCode::SYSTEM_ERROR,
        PublishError::OverQuota { .. } => ResponseCode::SYSTEM_BUSY,
        PublishError::DiskFull { .. } => ResponseCode::SERVICE_NOT_AVAILABLE,
        PublishError::Store(error) => append_error(error),
    };
    Reply::error(code, error)
}

fn append_error(error: &AppendError) -> ResponseCode {
    match error {
        AppendError::Busy { .. } | AppendError::Overdue { .. } => ResponseCode::SYSTEM_BUSY,
        AppendError::TooLarge { .. } => ResponseCode::MESSAGE_ILLEGAL,
        AppendError::Write { .. } => ResponseCode::SYSTEM_ERROR,
        AppendError::DiskFull { .. } | AppendError::Poisoned { .. } | AppendError::Closed => {
            ResponseCode::SERVICE_NOT_AVAILABLE
        }
    }
}

pub(super) fn pull_error(error: &PullError) -> Reply {
    let code = match error {
        PullError::TopicNotFound { .. } => ResponseCode::TOPIC_NOT_EXIST,
        PullError::GroupNotFound { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        PullError::GroupForbidden { .. } | PullError::TopicForbidden { .. } | PullError::BrokerForbidden { .. } => {
            ResponseCode::NO_PERMISSION
        }
        PullError::NotSubscribed { .. } => ResponseCode::SUBSCRIPTION_NOT_EXIST,
        PullError::SubscriptionStale { .. } => ResponseCode::SUBSCRIPTION_NOT_LATEST,
        PullError::Filter(::broker::FilterError::Unsupported(_)) => ResponseCode::SYSTEM_ERROR,
        PullError::Filter(_) => ResponseCode::SUBSCRIPTION_PARSE_FAILED,
        PullError::QueueNotFound { .. } => ResponseCode::INVALID_PARAMETER,
        PullError::Read(ReadError::Damaged { .. }) => {
            // Nobody passes over it silently.
            let remedy = "'trefoil group reset GROUP --queue Q --to offset=N' lets the group go on behind it";
            return Reply::error(ResponseCode::SYSTEM_ERROR, format!("{error}; {remedy}"));
        }
        PullError::Read(_) => ResponseCode::SYSTEM_ERROR,
    };
    Reply::error(code, error)
}

impl From<OffsetError> for Reply {
    fn from(error: OffsetError) -> Self {
        let code = match &error {
            OffsetError::NotFound => ResponseCode::QUERY_NOT_FOUND,
            OffsetError::TopicNotFound { .. } => ResponseCode::TOPIC_NOT_EXIST,
            OffsetError::GroupNotFound { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            OffsetError::QueueNotFound { .. } | OffsetError::Read(_) | OffsetError::Metadata(_) => {
                ResponseCode::SYSTEM_ERROR
            }
        };
        Self::error(code, error)
    }
}

impl From<SendBackError> for Reply {
    fn from(error: SendBackError) -> Self {
        match &error {
            SendBackError::GroupNotFound { .. } => Self::error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, error),
            SendBackError::MessageNotFound { .. } => Self::error(ResponseCode::SYSTEM_ERROR, error),
            SendBackError::Publish(error) => publish_error(error),
        }
    }
}

impl From<AdminError> for Reply {
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::TopicNotFound { .. } => ResponseCode::TOPIC_NOT_EXIST,
            AdminError::GroupNotFound { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            AdminError::Range { .. } | AdminError::Name(_) | AdminError::SystemTopic { .. } => {
                ResponseCode::INVALID_PARAMETER
            }
            AdminError::Busy { .. } => ResponseCode::SYSTEM_BUSY,
            AdminError::Metadata(_) | AdminError::Read(_) => ResponseCode::SYSTEM_ERROR,
        };
        Self::error(code, error)
    }
}

impl From<AskError> for Reply {
    fn from(error: AskError) -> Self {
        let code = match &error {
            AskError::NotOnline { .. } => ResponseCode::CONSUMER_NOT_ONLINE,
            AskError::Unreachable(_) => ResponseCode::CONSUME_MSG_TIMEOUT,
            AskError::Refused { .. } => ResponseCode::SYSTEM_ERROR,
        };
        Self::error(code, error)
    }
}

impl From<ReadError> for Reply {
    fn from(error: ReadError) -> Self {
        Self::error(ResponseCode::SYSTEM_ERROR, error)
    }
}

impl From<wire::remoting::loose_json::BodyError> for Reply {
    fn from(error: wire::remoting::loose_json::BodyError) -> Self {
        Self::error(ResponseCode::INVALID_PARAMETER, error)
    }
}
