//! The name servers that this broker tells of its topics, and what they know already.
//!
//! Who creates a topic asks for its route next, and some clients give up at once if there is none. So creating a topic
//! ends when the name servers know it; one that does not answer is not waited for.

use crate::administration::to_its_end;
use crate::{AdminError, Broker, TopicState};
use model::{DataVersion, Topic, TopicConfig};
use parking_lot::Mutex;
use rt::watch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that a new topic waits for name servers.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Changes that are remembered one by one; who missed more is told all topics.
const RECENT_MAX: usize = 1024;

/// The topics at one moment: what there is to tell.
pub struct Announcement {
    /// Which change was the last, as [`Broker::topics_changed`] counts them.
    pub change: u64,
    /// The same, as name servers count.
    pub version: DataVersion,
    /// What clients may do on this broker at most.
    pub permission: u32,
    /// Whether these are all topics. Otherwise they are the new and changed ones, and none is gone.
    pub is_complete: bool,
    /// Topics, in no order.
    pub topics: Vec<Arc<TopicState>>,
}

/// Who is told of changes, and which there were.
pub(crate) struct Audience {
    /// The change of the topics that each name server knows. Those that do not answer are not in it.
    known: watch::Sender<BTreeMap<String, u64>>,
    /// The last changes, newest last: the topic that is new or changed, or `None` if one is gone or all are concerned.
    recent: Mutex<VecDeque<Option<Topic>>>,
}

impl Default for Audience {
    fn default() -> Self {
        Self { known: watch::channel(BTreeMap::new()).0, recent: Mutex::default() }
    }
}

impl Audience {
    /// Notes a change, before it is counted.
    pub(crate) fn note(&self, topic: Option<Topic>) {
        let mut recent = self.recent.lock();
        recent.push_back(topic);
        if recent.len() > RECENT_MAX {
            recent.pop_front();
        }
    }

    /// The topics that the last so many changes were about, if that is all they did.
    fn changed_by_last(&self, count: u64) -> Option<BTreeSet<Topic>> {
        let recent = self.recent.lock();
        let first = recent.len().checked_sub(usize::try_from(count).ok()?)?;
        recent.range(first..).cloned().collect()
    }
}

impl Broker {
    /// What there is to tell a name server that knows the topics as they were after the change `since`. No change is half
    /// in it.
    pub async fn announcement(&self, since: Option<u64>) -> Announcement {
        let _changing = self.changing().lock().await;
        let change = *self.topics_changed().borrow();
        let changed = since.and_then(|since| self.audience().changed_by_last(change.saturating_sub(since)));
        Announcement {
            change,
            version: self.metadata().read().topics_version,
            permission: self.permission(),
            is_complete: changed.is_none(),
            topics: match changed {
                Some(names) => names.iter().filter_map(|name| self.topics().get(name.as_str())).collect(),
                None => self.topics().unordered(),
            },
        }
    }

    /// Marks topics as ordered that a name server has an order configuration of: tools that change something else about a
    /// topic leave the mark out. Durable on return.
    ///
    /// # Errors
    /// [`AdminError`] if it could not be stored.
    pub async fn order_topics(self: &Arc<Self>, names: impl Iterator<Item = &String>) -> Result<(), AdminError> {
        let is_unordered = |name: &&String| self.topics().get(name).is_some_and(|topic| !topic.config.order);
        let names: Vec<String> = names.filter(is_unordered).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let broker = Arc::clone(self);
        to_its_end(async move {
            let _changing = broker.changing().lock().await;
            for topic in names.iter().filter_map(|name| broker.topics().get(name)) {
                broker.set_topic(TopicConfig { order: true, ..topic.config.clone() }).await?;
            }
            Ok(())
        })
        .await
    }

    /// A name server knows the topics as they were after a change.
    pub fn name_server_knows(&self, server: &str, change: u64) {
        self.audience().known.send_modify(|known| {
            known.insert(server.to_owned(), change);
        });
    }

    /// A name server does not answer, or is not told any more: nothing waits for it until it knows something again.
    pub fn name_server_silent(&self, server: &str) {
        self.audience().known.send_modify(|known| {
            known.remove(server);
        });
    }

    /// Returns when the name servers know the topics as they are now, or have not answered for a second.
    pub async fn name_servers_know_topics(&self) {
        let change = *self.topics_changed().borrow();
        let mut known = self.audience().known.subscribe();
        let told = known.wait_for(|known| known.values().all(|at| *at >= change));
        if rt::timeout(WAIT_MAX, async { told.await.map(drop) }).await.is_err() {
            tracing::warn!("a name server is slow; topics changed here can be found there only later");
            // One wait is enough: whoever comes next does not pay again.
            self.audience().known.send_modify(|known| known.retain(|_, at| *at >= change));
        }
    }
}
