//! Names of topics and groups that the system uses itself.

/// Topics created by a send copy this topic's settings.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Messages that wait for one of the 18 delay levels; queue id = level − 1.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Half messages of transactions.
pub const TRANSACTION_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Decisions on half messages.
pub const TRANSACTION_OP_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Trace records written by clients.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Transactions that nobody decided.
pub const TRANSACTION_CHECK_LIMIT_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Messages to be delivered at a given time.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Clients measure themselves with it.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// The benchmark of the original's distribution.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Notices about offsets that had to be corrected.
pub const OFFSET_MOVED_TOPIC: &str = "OFFSET_MOVED_EVENT";

/// Where replies to requests that came through a cluster are sent.
#[must_use]
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}_REPLY_TOPIC")
}

/// Prefix of further system topics.
const SYSTEM_PREFIX: &str = "rmq_sys_";

/// Whether a topic belongs to the system.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    const NAMES: [&str; 12] = [
        AUTO_CREATE_TOPIC,
        SCHEDULE_TOPIC,
        BENCHMARK_TOPIC,
        TRANSACTION_HALF_TOPIC,
        TRACE_TOPIC,
        TRANSACTION_OP_TOPIC,
        TRANSACTION_CHECK_LIMIT_TOPIC,
        SELF_TEST_TOPIC,
        OFFSET_MOVED_TOPIC,
        "CHECKPOINT_TOPIC",
        "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
        "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
    ];
    NAMES.contains(&topic) || topic.starts_with(SYSTEM_PREFIX)
}

/// Whether clients may not send to a topic.
#[must_use]
pub fn is_closed_to_clients(topic: &str) -> bool {
    const NAMES: [&str; 8] = [
        SCHEDULE_TOPIC,
        TRANSACTION_HALF_TOPIC,
        TRANSACTION_OP_TOPIC,
        TRANSACTION_CHECK_LIMIT_TOPIC,
        OFFSET_MOVED_TOPIC,
        TIMER_TOPIC,
        "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
        "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
    ];
    NAMES.contains(&topic)
}

/// Whether a group belongs to the system.
#[must_use]
pub fn is_system_group(group: &str) -> bool {
    const NAMES: [&str; 8] = [
        "DEFAULT_CONSUMER",
        "DEFAULT_PRODUCER",
        "TOOLS_CONSUMER",
        "SCHEDULE_CONSUMER",
        "FILTERSRV_CONSUMER",
        "__MONITOR_CONSUMER",
        "CLIENT_INNER_PRODUCER",
        "SELF_TEST_C_GROUP",
    ];
    NAMES.contains(&group) || group.starts_with("CID_RMQ_SYS_")
}
