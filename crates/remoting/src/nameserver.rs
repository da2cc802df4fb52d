//! The name server's door: its 23 request codes.
//!
//! Routes live in memory, in [`cluster::route`]; texts by key and the configuration in the [`Metadata`] beside it, so
//! that they survive. Name servers know nothing of each other.

mod config;
mod query;
mod register;
mod text;

pub use config::{Config, ConfigError};
pub(crate) use register::{FIELD_COMPLETE, FIELD_TAKES_PARTS};
pub use text::ORDER_NAMESPACE;

use crate::client::Client;
use crate::reply::Reply;
use crate::server::{Call, Connection, Door, Work};
use arc_swap::ArcSwap;
use cluster::metadata::{Change, Metadata, ProposeError};
use cluster::route::{ConnectionId, Effect, Routes, Table};
use parking_lot::Mutex;
use rt::{Host, Shutdown};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::code::wants_strict_json;
use wire::remoting::frame::RawFrame;
use wire::remoting::header::Header;
use wire::remoting::loose_json::{self, Dialect};
use wire::remoting::{RequestCode, ResponseCode};

/// One name server.
pub struct NameServer {
    host: Host,
    routes: Arc<Routes>,
    metadata: Metadata,
    config: Arc<ArcSwap<Config>>,
    /// When routes are answered, on the monotonic clock.
    answers_from: Duration,
    /// Connections over which brokers registered.
    brokers: Mutex<HashMap<ConnectionId, Arc<Connection>>>,
    /// Replicas of the original heed no notice on the connection over which they registered.
    to_brokers: Client,
}

/// How a request goes on.
enum Outcome {
    /// It is answered.
    Now(Reply),
    /// When a change is durable this is done, and success is answered.
    After(Change, Box<dyn FnOnce() + Send>),
}

impl Outcome {
    /// Success, when a change is durable.
    fn after(change: Change) -> Self {
        Self::After(change, Box::new(|| ()))
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

impl NameServer {
    /// A name server without brokers. `metadata` is its own, not a broker's. For the time `silence` no routes are answered:
    /// clients keep those that they have, and do not take a route for whole that only some brokers have told yet.
    #[must_use]
    pub fn new(host: &Host, metadata: Metadata, silence: Duration) -> Arc<Self> {
        let config = Config::stored(&metadata.read());
        Arc::new(Self {
            host: host.clone(),
            routes: Arc::new(Routes::new(Table::new(config.table()))),
            metadata,
            config: Arc::new(ArcSwap::from_pointee(config)),
            answers_from: host.clock.monotonic() + silence,
            brokers: Mutex::default(),
            to_brokers: Client::new(host.clone()),
        })
    }

    /// The routes.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Forgets brokers that fell silent. Returns at shutdown.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            let interval = self.config.load().scan_interval;
            tokio::select! {
                biased;
                () = shutdown.wait() => return,
                () = rt::sleep(interval) => {}
            }
            self.expire();
        }
    }

    /// Forgets brokers that are silent for too long by now.
    pub fn expire(&self) {
        let now = self.host.clock.monotonic();
        self.tell(self.routes.apply(|table| table.expire(now)));
    }

