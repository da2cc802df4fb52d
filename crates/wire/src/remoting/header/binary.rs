//! The compact header encoding.
//!
//! ```text
//! code i16 · language u8 · version i16 · opaque i32 · flag i32 · remark length i32 · remark
//! fields length i32 · { name length u16 · name · value length i32 · value }*
//! ```
//! Big endian, texts in UTF-8; an empty text stands for none. The code has 16 bits only, so requests with greater
//! codes (POP, light topics) can travel in JSON only.

use super::fields::{FIELDS_USUAL, Span};
use super::{FIELDS_MAX, Fields, Header, HeaderError, Spare};
use std::borrow::Cow;

pub(super) fn parse(bytes: &[u8], spare: Spare) -> Result<Header<'_>, HeaderError> {
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
    let remark_at = cursor.at;
    let remark = cursor.chunk(remark_bytes).ok_or(cursor.truncated("the remark"))?;
    let remark = std::str::from_utf8(remark).map_err(|e| HeaderError::NotUtf8 { at: remark_at + e.valid_up_to() })?;
    header.remark = (!remark.is_empty()).then_some(Cow::Borrowed(remark));
    header.fields = fields(&mut cursor, spare)?;
    Ok(header)
}

/// Copies all names and values into one text, which is then checked at once: between them stand lengths, so the header
/// itself is no text.
fn fields<'a>(cursor: &mut Cursor<'_>, spare: Spare) -> Result<Fields<'a>, HeaderError> {
    let bytes = cursor.length("the fields")?;
    let end = cursor.at + bytes;
    let (mut texts, mut spans) = (spare.text.into_bytes(), spare.list);
    texts.reserve(bytes);
    spans.reserve(FIELDS_USUAL);
    while cursor.at < end {
        let name_bytes = usize::from(u16::from_be_bytes(cursor.take("a field name")?));
        let name = cursor.chunk(name_bytes).ok_or(cursor.truncated("a field name"))?;
        let value_bytes = cursor.length("a field value")?;
        let value = cursor.chunk(value_bytes).ok_or(cursor.truncated("a field value"))?;
        if name.is_empty() || value.is_empty() {
            continue;
        }
        if spans.len() == FIELDS_MAX {
            return Err(HeaderError::TooManyFields { limit: FIELDS_MAX });
        }
        let start = texts.len();
        texts.extend_from_slice(name);
        let middle = texts.len();
        texts.extend_from_slice(value);
        spans.push((Span::decoded(start, middle), Span::decoded(middle, texts.len())));
    }
    if cursor.at != end {
        return Err(HeaderError::Syntax { at: end, expected: "the end of the last field" });
    }
    let not_utf8 = HeaderError::NotUtf8 { at: end - bytes };
    let texts = String::from_utf8(texts).map_err(|_| not_utf8.clone())?;
    // Two broken texts side by side may make a whole one.
    if spans.iter().any(|(name, value)| !name.ends_a_character(&texts) || !value.ends_a_character(&texts)) {
        return Err(not_utf8);
    }
    Ok(Fields::of_decoded(texts, spans))
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

    fn chunk(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let chunk = self.bytes.get(self.at..)?.get(..bytes)?;
        self.at += bytes;
        Some(chunk)
    }

    fn truncated(&self, inside: &'static str) -> HeaderError {
        HeaderError::Truncated { bytes: self.bytes.len(), inside }
    }
}
