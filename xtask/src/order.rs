//! Kills the node at random moments while orderly Java consumers, killed at random too, work through keyed messages: no
//! key may show an inversion, and nothing may be missing.

use crate::e2e::{self, Client, MAIN};
use crate::node::{self, Node};
use crate::shell::command;
use anyhow::{Result, anyhow, bail};
use std::time::Duration;

/// Kills of the node unless said otherwise.
pub(crate) const KILLS: u32 = 20;
/// Shortest and longest life of a node, in ms.
const LIFE_MS: std::ops::Range<u64> = 5_000..12_000;
/// Seconds of sending before the first kill and after the last: the consumers find their queues meanwhile.
const MARGIN_S: u64 = 12;
const TOPIC: &str = "order";

/// Runs it.
pub(crate) fn run(kills: u32) -> Result<()> {
    if let Some(tool) = Client::Java.missing() {
        bail!("the test of order needs '{tool}', which is not here");
    }
    let program = node::build()?;
    let jars = e2e::java(e2e::JAVA_4)?;
    let dir = node::fresh_dir("order")?;
    let (data, consumed) = (dir.join("data"), dir.join("consumed").display().to_string());
    let mut node = Node::start(&program, &data, &[])?;
    let (ports, name_server) = (node.same_ports()?, node.address("nameserver")?.to_owned());
    let seconds = (2 * MARGIN_S + u64::from(kills) * LIFE_MS.end / 1000).to_string();
    let args = [
        "-cp",
        &jars,
        MAIN,
        "order",
        "--topic",
        TOPIC,
        "--file",
        &consumed,
        "--namesrv",
        &name_server,
        "--seconds",
        &seconds,
    ];
    let clients = command("java").args(args);
    let clients = std::thread::spawn(move || clients.run());
    std::thread::sleep(Duration::from_secs(MARGIN_S));
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(node::chance(LIFE_MS)));
        node.kill()?;
        node = Node::start(&program, &data, &ports)?;
        println!("node killed and started, {kill} of {kills}");
    }
    clients.join().map_err(|_| anyhow!("the thread of the clients panicked"))??;
    node.stop()
}
