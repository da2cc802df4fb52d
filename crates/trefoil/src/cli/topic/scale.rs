//! `trefoil topic scale`: another number of queues while everybody goes on.
//!
//! Growing is one step. Shrinking has three: nobody writes to the queues that go, everybody consumes what they hold, nobody
//! reads them. An order key goes to another queue when the number of queues changes, so with `--keep-order` nothing is
//! written until everything that is there was consumed.

use super::super::output::{print, show};
use super::super::remote::{Cluster, Master, is_refused, masters_of};
use super::super::{Format, Target};
use super::{WRITE, config, note_if_closed, store};
use anyhow::{Context as _, bail};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use wire::remoting::body::{ConsumeStats, GroupList, TopicConfig, TopicStatsTable};
use wire::remoting::{RequestCode, ResponseCode, request};

/// Producers ask for routes this often unless told otherwise; until then they write to queues that they know.
const ROUTES_KNOWN: Duration = Duration::from_secs(35);
/// How often progress is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Change the number of queues while producers and consumers go on.
#[derive(clap::Args)]
pub(in crate::cli) struct Scale {
    /// The topic.
    topic: String,
    /// Queues on each broker.
    #[arg(long)]
    queues: u32,
    /// Refuse messages until all that are stored were consumed, so that no order key is read from two queues.
    #[arg(long)]
    keep_order: bool,
    /// Longest time in s to wait for consumers.
    #[arg(long, default_value_t = 600, value_name = "S")]
    wait_s: u64,
    #[command(flatten)]
    target: Target,
}

struct Scaling<'a> {
    command: &'a Scale,
    cluster: Cluster,
    master: Master,
    before: TopicConfig,
}

pub(super) async fn scale(command: &Scale) -> anyhow::Result<()> {
    let cluster = command.target.cluster();
    let route = cluster.known_route(&command.topic).await?;
    if command.queues == 0 {
        bail!("a topic has at least one queue; 'trefoil topic delete' removes a topic");
    }
    for master in masters_of(&route.broker_datas) {
        let Some(before) = config(&cluster, &master, &command.topic).await? else {
            bail!("{} does not serve the topic '{}' any more", master.name, command.topic)
        };
        let scaling = Scaling { command, cluster: command.target.cluster(), master, before };
        let scaled = scaling.run().await;
        note_if_closed(&scaling.before, &scaling.master);
        scaled?;
    }
    let value = serde_json::json!({ "topic": command.topic, "queues": command.queues });
    show(command.target.output, &value, || format!("topic '{}' has {} queues\n", command.topic, command.queues))
}

impl Scaling<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let queues = i32::try_from(self.command.queues).context("too many queues")?;
        let (reads, perm) = (self.before.read_queue_nums, self.before.perm);
        if self.command.keep_order {
            // Whoever gives up must not leave a topic behind that takes no messages.
            let (mut interrupted, mut ended) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let given_up = || anyhow::anyhow!("interrupted; the number of queues is as it was");
            self.say("messages are refused until all that are stored were consumed");
            self.set(reads, self.before.write_queue_nums, perm & !WRITE).await?;
            let drained = tokio::select! {
                drained = self.drained(0) => drained,
                _ = interrupted.recv() => Err(given_up()),
                _ = ended.recv() => Err(given_up()),
            };
            let (reads, writes) =
                if drained.is_ok() { (queues, queues) } else { (reads, self.before.write_queue_nums) };
            self.set(reads, writes, perm).await.with_context(|| self.left_closed())?;
            return drained;
        }
        if queues >= reads {
            return self.set(queues, queues, perm).await;
        }
        self.set(reads, queues, perm).await?;
        self.say("producers learn that fewer queues are written");
        rt::sleep(ROUTES_KNOWN).await;
        self.say("consumers read what is left in the queues that go");
        self.drained(queues).await?;
        self.set(queues, queues, perm).await
    }

    fn left_closed(&self) -> String {
        let (topic, broker) = (&self.command.topic, &self.master.name);
        format!(
            "'{topic}' still takes no messages on {broker}; once the broker answers, 'trefoil topic create {topic} --broker \
             {broker} --permission rw' opens it again"
        )
    }

    fn say(&self, step: &str) {
        if self.command.target.output == Format::Text {
            // Whoever closed our output will be noticed at the end.
            drop(print(&format!("{}: {step}\n", self.master.name)));
        }
    }

    async fn set(&self, reads: i32, writes: i32, perm: i32) -> anyhow::Result<()> {
        let config = TopicConfig { read_queue_nums: reads, write_queue_nums: writes, perm, ..self.before.clone() };
        store(&self.cluster, &self.master, &self.command.topic, &config, &[]).await
    }

    /// Waits until every group of the topic has consumed all queues from `first` on.
    async fn drained(&self, first: i32) -> anyhow::Result<()> {
        let deadline = self.cluster.now_ms() + i64::try_from(self.command.wait_s)?.saturating_mul(1000);
        loop {
            let Some((group, lag)) = self.behind(first).await? else { return Ok(()) };
            if self.cluster.now_ms() >= deadline {
                bail!(
                    "group '{group}' has not consumed {lag} messages of the queues from {first} on of '{}'; nothing is \
                     lost: those queues are still read. Start its consumers, or skip with 'trefoil group skip {group} \
                     --topic {}', then run this again",
                    self.command.topic,
                    self.command.topic
                );
            }
            rt::sleep(LOOK_AGAIN).await;
        }
    }

    /// A group that has messages left there, and how many. Without groups, what is stored there is left to whoever comes.
    async fn behind(&self, first: i32) -> anyhow::Result<Option<(String, i64)>> {
        let topic = self.command.topic.as_str();
        let request = request::QueryTopicConsumeByWho { topic };
        let code = RequestCode::QUERY_TOPIC_CONSUME_BY_WHO;
        let groups: GroupList =
            self.cluster.ask(&self.master.addr, code, |out| request.write(out), b"").await?.json()?;
        if groups.group_list.is_empty() {
            let request = request::GetTopicStats { topic };
            let code = RequestCode::GET_TOPIC_STATS_INFO;
            let stats: TopicStatsTable =
                self.cluster.ask(&self.master.addr, code, |out| request.write(out), b"").await?.json()?;
            let held = stats.offset_table.iter().filter(|(queue, _)| queue.queue_id >= first && first > 0);
            let held: i64 = held.map(|(_, at)| at.max_offset - at.min_offset).sum();
            return Ok((held > 0).then(|| ("(none yet)".to_owned(), held)));
        }
        for group in groups.group_list {
            let request = request::GetConsumeStats { consumer_group: &group, topic: Some(topic), topic_list: None };
            let answer = self
                .cluster
                .ask(&self.master.addr, RequestCode::GET_CONSUME_STATS, |out| request.write(out), b"")
                .await;
            let stats: ConsumeStats = match answer {
                Ok(answer) => answer.json()?,
                Err(error) if is_refused(&error, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST) => continue,
                Err(error) => return Err(error),
            };
            let left = stats.offset_table.iter().filter(|(queue, _)| queue.queue_id >= first);
            let lag: i64 = left.map(|(_, at)| at.broker_offset - at.consumer_offset).sum();
            if lag > 0 {
                return Ok(Some((group, lag)));
            }
        }
        Ok(None)
    }
}
