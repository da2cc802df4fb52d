//! Figures of the broker. All are snapshots: nothing here waits for the disk.

use ::broker::{Broker, Counted, Trend};
use console::Kind::{Counter, Gauge};
use console::Page;
use model::{Group, Topic};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Histogram, Store};

/// Most queues that are shown one by one, so that the page stays readable; the rest is counted.
const QUEUES_MAX: usize = 10_000;

/// Most pairs of a group and a topic whose lag is shown: those furthest behind.
const LAGS_MAX: usize = 10_000;

/// Most topics, and most groups, whose rates are shown: those with most messages.
const BUSIEST_MAX: usize = 100;

/// What is running.
pub(super) fn build(page: &mut Page) {
    let name = "trefoil_build_info";
    page.metric(name, Gauge, "Version of the program.").sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
}

/// The commit log.
pub(super) fn log(page: &mut Page, store: &Store) {
    let stats = store.stats();
    let counters: [(&str, &str, &AtomicU64); 12] = [
        ("trefoil_log_records_total", "Messages written to the log.", &stats.appended_records),
        ("trefoil_log_bytes_total", "Bytes written to the log.", &stats.appended_bytes),
        ("trefoil_log_writes_total", "System calls that wrote them.", &stats.writes),
        ("trefoil_log_write_errors_total", "Writes that failed.", &stats.write_errors),
        ("trefoil_log_refused_total", "Appends refused because too much was waiting.", &stats.busy),
        ("trefoil_log_syncs_total", "Syncs of the log.", &stats.syncs),
        ("trefoil_log_sync_errors_total", "Syncs that failed; the log accepts nothing after one.", &stats.sync_errors),
        ("trefoil_log_cold_read_bytes_total", "Bytes read of messages no longer in memory.", &stats.cold_read_bytes),
        ("trefoil_log_damaged_reads_total", "Reads that found the log damaged.", &stats.damaged_reads),
        ("trefoil_index_runs_written_total", "Runs of the index written.", &stats.runs_written),
        ("trefoil_index_run_errors_total", "Runs of the index that could not be written.", &stats.run_errors),
        ("trefoil_log_segments_removed_total", "Log files removed by retention.", &stats.segments_removed),
    ];
    for (name, help, counter) in counters {
        page.single(name, Counter, help, counter.load(Ordering::Relaxed));
    }
    latency(page, "trefoil_log_write_seconds", "Time of one write to the log.", &stats.write_latency);
    latency(page, "trefoil_log_sync_seconds", "Time of one sync of the log.", &stats.sync_latency);
    latency(page, "trefoil_log_read_seconds", "Time to gather the messages of one answer.", &stats.read_latency);
    let positions = store.positions();
    let name = "trefoil_log_position_bytes";
    page.metric(
        name,
        Gauge,
        "Byte positions of the log: its oldest byte, and how far it is written, synced and committed.",
    );
    for (of, position) in [
        ("min", positions.min),
        ("written", positions.written),
        ("synced", positions.synced),
        ("committed", positions.committed),
    ] {
        page.sample(name, &[("of", of)], position.0);
    }
}

fn latency(page: &mut Page, name: &str, help: &str, times: &Histogram) {
    page.histogram(name, help, &Histogram::BOUNDS_MICROS, &times.counts(), times.sum_micros());
}

/// What goes in and out.
pub(super) fn traffic(page: &mut Page, broker: &Broker) {
    let totals = broker.totals();
    for (name, help, count) in [
        ("trefoil_messages_in_total", "Messages stored.", totals.messages_in),
        ("trefoil_messages_out_total", "Messages handed out to pulls.", totals.messages_out),
        ("trefoil_bytes_out_total", "Bytes of messages handed out to pulls.", totals.bytes_out),
        ("trefoil_pulls_found_total", "Pulls that found messages.", totals.pulls_found),
        ("trefoil_pulls_missed_total", "Pulls that found none.", totals.pulls_missed),
    ] {
        page.single(name, Counter, help, count);
    }
    let help = "Time of sends, from their arrival until they were as safe as their topics promise.";
    latency(page, "trefoil_publish_seconds", help, broker.meter().publish_latency());
    let (refused, held) = broker.meter().by_quota();
    page.single(
        "trefoil_quota_refused_total",
        Counter,
        "Sends refused because a topic or a client was over its rate.",
        refused,
    );
    page.single("trefoil_quota_held_total", Counter, "Answers held back because a group was over its quota.", held);
    let name = "trefoil_messages_per_second";
    page.metric(name, Gauge, "Messages in and out per second, averaged over the last 10 s, minute and 10 minutes.");
    let rates = [("in", broker.meter().rates(|t| t.messages_in)), ("out", broker.meter().rates(|t| t.messages_out))];
    for (direction, rates) in rates {
        for (over, rate) in ["10s", "1m", "10m"].into_iter().zip(rates) {
            page.sample(name, &[("direction", direction), ("over", over)], rate);
        }
    }
}

