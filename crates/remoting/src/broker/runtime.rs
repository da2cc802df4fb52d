//! What the broker says of itself.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use ::broker::{Count, Counted, Growth, Histogram, SendTimes};
use model::{Group, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use wire::remoting::body::{BrokerStatsData, BrokerStatsItem, HaStatus, KvTable};
use wire::remoting::code::version_text;
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, to_vec};
use wire::remoting::{ResponseCode, VERSION, request};

pub(super) fn info(request: &Request, _: &Header<'_>) -> Outcome {
    let broker = &request.broker;
    let (oldest, space) = (broker.store().oldest_time(), broker.store().space());
    let stats = broker.store().stats();
    let positions = broker.store().positions();
    let mut table = BTreeMap::new();
    let mut put = |name: &str, value: String| table.insert(name.to_owned(), value);
    let (totals, meter) = (broker.totals(), broker.meter());
    let (yesterday, today) = meter.mornings();
    let rates = |rates: [f64; 3]| format!("{:.2} {:.2} {:.2}", rates[0], rates[1], rates[2]);
    put("bootTimestamp", broker.started().0.to_string());
    put("putTps", rates(meter.rates(|totals| totals.messages_in)));
    let transferred = rates(meter.rates(|totals| totals.messages_out));
    put("getTransferredTps", transferred.clone());
    // As it was spelled before 5.0: tools of 4.x ask for it.
    put("getTransferedTps", transferred);
    put("getFoundTps", rates(meter.rates(|totals| totals.pulls_found)));
    put("getMissTps", rates(meter.rates(|totals| totals.pulls_missed)));
    put("getTotalTps", rates(meter.rates(|totals| totals.pulls_found + totals.pulls_missed)));
    put("msgPutTotalYesterdayMorning", yesterday.messages_in.to_string());
    put("msgPutTotalTodayMorning", today.messages_in.to_string());
    put("msgPutTotalTodayNow", totals.messages_in.to_string());
    put("msgGetTotalYesterdayMorning", yesterday.messages_out.to_string());
    put("msgGetTotalTodayMorning", today.messages_out.to_string());
    put("msgGetTotalTodayNow", totals.messages_out.to_string());
    put("brokerVersionDesc", format!("V{}", version_text(VERSION).replace('.', "_")));
    put("brokerVersion", VERSION.to_string());
    put("brokerActive", "true".to_owned());
    put("commitLogMinOffset", positions.min.to_string());
    put("commitLogMaxOffset", positions.written.to_string());
    put("remainHowManyDataToFlush", format!("{} B", positions.written.0 - positions.synced.0));
    // Queues and buffers that do not exist here are empty and hold nothing: exporters give up where one is missing.
    put("dispatchBehindBytes", "0".to_owned());
    put("dispatchMaxBuffer", "0".to_owned());
    put("remainTransientStoreBufferNumbs", "0".to_owned());
    for pool in ["send", "pull", "litePull", "query", "ack"] {
        // Requests are not queued here: each is in work as soon as it is read, and refused as busy otherwise.
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    let appended = (stats.appended_records.load(Relaxed), stats.appended_bytes.load(Relaxed));
    put("putMessageTimesTotal", appended.0.to_string());
    put("putMessageSizeTotal", appended.1.to_string());
    put("putMessageAverageSize", format!("{:.1}", appended.1 as f64 / appended.0.max(1) as f64));
    put("putMessageFailedTimes", stats.write_errors.load(Relaxed).to_string());
    put("putMessageEntireTimeMax", (meter.publish_latency().longest_micros() / 1000).to_string());
    put("putMessageDistributeTime", distribution(&meter.minute_of_sends()));
    put("getMessageEntireTimeMax", (stats.read_latency.longest_micros() / 1000).to_string());
    put("putLatency99", percentile(meter.publish_latency(), 0.99));
    put("putLatency999", percentile(meter.publish_latency(), 0.999));
    put("pageCacheLockTimeMills", "0".to_owned());
    put("earliestMessageTimeStamp", oldest.unwrap_or(-1).to_string());
    if let Ok(space) = space {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let ratio = format!("{:.2}", 1.0 - space.available as f64 / space.total.max(1) as f64);
        put("commitLogDiskRatio", ratio.clone());
        put(&format!("commitLogDiskRatio_{}", broker.store().dir().display()), ratio.clone());
        put("consumeQueueDiskRatio", ratio);
        let text = format!("Total : {:.1} GiB, Free : {:.1} GiB.", gib(space.total), gib(space.available));
        put("commitLogDirCapacity", text);
    }
    put("startAcceptSendRequestTimeStamp", "0".to_owned());
    put("runtime", uptime(broker.now().0 - broker.started().0));
    let timers = broker.timer_stats();
    put("timerReadBehind", (timers.behind_ms(broker.now().0) / 1000).to_string());
    // What is stored is taken in at once.
    put("timerOffsetBehind", "0".to_owned());
    put("timerCongestNum", timers.pending.load(Relaxed).to_string());
    put("timerEnqueueTps", format!("{:.1}", meter.rates(|totals| totals.timers_in)[0]));
    put("timerDequeueTps", format!("{:.1}", meter.rates(|totals| totals.timers_out)[0]));
    put("dividedGroups", broker.divided_groups().len().to_string());
    put("topicNumber", broker.topic_count().to_string());
    put("consumerGroupNumber", broker.metadata().read().groups.len().to_string());
    Ok(Reply::ok().with_body(to_vec(&KvTable { table }, Dialect::Strict)))
}

/// Upper bound, in ms, of the time within which this part of the sends was done.
fn percentile(times: &Histogram, part: f64) -> String {
    let counts = times.counts();
    let total: u64 = counts.iter().sum();
    let mut seen = 0;
    for (bound, count) in Histogram::BOUNDS_MICROS.iter().zip(counts) {
        seen += count;
        if seen as f64 >= total as f64 * part {
            return format!("{:.2}", if total == 0 { 0.0 } else { *bound as f64 / 1000.0 });
        }
    }
    format!("{:.2}", times.longest_micros() as f64 / 1000.0)
}

/// How many sends took how long, in the original's words, which its exporter looks for: `[<=0ms]:3 [0~10ms]:5 … [10s~]:0`.
fn distribution(times: &SendTimes) -> String {
    /// Each with its upper bound in microseconds. The original counts whole milliseconds: its first holds all below one.
    const SPANS: [(&str, u64); 13] = [
        ("<=0ms", 1_000),
        ("0~10ms", 10_000),
        ("10~50ms", 50_000),
        ("50~100ms", 100_000),
        ("100~200ms", 200_000),
        ("200~500ms", 500_000),
        ("500ms~1s", 1_000_000),
        ("1~2s", 2_000_000),
        ("2~3s", 3_000_000),
        ("3~4s", 4_000_000),
        ("4~5s", 5_000_000),
        ("5~10s", 10_000_000),
        ("10s~", u64::MAX),
    ];
    let mut buckets = Histogram::BOUNDS_MICROS.into_iter().chain([u64::MAX]).zip(times).peekable();
    let parts = SPANS.map(|(name, end)| {
        let within = std::iter::from_fn(|| buckets.next_if(|(bound, _)| *bound <= end));
        format!("[{name}]:{}", within.map(|(_, count)| count).sum::<u64>())
    });
    parts.join(" ")
}

/// `[ 0 days, 1 hours, 2 minutes, 3 seconds ]`.
fn uptime(ms: i64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {} seconds ]", seconds % 60)
}

