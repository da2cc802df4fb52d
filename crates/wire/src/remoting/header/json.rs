//! The JSON header encoding: a scanner for one object of known shape.
//!
//! Keys come in any order, unknown ones are skipped whatever they hold, numbers may be quoted, extension values may be
//! any scalar. Broken nesting and broken texts are errors.

use super::{DEPTH_MAX, Fields, Header, HeaderError};
use crate::remoting::code::Language;
use crate::remoting::escape::{special, unescape_from};
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
                let (text, after) = unescape_from(self.text, start, self.at, b'"')
                    .map_err(|e| HeaderError::from_escape(e, self.bytes.len()))?;
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
