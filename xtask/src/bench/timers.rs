//! Timed messages: what a server spends until it has delivered them, and how late they come.

use super::Bench;
use super::load::{Side, in_turn};
use super::table::Wanted;
use crate::e2e::{self, Client, MAIN};
use crate::shell::command;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::cell::Cell;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    if let Some(tool) = Client::Java.missing() {
        bail!("timed messages are sent by the Java client, which needs '{tool}'");
    }
    let (jars, peer) = (e2e::java(e2e::JAVA_4)?, bench.peer()?);
    let node = bench.node("bench", &["--flush", "async"])?;
    let (ours, at, count) = (Side::of(&node)?, Cell::new(0), bench.settings.timers);
    let figures = |side: &Side| {
        at.set(at.get() + 1);
        measure(&jars, side, &format!("timed-{}", at.get()), count)
    };
    let what = format!("{count} timed messages sent and delivered");
    let (rate, late) = (format!("{what}: msgs_per_server_cpu_s"), format!("{what}: lateness p99 in ms"));
    let mut one = || figures(&ours);
    let early = if let Some(peer) = &peer {
        let mut other = || figures(peer);
        let [[a, a_late, early], [b, b_late, _]] = in_turn(bench.settings.runs, [&mut one, &mut other])?;
        bench.table.ratio(&rate, a, ("peer", b), Wanted::AtLeast(4.0));
        bench.table.ratio(&late, a_late, ("peer", b_late), Wanted::AtMost(0.2));
        early
    } else {
        let [[a, a_late, early]] = in_turn(bench.settings.runs, [&mut one])?;
        bench.table.figure(&rate, a, Wanted::Anything);
        bench.table.figure(&late, a_late, Wanted::AtMost(50.0));
        early
    };
    bench.table.figure("… delivered before their time", early, Wanted::AtMost(0.0));
    node.stop()
}

/// Messages per CPU second of the server, lateness, and how many came early.
fn measure(jars: &str, side: &Side, topic: &str, count: u64) -> Result<[f64; 3]> {
    side.pin()?;
    let before = side.cpu_s()?;
    let args =
        ["-c", "1", "java", "-Xmx1g", "-cp", jars, MAIN, "timing", "--topic", topic, "--count", &count.to_string()];
    let out = command("taskset").args(args).args(["--namesrv", &side.name_server]).output()?;
    let spent = side.cpu_s()? - before;
    let line = out.lines().last().context("the Java client printed nothing")?;
    let report: Value = serde_json::from_str(line).with_context(|| format!("no report: {line}"))?;
    println!("{line}");
    let figure = |name: &str| report[name].as_f64().with_context(|| format!("no {name} in {line}"));
    Ok([count as f64 / spent, figure("late_p99_ms")?, figure("early")?])
}
