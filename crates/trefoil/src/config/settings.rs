//! Checked options as types.

use super::Resolved;
use super::fault::Fault;
use super::kind;
use super::source::{Given, Origin};
use super::table::Spec;
use std::path::PathBuf;

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Knows who serves what.
    NameServer,
    /// Keeps messages.
    Broker,
}

/// Roles of the field that are not built yet.
const NOT_BUILT: [&str; 2] = ["proxy", "controller"];

impl Role {
    /// Those that there are.
    pub(crate) const BUILT: [Self; 2] = [Self::NameServer, Self::Broker];

    /// The name in options and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NameServer => "nameserver",
            Self::Broker => "broker",
        }
    }

    /// The role of that name; or what to say about it.
    pub(super) fn from_name(name: &str) -> Result<Self, String> {
        let built = Self::BUILT.map(Self::name).join(", ");
        match Self::BUILT.into_iter().find(|role| role.name() == name) {
            Some(role) => Ok(role),
            None if NOT_BUILT.contains(&name) => Err(format!("{built} (the role '{name}' is not built yet)")),
            None => Err(format!("{built} (there is no role '{name}')")),
        }
    }
}

/// Checked options as types. The fields are the options of the table; see there for what they mean.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) roles: Vec<Role>,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen_host: String,
    pub(crate) advertise_host: Option<String>,
    pub(crate) nameserver_port: u16,
    pub(crate) nameserver_wait_seconds: u64,
    pub(crate) broker_port: u16,
    pub(crate) http_port: u16,
    pub(crate) nameserver_addresses: Vec<String>,
    pub(crate) cluster: String,
    pub(crate) broker_name: String,
    pub(crate) zone: Option<String>,
    pub(crate) broker_id: u64,
    pub(crate) is_flush_sync: bool,
    pub(crate) flush_interval_ms: u64,
    pub(crate) retention_hours: u64,
    /// Longest delay of a message.
    pub(crate) timer_delay_max_seconds: u64,
    /// `None`: no bound.
    pub(crate) retention_bytes: Option<u64>,
    /// `None`: a part of the disk.
    pub(crate) disk_reserve_bytes: Option<u64>,
    /// `None`: as the disk allows.
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) message_bytes_max: usize,
    pub(crate) auto_create_topics: bool,
    pub(crate) auto_create_groups: bool,
    pub(crate) default_topic_queues: u32,
    pub(crate) connections_max: usize,
    pub(crate) inflight_bytes_max: usize,
    /// `None`: no bound.
    pub(crate) client_bytes_per_second: Option<u64>,
    /// `None`: no bound.
    pub(crate) client_requests_per_second: Option<u64>,
    /// `None`: no bound.
    pub(crate) cold_read_bytes_per_second: Option<u64>,
    pub(crate) pull_messages_max: u32,
    pub(crate) frame_bytes_max: usize,
    /// Certificate and key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) log_level: String,
    /// `None`: one a core.
    pub(crate) worker_threads: Option<usize>,
}

/// Reads checked values by name.
struct Reader<'a>(&'a Resolved);

impl Reader<'_> {
    fn text(&self, name: &str) -> &str {
        let found = self.0.values.iter().find(|(spec, ..)| spec.name == name);
        &found.expect("the fields of settings are names of the table").1
    }

    fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name).to_owned()).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> u64 {
        kind::bytes(self.text(name)).expect("numbers were checked")
    }

    /// `None` for 0.
    fn positive(&self, name: &str) -> Option<u64> {
        Some(self.number(name)).filter(|number| *number > 0)
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    fn port(&self, name: &str) -> u16 {
        self.text(name).parse().expect("ports were checked")
    }

    fn switch(&self, name: &str) -> bool {
        self.text(name) == "true"
    }
}

