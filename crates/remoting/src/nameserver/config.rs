//! What operators may change while a name server runs, under the original's names.

use super::{NameServer, Outcome};
use crate::reply::Reply;
use crate::server::Connection;
use cluster::metadata::{Change, State};
use cluster::route::Options;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::ResponseCode;

/// Where the changed values are kept.
pub(super) const CONFIG_NAMESPACE: &str = "TREFOIL_NAMESERVER_CONFIG";
/// Names of the original that could make a server read or write files of the caller's choice.
const FORBIDDEN: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/// A name server's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `orderMessageEnable`: routes carry the order configuration of their topic. Default false.
    pub order_messages: bool,
    /// `returnOrderTopicConfigToBroker`: so do answers to registrations. Default true.
    pub return_order_config: bool,
    /// `supportActingMaster`: replicas may stand in for their master. Default false.
    pub acting_master: bool,
    /// `notifyMinBrokerIdChanged`: replicas hear of a new lowest id. Default false.
    pub notify_min_broker: bool,
    /// `deleteTopicWithBrokerRegistration`: every registration is taken for complete. Default false.
    pub delete_topics: bool,
    /// `scanNotActiveBrokerInterval`: time between two looks for silent brokers, 100 to 600,000 ms. Default 5,000 ms.
    pub scan_interval: Duration,
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key.
    #[error("the key '{key}' is not known; known are {}", KEYS.join(", "))]
    Unknown {
        /// As sent.
        key: String,
    },
    /// Not a value of its key.
    #[error("{key} is '{value}'; allowed: {allowed}")]
    Value {
        /// Key.
        key: String,
        /// As sent.
        value: String,
        /// What would have been right.
        allowed: &'static str,
    },
    /// Not changeable over the network.
    #[error("the key '{key}' can not be changed over the network: can not update config in black list")]
    Forbidden {
        /// As sent.
        key: String,
    },
}

const KEYS: [&str; 6] = [
    "orderMessageEnable",
    "returnOrderTopicConfigToBroker",
    "supportActingMaster",
    "notifyMinBrokerIdChanged",
    "deleteTopicWithBrokerRegistration",
    "scanNotActiveBrokerInterval",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            order_messages: false,
            return_order_config: true,
            acting_master: false,
            notify_min_broker: false,
            delete_topics: false,
            scan_interval: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The configuration that was stored before; what can no longer be read takes its default.
    pub(super) fn stored(state: &State) -> Self {
        let mut config = Self::default();
        for (key, value) in state.kv.get(CONFIG_NAMESPACE).into_iter().flatten() {
            if let Err(error) = config.set(key, value) {
                tracing::warn!(%error, "a stored configuration value is ignored");
            }
        }
        config
    }

    /// What concerns the routes.
    pub(super) fn table(&self) -> Options {
        Options {
            acting_master: self.acting_master,
            notify_min_broker: self.notify_min_broker,
            delete_topics_with_registration: self.delete_topics,
            ..Options::default()
        }
    }

    fn flag_mut(&mut self, key: &str) -> Option<&mut bool> {
        Some(match key {
            "orderMessageEnable" => &mut self.order_messages,
            "returnOrderTopicConfigToBroker" => &mut self.return_order_config,
            "supportActingMaster" => &mut self.acting_master,
            "notifyMinBrokerIdChanged" => &mut self.notify_min_broker,
            "deleteTopicWithBrokerRegistration" => &mut self.delete_topics,
            _ => return None,
        })
    }

    /// Changes one value.
    ///
    /// # Errors
    /// [`ConfigError`]; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let bad = |allowed| ConfigError::Value { key: key.to_owned(), value: value.to_owned(), allowed };
        if FORBIDDEN.contains(&key) {
            return Err(ConfigError::Forbidden { key: key.to_owned() });
        }
        if let Some(flag) = self.flag_mut(key) {
            *flag = value.parse().map_err(|_| bad("true, false"))?;
            return Ok(());
        }
        if key != "scanNotActiveBrokerInterval" {
            return Err(ConfigError::Unknown { key: key.to_owned() });
        }
        let ms = value.parse().ok().filter(|ms| (100..=600_000).contains(ms));
        self.scan_interval = Duration::from_millis(ms.ok_or_else(|| bad("100 to 600000 ms"))?);
        Ok(())
    }

    /// The configuration as properties.
    #[must_use]
    pub fn to_properties(&self) -> String {
        let mut copy = *self;
        let mut text = String::new();
        for key in KEYS {
            let value = match copy.flag_mut(key) {
                Some(flag) => flag.to_string(),
                None => self.scan_interval.as_millis().to_string(),
            };
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }
}

impl NameServer {
    /// With the port that the caller has reached, which tools show.
    pub(super) fn get_config(&self, connection: &Connection) -> Reply {
        let port = connection.local().port();
        Reply::ok().with_body(format!("{}listenPort={port}\n", self.config.load().to_properties()))
    }

    /// All of the changes or none; in force when they are durable.
    pub(super) fn update_config(&self, body: &[u8]) -> Result<Outcome, Reply> {
        let pairs = crate::properties::read(body)?;
        let mut config = **self.config.load();
        for (key, value) in &pairs {
            config.set(key, value).map_err(|error| {
                let code = match error {
                    ConfigError::Forbidden { .. } => ResponseCode::NO_PERMISSION,
                    _ => ResponseCode::INVALID_PARAMETER,
                };
                Reply::error(code, error)
            })?;
        }
        let edits = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let change = Change::KvEdited { namespace: CONFIG_NAMESPACE.to_owned(), edits };
        let (metadata, routes, in_force) = (self.metadata.clone(), Arc::clone(&self.routes), Arc::clone(&self.config));
        let put_in_force = move || {
            // Of two changes at once both are stored by now, or the other one comes here later.
            routes.apply(|table| {
                let config = Config::stored(&metadata.read());
                in_force.store(Arc::new(config));
                table.set_options(config.table());
            });
            tracing::info!(changes = ?pairs, "the configuration is changed");
        };
        Ok(Outcome::After(change, Box::new(put_in_force)))
    }
}
