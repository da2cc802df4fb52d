//! Measures the log: `cargo run --release -p store --example append_bench -- DIR [messages] [in flight] [sync|async] [close|keep] [queues]`.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the real clock and /proc")]

use bytes::BytesMut;
use model::record::{Draft, body_crc};
use model::{QueueId, QueueOffset, Topic};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use store::{Append, Flush, Options, Store, Wait};

const BODY_LEN: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let dir = arguments.get(1).expect("the first argument is a folder");
    let (count, in_flight) = (number(2, 1_000_000), number(3, 256));
    let flush = if arguments.get(4).is_some_and(|text| text == "sync") { Flush::Sync } else { Flush::Async };
    let host = rt::Host::real();
    let opening = Instant::now();
    let (store, recovered) = Store::open(&host, Options { flush, ..Options::new(dir) }).expect("the store opens");
    println!("opened in {:?}: {recovered:?}", opening.elapsed());
    println!("memory: {}", memory());
    let queues = number(6, 8) as u32;
    append(&store, count, in_flight, queues).await;
    gather(&store, count, queues);
    if arguments.get(5).is_none_or(|text| text == "close") {
        let closing = Instant::now();
        store.close().await;
        println!("closed in {:?}", closing.elapsed());
    }
}

async fn append(store: &Store, count: usize, in_flight: usize, queue_count: u32) {
    let topic = Topic::from_stored("bench");
    let queues: Vec<_> = (0..queue_count).map(|id| store.queue(&topic, QueueId(id))).collect();
    let body = vec![7; BODY_LEN];
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
    let crc = body_crc(&body);
    let draft = |number: usize| Draft {
        topic: topic.as_str().into(),
        queue_id: QueueId(number as u32 % queue_count),
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_slice().into(),
        body_crc: crc,
        properties: format!("UNIQ_KEY\u{1}7F0000011E0A18B4AAC2{number:012}\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}")
            .into(),
    };
    let before = threads();
    let start = Instant::now();
    let mut flying = VecDeque::new();
    for number in 0..count {
        if flying.len() >= in_flight {
            let appending: store::Appending = flying.pop_front().expect("it is full");
            appending.await.remove(0).expect("it is stored");
        }
        let queue = queues[number % queues.len()].clone();
        let append = Append { queue, draft: draft(number), wait: Wait::Policy, joined: false };
        flying.push_back(store.append(vec![append]).expect("it is accepted"));
    }
    for appending in flying {
        appending.await.remove(0).expect("it is stored");
    }
    let elapsed = start.elapsed();
    println!("appended {count} in {elapsed:?}: {:.0}/s", count as f64 / elapsed.as_secs_f64());
    for (name, seconds) in threads() {
        let used = seconds - before.iter().find(|(other, _)| *other == name).map_or(0.0, |(_, seconds)| *seconds);
        println!("  {name}: {:.3} µs per message", used * 1e6 / count as f64);
    }
    let stats = store.stats();
    println!(
        "  writes {:?}, syncs {:?}, runs {:?}, merged {:?}",
        stats.writes, stats.syncs, stats.runs_written, stats.runs_merged
    );
}

/// Memory that belongs to the process alone.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("RssAnon")).unwrap_or_default().to_owned()
}

/// Processor seconds of each thread.
fn threads() -> Vec<(String, f64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let mut found = Vec::new();
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim().to_owned();
        let nanos = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos: f64 = nanos.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        found.push((name, nanos / 1e9));
    }
    found
}

fn gather(store: &Store, count: usize, queue_count: u32) {
    let topic = Topic::from_stored("bench");
    gather_the_same(store, &topic);
    for round in ["first", "second"] {
        let (mut entries, mut bytes) = (Vec::new(), BytesMut::with_capacity(64 * 1024));
        let (mut read, mut indexing) = (0, std::time::Duration::ZERO);
        let start = Instant::now();
        for id in 0..queue_count {
            let queue = store.queue(&topic, QueueId(id));
            let (end, mut next) =
                (queue.max_offset(), queue.max_offset().0.saturating_sub(count as u64 / u64::from(queue_count)));
            while next < end.0 {
                entries.clear();
                bytes.clear();
                let start = Instant::now();
                queue.entries(QueueOffset(next), 32, &mut entries).expect("readable");
                indexing += start.elapsed();
                store.gather(&entries, &mut bytes).expect("readable");
                next += entries.len() as u64;
                read += entries.len();
            }
        }
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6 / read as f64;
        println!(
            "gathered {read} ({round} time): {:.3} µs each, of which {:.3} in the index",
            micros(start.elapsed()),
            micros(indexing)
        );
    }
}

/// The cost without waiting for memory.
fn gather_the_same(store: &Store, topic: &Topic) {
    const ROUNDS: u32 = 20_000;
    let queue = store.queue(topic, QueueId(0));
    let (mut entries, mut bytes) = (Vec::new(), BytesMut::with_capacity(64 * 1024));
    queue.entries(QueueOffset(queue.max_offset().0.saturating_sub(32)), 32, &mut entries).expect("readable");
    let start = Instant::now();
    for _ in 0..ROUNDS {
        bytes.clear();
        store.gather(&entries, &mut bytes).expect("readable");
    }
    println!(
        "gathered the same 32: {:.3} µs each",
        start.elapsed().as_secs_f64() * 1e6 / (f64::from(ROUNDS) * entries.len() as f64)
    );
}
