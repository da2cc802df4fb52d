//! The broker: what it owns, how it starts, and what it does by itself as time passes.

use crate::administration::{Lane, not_stored, to_its_end};
use crate::audience::Audience;
use crate::consume::cold::ColdReads;
use crate::consume::reset::Resets;
use crate::group::Groups;
use crate::group::locks::QueueLocks;
use crate::quota::Quota;
use crate::retention::Retaining;
use crate::room::{Room, Turn};
use crate::settings::Settings;
use crate::timed::Timed;
use crate::topic::{TopicState, Topics, system_topics};
use crate::traffic::Traffic;
use crate::trends::{self, Trends};
use crate::{AdminError, Meter, Options, Publish, PublishError, Setting, Totals};
use cluster::metadata::{Change, Metadata};
use model::{Group, GroupConfig, PhysicalOffset, Topic, TopicConfig, permission, system};
use parking_lot::Mutex;
use rt::{Host, Shutdown, Space, TaskHandle, Timestamp, watch};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Queue, Store};

/// How often silent clients are looked for.
const EXPIRY_SCAN_SECONDS: u64 = 10;
/// How often the log is looked over for what may be deleted.
const RETENTION_SECONDS: u64 = 60;

/// One broker. Doors share it in an `Arc`.
pub struct Broker {
    host: Host,
    store: Store,
    metadata: Metadata,
    options: Options,
    topics: Topics,
    groups: Groups,
    locks: Mutex<QueueLocks>,
    resets: Mutex<Resets>,
    /// Counts resets, so that waiting pulls look again.
    resets_pressed: watch::Sender<u64>,
    /// Changes of topics and groups go one after the other, so that memory and metadata agree.
    changing: tokio::sync::Mutex<()>,
    topics_changed: watch::Sender<u64>,
    audience: Audience,
    meter: Meter,
    room: Room,
    cold_reads: ColdReads,
    group_quotas: Mutex<HashMap<Group, Option<Arc<Quota>>>>,
    timed: Timed,
    settings: Settings,
    traffic: Traffic,
    trends: Mutex<Trends>,
    admin_lane: Lane,
    /// One look at a time for what need not be kept any more.
    retaining: tokio::sync::Mutex<Retaining>,
    /// By both clocks.
    started: (Timestamp, Duration),
}

impl Broker {
    /// A broker over a store and its metadata.
    pub fn new(host: Host, store: Store, metadata: Metadata, options: Options) -> Arc<Self> {
        // Until it is known what waits for its time, all of the log is needed.
        store.keep_from(PhysicalOffset(0));
        let topics = Topics::new();
        let state = metadata.read();
        for config in system_topics(&options.cluster, &options.broker_name, options.default_topic_queues) {
            topics.put(config, &store);
        }
        for config in state.topics.values() {
            topics.put(TopicConfig::clone(config), &store);
        }
        let is_new = state.topics.is_empty() && state.groups.is_empty();
        let started = (host.clock.now(), host.clock.monotonic());
        let room = Room::new(store.dir().to_owned(), options.disk_reserve_bytes);
        let cold_reads = ColdReads::new(options.cold_read_bytes_per_second);
        let (settings, trends) = (Settings::stored(&state), Trends::new(host.clock.monotonic()));
        let broker = Self {
            host,
            store,
            metadata,
            options,
            topics,
            groups: Groups::default(),
            locks: Mutex::default(),
            resets: Mutex::default(),
            resets_pressed: watch::channel(0).0,
            changing: tokio::sync::Mutex::default(),
            topics_changed: watch::channel(0).0,
            audience: Audience::default(),
            meter: Meter::default(),
            room,
            cold_reads,
            group_quotas: Mutex::default(),
            timed: Timed::default(),
            settings,
            traffic: Traffic::default(),
            trends: Mutex::new(trends),
            admin_lane: Lane::default(),
            retaining: tokio::sync::Mutex::default(),
            started,
        };
        if is_new {
            broker.adopt_topics_of_log();
        }
        broker.restore_groups();
        Arc::new(broker)
    }

