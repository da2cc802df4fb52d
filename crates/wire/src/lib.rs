//! Bytes spoken on sockets, without the sockets.
//!
//! This crate turns bytes into typed requests and typed answers into bytes. It opens no connection, keeps no state
//! between calls and knows nothing of what a message means; that lives behind the doors that call it.
//!
//! Start at [`remoting`]: [`remoting::frame`] cuts a byte stream into frames, [`remoting::header`] reads their
//! headers, [`remoting::writer`] writes them.

pub mod remoting;
