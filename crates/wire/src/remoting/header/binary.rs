//! The compact header encoding.
//!
//! ```text
//! code i16 · language u8 · version i16 · opaque i32 · flag i32 · remark length i32 · remark
//! fields length i32 · { name length u16 · name · value length i32 · value }*
//! ```
//! Big endian, texts in UTF-8; an empty text stands for none. The code has 16 bits only, so requests with greater
//! codes (POP, light topics) can travel in JSON only.

use super::{Fields, Header, HeaderError};
use std::borrow::Cow;

pub(super) fn parse(bytes: &[u8]) -> Result<Header<'_>, HeaderError> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut header = Header {
        code: i32::from(i16::from_be_bytes(cursor.take("the code")?)),
        language: u8::from_be_bytes(cursor.take("the language")?),
        version: i32::from(i16::from_be_bytes(cursor.take("the version")?)),
        opaque: i32::from_be_bytes(cursor.take("the opaque id")?),
        flag: i32::from_be_bytes(cursor.take("the flag")?),
        remark: None,
        fields: Fields::default(),
    };
    let remark_bytes = cursor.length("the remark")?;
    header.remark = cursor.text(remark_bytes)?.map(Cow::Borrowed);
    let fields_bytes = cursor.length("the fields")?;
    let end = cursor.at + fields_bytes;
    while cursor.at < end {
        let name_bytes = usize::from(u16::from_be_bytes(cursor.take("a field name")?));
        if name_bytes > bytes.len() - cursor.at {
            return Err(HeaderError::Truncated { bytes: bytes.len(), inside: "a field name" });
        }
        let name = cursor.text(name_bytes)?;
        let value_bytes = cursor.length("a field value")?;
        let value = cursor.text(value_bytes)?;
        if let (Some(name), Some(value)) = (name, value) {
            header.fields.push(Cow::Borrowed(name), Cow::Borrowed(value))?;
        }
    }
    if cursor.at != end {
        return Err(HeaderError::Syntax { at: end, expected: "the end of the last field" });
    }
    Ok(header)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self, inside: &'static str) -> Result<[u8; N], HeaderError> {
        let chunk = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let chunk = *chunk.ok_or(HeaderError::Truncated { bytes: self.bytes.len(), inside })?;
        self.at += N;
        Ok(chunk)
    }

    fn length(&mut self, what: &'static str) -> Result<usize, HeaderError> {
        let at = self.at;
        let length = i32::from_be_bytes(self.take(what)?);
        let left = self.bytes.len() - self.at;
        match usize::try_from(length) {
            Ok(bytes) if bytes <= left => Ok(bytes),
            _ => Err(HeaderError::BadLength { at, what, length, left }),
        }
    }

    /// The next `bytes` bytes, which the caller has found to be there.
    fn text(&mut self, bytes: usize) -> Result<Option<&'a str>, HeaderError> {
        let start = self.at;
        self.at += bytes;
        let text = std::str::from_utf8(&self.bytes[start..self.at])
            .map_err(|e| HeaderError::NotUtf8 { at: start + e.valid_up_to() })?;
        Ok((!text.is_empty()).then_some(text))
    }
}
