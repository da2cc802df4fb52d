//! Bytes of any kind are a record or an error that says why, and a record written again is the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::record::{Place, Record, body_range, offsets};

fuzz_target!(|bytes: &[u8]| {
    drop(body_range(bytes));
    let Ok(record) = Record::parse(bytes) else { return };
    let range = body_range(record.bytes()).expect("a record has a body");
    assert_eq!(&record.bytes()[range], record.body);
    assert_eq!(offsets(bytes), Some((record.queue_offset, record.physical_offset)));
    let (before, after) = record.around_body();
    assert_eq!(before.len() + record.body.len() + after.len(), record.bytes().len());
    let place = Place {
        queue_offset: record.queue_offset,
        physical_offset: record.physical_offset,
        store_timestamp: record.store_timestamp,
    };
    let mut again = Vec::new();
    record.to_draft().encode(place, &mut again);
    let again = Record::parse(&again).expect("what was encoded is a record");
    assert_eq!((again.topic, again.properties, again.body), (record.topic, record.properties, record.body));
});
