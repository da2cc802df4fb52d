//! Writing the loose dialect: serde_json with another idea of keys.

use crate::remoting::body::QUEUE_KEY_PREFIX;
use crate::remoting::escape::put_escaped;
use bytes::BytesMut;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use std::io::{self, Write};

pub(super) fn to_vec<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, LooseFormatter::default()))?;
    Ok(out)
}

/// Holds back each key until its kind is known.
#[derive(Default)]
struct LooseFormatter {
    /// The unescaped key being written.
    key: Option<String>,
    key_is_number: bool,
}

impl LooseFormatter {
    fn number<W: Write + ?Sized>(&mut self, writer: &mut W, value: impl std::fmt::Display) -> io::Result<()> {
        match &mut self.key {
            Some(key) => {
                *key = value.to_string();
                self.key_is_number = true;
                Ok(())
            }
            None => write!(writer, "{value}"),
        }
    }
}

impl Formatter for LooseFormatter {
    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.key = Some(String::new());
        self.key_is_number = false;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn end_object_key<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        let key = self.key.take().unwrap_or_default();
        if self.key_is_number || key.starts_with(QUEUE_KEY_PREFIX) {
            return writer.write_all(key.as_bytes());
        }
        let mut quoted = BytesMut::with_capacity(key.len() + 2);
        quoted.extend_from_slice(b"\"");
        put_escaped(&mut quoted, &key);
        quoted.extend_from_slice(b"\"");
        writer.write_all(&quoted)
    }

    fn begin_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.key.is_some() { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn end_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.key.is_some() { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        match &mut self.key {
            Some(key) => {
                key.push_str(fragment);
                Ok(())
            }
            None => writer.write_all(fragment.as_bytes()),
        }
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let Some(key) = &mut self.key else { return CompactFormatter.write_char_escape(writer, escape) };
        key.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        });
        Ok(())
    }

    fn write_i32<W: Write + ?Sized>(&mut self, writer: &mut W, value: i32) -> io::Result<()> {
        self.number(writer, value)
    }

    fn write_i64<W: Write + ?Sized>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.number(writer, value)
    }

    fn write_u32<W: Write + ?Sized>(&mut self, writer: &mut W, value: u32) -> io::Result<()> {
        self.number(writer, value)
    }

    fn write_u64<W: Write + ?Sized>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        self.number(writer, value)
    }
}
