//! The commit log.

pub(crate) mod append;
