//! A broker on a simulated machine, and short words for what clients do.

use broker::{
    BatchPart, Broker, Content, Filter, Options, Publish, PublishError, Pull, PullError, PullStep, Pulled, Receipt,
};
use bytes::BytesMut;
use cluster::metadata::Metadata;
use model::record::Record;
use model::{Topic, TopicConfig};
use rt::sim::{Fault, Operation, Power, SimHost, World};
use rt::{Shutdown, ShutdownTrigger};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Flush, Store, timer};

/// Small, so that few messages go all ways.
const HOT_BYTES: u64 = 256 << 10;
const TIMER_LIMITS: timer::Limits = timer::Limits {
    flush_items: 128,
    memory_items_max: 512,
    checkpoint_records: 1000,
    near_max: 256,
    load_items: 32,
    runs_max: 3,
};

/// A running broker.
pub(crate) struct Node {
    pub(crate) broker: Arc<Broker>,
    machine: SimHost,
    flush: Flush,
    _stop: ShutdownTrigger,
}

/// A message as a consumer sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) body: String,
    pub(crate) offset: u64,
    pub(crate) reconsume_times: i32,
    pub(crate) properties: String,
}

impl Node {
    pub(crate) async fn start(world: &World) -> Self {
        Self::boot(world.host("broker"), Flush::Sync, |_| {}).await
    }

    /// With another flush policy than the usual one.
    pub(crate) async fn start_flushing(world: &World, flush: Flush) -> Self {
        Self::boot(world.host("broker"), flush, |_| {}).await
    }

    pub(crate) async fn start_with(world: &World, set: impl FnOnce(&mut Options) + Send + 'static) -> Self {
        Self::boot(world.host("broker"), Flush::Sync, set).await
    }

    async fn boot(machine: SimHost, flush: Flush, set: impl FnOnce(&mut Options) + Send + 'static) -> Self {
        let host = machine.boot();
        let (stop, shutdown): (_, Shutdown) = ShutdownTrigger::new();
        let starting = async move {
            let options = store::Options { segment_bytes: 4 << 20, flush, ..store::Options::new("/data") };
            let store_options = store::Options { timer: TIMER_LIMITS, hot_bytes: HOT_BYTES, ..options };
            let (store, _) = Store::open(&host, store_options).unwrap();
            let metadata = Metadata::open(&host, Path::new("/data"), cluster::metadata::Options::default()).unwrap();
            let mut options = Options::new("10.0.0.1:10911".parse().unwrap());
            set(&mut options);
            let broker = Broker::new(host, store, metadata, options);
            broker.settle_offsets().await.unwrap();
            rt::spawn(Arc::clone(&broker).run(shutdown));
            broker
        };
        // On the machine, so that a crash ends what it starts.
        let broker = machine.spawn(starting).await.unwrap();
        Self { broker, machine, flush, _stop: stop }
    }

    /// Somebody sets the clock.
    pub(crate) fn jump_wall(&self, by_ms: i64) {
        self.machine.clock().jump_wall(by_ms);
    }

    /// The power goes, and comes back.
    pub(crate) async fn power_cycle(self) -> Self {
        self.power_cycle_after(Duration::ZERO).await
    }

    /// The power goes, and comes back after a time.
    pub(crate) async fn power_cycle_after(self, time: Duration) -> Self {
        self.machine.crash(Power::Lost);
        rt::sleep(time).await;
        Self::boot(self.machine.clone(), self.flush, |_| {}).await
    }

    /// Deletes the index of timed messages, as somebody may while the broker is down.
    pub(crate) fn delete_timer_index(&self) {
        self.machine.disk().wipe(Path::new("/data/timer"));
    }

    /// Fills the log until all that is in it lies in its first file, and far back. That file's path.
    pub(crate) async fn bury(&self) -> String {
        self.create("filler", 1).await;
        for _ in 0..6 {
            self.send("filler", &"x".repeat(1 << 20)).await.unwrap();
        }
        let is_log = |path: &&PathBuf| path.starts_with("/data/log");
        let files = self.machine.disk().files();
        files.iter().map(|(path, _)| path).filter(is_log).min().unwrap().display().to_string()
    }

    /// Each read of a file takes so long from now on.
    pub(crate) fn slow_reads(&self, path: &str, time: Duration) {
        self.machine.disk().slow_reads(path, time);
    }