/// One of the numbers of a count.
type Number = fn(&Count) -> u64;

/// Where a name of the original's statistics leads: the counter, and which of its numbers is meant.
fn counted(name: &str, key: &str, cluster: &str) -> Option<(Counted, Number)> {
    let number: Number = match name.ends_with("_SIZE") {
        true => |count| count.bytes,
        false => |count| count.messages,
    };
    let topic_and_group = || {
        let (topic, group) = key.split_once('@')?;
        Some((Topic::from_stored(topic), Group::from_stored(group)))
    };
    let counted = match name {
        "TOPIC_PUT_NUMS" | "TOPIC_PUT_SIZE" => Counted::Stored(Topic::from_stored(key)),
        "GROUP_GET_NUMS" | "GROUP_GET_SIZE" => topic_and_group().map(|(topic, group)| Counted::Read(topic, group))?,
        "SNDBCK_PUT_NUMS" => topic_and_group().map(|(topic, group)| Counted::SentBack(topic, group))?,
        _ if key != cluster => return None,
        "BROKER_PUT_NUMS" => Counted::AllStored,
        "BROKER_GET_NUMS" => Counted::AllRead,
        "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC" => Counted::UsersStored,
        "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC" => Counted::UsersRead,
        _ => return None,
    };
    Some((counted, number))
}

