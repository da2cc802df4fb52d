//! A log file with any bytes in it: the store opens or says why not, and hands out nothing but what was appended.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use model::record::{Draft, Record, body_crc};
use model::{QueueId, QueueOffset, Topic};
use rt::Host;
use rt::sim::run;
use std::path::Path;
use store::{Append, Options, Store, Wait};

const MESSAGES: u64 = 8;

fn options() -> Options {
    Options { segment_bytes: 16 << 10, ..Options::new("/data") }
}

fn body(i: u64) -> Bytes {
    Bytes::from(vec![b'a' + i as u8; 100])
}

async fn fill(host: &Host) {
    let (store, _) = Store::open(host, options()).expect("an empty folder opens");
    let queue = store.queue(&Topic::from_stored("t"), QueueId(0));
    for i in 0..MESSAGES {
        let host = "10.0.0.1:1".parse().expect("an address");
        let draft = Draft {
            topic: queue.topic().as_str().into(),
            queue_id: queue.id(),
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: body_crc(&body(i)),
            body: body(i).to_vec().into(),
            properties: "".into(),
        };
        let append = Append { queue: queue.clone(), draft, wait: Wait::Synced, joined: false };
        store.append(vec![append]).expect("there is room").await.remove(0).expect("the disk works");
    }
    store.close().await;
}

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (at, keeps_index, garbage) = input;
    run(1, |world| async move {
        let machine = world.host("broker");
        let host = machine.boot();
        fill(&host).await;
        let log = host.disk.list(Path::new("/data/log")).expect("the folder is there");
        let first = log.iter().find(|name| name.bytes().all(|byte| byte.is_ascii_digit())).expect("a segment");
        let file = host.disk.open(&Path::new("/data/log").join(first)).expect("the segment is there");
        let at = u64::from(at) % (16 << 10);
        let garbage = &garbage[..garbage.len().min((16 << 10) - at as usize)];
        file.write_at(garbage, at).expect("the disk works");
        if !keeps_index {
            machine.disk().wipe(Path::new("/data/index"));
        }
        let Ok((store, _)) = Store::open(&host, options()) else { return };
        let queue = store.queue(&Topic::from_stored("t"), QueueId(0));
        for i in 0..queue.max_offset().0 {
            let (mut entries, mut bytes) = (Vec::new(), BytesMut::new());
            let found = queue.entries(QueueOffset(i), 1, &mut entries);
            if found.is_err() || store.gather(&entries, &mut bytes).is_err() {
                continue;
            }
            let record = Record::parse(&bytes).expect("what is handed out is a record");
            assert_eq!((record.queue_offset.0, record.body), (i, &body(i)[..]));
        }
        store.close().await;
    });
});
