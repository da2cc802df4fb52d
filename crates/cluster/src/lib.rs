//! `cluster` knows who is where and what is agreed: the name server's routing table and a broker's versioned metadata.
//!
//! It knows nothing of messages. Start at [`metadata::Metadata`] and [`route::Table`].

pub mod metadata;
pub mod route;
