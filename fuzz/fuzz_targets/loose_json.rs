//! Bodies of any kind: what normalises to JSON does so for good, and bodies that are read are written and read alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::remoting::body::{ConsumeStats, ConsumerOffsets, HeartbeatData, TopicTable, TopicRouteData};
use wire::remoting::loose_json::{Dialect, from_slice, normalise, to_vec};
use wire::remoting::registration;

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(input: &[u8]) {
    let Ok(body) = from_slice::<T>(input) else { return };
    for dialect in [Dialect::Strict, Dialect::Loose] {
        assert_eq!(from_slice::<T>(&to_vec(&body, dialect)).expect("own body"), body);
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(strict) = normalise(input) {
        if serde_json::from_slice::<serde_json::Value>(&strict).is_ok() {
            assert_eq!(normalise(&strict).expect("strict JSON is loose JSON too"), strict);
        }
    }
    round_trip::<HeartbeatData>(input);
    round_trip::<TopicRouteData>(input);
    round_trip::<TopicTable>(input);
    round_trip::<ConsumeStats>(input);
    round_trip::<ConsumerOffsets>(input);
    drop(registration::decode(input, false, 513));
    drop(registration::decode(input, true, 513));
});
