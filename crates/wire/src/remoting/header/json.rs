//! The JSON header encoding: a scanner for one object of known shape.
//!
//! Keys come in any order, unknown ones are skipped whatever they hold, numbers may be quoted, extension values may be
//! any scalar. Broken nesting and broken texts are errors.

use super::fields::Span;
use super::{DEPTH_MAX, Fields, Header, HeaderError, Spare};
use crate::remoting::code::Language;
use crate::remoting::escape::{EscapeError, special, unescape_into};
use std::borrow::Cow;

/// Boxed within the scanner: errors are rare, and a small result stays in registers.
type Result<T> = std::result::Result<T, Box<HeaderError>>;

pub(super) fn parse(bytes: &[u8], spare: Spare) -> std::result::Result<Header<'_>, HeaderError> {
    parse_boxed(bytes, spare).map_err(|e| *e)
}

fn parse_boxed(bytes: &[u8], spare: Spare) -> Result<Header<'_>> {
    let text = std::str::from_utf8(bytes).map_err(|e| HeaderError::NotUtf8 { at: e.valid_up_to() })?;
    let mut scanner = Scanner { text, bytes, at: 0, decoded: spare.text };
    let mut header = Header { fields: Fields::of(text, spare.list), ..Header::default() };
    let mut code = None;
    scanner.members(|scanner| {
        match scanner.key()? {
            Key::ExtFields => scanner.ext_fields(&mut header.fields)?,
            Key::Code => code = Some(scanner.integer()?),
            Key::Opaque => header.opaque = scanner.integer()?,
            Key::Flag => header.flag = scanner.integer()?,
            Key::Version => header.version = scanner.integer()?,
            Key::Language => header.language = scanner.language()?,
            Key::Remark => header.remark = scanner.scalar()?,
            Key::Unknown => scanner.skip()?,
        }
        Ok(())
    })?;
    header.fields.set_decoded(std::mem::take(&mut scanner.decoded));
    scanner.space();
    if scanner.at != bytes.len() {
        return scanner.wrong("the end of the header");
    }
    header.code = code.ok_or(HeaderError::NoCode)?;
    Ok(header)
}

/// What a member of the object says.
enum Key {
    Code,
    ExtFields,
    Flag,
    Language,
    Opaque,
    Remark,
    Version,
    Unknown,
}

