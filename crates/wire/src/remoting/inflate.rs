//! Decompression with a cap, so that a small body cannot fill the memory.

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use std::io::{Read, Write};
use thiserror::Error;

/// Why bytes cannot be decompressed.
#[derive(Debug, Error)]
pub enum InflateError {
    /// More than the cap.
    #[error("decompressed body exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: usize,
    },
    /// Not a zlib stream, or cut.
    #[error("body is not a zlib stream: {0}")]
    Corrupt(#[source] std::io::Error),
}

/// Decompresses a zlib stream to at most `bytes_max` bytes.
///
/// # Errors
/// [`InflateError`] when it is larger or damaged.
pub fn inflate(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::with_capacity(compressed.len().saturating_mul(4).min(bytes_max));
    let capped = bytes_max as u64 + 1;
    ZlibDecoder::new(compressed).take(capped).read_to_end(&mut out).map_err(InflateError::Corrupt)?;
    if out.len() > bytes_max {
        return Err(InflateError::TooLarge { limit: bytes_max });
    }
    Ok(out)
}

/// Compresses as a zlib stream.
pub fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(plain.len() / 2 + 64), Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bomb_is_refused_at_the_cap() {
        let bomb = deflate(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2048);
        assert!(matches!(inflate(&bomb, 1 << 16), Err(InflateError::TooLarge { limit: 65536 })));
        assert_eq!(inflate(&bomb, 1 << 20).expect("fits exactly").len(), 1 << 20);
    }

    #[test]
    fn damage_is_an_error() {
        assert!(matches!(inflate(b"no zlib", 100), Err(InflateError::Corrupt(_))));
        let whole = deflate(b"some text that is long enough");
        assert!(inflate(&whole[..whole.len() - 6], 100).is_err());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(plain in prop::collection::vec(any::<u8>(), 0..500)) {
            prop_assert_eq!(inflate(&deflate(&plain), plain.len()).expect("own stream"), plain);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(inflate(&noise, 1000));
        }
    }
}
