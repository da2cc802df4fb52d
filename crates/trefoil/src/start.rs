//! Why a node does not start. Each cause has a code and a page in `docs/errors/`.

use crate::config::Faults;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("TF0001: options are not allowed as they are given\n{0}")]
    Options(Faults),
    #[error("TF0002: the option file {path} cannot be read: {error}")]
    OptionFile { path: PathBuf, error: io::Error },
    #[error(
        "TF0003: the data directory {dir} is in use by another trefoil process; stop that one, or give this one another \
         --data-dir"
    )]
    DataDirInUse { dir: PathBuf },
    #[error("TF0004: the data directory {dir} cannot be used: {error}")]
    DataDir { dir: PathBuf, error: io::Error },
    #[error("TF0005: the {role} port cannot be opened: {error}; stop what uses {addr}, or choose another --{option}")]
    Listen { role: &'static str, option: &'static str, addr: SocketAddr, error: io::Error },
    #[error("TF0006: {option} is '{value}', which is not an address and cannot be looked up: {error}")]
    Lookup { option: &'static str, value: String, error: String },
    #[error("TF0007: TLS cannot be offered with {cert} and {key}: {error}")]
    Tls { cert: PathBuf, key: PathBuf, error: String },
    #[error("TF0008: the messages in {dir} cannot be opened: {error}")]
    Store { dir: PathBuf, error: String },
    #[error("TF0009: topics, groups and offsets in {dir} cannot be read: {error}")]
    Metadata { dir: PathBuf, error: String },
    #[error("TF0010: the system refuses what a server needs: {error}")]
    Runtime { error: io::Error },
}
