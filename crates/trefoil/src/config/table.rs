//! The options, each with its one name.

use super::Kind;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// One option: `data-dir` in the file, `TREFOIL_DATA_DIR` in the environment, `--data-dir` as a flag.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The name, in kebab case.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// The value when nobody says anything; empty for none.
    pub(crate) default: &'static str,
    /// What it means, for people.
    pub(crate) doc: &'static str,
}

impl Spec {
    /// Its name in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("TREFOIL_{}", self.name.to_uppercase().replace('-', "_"))
    }
}

const fn option(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Spec {
    Spec { name, kind, default, doc }
}

/// All options, in the order in which they are shown.
pub(crate) const OPTIONS: &[Spec] = &[
    option("roles", Kind::Roles, "nameserver,broker", "What this process is, separated by commas."),
    option(
        "data-dir",
        Kind::Path,
        "./data",
        "Folder of everything that must survive. One process at a time may use it.",
    ),
    option(
        "listen-host",
        Kind::Host,
        "127.0.0.1",
        "Address that all ports listen on. Beyond loopback, anyone who reaches it may read and write: there is no access \
         control yet.",
    ),
    option(
        "advertise-host",
        Kind::HostOrNone,
        "",
        "Address that clients are told to connect to. Empty: listen-host, or this machine's first address that is not \
         loopback if listen-host is 0.0.0.0 or ::.",
    ),
    option("nameserver-port", Kind::Port { min: 0 }, "9876", "Port of the name server; 0 takes any free one."),
    option(
        "nameserver-wait-seconds",
        Kind::Count { min: 0, max: 600 },
        "0",
        "Seconds after its start in which the name server tells no routes: clients keep theirs until all brokers have \
         registered, which takes those of Apache RocketMQ up to 30 s. New clients find no topics meanwhile.",
    ),
    option(
        "broker-port",
        Kind::Port { min: 0 },
        "10911",
        "Port of the broker; 0 takes any free one. The port two below answers too, for clients with the VIP channel on.",
    ),
    option(
        "http-port",
        Kind::Port { min: 0 },
        "8082",
        "Port of /health/live, /health/ready and /metrics; 0 takes any free one.",
    ),
    option(
        "nameserver-addresses",
        Kind::Addresses,
        "",
        "Name servers that the broker registers with, as host:port separated by commas. Empty: the one of this process.",
    ),
    option("cluster", Kind::Name, "DefaultCluster", "Cluster that the broker belongs to."),
    option("broker-name", Kind::Name, "broker-a", "Name of the broker, unique in its cluster."),
    option("broker-id", Kind::Count { min: 0, max: 1023 }, "0", "0 for a master, the only kind that clients send to."),
    option("zone", Kind::NameOrNone, "", "Zone of the broker, for clients that ask for the brokers of theirs only."),
    option(
        "flush",
        Kind::OneOf(&["sync", "async"]),
        "sync",
        "When a message counts as stored: sync = its bytes are on disk and survive a power failure; async = the system has \
         them, they survive the death of the process only.",
    ),
    option(
        "flush-interval-ms",
        Kind::Count { min: 1, max: 60_000 },
        "200",
        "Longest time in ms that bytes stay unsynced when no sender waits for them.",
    ),
    option(
        "retention-hours",
        Kind::Count { min: 1, max: 876_000 },
        "72",
        "Age in hours from which messages are removed, a whole log file at a time.",
    ),
    option(
        "retention-bytes",
        Kind::Bytes { min: 0, max: 1024 * TIB },
        "0",
        "Bytes of log beyond which the oldest messages are removed; 0 sets no bound.",
    ),
    option(
        "disk-reserve-bytes",
        Kind::Bytes { min: 0, max: 1024 * TIB },
        "0",
        "Free bytes of the disk below which sends are refused, while reads go on; 0 keeps 5 % of the disk, at most 2GiB.",
    ),
    option(
        "segment-bytes",
        Kind::Bytes { min: 0, max: 8 * GIB },
        "0",
        "Size of one file of the log, at least twice frame-bytes-max; 0 takes 1GiB, and less on a disk smaller than 32GiB.",
    ),
    option(
        "timer-delay-max-seconds",
        Kind::Count { min: 1, max: 3_153_600_000 },
        "259200",
        "Longest time that a message may wait for its delivery, 3 days by default; longer ones are refused. What waits is \
         kept whatever retention says.",
    ),
    option(
        "message-bytes-max",
        Kind::Bytes { min: KIB, max: 64 * MIB },
        "4MiB",
        "Largest body of a message in bytes, as it is sent.",
    ),
    option("auto-create-topics", Kind::Switch, "true", "Whether a send to an unknown topic creates it."),
    option("auto-create-groups", Kind::Switch, "true", "Whether a consumer of an unknown group creates it."),
    option(
        "default-topic-queues",
        Kind::Count { min: 1, max: 1024 },
        "8",
        "Most queues of a topic that a send creates; the sender may ask for fewer.",
    ),
    option(
        "connections-max",
        Kind::Count { min: 1, max: 1_000_000 },
        "50000",
        "Most connections at a time on each port; further ones are closed at once.",
    ),
    option(
        "inflight-bytes-max",
        Kind::Bytes { min: MIB, max: 8 * GIB },
        "64MiB",
        "Bytes of requests in work, and of answers not yet taken, after which no more is read from a connection.",
    ),
    option(
        "client-bytes-per-second",
        Kind::Bytes { min: 0, max: TIB },
        "0",
        "Bytes a second that are taken from one connection; faster clients are slowed down, then refused; 0 sets no bound.",
    ),
    option(
        "client-requests-per-second",
        Kind::Count { min: 0, max: 1_000_000_000 },
        "0",
        "Requests a second that are taken from one connection; faster clients are slowed down, then refused; 0 sets no bound.",
    ),
    option(
        "cold-read-bytes-per-second",
        Kind::Bytes { min: 0, max: TIB },
        "64MiB",
        "Bytes a second that consumers may read of messages no longer in memory while producers send; 0 sets no bound.",
    ),
    option(
        "pull-messages-max",
        Kind::Count { min: 1, max: 1024 },
        "32",
        "Most messages that one pull brings, however many the consumer asks for.",
    ),
    option(
        "frame-bytes-max",
        Kind::Bytes { min: 64 * KIB, max: 128 * MIB },
        "16MiB",
        "Largest frame in bytes; a connection that announces more is closed.",
    ),
    option(
        "tls-cert",
        Kind::PathOrNone,
        "",
        "File with the server's certificate chain (PEM). Set: ports take TLS as well.",
    ),
    option("tls-key", Kind::PathOrNone, "", "File with the private key of tls-cert (PEM)."),
    option(
        "log-level",
        Kind::OneOf(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "How much is logged to standard error.",
    ),
    option(
        "worker-threads",
        Kind::Count { min: 0, max: 1024 },
        "0",
        "Threads that serve connections; 0: one for every two cores.",
    ),
];
