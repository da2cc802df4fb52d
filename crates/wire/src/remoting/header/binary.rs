//! The compact header encoding.
//!
//! ```text
//! code i16 · language u8 · version i16 · opaque i32 · flag i32 · remark length i32 · remark
//! fields length i32 · { name length u16 · name · value length i32 · value }*
//! ```
//! Big endian, texts in UTF-8; an empty text stands for none. The code has 16 bits only, so requests with greater
//! codes (POP, light topics) can travel in JSON only.

use super::fields::{Span, Spare, letter};
use super::{FIELDS_MAX, Fields, Header, HeaderError};
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

/// Copies all values, and the names that are not one letter, into one text, which is then checked at once: between them
/// stand lengths, so the header itself is no text.
fn fields<'a>(cursor: &mut Cursor<'_>, spare: Spare) -> Result<Fields<'a>, HeaderError> {
    let bytes = cursor.length("the fields")?;
    let end = cursor.at + bytes;
    let mut fields = Fields::of("", spare);
    let mut texts = std::mem::take(&mut fields.decoded).into_bytes();
    texts.reserve(bytes);
    let mut count = 0;
    while cursor.at < end {
        let name_bytes = usize::from(u16::from_be_bytes(cursor.take("a field name")?));
        let name = cursor.chunk(name_bytes).ok_or(cursor.truncated("a field name"))?;
        let value_bytes = cursor.length("a field value")?;
        let value = cursor.chunk(value_bytes).ok_or(cursor.truncated("a field value"))?;
        if name.is_empty() || value.is_empty() {
            continue;
        }
        if count == FIELDS_MAX {
            return Err(HeaderError::TooManyFields { limit: FIELDS_MAX });
        }
        count += 1;
        let mut put = |text: &[u8]| {
            let start = texts.len();
            texts.extend_from_slice(text);
            Span::decoded(start, texts.len())
        };
        let place = if let [name] = name { letter(*name) } else { None };
        match place {
            // Not over another one, whose end is looked at below too.
            Some(place) if fields.letters[place] == Span::default() => fields.letters[place] = put(value),
            _ => fields.push(put(name), put(value))?,
        }
    }
    if cursor.at != end {
        return Err(HeaderError::Syntax { at: end, expected: "the end of the last field" });
    }
    let not_utf8 = HeaderError::NotUtf8 { at: end - bytes };
    fields.decoded = String::from_utf8(texts).map_err(|_| not_utf8.clone())?;
    // Two broken texts side by side may make a whole one.
    if !fields.end_in_whole_characters() {
        return Err(not_utf8);
    }
    fields.place_decoded();
    Ok(fields)
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
