//! `trefoil dead-letter resend`.
//!
//! A dead letter goes into the retry topic of its group, with the topic that it came from as a property, just as a
//! message that is sent back: consumers see it under that topic, and no other group gets it. It has all its deliveries
//! before it once more. It says which dead letter it was ([`properties::DLQ_RESENT_FROM`]); by that a second resend of
//! the same dead letter is noticed and not done. The dead letter itself stays where it is until retention deletes it.
//! Commands that resend take [turns](super::turn).

use super::Which;
use super::read::{DeadLetters, Letter, Meant};
use super::turn::Turn;
use crate::cli::output::{progress, show, table};
use crate::cli::remote::{Cluster, is_uncertain};
use crate::cli::{Format, Target, time};
use anyhow::{Context as _, bail};
use model::record::Record;
use model::{properties, sys_flag};
use serde::Serialize;
use wire::remoting::body::PERM_READ_WRITE;
use wire::remoting::{OrDefault, RequestCode, request, response};

/// Group of the senders that this command is.
const PRODUCER_GROUP: &str = "CLI_PRODUCER";
/// Messages shown of those that would be resent.
const SHOWN_MAX: usize = 100;

/// Properties that belong to the message's life before it died, beside those that are [spent](properties::is_spent).
const NOT_RESENT: [&str; 5] = [
    properties::RECONSUME_TIME,
    properties::MAX_RECONSUME_TIMES,
    properties::REAL_TOPIC,
    properties::REAL_QUEUE_ID,
    properties::DLQ_RESENT_FROM,
];

/// Put dead letters back into the retry topic of their group.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("meant").required(true).multiple(true).args(["ids", "since", "until", "all"]))]
pub(in crate::cli) struct Resend {
    #[command(flatten)]
    which: Which,
    /// All dead letters of the group.
    #[arg(long, conflicts_with_all = ["ids", "since", "until"])]
    all: bool,
    /// Those that were resent before once more.
    #[arg(long)]
    again: bool,
    /// Do it; without this, those that are meant by anything but their ids are only shown.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Outcome {
    id: String,
    /// The dead letter.
    offset_id: String,
    topic: String,
    resent: bool,
    /// Where it is now, or why it is not resent.
    note: String,
}

/// What was done, what was left out, what failed.
#[derive(Default)]
struct Totals {
    resent: u64,
    left_out: u64,
    failed: u64,
}

pub(super) async fn run(command: &Resend) -> anyhow::Result<()> {
    let cluster = command.target.cluster();
    let dead = DeadLetters::open(&cluster, &command.which.group).await?;
    let meant = command.which.meant();
    if meant.ids.is_empty() && !command.yes {
        return preview(&dead, &meant, command).await;
    }
    let mut turn = Turn::take(&dead).await?;
    let (mut outcomes, mut totals, bar) = (Vec::new(), Totals::default(), progress(0));
    let all = dead.each(&meant, async |letter| {
        turn.hold().await?;
        let outcome = resend_one(&dead, &letter, command.again).await;
        bar.inc(1);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                totals.failed += 1;
                outcome_of(&letter, false, format!("{error:#}"))
            }
        };
        totals.resent += u64::from(outcome.resent);
        if outcome.resent {
            turn.resent(letter);
        }
        if command.target.output == Format::Json || outcomes.len() < SHOWN_MAX || !outcome.resent {
            outcomes.push(outcome);
        }
        Ok(true)
    });
    let all = all.await;
    bar.finish_and_clear();
    let ended = turn.end().await;
    totals.left_out = outcomes.iter().filter(|outcome| !outcome.resent).count() as u64 - totals.failed;
    show(command.target.output, &outcomes, || text(&outcomes, &totals))?;
    all.and(ended)?;
    match totals.failed {
        0 => Ok(()),
        failed => bail!(
            "{failed} dead letters are not resent, or not known to be; what is resent is not resent again by the same \
             command"
        ),
    }
}

async fn preview(dead: &DeadLetters<'_>, meant: &Meant<'_>, command: &Resend) -> anyhow::Result<()> {
    let (mut shown, mut count) = (Vec::new(), 0_u64);
    dead.each(meant, async |letter| {
        count += 1;
        if shown.len() < SHOWN_MAX {
            shown.push(letter);
        }
        Ok(true)
    })
    .await?;
    let head = ["DIED", "ID", "TOPIC", "ATTEMPTS", "KEYS", "BODY"];
    show(command.target.output, &shown, || table(head, shown.iter().map(Letter::row)))?;
    bail!("nothing is resent: {count} dead letters are meant, and --yes was not given")
}

