//! A byte stream of any kind, cut at any place, gives the same frames and the same end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::remoting::frame::{FrameError, Limits, RawFrame, missing, split};

const LIMITS: Limits = Limits { frame_bytes_max: 4096, header_bytes_max: 1024 };

fn drain<'a>(buf: &mut &'a [u8], frames: &mut Vec<RawFrame<'a>>) -> Result<(), FrameError> {
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
    let end = drain(&mut &*stream, &mut whole);

    let (mut cut, mut begin, mut cut_end) = (Vec::new(), 0, Ok(()));
    for end in (0..stream.len()).step_by(step).chain([stream.len()]) {
        let mut rest = &stream[begin..end];
        cut_end = drain(&mut rest, &mut cut);
        begin = end - rest.len();
        if cut_end.is_err() {
            break;
        }
    }
    assert_eq!((whole, end), (cut, cut_end));
});
