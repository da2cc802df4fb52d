//! Cutting a byte stream into frames.

use bytes::Bytes;
use thiserror::Error;

/// How a header is encoded; the top byte of the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// A JSON object, what clients send unless told otherwise.
    #[default]
    Json,
    /// The compact form.
    Binary,
}

impl Encoding {
    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            Encoding::Json => 0,
            Encoding::Binary => 1,
        }
    }
}

/// Bounds on what a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one frame, its length word excluded. Default 16 MiB.
    pub frame_bytes_max: usize,
    /// Most bytes of one header. Default 256 KiB: 32 KiB of properties grow about sixfold by JSON escapes.
    pub header_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes_max: 16 << 20, header_bytes_max: 256 << 10 }
    }
}

/// One frame: slices of the read buffer, nothing copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// How `header` is encoded.
    pub encoding: Encoding,
    /// The undecoded header.
    pub header: &'a [u8],
    /// The body, possibly empty.
    pub body: &'a [u8],
}

impl RawFrame<'_> {
    /// The same frame with memory of its own.
    pub fn to_owned(&self) -> OwnedFrame {
        let (encoding, header_bytes) = (self.encoding, self.header.len());
        OwnedFrame { encoding, header_bytes, bytes: [self.header, self.body].concat().into() }
    }
}

/// A frame that outlives the read buffer; a clone shares its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFrame {
    encoding: Encoding,
    header_bytes: usize,
    bytes: Bytes,
}

impl OwnedFrame {
    /// Header and body.
    pub fn get(&self) -> RawFrame<'_> {
        let (header, body) = self.bytes.split_at(self.header_bytes);
        RawFrame { encoding: self.encoding, header, body }
    }
}

/// Why a byte stream cannot be cut further; the connection is beyond repair.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum FrameError {
    /// The length word exceeds the limit.
    #[error("frame of {bytes} bytes exceeds the limit of {limit} bytes; send less per request")]
    TooLarge {
        /// Announced bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The length word is negative or has no room for the mark.
    #[error("frame length {length} is not possible, at least 4 bytes follow a length word")]
    BadLength {
        /// The length word as sent.
        length: i32,
    },
    /// The header exceeds the limit.
    #[error("header of {bytes} bytes exceeds the limit of {limit} bytes; send shorter properties")]
    HeaderTooLarge {
        /// Announced bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The header is said to be longer than the frame that holds it.
    #[error("header of {header} bytes does not fit into a frame of {frame} bytes")]
    HeaderBeyondFrame {
        /// Announced header bytes.
        header: usize,
        /// Announced frame bytes.
        frame: usize,
    },
    /// The top byte of the mark is neither 0 nor 1.
    #[error("header encoding {byte} is unknown, expected 0 (JSON) or 1 (binary)")]
    UnknownEncoding {
        /// The byte as sent.
        byte: u8,
    },
}

const LENGTH_BYTES: usize = 4;
const MARK_BYTES: usize = 4;
const HEADER_BYTES_MASK: u32 = 0x00FF_FFFF;

/// Takes the next whole frame off the front of `input`; `None` when more bytes are needed.
///
/// A frame that breaks a limit is refused as soon as its first 8 bytes are here, before its body is buffered.
///
/// # Errors
/// [`FrameError`] when no further frame can be found in this stream.
pub fn split<'a>(input: &mut &'a [u8], limits: &Limits) -> Result<Option<RawFrame<'a>>, FrameError> {
    let buf = *input;
    let Some(total) = total(buf, limits)? else { return Ok(None) };
    let Some(mark) = buf.get(LENGTH_BYTES..LENGTH_BYTES + MARK_BYTES) else { return Ok(None) };
    let mark = u32::from_be_bytes([mark[0], mark[1], mark[2], mark[3]]);
    let header_bytes = (mark & HEADER_BYTES_MASK) as usize;
    let encoding = match (mark >> 24) as u8 {
        0 => Encoding::Json,
        1 => Encoding::Binary,
        byte => return Err(FrameError::UnknownEncoding { byte }),
    };
    if header_bytes > total - MARK_BYTES {
        return Err(FrameError::HeaderBeyondFrame { header: header_bytes, frame: total });
    }
    if header_bytes > limits.header_bytes_max {
        return Err(FrameError::HeaderTooLarge { bytes: header_bytes, limit: limits.header_bytes_max });
    }
    let Some((frame, rest)) = buf.split_at_checked(LENGTH_BYTES + total) else { return Ok(None) };
    let (header, body) = frame[LENGTH_BYTES + MARK_BYTES..].split_at(header_bytes);
    *input = rest;
    Ok(Some(RawFrame { encoding, header, body }))
}

