//! A batch that is read is written back byte for byte, but for the two words that are ignored.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::remoting::batch::{decode, encode};

fuzz_target!(|batch: &[u8]| {
    let Ok(entries) = decode(batch, 1000) else { return };
    let mut again = BytesMut::new();
    entries.iter().for_each(|entry| encode(entry, &mut again));
    assert_eq!(again.len(), batch.len());
    assert_eq!(decode(&again, 1000), Ok(entries));
});
