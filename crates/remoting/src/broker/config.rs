//! The broker's settings under the original's names, and those that may change while it runs.

use super::table::{Outcome, Request};
use crate::properties;
use crate::reply::Reply;
use ::broker::{Broker, Flush, Setting, SettingChange};
use model::system;
use wire::remoting::ResponseCode;
use wire::remoting::header::Header;

/// The original's names of what may change while the broker runs.
const CHANGEABLE: [(&str, Setting); 6] = [
    ("brokerPermission", Setting::Permission),
    ("fileReservedTime", Setting::RetentionHours),
    ("timerMaxDelaySec", Setting::TimerDelayMaxSeconds),
    ("maxMessageSize", Setting::MessageBytesMax),
    ("autoCreateTopicEnable", Setting::AutoCreateTopics),
    ("autoCreateSubscriptionGroup", Setting::AutoCreateGroups),
];
/// Names that have an option here which takes a restart, or something else that does what they did.
const ELSEWHERE: [(&str, &str); 14] = [
    ("brokerName", "set the option broker-name and restart"),
    ("brokerClusterName", "set the option cluster and restart"),
    ("brokerId", "set the option broker-id and restart"),
    ("brokerIP1", "set the option advertise-host and restart"),
    ("listenPort", "set the option broker-port and restart"),
    ("namesrvAddr", "set the option nameserver-addresses and restart"),
    ("storePathRootDir", "set the option data-dir and restart"),
    ("flushDiskType", "set the topic attribute flush, or the option flush and restart"),
    ("flushIntervalCommitLog", "set the option flush-interval-ms and restart"),
    ("defaultTopicQueueNums", "set the option default-topic-queues and restart"),
    ("maxTransferCountOnMessageInMemory", "set the option pull-messages-max and restart"),
    ("deleteWhen", "old messages are removed all day long"),
    ("messageDelayLevel", "the 18 levels are fixed; use a delivery time or the group's retry policy for other delays"),
    ("brokerRole", "replication is not built yet"),
];
/// Names of the original that could make a server read or write files of the caller's choice.
const FORBIDDEN: [&str; 3] = ["brokerConfigPath", "configBlackList", "rocketmqHome"];

/// What is fixed here and what tools print of every broker.
const FIXED: [(&str, &str); 6] = [
    ("brokerRole", "ASYNC_MASTER"),
    ("messageDelayLevel", "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
    ("traceTopicEnable", "true"),
    ("msgTraceTopicName", system::TRACE_TOPIC),
    ("traceOn", "true"),
    ("slaveReadEnable", "false"),
];

pub(super) fn get(request: &Request, _: &Header<'_>) -> Outcome {
    let (broker, options) = (&request.broker, request.broker.options());
    let mut text = format!(
        "brokerClusterName={}\nbrokerName={}\nbrokerId={}\nbrokerIP1={}\nlistenPort={}\ndefaultTopicQueueNums={}\n",
        options.cluster,
        options.broker_name,
        options.broker_id,
        options.advertised.ip(),
        options.advertised.port(),
        options.default_topic_queues,
    );
    let flush = match broker.store().flush() {
        Flush::Sync => "SYNC_FLUSH",
        Flush::Async => "ASYNC_FLUSH",
    };
    text.push_str(&format!("storePathRootDir={}\nflushDiskType={flush}\n", broker.store().dir().display()));
    text.push_str(&format!("maxTransferCountOnMessageInMemory={}\n", options.pull_messages_max));
    for (name, value) in FIXED {
        text.push_str(&format!("{name}={value}\n"));
    }
    for (name, setting) in CHANGEABLE {
        let value = broker.setting(setting);
        let value = if setting.is_switch() { (value == 1).to_string() } else { value.to_string() };
        text.push_str(&format!("{name}={value}\n"));
    }
    Ok(Reply::ok().with_field("version", "0").with_body(text))
}

/// All of the changes or none. An empty value takes an earlier change back.
pub(super) async fn update(request: &Request) -> Outcome {
    let pairs = properties::read(request.body())?;
    let change = |(key, value): &(String, String)| change(&request.broker, key, value);
    let changes = pairs.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    request.broker.change_settings(&changes).await?;
    Ok(Reply::ok())
}

fn change(broker: &Broker, key: &str, value: &str) -> Result<SettingChange, Reply> {
    let refuse = |remark: String| Reply::error(ResponseCode::INVALID_PARAMETER, remark);
    if FORBIDDEN.contains(&key) {
        let remark =
            format!("the key '{key}' can not be changed over the network: can not update config in black list");
        return Err(Reply::error(ResponseCode::NO_PERMISSION, remark));
    }
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == key) {
        return Err(refuse(format!("'{key}' can not be changed while the broker runs: {instead}")));
    }
    let Some((_, setting)) = CHANGEABLE.iter().find(|(name, _)| *name == key) else {
        let names = CHANGEABLE.map(|(name, _)| name).join(", ");
        return Err(refuse(format!("the key '{key}' has no equivalent here; changeable are {names}")));
    };
    let number = match (value, setting.is_switch()) {
        ("", _) => return Ok((*setting, None)),
        ("true", true) => Some(1),
        ("false", true) => Some(0),
        (_, true) => None,
        (text, false) => text.parse().ok(),
    };
    let allowed = broker.setting_range(*setting);
    let number = number.ok_or_else(|| match setting.is_switch() {
        true => refuse(format!("{key} is '{value}'; allowed: true, false")),
        false => refuse(format!("{key} is '{value}'; allowed: {} to {}", allowed.start(), allowed.end())),
    })?;
    Ok((*setting, Some(number)))
}
