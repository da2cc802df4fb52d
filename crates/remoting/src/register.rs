//! A broker's registration with its name servers, ours or the original's.
//!
//! The whole of it is sent first, and when topics were deleted; after other changes only what changed, if the name server
//! still has the version before and says that it takes parts: those of the original may be set to drop what a registration
//! does not name. In between name servers are only asked whether what they have is current, which counts
//! as a sign of life.

use crate::broker::{topic_table, version_body};
use crate::client::{Client, ClientError};
use crate::nameserver::{FIELD_COMPLETE, FIELD_TAKES_PARTS};
use crate::server::{Call, Response};
use ::broker::Broker;
use futures_util::{StreamExt as _, stream};
use model::permission;
use rt::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{DataVersion, KvTable, RegisterBrokerBody};
use wire::remoting::loose_json::{self, Dialect};
use wire::remoting::request::{QueryDataVersion, RegisterBroker, UnregisterBroker};
use wire::remoting::{RequestCode, registration};

/// Time between two signs of life; also the longest time for which a name server that was restarted lacks this broker.
const PERIOD: Duration = Duration::from_secs(10);
/// Time until the next attempt after one that failed.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// How long a name server may take.
const TIMEOUT: Duration = Duration::from_secs(6);
/// Name servers that are told at the same time at the start: none is to wait for another that is silent.
const AT_ONCE_MAX: usize = 16;
/// How long it may take when the broker withdraws: one that does not answer must not hold up a stop.
const WITHDRAW_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which name servers that have not heard of this broker forget it.
const HEARTBEAT_TIMEOUT_MS: i64 = 120_000;

/// Fields of a request's header.
type Fields = Vec<(String, String)>;

/// What a name server was told last.
#[derive(Clone, Copy)]
struct Told {
    change: u64,
    version: model::DataVersion,
    takes_parts: bool,
}

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

    /// Registers with every name server once, side by side; those that do not answer are logged and asked again later.
    pub async fn register_all(&self) {
        let register = async |server: &String| {
            self.register(server, None).await.inspect_err(trying_again).ok();
        };
        stream::iter(&self.name_servers).for_each_concurrent(AT_ONCE_MAX, register).await;
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
        let (mut told, mut pause) = (None, Duration::ZERO);
        loop {
            // Changes that come while one is told are told together, next.
            tokio::select! {
                biased;
                () = shutdown.wait() => break,
                () = rt::sleep(pause) => {}
                _ = changed.changed() => {}
            }
            let telling = tokio::select! {
                biased;
                () = shutdown.wait() => break,
                telling = self.tell(&server, &mut told) => telling,
            };
            pause = match telling {
                Ok(change) => {
                    self.broker.name_server_knows(&server, change);
                    PERIOD
                }
                Err(error) => {
                    trying_again(&error);
                    self.broker.name_server_silent(&server);
                    RETRY_PERIOD
                }
            };
        }
        self.broker.name_server_silent(&server);
        match rt::timeout(WITHDRAW_TIMEOUT, self.unregister(&server)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot withdraw from a name server; it will notice by itself"),
            Err(_) => {
                let ms = WITHDRAW_TIMEOUT.as_millis();
                tracing::warn!(%server, "a name server gave no answer to a withdrawal within {ms} ms; it will notice by itself");
            }
        }
    }

    /// Brings a name server up to date, or gives a sign of life if it is. Returns the change that it knows then.
    async fn tell(&self, server: &str, told: &mut Option<Told>) -> Result<u64, ClientError> {
        // A name server that was restarted does not have what it was told: then all is told again.
        let kept = match *told {
            Some(told) => self.has_version(server, &version_body(told.version)).await?.then_some(told),
            None => None,
        };
        let now = match kept {
            Some(told) if told.change == *self.broker.topics_changed().borrow() => told,
            _ => self.register(server, kept.filter(|told| told.takes_parts).map(|told| told.change)).await?,
        };
        *told = Some(now);
        Ok(now.change)
    }

    /// Whether a name server has this version of the topics.
    async fn has_version(&self, server: &str, version: &DataVersion) -> Result<bool, ClientError> {
        let options = self.broker.options();
        let header = QueryDataVersion {
            broker_name: &options.broker_name,
            broker_addr: &self.address,
            cluster_name: &options.cluster,
            broker_id: options.broker_id as i64,
        };
        let body = loose_json::to_vec(version, Dialect::Strict);
        let answer = self.ask(server, RequestCode::QUERY_DATA_VERSION, |out| header.write(out), &body).await?;
        Ok(answer.fields.iter().any(|(name, value)| name == "changed" && value == "false"))
    }

    /// Tells all topics, or those that are new or changed after the change `since`.
    async fn register(&self, server: &str, since: Option<u64>) -> Result<Told, ClientError> {
        let options = self.broker.options();
        let now = self.broker.announcement(since).await;
        let mut table = topic_table(now.topics.iter().map(|state| &state.config));
        table.data_version = version_body(now.version);
        for topic in table.topic_config_table.values_mut() {
            topic.perm &= (now.permission | permission::INHERIT | permission::PRIORITY) as i32;
        }
        let body = RegisterBrokerBody { topic_config_serialize_wrapper: table, filter_server_list: Vec::new() };
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
            zone_name: options.zone.as_deref(),
        };
        let fields = |out: &mut Fields| {
            header.write(out);
            out.push((FIELD_COMPLETE.to_owned(), now.is_complete.to_string()));
        };
        let answer = self.ask(server, RequestCode::REGISTER_BROKER, fields, &body).await?;
        self.take_order(&answer.body).await;
        let takes_parts = answer.fields.iter().any(|(name, value)| name == FIELD_TAKES_PARTS && value == "true");
        Ok(Told { change: now.change, version: now.version, takes_parts })
    }

    /// Name servers answer with their order configurations.
    async fn take_order(&self, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        match loose_json::from_slice::<KvTable>(body) {
            Ok(texts) => {
                let ordered = self.broker.order_topics(texts.table.keys()).await;
                ordered.unwrap_or_else(
                    |error| tracing::warn!(%error, "a topic with an order configuration is not marked"),
                );
            }
            Err(error) => tracing::warn!(%error, "the order configurations of a name server cannot be read"),
        }
    }

    async fn unregister(&self, server: &str) -> Result<(), ClientError> {
        let options = self.broker.options();
        let header = UnregisterBroker {
            broker_name: &options.broker_name,
            broker_addr: &self.address,
            cluster_name: &options.cluster,
            broker_id: options.broker_id as i64,
        };
        self.ask(server, RequestCode::UNREGISTER_BROKER, |out| header.write(out), &[]).await.map(drop)
    }

    async fn ask(
        &self,
        server: &str,
        code: RequestCode,
        write: impl FnOnce(&mut Fields),
        body: &[u8],
    ) -> Result<Response, ClientError> {
        let mut fields = Fields::new();
        write(&mut fields);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.client.ask(server, &Call { code: code.0, fields: &fields, body }, TIMEOUT).await
    }
}

fn trying_again(error: &ClientError) {
    tracing::warn!(%error, "cannot register with a name server; trying again");
}
