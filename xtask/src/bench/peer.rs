//! The original, as long as it runs.

use super::load::{Load, Side};
use crate::node;
use crate::shell::command;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Ports that a broker takes: its own, and beside it one for a replica and one for eager clients.
const BESIDE: [i32; 3] = [0, 1, -2];
/// Its heaps.
const BROKER_HEAP: &str = "2g";
const NAME_SERVER_HEAP: &str = "256m";
/// Seconds of load before anything is measured: it is slow until it is warm.
const WARM_UP_S: &str = "30";

/// The original, ended when dropped.
pub(crate) struct Peer {
    dir: PathBuf,
    data: PathBuf,
    name_server: u16,
    broker: u16,
    pid: u32,
}

impl Peer {
    /// Starts a fresh one and warms it.
    pub(crate) fn start(dir: &Path, load: &Load) -> Result<Self> {
        let (dir, data) = (dir.to_owned(), node::fresh_dir("peer")?);
        let mut peer =
            Self { dir, data, name_server: node::free_port(&[0])?, broker: node::free_port(&BESIDE)?, pid: 0 };
        peer.up(&["--fresh"])?;
        load.run(&peer.side(), &["produce", "--create", "--topic", "warm", "-d", WARM_UP_S])?;
        Ok(peer)
    }

    /// Where it is. A cold or busy peer refuses some sends; that is said, not a failure of ours.
    pub(crate) fn side(&self) -> Side {
        let at = |port: u16| format!("127.0.0.1:{port}");
        Side { broker: at(self.broker), name_server: at(self.name_server), pid: self.pid, is_lenient: true }
    }

    /// Where its files are.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    fn up(&mut self, args: &[&str]) -> Result<()> {
        self.script("up", args)?;
        let pids = std::fs::read_to_string(self.data.join("pids"))?;
        let broker =
            pids.lines().find_map(|line| line.strip_prefix("broker ")).context("the peer's pids have no broker")?;
        self.pid = broker.trim().parse()?;
        Ok(())
    }

    fn script(&self, name: &str, args: &[&str]) -> Result<()> {
        let script = command(self.dir.join(name)).args(args).env("RMQ_PEER_MODE", "none");
        let script = script.env("RMQ_PEER_BROKER_HEAP", BROKER_HEAP).env("RMQ_PEER_NAMESRV_HEAP", NAME_SERVER_HEAP);
        let script = script.env("RMQ_PEER_NAMESRV_PORT", &self.name_server.to_string());
        let script = script.env("RMQ_PEER_BROKER_PORT", &self.broker.to_string());
        script.env("RMQ_PEER_DATA", &self.data.display().to_string()).run()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Err(error) = self.script("down", &[]) {
            eprintln!("warning: the peer may still run: {error:#}");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.data) {
            eprintln!("warning: the peer's data stays: {error}");
        }
    }
}
