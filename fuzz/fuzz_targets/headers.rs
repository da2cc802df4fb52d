//! A header that is read in the shape of earlier ones is what it is without them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::remoting::frame::RawFrame;
use wire::remoting::{Encoding, Header, Memory};

/// Headers in a row after which their shape is known.
const LEARNT_AFTER: usize = 5;

// A header up to a zero byte, then what becomes of it: two bytes that say where, one that is put there.
fuzz_target!(|input: &[u8]| {
    let (text, edits) = input.split_at(input.iter().position(|byte| *byte == 0).unwrap_or(input.len()));
    let mut text = text.to_vec();
    let mut memory = Memory::default();
    let mut check = |text: &[u8]| {
        let frame = RawFrame { encoding: Encoding::Json, header: text, body: b"" };
        let (read, expected) = (memory.parse(&frame), Header::parse(&frame));
        assert_eq!(read, expected);
        if let Ok(header) = read {
            memory.take_back(header);
        }
    };
    (0..LEARNT_AFTER).for_each(|_| check(&text));
    for edit in edits.get(1..).unwrap_or_default().chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % text.len().max(1);
        text[at..].iter_mut().take(1).for_each(|place| *place = edit[2]);
        check(&text);
    }
});