    /// Carries out what the table asked for.
    fn tell(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::CloseConnection(id) => {
                    if let Some(connection) = self.brokers.lock().get(&id) {
                        connection.close();
                    }
                }
                Effect::NotifyMinBroker { to, broker_id, address, offline_address, ha_address } => {
                    let mut fields = vec![("minBrokerId", broker_id.to_string()), ("minBrokerAddr", address)];
                    fields.extend(offline_address.map(|at| ("offlineBrokerAddr", at)));
                    fields.extend(ha_address.map(|at| ("haBrokerAddr", at)));
                    for replica in to {
                        rt::spawn(notify(self.to_brokers.clone(), replica, fields.clone()));
                    }
                }
            }
        }
    }

    fn dispatch(&self, connection: &Arc<Connection>, header: &Header<'_>, body: &[u8]) -> Result<Outcome, Reply> {
        Ok(match header.request_code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(header)?.into(),
            RequestCode::REGISTER_BROKER => self.register(connection, header, body)?.into(),
            RequestCode::QUERY_DATA_VERSION => self.data_version(connection, header, body)?.into(),
            RequestCode::BROKER_HEARTBEAT => self.heartbeat(connection, header)?.into(),
            RequestCode::UNREGISTER_BROKER => self.unregister(header)?.into(),
            RequestCode::GET_BROKER_CLUSTER_INFO => self.cluster_info(header).into(),
            RequestCode::GET_BROKER_MEMBER_GROUP => self.member_group(header)?.into(),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => self.all_topics(header).into(),
            RequestCode::GET_TOPICS_BY_CLUSTER => self.topics_of_cluster(header)?.into(),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => self.system_topics(header).into(),
            RequestCode::GET_UNIT_TOPIC_LIST => self.unit_topics(header).into(),
            RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST => self.unit_subscriptions(header, false).into(),
            RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => self.unit_subscriptions(header, true).into(),
            RequestCode::WIPE_WRITE_PERM_OF_BROKER => self.wipe_write(header)?.into(),
            RequestCode::ADD_WRITE_PERM_OF_BROKER => self.add_write(header)?.into(),
            RequestCode::DELETE_TOPIC_IN_NAMESRV => self.delete_topic(header)?.into(),
            RequestCode::REGISTER_TOPIC_IN_NAMESRV => self.register_topic(header, body)?.into(),
            RequestCode::PUT_KV_CONFIG => self.put_text(header)?,
            RequestCode::GET_KV_CONFIG => self.get_text(header)?.into(),
            RequestCode::DELETE_KV_CONFIG => self.delete_text(header)?,
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.list_texts(header)?.into(),
            RequestCode::UPDATE_NAMESRV_CONFIG => self.update_config(body)?,
            RequestCode::GET_NAMESRV_CONFIG => self.get_config(connection).into(),
            code => {
                let remark = format!(" request type {} not supported", code.0);
                Reply::error(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark).into()
            }
        })
    }

    fn serve(&self, connection: &Arc<Connection>, frame: &RawFrame<'_>, header: &Header<'_>, work: &mut Work) {
        let outcome = self.dispatch(connection, header, frame.body).unwrap_or_else(Outcome::Now);
        let (is_one_way, encoding, opaque) = (header.is_one_way(), frame.encoding, header.opaque);
        let answer = move |connection: &Connection, reply: &Reply| {
            if !is_one_way {
                connection.send(|out| reply.write(out, encoding, opaque));
            }
        };
        match outcome {
            Outcome::Now(reply) => answer(connection, &reply),
            Outcome::After(change, then) => {
                let proposal = self.metadata.propose(change);
                // What is stored is put in force though whoever asked may have gone.
                let stored = rt::spawn(async move { proposal.await.map(|_| then()) });
                let connection = Arc::clone(connection);
                let done = async move {
                    let stored = stored.await.unwrap_or(Err(ProposeError::Closed));
                    let reply = stored.map_or_else(|error| not_stored(&error), |()| Reply::ok());
                    answer(&connection, &reply);
                };
                work.push(frame.body.len() + frame.header.len(), Box::pin(done));
            }
        }
    }
}

/// Tells a replica that its group has another lowest id. One that cannot be reached asks for it by itself.
async fn notify(to_brokers: Client, replica: String, fields: Vec<(&'static str, String)>) {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = Call { code: RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE.0, fields: &fields, body: &[] };
    if let Err(error) = to_brokers.tell(&replica, &call).await {
        tracing::debug!(%error, "a replica does not hear of the lowest id of its group");
    }
}

fn not_stored(error: &ProposeError) -> Reply {
    let code = match error {
        ProposeError::Busy { .. } | ProposeError::Refused { .. } => ResponseCode::SYSTEM_BUSY,
        ProposeError::Closed => ResponseCode::SERVICE_NOT_AVAILABLE,
        ProposeError::Failed { .. } | ProposeError::TooLarge { .. } => ResponseCode::SYSTEM_ERROR,
    };
    Reply::error(code, error)
}

/// The JSON that a caller reads: strict for newer ones and for those who ask, else the original's.
fn dialect(header: &Header<'_>) -> Dialect {
    let asks = header.fields.get("acceptStandardJsonOnly").is_some_and(|asks| asks.eq_ignore_ascii_case("true"));
    if asks || wants_strict_json(header.version) { Dialect::Strict } else { Dialect::Loose }
}

/// An answer that has a body.
fn with_json<T: serde::Serialize + ?Sized>(header: &Header<'_>, body: &T) -> Reply {
    Reply::ok().with_body(loose_json::to_vec(body, dialect(header)))
}

impl Door for NameServer {
    fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, work: &mut Work) {
        for frame in &requests {
            match Header::parse(frame) {
                Ok(header) if header.is_response() => {}
                Ok(header) => self.serve(connection, frame, &header, work),
                Err(error) => {
                    tracing::warn!(peer = %connection.peer(), %error, "malformed header; the connection is closed");
                    connection.close();
                    return;
                }
            }
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        if self.brokers.lock().remove(&connection.id()).is_none() {
            return;
        }
        tracing::info!(peer = %connection.peer(), "a broker's connection is closed");
        self.tell(self.routes.apply(|table| table.connection_closed(connection.id())));
    }
}

#[cfg(test)]
mod tests;
