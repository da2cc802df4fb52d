//! Writing frames straight into a send buffer.
//!
//! The header is written as its parts come, then [`FrameWriter::finish`] or a sibling puts the two lengths in place. No
//! intermediate map, no format strings. What a send's answer needs is compiled into its caller: there the lengths of
//! most parts are known, and copying them needs no call.

use crate::remoting::code::{ResponseCode, VERSION};
use crate::remoting::escape::put_escaped;
use crate::remoting::field::FieldSink;
use crate::remoting::frame::Encoding;
use crate::remoting::header::{FLAG_ONE_WAY, FLAG_RESPONSE};
use bytes::{BufMut, BytesMut};

#[cfg(test)]
mod tests;

/// Room for the header of nearly every answer.
const HEADER_BYTES_USUAL: usize = 384;
/// Greatest header that the 24 bits of the mark can tell.
const HEADER_BYTES_MAX: usize = 0x00FF_FFFF;
/// Lengths in front of the header, filled in last.
const PREFIX: [u8; 8] = [0; 8];
const JSON_BEGIN: &[u8] = b"\0\0\0\0\0\0\0\0{\"code\":";
/// The same with what follows it, of the most frequent frames.
const JSON_BEGIN_SUCCESS: &[u8] = b"\0\0\0\0\0\0\0\0{\"code\":0,\"flag\":1,\"opaque\":";
/// After the four variable numbers. The name JAVA is deliberate: clients of 4.x decode it into an enum of theirs and
/// fail on names that they do not know.
const JSON_LANGUAGE: &[u8] = b",\"language\":\"JAVA\",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":";
/// The same with the version that most frames have.
const JSON_LANGUAGE_AND_VERSION: &[u8] = b",\"language\":\"JAVA\",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":513";
const _: () = assert!(VERSION == 513, "the text above says the same");
const BINARY_LANGUAGE_JAVA: u8 = 0;

/// The name of a field that has nothing to escape, made by [`name!`](crate::name): it is written in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// As it stands between two values: quote, comma, quote, the name, quote, colon, quote.
    json: &'static str,
}

impl Name {
    /// What [`name!`](crate::name) calls.
    #[doc(hidden)]
    pub const fn between_values(json: &'static str) -> Self {
        Self { json }
    }

    fn text(self) -> &'static str {
        &self.json[AFTER_A_VALUE..self.json.len() - AFTER_A_VALUE]
    }
}

/// A [`Name`] from its literal: ASCII letters, digits, underscores.
#[macro_export]
macro_rules! name {
    ($name:literal) => {
        const { $crate::remoting::Name::between_values(concat!("\",\"", $name, "\":\"")) }
    };
}

/// Bytes of a [`Name`] that end the value before it; as many begin the value after it.
const AFTER_A_VALUE: usize = 3;

/// Writes one frame at the end of a buffer.
///
/// The values of JSON fields are closed by what comes after them, so that most of a field is one piece.
///
/// End it with one of the `finish` methods, or take it back with [`FrameWriter::abandon`]; otherwise half a frame stays
/// in the buffer. There is no clean-up on drop, so that the buffer is free again right after the last call.
#[derive(Debug)]
#[must_use = "a frame counts only once finished"]
pub struct FrameWriter<'b> {
    buf: &'b mut BytesMut,
    start: usize,
    encoding: Encoding,
    /// Where the remark belongs.
    remark_at: usize,
    /// Where the value of the binary fields length or the first JSON field stands; 0 before the first field.
    fields_at: usize,
}

impl<'b> FrameWriter<'b> {
    /// Begins the answer to the request `opaque`.
    #[inline(always)]
    pub fn response(buf: &'b mut BytesMut, encoding: Encoding, code: impl Into<i32>, opaque: i32) -> Self {
        Self::begin(buf, encoding, code.into(), opaque, FLAG_RESPONSE, VERSION)
    }

    /// Begins a request that will be answered.
    pub fn request(buf: &'b mut BytesMut, encoding: Encoding, code: impl Into<i32>, opaque: i32) -> Self {
        Self::begin(buf, encoding, code.into(), opaque, 0, VERSION)
    }

    /// Begins a request that nobody answers, such as a notice to a client.
    pub fn one_way(buf: &'b mut BytesMut, encoding: Encoding, code: impl Into<i32>, opaque: i32) -> Self {
        Self::begin(buf, encoding, code.into(), opaque, FLAG_ONE_WAY, VERSION)
    }

