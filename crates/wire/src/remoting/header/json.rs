//! The JSON header encoding: a scanner for one object of known shape.
//!
//! Keys come in any order, unknown ones are skipped whatever they hold, numbers may be quoted, extension values may be
//! any scalar. Broken nesting and broken texts are errors.

use super::fields::{Span, Spare, letter};
use super::memory::Shapes;
use super::{DEPTH_MAX, Fields, Header, HeaderError};
use crate::remoting::code::Language;
use crate::remoting::escape::{EscapeError, possible_hits, special, unescape_into};
use std::borrow::Cow;
use std::ops::Range;

#[cfg(test)]
mod tests;

/// Boxed within the scanner: errors are rare, and a small result stays in registers.
type Result<T> = std::result::Result<T, Box<HeaderError>>;

/// `shapes`: of earlier headers.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    mut spare: Spare,
    mut shapes: Option<&mut Shapes>,
) -> std::result::Result<Header<'a>, HeaderError> {
    let text = simdutf8::compat::from_utf8(bytes).map_err(|e| HeaderError::NotUtf8 { at: e.valid_up_to() })?;
    if let Some(shapes) = &mut shapes {
        match shapes.read(text, spare) {
            Ok(header) => return Ok(header),
            Err(unused) => spare = unused,
        }
    }
    let mut header = Header { fields: Fields::of(text, spare), ..Header::default() };
    let opaque = parse_into(&mut header).map_err(|e| *e)?;
    if let Some(shapes) = shapes {
        shapes.note(&header, opaque);
    }
    Ok(header)
}

/// Tells where the request's number stands.
fn parse_into(header: &mut Header<'_>) -> Result<Range<usize>> {
    let text = header.fields.text;
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, opaque: 0..0 };
    let mut code = None;
    let mut is_more = match scanner.passes(b"{\"code\":") {
        true => {
            code = Some(scanner.integer()?);
            scanner.usual_members(header)?;
            scanner.another()?
        }
        false => scanner.open()?,
    };
    while is_more {
        scanner.space();
        match scanner.key()? {
            Key::ExtFields => scanner.ext_fields(&mut header.fields)?,
            Key::Code => code = Some(scanner.integer()?),
            Key::Opaque => header.opaque = scanner.opaque()?,
            Key::Flag => header.flag = scanner.integer()?,
            Key::Version => header.version = scanner.integer()?,
            Key::Language => header.language = scanner.language()?,
            Key::Remark => header.remark = scanner.scalar()?,
            Key::Unknown => scanner.skip()?,
        }
        is_more = scanner.another()?;
    }
    header.fields.place_decoded();
    scanner.space();
    if scanner.at != text.len() {
        return scanner.wrong("the end of the header");
    }
    header.code = code.ok_or(HeaderError::NoCode)?;
    Ok(scanner.opaque)
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
    /// Where the request's number stands.
    opaque: Range<usize>,
}

