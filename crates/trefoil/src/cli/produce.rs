//! `trefoil produce`.

use super::output::{progress, show, table};
use super::remote::{Cluster, MODEL_TOPIC, Pending, is_uncertain, masters_of};
use super::{Format, Target, time};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use model::properties;
use serde::Serialize;
use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read};
use std::path::PathBuf;
use std::sync::Arc;
use wire::remoting::body::{HeartbeatData, ProducerData, TopicRouteData};
use wire::remoting::{RequestCode, loose_json, request, response};

/// Messages on their way at a time.
const WINDOW: usize = 64;
/// Queues asked for when the topic is created by sending.
const NEW_TOPIC_QUEUES: i32 = 4;
/// Group of the senders that this command is.
const PRODUCER_GROUP: &str = "CLI_PRODUCER";
/// Bit of a route's permission.
const WRITE: i32 = 2;
/// Bytes of input read at a time.
const INPUT_BYTES: usize = 64 << 10;
/// Failures told one by one; more are only counted.
const FAILURES_SHOWN_MAX: u64 = 10;

/// Send messages: from arguments, a file, or the lines of standard input.
#[derive(clap::Args)]
pub(super) struct Produce {
    /// The topic.
    topic: String,
    /// Bodies, one message each. Without any, and without --file, each line of standard input is one.
    messages: Vec<String>,
    /// File of which each line is a message.
    #[arg(long, conflicts_with = "messages")]
    file: Option<PathBuf>,
    /// Tag of the messages.
    #[arg(long, value_parser = text)]
    tag: Option<String>,
    /// Key of the messages; may be given more than once.
    #[arg(long = "key", value_parser = text)]
    keys: Vec<String>,
    /// Property of the messages; may be given more than once.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
    /// Queue to send to; without it, all in turn.
    #[arg(long)]
    queue: Option<i32>,
    /// Send each message this many times.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    #[command(flatten)]
    target: Target,
}

