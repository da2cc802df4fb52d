//! What the broker says to clients on its own: notices and questions.

use crate::server::{Call, Connection};
use ::broker::{Ask, AskError, ClientChannel, Notice};
use bytes::Bytes;
use rt::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::{RequestCode, ResponseCode};

/// A client behind a connection.
pub(super) struct Channel {
    pub(super) connection: Arc<Connection>,
}

impl ClientChannel for Channel {
    fn id(&self) -> u64 {
        self.connection.id()
    }

    fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    fn notify(&self, notice: &Notice) {
        let sent = match notice {
            Notice::MembersChanged(group) => self.connection.notify(&Call {
                code: RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0,
                fields: &[("consumerGroup", group.as_str())],
                body: b"",
            }),
        };
        if let Err(error) = sent {
            tracing::debug!(peer = %self.connection.peer(), %error, "a notice did not reach a client");
        }
    }

    fn ask(&self, ask: Ask, within: Duration) -> BoxFuture<'static, Result<Bytes, AskError>> {
        let connection = Arc::clone(&self.connection);
        Box::pin(async move {
            let (code, fields, body) = question(&ask);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let call = Call { code: code.0, fields: &fields, body: &body };
            let answer =
                connection.call(&call, within).await.map_err(|error| AskError::Unreachable(error.to_string()))?;
            if answer.code == ResponseCode::SUCCESS.0 {
                return Ok(answer.body);
            }
            Err(AskError::Refused { code: answer.code, remark: answer.remark.unwrap_or_default() })
        })
    }
}

type Fields = Vec<(&'static str, String)>;

fn question(ask: &Ask) -> (RequestCode, Fields, Bytes) {
    match ask {
        Ask::RunningInfo { group, client, stacks } => (
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            vec![
                ("consumerGroup", group.to_string()),
                ("clientId", client.clone()),
                ("jstackEnable", stacks.to_string()),
            ],
            Bytes::new(),
        ),
        Ask::Status { topic, group } => (
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT,
            vec![("topic", topic.to_string()), ("group", group.to_string())],
            Bytes::new(),
        ),
        Ask::ConsumeDirectly { group, client, message_id, broker, record } => (
            RequestCode::CONSUME_MESSAGE_DIRECTLY,
            vec![
                ("consumerGroup", group.to_string()),
                ("clientId", client.clone()),
                ("msgId", message_id.clone()),
                ("brokerName", broker.clone()),
            ],
            record.clone(),
        ),
    }
}
