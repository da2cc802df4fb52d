//! Beside the original: the same work by the same load generator, in turn, and the ratios.

use crate::node::{self, Node};
use crate::shell::command;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Runs of each side, in turn; the median counts.
const RUNS: usize = 3;
/// Ports of the peer, away from the usual ones.
const PEER_NAME_SERVER: u16 = 29876;
const PEER_BROKER: u16 = 29911;
/// Seconds of load before anything is measured: the peer is slow until it is warm.
const WARM_UP_S: &str = "30";

/// One kind of load, and the least ratio of messages per server CPU second that is wanted.
struct Work {
    name: &'static str,
    args: &'static [&'static str],
    is_sync: bool,
    figure: &'static str,
    wanted: f64,
}

const WORKS: [Work; 4] = [
    Work {
        name: "send 1 KiB, async flush",
        args: &["produce", "--create", "-c", "4", "-w", "64", "-s", "1024"],
        is_sync: false,
        figure: "msgs_per_server_cpu_s",
        wanted: 12.0,
    },
    Work {
        name: "send batches of 32, async flush",
        args: &["produce", "--create", "-c", "4", "-w", "8", "-s", "1024", "--batch", "32"],
        is_sync: false,
        figure: "msgs_per_server_cpu_s",
        wanted: 5.0,
    },
    Work {
        name: "pull a hot backlog",
        args: &["consume", "--until-end", "-d", "60"],
        is_sync: false,
        figure: "msgs_per_server_cpu_s",
        wanted: 4.0,
    },
    Work {
        name: "send 1 KiB, sync flush, 256 in flight (peer: async)",
        args: &["produce", "--create", "-c", "4", "-w", "64", "-s", "1024"],
        is_sync: true,
        figure: "msgs_per_s",
        wanted: 1.5,
    },
];

/// Runs both sides and prints the ratios.
pub(crate) fn run() -> Result<()> {
    let path = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.with_context(|| format!("set {name}: RMQLOAD=<the load generator> PEER_DIR=<folder with up and down>"))
    };
    let (load, peer_dir) = (path("RMQLOAD")?, path("PEER_DIR")?);
    let program = node::build()?;
    let peer = Peer::start(&peer_dir)?;
    // A cold peer refuses some sends; only what is measured must be clean.
    if let Err(error) =
        measure(&load, &peer.addr, peer.pid, &["produce", "--create", "--topic", "warm", "-d", WARM_UP_S])
    {
        println!("the peer's warm-up was not clean: {error:#}");
    }
    println!("| work | trefoil | peer | ratio | wanted |\n|---|---|---|---|---|");
    let mut short = Vec::new();
    for work in &WORKS {
        let flush = if work.is_sync { "sync" } else { "async" };
        let node = Node::start(&program, &node::fresh_dir("bench")?, &["--flush".to_owned(), flush.to_owned()])?;
        let ours = (node.address("broker")?.to_owned(), node.id());
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for at in 0..RUNS {
            a.push(one(&load, &ours.0, ours.1, work, at)?);
            b.push(one(&load, &peer.addr, peer.pid, work, at)?);
        }
        let (a, b) = (median(a), median(b));
        println!("| {} | {a:.0} | {b:.0} | {:.1} | {} |", work.name, a / b, work.wanted);
        if a / b < work.wanted {
            short.push(work.name);
        }
        node.stop()?;
    }
    if !short.is_empty() {
        bail!("less than wanted: {}", short.join("; "));
    }
    Ok(())
}

fn one(load: &Path, addr: &str, pid: u32, work: &Work, at: usize) -> Result<f64> {
    let topic = format!("bench-{at}-{}", if work.is_sync { "sync" } else { "async" });
    if work.args[0] == "consume" {
        // A backlog that nobody has read yet.
        measure(load, addr, pid, &["produce", "--create", "--topic", &topic, "--count", "400000"])?;
    }
    let report = measure(load, addr, pid, &[work.args, &["--topic", &topic]].concat())?;
    report.get(work.figure).and_then(Value::as_f64).with_context(|| format!("the report has no {}", work.figure))
}

/// Server on core 0, client on core 1.
fn measure(load: &Path, addr: &str, pid: u32, args: &[&str]) -> Result<Value> {
    command("taskset").args(["-acp", "0", &pid.to_string()]).output()?;
    let load = load.display().to_string();
    let (pid, common) = (pid.to_string(), ["-c", "1", &load, "--json"]);
    let out = command("taskset").args(common).args(args).args(["--broker", addr, "--server-pid", &pid]).output()?;
    let line = out.lines().last().context("the load generator printed nothing")?;
    Ok(serde_json::from_str(line)?)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The original, ended when dropped.
struct Peer {
    dir: PathBuf,
    data: PathBuf,
    addr: String,
    pid: u32,
}

impl Peer {
    fn start(dir: &Path) -> Result<Self> {
        let data = node::fresh_dir("peer")?;
        let mut peer = Self { dir: dir.to_owned(), data, addr: format!("127.0.0.1:{PEER_BROKER}"), pid: 0 };
        peer.script("up", &["--fresh"])?;
        let pids = std::fs::read_to_string(peer.data.join("pids"))?;
        let broker =
            pids.lines().find_map(|line| line.strip_prefix("broker ")).context("the peer's pids have no broker")?;
        peer.pid = broker.trim().parse()?;
        Ok(peer)
    }

    fn script(&self, name: &str, args: &[&str]) -> Result<()> {
        let script = command(self.dir.join(name)).args(args).env("RMQ_PEER_MODE", "none");
        let script = script.env("RMQ_PEER_NAMESRV_PORT", &PEER_NAME_SERVER.to_string());
        let script = script.env("RMQ_PEER_BROKER_PORT", &PEER_BROKER.to_string());
        script.env("RMQ_PEER_DATA", &self.data.display().to_string()).run()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Err(error) = self.script("down", &[]) {
            eprintln!("warning: the peer may still run: {error:#}");
        }
    }
}
