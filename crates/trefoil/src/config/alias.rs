//! Keys that operators of RocketMQ know, accepted in the file.

use super::fault::Fault;
use super::source::Given;

/// A familiar key and what becomes of it.
pub(super) struct Alias {
    old: &'static str,
    becomes: Becomes,
}

enum Becomes {
    /// Another name, the same value.
    Name(&'static str),
    /// Another name, and words that are translated.
    Words(&'static str, &'static [(&'static str, &'static str)]),
    /// Nothing: there is no need for it here. Only these values are true of this broker.
    Nothing(&'static str, &'static [&'static str]),
}
use Becomes::{Name, Nothing, Words};

const fn alias(old: &'static str, becomes: Becomes) -> Alias {
    Alias { old, becomes }
}

const ALIASES: &[Alias] = &[
    alias("brokerClusterName", Name("cluster")),
    alias("brokerName", Name("broker-name")),
    alias("brokerId", Name("broker-id")),
    alias("brokerIP1", Name("advertise-host")),
    alias("bindAddress", Name("listen-host")),
    alias("listenPort", Name("broker-port")),
    alias("namesrvAddr", Name("nameserver-addresses")),
    alias("storePathRootDir", Name("data-dir")),
    alias("flushDiskType", Words("flush", &[("SYNC_FLUSH", "sync"), ("ASYNC_FLUSH", "async")])),
    alias("flushIntervalCommitLog", Name("flush-interval-ms")),
    alias("fileReservedTime", Name("retention-hours")),
    alias("timerMaxDelaySec", Name("timer-delay-max-seconds")),
    alias("maxTransferCountOnMessageInMemory", Name("pull-messages-max")),
    alias("maxMessageSize", Name("message-bytes-max")),
    alias("autoCreateTopicEnable", Name("auto-create-topics")),
    alias("autoCreateSubscriptionGroup", Name("auto-create-groups")),
    alias("defaultTopicQueueNums", Name("default-topic-queues")),
    alias("brokerRole", Nothing("replication is not built yet", &["ASYNC_MASTER", "SYNC_MASTER"])),
    alias("deleteWhen", Nothing("old messages are removed all day long", &[])),
    alias("storePathCommitLog", Nothing("the log lies in data-dir", &[])),
    alias("brokerIP2", Nothing("replication is not built yet", &[])),
    alias("haListenPort", Nothing("replication is not built yet", &[])),
];

pub(super) fn find(key: &str) -> Option<&'static Alias> {
    ALIASES.iter().find(|alias| alias.old == key)
}

/// Familiar keys that have a new name.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALIASES.iter().filter_map(|alias| match alias.becomes {
        Name(new) | Words(new, _) => Some((alias.old, new)),
        Nothing(..) => None,
    })
}

/// The same in our words (nothing if it has no effect), with a warning that teaches them.
pub(super) fn translate(alias: &Alias, given: &Given) -> Result<(Option<Given>, String), Fault> {
    let Given { text, origin, .. } = given;
    let renamed = |new: &str, text: &str| {
        let item = Given { key: new.to_owned(), text: text.to_owned(), origin: origin.clone() };
        (Some(item), format!("{origin}: '{}' is called '{new}' here; it was taken as {new} = {text}", alias.old))
    };
    match alias.becomes {
        Name(new) => Ok(renamed(new, text)),
        Words(new, words) => match words.iter().find(|(old, _)| old == text) {
            Some((_, word)) => Ok(renamed(new, word)),
            None => Err(Fault::range(given, words.iter().map(|(old, _)| *old).collect::<Vec<_>>().join(", "))),
        },
        Nothing(why, allowed) if allowed.is_empty() || allowed.contains(&text.as_str()) => {
            Ok((None, format!("{origin}: '{}' has no effect: {why}", alias.old)))
        }
        Nothing(_, allowed) => Err(Fault::range(given, allowed.join(", "))),
    }
}
