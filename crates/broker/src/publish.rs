//! Publishing: checks, placement, and the append.
//!
//! What one caller brings is checked one by one and handed to the log at once ([`Publishing`]); the future that it gives
//! only waits until all is as safe as its topics promise.

mod place;
mod redirect;

use crate::{Broker, PublishError};
use model::QueueId;
use model::properties::Labels;
use model::record::Place;
use place::Drafts;
use redirect::SendTopics;
use rt::BoxFuture;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::AppendError;

/// One message, or one batch, as a producer sends it.
#[derive(Clone, Debug)]
pub struct Publish<'a> {
    /// Topic.
    pub topic: Cow<'a, str>,
    /// The topic whose settings a topic created by this send copies.
    pub default_topic: Cow<'a, str>,
    /// Queues that the producer would like such a topic to have.
    pub default_queues: u32,
    /// Queue; negative: any.
    pub queue_id: i32,
    /// See [`model::sys_flag`].
    pub sys_flag: i32,
    /// Ms since the epoch by the producer's clock.
    pub born_timestamp: i64,
    /// The producer.
    pub born_host: SocketAddr,
    /// How often the message was consumed in vain (a consumer that sends back by itself).
    pub reconsume_times: i32,
    /// The consumer's own limit of deliveries.
    pub max_reconsume_times: Option<i32>,
    /// What is to be stored.
    pub content: Content<'a>,
}

/// What one send carries.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// A message.
    Single(BatchPart<'a>),
    /// Messages of one topic, stored all or none.
    Batch(Vec<BatchPart<'a>>),
}

/// One message of a send.
#[derive(Clone, Debug)]
pub struct BatchPart<'a> {
    /// The producer's flag.
    pub flag: i32,
    /// Properties text.
    pub properties: Cow<'a, str>,
    /// Body.
    pub body: Cow<'a, [u8]>,
}

/// Where a send was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The queue.
    pub queue_id: QueueId,
    /// The message's place, or that of the first message of a batch.
    pub first: Place,
    /// Places of the other messages of a batch.
    pub rest: Vec<Place>,
    /// What [`Broker::recall`] takes a timed message back by.
    pub recall_handle: Option<Box<str>>,
}

/// Most messages of one batch: all of them must fit the count of an atomic append.
pub const BATCH_MESSAGES_MAX: usize = u16::MAX as usize;

/// What becomes of one send of a call.
enum Slot {
    Refused(PublishError),
    Stored { queue_id: QueueId, count: usize, recall_handle: Option<Box<str>> },
    NeedsTopic(Box<Publish<'static>>),
}

/// What checking a send gives.
enum Planned {
    Appends { queue_id: QueueId, count: usize, recall_handle: Option<Box<str>> },
    NeedsTopic,
}

impl<'a> Content<'a> {
    /// Its messages.
    pub(crate) fn parts(&self) -> &[BatchPart<'a>] {
        match self {
            Self::Single(part) => std::slice::from_ref(part),
            Self::Batch(parts) => parts,
        }
    }
}

impl Publish<'_> {
    fn into_owned(self) -> Publish<'static> {
        let own = |part: BatchPart<'_>| BatchPart {
            flag: part.flag,
            properties: Cow::Owned(part.properties.into_owned()),
            body: Cow::Owned(part.body.into_owned()),
        };
        Publish {
            topic: Cow::Owned(self.topic.into_owned()),
            default_topic: Cow::Owned(self.default_topic.into_owned()),
            content: match self.content {
                Content::Single(part) => Content::Single(own(part)),
                Content::Batch(parts) => Content::Batch(parts.into_iter().map(own).collect()),
            },
            ..self
        }
    }
}

/// Sends of one caller: each is checked and drafted as it is added, all go to the log together.
#[must_use = "nothing is stored before `store` is called"]
pub struct Publishing<'b> {
    broker: &'b Arc<Broker>,
    topics: SendTopics,
    drafts: Drafts,
    slots: Vec<Slot>,
    since: Duration,
}

impl Publishing<'_> {
    /// Sends to these topics and queues are added next: what they need is then fetched from memory together.
    pub fn expect<'n>(&mut self, sends: impl Iterator<Item = (&'n str, i32)> + Clone) {
        self.topics.expect(self.broker, sends);
    }

    /// Adds a send. What is wrong with it is its answer.
    pub fn add(&mut self, send: Publish<'_>) {
        let before = self.drafts.appends.len();
        self.slots.push(match self.broker.plan(&send, &mut self.topics, &mut self.drafts) {
            Ok(Planned::Appends { queue_id, count, recall_handle }) => Slot::Stored { queue_id, count, recall_handle },
            Ok(Planned::NeedsTopic) => Slot::NeedsTopic(Box::new(send.into_owned())),
            Err(error) => {
                self.drafts.appends.truncate(before);
                Slot::Refused(error)
            }
        });
    }

    /// The unique id that its client gave the message added last; empty if there is none, or the message was refused.
    #[must_use]
    pub fn unique_key(&self) -> &str {
        match self.slots.last() {
            Some(Slot::Stored { .. }) => &self.drafts.unique_key,
            Some(Slot::NeedsTopic(send)) => {
                let last = send.content.parts().last();
                last.and_then(|part| Labels::of(&part.properties).unique_key).unwrap_or_default()
            }
            Some(Slot::Refused(_)) | None => "",
        }
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Hands all to the log before it returns. Each send succeeds or fails by itself; the answers come in the order of
    /// the sends, together, when the last of them is safe.
    pub fn store(self) -> BoxFuture<'static, Vec<Result<Receipt, PublishError>>> {
        let Self { broker, drafts: Drafts { appends, .. }, slots, since, .. } = self;
        let appending = if appends.is_empty() { None } else { Some(broker.store().append(appends)) };
        let broker = Arc::clone(broker);
        Box::pin(async move {
            let places = match appending {
                None => Ok(Vec::new()),
                Some(Ok(appending)) => Ok(appending.await),
                Some(Err(error)) => Err(error),
            };
            let receipts = broker.collect(slots, places).await;
            broker.meter().published(receipts.len(), broker.host().clock.monotonic().saturating_sub(since));
            receipts
        })
    }
}