/// How many bytes the frame at the front of `buf` still lacks, so that a reader reserves once; `None` while its
/// length is not yet known, 0 when it is whole.
///
/// # Errors
/// As [`split`], as far as the length word shows it.
pub fn missing(buf: &[u8], limits: &Limits) -> Result<Option<usize>, FrameError> {
    Ok(total(buf, limits)?.map(|total| (LENGTH_BYTES + total).saturating_sub(buf.len())))
}

fn total(buf: &[u8], limits: &Limits) -> Result<Option<usize>, FrameError> {
    let Some(&[a, b, c, d]) = buf.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes([a, b, c, d]);
    let bytes = usize::try_from(length).map_err(|_| FrameError::BadLength { length })?;
    if bytes < MARK_BYTES {
        return Err(FrameError::BadLength { length });
    }
    if bytes > limits.frame_bytes_max {
        return Err(FrameError::TooLarge { bytes, limit: limits.frame_bytes_max });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts<'a> = (Encoding, &'a [u8], &'a [u8]);

    fn check(input: &[u8], expected: Result<Option<Parts<'_>>, FrameError>) {
        let limits = Limits { frame_bytes_max: 64, header_bytes_max: 16 };
        let mut rest = input;
        let got = split(&mut rest, &limits).map(|frame| frame.map(|frame| (frame.encoding, frame.header, frame.body)));
        assert_eq!(got, expected, "{input:?}");
        assert_eq!(rest.len(), if matches!(got, Ok(Some(_))) { 0 } else { input.len() }, "{input:?}");
    }

    #[test]
    fn cuts_whole_frames_only() {
        check(b"", Ok(None));
        check(&[0, 0, 0], Ok(None));
        check(&[0, 0, 0, 4], Ok(None));
        check(&[0, 0, 0, 4, 0, 0, 0, 0], Ok(Some((Encoding::Json, b"", b""))));
        check(b"\0\0\0\x08\x01\0\0\x02abcd", Ok(Some((Encoding::Binary, b"ab", b"cd"))));
        check(b"\0\0\0\x08\x01\0\0\x02abc", Ok(None));
    }

    #[test]
    fn refuses_before_the_body_arrives() {
        check(&[0, 0, 0, 65], Err(FrameError::TooLarge { bytes: 65, limit: 64 }));
        check(&[0xFF, 0, 0, 0], Err(FrameError::BadLength { length: -16_777_216 }));
        check(&[0, 0, 0, 3], Err(FrameError::BadLength { length: 3 }));
        check(&[0, 0, 0, 9, 0, 0, 0, 6], Err(FrameError::HeaderBeyondFrame { header: 6, frame: 9 }));
        check(&[0, 0, 0, 40, 0, 0, 0, 17], Err(FrameError::HeaderTooLarge { bytes: 17, limit: 16 }));
        check(&[0, 0, 0, 40, 2, 0, 0, 1], Err(FrameError::UnknownEncoding { byte: 2 }));
    }

    #[test]
    fn missing_counts_down() {
        let limits = Limits::default();
        assert_eq!(missing(&[0, 0, 0], &limits), Ok(None));
        assert_eq!(missing(&[0, 0, 0, 10], &limits), Ok(Some(10)));
        assert_eq!(missing(&[0, 0, 0, 4, 0, 0, 0, 0, 9], &limits), Ok(Some(0)));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_yields_the_same_frames(
            frames in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            step in 1usize..50,
        ) {
            let mut stream = Vec::new();
            for (header, body) in &frames {
                stream.extend_from_slice(&((4 + header.len() + body.len()) as u32).to_be_bytes());
                stream.extend_from_slice(&(header.len() as u32).to_be_bytes());
                stream.extend_from_slice(header);
                stream.extend_from_slice(body);
            }
            let (mut begin, mut got) = (0, Vec::new());
            for end in (0..stream.len()).step_by(step).chain([stream.len()]) {
                let mut rest = &stream[begin..end];
                while let Some(frame) = split(&mut rest, &Limits::default()).expect("well formed") {
                    let owned = frame.to_owned();
                    prop_assert_eq!(owned.get(), frame);
                    got.push((frame.header.to_vec(), frame.body.to_vec()));
                }
                begin = end - rest.len();
            }
            prop_assert_eq!(got, frames);
            prop_assert_eq!(begin, stream.len());
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = &noise[..];
            while let Ok(Some(_)) = split(&mut rest, &Limits::default()) {}
        }
    }
}
