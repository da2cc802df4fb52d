//! The load generator, what it says, and what a server spends.

use crate::node::Node;
use crate::shell::command;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::PathBuf;

/// CPU seconds that others spent beside a run, as a share of both cores' time, from which on it is said.
const DISTURBED_SHARE: f64 = 0.1;
/// What the kernel counts CPU time in.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server to be measured.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) broker: String,
    pub(crate) name_server: String,
    pub(crate) pid: u32,
    /// Whether what it refuses is only said, not a failure.
    pub(crate) is_lenient: bool,
}

impl Side {
    pub(crate) fn of(node: &Node) -> Result<Self> {
        let address = |role: &str| node.address(role).map(str::to_owned);
        let (broker, name_server) = (address("broker")?, address("nameserver")?);
        Ok(Self { broker, name_server, pid: node.id(), is_lenient: false })
    }

    /// Keeps the server to core 0.
    pub(crate) fn pin(&self) -> Result<()> {
        command("taskset").args(["-acp", "0", &self.pid.to_string()]).output().map(drop)
    }

    /// CPU seconds spent so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name before, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("a process has a name")?;
        let ticks =
            rest.split_whitespace().skip(11).take(2).map(|ticks| Ok(ticks.parse::<f64>()?)).sum::<Result<f64>>()?;
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Memory in KiB that is no file's.
    pub(crate) fn anonymous_kib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// The load generator.
pub(crate) struct Load(String);

/// What it said.
pub(crate) struct Report(Value);

impl Load {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self(program.display().to_string())
    }

    /// The program, on the clients' core.
    pub(crate) fn program(&self) -> [&str; 3] {
        ["-c", "1", &self.0]
    }

    /// Runs it against a side.
    pub(crate) fn run(&self, side: &Side, args: &[&str]) -> Result<Report> {
        side.pin()?;
        let pid = side.pid.to_string();
        let program = command("taskset").args(self.program()).args(["--json"]).args(args);
        let (out, is_clean) = program.args(["--broker", &side.broker, "--server-pid", &pid]).output_of_any_end()?;
        let line = out.lines().last().context("the load generator printed nothing")?;
        let report = Report(serde_json::from_str(line)?);
        let kinds = report.0.get("error_kinds").cloned().unwrap_or_default();
        match is_clean {
            true => {}
            false if side.is_lenient => println!("not clean, {} errors: {kinds}", report.0["errors"]),
            false => bail!("not clean, {} errors: {kinds}", report.0["errors"]),
        }
        report.say_disturbance();
        Ok(report)
    }
}

impl Report {
    pub(crate) fn figure(&self, name: &str) -> Result<f64> {
        self.0.get(name).and_then(Value::as_f64).with_context(|| format!("the report has no {name}: {}", self.0))
    }

    /// A latency in µs, or a share in %.
    pub(crate) fn latency(&self, name: &str) -> Result<f64> {
        let figure = self.0.get("latency").and_then(|latency| latency.get(name)?.as_f64());
        figure.with_context(|| format!("the report has no latency {name}: {}", self.0))
    }

    fn say_disturbance(&self) {
        let figure = |name: &str| self.0.get(name).and_then(Value::as_f64);
        let (Some(others), Some(seconds)) = (figure("others_cpu_s"), figure("seconds")) else { return };
        if others > seconds * 2.0 * DISTURBED_SHARE {
            println!("disturbed: others spent {others:.1} CPU seconds beside these {seconds:.0} s");
        }
    }
}

/// One thing to be measured, several figures a run.
pub(crate) type Case<'a, const F: usize> = &'a mut dyn FnMut() -> Result<[f64; F]>;

/// Runs the cases in turn, and gives the medians of each.
pub(crate) fn in_turn<const C: usize, const F: usize>(
    runs: usize,
    mut cases: [Case<'_, F>; C],
) -> Result<[[f64; F]; C]> {
    let mut seen: [[Vec<f64>; F]; C] = std::array::from_fn(|_| std::array::from_fn(|_| Vec::new()));
    for _ in 0..runs {
        for (seen, case) in seen.iter_mut().zip(&mut cases) {
            for (all, figure) in seen.iter_mut().zip(case()?) {
                all.push(figure);
            }
        }
    }
    Ok(seen.map(|case| case.map(median)))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
