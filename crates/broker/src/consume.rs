//! Consuming: filters, pulls and long polls, offsets, and messages sent back.

mod by_tag;
pub(crate) mod cold;
pub(crate) mod filter;
pub(crate) mod offsets;
pub(crate) mod pull;
pub(crate) mod reset;
pub(crate) mod send_back;
