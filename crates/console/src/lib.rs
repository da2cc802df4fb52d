//! `console` is the HTTP port: health for orchestrators and metrics for Prometheus.
//!
//! It has no logic of its own: roles hand it [`Health`] and [`Metrics`]. Start at [`Server`].

mod bounded;
mod metrics;
mod server;

pub use metrics::{Kind, Metrics, Page};
pub use server::{Health, Server};
