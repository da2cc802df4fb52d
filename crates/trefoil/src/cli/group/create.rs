//! `trefoil group create`.

use super::super::Target;
use super::super::output::show;
use super::super::remote::{Among, Cluster, Master, signed};
use super::configs;
use anyhow::bail;
use clap::ArgAction::Set;
use serde_json::{Value, json};
use wire::remoting::RequestCode;
use wire::remoting::body::{Opaque, SubscriptionGroupConfig};
use wire::remoting::loose_json::{Dialect, to_vec};

/// Create a consumer group, or change the settings of one; what is not named stays as it is.
#[derive(clap::Args)]
pub(in crate::cli) struct Create {
    /// The group.
    group: String,
    /// Whether the group may consume.
    #[arg(long, action = Set)]
    consume: Option<bool>,
    /// Whether each member may receive every message.
    #[arg(long, action = Set)]
    broadcast: Option<bool>,
    /// Deliveries after the first before a message is a dead letter; -1 sets no end.
    #[arg(long, allow_negative_numbers = true)]
    retries_max: Option<i32>,
    /// Queues of the group's retry topic on each broker; 0: what fails is not delivered again.
    #[arg(long)]
    retry_queues: Option<u16>,
    /// Pauses before the retries: levels (10s, 30s, 1m, … as for all groups), a list such as 1s,5s,10m whose last one stays,
    /// or FIRST..LONGEST such as 5s..2h, each double the one before.
    #[arg(long, value_parser = pauses)]
    retry_pauses: Option<Pauses>,
    /// Minutes after which a client gives up on a message that it consumes.
    #[arg(long)]
    consume_timeout_minutes: Option<u16>,
    /// Sets an attribute, such as quota.messages-per-second=100; a name without a value takes it away.
    #[arg(long, value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    #[command(flatten)]
    among: Among,
    #[command(flatten)]
    target: Target,
}

/// Pauses before retries, in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pauses {
    Levels,
    Listed(Vec<u64>),
    Doubling { first: u64, longest: u64 },
}

impl Pauses {
    /// The original's retry policy.
    fn policy(&self) -> Option<Opaque> {
        let policy = match self {
            Self::Levels => return None,
            Self::Listed(next) => json!({ "type": "CUSTOMIZED", "customizedRetryPolicy": { "next": next } }),
            Self::Doubling { first, longest } => json!({
                "type": "EXPONENTIAL",
                "exponentialRetryPolicy": { "initial": first, "max": longest, "multiplier": 2 },
            }),
        };
        match policy {
            Value::Object(members) => Some(Opaque(members)),
            _ => None,
        }
    }
}

fn pauses(text: &str) -> Result<Pauses, String> {
    if text == "levels" {
        return Ok(Pauses::Levels);
    }
    let ms = |text: &str| {
        let text = text.trim();
        let unit = text.find(|c: char| !c.is_ascii_digit()).map(|at| text.split_at(at));
        let (number, factor) = match unit? {
            (number, "ms") => (number, 1),
            (number, "s") => (number, 1000),
            (number, "m") => (number, 60_000),
            (number, "h") => (number, 3_600_000),
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).filter(|ms| *ms > 0)
    };
    let parsed = match text.split_once("..") {
        Some((first, longest)) => {
            ms(first).zip(ms(longest)).map(|(first, longest)| Pauses::Doubling { first, longest })
        }
        None => text.split(',').map(ms).collect::<Option<_>>().map(Pauses::Listed),
    };
    parsed.ok_or_else(|| {
        "write levels, a list like 1s,5s,10m, or FIRST..LONGEST like 5s..2h; units are ms, s, m, h".to_owned()
    })
}

