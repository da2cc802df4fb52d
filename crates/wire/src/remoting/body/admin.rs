//! Connections, as operators see them.

use super::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData, body};
use std::collections::BTreeMap;

body! {
    /// One client; `language` is its name, see [`Language`](crate::remoting::Language).
    #[derive(Eq)]
    pub struct Connection {
        client_id: String,
        client_addr: String,
        language: String,
        version: i32,
    }

    /// Answer of `GET_CONSUMER_CONNECTION_LIST`.
    pub struct ConsumerConnection {
        connection_set: Vec<Connection>,
        subscription_table: BTreeMap<String, SubscriptionData>,
        consume_type: ConsumeType,
        message_model: MessageModel,
        consume_from_where: ConsumeFromWhere,
        /// Ours: members that want different things, and what each kind of them is handed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        cohorts: Vec<Cohort>,
    }

    /// Members of a group that want the same.
    #[derive(Eq)]
    pub struct Cohort {
        members: Vec<String>,
        wants: BTreeMap<String, String>,
        gets: BTreeMap<String, String>,
        absent_since: i64,
    }

    /// Answer of `GET_PRODUCER_CONNECTION_LIST`.
    #[derive(Eq)]
    pub struct ProducerConnection {
        connection_set: Vec<Connection>,
    }

    /// Answer of `GET_ALL_PRODUCER_INFO`, by group.
    #[derive(Eq)]
    pub struct ProducerTable {
        data: BTreeMap<String, Vec<ProducerInfo>>,
    }

    /// One producer.
    #[derive(Eq)]
    pub struct ProducerInfo {
        client_id: String,
        #[serde(rename = "remoteIP")]
        remote_ip: String,
        language: String,
        version: i32,
        last_update_timestamp: i64,
    }
}
