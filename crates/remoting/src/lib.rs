//! `remoting` is the 4.x door: it turns frames into calls of the broker and the name server, and back.
//!
//! It holds no message semantics. Start at [`server::Server`]; the name server's codes are in [`nameserver`], the
//! broker's in [`broker`](mod@broker).

pub mod broker;
pub mod client;
pub mod nameserver;
mod properties;
pub mod register;
pub mod reply;
pub mod server;

pub use reply::Reply;
