//! Bits of a message's system flag (the original's `sysFlag`).

/// The body is compressed; bits 8–10 say how.
pub const COMPRESSED: i32 = 1;
/// The message has several tags.
pub const MULTI_TAGS: i32 = 1 << 1;
/// Mask of the transaction state.
pub const TRANSACTION: i32 = 3 << 2;
/// A half message.
pub const TRANSACTION_PREPARED: i32 = 1 << 2;
/// A committed transaction.
pub const TRANSACTION_COMMIT: i32 = 2 << 2;
/// A rolled back transaction.
pub const TRANSACTION_ROLLBACK: i32 = 3 << 2;
/// The born host is an IPv6 address.
pub const BORN_HOST_V6: i32 = 1 << 4;
/// The store host is an IPv6 address.
pub const STORE_HOST_V6: i32 = 1 << 5;
/// Consumers must unwrap a batch.
pub const NEED_UNWRAP: i32 = 1 << 6;
/// The record holds an inner batch.
pub const INNER_BATCH: i32 = 1 << 7;
