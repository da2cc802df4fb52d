//! What must be there before any role starts.

use crate::config::Settings;
use crate::start::StartError;
use remoting::server::{Rates, Tls};
use rt::{DiskLock, Host};
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::str::FromStr as _;

/// Logs to standard error from now on.
pub(super) fn log(level: &str) {
    let level = tracing::Level::from_str(level).unwrap_or(tracing::Level::INFO);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    subscriber.init();
}

/// Connections and segments are files: takes as many as the system lets this user have.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Takes the data directory for this process.
pub(super) async fn lock(host: &Host, dir: &Path) -> Result<Box<dyn DiskLock>, StartError> {
    let (disk, dir) = (std::sync::Arc::clone(&host.disk), dir.to_owned());
    host.run_blocking(move || {
        let unusable = |error| StartError::DataDir { dir: dir.clone(), error };
        disk.create_dir(&dir).map_err(unusable)?;
        disk.lock(&dir.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StartError::DataDirInUse { dir: dir.clone() },
            _ => unusable(error),
        })
    })
    .await
}

/// The certificate, if there is one.
#[allow(clippy::disallowed_methods, reason = "the operator's own files, not the store's")]
pub(super) fn tls(settings: &Settings) -> Result<Option<Tls>, StartError> {
    let Some((cert, key)) = &settings.tls else { return Ok(None) };
    let failed = |error: String| StartError::Tls { cert: cert.clone(), key: key.clone(), error };
    let read = |path: &Path| std::fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())));
    Tls::from_pem(&read(cert)?, &read(key)?).map(Some).map_err(|error| failed(error.to_string()))
}

/// Bounds of a listener.
pub(super) fn listener(settings: &Settings) -> remoting::server::Options {
    let mut options = remoting::server::Options::default();
    options.limits.frame_bytes_max = settings.frame_bytes_max;
    options.connections_max = settings.connections_max;
    options.inflight_bytes_max = settings.inflight_bytes_max;
    options.rates = Rates { bytes: settings.client_bytes_per_second, requests: settings.client_requests_per_second };
    options
}