/// Room for the decoded texts of nearly every request.
const DECODED_USUAL: usize = 512;

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Texts of fields that held escapes.
    decoded: String,
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

    #[cold]
    fn wrong<T>(&self, expected: &'static str) -> Result<T> {
        Err(Box::new(match self.peek() {
            Some(_) => HeaderError::Syntax { at: self.at, expected },
            None => HeaderError::Truncated { bytes: self.bytes.len(), inside: "the JSON object" },
        }))
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

    /// Passes over `literal` if it stands here.
    #[inline(always)]
    fn passes<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        let stands = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) == Some(literal);
        self.at += if stands { N } else { 0 };
        stands
    }

    #[inline]
    fn colon(&mut self) -> Result<()> {
        self.expect(b':', "':'")?;
        self.space();
        Ok(())
    }

    /// Walks an object; `member` consumes name and value.
    #[inline]
    fn members(&mut self, mut member: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(b'{', "'{'")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            member(self)?;
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
        self.members(|scanner| {
            while scanner.usual_field(fields)? {}
            let name = scanner.span()?;
            scanner.colon()?;
            if scanner.peek() == Some(b'"') {
                let value = scanner.span()?;
                return Ok(fields.push(name, value)?);
            }
            let start = scanner.at;
            scanner.skip()?;
            if &scanner.text[start..scanner.at] == "null" {
                return Ok(());
            }
            Ok(fields.push(name, Span::plain(start, scanner.at))?)
        })
    }

    /// The fast path: passes over `"name":"value",` with neither blanks nor escapes, when another field follows.
    #[inline(always)]
    fn usual_field(&mut self, fields: &mut Fields<'a>) -> Result<bool> {
        let bytes = self.bytes;
        let stands =
            |at: usize, literal: &[u8; 3]| bytes.get(at..).and_then(|rest| rest.first_chunk()) == Some(literal);
        let name = self.at + 1;
        let is_letter = bytes.get(name).is_some_and(u8::is_ascii_lowercase) && stands(name + 1, b"\":\"");
        let name_end = if is_letter { name + 1 } else { special(bytes, name, b'"') };
        if bytes.get(self.at) != Some(&b'"') || !(is_letter || stands(name_end, b"\":\"")) {
            return Ok(false);
        }
        let value = name_end + 3;
        let value_end = special(bytes, value, b'"');
        if !stands(value_end, b"\",\"") {
            return Ok(false);
        }
        let span = Span::plain(value, value_end);
        if !(is_letter && fields.push_letter(bytes[name], span)) {
            fields.push(Span::plain(name, name_end), span)?;
        }
        self.at = value_end + 2;
        Ok(true)
    }

    /// Where the text of a string lies: in the header, or decoded beside it when it holds escapes.
    #[inline]
    fn span(&mut self) -> Result<Span> {
        let (start, end) = self.open_string()?;
        if self.bytes[end] == b'"' {
            self.at = end + 1;
            return Ok(Span::plain(start, end));
        }
        let from = self.decoded.len();
        if self.decoded.capacity() == 0 {
            self.decoded.reserve((self.bytes.len() - start).min(DECODED_USUAL));
        }
        self.at = unescape_into(&mut self.decoded, self.text, start, end, b'"').map_err(|e| self.bad_escape(e))?;
        Ok(Span::decoded(from, self.decoded.len()))
    }

    /// The text of a string, number or literal, the raw text of a nested value, nothing for null.
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
            Some(text) => {
                Ok(text.parse().map_err(|_| HeaderError::Syntax { at: start, expected: "an integer of 32 bits" })?)
            }
        }
    }

    /// The usual case of [`Scanner::integer`]: bare digits.
    #[inline]
    fn plain_integer(&mut self) -> Option<i32> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let (mut len, mut value) = (0, 0i64);
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            len += 1;
            if len > 10 {
                return None;
            }
        }
        if len == 0 || matches!(digits.get(len), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        let is_negative = digits.len() < rest.len();
        self.at += usize::from(is_negative) + len;
        i32::try_from(if is_negative { -value } else { value }).ok()
    }

    fn language(&mut self) -> Result<u8> {
        if self.passes(b"\"JAVA\"") {
            return Ok(Language::JAVA.0);
        }
        let Some(text) = self.scalar()? else { return Ok(Language::OTHER.0) };
        Ok(Language::from_name(&text).or_else(|| text.parse().ok().map(Language)).unwrap_or(Language::OTHER).0)
    }

    /// Passes over a key, its colon and the blanks around that.
    #[inline]
    fn key(&mut self) -> Result<Key> {
        let key = match self.usual_key() {
            Some(key) => key,
            None => self.any_key()?,
        };
        self.space();
        Ok(key)
    }

    /// The fast path: a key as the clients write it, without escapes or a blank before the colon.
    #[inline]
    fn usual_key(&mut self) -> Option<Key> {
        let (is, key) = match self.bytes.get(self.at + 1)? {
            b'c' => (self.passes(b"\"code\":"), Key::Code),
            b'e' => (self.passes(b"\"extFields\":"), Key::ExtFields),
            b'f' => (self.passes(b"\"flag\":"), Key::Flag),
            b'l' => (self.passes(b"\"language\":"), Key::Language),
            b'o' => (self.passes(b"\"opaque\":"), Key::Opaque),
            b's' => (self.passes(b"\"serializeTypeCurrentRPC\":"), Key::Unknown),
            b'v' => (self.passes(b"\"version\":"), Key::Version),
            _ => return None,
        };
        is.then_some(key)
    }

    fn any_key(&mut self) -> Result<Key> {
        let name = self.string()?;
        self.colon()?;
        Ok(match &*name {
            "code" => Key::Code,
            "extFields" => Key::ExtFields,
            "flag" => Key::Flag,
            "language" => Key::Language,
            "opaque" => Key::Opaque,
            "remark" => Key::Remark,
            "version" => Key::Version,
            _ => Key::Unknown,
        })
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        let (start, end) = self.open_string()?;
        if self.bytes[end] == b'"' {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut decoded = String::new();
        self.at = unescape_into(&mut decoded, self.text, start, end, b'"').map_err(|e| self.bad_escape(e))?;
        Ok(Cow::Owned(decoded))
    }

    /// The first byte of a string, and its closing quote or its first escape, whichever comes first.
    #[inline]
    fn open_string(&self) -> Result<(usize, usize)> {
        if self.peek() != Some(b'"') {
            return self.wrong("'\"'");
        }
        let start = self.at + 1;
        let end = special(self.bytes, start, b'"');
        if end >= self.bytes.len() {
            return Err(self.bad_escape(EscapeError::Truncated));
        }
        Ok((start, end))
    }

    fn skip_string(&mut self) -> Result<()> {
        let (_, mut end) = self.open_string()?;
        while self.bytes.get(end) == Some(&b'\\') {
            end = special(self.bytes, end + 2, b'"');
        }
        if end >= self.bytes.len() {
            return Err(self.bad_escape(EscapeError::Truncated));
        }
        self.at = end + 1;
        Ok(())
    }

    #[cold]
    fn bad_escape(&self, error: EscapeError) -> Box<HeaderError> {
        Box::new(HeaderError::from_escape(error, self.bytes.len()))
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
                        return Err(Box::new(HeaderError::TooDeep { limit: DEPTH_MAX }));
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
}
