//! The process as its HTTP port shows it.

use super::metrics;
use ::broker::Broker;
use console::{Health, Metrics, Page};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

/// The process as its HTTP port shows it.
#[derive(Default)]
pub(super) struct Node {
    state: AtomicU8,
    broker: OnceLock<Arc<Broker>>,
    connections: OnceLock<Vec<(&'static str, Arc<AtomicUsize>)>>,
}

impl Node {
    pub(super) fn set_ready(&self) {
        self.state.store(READY, Ordering::Release);
    }

    pub(super) fn set_stopping(&self) {
        self.state.store(STOPPING, Ordering::Release);
    }

    /// Shows a broker and how many connections its ports have. Called once.
    pub(super) fn show(&self, broker: &Arc<Broker>, connections: Vec<(&'static str, Arc<AtomicUsize>)>) {
        // A second call would be a mistake of the caller's; the first broker stays shown.
        self.broker.get_or_init(|| Arc::clone(broker));
        self.connections.get_or_init(|| connections);
    }
}

impl Health for Node {
    fn ready(&self) -> Result<(), String> {
        match self.state.load(Ordering::Acquire) {
            STARTING => return Err("starting".to_owned()),
            STOPPING => return Err("stopping".to_owned()),
            _ => {}
        }
        match self.broker.get().and_then(|broker| broker.store().poison()) {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        }
    }
}

impl Metrics for Node {
    fn write(&self, page: &mut Page) {
        metrics::build(page);
        page.single(
            "trefoil_ready",
            console::Kind::Gauge,
            "1 if requests should be sent here.",
            u8::from(self.ready().is_ok()),
        );
        if let Some(connections) = self.connections.get() {
            let name = "trefoil_connections";
            page.metric(name, console::Kind::Gauge, "Open connections by port.");
            for (port, open) in connections {
                page.sample(name, &[("port", port)], open.load(Ordering::Relaxed));
            }
        }
        if let Some(broker) = self.broker.get() {
            metrics::traffic(page, broker);
            metrics::busiest(page, broker);
            metrics::administration(page, broker);
            metrics::disk(page, broker);
            metrics::log(page, broker.store());
            metrics::timers(page, broker);
            metrics::queues(page, broker);
        }
    }
}