fn outcome_of(letter: &Letter, resent: bool, note: String) -> Outcome {
    let (id, offset_id, topic) = (letter.key().to_owned(), letter.offset_id.clone(), letter.origin_topic.clone());
    Outcome { id, offset_id, topic, resent, note }
}

async fn resend_one(dead: &DeadLetters<'_>, letter: &Letter, again: bool) -> anyhow::Result<Outcome> {
    if letter.origin_topic.is_empty() {
        bail!("it does not say which topic it came from");
    }
    if let (false, Some(at)) = (again, dead.resent(letter).await?) {
        return Ok(outcome_of(letter, false, format!("was resent {}; --again does it once more", time::text(at))));
    }
    let retry = format!("%RETRY%{}", dead.group);
    let queues = queues(dead.cluster, &retry, letter).await?;
    let record = Record::parse(&letter.record)?;
    let properties = resent_properties(&record, letter);
    let header = request::SendMessage {
        producer_group: PRODUCER_GROUP,
        topic: &retry,
        default_topic: crate::cli::remote::MODEL_TOPIC,
        default_topic_queue_nums: 1,
        queue_id: i32::try_from(dead.cluster.random() % queues)?,
        sys_flag: record.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6 | sys_flag::TRANSACTION),
        born_timestamp: record.born_timestamp,
        flag: record.flag,
        properties: Some(&properties),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        batch: Some(false),
        ..Default::default()
    };
    let code = RequestCode::SEND_MESSAGE_V2;
    let answer = dead.cluster.ask_once(&letter.addr, code, |out| header.write_short(out), record.body).await;
    let answer = answer.map_err(|error| match (is_uncertain(&error), again) {
        (true, false) => error.context(
            "whether it was resent is not known; the same command looks for the copy and sends it only if there is none",
        ),
        (true, true) => error.context("whether it was resent is not known; the messages of the retry topic tell"),
        (false, _) => error,
    })?;
    let fields = answer.fields();
    let place = response::SendMessage::parse(&fields)?;
    let note = format!("{}/{}#{}", letter.message.broker, place.queue_id, place.queue_offset);
    Ok(outcome_of(letter, true, note))
}

/// Queues of the retry topic at the broker that has the dead letter. The topic is made anew if somebody deleted it.
async fn queues(cluster: &Cluster, retry: &str, letter: &Letter) -> anyhow::Result<u64> {
    let route = cluster.route(retry).await?;
    let known = route.and_then(|route| {
        let queues = route.queue_datas.into_iter().find(|queues| queues.broker_name == letter.message.broker);
        queues.and_then(|queues| u64::try_from(queues.write_queue_nums).ok())
    });
    if let Some(queues) = known.filter(|queues| *queues > 0) {
        return Ok(queues);
    }
    let request = request::CreateTopic {
        topic: retry,
        default_topic: OrDefault(crate::cli::remote::MODEL_TOPIC),
        read_queue_nums: 1,
        write_queue_nums: 1,
        perm: PERM_READ_WRITE,
        topic_filter_type: wire::remoting::body::SINGLE_TAG,
        topic_sys_flag: Some(0),
        order: OrDefault(false),
        attributes: None,
        force: None,
    };
    let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
    let created = cluster.ask(&letter.addr, code, |out| request.write(out), b"").await;
    created.with_context(|| format!("the group has no topic {retry}, and it cannot be created"))?;
    Ok(1)
}

fn resent_properties(record: &Record<'_>, letter: &Letter) -> String {
    let is_left_out = |name: &str| properties::is_spent(name) || NOT_RESENT.contains(&name);
    let mut text = properties::leaving_out(record.properties, is_left_out);
    if record.property(properties::UNIQ_KEY).is_none() {
        properties::push(&mut text, properties::UNIQ_KEY, letter.key());
    }
    text = properties::with(&text, properties::RETRY_TOPIC, &letter.origin_topic);
    properties::push(&mut text, properties::DLQ_RESENT_FROM, &letter.offset_id);
    properties::push(&mut text, properties::WAIT, "true");
    text
}

fn text(outcomes: &[Outcome], totals: &Totals) -> String {
    let row = |outcome: &Outcome| {
        let result = if outcome.resent { format!("resent to {}", outcome.note) } else { outcome.note.clone() };
        [outcome.id.clone(), outcome.topic.clone(), result]
    };
    let table = table(["ID", "TOPIC", "RESULT"], outcomes.iter().map(row));
    let Totals { resent, left_out, failed } = totals;
    format!("{table}{resent} resent, {left_out} left out, {failed} failed\n")
}