impl Broker {
    /// Begins to publish about so many sends, whose bodies have so many bytes together.
    pub fn publishing(self: &Arc<Self>, sends: usize, body_bytes: usize) -> Publishing<'_> {
        Publishing {
            broker: self,
            topics: SendTopics::default(),
            drafts: Drafts::new(self.now(), sends, body_bytes),
            slots: Vec::with_capacity(sends),
            since: self.host().clock.monotonic(),
        }
    }

    /// Stores one message or batch.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(self: &Arc<Self>, send: Publish<'_>) -> Result<Receipt, PublishError> {
        let body_bytes = send.content.parts().iter().map(|part| part.body.len()).sum();
        let mut publishing = self.publishing(1, body_bytes);
        publishing.add(send);
        let mut receipts = publishing.store().await;
        receipts.pop().unwrap_or(Err(PublishError::Batch { reason: "it is empty" }))
    }

    async fn collect(
        self: &Arc<Self>,
        slots: Vec<Slot>,
        places: Result<Vec<Result<Place, AppendError>>, AppendError>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let mut receipts = Vec::with_capacity(slots.len());
        let mut places = places.map(Vec::into_iter);
        for slot in slots {
            receipts.push(match slot {
                Slot::Refused(error) => Err(error),
                Slot::NeedsTopic(send) => self.create_and_publish(*send).await,
                Slot::Stored { queue_id, count, recall_handle } => match &mut places {
                    Ok(places) => receipt(queue_id, recall_handle, count, places),
                    Err(error) => Err(error.clone().into()),
                },
            });
        }
        receipts
    }

    async fn create_and_publish(self: &Arc<Self>, send: Publish<'static>) -> Result<Receipt, PublishError> {
        self.create_topic_for(&send).await?;
        let mut drafts = Drafts::new(self.now(), 1, 0);
        match self.plan(&send, &mut SendTopics::default(), &mut drafts)? {
            Planned::NeedsTopic => Err(PublishError::TopicNotFound { topic: send.topic.into_owned() }),
            Planned::Appends { queue_id, count, recall_handle } => {
                let mut places = self.store().append(drafts.appends)?.await.into_iter();
                receipt(queue_id, recall_handle, count, &mut places)
            }
        }
    }

    /// Checks a send and adds what is to be appended for it.
    fn plan(&self, send: &Publish<'_>, topics: &mut SendTopics, drafts: &mut Drafts) -> Result<Planned, PublishError> {
        self.check_room()?;
        let Some(target) = self.redirect(send, topics)? else { return Ok(Planned::NeedsTopic) };
        match &send.content {
            Content::Single(part) => {
                let is_timed = self.draft(send, part, &target, false, drafts)?;
                let recall_handle = if is_timed { self.recall_handle(drafts) } else { None };
                // Of a timed message the producer is told the queue that it is meant for.
                Ok(Planned::Appends { queue_id: target.queue.id(), count: 1, recall_handle })
            }
            Content::Batch(parts) => {
                if parts.is_empty() || parts.len() > BATCH_MESSAGES_MAX {
                    return Err(PublishError::Batch { reason: "it must have 1 to 65,535 messages" });
                }
                let len = parts.iter().map(|part| part.body.len()).sum();
                let max = self.message_bytes_max();
                if len > max {
                    return Err(PublishError::BodyTooLarge { len, max });
                }
                if target.is_retry() {
                    return Err(PublishError::Batch { reason: "batches to retry topics are not allowed" });
                }
                for (i, part) in parts.iter().enumerate() {
                    self.draft(send, part, &target, i + 1 < parts.len(), drafts)?;
                }
                Ok(Planned::Appends { queue_id: target.queue.id(), count: parts.len(), recall_handle: None })
            }
        }
    }
}

/// The receipt of the send whose messages have the next `count` places.
fn receipt(
    queue_id: QueueId,
    recall_handle: Option<Box<str>>,
    count: usize,
    places: &mut std::vec::IntoIter<Result<Place, AppendError>>,
) -> Result<Receipt, PublishError> {
    let first = places.next().unwrap_or(Err(AppendError::Closed));
    let mut others = places.take(count - 1);
    let rest: Result<_, _> = others.by_ref().collect();
    // Taken as a whole, whatever became of them: those behind belong to other sends.
    others.for_each(drop);
    Ok(Receipt { queue_id, first: first?, rest: rest?, recall_handle })
}
