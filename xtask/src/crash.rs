//! Kills the node at random moments while the Java client sends, and looks for every acknowledged message afterwards.

use crate::e2e::{self, Client, MAIN};
use crate::node::{self, Node};
use crate::shell::command;
use anyhow::{Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// Rounds unless said otherwise.
pub(crate) const ROUNDS: u32 = 100;
/// Shortest and longest life of a node in ms, counted from the first acknowledgement that it gave.
const LIFE_MS: std::ops::Range<u64> = 10..1_500;
/// How long to wait for that acknowledgement: clients take a moment to find a broker again.
const FIRST_ACK_MAX: Duration = Duration::from_secs(10);
const TOPIC: &str = "crash";

/// Runs that many rounds.
pub(crate) fn run(rounds: u32) -> Result<()> {
    if let Some(tool) = Client::Java.missing() {
        bail!("the crash test needs '{tool}', which is not here");
    }
    let program = node::build()?;
    let jars = e2e::java(e2e::JAVA_4)?;
    let dir = node::fresh_dir("crash")?;
    let (data, acks) = (dir.join("data"), dir.join("acks"));
    let mut node = Node::start(&program, &data, &[])?;
    let ports = node.same_ports()?;
    let name_server = node.address("nameserver")?.to_owned();
    let mut client = Sender::start(&jars, &name_server, &acks)?;
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        wait_for_more(&acks)?;
        std::thread::sleep(Duration::from_millis(node::chance(LIFE_MS)));
        node.kill()?;
        let since = Instant::now();
        node = Node::start(&program, &data, &ports)?;
        slowest = slowest.max(since.elapsed());
        client.check()?;
        println!("round {round} of {rounds}: {} acknowledged so far", lines(&acks)?);
    }
    std::thread::sleep(Duration::from_secs(2));
    client.stop()?;
    let acknowledged = lines(&acks)?;
    let acks = acks.display().to_string();
    let args = ["-cp", &jars, MAIN, "verify", "--topic", TOPIC, "--file", &acks, "--namesrv", &name_server];
    command("java").args(args).run()?;
    node.stop()?;
    if acknowledged == 0 {
        bail!("not one message was acknowledged, so nothing was shown");
    }
    println!("{rounds} kills, {acknowledged} messages acknowledged, none lost; slowest restart {slowest:?}");
    Ok(())
}

/// The Java client that sends through it all.
struct Sender(Child);

impl Sender {
    fn start(jars: &str, name_server: &str, acks: &Path) -> Result<Self> {
        let acks = acks.display().to_string();
        let args = ["-cp", jars, MAIN, "count", "--topic", TOPIC, "--file", &acks, "--namesrv", name_server];
        let mut child = command("java").args(args).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            let mut out = BufReader::new(out);
            out.read_line(&mut line)?;
            // Whatever it prints later must not fill the pipe.
            std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| println!("client: {line}")));
        }
        if line.trim() != "counting" {
            drop(child.kill());
            bail!("the Java client did not begin to send; it printed {line:?}");
        }
        Ok(Self(child))
    }

    /// It must live as long as the test.
    fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("the Java client ended with {status}"),
            None => Ok(()),
        }
    }

    fn stop(&mut self) -> Result<()> {
        node::terminate(&mut self.0, "the Java client")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Already ended, or on the way out because something failed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until one more message is acknowledged, or long enough.
fn wait_for_more(acks: &Path) -> Result<()> {
    let (before, since) = (lines(acks)?, Instant::now());
    while lines(acks)? == before && since.elapsed() < FIRST_ACK_MAX {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn lines(path: &Path) -> Result<usize> {
    let text = if path.try_exists()? { std::fs::read(path)? } else { Vec::new() };
    Ok(text.iter().filter(|byte| **byte == b'\n').count())
}
