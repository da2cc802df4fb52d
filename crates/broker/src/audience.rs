//! The name servers that this broker tells of its topics, and what they know already.
//!
//! Who creates a topic asks for its route next, and some clients give up at once if there is none. So creating a topic
//! ends when the name servers know it; one that does not answer is not waited for.

use crate::{Broker, TopicState};
use model::{DataVersion, Topic};
use rt::watch;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that a new topic waits for name servers.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The topics at one moment: what there is to tell.
pub struct Announcement {
    /// Which change was the last, as [`Broker::topics_changed`] counts them.
    pub change: u64,
    /// The same, as name servers count.
    pub version: DataVersion,
    /// What clients may do on this broker at most.
    pub permission: u32,
    /// All topics.
    pub topics: HashMap<Topic, Arc<TopicState>>,
}

/// The change of the topics that each name server knows. Those that do not answer are not in it.
pub(crate) struct Audience(watch::Sender<BTreeMap<String, u64>>);

impl Default for Audience {
    fn default() -> Self {
        Self(watch::channel(BTreeMap::new()).0)
    }
}

impl Broker {
    /// What there is to tell name servers now. No change is half in it.
    pub async fn announcement(&self) -> Announcement {
        let _changing = self.changing().lock().await;
        Announcement {
            change: *self.topics_changed().borrow(),
            version: self.metadata().read().topics_version,
            permission: self.permission(),
            topics: self.topics_by_name(),
        }
    }

    /// A name server knows the topics as they were after a change.
    pub fn name_server_knows(&self, server: &str, change: u64) {
        self.audience().0.send_modify(|known| {
            known.insert(server.to_owned(), change);
        });
    }

    /// A name server does not answer, or is not told any more: nothing waits for it until it knows something again.
    pub fn name_server_silent(&self, server: &str) {
        self.audience().0.send_modify(|known| {
            known.remove(server);
        });
    }

    /// Returns when the name servers know the topics as they are now, or have not answered for a second.
    pub async fn name_servers_know_topics(&self) {
        let change = *self.topics_changed().borrow();
        let mut known = self.audience().0.subscribe();
        let told = known.wait_for(|known| known.values().all(|at| *at >= change));
        if rt::timeout(WAIT_MAX, async { told.await.map(drop) }).await.is_err() {
            tracing::warn!("a name server is slow; topics changed here can be found there only later");
            // One wait is enough: whoever comes next does not pay again.
            self.audience().0.send_modify(|known| known.retain(|_, at| *at >= change));
        }
    }
}
