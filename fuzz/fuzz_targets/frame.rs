//! A byte stream of any kind, cut at any place, gives the same frames and the same end.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::remoting::frame::{FrameError, Limits, RawFrame, missing, split};

const LIMITS: Limits = Limits { frame_bytes_max: 4096, header_bytes_max: 1024 };

fn drain(buf: &mut BytesMut, frames: &mut Vec<RawFrame>) -> Result<(), FrameError> {
    while let Some(frame) = split(buf, &LIMITS)? {
        assert!(frame.header.len() <= LIMITS.header_bytes_max);
        assert!(frame.header.len() + frame.body.len() + 4 <= LIMITS.frame_bytes_max);
        frames.push(frame);
    }
    assert_ne!(missing(buf, &LIMITS), Ok(Some(0)), "a whole frame was left");
    Ok(())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, stream) = (usize::from(input.0) + 1, input.1);
    let mut whole = Vec::new();
    let end = drain(&mut BytesMut::from(stream), &mut whole);

    let (mut cut, mut buf, mut cut_end) = (Vec::new(), BytesMut::new(), Ok(()));
    for chunk in stream.chunks(step) {
        buf.extend_from_slice(chunk);
        cut_end = drain(&mut buf, &mut cut);
        if cut_end.is_err() {
            break;
        }
    }
    assert_eq!((whole, end), (cut, cut_end));
});