    /// Without metadata (lost, or never written) the log still says which topics there were.
    fn adopt_topics_of_log(&self) {
        let mut queues: HashMap<Topic, Vec<Arc<Queue>>> = HashMap::new();
        for queue in self.store.queues().iter().filter(|queue| queue.max_offset().0 > 0) {
            queues.entry(queue.topic().clone()).or_default().push(Arc::clone(queue));
        }
        for (topic, queues) in queues {
            if self.topics.get(topic.as_str()).is_some() {
                continue;
            }
            let count = queues.iter().map(|queue| queue.id().0 + 1).max().unwrap_or(1);
            tracing::warn!(%topic, queues = count, "topic found in the log but not in the metadata; it is served again");
            self.topics.put(TopicConfig::new(topic, count), &self.store);
        }
    }

    /// Does what time demands: delayed messages, silent clients, stale locks. Returns at shutdown.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let (timers, stopping) = (Arc::clone(&self), shutdown.clone());
        rt::spawn(async move {
            tokio::select! {
                biased;
                () = stopping.wait() => {}
                () = timers.run_timers() => {}
            }
        });
        let mut retaining: Option<TaskHandle<()>> = None;
        let mut messages_in = 0;
        for second in 1_u64.. {
            tokio::select! {
                biased;
                () = shutdown.wait() => return,
                () = rt::sleep(Duration::from_secs(1)) => {}
            }
            let now = self.host.clock.now();
            let totals = self.totals();
            self.cold_reads.set_hot_in_use(totals.messages_in > messages_in);
            messages_in = totals.messages_in;
            self.meter.sample(totals, now);
            self.expire_locks();
            self.forget_ended_resets();
            if second.is_multiple_of(EXPIRY_SCAN_SECONDS) {
                self.expire_members();
            }
            self.look_at_disk().await;
            if second.is_multiple_of(trends::PERIOD_SECONDS) {
                let broker = Arc::clone(&self);
                self.host.run_blocking(move || broker.sample_traffic()).await;
            }
            if second % RETENTION_SECONDS == 1 && retaining.as_ref().is_none_or(TaskHandle::is_finished) {
                let broker = Arc::clone(&self);
                retaining = Some(rt::spawn(async move { broker.retain().await }));
            }
        }
    }

    /// Resets that were followed need not be pressed again after a restart.
    fn forget_ended_resets(&self) {
        let mut resets = self.resets.lock();
        let ended = resets.take_ended(self.steady_now());
        if ended.is_empty() {
            return;
        }
        // Still under the lock: the journal must not learn of it behind the next reset of the same queues.
        let proposal = self.metadata.propose(Change::ResetsEnded(ended));
        drop(resets);
        rt::spawn(async move {
            if let Err(error) = proposal.await {
                tracing::warn!(%error, "a restart will press resets again that were followed");
            }
        });
    }

    /// Looks how much room there is.
    async fn look_at_disk(&self) {
        let (disk, dir) = (Arc::clone(&self.host.disk), self.room.dir().to_owned());
        let dir_shown = dir.display().to_string();
        match self.host.run_blocking(move || disk.space(&dir)).await.map(|space| self.room.observe(space)) {
            Ok(None) => {}
            Ok(Some(Turn::Short { available, reserve })) => {
                tracing::error!(path = dir_shown, available, reserve, "the disk is nearly full; sends are refused");
            }
            Ok(Some(Turn::Enough { available })) => {
                tracing::info!(path = dir_shown, available, "there is room on the disk again; sends are taken");
            }
            Err(error) => tracing::warn!(path = dir_shown, %error, "cannot see how much room the disk has"),
        }
    }

    /// Free and total bytes of the store's disk, and whether sends are refused for want of room.
    #[must_use]
    pub fn room(&self) -> (Space, bool) {
        self.room.seen()
    }

    pub(crate) fn cold_reads(&self) -> &ColdReads {
        &self.cold_reads
    }

    /// A group's limits, if it has any.
    pub(crate) fn group_quota(&self, config: &GroupConfig) -> Option<Arc<Quota>> {
        if config.attributes.is_empty() {
            return None;
        }
        let mut quotas = self.group_quotas.lock();
        let quota = quotas.entry(config.group.clone());
        quota.or_insert_with(|| Quota::of(&config.attributes).map(Arc::new)).clone()
    }

    /// A group's settings have changed.
    pub(crate) fn forget_group_quota(&self, group: &Group) {
        self.group_quotas.lock().remove(group);
    }

    pub(crate) fn check_room(&self) -> Result<(), PublishError> {
        self.room.check()
    }

    /// Totals since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (timers, load) = (&self.timed.stats, |counter: &AtomicU64| counter.load(Ordering::Relaxed));
        let ended = load(&timers.delivered) + load(&timers.cancelled) + load(&timers.lost);
        Totals {
            messages_in: load(&self.store.stats().appended_records),
            timers_in: load(&timers.pending) + ended,
            timers_out: load(&timers.delivered),
            ..self.meter.totals()
        }
    }

    /// Counters and rates.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// When this broker started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started.0
    }

    /// The time as it would be had nobody set the clock since the start: what lasts is measured by it.
    #[must_use]
    pub fn steady_now(&self) -> Timestamp {
        self.started.0.after(self.host.clock.monotonic().saturating_sub(self.started.1))
    }

    /// The machine.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The messages.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Topics, groups and offsets as they are kept.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<TopicState>> {
        self.topics.get(name)
    }

    /// All topics by name, those of the system included.
    #[must_use]
    pub fn all_topics(&self) -> Vec<Arc<TopicState>> {
        self.topics.all()
    }

    /// How many topics there are.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Tells when topics were created, changed or deleted: name servers must hear of it.
    #[must_use]
    pub fn topics_changed(&self) -> watch::Receiver<u64> {
        self.topics_changed.subscribe()
    }

    pub(crate) fn audience(&self) -> &Audience {
        &self.audience
    }

    pub(crate) fn timed(&self) -> &Timed {
        &self.timed
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(crate) fn trends(&self) -> &Mutex<Trends> {
        &self.trends
    }

    pub(crate) fn admin_lane(&self) -> &Lane {
        &self.admin_lane
    }

    pub(crate) fn changing(&self) -> &tokio::sync::Mutex<()> {
        &self.changing
    }

    pub(crate) fn retaining(&self) -> &tokio::sync::Mutex<Retaining> {
        &self.retaining
    }

    /// This topic is new or changed; `None`: a topic is gone, or what clients may do with all of them has changed. The
    /// caller holds `changing`.
    pub(crate) fn tell_name_servers(&self, topic: Option<Topic>) {
        self.audience.note(topic);
        self.topics_changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn resets(&self) -> &Mutex<Resets> {
        &self.resets
    }

    pub(crate) fn resets_pressed(&self) -> &watch::Sender<u64> {
        &self.resets_pressed
    }

    /// Locks on queues held by members of orderly groups.
    pub(crate) fn locks(&self) -> &Mutex<QueueLocks> {
        &self.locks
    }

    pub(crate) fn notifies(&self, group: &Group) -> bool {
        self.group_config(group).is_none_or(|config| config.notify_members)
    }

    /// A group's settings.
    #[must_use]
    pub fn group_config(&self, group: &Group) -> Option<Arc<GroupConfig>> {
        self.metadata.read().groups.get(group).cloned()
    }

    /// A group's settings; an unknown group gets the default ones, which are then stored in the background.
    #[must_use]
    pub fn group_config_or_create(self: &Arc<Self>, name: &str) -> Option<Arc<GroupConfig>> {
        if let Some(config) = self.metadata.read().groups.get(name) {
            return Some(Arc::clone(config));
        }
        let group = Group::new(name).ok()?;
        if self.setting(Setting::AutoCreateGroups) == 0 && !system::is_system_group(name) {
            return None;
        }
        let config = GroupConfig::new(group);
        let (broker, new) = (Arc::clone(self), config.clone());
        rt::spawn(async move {
            let _changing = broker.changing.lock().await;
            if broker.group_config(&new.group).is_some() {
                // Settings that an operator gave in between stay.
                return;
            }
            if let Err(error) = broker.metadata.propose(Change::GroupSet(new)).await {
                tracing::warn!(%error, "a group's default settings could not be stored; the next request tries again");
            }
        });
        Some(Arc::new(config))
    }

    /// Creates the topic that a send is for, as far as that is allowed.
    pub(crate) async fn create_topic_for(self: &Arc<Self>, send: &Publish<'_>) -> Result<(), PublishError> {
        let topic = Topic::new(&send.topic)?;
        if let Some(group) = topic.retry_group().or_else(|| topic.dead_letter_group()) {
            let config = self.group_config_or_create(group.as_str());
            let config = config.ok_or_else(|| PublishError::GroupNotFound { group: group.clone() })?;
            if self.topics.get(topic.as_str()).is_none() {
                self.ensure_topic(TopicConfig::new(topic, config.retry_queues.max(1))).await?;
            }
            self.dead_letter_topic(&group).await?;
            return Ok(());
        }
        let refuse = || PublishError::TopicNotFound { topic: send.topic.to_string() };
        if self.setting(Setting::AutoCreateTopics) == 0 {
            return Err(refuse());
        }
        let model = self.topics.get(&send.default_topic).ok_or_else(refuse)?;
        if model.config.permission & permission::INHERIT == 0 {
            return Err(refuse());
        }
        let queues = send.default_queues.min(model.config.write_queues).max(1);
        let mut config = TopicConfig::new(topic, queues);
        config.permission = model.config.permission & !permission::INHERIT;
        config.system_flag = model.config.system_flag;
        self.ensure_topic(config).await.map(drop)
    }

    /// Makes sure that a topic exists; the given settings count only if it does not.
    pub(crate) async fn ensure_topic(self: &Arc<Self>, config: TopicConfig) -> Result<Topic, PublishError> {
        let topic = config.topic.clone();
        if self.topics.get(topic.as_str()).is_some() {
            return Ok(topic);
        }
        let broker = Arc::clone(self);
        let created = to_its_end(async move {
            let _changing = broker.changing.lock().await;
            match broker.topics.get(config.topic.as_str()) {
                Some(_) => Ok(()),
                None => broker.set_topic(config).await,
            }
        });
        let failed =
            |error: AdminError| PublishError::CreateTopic { topic: topic.to_string(), reason: error.to_string() };
        created.await.map_err(failed)?;
        self.name_servers_know_topics().await;
        Ok(topic)
    }

    /// Stores a topic's settings and puts them in force. The caller holds `changing`.
    pub(crate) async fn set_topic(&self, mut config: TopicConfig) -> Result<(), AdminError> {
        config.since = match self.topics.get(config.topic.as_str()) {
            Some(known) => known.config.since,
            None => self.store.positions().written,
        };
        self.metadata.propose(Change::TopicSet(config.clone())).await.map_err(not_stored)?;
        let topic = config.topic.clone();
        self.topics.put(config, &self.store);
        self.tell_name_servers(Some(topic));
        Ok(())
    }

    /// Creates a topic or changes its settings; durable on return.
    ///
    /// # Errors
    /// [`AdminError`] if it could not be stored.
    pub async fn put_topic(self: &Arc<Self>, config: TopicConfig) -> Result<(), AdminError> {
        self.check_topic_config(&config)?;
        let broker = Arc::clone(self);
        to_its_end(async move {
            let _changing = broker.changing.lock().await;
            broker.set_topic(config).await
        })
        .await
    }

    /// Deletes a topic with its messages and the offsets of its groups; durable on return.
    ///
    /// # Errors
    /// [`AdminError`] if it could not be stored.
    pub async fn delete_topic(self: &Arc<Self>, name: &str) -> Result<(), AdminError> {
        if system::is_system_topic(name) {
            return Err(AdminError::SystemTopic { topic: name.to_owned() });
        }
        let (broker, topic) = (Arc::clone(self), Topic::from_stored(name));
        to_its_end(async move {
            let _changing = broker.changing.lock().await;
            broker.metadata.propose(Change::TopicDeleted(topic.clone())).await.map_err(not_stored)?;
            broker.resets.lock().forget(|key| key.1 == topic);
            broker.topics.remove(topic.as_str());
            broker.tell_name_servers(None);
            Ok(())
        })
        .await
    }
}