    /// The next read of a file fails.
    pub(crate) fn fail_read(&self, path: &str) {
        let fault = Fault { operation: Operation::Read, path_contains: path.to_owned(), after: 0 };
        self.machine.disk().plan(fault);
    }

    /// The index of timed messages cannot be written for the next attempts.
    pub(crate) fn fail_timer_index(&self, attempts: usize) {
        for _ in 0..attempts {
            let (operation, path_contains) = (Operation::Write, "/data/timer/".to_owned());
            self.machine.disk().plan(Fault { operation, path_contains, after: 0 });
        }
    }

    /// The next such operation on the journal of the metadata fails.
    pub(crate) fn break_journal(&self, operation: Operation) {
        self.machine.disk().plan(Fault { operation, path_contains: "journal".to_owned(), after: 0 });
    }

    /// Turns over a bit of the log, at a position in its first file.
    pub(crate) fn damage_log(&self, position: u64) {
        assert!(self.machine.disk().flip(Path::new("/data/log/00000000000000000000"), position, 3));
    }

    pub(crate) async fn create(&self, topic: &str, queues: u32) {
        self.broker.put_topic(TopicConfig::new(Topic::new(topic).unwrap(), queues)).await.unwrap();
    }

    pub(crate) async fn send(&self, topic: &str, body: &str) -> Result<Receipt, PublishError> {
        self.send_with(topic, body, "").await
    }

    pub(crate) async fn send_with(&self, topic: &str, body: &str, properties: &str) -> Result<Receipt, PublishError> {
        self.broker.publish(publish(topic, body, properties)).await
    }

    pub(crate) async fn publish_all(
        &self,
        sends: impl IntoIterator<Item = Publish<'static>>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let mut publishing = self.broker.publishing(0, 0);
        sends.into_iter().for_each(|send| publishing.add(send));
        publishing.store().await
    }

    pub(crate) async fn pull(&self, group: &str, topic: &str, offset: i64, tags: &str) -> Result<Pulled, PullError> {
        self.pull_waiting(group, topic, offset, tags, Duration::ZERO).await
    }

    pub(crate) async fn pull_waiting(
        &self,
        group: &str,
        topic: &str,
        offset: i64,
        tags: &str,
        wait: Duration,
    ) -> Result<Pulled, PullError> {
        let ask = Pull {
            member: None,
            group,
            topic,
            queue_id: 0,
            offset,
            messages_max: 32,
            bytes_max: 1 << 20,
            commit: None,
            wait: Some(wait),
            filter: Filter::Given { kind: None, expression: tags },
        };
        match self.broker.pull(&ask)? {
            PullStep::Ready(pulled) => Ok(pulled),
            PullStep::Parked(parked) => parked.finish().await,
        }
    }

    /// The bodies that a group gets from an offset on.
    pub(crate) async fn bodies(&self, topic: &str, offset: i64, tags: &str) -> Vec<String> {
        seen(&self.pull("g", topic, offset, tags).await.unwrap()).into_iter().map(|seen| seen.body).collect()
    }
}

pub(crate) fn publish(topic: &str, body: &str, properties: &str) -> Publish<'static> {
    Publish {
        topic: Cow::Owned(topic.to_owned()),
        default_topic: Cow::Borrowed("TBW102"),
        default_queues: 4,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: "10.0.0.9:1".parse().unwrap(),
        reconsume_times: 0,
        max_reconsume_times: None,
        content: Content::Single(part(body, properties)),
    }
}

pub(crate) fn part(body: &str, properties: &str) -> BatchPart<'static> {
    BatchPart { flag: 0, properties: Cow::Owned(properties.to_owned()), body: body.as_bytes().to_vec().into() }
}

pub(crate) fn seen(pulled: &Pulled) -> Vec<Seen> {
    let mut bytes = BytesMut::new();
    pulled.gather(&mut bytes).unwrap();
    let (mut rest, mut all) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let record = Record::parse(rest).unwrap();
        all.push(Seen {
            body: String::from_utf8(record.body.to_vec()).unwrap(),
            offset: record.queue_offset.0,
            reconsume_times: record.reconsume_times,
            properties: record.properties.to_owned(),
        });
        rest = &rest[record.bytes().len()..];
    }
    all
}