#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk())
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
        let stands = chunk(self.bytes, self.at) == Some(literal);
        self.at += if stands { N } else { 0 };
        stands
    }

    #[inline]
    fn colon(&mut self) -> Result<()> {
        self.expect(b':', "':'")?;
        self.space();
        Ok(())
    }

    /// Begins an object; whether it has a member.
    #[inline]
    fn open(&mut self) -> Result<bool> {
        self.expect(b'{', "'{'")?;
        self.space();
        let has_member = self.peek() != Some(b'}');
        self.at += usize::from(!has_member);
        Ok(has_member)
    }

    /// Passes over what ends a member; whether another follows.
    #[inline]
    fn another(&mut self) -> Result<bool> {
        self.space();
        let Some(end @ (b',' | b'}')) = self.peek() else { return self.wrong("',' or '}'") };
        self.at += 1;
        Ok(end == b',')
    }

    /// The fast path: members behind the code as the Java client writes them to ask for something. Others may follow.
    #[inline(always)]
    fn usual_members(&mut self, header: &mut Header<'a>) -> Result<()> {
        if self.passes(b",\"extFields\":") {
            self.ext_fields(&mut header.fields)?;
        }
        if self.passes(b",\"flag\":0,\"language\":\"JAVA\"") {
            (header.flag, header.language) = (0, Language::JAVA.0);
        }
        if self.passes(b",\"opaque\":") {
            header.opaque = self.opaque()?;
        }
        if self.passes(b",\"serializeTypeCurrentRPC\":") && !self.passes(b"\"JSON\"") {
            self.skip()?;
        }
        if self.passes(b",\"version\":") {
            header.version = self.integer()?;
        }
        Ok(())
    }

    fn ext_fields(&mut self, fields: &mut Fields<'a>) -> Result<()> {
        self.space();
        if self.peek() == Some(b'n') {
            return self.skip();
        }
        let mut is_more = self.open()?;
        while is_more {
            self.space();
            let is_letter = self.bytes.get(self.at + 2) == Some(&b'"');
            if !is_letter || !self.letters(fields)? {
                self.space();
                self.field(fields)?;
            }
            is_more = self.another()?;
        }
        Ok(())
    }

    /// The fast path of sends: passes over fields `"a":"value"` named by a letter, as long as they come without blanks.
    /// Whether it stopped right behind a field; if not, one must follow.
    #[inline(never)]
    fn letters(&mut self, fields: &mut Fields<'a>) -> Result<bool> {
        while let Some((place, start, end)) = self.usual_letters(fields) {
            let value = self.text(start, end, &mut fields.decoded)?;
            fields.letters[place] = value;
            if self.peek() != Some(b',') {
                return Ok(true);
            }
            self.at += 1;
        }
        Ok(false)
    }

    /// Passes over those of them that are plain and followed by another. Gives the next one's place, where its value
    /// starts, and its closing quote or first escape.
    #[inline(always)]
    fn usual_letters(&mut self, fields: &mut Fields<'a>) -> Option<(usize, usize, usize)> {
        let bytes = self.bytes;
        let mut rest = bytes.get(self.at..)?;
        while let Some([b'"', name, q, colon, b'"', value @ ..]) = rest.first_chunk::<15>() {
            let Some(place) = letter(*name) else { break };
            if [*q, *colon] != *b"\":" {
                break;
            }
            let start = bytes.len() - rest.len() + 5;
            // The first hit, when it is a quote, ends the value: nothing before it is one or a backslash.
            let hits = possible_hits(u64::from_le_bytes(*value.first_chunk()?), b'"');
            let mut len = (hits.trailing_zeros() / 8) as usize;
            if hits != 0 && [value[len], value[len + 1]] == *b"\"," {
                fields.letters[place] = Span::plain(start, start + len);
                rest = &rest[5 + len + 2..];
                continue;
            }
            len = special(&rest[5..], if hits == 0 { 8 } else { 0 }, b'"');
            let Some([b'"', b',', next @ ..]) = rest.get(5 + len..) else {
                return Some((place, start, start + len));
            };
            fields.letters[place] = Span::plain(start, start + len);
            rest = next;
        }
        self.at = bytes.len() - rest.len();
        None
    }

    /// Passes over any field.
    #[inline(always)]
    fn field(&mut self, fields: &mut Fields<'a>) -> Result<()> {
        let name = self.span(&mut fields.decoded)?;
        if !self.passes(b":") {
            self.colon()?;
        }
        self.space();
        if self.peek() == Some(b'"') {
            let value = self.span(&mut fields.decoded)?;
            return Ok(fields.push(name, value)?);
        }
        let start = self.at;
        self.skip()?;
        if &self.text[start..self.at] == "null" {
            return Ok(());
        }
        Ok(fields.push(name, Span::plain(start, self.at))?)
    }

    /// Where the text of a string lies: in the header, or in `decoded` when it holds escapes.
    #[inline]
    fn span(&mut self, decoded: &mut String) -> Result<Span> {
        let (start, end) = self.open_string()?;
        self.text(start, end, decoded)
    }

    /// The same of the string that begins at `start` and has its closing quote or first escape at `end`.
    #[inline(always)]
    fn text(&mut self, start: usize, end: usize, decoded: &mut String) -> Result<Span> {
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Span::plain(start, end));
        }
        self.decode(start, end, decoded)
    }

    #[inline(never)]
    fn decode(&mut self, start: usize, escape: usize, decoded: &mut String) -> Result<Span> {
        let from = decoded.len();
        if decoded.capacity() == 0 {
            decoded.reserve((self.bytes.len() - start).min(DECODED_USUAL));
        }
        self.at = unescape_into(decoded, self.text, start, escape, b'"').map_err(|e| self.bad_escape(e))?;
        Ok(Span::decoded(from, decoded.len()))
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

    #[inline(always)]
    fn opaque(&mut self) -> Result<i32> {
        let start = self.at;
        let opaque = self.integer()?;
        self.opaque = start..self.at;
        Ok(opaque)
    }

    #[inline(always)]
    fn integer(&mut self) -> Result<i32> {
        let (mut value, mut at) = (0u64, self.at);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(at) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        match (i32::try_from(value), self.bytes.get(at)) {
            (Ok(value), Some(b',' | b'}')) if (1..=10).contains(&(at - self.at)) => {
                self.at = at;
                Ok(value)
            }
            _ => self.any_integer(),
        }
    }

    #[inline(never)]
    fn any_integer(&mut self) -> Result<i32> {
        self.space();
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

    /// Bare digits, maybe with a sign.
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
