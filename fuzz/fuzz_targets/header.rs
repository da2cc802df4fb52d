//! What is read can be written and read again alike, and strict JSON is read as serde_json reads it.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::remoting::request::{PullMessage, SendMessage};
use wire::remoting::{Encoding, FrameWriter, Header, Limits, frame};

fuzz_target!(|input: (bool, &[u8])| {
    let encoding = if input.0 { Encoding::Binary } else { Encoding::Json };
    let Ok(header) = Header::parse_bytes(encoding, input.1) else { return };
    drop(SendMessage::parse_short(&header.fields));
    drop(SendMessage::parse(&header.fields));
    drop(PullMessage::parse(&header.fields));

    let mut buf = BytesMut::new();
    let mut writer = FrameWriter::begin(&mut buf, encoding, header.code, header.opaque, header.flag, header.version);
    if let Some(remark) = &header.remark {
        writer.remark(remark);
    }
    for (name, value) in header.fields.iter() {
        writer.field(name, value);
    }
    writer.finish_with(b"body");
    let limits = Limits { frame_bytes_max: usize::MAX, header_bytes_max: usize::MAX };
    let frame = frame::split(&mut &buf[..], &limits).expect("own frame").expect("whole");
    let again = Header::parse(&frame).expect("own header");
    let language = 0;
    assert_eq!(again, Header { language, ..header.clone() });

    // Names may come twice, which serde_json resolves alike: the last one counts.
    if let (Encoding::Json, Ok(value)) = (encoding, serde_json::from_slice::<serde_json::Value>(input.1)) {
        for (name, sent) in value["extFields"].as_object().into_iter().flatten() {
            if let Some(text) = sent.as_str() {
                assert_eq!(header.fields.get(name), Some(text));
            }
        }
    }
});
