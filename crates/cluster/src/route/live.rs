//! Who was heard of last, and when.

use super::{ConnectionId, Monotonic};
use std::collections::HashMap;
use std::time::Duration;
use wire::remoting::body::DataVersion;

/// One replica that registered.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) broker_name: String,
    pub(super) heard: Monotonic,
    pub(super) timeout: Duration,
    pub(super) version: DataVersion,
    pub(super) ha_address: String,
    pub(super) connection: ConnectionId,
}

/// Replicas by cluster and address.
#[derive(Default)]
pub(super) struct LiveBrokers(HashMap<(String, String), Live>);

impl LiveBrokers {
    pub(super) fn get(&self, cluster: &str, address: &str) -> Option<&Live> {
        self.0.get(&(cluster.to_owned(), address.to_owned()))
    }

    pub(super) fn put(&mut self, cluster: &str, address: &str, live: Live) {
        self.0.insert((cluster.to_owned(), address.to_owned()), live);
    }

    pub(super) fn remove(&mut self, cluster: &str, address: &str) -> Option<Live> {
        self.0.remove(&(cluster.to_owned(), address.to_owned()))
    }

    /// Whether a replica of this broker registered from an address, in whichever cluster.
    pub(super) fn has(&self, broker: &str, address: &str) -> bool {
        self.0.iter().any(|((_, at), live)| at == address && live.broker_name == broker)
    }

    /// Takes a sign of life; false if the replica is not known.
    pub(super) fn hear(&mut self, cluster: &str, address: &str, connection: ConnectionId, now: Monotonic) -> bool {
        let Some(live) = self.0.get_mut(&(cluster.to_owned(), address.to_owned())) else { return false };
        live.heard = now;
        // It may have connected anew: then the end of the old connection must not count.
        live.connection = connection;
        true
    }

    /// Cluster, address and broker name of those that match.
    pub(super) fn find(&self, matches: impl Fn(&Live) -> bool) -> Vec<(String, String, Live)> {
        let found = self.0.iter().filter(|(_, live)| matches(live));
        let mut found: Vec<_> =
            found.map(|((cluster, address), live)| (cluster.clone(), address.clone(), live.clone())).collect();
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        found
    }
}
