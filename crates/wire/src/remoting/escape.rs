//! Escapes in JSON texts, both ways; shared by headers and bodies.

use bytes::BytesMut;

/// Why a text cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EscapeError {
    /// The closing quote is missing.
    Truncated,
    /// A backslash before something unexpected.
    Unknown { at: usize },
    /// Not a hexadecimal digit.
    NotHex { at: usize },
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// High bits at the bytes of `word` that are `quote` or a backslash, and maybe at others above the first of them and at
/// those beyond ASCII.
#[inline(always)]
pub(crate) fn possible_hits(word: u64, quote: u8) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES);
    (zeros(word ^ (ONES * u64::from(quote))) | zeros(word ^ (ONES * u64::from(b'\\')))) & HIGHS
}

/// The same of which the lowest is certain: a borrow may set false ones above a true one.
#[inline(always)]
fn hits(word: u64, quote: u8) -> u64 {
    possible_hits(word, quote) & !word
}

/// Index of the first `quote` or backslash at or after `from`, at least the length when there is none.
#[inline(always)]
pub(crate) fn special(bytes: &[u8], from: usize, quote: u8) -> usize {
    let Some(mut rest) = bytes.get(from..) else { return from };
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let hits = hits(u64::from_le_bytes(*chunk), quote);
        if hits != 0 {
            return bytes.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    let end = rest.iter().position(|&byte| byte == quote || byte == b'\\').unwrap_or(rest.len());
    bytes.len() - rest.len() + end
}

/// Decodes the string that began at `start` and has its first escape at `escape`, appending it to `out`; gives the
/// index after the closing `quote`. Lone surrogates become U+FFFD: the original's texts may hold them, UTF-8 cannot.
pub(crate) fn unescape_into(
    out: &mut String,
    text: &str,
    start: usize,
    escape: usize,
    quote: u8,
) -> Result<usize, EscapeError> {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (start, escape);
    loop {
        out.push_str(&text[plain..at]);
        // What separates properties, by far the most frequent escapes: \u0001 and \u0002.
        if let Some([begin @ .., b'0', digit @ b'0'..=b'9']) = bytes[at..].first_chunk::<6>()
            && begin == b"\\u00"
        {
            out.push(char::from(digit - b'0'));
            plain = at + 6;
        } else if bytes.get(at) == Some(&b'\\') {
            let (decoded, after) = escape_at(bytes, at)?;
            out.push(decoded);
            plain = after;
        } else {
            return if at < bytes.len() { Ok(at + 1) } else { Err(EscapeError::Truncated) };
        }
        at = special(bytes, plain, quote).min(bytes.len());
    }
}

/// The character of the escape at `at` and the index after it.
#[inline]
pub(crate) fn escape_at(bytes: &[u8], at: usize) -> Result<(char, usize), EscapeError> {
    let kind = *bytes.get(at + 1).ok_or(EscapeError::Truncated)?;
    let plain = match kind {
        b'u' => return unicode_escape(bytes, at),
        b'x' => return Ok((char::from(hex(bytes, at + 2, 2)? as u8), at + 4)),
        b'"' | b'\\' | b'/' | b'\'' => char::from(kind),
        b'b' => '\u{8}',
        b'f' | b'F' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'0'..=b'7' => char::from(kind - b'0'),
        _ => return Err(EscapeError::Unknown { at }),
    };
    Ok((plain, at + 2))
}

#[inline]
fn unicode_escape(bytes: &[u8], at: usize) -> Result<(char, usize), EscapeError> {
    let unit = hex(bytes, at + 2, 4)?;
    let after = at + 6;
    if (0xD800..0xDC00).contains(&unit) && bytes.get(after..after + 2) == Some(b"\\u") {
        let low = hex(bytes, after + 2, 4)?;
        if (0xDC00..0xE000).contains(&low) {
            let point = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            return Ok((char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), after + 6));
        }
    }
    Ok((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), after))
}

#[inline]
fn hex(bytes: &[u8], at: usize, digits: usize) -> Result<u32, EscapeError> {
    let mut value = 0;
    for i in at..at + digits {
        let digit = match bytes.get(i) {
            Some(b @ b'0'..=b'9') => b - b'0',
            Some(b @ b'a'..=b'f') => b - b'a' + 10,
            Some(b @ b'A'..=b'F') => b - b'A' + 10,
            _ => return Err(EscapeError::NotHex { at: i }),
        };
        value = value << 4 | u32::from(digit);
    }
    Ok(value)
}

/// Appends `text` with JSON escapes, without the quotes.
#[inline]
pub(crate) fn put_escaped(buf: &mut BytesMut, text: &str) {
    let (plain, rest) = text.as_bytes().split_at(plain_len(text.as_bytes()));
    buf.extend_from_slice(plain);
    if !rest.is_empty() {
        put_escapes(buf, rest);
    }
}

/// The same of a text that begins with what must be escaped.
#[inline(never)]
fn put_escapes(buf: &mut BytesMut, mut bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    while let Some((&byte, rest)) = bytes.split_first() {
        match byte {
            b'"' | b'\\' => buf.extend_from_slice(&[b'\\', byte]),
            b'\n' => buf.extend_from_slice(b"\\n"),
            b'\r' => buf.extend_from_slice(b"\\r"),
            b'\t' => buf.extend_from_slice(b"\\t"),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                buf.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        let plain = plain_len(rest);
        buf.extend_from_slice(&rest[..plain]);
        bytes = &rest[plain..];
    }
}

/// Bytes before the first that must be escaped.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    let mut at = 0;
    // Without a way out of the middle, so that all of a chunk is compared at once.
    while let Some(chunk) = bytes[at..].first_chunk::<16>()
        && chunk.iter().fold(true, |all, byte| all & is_plain(*byte))
    {
        at += chunk.len();
    }
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGHS;
        let hits = hits(word, b'"') | controls;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().position(|byte| !is_plain(*byte)).unwrap_or(bytes.len() - at)
}