/// What can be in a property: two characters separate properties.
fn text(text: &str) -> Result<String, String> {
    match text.contains(['\u{1}', '\u{2}']) {
        true => Err("the characters U+0001 and U+0002 separate properties, and cannot be in one".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn property(property: &str) -> Result<(String, String), String> {
    let (name, value) = property.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty; expected NAME=VALUE".to_owned());
    }
    Ok((text(name)?, text(value)?))
}

/// A queue that takes messages.
struct Queue {
    broker: String,
    id: i32,
    addr: String,
}

#[derive(Serialize)]
struct Stored {
    broker: String,
    queue: i32,
    offset: i64,
    id: String,
}

/// The sending in progress.
struct Run<'a> {
    command: &'a Produce,
    cluster: Arc<Cluster>,
    queues: Vec<Queue>,
    /// Where to begin, so that many short runs fill all queues.
    first_queue: u64,
    ids: Ids,
    on_the_way: VecDeque<(usize, String, Pending)>,
    stored: Vec<Stored>,
    sent: u64,
    failed: u64,
    /// No answer came to these: they may be stored.
    unknown: u64,
    bar: indicatif::ProgressBar,
}

pub(super) async fn run(command: Produce) -> anyhow::Result<()> {
    let cluster = Arc::new(command.target.cluster());
    let is_new = cluster.route(&command.topic).await?.is_none();
    let queues = queues(&cluster, &command).await?;
    let total = command.messages.len() as u64 * command.count;
    let bar = if total == 0 || total > 1000 { progress(total) } else { indicatif::ProgressBar::hidden() };
    let mut run = Run {
        command: &command,
        queues,
        first_queue: cluster.random(),
        ids: Ids::new(&cluster),
        cluster,
        on_the_way: VecDeque::new(),
        stored: Vec::new(),
        sent: 0,
        failed: 0,
        unknown: 0,
        bar,
    };
    let result = run.all().await;
    run.bar.finish_and_clear();
    result?;
    run.report()?;
    match is_new {
        true => run.cluster.wait_for_route(&command.topic, &[]).await,
        false => Ok(()),
    }
}

async fn queues(cluster: &Cluster, command: &Produce) -> anyhow::Result<Vec<Queue>> {
    let topic = &command.topic;
    model::Topic::new(topic)?;
    let (route, queues_max) = match cluster.route(topic).await? {
        Some(route) => (route, i32::MAX),
        None => {
            let model = cluster.route(MODEL_TOPIC).await?;
            let why = || format!("no broker serves the topic '{topic}', and none creates topics by sending");
            (model.with_context(why)?, NEW_TOPIC_QUEUES)
        }
    };
    let TopicRouteData { queue_datas, broker_datas, .. } = &route;
    let mut queues = Vec::new();
    for master in masters_of(broker_datas) {
        introduce(cluster, &master.addr).await?;
        for data in queue_datas.iter().filter(|data| data.broker_name == master.name && data.perm & WRITE != 0) {
            let ids = 0..data.write_queue_nums.min(queues_max);
            let ids = ids.filter(|id| command.queue.is_none_or(|only| only == *id));
            queues.extend(ids.map(|id| Queue { broker: master.name.clone(), id, addr: master.addr.clone() }));
        }
    }
    match (queues.is_empty(), command.queue) {
        (false, _) => Ok(queues),
        (true, Some(queue)) => bail!("the topic '{topic}' has no queue {queue} that takes messages"),
        (true, None) => bail!("the topic '{topic}' has no queue that takes messages"),
    }
}

/// Tells a broker who sends, as every client does first. It also opens the one connection that all messages then take.
async fn introduce(cluster: &Cluster, addr: &str) -> anyhow::Result<()> {
    let beat = HeartbeatData {
        client_id: format!("trefoil@{:016x}", cluster.random()),
        producer_data_set: vec![ProducerData { group_name: PRODUCER_GROUP.to_owned() }],
        ..Default::default()
    };
    let beat = loose_json::to_vec(&beat, loose_json::Dialect::Strict);
    cluster.ask(addr, RequestCode::HEART_BEAT, |_| {}, &beat).await.map(drop)
}

/// Where messages come from, a line each.
type Input = BufReader<Box<dyn Read + Send>>;

fn input(command: &Produce) -> anyhow::Result<Input> {
    let input: Box<dyn Read + Send> = match &command.file {
        #[allow(clippy::disallowed_methods, reason = "the user's own file, not the store's")]
        Some(path) => {
            let file = std::fs::File::open(path);
            Box::new(file.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => {
            if io::stdin().is_terminal() {
                eprintln!("each line is a message; end with Ctrl-D");
            }
            Box::new(io::stdin())
        }
    };
    Ok(BufReader::with_capacity(INPUT_BYTES, input))
}

/// The next line, and those after it that are there already; none at the end.
fn next_lines(mut input: Input) -> io::Result<(Input, Vec<Vec<u8>>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok((input, lines));
        }
        let is_cut = |line: &mut Vec<u8>, end| line.pop_if(|byte| *byte == end).is_some();
        if is_cut(&mut line, b'\n') {
            is_cut(&mut line, b'\r');
        }
        lines.push(line);
        if !input.buffer().contains(&b'\n') {
            return Ok((input, lines));
        }
    }
}

impl Run<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        let command = self.command;
        for body in &command.messages {
            self.send(body.as_bytes()).await?;
        }
        if command.messages.is_empty() {
            self.all_lines(input(command)?).await?;
        }
        while !self.on_the_way.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    /// Sends each line as it comes: the next one may be long in coming.
    async fn all_lines(&mut self, mut input: Input) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        loop {
            let mut reading = std::pin::pin!(cluster.run_blocking(move || next_lines(input)));
            let lines = loop {
                tokio::select! {
                    lines = &mut reading => break lines.context("cannot read the messages")?,
                    settled = self.settle_one(), if !self.on_the_way.is_empty() => settled?,
                }
            };
            if lines.1.is_empty() {
                return Ok(());
            }
            for line in &lines.1 {
                self.send(line).await?;
            }
            input = lines.0;
        }
    }

    async fn send(&mut self, body: &[u8]) -> anyhow::Result<()> {
        for _ in 0..self.command.count {
            if self.on_the_way.len() >= WINDOW {
                self.settle_one().await?;
            }
            let now = self.cluster.now_ms();
            let id = self.ids.next(now);
            let properties = self.properties(&id);
            let at = usize::try_from(self.first_queue.wrapping_add(self.sent) % self.queues.len() as u64).unwrap_or(0);
            let queue = &self.queues[at];
            let header = request::SendMessage {
                producer_group: PRODUCER_GROUP,
                topic: &self.command.topic,
                default_topic: MODEL_TOPIC,
                default_topic_queue_nums: NEW_TOPIC_QUEUES,
                queue_id: queue.id,
                born_timestamp: now,
                properties: Some(&properties),
                reconsume_times: Some(0),
                unit_mode: Some(false),
                batch: Some(false),
                ..Default::default()
            };
            let code = RequestCode::SEND_MESSAGE_V2;
            let body = Bytes::copy_from_slice(body);
            let pending = self.cluster.send(&queue.addr, code, |out| header.write_short(out), body);
            self.on_the_way.push_back((at, id, pending));
            self.sent += 1;
        }
        Ok(())
    }

    fn properties(&self, id: &str) -> String {
        let Produce { tag, keys, properties, .. } = self.command;
        let mut text = String::new();
        if !keys.is_empty() {
            properties::push(&mut text, properties::KEYS, &keys.join(" "));
        }
        properties::push(&mut text, properties::UNIQ_KEY, id);
        properties::push(&mut text, properties::WAIT, "true");
        if let Some(tag) = tag {
            properties::push(&mut text, properties::TAGS, tag);
        }
        for (name, value) in properties {
            properties::push(&mut text, name, value);
        }
        text
    }

    /// Takes the answer to the oldest message. Nothing is lost if it is given up before its end.
    async fn settle_one(&mut self) -> anyhow::Result<()> {
        let Some((_, _, pending)) = self.on_the_way.front_mut() else { return Ok(()) };
        let answer = pending.answer().await;
        let Some((at, id, _)) = self.on_the_way.pop_front() else { return Ok(()) };
        self.bar.inc(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let (count, what) = match is_uncertain(&error) {
                    true => (&mut self.unknown, "may be stored or not"),
                    false => (&mut self.failed, "was not stored"),
                };
                *count += 1;
                if *count <= FAILURES_SHOWN_MAX {
                    self.bar.suspend(|| eprintln!("error: message {id} {what}: {error:#}"));
                }
                return Ok(());
            }
        };
        let fields = answer.fields();
        let place = response::SendMessage::parse(&fields)?;
        let broker = self.queues[at].broker.clone();
        let stored = Stored { broker, queue: place.queue_id, offset: place.queue_offset, id };
        match self.command.target.output {
            Format::Json => super::output::print(&format!("{}\n", serde_json::to_string(&stored)?))?,
            Format::Text if self.command.messages.is_empty() || self.command.count > 1 => {}
            Format::Text => self.stored.push(stored),
        }
        Ok(())
    }

    fn report(&self) -> anyhow::Result<()> {
        let stored = self.sent - self.failed - self.unknown;
        if self.command.target.output == Format::Text {
            let row = |s: &Stored| [s.broker.clone(), s.queue.to_string(), s.offset.to_string(), s.id.clone()];
            let summary = format!("{stored} messages stored in '{}'\n", self.command.topic);
            show(Format::Text, &(), || match self.stored.is_empty() {
                true => summary,
                false => table(["BROKER", "QUEUE", "OFFSET", "ID"], self.stored.iter().map(row)),
            })?;
        }
        match (self.failed, self.unknown) {
            (0, 0) => Ok(()),
            (failed, 0) => bail!("{failed} of {} messages were not stored", self.sent),
            (failed, unknown) => bail!(
                "of {} messages {failed} were not stored, and {unknown} may be stored or not: no answer came, and they are \
                 not sent again; 'trefoil message show ID --topic {}' tells",
                self.sent,
                self.command.topic
            ),
        }
    }
}

/// Unique ids in the form that clients of 4.x give: 16 bytes as hexadecimal digits, of which the last six tell the time
/// (ms since the month began) and a count.
struct Ids {
    prefix: [u8; 10],
    next: u16,
}

impl Ids {
    fn new(cluster: &Cluster) -> Self {
        let mut prefix = [0; 10];
        prefix[..8].copy_from_slice(&cluster.random().to_be_bytes());
        prefix[8..].copy_from_slice(&cluster.random().to_be_bytes()[..2]);
        Self { prefix, next: 0 }
    }

    fn next(&mut self, now_ms: i64) -> String {
        let since = u32::try_from(now_ms.saturating_sub(time::month_start(now_ms))).unwrap_or(u32::MAX);
        self.next = self.next.wrapping_add(1);
        let parts = [&self.prefix[..], &since.to_be_bytes(), &self.next.to_be_bytes()].concat();
        parts.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}
