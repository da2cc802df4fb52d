//! Frame headers: reading both encodings.
//!
//! One pass, nothing copied: a text is borrowed from the frame unless it holds an escape. This is on the way of every
//! request, so it is written by hand.

mod binary;
mod fields;
mod json;
mod memory;
mod shape;
#[cfg(test)]
mod tests;

use crate::remoting::code::{RequestCode, ResponseCode};
use crate::remoting::escape::EscapeError;
use crate::remoting::frame::{Encoding, RawFrame};
pub use fields::Fields;
pub(crate) use fields::Letters;
use fields::Spare;
pub use memory::Memory;
use std::borrow::Cow;
use thiserror::Error;

/// Most extension fields of one header.
pub const FIELDS_MAX: usize = 256;
/// Deepest nesting of a value that is skipped.
pub const DEPTH_MAX: usize = 32;

/// Bit of `flag`: this frame answers a request.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of `flag`: nobody waits for an answer, none may be written.
pub const FLAG_ONE_WAY: i32 = 2;

/// A decoded header; its texts are borrowed from the frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header<'a> {
    /// Request code, or response code when [`Header::is_response`].
    pub code: i32,
    /// Language of the sender, see [`Language`](crate::remoting::Language).
    pub language: u8,
    /// Version of the sender as an ordinal, 0 when it sent none.
    pub version: i32,
    /// Pairs an answer with its request on one connection.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONE_WAY`].
    pub flag: i32,
    /// A text for people, mostly why a request was refused.
    pub remark: Option<Cow<'a, str>>,
    /// The extension fields.
    pub fields: Fields<'a>,
}

impl<'a> Header<'a> {
    /// Decodes the header of `frame`; who decodes many does it with a [`Memory`].
    ///
    /// # Errors
    /// [`HeaderError`] when it breaks its encoding or a bound.
    pub fn parse(frame: &RawFrame<'a>) -> Result<Self, HeaderError> {
        Self::parse_bytes(frame.encoding, frame.header)
    }

    /// Decodes header bytes.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn parse_bytes(encoding: Encoding, bytes: &'a [u8]) -> Result<Self, HeaderError> {
        match encoding {
            Encoding::Json => json::parse(bytes, Spare::default(), None),
            Encoding::Binary => binary::parse(bytes, Spare::default()),
        }
    }

    /// The same header, owned: for answers that travel from the reading task to the waiting one.
    pub fn into_owned(self) -> Header<'static> {
        let remark = self.remark.map(|remark| Cow::Owned(remark.into_owned()));
        let Self { code, language, version, opaque, flag, fields, .. } = self;
        Header { code, language, version, opaque, flag, remark, fields: fields.into_owned() }
    }

    /// Whether this frame answers a request.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether no answer may be written.
    pub fn is_one_way(&self) -> bool {
        self.flag & FLAG_ONE_WAY != 0
    }

    /// The code of a request.
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    /// The code of an answer.
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }
}

/// Why a header cannot be read.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum HeaderError {
    /// Not UTF-8.
    #[error("header is not UTF-8 from byte {at}")]
    NotUtf8 {
        /// First bad byte.
        at: usize,
    },
    /// Something else was expected.
    #[error("header byte {at}: expected {expected}")]
    Syntax {
        /// Where in the header.
        at: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// The header ends inside a value.
    #[error("header ends after {bytes} bytes, inside {inside}")]
    Truncated {
        /// Bytes of the header.
        bytes: usize,
        /// What is cut.
        inside: &'static str,
    },
    /// A length is negative or beyond the header.
    #[error("header byte {at}: length {length} of {what} is not possible, {left} bytes are left")]
    BadLength {
        /// Where the length stands.
        at: usize,
        /// Whose length it is.
        what: &'static str,
        /// As sent.
        length: i32,
        /// Bytes left in the header.
        left: usize,
    },
    /// More extension fields than [`FIELDS_MAX`].
    #[error("header has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("header is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// No code.
    #[error("header has no code")]
    NoCode,
}

impl HeaderError {
    fn from_escape(error: EscapeError, bytes: usize) -> Self {
        match error {
            EscapeError::Truncated => HeaderError::Truncated { bytes, inside: "a string" },
            EscapeError::Unknown { at } => HeaderError::Syntax { at, expected: "a known escape" },
            EscapeError::NotHex { at } => HeaderError::Syntax { at, expected: "a hexadecimal digit" },
        }
    }
}
