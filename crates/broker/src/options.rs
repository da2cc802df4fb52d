//! What an operator may set for the broker's semantics.

use std::net::SocketAddr;
use std::time::Duration;

/// Settings of one broker.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cluster name.
    pub cluster: String,
    /// Broker name, shared by the replicas of one log.
    pub broker_name: String,
    /// 0 for the master.
    pub broker_id: u64,
    /// The zone that name servers show it in to clients that ask for one. Default none.
    pub zone: Option<String>,
    /// The address that clients are told, also stored with each message.
    pub advertised: SocketAddr,
    /// Largest body in bytes. Default 4 MiB.
    pub message_bytes_max: usize,
    /// Whether a send to an unknown topic creates it after the model of the default topic. Default true.
    pub auto_create_topics: bool,
    /// Whether a heartbeat or pull of an unknown group creates it. Default true.
    pub auto_create_groups: bool,
    /// Queues of the default topic, and most queues of a topic created by a send. Default 8.
    pub default_topic_queues: u32,
    /// How long messages are kept, whether consumed or not. Default 72 hours.
    pub retention: Duration,
    /// Bytes of log beyond which the oldest are deleted; none: no bound. Default none.
    pub retention_bytes: Option<u64>,
    /// Free bytes of the disk below which sends are refused; none: 5 % of the disk, at most 2 GiB. Default none.
    pub disk_reserve_bytes: Option<u64>,
    /// Bytes a second that consumers may read from the disk while producers send; none: no bound. Default 64 MiB.
    pub cold_read_bytes_per_second: Option<u64>,
    /// Longest delay of a timed message. Default 72 hours.
    pub timer_delay_max: Duration,
    /// Most messages in one reply to a pull. Default 1,024.
    pub pull_messages_max: u32,
}

impl Options {
    /// The defaults for a broker that is reached at `advertised`.
    #[must_use]
    pub fn new(advertised: SocketAddr) -> Self {
        Self {
            cluster: "DefaultCluster".to_owned(),
            broker_name: "broker-a".to_owned(),
            broker_id: 0,
            zone: None,
            advertised,
            message_bytes_max: 4 << 20,
            auto_create_topics: true,
            auto_create_groups: true,
            default_topic_queues: 8,
            retention: Duration::from_secs(72 * 3600),
            retention_bytes: None,
            disk_reserve_bytes: None,
            cold_read_bytes_per_second: Some(64 << 20),
            timer_delay_max: Duration::from_secs(72 * 3600),
            pull_messages_max: 1024,
        }
    }
}
