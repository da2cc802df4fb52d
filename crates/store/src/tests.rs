//! Tests of the whole store, on the machine's disk and on a simulated one.

use crate::{
    Append, AppendError, Boundary, Entry, Flush, Options, Queue, ReadError, Recovered, Retention, Store, Wait,
};
use bytes::BytesMut;
use model::record::{Draft, Place, Record, body_crc};
use model::{PhysicalOffset, QueueId, QueueOffset, Topic};
use rt::Host;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

mod basics;
mod damage;
mod fixture;
mod model_check;
mod torn;

pub(crate) fn draft(topic: &str, id: u32, body: &[u8], properties: &str) -> Draft<'static> {
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
    Draft {
        topic: topic.to_owned().into(),
        queue_id: QueueId(id),
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body_crc: body_crc(body),
        body: body.to_vec().into(),
        properties: properties.to_owned().into(),
    }
}

/// Small files and runs, so that few messages reach every corner.
pub(crate) fn small(dir: &Path) -> Options {
    Options {
        segment_bytes: 16 * 1024,
        run_entries_max: 16,
        run_log_bytes: 4 * 1024,
        flush_bytes: 4 * 1024,
        ..Options::new(dir)
    }
}

pub(crate) fn open(options: Options) -> (Store, Recovered) {
    Store::open(&Host::real(), options).unwrap()
}

pub(crate) fn message(store: &Store, topic: &str, id: u32, body: &[u8], properties: &str) -> Append<'static> {
    let queue = store.queue(&Topic::from_stored(topic), QueueId(id));
    Append { queue, draft: draft(topic, id, body, properties), wait: Wait::Policy, joined: false }
}

pub(crate) async fn send(store: &Store, topic: &str, id: u32, body: &[u8]) -> Place {
    let appending = store.append(vec![message(store, topic, id, body, "")]).unwrap();
    appending.await.remove(0).unwrap()
}

/// Bodies of all messages of a queue from its first readable offset on.
pub(crate) fn bodies(store: &Store, queue: &Queue) -> Result<Vec<Vec<u8>>, ReadError> {
    let (mut next, end) = (queue.min_offset(), queue.max_offset());
    let mut all = Vec::new();
    while next < end {
        let mut entries = Vec::new();
        queue.entries(next, 7, &mut entries)?;
        assert!(!entries.is_empty(), "nothing at {next} of {end}");
        all.extend(records(store, &entries)?.into_iter().map(|(_, body)| body));
        next = next.plus(entries.len() as u64);
    }
    Ok(all)
}

pub(crate) fn records(store: &Store, entries: &[Entry]) -> Result<Vec<(QueueOffset, Vec<u8>)>, ReadError> {
    let mut bytes = BytesMut::new();
    store.gather(entries, &mut bytes)?;
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let record = Record::parse(rest).unwrap();
        record.check_body().unwrap();
        found.push((record.queue_offset, record.body.to_vec()));
        rest = &rest[record.bytes().len()..];
    }
    assert_eq!(found.len(), entries.len());
    Ok(found)
}

pub(crate) fn queue(store: &Store, topic: &str, id: u32) -> Arc<Queue> {
    store.queue(&Topic::from_stored(topic), QueueId(id))
}

/// Reads all until nothing of the index is being built anew any more.
pub(crate) async fn wait_for_index(store: &Store, queues: u32) {
    let is_rebuilding = |id| matches!(bodies(store, &queue(store, "t", id)), Err(ReadError::Rebuilding { .. }));
    while (0..queues).any(is_rebuilding) {
        rt::sleep(std::time::Duration::from_millis(2)).await;
    }
}
