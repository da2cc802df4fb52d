//! The gate, and everything that a user can run.

use crate::e2e::{self, Client};
use crate::shell::{self, Program, cargo};
use crate::{crash, disk, node, order, tidy};
use anyhow::{Result, bail};
use std::time::Instant;

/// Levels of the simulator in the everyday run, and their seeds.
const SIMULATIONS: [(&str, &str); 4] =
    [("store", "0..100"), ("node", "0..100"), ("timed", "0..30"), ("ordered", "0..15")];
/// Kills in the everyday run.
const CRASH_ROUNDS: u32 = 5;
/// Kills of the node in the everyday test of order.
const ORDER_KILLS: u32 = 2;

/// What happened so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Runs a step; one failure does not keep the others from running.
    fn step(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<()>) {
        println!("\n=== {name}");
        let (since, counted) = (Instant::now(), (self.passed, self.failed));
        let result = run(self);
        match result {
            Ok(()) if counted == (self.passed, self.failed) => self.passed += 1,
            Ok(()) => {}
            Err(error) => {
                println!("{name} failed: {error:#}");
                self.failures.push(format!("{name}: {error:#}"));
                if counted.1 == self.failed {
                    self.failed += 1;
                }
            }
        }
        println!("=== {name}: {:.0} s", since.elapsed().as_secs_f64());
    }

    fn program(&mut self, name: &str, program: Program) {
        self.step(name, |_| program.run());
    }

    fn skip(&mut self, name: &str, missing: &str) {
        println!("\n=== {name}: SKIPPED, because '{missing}' is not here");
        self.skipped.push(format!("{name} ('{missing}' is not here)"));
    }

    /// Adds the figures of a line that closes a run of tests.
    fn count(&mut self, line: &str) {
        let figure = |word: &str| {
            let before = line.split(word).next()?;
            before.trim_end().rsplit(' ').next()?.parse::<u64>().ok()
        };
        let is_closing = line.starts_with("test result:") || line.split(' ').nth(1) == Some("passed,");
        if let (true, Some(passed), Some(failed)) = (is_closing, figure(" passed"), figure(" failed")) {
            self.passed += passed;
            self.failed += failed;
        }
    }

    fn close(self) -> Result<()> {
        println!();
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        for skipped in &self.skipped {
            println!("SKIPPED {skipped}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len());
        if self.failed > 0 || !self.failures.is_empty() {
            bail!("{} steps failed", self.failures.len().max(1));
        }
        if shell::is_ci() && !self.skipped.is_empty() {
            bail!("nothing may be skipped where CI=true");
        }
        Ok(())
    }
}

/// The gate. Writes nothing.
pub(crate) fn verify() -> Result<()> {
    let mut tally = Tally::default();
    gate(&mut tally);
    tally.close()
}

fn gate(tally: &mut Tally) {
    tally.program("formatting", cargo(["fmt", "--all", "--check"]));
    tally.step("tidy", |_| tidy::run());
    tally.program("clippy", cargo(["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    tally.step("tests", |tally| cargo(["test", "--workspace"]).watch(|line| tally.count(line)));
    let docs = cargo(["doc", "-q", "--workspace", "--no-deps", "--document-private-items"]);
    tally.program("docs", docs.env("RUSTDOCFLAGS", "-D warnings"));
}

/// Everything that a user can run.
pub(crate) fn all() -> Result<()> {
    let mut tally = Tally::default();
    gate(&mut tally);
    for (level, seeds) in SIMULATIONS {
        let run = cargo(["run", "-q", "-p", "sim", "--", "--seeds", seeds, "--level", level]);
        tally.program(&format!("simulation, level {level}"), run);
    }
    tally.step("full disk", |_| disk::run());
    for client in Client::ALL {
        let name = format!("{} clients", client.name());
        match client.missing() {
            Some(tool) => tally.skip(&name, tool),
            None => tally.step(&name, |tally| clients(client, tally)),
        }
    }
    match Client::Java.missing() {
        Some(tool) => tally.skip("crash test", tool),
        None => {
            tally.step("crash test", |_| crash::run(CRASH_ROUNDS));
            tally.step("order test", |_| order::run(ORDER_KILLS));
        }
    }
    tally.close()
}

fn clients(client: Client, tally: &mut Tally) -> Result<()> {
    let program = node::build()?;
    let mut failed = Vec::new();
    for run in e2e::programs(client, false)? {
        let name = run.name.clone();
        if let Err(error) = e2e::against_fresh_node(&program, run, &mut |line| tally.count(line)) {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "78 passed, 2 failed",
            "PASS send-3 passed, 4 failed (1.0 s)",
            "running 3 tests",
        ] {
            tally.count(line);
        }
        assert_eq!((tally.passed, tally.failed), (90, 3));
    }
}
