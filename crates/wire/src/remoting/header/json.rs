//! The JSON header encoding: a scanner for one object of known shape.
//!
//! Keys come in any order, unknown ones are skipped whatever they hold, numbers may be quoted, extension values may be
//! any scalar. Broken nesting and broken texts are errors.

use super::{DEPTH_MAX, Fields, Header, HeaderError};
use crate::remoting::code::Language;
use std::borrow::Cow;

type Result<T> = std::result::Result<T, HeaderError>;

pub(super) fn parse(bytes: &[u8]) -> Result<Header<'_>> {
    let text = std::str::from_utf8(bytes).map_err(|e| HeaderError::NotUtf8 { at: e.valid_up_to() })?;
    let mut scanner = Scanner { text, bytes, at: 0 };
    let mut header = Header::default();
    let mut code = None;
    scanner.object(|scanner, key| {
        match &*key {
            "extFields" => scanner.ext_fields(&mut header.fields)?,
            "code" => code = Some(scanner.integer()?),
            "opaque" => header.opaque = scanner.integer()?,
            "flag" => header.flag = scanner.integer()?,
            "version" => header.version = scanner.integer()?,
            "language" => header.language = scanner.language()?,
            "remark" => header.remark = scanner.scalar()?,
            _ => scanner.skip()?,
        }
        Ok(())
    })?;
    scanner.space();
    if scanner.at != bytes.len() {
        return Err(HeaderError::Syntax { at: scanner.at, expected: "the end of the header" });
    }
    header.code = code.ok_or(HeaderError::NoCode)?;
    Ok(header)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T> {
        Err(match self.peek() {
            Some(_) => HeaderError::Syntax { at: self.at, expected },
            None => HeaderError::Truncated { bytes: self.bytes.len(), inside: "the JSON object" },
        })
    }

    #[inline]
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        self.space();
        if self.peek() != Some(byte) {
            return self.wrong(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// Walks an object; `member` must consume the value.
    #[inline]
    fn object(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<()> {
        self.expect(b'{', "'{'")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.expect(b':', "':'")?;
            self.space();
            member(self, key)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.wrong("',' or '}'"),
            }
        }
    }

    fn ext_fields(&mut self, fields: &mut Fields<'a>) -> Result<()> {
        if self.peek() == Some(b'n') {
            return self.skip();
        }
        self.object(|scanner, name| match scanner.scalar()? {
            Some(value) => fields.push(name, value),
            None => Ok(()),
        })
    }

    /// The text of a string, number or literal, the raw text of a nested value, nothing for null.
    #[inline]
    fn scalar(&mut self) -> Result<Option<Cow<'a, str>>> {
        if self.peek() == Some(b'"') {
            return self.string().map(Some);
        }
        let start = self.at;
        self.skip()?;
        let raw = &self.text[start..self.at];
        Ok((raw != "null").then_some(Cow::Borrowed(raw)))
    }

    fn integer(&mut self) -> Result<i32> {
        let start = self.at;
        if let Some(value) = self.plain_integer() {
            return Ok(value);
        }
        self.at = start;
        match self.scalar()? {
            None => Ok(0),
            Some(text) => text.parse().or(Err(HeaderError::Syntax { at: start, expected: "an integer of 32 bits" })),
        }
    }

    /// The usual case of [`Scanner::integer`]: bare digits.
    #[inline]
    fn plain_integer(&mut self) -> Option<i32> {
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let (first, mut value) = (self.at, 0i64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
            if self.at - first > 10 {
                return None;
            }
        }
        if self.at == first || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        i32::try_from(if negative { -value } else { value }).ok()
    }

    fn language(&mut self) -> Result<u8> {
        let Some(text) = self.scalar()? else { return Ok(Language::OTHER.0) };
        Ok(Language::from_name(&text).or_else(|| text.parse().ok().map(Language)).unwrap_or(Language::OTHER).0)
    }

    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return self.wrong("'\"'");
        }
        let start = self.at + 1;
        self.at = special(self.bytes, start);
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(&self.text[start..self.at - 1]))
            }
            Some(_) => {
                let (text, after) = unescape_from(self.text, start, self.at, b'"')?;
                self.at = after;
                Ok(Cow::Owned(text))
            }
            None => Err(HeaderError::Truncated { bytes: self.bytes.len(), inside: "a string" }),
        }
    }

    /// Passes over one value of any kind without recursion: strings are read over, brackets counted.
    fn skip(&mut self) -> Result<()> {
        let mut depth = 0usize;
        loop {
            self.space();
            match self.peek() {
                Some(b'"') => self.skip_string()?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    if depth > DEPTH_MAX {
                        return Err(HeaderError::TooDeep { limit: DEPTH_MAX });
                    }
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => {
                    while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') = self.peek() {
                        self.at += 1;
                    }
                }
                _ => return self.wrong("a value"),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            self.at = special(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(_) => self.at += 2,
                None => return Err(HeaderError::Truncated { bytes: self.bytes.len(), inside: "a string" }),
            }
        }
        Ok(())
    }
}

/// Index of the first quote or backslash at or after `from`, the length when there is none.
#[inline]
fn special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // A byte of `word` is zero exactly where the lowest set high bit is; higher ones may be false, so take the lowest.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let hits = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\\' {
        at += 1;
    }
    at
}

/// Decodes the string that began at `start` and has its first escape at `escape`; gives the text and the index after
/// the closing `quote`. Lone surrogates become U+FFFD: the original's texts may hold them, UTF-8 cannot.
pub(crate) fn unescape_from(text: &str, start: usize, escape: usize, quote: u8) -> Result<(String, usize)> {
    let bytes = text.as_bytes();
    let truncated = || HeaderError::Truncated { bytes: bytes.len(), inside: "a string" };
    let mut out = String::with_capacity((escape - start + 64).min(bytes.len() - start));
    let mut run = start;
    let mut at = escape;
    loop {
        match bytes.get(at).ok_or_else(truncated)? {
            b if *b == quote => {
                out.push_str(&text[run..at]);
                return Ok((out, at + 1));
            }
            b'\\' => {
                out.push_str(&text[run..at]);
                let (decoded, after) = escape_at(text, at)?;
                out.push(decoded);
                (run, at) = (after, after);
            }
            _ if quote == b'"' => at = special(bytes, at + 1),
            _ => at += 1,
        }
    }
}

/// The character of the escape at `at` and the index after it.
#[inline]
fn escape_at(text: &str, at: usize) -> Result<(char, usize)> {
    let bytes = text.as_bytes();
    let kind = *bytes.get(at + 1).ok_or(HeaderError::Truncated { bytes: bytes.len(), inside: "an escape" })?;
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
        _ => return Err(HeaderError::Syntax { at, expected: "a known escape" }),
    };
    Ok((plain, at + 2))
}

#[inline]
fn unicode_escape(bytes: &[u8], at: usize) -> Result<(char, usize)> {
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
fn hex(bytes: &[u8], at: usize, digits: usize) -> Result<u32> {
    let mut value = 0;
    for i in at..at + digits {
        let digit = bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        value = value << 4 | digit.ok_or(HeaderError::Syntax { at: i, expected: "a hexadecimal digit" })?;
    }
    Ok(value)
}
