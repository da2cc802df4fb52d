//! Replies to requests: handed to the client that waits for one, and kept in the cluster's reply topic.

use crate::{Ask, AskError, Broker, Content, Publish, PublishError, Receipt};
use bytes::Bytes;
use model::properties;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long the client that waits may take to accept a reply.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);

/// A reply as the client that waits is handed it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Group of the producer that replies.
    pub producer_group: String,
    /// The reply topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// See [`model::sys_flag`].
    pub sys_flag: i32,
    /// Ms since the epoch by the replier's clock.
    pub born_timestamp: i64,
    /// The replier.
    pub born_host: SocketAddr,
    /// This broker.
    pub store_host: SocketAddr,
    /// When the broker took it, ms since the epoch.
    pub store_timestamp: i64,
    /// The replier's flag.
    pub flag: i32,
    /// Properties text.
    pub properties: String,
    /// Body.
    pub body: Bytes,
}

/// Why a reply did not reach the client that waits for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplyError {
    /// The reply does not say who waits.
    #[error("the reply has no property {}; make it from the request", properties::REPLY_TO_CLIENT)]
    NoClient,
    /// A batch is no reply.
    #[error("a reply is one message, not a batch")]
    Batch,
    /// Who waits is not connected here.
    #[error("push reply message fail, channel of <{client}> not found")]
    NotOnline {
        /// The client that waits.
        client: String,
    },
    /// Who waits did not take it.
    #[error("push reply to <{client}> fail: {error}")]
    Refused {
        /// The client that waits.
        client: String,
        /// What went wrong.
        error: AskError,
    },
    /// It was handed over but could not be kept.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Broker {
    /// Hands a reply to the client that waits for it, then keeps it as any message.
    ///
    /// # Errors
    /// [`ReplyError`]; a reply that reached nobody is not kept.
    pub async fn reply(self: &Arc<Self>, producer_group: &str, send: Publish<'static>) -> Result<Receipt, ReplyError> {
        let Content::Single(part) = &send.content else { return Err(ReplyError::Batch) };
        let client = properties::get(&part.properties, properties::REPLY_TO_CLIENT).ok_or(ReplyError::NoClient)?;
        let client = client.to_owned();
        let now = self.now().0;
        let reply = Reply {
            producer_group: producer_group.to_owned(),
            topic: send.topic.to_string(),
            queue_id: send.queue_id,
            sys_flag: send.sys_flag,
            born_timestamp: send.born_timestamp,
            born_host: send.born_host,
            store_host: self.options().advertised,
            store_timestamp: now,
            flag: part.flag,
            properties: properties::with(&part.properties, properties::PUSH_REPLY_TIME, &now.to_string()),
            body: Bytes::copy_from_slice(&part.body),
        };
        let channel = self.groups().client(&client);
        let channel = channel.ok_or_else(|| ReplyError::NotOnline { client: client.clone() })?;
        let taken = channel.ask(Ask::Reply(Box::new(reply)), ACCEPT_TIMEOUT).await;
        taken.map_err(|error| ReplyError::Refused { client, error })?;
        Ok(self.publish(send).await?)
    }
}
