//! Beside the original: the same work by the same load generator, in turn, and the ratios.
//!
//! Where the original has no such feature, or the question is whether one thing disturbs another, the ratio is to another
//! case of ours. Servers run on core 0, clients on core 1.

mod cold;
mod load;
mod peer;
mod queues;
mod sends;
mod table;
mod timers;

use crate::node::{self, Node};
use anyhow::{Context as _, Result, bail};
use load::{Load, Side};
use peer::Peer;
use std::path::PathBuf;
use table::Table;

/// One kind of work, which may print several lines.
struct Row {
    name: &'static str,
    what: &'static str,
    run: fn(&mut Bench) -> Result<()>,
}

const ROWS: [Row; 10] = [
    Row { name: "send", what: "sends of 1 KiB, asynchronous flush", run: sends::send },
    Row { name: "batch", what: "batches of 32, asynchronous flush", run: sends::batch },
    Row { name: "pull", what: "pulls of a hot backlog", run: sends::pull },
    Row { name: "sync", what: "sends, synchronous flush against the peer's asynchronous one", run: sends::sync },
    Row { name: "latency", what: "latencies at half the peer's maximum", run: sends::latency },
    Row { name: "null", what: "sends against a server that only keeps bytes", run: sends::null },
    Row { name: "topics", what: "10,000 topics against one", run: sends::topics },
    Row { name: "timers", what: "timed messages sent and delivered, by the official Java client", run: timers::run },
    Row { name: "queues", what: "100,000 queues against 100; memory, kill -9 to serving", run: queues::run },
    Row { name: "cold", what: "sends while a consumer reads from offset 0", run: cold::run },
];

const HELP: &str = "\
cargo x bench [ROW…] [--runs N] [--seconds N] [--gib N] [--timers N] [--ours]

  --runs N      runs of each side, in turn; the median counts (3)
  --seconds N   seconds of one run of sends (10)
  --gib N       GiB to fill before cold reads (8)
  --timers N    timed messages of one run (100000)
  --ours        leaves the peer out

RMQLOAD=<the load generator>, and PEER_DIR=<folder with the peer's up and down> unless --ours. Rows, all by default:
";

/// How much of everything.
struct Settings {
    runs: usize,
    seconds: u64,
    gib: u64,
    timers: u64,
    is_ours_only: bool,
}

/// What rows share.
struct Bench {
    settings: Settings,
    load: Load,
    program: PathBuf,
    peer_dir: Option<PathBuf>,
    peer: Option<Peer>,
    table: Table,
}

/// Runs the rows that are named, or all, and prints the ratios.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let Some((settings, names)) = settings(args)? else {
        print!("{HELP}");
        ROWS.iter().for_each(|row| println!("  {:<9} {}", row.name, row.what));
        return Ok(());
    };
    let path = |name: &str, what: &str| {
        std::env::var_os(name).map(PathBuf::from).with_context(|| format!("set {name}=<{what}>"))
    };
    let load = Load::new(path("RMQLOAD", "the load generator")?);
    let peer_dir = match settings.is_ours_only {
        true => None,
        false => Some(path("PEER_DIR", "folder with the peer's up and down; or give --ours")?),
    };
    let program = node::build()?;
    let mut bench = Bench { settings, load, program, peer_dir, peer: None, table: Table::default() };
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)) {
        println!("--- {}: {}", row.name, row.what);
        if let Err(error) = (row.run)(&mut bench) {
            println!("{} failed: {error:#}", row.name);
            failed.push(format!("{}: {error:#}", row.name));
        }
    }
    failed.extend(bench.table.close());
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// Nothing: help is asked for.
fn settings(args: &[String]) -> Result<Option<(Settings, Vec<String>)>> {
    let mut settings = Settings { runs: 3, seconds: 10, gib: 8, timers: 100_000, is_ours_only: false };
    let mut names = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64> {
            let value = args.next().with_context(|| format!("{arg} wants a number"))?;
            value
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .with_context(|| format!("{arg} {value} is no number from 1 on"))
        };
        match arg.as_str() {
            "--runs" => settings.runs = usize::try_from(number()?)?,
            "--seconds" => settings.seconds = number()?,
            "--gib" => settings.gib = number()?,
            "--timers" => settings.timers = number()?,
            "--ours" => settings.is_ours_only = true,
            "help" | "--help" | "list" => return Ok(None),
            name if ROWS.iter().any(|row| row.name == name) => names.push(name.to_owned()),
            other => bail!("there is no row '{other}'; 'cargo x bench list' shows them"),
        }
    }
    Ok(Some((settings, names)))
}

impl Bench {
    /// A fresh node of ours.
    fn node(&self, name: &str, flags: &[&str]) -> Result<Node> {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        Node::start(&self.program, &node::fresh_dir(name)?, &flags)
    }

    /// The peer, warm; started when first asked for. Nothing with `--ours`.
    fn peer(&mut self) -> Result<Option<Side>> {
        let Some(dir) = &self.peer_dir else { return Ok(None) };
        let peer = match self.peer.take() {
            Some(peer) => peer,
            None => Peer::start(dir, &self.load)?,
        };
        let side = peer.side();
        self.peer = Some(peer);
        Ok(Some(side))
    }

    /// Ends the peer, so that the next row has a fresh one.
    fn end_peer(&mut self) {
        self.peer = None;
    }

    fn seconds(&self) -> String {
        self.settings.seconds.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<(Settings, Vec<String>)>> {
        settings(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_name_rows_and_sizes() {
        let check = |line: &str, rows: &[&str], runs: usize, gib: u64| {
            let (settings, names) = read(line).unwrap().unwrap();
            assert_eq!((settings.runs, settings.gib), (runs, gib), "{line}");
            assert_eq!(names, rows, "{line}");
        };
        check("", &[], 3, 8);
        check("cold timers --gib 20 --runs 1", &["cold", "timers"], 1, 20);
        assert!(read("list").unwrap().is_none());
    }

    #[test]
    fn wrong_arguments_are_named() {
        let check = |line: &str, part: &str| {
            let error = read(line).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(part), "{line}: {error}");
        };
        check("warm", "no row 'warm'");
        check("--runs 0", "--runs 0");
        check("--gib", "--gib wants a number");
    }
}