/// One of the original's statistics: what it was over the last minute, hour and day.
pub(super) fn trend(request: &Request, header: &Header<'_>) -> Outcome {
    let ask = request::ViewBrokerStats::parse(&header.fields)?;
    let counted = counted(ask.stats_name, ask.stats_key, &request.broker.options().cluster);
    let found = counted.and_then(|(counted, number)| Some((request.broker.trend(&counted)?, number)));
    let (trend, number) = found.ok_or_else(|| {
        let remark = format!("The stats <{}> <{}> not exist", ask.stats_name, ask.stats_key);
        Reply::error(ResponseCode::SYSTEM_ERROR, remark)
    })?;
    let item = |growth: &Growth| BrokerStatsItem {
        sum: number(&growth.count) as i64,
        tps: growth.per_second(number),
        avgpt: number(&growth.count) as f64 / growth.count.times.max(1) as f64,
    };
    let body = BrokerStatsData {
        stats_minute: item(&trend.minute),
        stats_hour: item(&trend.hour),
        stats_day: item(&trend.day),
    };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

/// Replicas: this broker has none.
pub(super) fn replicas(request: &Request, _: &Header<'_>) -> Outcome {
    let written = request.broker.store().positions().written.0 as i64;
    let status = HaStatus { master: true, master_commit_log_max_offset: written, ..HaStatus::default() };
    Ok(Reply::ok().with_body(to_vec(&status, Dialect::Strict)))
}

/// Removes what is older than it need be, now instead of within a minute, and by the clock as it is.
pub(super) fn retain(request: &Request) -> Outcome {
    let broker = Arc::clone(&request.broker);
    // Giving the space of many files back takes longer than tools wait.
    rt::spawn(async move {
        broker.believe_clock().await;
        broker.retain().await;
    });
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_their_length() {
        let times = Histogram::default();
        times.record_many(std::time::Duration::from_micros(70), 2);
        times.record(std::time::Duration::from_secs(3));
        assert_eq!(times.longest_micros(), 3_000_000);
        times.record(std::time::Duration::from_secs(11));
        let expected = "[<=0ms]:2 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 \
                        [2~3s]:1 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:1";
        assert_eq!(distribution(&times.counts()), expected);
    }

    #[test]
    fn statistics_by_the_originals_names() {
        let (topic, group) = (Topic::from_stored("t"), Group::from_stored("g"));
        let check = |name: &str, key: &str, expected: Option<(Counted, u64)>| {
            let count = Count { times: 1, messages: 2, bytes: 3 };
            let seen = counted(name, key, "cluster").map(|(counted, number)| (counted, number(&count)));
            assert_eq!(seen, expected, "{name} {key}");
        };
        check("TOPIC_PUT_NUMS", "t", Some((Counted::Stored(topic.clone()), 2)));
        check("TOPIC_PUT_SIZE", "t", Some((Counted::Stored(topic.clone()), 3)));
        check("GROUP_GET_SIZE", "t@g", Some((Counted::Read(topic.clone(), group.clone()), 3)));
        check("GROUP_GET_NUMS", "t", None);
        check("SNDBCK_PUT_NUMS", "t@g", Some((Counted::SentBack(topic, group), 2)));
        check("BROKER_PUT_NUMS", "cluster", Some((Counted::AllStored, 2)));
        check("BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", "cluster", Some((Counted::UsersRead, 2)));
        check("BROKER_PUT_NUMS", "another", None);
        check("TOPIC_PUT_LATENCY", "0@t", None);
    }
}
