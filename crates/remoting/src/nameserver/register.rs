//! Brokers come, show life, and go.

use super::NameServer;
use super::text::ORDER_NAMESPACE;
use crate::reply::Reply;
use crate::server::Connection;
use cluster::route::Registration;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{DataVersion, KvTable, TopicRouteData};
use wire::remoting::header::Header;
use wire::remoting::loose_json::{self, Dialect};
use wire::remoting::{ResponseCode, registration, request, response};

/// Field by which a broker says that its registration names all its topics. Brokers of the original send parts as well
/// as the whole and do not tell which.
pub(crate) const FIELD_COMPLETE: &str = "completeTopics";
/// Field of the answer by which a name server says to such a broker that it heeds that: topics that a partial registration
/// does not name are kept. Those of the original may be set to take every registration for the whole, and do not tell.
pub(crate) const FIELD_TAKES_PARTS: &str = "takesPartialTopics";

impl NameServer {
    pub(super) fn register(
        &self,
        connection: &Arc<Connection>,
        header: &Header<'_>,
        body: &[u8],
    ) -> Result<Reply, Reply> {
        let ask = request::RegisterBroker::parse(&header.fields)?;
        check_crc(ask.body_crc32.unwrap_or(0), body)?;
        let compressed = ask.compressed.unwrap_or(false);
        let topics = registration::decode(body, compressed, header.version)
            .map_err(|error| Reply::error(ResponseCode::SYSTEM_ERROR, error))?;
        for (name, value) in
            [("brokerName", ask.broker_name), ("brokerAddr", ask.broker_addr), ("clusterName", ask.cluster_name)]
        {
            if value.trim().is_empty() {
                return Err(Reply::error(ResponseCode::INVALID_PARAMETER, format!("field '{name}' is blank")));
            }
        }
        let silence = ask.heartbeat_timeout_millis.and_then(|ms| u64::try_from(ms).ok());
        let from = Registration {
            cluster: ask.cluster_name,
            broker_name: ask.broker_name,
            broker_id: ask.broker_id,
            address: ask.broker_addr,
            ha_address: ask.ha_server_addr,
            zone: ask.zone_name,
            silence_max: silence.map(Duration::from_millis),
            acting_master: ask.enable_acting_master,
            is_complete: header.fields.get(FIELD_COMPLETE).is_some_and(|text| text.eq_ignore_ascii_case("true")),
            body: &topics,
            connection: connection.id(),
        };
        self.adopt(connection);
        let now = self.host.clock.monotonic();
        let (registered, effects) = self
            .routes
            .apply(|table| table.register(&from, now))
            .map_err(|error| Reply::error(ResponseCode::SYSTEM_ERROR, error))?;
        self.tell(effects);
        let mut reply = Reply::ok();
        let fields = response::RegisterBroker {
            ha_server_addr: registered.ha_address.as_deref(),
            master_addr: registered.master_address.as_deref(),
        };
        fields.write(&mut reply);
        if header.fields.get(FIELD_COMPLETE).is_some() {
            reply = reply.with_field(FIELD_TAKES_PARTS, true);
        }
        let state = self.metadata.read();
        match state.kv.get(ORDER_NAMESPACE) {
            Some(table) if self.config.load().return_order_config => {
                let table = KvTable { table: table.clone() };
                Ok(reply.with_body(loose_json::to_vec(&table, Dialect::Strict)))
            }
            _ => Ok(reply),
        }
    }

    /// Remembers a connection as a broker's.
    fn adopt(&self, connection: &Arc<Connection>) {
        self.brokers.lock().insert(connection.id(), Arc::clone(connection));
    }

    pub(super) fn data_version(
        &self,
        connection: &Arc<Connection>,
        header: &Header<'_>,
        body: &[u8],
    ) -> Result<Reply, Reply> {
        let ask = request::QueryDataVersion::parse(&header.fields)?;
        let version: DataVersion =
            loose_json::from_slice(body).map_err(|error| Reply::error(ResponseCode::SYSTEM_ERROR, error))?;
        let (now, id) = (self.host.clock.monotonic(), connection.id());
        let (changed, known) =
            self.routes.apply(|table| table.is_changed(ask.cluster_name, ask.broker_addr, &version, id, now));
        if !changed {
            self.adopt(connection);
        }
        let mut reply = Reply::ok();
        response::QueryDataVersion { changed }.write(&mut reply);
        Ok(match known {
            Some(known) => reply.with_body(loose_json::to_vec(&known, Dialect::Strict)),
            None => reply,
        })
    }

    pub(super) fn heartbeat(&self, connection: &Arc<Connection>, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::BrokerHeartbeat::parse(&header.fields)?;
        let (now, id) = (self.host.clock.monotonic(), connection.id());
        let is_known = self.routes.apply(|table| table.heartbeat(ask.cluster_name, ask.broker_addr, id, now));
        if is_known {
            self.adopt(connection);
        }
        Ok(Reply::ok())
    }

    pub(super) fn unregister(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::UnregisterBroker::parse(&header.fields)?;
        tracing::info!(broker = ask.broker_name, id = ask.broker_id, address = ask.broker_addr, "a broker leaves");
        let effects = self.routes.apply(|table| table.unregister(ask.cluster_name, ask.broker_name, ask.broker_addr));
        self.tell(effects);
        Ok(Reply::ok())
    }

    pub(super) fn wipe_write(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::WipeWritePerm::parse(&header.fields)?;
        let wipe_topic_count = self.set_writable(ask.broker_name, false);
        let mut reply = Reply::ok();
        response::WipeWritePerm { wipe_topic_count }.write(&mut reply);
        Ok(reply)
    }

    pub(super) fn add_write(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::AddWritePerm::parse(&header.fields)?;
        let add_topic_count = self.set_writable(ask.broker_name, true);
        let mut reply = Reply::ok();
        response::AddWritePerm { add_topic_count }.write(&mut reply);
        Ok(reply)
    }

    fn set_writable(&self, broker: &str, is_writable: bool) -> i32 {
        let count = self.routes.apply(|table| table.set_writable(broker, is_writable));
        tracing::info!(broker, is_writable, topics = count, "write permission of a broker is changed");
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    pub(super) fn delete_topic(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::DeleteTopicRoute::parse(&header.fields)?;
        let cluster = ask.cluster_name.filter(|name| !name.is_empty());
        self.routes.apply(|table| table.delete_topic(ask.topic, cluster));
        Ok(Reply::ok())
    }

    pub(super) fn register_topic(&self, header: &Header<'_>, body: &[u8]) -> Result<Reply, Reply> {
        let ask = request::RegisterTopic::parse(&header.fields)?;
        let route: TopicRouteData =
            loose_json::from_slice(body).map_err(|error| Reply::error(ResponseCode::SYSTEM_ERROR, error))?;
        self.routes.apply(|table| table.register_topic(ask.topic, &route.queue_datas));
        Ok(Reply::ok())
    }
}

/// A registration says what its body adds up to, unless it says 0.
fn check_crc(told: i64, body: &[u8]) -> Result<(), Reply> {
    let found = model::record::body_crc(body);
    // Only the lower 31 bits travel.
    let told_bits = told as u32 & 0x7FFF_FFFF;
    if told == 0 || told_bits == found & 0x7FFF_FFFF {
        return Ok(());
    }
    Err(Reply::error(
        ResponseCode::SYSTEM_ERROR,
        format!("crc32 not match: the body of {} bytes has {found}, the header says {told}", body.len()),
    ))
}
