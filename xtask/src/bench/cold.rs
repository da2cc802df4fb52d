//! Whether a consumer that reads from the disk disturbs those who send.

use super::load::{Side, in_turn};
use super::table::Wanted;
use super::{Bench, load::Load};
use crate::node;
use crate::shell::{self, command, target};
use anyhow::{Result, anyhow};
use std::path::Path;
use std::time::Duration;

/// Sends a second: what both sides bear.
const RATE: &str = "5000";
const MESSAGES_PER_GIB: u64 = 1 << 20;
/// How long the reader reads before the sends that count begin, and after they end.
const MARGIN: Duration = Duration::from_secs(1);
/// Seconds that the load generator sends before it counts.
const WARM_UP_S: u64 = 3;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let node = bench.node("cold", &["--flush", "async"])?;
    let (ports, data) = (node.same_ports()?, target().join("runs/cold"));
    fill(bench, &Side::of(&node)?)?;
    // What was just written is in memory; a node that starts anew has none of it.
    node.stop()?;
    let flags = [&ports[..], &["--flush".to_owned(), "async".to_owned()]].concat();
    let node = node::Node::start(&bench.program, &data, &flags)?;
    one_side(bench, &Side::of(&node)?, &data, "sends beside a cold reader", Wanted::AtMost(1.2))?;
    node.stop()?;
    std::fs::remove_dir_all(&data)?;
    let (Some(peer), Some(data)) = (bench.peer()?, bench.peer.as_ref().map(|peer| peer.data().to_owned())) else {
        return Ok(());
    };
    fill(bench, &peer)?;
    one_side(bench, &peer, &data, "the peer's sends beside a cold reader", Wanted::Anything)?;
    bench.end_peer();
    Ok(())
}

fn fill(bench: &Bench, side: &Side) -> Result<()> {
    let count = (bench.settings.gib * MESSAGES_PER_GIB).to_string();
    let args = ["produce", "--create", "--topic", "cold", "-c", "4", "-w", "8", "--batch", "32", "--count", &count];
    bench.load.run(side, &[&args[..], &["-d", "600"]].concat()).map(drop)
}

fn one_side(bench: &mut Bench, side: &Side, data: &Path, what: &str, wanted: Wanted) -> Result<()> {
    let seconds = bench.settings.seconds;
    bench.load.run(side, &["produce", "--create", "--topic", "hot", "--count", "1000"])?;
    let mut with = || {
        forget(data)?;
        let (p99, read) = beside_reader(&bench.load, side, seconds)?;
        Ok([p99, read])
    };
    let mut alone = || Ok([send(&bench.load, side, seconds)?, 0.0]);
    let [[a, read], [b, _]] = in_turn(bench.settings.runs, [&mut with, &mut alone])?;
    bench.table.ratio(&format!("{what}: p99 in µs"), a, ("alone", b), wanted);
    bench.table.figure(&format!("{what}: messages a second that it reads"), read, Wanted::Anything);
    Ok(())
}

fn send(load: &Load, side: &Side, seconds: u64) -> Result<f64> {
    load.run(side, &["produce", "--topic", "hot", "--rate", RATE, "-d", &seconds.to_string()])?.latency("p99_us")
}

/// The p99 of sends in µs, and messages a second that a consumer reads from offset 0 meanwhile.
fn beside_reader(load: &Load, side: &Side, seconds: u64) -> Result<(f64, f64)> {
    let long = (seconds + WARM_UP_S + 2 * MARGIN.as_secs()).to_string();
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| load.run(side, &["consume", "--topic", "cold", "--until-end", "-d", &long]));
        std::thread::sleep(MARGIN);
        let p99 = send(load, side, seconds);
        let reader = reader.join().map_err(|_| anyhow!("the thread of the reader panicked"))?;
        Ok((p99?, reader?.figure("msgs_per_s")?))
    })
}

/// Has the system give up what it keeps of files in memory, as it would have done after some hours.
fn forget(data: &Path) -> Result<()> {
    command("sync").run()?;
    for path in shell::all_files(data)? {
        let file = format!("if={}", path.display());
        command("dd").args([&file, "iflag=nocache", "count=0", "status=none"]).run()?;
    }
    Ok(())
}
