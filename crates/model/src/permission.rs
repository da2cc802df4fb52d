//! What may be done with a topic or broker, as bits.

/// Queues are handed to the topics created after this one.
pub const INHERIT: u32 = 1;
/// Messages may be sent.
pub const WRITE: u32 = 1 << 1;
/// Messages may be consumed.
pub const READ: u32 = 1 << 2;
/// Queue ids are priorities.
pub const PRIORITY: u32 = 1 << 3;

/// Whether messages may be consumed.
#[must_use]
pub fn is_readable(permission: u32) -> bool {
    permission & READ != 0
}

/// Whether messages may be sent.
#[must_use]
pub fn is_writable(permission: u32) -> bool {
    permission & WRITE != 0
}