/// What is to be stored on a broker: the settings there are, and the changes.
fn changed(known: Option<SubscriptionGroupConfig>, command: &Create) -> SubscriptionGroupConfig {
    let mut config = known.unwrap_or_default();
    config.group_name.clone_from(&command.group);
    config.consume_enable = command.consume.unwrap_or(config.consume_enable);
    config.consume_broadcast_enable = command.broadcast.unwrap_or(config.consume_broadcast_enable);
    config.retry_max_times = command.retries_max.unwrap_or(config.retry_max_times);
    config.retry_queue_nums = command.retry_queues.map_or(config.retry_queue_nums, i32::from);
    config.consume_timeout_minute = command.consume_timeout_minutes.map_or(config.consume_timeout_minute, i32::from);
    if let Some(pauses) = &command.retry_pauses {
        config.group_retry_policy = pauses.policy();
    }
    // Brokers keep the attributes that are not named.
    let change = |text: &String| {
        let text = signed(text);
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        (name.to_owned(), value.to_owned())
    };
    config.attributes = command.attribute.iter().map(change).collect();
    config
}

async fn known(cluster: &Cluster, master: &Master, group: &str) -> anyhow::Result<Option<SubscriptionGroupConfig>> {
    Ok(configs(cluster, master).await?.into_iter().find(|config| config.group_name == group))
}

/// What a broker passed over.
fn left_out(wanted: &SubscriptionGroupConfig, stored: &SubscriptionGroupConfig) -> Option<&'static str> {
    let is_set = |change: &String| change.strip_prefix('+').is_none_or(|name| stored.attributes.contains_key(name));
    if wanted.group_retry_policy.is_some() && stored.group_retry_policy.is_none() {
        return Some("retry pauses");
    }
    (!wanted.attributes.keys().all(is_set)).then_some("attributes of groups")
}

pub(super) async fn create(command: &Create) -> anyhow::Result<()> {
    model::Group::new(&command.group)?;
    let cluster = command.target.cluster();
    let masters = cluster.masters_among(&command.among).await?;
    for master in &masters {
        let wanted = changed(known(&cluster, master, &command.group).await?, command);
        let body = to_vec(&wanted, Dialect::Strict);
        cluster.ask(&master.addr, RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, |_| {}, &body).await?;
        if command.retry_pauses.is_none() && command.attribute.is_empty() {
            continue;
        }
        let stored = known(&cluster, master, &command.group).await?.unwrap_or_default();
        if let Some(what) = left_out(&wanted, &stored) {
            bail!("{} has set '{}', but it is of a version that knows no {what}", master.name, command.group);
        }
    }
    let brokers: Vec<_> = masters.iter().map(|master| master.name.as_str()).collect();
    let value = json!({ "group": command.group, "brokers": brokers });
    show(command.target.output, &value, || format!("group '{}' is set on {}\n", command.group, brokers.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_as_people_write_them() {
        let check = |text: &str, expected: Option<Pauses>| assert_eq!(pauses(text).ok(), expected, "{text}");
        check("levels", Some(Pauses::Levels));
        check("500ms,1s, 10m", Some(Pauses::Listed(vec![500, 1000, 600_000])));
        check("5s..2h", Some(Pauses::Doubling { first: 5000, longest: 7_200_000 }));
        check("5", None);
        check("0s", None);
        check("5s..", None);
        check("99999999999999999h", None);
        check("", None);
    }

    #[test]
    fn what_an_older_broker_passes_over_is_seen() {
        let config = |attribute: &str, has_policy: bool| SubscriptionGroupConfig {
            attributes: [(attribute.to_owned(), "1".to_owned())].into(),
            group_retry_policy: has_policy.then(|| pauses("1s").unwrap().policy()).flatten(),
            ..SubscriptionGroupConfig::default()
        };
        let check = |wanted, stored, expected| assert_eq!(left_out(&wanted, &stored), expected);
        check(config("+a", true), config("a", true), None);
        check(config("-b", false), config("a", true), None);
        check(config("+a", true), config("a", false), Some("retry pauses"));
        check(config("+b", false), config("a", false), Some("attributes of groups"));
    }

    #[test]
    fn policies_are_those_that_brokers_read() {
        let check = |text: &str, reconsumed: i32, expected_ms: u128| {
            let policy = Value::Object(pauses(text).unwrap().policy().unwrap().0).to_string();
            let policy = model::RetryPolicy::parse(&policy).unwrap().unwrap();
            assert_eq!(policy.pause(reconsumed).as_millis(), expected_ms, "{text}");
        };
        check("1s,5s", 0, 1000);
        check("1s,5s", 7, 5000);
        check("5s..1m", 2, 20_000);
        check("5s..1m", 9, 60_000);
    }
}