    /// Begins a frame with every number given. A code that 16 bits cannot hold is written as JSON whatever `encoding`
    /// says; receivers look at the mark of each frame.
    #[inline(always)]
    pub fn begin(buf: &'b mut BytesMut, encoding: Encoding, code: i32, opaque: i32, flag: i32, version: i32) -> Self {
        let start = buf.len();
        buf.reserve(HEADER_BYTES_USUAL);
        let encoding = match (encoding, i16::try_from(code), i16::try_from(version)) {
            (Encoding::Binary, Ok(code), Ok(version)) => {
                buf.put_slice(&PREFIX);
                buf.put_i16(code);
                buf.put_u8(BINARY_LANGUAGE_JAVA);
                buf.put_i16(version);
                buf.put_i32(opaque);
                buf.put_i32(flag);
                Encoding::Binary
            }
            _ => {
                if code == ResponseCode::SUCCESS.0 && flag == FLAG_RESPONSE {
                    buf.put_slice(JSON_BEGIN_SUCCESS);
                } else {
                    buf.put_slice(JSON_BEGIN);
                    put_integer(buf, code);
                    buf.put_slice(b",\"flag\":");
                    put_integer(buf, flag);
                    buf.put_slice(b",\"opaque\":");
                }
                put_integer(buf, opaque);
                if version == VERSION {
                    buf.put_slice(JSON_LANGUAGE_AND_VERSION);
                } else {
                    buf.put_slice(JSON_LANGUAGE);
                    put_integer(buf, version);
                }
                Encoding::Json
            }
        };
        let remark_at = buf.len();
        Self { buf, start, encoding, remark_at, fields_at: 0 }
    }

    /// Sets the remark, once. Cheapest before the first field.
    pub fn remark(&mut self, remark: &str) -> &mut Self {
        if self.fields_at == 0 {
            self.put_remark(remark);
            return self;
        }
        let later = self.buf.split_off(self.remark_at);
        // In binary an empty remark of four bytes was written before the first field.
        let later = &later[if self.encoding == Encoding::Binary { 4 } else { 0 }..];
        let before = self.buf.len() + (self.remark_end() - self.remark_at);
        self.put_remark(remark);
        self.fields_at = self.fields_at + self.buf.len() - before;
        self.buf.extend_from_slice(later);
        self
    }

