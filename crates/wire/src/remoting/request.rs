//! Typed request headers, one struct for each request that carries fields.
//!
//! ```
//! use wire::remoting::{Fields, FieldError, request::GetMaxOffset};
//! let fields: Fields = [("topic", "orders"), ("queueId", "x")].into_iter().collect();
//! let error = GetMaxOffset::parse(&fields).unwrap_err();
//! assert_eq!(error.to_string(), "field 'queueId' is 'x', expected an integer of 32 bits");
//! ```
//!
//! An `Option` may be missing; what its absence means is for the broker to say.

mod admin;
mod client;
mod consume;
mod group;
mod name_server;
mod offset;
mod send;
#[cfg(test)]
mod tests;
mod timer;
mod topic;

pub use admin::*;
pub use client::*;
pub use consume::*;
pub use group::*;
pub use name_server::*;
pub use offset::*;
pub use send::*;
pub use timer::*;
pub use topic::*;

/// Name of the field by which a caller names the broker it means (static topics, proxies).
pub const FIELD_BROKER_NAME: &str = "bname";
/// Namespace of the request.
pub const FIELD_NAMESPACE: &str = "ns";
/// Whether names are already prefixed with the namespace.
pub const FIELD_NAMESPACED: &str = "nsd";
/// Whether the caller waits for no answer.
pub const FIELD_ONE_WAY: &str = "oway";
/// Whether the queue id is a logical one.
pub const FIELD_LOGICAL_QUEUE: &str = "lo";
/// Access key of a signed request.
pub const FIELD_ACCESS_KEY: &str = "AccessKey";
/// Signature of a signed request.
pub const FIELD_SIGNATURE: &str = "Signature";
/// Temporary credential of a signed request.
pub const FIELD_SECURITY_TOKEN: &str = "SecurityToken";
/// On [`QueryMessage`]: the key is a unique id.
pub const FIELD_UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";