/// Who has most traffic.
pub(super) fn busiest(page: &mut Page, broker: &Broker) {
    let rate = |trend: &Trend| trend.minute.per_second(|count| count.messages);
    let name = "trefoil_topic_messages_per_second";
    page.metric(name, Gauge, "Messages stored in a topic per second over the last minute; the busiest topics only.");
    for (counted, trend) in broker.busiest(BUSIEST_MAX, |counted| matches!(counted, Counted::Stored(_))) {
        if let Counted::Stored(topic) = counted {
            page.sample(name, &[("topic", topic.as_str())], rate(&trend));
        }
    }
    for (name, help, is_read) in [
        ("trefoil_group_messages_per_second", "Messages of a topic handed to a group per second, likewise.", true),
        ("trefoil_group_sent_back_per_second", "Messages of a topic that a group gave back, likewise.", false),
    ] {
        page.metric(name, Gauge, help);
        let kind = |counted: &Counted| match is_read {
            true => matches!(counted, Counted::Read(..)),
            false => matches!(counted, Counted::SentBack(..)),
        };
        for (counted, trend) in broker.busiest(BUSIEST_MAX, kind) {
            if let Counted::Read(topic, group) | Counted::SentBack(topic, group) = counted {
                page.sample(name, &[("group", group.as_str()), ("topic", topic.as_str())], rate(&trend));
            }
        }
    }
    let (tracked, untracked) = broker.trend_counts();
    page.single("trefoil_trends", Gauge, "Topics and groups whose rates are kept.", tracked);
    let help = "Samples of topics and groups for whose rates there was no room.";
    page.single("trefoil_trends_untracked_total", Counter, help, untracked);
}

/// What operators ask.
pub(super) fn administration(page: &mut Page, broker: &Broker) {
    let lane = broker.admin_stats();
    page.single("trefoil_admin_in_work", Gauge, "Administrative requests in work.", lane.in_work);
    page.single("trefoil_admin_waiting", Gauge, "Administrative requests that wait for their turn.", lane.waiting);
    page.single("trefoil_admin_served_total", Counter, "Administrative requests that had their turn.", lane.served);
    let help = "Administrative requests refused because others took too long.";
    page.single("trefoil_admin_refused_total", Counter, help, lane.refused);
}

/// Room on the disk.
pub(super) fn disk(page: &mut Page, broker: &Broker) {
    let (space, is_short) = broker.room();
    page.single("trefoil_disk_available_bytes", Gauge, "Free bytes of the disk that holds the log.", space.available);
    page.single("trefoil_disk_total_bytes", Gauge, "Size of that disk, without what only root may use.", space.total);
    let help = "1 while sends are refused because the disk is nearly full.";
    page.single("trefoil_disk_short", Gauge, help, u64::from(is_short));
}