    /// Adds a text field.
    #[inline]
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        let is_first = self.open_fields();
        match self.encoding {
            Encoding::Json => {
                if !is_first {
                    self.buf.extend_from_slice(b"\",\"");
                }
                put_escaped(self.buf, name);
                self.buf.extend_from_slice(b"\":\"");
                put_escaped(self.buf, value);
            }
            Encoding::Binary => put_binary(self.buf, name, value.as_bytes()),
        }
        self
    }

    /// Adds a text field whose value has nothing to escape: digits, letters, separators.
    #[inline(always)]
    pub fn field_plain(&mut self, name: Name, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        debug_assert!(value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte)));
        let is_first = self.open_fields();
        match self.encoding {
            Encoding::Json => {
                self.put_name(name, is_first);
                self.buf.extend_from_slice(value);
            }
            Encoding::Binary => put_binary(self.buf, name.text(), value),
        }
        self
    }

    /// Adds a text field; the value is escaped where that is needed.
    #[inline(always)]
    pub fn field_text(&mut self, name: Name, value: &str) -> &mut Self {
        let is_first = self.open_fields();
        match self.encoding {
            Encoding::Json => {
                self.put_name(name, is_first);
                put_escaped(self.buf, value);
            }
            Encoding::Binary => put_binary(self.buf, name.text(), value.as_bytes()),
        }
        self
    }

    /// Adds a number field.
    #[inline(always)]
    pub fn field_i64(&mut self, name: Name, value: i64) -> &mut Self {
        let (mut digits, digit) = (itoa::Buffer::new(), [b'0'.wrapping_add(value as u8)]);
        // Numbers of queues, most of all.
        let is_digit = (0..10).contains(&value);
        self.field_plain(name, if is_digit { &digit } else { digits.format(value).as_bytes() })
    }

    /// Adds a field that counts or positions something. Values beyond `i64::MAX`, which no field has, are clamped.
    #[inline(always)]
    pub fn field_u64(&mut self, name: Name, value: u64) -> &mut Self {
        self.field_i64(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    #[inline(always)]
    fn put_name(&mut self, name: Name, is_first: bool) {
        // Either way a text of known length, which is copied without a call.
        match is_first {
            true => self.buf.extend_from_slice(&name.json.as_bytes()[AFTER_A_VALUE..]),
            false => self.buf.extend_from_slice(name.json.as_bytes()),
        }
    }

    /// Ends the frame without a body; gives its bytes in all.
    #[inline(always)]
    pub fn finish(&mut self) -> usize {
        self.finish_detached(0)
    }

    /// Ends the frame with `body`; gives its bytes in all.
    pub fn finish_with(&mut self, body: &[u8]) -> usize {
        let bytes = self.finish_detached(body.len());
        self.buf.extend_from_slice(body);
        bytes
    }

    /// Ends the frame with a body gathered from `parts`; gives its bytes in all.
    pub fn finish_parts<P: AsRef<[u8]>>(&mut self, parts: impl IntoIterator<Item = P>) -> usize {
        self.end_header();
        let body_at = self.buf.len();
        for part in parts {
            self.buf.extend_from_slice(part.as_ref());
        }
        self.seal(body_at, self.buf.len() - body_at)
    }

    /// Ends the frame whose body of `body_bytes` the caller sends right after this buffer; gives the bytes in all,
    /// body included.
    #[inline(always)]
    pub fn finish_detached(&mut self, body_bytes: usize) -> usize {
        self.end_header();
        self.seal(self.buf.len(), body_bytes)
    }

    /// Takes back what was written of this frame.
    pub fn abandon(&mut self) {
        self.buf.truncate(self.start);
    }

    fn put_remark(&mut self, remark: &str) {
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(b",\"remark\":\"");
                put_escaped(self.buf, remark);
                self.buf.put_u8(b'"');
            }
            Encoding::Binary => {
                // A second call replaces the first.
                self.buf.truncate(self.remark_at);
                self.buf.put_u32(remark.len() as u32);
                self.buf.extend_from_slice(remark.as_bytes());
            }
        }
    }

    /// End of an empty remark.
    fn remark_end(&self) -> usize {
        self.remark_at + if self.encoding == Encoding::Binary { 4 } else { 0 }
    }

    /// Begins the fields unless they are begun; whether it did.
    #[inline(always)]
    fn open_fields(&mut self) -> bool {
        if self.fields_at != 0 {
            return false;
        }
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(b",\"extFields\":{\"");
                self.fields_at = self.buf.len();
            }
            Encoding::Binary => {
                if self.buf.len() == self.remark_at {
                    self.buf.put_u32(0);
                }
                self.fields_at = self.buf.len();
                self.buf.put_u32(0);
            }
        }
        true
    }

    #[inline(always)]
    fn end_header(&mut self) {
        match self.encoding {
            Encoding::Json => self.buf.extend_from_slice(if self.fields_at == 0 { b"}" } else { b"\"}}" }),
            Encoding::Binary => {
                self.open_fields();
                let bytes = (self.buf.len() - self.fields_at - 4) as u32;
                self.buf[self.fields_at..self.fields_at + 4].copy_from_slice(&bytes.to_be_bytes());
            }
        }
    }

    #[inline(always)]
    fn seal(&mut self, header_end: usize, body_bytes: usize) -> usize {
        let header = header_end - self.start - PREFIX.len();
        assert!(header <= HEADER_BYTES_MAX, "a header of {header} bytes does not fit into 24 bits");
        let total = 4 + header + body_bytes;
        let mark = u32::from(self.encoding.byte()) << 24 | header as u32;
        let prefix = &mut self.buf[self.start..self.start + PREFIX.len()];
        prefix[..4].copy_from_slice(&(total as u32).to_be_bytes());
        prefix[4..].copy_from_slice(&mark.to_be_bytes());
        4 + total
    }
}

impl FieldSink for FrameWriter<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.field(name, value);
    }

    fn integer(&mut self, name: &str, value: i64) {
        self.field(name, itoa::Buffer::new().format(value));
    }
}

#[inline(never)] // text is by far more frequent
fn put_binary(buf: &mut BytesMut, name: &str, value: &[u8]) {
    buf.put_u16(name.len() as u16);
    buf.extend_from_slice(name.as_bytes());
    buf.put_u32(value.len() as u32);
    buf.extend_from_slice(value);
}

#[inline]
fn put_integer(buf: &mut BytesMut, value: i32) {
    buf.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
