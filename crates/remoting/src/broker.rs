//! The broker's codes.
