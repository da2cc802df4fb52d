//! Turning the loose dialect into strict JSON.

use crate::remoting::escape::{EscapeError, put_escaped, unescape_into};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;
use thiserror::Error;

/// Deepest nesting of a body.
pub const DEPTH_MAX: usize = 64;

/// Why a text is not JSON in any dialect.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum LooseError {
    /// Not UTF-8.
    #[error("not UTF-8 from byte {at}")]
    NotUtf8 {
        /// First bad byte.
        at: usize,
    },
    /// Something else was expected.
    #[error("byte {at}: expected {expected}")]
    Syntax {
        /// Where in the body.
        at: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// The body ends inside a value.
    #[error("ends after {bytes} bytes inside a value")]
    Truncated {
        /// Bytes of the body.
        bytes: usize,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

type Result<T> = std::result::Result<T, LooseError>;

/// Rewrites a body as strict JSON: every key a text, an object key as its JSON text; members that are null are left
/// out, since the original takes them for absent.
///
/// # Errors
/// [`LooseError`] when it is no JSON in this dialect either.
pub fn normalise(body: &[u8]) -> Result<BytesMut> {
    let text = std::str::from_utf8(body).map_err(|e| LooseError::NotUtf8 { at: e.valid_up_to() })?;
    let mut reader = Reader { text, at: 0, depth: 0, in_key: false };
    let mut out = BytesMut::with_capacity(body.len() + body.len() / 8);
    reader.value(&mut out)?;
    reader.space();
    if reader.at != body.len() {
        return reader.wrong("the end of the body");
    }
    Ok(out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Inside an object that is a key. Such keys do not nest, or escapes of escapes would double at each level.
    in_key: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T> {
        Err(match self.peek() {
            Some(_) => LooseError::Syntax { at: self.at, expected },
            None => LooseError::Truncated { bytes: self.text.len() },
        })
    }

    fn value(&mut self, out: &mut BytesMut) -> Result<()> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(out, Self::object),
            Some(b'[') => self.nested(out, Self::array),
            Some(b'"' | b'\'') => {
                put_text(out, &self.quoted()?);
                Ok(())
            }
            _ => self.literal(out),
        }
    }

    fn nested(&mut self, out: &mut BytesMut, inner: impl FnOnce(&mut Self, &mut BytesMut) -> Result<()>) -> Result<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(LooseError::TooDeep { limit: DEPTH_MAX });
        }
        inner(self, out)?;
        self.depth -= 1;
        Ok(())
    }

    /// After `{`.
    fn object(&mut self, out: &mut BytesMut) -> Result<()> {
        out.put_u8(b'{');
        let (mut first, mut written) = (true, false);
        while !self.closes(b'}', "',' or '}'", first)? {
            first = false;
            let member = out.len();
            if written {
                out.put_u8(b',');
            }
            self.key(out)?;
            self.space();
            if self.peek() != Some(b':') {
                return self.wrong("':'");
            }
            self.at += 1;
            out.put_u8(b':');
            let value = out.len();
            self.value(out)?;
            if &out[value..] == b"null" {
                out.truncate(member);
            } else {
                written = true;
            }
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// After `[`.
    fn array(&mut self, out: &mut BytesMut) -> Result<()> {
        out.put_u8(b'[');
        let mut first = true;
        while !self.closes(b']', "',' or ']'", first)? {
            if !first {
                out.put_u8(b',');
            }
            self.value(out)?;
            first = false;
        }
        out.put_u8(b']');
        Ok(())
    }

    /// Passes over what separates items; true after the closing byte. Extra commas are let pass, missing ones not.
    fn closes(&mut self, close: u8, expected: &'static str, first: bool) -> Result<bool> {
        let mut comma = first;
        loop {
            self.space();
            match self.peek() {
                Some(b',') => comma = true,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(_) if comma => return Ok(false),
                _ => return self.wrong(expected),
            }
            self.at += 1;
        }
    }

    fn key(&mut self, out: &mut BytesMut) -> Result<()> {
        match self.peek() {
            Some(b'"' | b'\'') => put_text(out, &self.quoted()?),
            Some(b'{') if !self.in_key => {
                self.in_key = true;
                let mut key = BytesMut::new();
                self.value(&mut key)?;
                self.in_key = false;
                // Made of texts, so it is UTF-8.
                put_text(out, &String::from_utf8_lossy(&key));
            }
            _ => match self.token() {
                "" => return self.wrong("a key"),
                token => put_text(out, token),
            },
        }
        Ok(())
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let (quote, start) = (bytes[self.at], self.at + 1);
        let found = bytes[start..].iter().position(|b| *b == quote || *b == b'\\');
        let Some(end) = found.map(|n| start + n) else { return Err(LooseError::Truncated { bytes: bytes.len() }) };
        if bytes[end] == quote {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = String::new();
        self.at = unescape_into(&mut text, self.text, start, end, quote).map_err(|e| match e {
            EscapeError::Truncated => LooseError::Truncated { bytes: bytes.len() },
            EscapeError::Unknown { at } => LooseError::Syntax { at, expected: "a known escape" },
            EscapeError::NotHex { at } => LooseError::Syntax { at, expected: "a hexadecimal digit" },
        })?;
        Ok(Cow::Owned(text))
    }

    /// The longest run of bytes that a bare word or number may have.
    fn token(&mut self) -> &'a str {
        let start = self.at;
        while let Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' | b'.' | b'-' | b'+') = self.peek() {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn literal(&mut self, out: &mut BytesMut) -> Result<()> {
        let start = self.at;
        match self.token() {
            "NaN" | "undefined" => out.extend_from_slice(b"null"),
            token @ ("true" | "false" | "null") => out.extend_from_slice(token.as_bytes()),
            "Set" | "TreeSet" if self.peek() == Some(b'[') => return self.nested(out, Self::array),
            token if token.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                out.extend_from_slice(token.as_bytes());
            }
            _ => {
                self.at = start;
                return self.wrong("a value");
            }
        }
        Ok(())
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    put_escaped(out, text);
    out.put_u8(b'"');
}
