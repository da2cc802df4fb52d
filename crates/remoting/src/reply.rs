//! Answers off the hot path: built as a value, then written as a frame.

use crate::server::Call;
use bytes::{Bytes, BytesMut};
use wire::remoting::{Encoding, FieldError, FieldSink, FrameWriter, ResponseCode};

/// An answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Response code.
    pub code: ResponseCode,
    /// Why, for people.
    pub remark: Option<String>,
    /// Extension fields.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// Success without content.
    #[must_use]
    pub fn ok() -> Self {
        Self { code: ResponseCode::SUCCESS, remark: None, fields: Vec::new(), body: Bytes::new() }
    }

    /// A refusal with its reason.
    #[must_use]
    pub fn error(code: ResponseCode, remark: impl ToString) -> Self {
        Self { code, remark: Some(remark.to_string()), fields: Vec::new(), body: Bytes::new() }
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with one more field.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// Appends the answer as a frame.
    pub fn write(&self, out: &mut BytesMut, encoding: Encoding, opaque: i32) {
        let mut writer = FrameWriter::response(out, encoding, self.code, opaque);
        if let Some(remark) = &self.remark {
            writer.remark(remark);
        }
        for (name, value) in &self.fields {
            writer.field(name, value);
        }
        writer.finish_with(&self.body);
    }
}

impl FieldSink for Reply {
    fn text(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    fn integer(&mut self, name: &str, value: i64) {
        self.fields.push((name.to_owned(), value.to_string()));
    }
}

/// A field that is missing or wrong is the caller's mistake.
impl From<FieldError> for Reply {
    fn from(error: FieldError) -> Self {
        Self::error(ResponseCode::INVALID_PARAMETER, error)
    }
}

/// Appends a request to a client as a frame.
pub(crate) fn write_request(out: &mut BytesMut, call: &Call<'_>, opaque: i32, one_way: bool) {
    let mut writer = match one_way {
        true => FrameWriter::one_way(out, Encoding::Json, call.code, opaque),
        false => FrameWriter::request(out, Encoding::Json, call.code, opaque),
    };
    for (name, value) in call.fields {
        writer.field(name, value);
    }
    writer.finish_with(call.body);
}
