//! The 4.x remoting protocol.
//!
//! ```text
//!  0        4        8              8+h            4+total
//!  ┌────────┬────────┬──────────────┬──────────────┐
//!  │ total  │ mark   │ header (h B) │ body         │   all integers big endian
//!  └────────┴────────┴──────────────┴──────────────┘
//!  total = bytes after itself; mark = encoding (8 bits) · h (24 bits)
//! ```
//!
//! The way of a request: [`frame::split`] → [`Header::parse`] → a struct of [`request`] by its `parse(&fields)`, bodies
//! by [`loose_json::from_slice`] into a type of [`body`]. The way back: [`FrameWriter`] straight into the send buffer.

pub mod batch;
pub mod body;
pub mod code;
mod escape;
pub mod field;
pub mod frame;
pub mod header;
pub mod inflate;
pub mod loose_json;
pub mod registration;
pub mod request;
pub mod response;
pub mod writer;

pub use code::{Language, RequestCode, ResponseCode, VERSION};
pub use field::{FieldError, FieldSink, OrDefault};
pub use frame::{Encoding, FrameError, Limits, OwnedFrame, RawFrame};
pub use header::{Fields, Header, HeaderError, Memory};
pub use writer::{FrameWriter, Name};
