//! Sends and pulls.

use super::load::{Side, in_turn};
use super::table::Wanted;
use super::{Bench, load::Load};
use crate::node;
use crate::shell::command;
use anyhow::{Result, bail};
use std::process::Child;
use std::time::Duration;

const CPU: &str = "msgs_per_server_cpu_s";
const RATE: &str = "msgs_per_s";
/// Messages of a backlog.
const BACKLOG: &str = "400000";
/// Topics of the row of topics, each with as many queues as the one beside which they are measured.
const TOPICS: &str = "10000";
/// Rate against the peer where there is no peer to ask, messages a second.
const RATE_ALONE: f64 = 10_000.0;

pub(crate) fn send(bench: &mut Bench) -> Result<()> {
    let args = ["-c", "4", "-w", "64", "-s", "1024"];
    beside_peer(bench, "send 1 KiB, async flush", &args, "async", CPU, Wanted::AtLeast(12.0))
}

pub(crate) fn batch(bench: &mut Bench) -> Result<()> {
    let args = ["-c", "4", "-w", "8", "-s", "1024", "--batch", "32"];
    beside_peer(bench, "send batches of 32, async flush", &args, "async", CPU, Wanted::AtLeast(5.0))
}

pub(crate) fn sync(bench: &mut Bench) -> Result<()> {
    let args = ["-c", "4", "-w", "64", "-s", "1024"];
    let what = "send 1 KiB, sync flush, 256 in flight (peer: async)";
    beside_peer(bench, what, &args, "sync", RATE, Wanted::AtLeast(1.5))
}

fn beside_peer(bench: &mut Bench, what: &str, args: &[&str], flush: &str, figure: &str, wanted: Wanted) -> Result<()> {
    let seconds = bench.seconds();
    let args = [&["produce", "--create", "--topic", "send", "-d", &seconds], args].concat();
    compare(bench, what, flush, figure, wanted, |load, side| load.run(side, &args)?.figure(figure))
}

/// Ours, in turn with the peer's if there is one.
fn compare(
    bench: &mut Bench,
    what: &str,
    flush: &str,
    figure: &str,
    wanted: Wanted,
    run: impl Fn(&Load, &Side) -> Result<f64>,
) -> Result<()> {
    let peer = bench.peer()?;
    let node = bench.node("bench", &["--flush", flush])?;
    let (ours, what) = (Side::of(&node)?, format!("{what}: {figure}"));
    let mut one = || Ok([run(&bench.load, &ours)?]);
    if let Some(peer) = peer {
        let mut other = || Ok([run(&bench.load, &peer)?]);
        let [[a], [b]] = in_turn(bench.settings.runs, [&mut one, &mut other])?;
        bench.table.ratio(&what, a, ("peer", b), wanted);
    } else {
        let [[a]] = in_turn(bench.settings.runs, [&mut one])?;
        bench.table.figure(&what, a, Wanted::Anything);
    }
    bench.table.figure("… KiB of anonymous memory afterwards", ours.anonymous_kib()?, Wanted::AtMost(262_144.0));
    node.stop()
}

pub(crate) fn pull(bench: &mut Bench) -> Result<()> {
    let at = std::cell::Cell::new(0);
    compare(bench, "pull a hot backlog", "async", CPU, Wanted::AtLeast(4.0), |load, side| {
        at.set(at.get() + 1);
        // A backlog that nobody has read yet.
        let topic = format!("backlog-{}", at.get());
        load.run(side, &["produce", "--create", "--topic", &topic, "--count", BACKLOG])?;
        load.run(side, &["consume", "--topic", &topic, "--until-end", "-d", "60"])?.figure(CPU)
    })
}