/// Messages that wait for their time.
pub(super) fn timers(page: &mut Page, broker: &Broker) {
    let stats = broker.timer_stats();
    let pending = stats.pending.load(Ordering::Relaxed);
    page.single("trefoil_timers_pending", Gauge, "Messages that wait for their time.", pending);
    let behind_ms = stats.behind_ms(broker.now().0);
    let help = "How long the message due first has been due.";
    page.single("trefoil_timers_behind_seconds", Gauge, help, behind_ms as f64 / 1e3);
    let counters: [(&str, &str, &AtomicU64); 4] = [
        ("trefoil_timers_delivered_total", "Timed messages delivered.", &stats.delivered),
        ("trefoil_timers_cancelled_total", "Timed messages cancelled or recalled.", &stats.cancelled),
        ("trefoil_timers_moved_total", "Timed messages stored anew because their log file expired.", &stats.moved),
        ("trefoil_timers_lost_total", "Timed messages whose topic was gone, or that were damaged.", &stats.lost),
    ];
    for (name, help, counter) in counters {
        page.single(name, Counter, help, counter.load(Ordering::Relaxed));
    }
    latency(page, "trefoil_timer_lateness_seconds", "From due to stored where consumers read.", &stats.lateness);
}

/// Topics, queues and how far groups are.
pub(super) fn queues(page: &mut Page, broker: &Broker) {
    let topics = broker.all_topics();
    page.single("trefoil_topics", Gauge, "Topics, those of the system included.", topics.len());
    let queues: Vec<_> =
        topics.iter().flat_map(|topic| topic.queues()).filter(|queue| queue.max_offset().0 > 0).collect();
    page.single("trefoil_queues_with_messages", Gauge, "Queues that hold or held messages.", queues.len());
    for (name, help, is_max) in [
        ("trefoil_queue_min_offset", "Oldest offset of a queue that can be read.", false),
        ("trefoil_queue_max_offset", "Offset that the next message of a queue gets.", true),
    ] {
        page.metric(name, Gauge, help);
        for queue in queues.iter().take(QUEUES_MAX) {
            let offset = if is_max { queue.max_offset() } else { queue.min_offset() };
            let id = queue.id().0.to_string();
            page.sample(name, &[("topic", queue.topic().as_str()), ("queue", &id)], offset.0);
        }
    }
    let metadata = broker.metadata();
    page.single("trefoil_groups", Gauge, "Consumer groups.", metadata.read().groups.len());
    let name = "trefoil_group_cohorts";
    page.metric(
        name,
        Gauge,
        "Kinds of members of a group that want different things; groups of one mind are not named.",
    );
    for group in broker.divided_groups() {
        page.sample(name, &[("group", group.as_str())], broker.cohorts(group.as_str()).len());
    }
    let name = "trefoil_consumer_lag";
    page.metric(name, Gauge, "Messages of a topic that a group has not yet consumed; those furthest behind.");
    for (lag, group, topic) in lags(broker) {
        page.sample(name, &[("group", group.as_str()), ("topic", topic.as_str())], lag);
    }
}

/// How far groups are behind in topics: of very many, those that are furthest.
fn lags(broker: &Broker) -> Vec<(u64, Group, Topic)> {
    let mut lags = Vec::new();
    for group in broker.metadata().groups_with_offsets() {
        let mut of_group = BTreeMap::<_, u64>::new();
        for (topic, id, offset) in broker.metadata().offsets_of_group(&group) {
            if let Some(queue) = broker.store().known_queue(&topic, id) {
                *of_group.entry(topic).or_default() += queue.max_offset().0.saturating_sub(offset.0);
            }
        }
        lags.extend(of_group.into_iter().map(|(topic, lag)| (lag, group.clone(), topic)));
        if lags.len() > 2 * LAGS_MAX {
            keep_furthest(&mut lags, LAGS_MAX);
        }
    }
    keep_furthest(&mut lags, LAGS_MAX);
    lags
}

fn keep_furthest<T>(lags: &mut Vec<(u64, Group, T)>, count_max: usize) {
    if lags.len() > count_max {
        lags.sort_by_key(|(lag, ..)| Reverse(*lag));
        lags.truncate(count_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_groups_those_furthest_behind_are_shown() {
        let check = |lags: &[u64], expected: &[u64]| {
            let mut lags: Vec<_> = lags.iter().map(|lag| (*lag, Group::from_stored("g"), ())).collect();
            keep_furthest(&mut lags, 2);
            assert_eq!(lags.iter().map(|(lag, ..)| *lag).collect::<Vec<_>>(), expected);
        };
        check(&[1, 2], &[1, 2]);
        check(&[1, 3, 0, 2], &[3, 2]);
    }
}
