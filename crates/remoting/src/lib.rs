//! `remoting`.