pub(crate) fn latency(bench: &mut Bench) -> Result<()> {
    let (seconds, peer) = (bench.seconds(), bench.peer()?);
    let node = bench.node("bench", &["--flush", "async"])?;
    let (ours, null) = (Side::of(&node)?, Null::start(&bench.load)?);
    let produce = ["produce", "--create", "--topic", "latency", "-d", &seconds];
    let rate = match &peer {
        Some(peer) => bench.load.run(peer, &produce)?.figure(RATE)? / 2.0,
        None => RATE_ALONE,
    };
    let rate = format!("{rate:.0}");
    let figures = |side: &Side, create: &[&str]| {
        let args = [&["produce", "--topic", "latency", "-d", &seconds, "--rate", &rate], create].concat();
        let report = bench.load.run(side, &args)?;
        Ok([report.latency("p99.9_us")?, report.latency("within_1ms_pct")?])
    };
    let what = format!("{rate} sends a second: p99.9 in µs");
    let mut one = || figures(&ours, &["--create"]);
    // What this machine lets a server that does nothing reach.
    let mut floor = || figures(&null.1, &[]);
    let [within, within_floor] = if let Some(peer) = &peer {
        let mut other = || figures(peer, &["--create"]);
        let [[a, within], [b, _], [_, floor]] = in_turn(bench.settings.runs, [&mut one, &mut other, &mut floor])?;
        bench.table.ratio(&what, a, ("peer", b), Wanted::AtMost(0.2));
        [within, floor]
    } else {
        let [[a, within], [_, floor]] = in_turn(bench.settings.runs, [&mut one, &mut floor])?;
        bench.table.figure(&what, a, Wanted::Anything);
        [within, floor]
    };
    bench.table.figure("… % within 1 ms", within, Wanted::AtLeast(99.995));
    bench.table.figure("… % within 1 ms of null --log", within_floor, Wanted::Anything);
    node.stop()
}

pub(crate) fn null(bench: &mut Bench) -> Result<()> {
    let seconds = bench.seconds();
    let node = bench.node("bench", &["--flush", "async"])?;
    let (ours, null) = (Side::of(&node)?, Null::start(&bench.load)?);
    let produce = ["produce", "--topic", "send", "-d", &seconds];
    let mut one = || Ok([bench.load.run(&ours, &[&produce[..], &["--create"]].concat())?.figure(CPU)?]);
    let mut other = || Ok([bench.load.run(&null.1, &produce)?.figure(CPU)?]);
    let [[a], [b]] = in_turn(bench.settings.runs, [&mut one, &mut other])?;
    bench.table.ratio(&format!("send 1 KiB, async flush: {CPU}"), a, ("null --log", b), Wanted::AtLeast(0.25));
    node.stop()
}

/// The load generator's own server; killed when dropped.
struct Null(Child, Side);

impl Null {
    fn start(load: &Load) -> Result<Self> {
        let log = node::fresh_dir("null")?.join("log").display().to_string();
        let [_, _, program] = load.program();
        let addr = format!("127.0.0.1:{}", node::free_port(&[0])?);
        let args = ["-c", "0", program, "null", "--listen", &addr, "--log", &log, "--seconds", "3600"];
        let child = command("taskset").args(args).spawn()?;
        let pid = child.id();
        let null = Self(child, Side { broker: addr.clone(), name_server: String::new(), pid, is_lenient: false });
        for _ in 0..500 {
            if std::net::TcpStream::connect(&addr).is_ok() {
                return Ok(null);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the load generator's server does not listen on {addr}")
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn topics(bench: &mut Bench) -> Result<()> {
    let seconds = bench.seconds();
    let many = ["produce", "--create", "--topic", "many", "--topics", TOPICS, "-d", &seconds];
    let one = ["produce", "--create", "--topic", "one", "-d", &seconds];
    let node = bench.node("bench", &["--flush", "async"])?;
    let ours = Side::of(&node)?;
    let figures = |args: &[&str]| {
        let report = bench.load.run(&ours, args)?;
        Ok([report.figure(CPU)?, report.figure(RATE)?])
    };
    let (mut many, mut one) = (|| figures(&many), || figures(&one));
    let [[a_cpu, a], [b_cpu, b]] = in_turn(bench.settings.runs, [&mut many, &mut one])?;
    bench.table.ratio(&format!("send to {TOPICS} topics: {RATE}"), a, ("one topic", b), Wanted::AtLeast(0.9));
    bench.table.ratio(&format!("send to {TOPICS} topics: {CPU}"), a_cpu, ("one topic", b_cpu), Wanted::Anything);
    node.stop()
}
