//! Attributes of topics and groups: which there are, and what they may say.

use crate::topic::FLUSH_ATTRIBUTE;
use crate::{AdminError, quota, retention};
use std::collections::BTreeMap;

const OF_TOPICS: [&str; 8] = [
    FLUSH_ATTRIBUTE,
    retention::HOURS,
    retention::BYTES,
    quota::MESSAGES,
    quota::BYTES,
    "message.type",
    "cleanup.policy",
    "queue.type",
];
const OF_GROUPS: [&str; 2] = [quota::MESSAGES, quota::BYTES];

type Attributes = BTreeMap<String, String>;

pub(super) fn check_topic(attributes: &Attributes) -> Result<(), AdminError> {
    check(attributes, &OF_TOPICS)
}

pub(super) fn check_group(attributes: &Attributes) -> Result<(), AdminError> {
    check(attributes, &OF_GROUPS)
}

fn check(attributes: &Attributes, known: &[&str]) -> Result<(), AdminError> {
    let refused =
        |value: &str, allowed: String| Err(AdminError::Range { what: "attribute", value: value.to_owned(), allowed });
    for (name, value) in attributes {
        if !known.contains(&name.as_str()) {
            return refused(name, known.join(", "));
        }
        if let Some(allowed) = fault(name, value) {
            return refused(&format!("{name}={value}"), allowed);
        }
    }
    Ok(())
}

/// What a known attribute may say, if it says something else.
fn fault(name: &str, value: &str) -> Option<String> {
    let one_of = |allowed: &[&str]| (!allowed.contains(&value)).then(|| allowed.join(", "));
    let number = |number: Option<u64>| number.is_none().then(|| "a whole number from 1 on".to_owned());
    match name {
        quota::MESSAGES | quota::BYTES => number(quota::per_second(value)),
        retention::BYTES => number(retention::bytes(value)),
        retention::HOURS => {
            retention::hours(value).is_none().then(|| format!("whole numbers from 1 to {}", retention::HOURS_MAX))
        }
        FLUSH_ATTRIBUTE => one_of(&["sync", "async"]),
        "message.type" => one_of(&["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"]),
        "cleanup.policy" => one_of(&["DELETE"]),
        _ => one_of(&["SimpleCQ"]),
    }
}
