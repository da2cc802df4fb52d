//! A broker's registration with its name servers, ours or the original's.
//!
//! The whole of it is sent when topics changed and once in a while; in between name servers are only asked whether what
//! they have is current, which counts as a sign of life.

use crate::broker::all_topics;
use crate::client::{Client, ClientError};
use crate::nameserver::FIELD_COMPLETE;
use crate::server::Call;
use ::broker::Broker;
use rt::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::RegisterBrokerBody;
use wire::remoting::request::{QueryDataVersion, RegisterBroker, UnregisterBroker};
use wire::remoting::{RequestCode, registration};

/// Time between two signs of life.
const PERIOD: Duration = Duration::from_secs(30);
/// How long a name server may take.
const TIMEOUT: Duration = Duration::from_secs(6);
/// Time to wait after a change of topics, so that changes that come together are told together.
const GATHER: Duration = Duration::from_millis(5);
/// Time after which name servers that have not heard of this broker forget it.
const HEARTBEAT_TIMEOUT_MS: i64 = 120_000;

/// Who registers, and where.
pub struct Registration {
    broker: Arc<Broker>,
    client: Client,
    name_servers: Vec<String>,
    /// What clients are told: `host:port`.
    address: String,
}

impl Registration {
    /// `name_servers`: addresses `host:port`, looked up anew at each attempt. `address`: what clients are told.
    #[must_use]
    pub fn new(broker: Arc<Broker>, client: Client, name_servers: Vec<String>, address: String) -> Self {
        Self { broker, client, name_servers, address }
    }

    /// Registers with every name server once; those that do not answer are logged and asked again later.
    pub async fn register_all(&self) {
        for server in &self.name_servers {
            if let Err(error) = self.register(server).await {
                tracing::warn!(%error, "cannot register with a name server; trying again");
            }
        }
    }

    /// Keeps the registration alive until shutdown, then withdraws it.
    pub async fn run(self, shutdown: Shutdown) {
        let this = Arc::new(self);
        let tasks: Vec<_> = this
            .name_servers
            .iter()
            .map(|server| rt::spawn(Arc::clone(&this).keep(server.clone(), shutdown.clone())))
            .collect();
        for task in tasks {
            if task.await.is_err() {
                tracing::error!("a registration task failed; the broker may vanish from a name server");
            }
        }
    }

    async fn keep(self: Arc<Self>, server: String, shutdown: Shutdown) {
        let mut changed = self.broker.topics_changed();
        loop {
            let topics_changed = tokio::select! {
                biased;
                () = shutdown.wait() => break,
                changed = changed.changed() => changed.is_ok(),
                () = rt::sleep(PERIOD) => false,
            };
            if topics_changed {
                rt::sleep(GATHER).await;
                changed.mark_unchanged();
            }
            let current = !topics_changed && self.is_current(&server).await.unwrap_or(false);
            if !current && let Err(error) = self.register(&server).await {
                tracing::warn!(%error, "cannot register with a name server; trying again");
            }
        }
        if let Err(error) = self.unregister(&server).await {
            tracing::warn!(%error, "cannot withdraw from a name server; it will notice by itself");
        }
    }

    /// Whether the name server has the newest topics.
    async fn is_current(&self, server: &str) -> Result<bool, ClientError> {
        let options = self.broker.options();
        let header = QueryDataVersion {
            broker_name: &options.broker_name,
            broker_addr: &self.address,
            cluster_name: &options.cluster,
            broker_id: options.broker_id as i64,
        };
        let mut fields = Vec::new();
        header.write(&mut fields);
        let version = all_topics(&self.broker).data_version;
        let body = wire::remoting::loose_json::to_vec(&version, wire::remoting::loose_json::Dialect::Strict);
        let answer = self.ask(server, RequestCode::QUERY_DATA_VERSION, &fields, &body).await?;
        Ok(answer.fields.iter().any(|(name, value)| name == "changed" && value == "false"))
    }

    async fn register(&self, server: &str) -> Result<(), ClientError> {
        let options = self.broker.options();
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: all_topics(&self.broker),
            filter_server_list: Vec::new(),
        };
        let body = registration::encode(&body, false);
        let header = RegisterBroker {
            broker_name: &options.broker_name,
            broker_addr: &self.address,
            cluster_name: &options.cluster,
            // There is no replication yet: the field is required, and nobody connects to it.
            ha_server_addr: &self.address,
            broker_id: options.broker_id as i64,
            heartbeat_timeout_millis: Some(HEARTBEAT_TIMEOUT_MS),
            enable_acting_master: Some(false),
            compressed: Some(false),
            body_crc32: Some(i64::from(model::record::body_crc(&body))),
            zone_name: None,
        };
        let mut fields = Vec::new();
        header.write(&mut fields);
        fields.push((FIELD_COMPLETE.to_owned(), "true".to_owned()));
        self.ask(server, RequestCode::REGISTER_BROKER, &fields, &body).await.map(drop)
    }

    async fn unregister(&self, server: &str) -> Result<(), ClientError> {
        let options = self.broker.options();
        let header = UnregisterBroker {
            broker_name: &options.broker_name,
            broker_addr: &self.address,
            cluster_name: &options.cluster,
            broker_id: options.broker_id as i64,
        };
        let mut fields = Vec::new();
        header.write(&mut fields);
        self.ask(server, RequestCode::UNREGISTER_BROKER, &fields, &[]).await.map(drop)
    }

    async fn ask(
        &self,
        server: &str,
        code: RequestCode,
        fields: &[(String, String)],
        body: &[u8],
    ) -> Result<crate::server::Response, ClientError> {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.client.ask(server, &Call { code: code.0, fields: &fields, body }, TIMEOUT).await
    }
}
