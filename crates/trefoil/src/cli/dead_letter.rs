//! `trefoil dead-letter`: messages that a group could not consume.

mod read;
mod resend;
mod turn;

use super::output::{print, progress, show, table};
use super::remote::{Cluster, masters_of};
use super::{Target, time};
use anyhow::Context as _;
use read::{DeadLetters, Letter, Meant};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use wire::remoting::body::TopicStatsTable;
use wire::remoting::{RequestCode, request};

/// What dead-letter topics are called.
const PREFIX: &str = "%DLQ%";
/// Characters of a body in a table.
const BODY_SHOWN: usize = 40;

/// List, show, resend and export messages that a group could not consume.
#[derive(clap::Subcommand)]
pub(super) enum DeadLetter {
    /// List the groups that have dead letters.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show dead letters of a group: all, those of a time, or single ones.
    Show {
        #[command(flatten)]
        which: Which,
        /// Most messages.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        max: u32,
        #[command(flatten)]
        target: Target,
    },
    /// Put dead letters back into the retry topic of their group, which alone gets them again.
    Resend(resend::Resend),
    /// Write dead letters as lines of JSON.
    Export {
        #[command(flatten)]
        which: Which,
        /// The file; it must not exist. Without it, standard output.
        #[arg(long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

/// Which dead letters are meant.
#[derive(clap::Args)]
#[group(required = false, multiple = true)]
pub(super) struct Which {
    /// The group.
    group: String,
    /// Ids: the sender's, or one that a broker gave the message, alive or dead.
    #[arg(conflicts_with_all = ["since", "until"])]
    ids: Vec<String>,
    /// Only those that died at this time or later (ms since the epoch, or 2026-11-21T06:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = time::arg)]
    since: Option<i64>,
    /// Only those that died before this time.
    #[arg(long, value_name = "TIME", value_parser = time::arg)]
    until: Option<i64>,
}

impl Which {
    fn meant(&self) -> Meant<'_> {
        Meant { ids: &self.ids, since: self.since.unwrap_or(i64::MIN), until: self.until.unwrap_or(i64::MAX) }
    }
}

pub(super) async fn run(command: DeadLetter) -> anyhow::Result<()> {
    match command {
        DeadLetter::List { target } => list(&target).await,
        DeadLetter::Show { which, max, target } => show_letters(&which, max as usize, &target).await,
        DeadLetter::Resend(command) => resend::run(&command).await,
        DeadLetter::Export { which, file, target } => export(&which, file, &target).await,
    }
}

#[derive(Serialize)]
struct Listed {
    group: String,
    messages: i64,
    last_stored: i64,
    brokers: Vec<String>,
}

async fn list(target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let mut listed = Vec::new();
    for topic in cluster.topics().await? {
        let Some(group) = topic.strip_prefix(PREFIX) else { continue };
        let counted = count(&cluster, group, &topic).await?;
        listed.extend((counted.messages > 0).then_some(counted));
    }
    listed.sort_by(|a: &Listed, b| a.group.cmp(&b.group));
    show(target.output, &listed, || {
        if listed.is_empty() {
            return "no group has dead letters\n".to_owned();
        }
        let row =
            |l: &Listed| [l.group.clone(), l.messages.to_string(), time::text(l.last_stored), l.brokers.join(",")];
        table(["GROUP", "DEAD LETTERS", "LAST DIED", "BROKERS"], listed.iter().map(row))
    })
}

async fn count(cluster: &Cluster, group: &str, topic: &str) -> anyhow::Result<Listed> {
    let mut listed = Listed { group: group.to_owned(), messages: 0, last_stored: 0, brokers: Vec::new() };
    let Some(route) = cluster.route(topic).await? else { return Ok(listed) };
    for master in masters_of(&route.broker_datas) {
        let request = request::GetTopicStats { topic };
        let code = RequestCode::GET_TOPIC_STATS_INFO;
        let stats: TopicStatsTable = cluster.ask(&master.addr, code, |out| request.write(out), b"").await?.json()?;
        let messages: i64 = stats.offset_table.values().map(|queue| queue.max_offset - queue.min_offset).sum();
        if messages > 0 {
            listed.messages += messages;
            listed.brokers.push(master.name);
        }
        let last = stats.offset_table.values().map(|queue| queue.last_update_timestamp).max();
        listed.last_stored = listed.last_stored.max(last.unwrap_or(0));
    }
    Ok(listed)
}

async fn show_letters(which: &Which, max: usize, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let dead = DeadLetters::open(&cluster, &which.group).await?;
    let (mut letters, mut more) = (Vec::new(), false);
    dead.each(&which.meant(), async |letter| {
        more = letters.len() == max;
        if !more {
            let resent = dead.resent(&letter).await?;
            letters.push(Shown { resent, letter });
        }
        Ok(!more)
    })
    .await?;
    show(target.output, &letters, || text(&letters, which.ids.is_empty()))?;
    if more {
        eprintln!("there are more than these {max}; --max shows more");
    }
    Ok(())
}

#[derive(Serialize)]
struct Shown {
    /// When it was put back, in ms since the epoch.
    resent: Option<i64>,
    #[serde(flatten)]
    letter: Letter,
}

fn text(letters: &[Shown], is_table: bool) -> String {
    if letters.is_empty() {
        return "no dead letter is meant\n".to_owned();
    }
    if is_table {
        let row = |shown: &Shown| {
            let resent = shown.resent.map_or("-".to_owned(), time::text);
            let [died, id, topic, attempts, keys, body] = shown.letter.row();
            [died, id, topic, attempts, resent, keys, body]
        };
        let head = ["DIED", "ID", "TOPIC", "ATTEMPTS", "RESENT", "KEYS", "BODY"];
        return table(head, letters.iter().map(row));
    }
    let mut text = String::new();
    for Shown { resent, letter } in letters {
        let resent = resent.map_or("not resent".to_owned(), |at| format!("resent {}", time::text(at)));
        text.push_str(&format!("dead letter {} of topic {}, {resent}\n", letter.offset_id, letter.origin_topic));
        text.push_str(&letter.message.text(true));
        for (name, value) in &letter.message.properties {
            text.push_str(&format!("  {name}={value}\n"));
        }
    }
    text
}

async fn export(which: &Which, file: Option<PathBuf>, target: &Target) -> anyhow::Result<()> {
    let cluster = target.cluster();
    let dead = DeadLetters::open(&cluster, &which.group).await?;
    let mut out = match &file {
        Some(path) => Some(create(path)?),
        None => None,
    };
    let (bar, mut count) = (progress(0), 0_u64);
    dead.each(&which.meant(), async |letter| {
        let line = format!("{}\n", serde_json::to_string(&letter)?);
        match &mut out {
            Some(out) => out.write_all(line.as_bytes()).context("cannot write the file")?,
            None => print(&line)?,
        }
        bar.inc(1);
        count += 1;
        Ok(true)
    })
    .await?;
    bar.finish_and_clear();
    if let (Some(out), Some(path)) = (out, file) {
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).context("cannot write the file")?;
        let value = serde_json::json!({ "exported": count, "file": path });
        show(target.output, &value, || format!("{count} dead letters are in {}\n", path.display()))?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a file of the user")]
fn create(path: &std::path::Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn cut(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(BODY_SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