impl From<&Resolved> for Settings {
    fn from(resolved: &Resolved) -> Self {
        let read = Reader(resolved);
        let tls = read.some("tls-cert").zip(read.some("tls-key"));
        Self {
            roles: kind::roles(read.text("roles")).expect("roles were checked"),
            data_dir: read.text("data-dir").into(),
            listen_host: read.text("listen-host").to_owned(),
            advertise_host: read.some("advertise-host"),
            nameserver_port: read.port("nameserver-port"),
            nameserver_wait_seconds: read.number("nameserver-wait-seconds"),
            broker_port: read.port("broker-port"),
            http_port: read.port("http-port"),
            nameserver_addresses: kind::addresses(read.text("nameserver-addresses")).map(str::to_owned).collect(),
            cluster: read.text("cluster").to_owned(),
            broker_name: read.text("broker-name").to_owned(),
            zone: read.some("zone"),
            broker_id: read.number("broker-id"),
            is_flush_sync: read.text("flush") == "sync",
            flush_interval_ms: read.number("flush-interval-ms"),
            retention_hours: read.number("retention-hours"),
            retention_bytes: read.positive("retention-bytes"),
            disk_reserve_bytes: read.positive("disk-reserve-bytes"),
            segment_bytes: read.positive("segment-bytes"),
            timer_delay_max_seconds: read.number("timer-delay-max-seconds"),
            message_bytes_max: read.size("message-bytes-max"),
            auto_create_topics: read.switch("auto-create-topics"),
            auto_create_groups: read.switch("auto-create-groups"),
            default_topic_queues: u32::try_from(read.number("default-topic-queues")).unwrap_or(u32::MAX),
            connections_max: read.size("connections-max"),
            inflight_bytes_max: read.size("inflight-bytes-max"),
            client_bytes_per_second: read.positive("client-bytes-per-second"),
            client_requests_per_second: read.positive("client-requests-per-second"),
            cold_read_bytes_per_second: read.positive("cold-read-bytes-per-second"),
            pull_messages_max: u32::try_from(read.number("pull-messages-max")).unwrap_or(u32::MAX),
            frame_bytes_max: read.size("frame-bytes-max"),
            tls: tls.map(|(cert, key)| (cert.into(), key.into())),
            log_level: read.text("log-level").to_owned(),
            worker_threads: Some(read.size("worker-threads")).filter(|threads| *threads > 0),
        }
    }
}

/// Room for a frame's header beside its body, in bytes.
const HEADER_ROOM: u64 = 256 << 10;

/// Values that are good alone but not together.
pub(super) fn contradictions(values: &[(&'static Spec, String, Origin)]) -> Vec<Fault> {
    let find = |name: &str| {
        let (spec, text, origin) = values.iter().find(|(spec, ..)| spec.name == name).expect("a name of the table");
        Given { key: spec.name.to_owned(), text: text.clone(), origin: origin.clone() }
    };
    let mut faults = Vec::new();
    let (cert, key) = (find("tls-cert"), find("tls-key"));
    if cert.text.is_empty() != key.text.is_empty() {
        let missing = if cert.text.is_empty() { &cert } else { &key };
        faults.push(Fault::range(missing, "a path, because only one of tls-cert and tls-key was given"));
    }
    let (message, frame) = (find("message-bytes-max"), find("frame-bytes-max"));
    let sizes = kind::bytes(&message.text).zip(kind::bytes(&frame.text));
    if let Some((message, frame_bytes)) = sizes
        && frame_bytes < message + HEADER_ROOM
    {
        let least = kind::bytes_text(message + HEADER_ROOM);
        faults.push(Fault::range(&frame, format!("at least message-bytes-max and 256KiB for the header: {least}")));
    }
    let segment = find("segment-bytes");
    let sizes = kind::bytes(&segment.text).zip(kind::bytes(&frame.text));
    if let Some((segment_bytes, frame_bytes)) = sizes
        && segment_bytes > 0
        && segment_bytes < 2 * frame_bytes
    {
        let least = kind::bytes_text(2 * frame_bytes);
        faults.push(Fault::range(&segment, format!("0, or at least twice frame-bytes-max: {least}")));
    }
    let (roles, servers) = (find("roles"), find("nameserver-addresses"));
    let is_alone = kind::roles(&roles.text).is_ok_and(|roles| !roles.contains(&Role::NameServer));
    if is_alone && servers.text.is_empty() {
        faults.push(Fault::range(&servers, "at least one, because this process has no name server of its own"));
    }
    let broker = find("broker-port");
    if matches!(broker.text.parse::<u16>(), Ok(1..=2)) {
        faults.push(Fault::range(&broker, "0 or 3 – 65535, because the port two below answers too"));
    }
    faults
}
