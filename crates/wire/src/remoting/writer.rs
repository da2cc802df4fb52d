//! Writing frames straight into a send buffer.
//!
//! The header is written as its parts come, then [`FrameWriter::finish`] or a sibling puts the two lengths in place. No
//! intermediate map, no format strings.

use crate::remoting::code::VERSION;
use crate::remoting::escape::put_escaped;
use crate::remoting::field::FieldSink;
use crate::remoting::frame::Encoding;
use crate::remoting::header::{FLAG_ONE_WAY, FLAG_RESPONSE};
use bytes::{BufMut, BytesMut};

#[cfg(test)]
mod tests;

/// Greatest header that the 24 bits of the mark can tell.
const HEADER_BYTES_MAX: usize = 0x00FF_FFFF;
/// Lengths in front of the header, filled in last.
const PREFIX: [u8; 8] = [0; 8];
/// After the four variable numbers. The name JAVA is deliberate: clients of 4.x decode it into an enum of theirs and
/// fail on names that they do not know.
const JSON_LANGUAGE: &[u8] = b",\"language\":\"JAVA\",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":";
const BINARY_LANGUAGE_JAVA: u8 = 0;

/// Writes one frame at the end of a buffer.
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
    pub fn begin(buf: &'b mut BytesMut, encoding: Encoding, code: i32, opaque: i32, flag: i32, version: i32) -> Self {
        let start = buf.len();
        buf.reserve(256);
        buf.put_slice(&PREFIX);
        let encoding = match (encoding, i16::try_from(code), i16::try_from(version)) {
            (Encoding::Binary, Ok(code), Ok(version)) => {
                buf.put_i16(code);
                buf.put_u8(BINARY_LANGUAGE_JAVA);
                buf.put_i16(version);
                buf.put_i32(opaque);
                buf.put_i32(flag);
                Encoding::Binary
            }
            _ => {
                buf.put_slice(b"{\"code\":");
                put_integer(buf, code.into());
                buf.put_slice(b",\"flag\":");
                put_integer(buf, flag.into());
                buf.put_slice(b",\"opaque\":");
                put_integer(buf, opaque.into());
                buf.put_slice(JSON_LANGUAGE);
                put_integer(buf, version.into());
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
        self.name(name, false);
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(b"\":\"");
                put_escaped(self.buf, value);
                self.buf.put_u8(b'"');
            }
            Encoding::Binary => {
                self.buf.put_u32(value.len() as u32);
                self.buf.extend_from_slice(value.as_bytes());
            }
        }
        self
    }

    /// Adds a text field whose name and value have nothing to escape: digits, letters, separators.
    #[inline]
    pub fn field_plain(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(
            name.bytes().chain(value.bytes()).all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        );
        self.put_plain(name, value.as_bytes());
        self
    }

    /// Adds a number field whose name has nothing to escape.
    #[inline]
    pub fn field_i64(&mut self, name: &str, value: i64) -> &mut Self {
        let mut digits = [0; 20];
        self.put_plain(name, decimal(&mut digits, value));
        self
    }

    #[inline]
    fn put_plain(&mut self, name: &str, value: &[u8]) {
        self.name(name, true);
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(b"\":\"");
                self.buf.extend_from_slice(value);
                self.buf.put_u8(b'"');
            }
            Encoding::Binary => {
                self.buf.put_u32(value.len() as u32);
                self.buf.extend_from_slice(value);
            }
        }
    }

    /// Adds a field that counts or positions something. Values beyond `i64::MAX`, which no field has, are clamped.
    pub fn field_u64(&mut self, name: &str, value: u64) -> &mut Self {
        self.field_i64(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Adds a field that is `true` or `false`.
    pub fn field_bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.field(name, if value { "true" } else { "false" })
    }

    /// Ends the frame without a body; gives its bytes in all.
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

    #[inline]
    fn name(&mut self, name: &str, is_plain: bool) {
        let first = self.fields_at == 0;
        if first {
            self.open_fields();
        }
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(if first { b"\"" } else { b",\"" });
                if is_plain { self.buf.extend_from_slice(name.as_bytes()) } else { put_escaped(self.buf, name) }
            }
            Encoding::Binary => {
                self.buf.put_u16(name.len() as u16);
                self.buf.extend_from_slice(name.as_bytes());
            }
        }
    }

    fn open_fields(&mut self) {
        match self.encoding {
            Encoding::Json => {
                self.buf.extend_from_slice(b",\"extFields\":{");
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
    }

    fn end_header(&mut self) {
        match self.encoding {
            Encoding::Json => self.buf.extend_from_slice(if self.fields_at == 0 { b"}" } else { b"}}" }),
            Encoding::Binary => {
                if self.fields_at == 0 {
                    self.open_fields();
                }
                let bytes = (self.buf.len() - self.fields_at - 4) as u32;
                self.buf[self.fields_at..self.fields_at + 4].copy_from_slice(&bytes.to_be_bytes());
            }
        }
    }

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
        self.field_i64(name, value);
    }
}

fn put_integer(buf: &mut BytesMut, value: i64) {
    buf.extend_from_slice(decimal(&mut [0; 20], value));
}

/// The decimal text of `value`, at the end of `digits`.
#[inline]
pub(crate) fn decimal(digits: &mut [u8; 20], value: i64) -> &[u8] {
    let mut left = value.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}
