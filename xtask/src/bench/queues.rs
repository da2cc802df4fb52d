//! Very many queues: what they cost in latency and memory, and how soon a killed node serves again.

use super::Bench;
use super::load::{Side, in_turn};
use super::table::Wanted;
use crate::node::Node;
use crate::shell::target;
use anyhow::Result;
use std::time::Instant;

/// Topics and queues of each.
const FEW: (u32, u32) = (10, 10);
const MANY: (u32, u32) = (10_000, 10);
/// As many as the peer is asked to bear.
const MANY_OF_PEER: (u32, u32) = (1_000, 8);
/// Sends a second: what the peer bears too.
const RATE: &str = "5000";

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    ours(bench)?;
    peers(bench)
}

fn ours(bench: &mut Bench) -> Result<()> {
    let (few, many) =
        (bench.node("few-queues", &["--flush", "async"])?, bench.node("many-queues", &["--flush", "async"])?);
    let (few_side, many_side) = (Side::of(&few)?, Side::of(&many)?);
    create(bench, &few_side, FEW)?;
    create(bench, &many_side, MANY)?;
    let kib = many_side.anonymous_kib()? - few_side.anonymous_kib()?;
    let queues = f64::from(MANY.0 * MANY.1 - FEW.0 * FEW.1);
    bench.table.figure("KiB of anonymous memory per idle queue", kib / queues, Wanted::AtMost(1.0));
    let (mut with_many, mut with_few) = (|| p99(bench, &many_side, MANY), || p99(bench, &few_side, FEW));
    let [[a], [b]] = in_turn(bench.settings.runs, [&mut with_many, &mut with_few])?;
    bench.table.ratio("send to 100,000 queues: p99 in µs", a, ("100 queues", b), Wanted::AtMost(1.2));
    let ports = many.same_ports()?;
    let flags = [&ports[..], &["--flush".to_owned(), "async".to_owned()]].concat();
    many.kill()?;
    let since = Instant::now();
    let many = Node::start(&bench.program, &target().join("runs/many-queues"), &flags)?;
    bench.table.figure("kill -9 to serving, 100,000 queues, s", since.elapsed().as_secs_f64(), Wanted::AtMost(3.0));
    many.stop()?;
    few.stop()
}

/// One after the other, on one peer: two would not fit into memory.
fn peers(bench: &mut Bench) -> Result<()> {
    let Some(peer) = bench.peer()? else { return Ok(()) };
    create(bench, &peer, FEW)?;
    let [[few]] = in_turn(bench.settings.runs, [&mut || p99(bench, &peer, FEW)])?;
    create(bench, &peer, MANY_OF_PEER)?;
    let [[many]] = in_turn(bench.settings.runs, [&mut || p99(bench, &peer, MANY_OF_PEER)])?;
    bench.table.ratio("the peer, send to 8,000 queues: p99 in µs", many, ("100 queues", few), Wanted::Anything);
    bench.end_peer();
    Ok(())
}

/// The topics of a case, with hardly a message in them.
fn create(bench: &Bench, side: &Side, case: (u32, u32)) -> Result<()> {
    produce(bench, side, case, &["--create", "--count", "100"]).map(drop)
}

fn p99(bench: &Bench, side: &Side, case: (u32, u32)) -> Result<[f64; 1]> {
    let seconds = bench.seconds();
    Ok([produce(bench, side, case, &["--rate", RATE, "-d", &seconds])?.latency("p99_us")?])
}

fn produce(bench: &Bench, side: &Side, case: (u32, u32), args: &[&str]) -> Result<super::load::Report> {
    let (topics, queues) = (case.0.to_string(), case.1.to_string());
    let topic = format!("q{topics}");
    let common = ["produce", "--topic", &topic, "--topics", &topics, "--queues", &queues];
    bench.load.run(side, &[&common[..], args].concat())
}
