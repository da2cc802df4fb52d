//! `sim`: runs seeds and says what broke.

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use sim::Report;
use std::process::ExitCode;
use store::PlantedBug;

/// Runs Trefoil in a simulated world and checks that nothing acknowledged is lost.
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// The one seed to run; prints its last events.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds to run, FROM..TO (TO not included).
    #[arg(long, default_value = "0..100", value_parser = range)]
    seeds: std::ops::Range<u64>,
    /// What to run.
    #[arg(long, default_value = "store")]
    level: Level,
    /// Puts a bug into the store, which must be found.
    #[arg(long)]
    planted: Option<Planted>,
    /// Runs each seed twice and compares the traces.
    #[arg(long)]
    twice: bool,
    /// Prints a line per seed; for one seed, all events.
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    /// One store.
    Store,
    /// A whole node and its clients.
    Node,
    /// Timed messages and retries of one broker.
    Timed,
    /// Orderly consumers, and messages that are sent back.
    Ordered,
}

#[derive(Clone, Copy, ValueEnum)]
enum Planted {
    SyncSkipped,
    AckBeforeSync,
    OffsetReused,
    RunBeyondSync,
    ChecksumIgnored,
    MarkNotJoined,
    TimerRunShort,
    TimersExpire,
    LockShared,
    LocksForgotten,
    SentBackEarly,
    RetryNotCounted,
}

impl Level {
    fn flag(self) -> &'static str {
        match self {
            Self::Store => "",
            Self::Node => "--level node ",
            Self::Timed => "--level timed ",
            Self::Ordered => "--level ordered ",
        }
    }
}

impl Planted {
    fn bug(self) -> PlantedBug {
        match self {
            Self::SyncSkipped => PlantedBug::SyncSkipped,
            Self::AckBeforeSync => PlantedBug::AckBeforeSync,
            Self::OffsetReused => PlantedBug::OffsetReused,
            Self::RunBeyondSync => PlantedBug::RunBeyondSync,
            Self::ChecksumIgnored => PlantedBug::ChecksumIgnored,
            Self::MarkNotJoined => PlantedBug::MarkNotJoined,
            Self::TimerRunShort => PlantedBug::TimerRunShort,
            Self::TimersExpire => PlantedBug::TimersExpire,
            Self::LockShared => PlantedBug::LockShared,
            Self::LocksForgotten => PlantedBug::LocksForgotten,
            Self::SentBackEarly => PlantedBug::SentBackEarly,
            Self::RetryNotCounted => PlantedBug::RetryNotCounted,
        }
    }
}

/// Events shown of a run unless all are asked for.
const LINES: usize = 60;

fn range(text: &str) -> Result<std::ops::Range<u64>> {
    let Some((from, to)) = text.split_once("..") else { bail!("{text:?} is no range; write FROM..TO") };
    Ok(from.parse()?..to.parse()?)
}

/// Whether two runs of a seed are the same; prints where they part.
fn is_repeated(first: &Report, second: &Report) -> bool {
    if (first.trace, first.events) == (second.trace, second.events) {
        return true;
    }
    println!("seed {} does not repeat itself", first.seed);
    let parting = first.last.iter().zip(&second.last).position(|(first, second)| first != second);
    let at = parting.unwrap_or_else(|| first.last.len().min(second.last.len()));
    for (name, report) in [("first", first), ("second", second)] {
        println!("{name} run:");
        report.last.iter().take(at + 3).skip(at.saturating_sub(5)).for_each(|line| println!("  {line}"));
    }
    false
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed.map_or(arguments.seeds, |seed| seed..seed + 1);
    let planted = arguments.planted.map(Planted::bug);
    let (mut events, mut acknowledged, count) = (0, 0, seeds.end.saturating_sub(seeds.start));
    for seed in seeds {
        let run = || match arguments.level {
            Level::Store => sim::store::run(seed, planted),
            Level::Node => sim::node::run(seed, planted),
            Level::Timed => sim::timed::run(seed, planted),
            Level::Ordered => sim::ordered::run(seed, planted),
        };
        let mut report: Report = run();
        if arguments.twice && !is_repeated(&report, &run()) {
            return ExitCode::FAILURE;
        }
        if !arguments.verbose {
            report.last.drain(..report.last.len().saturating_sub(LINES));
        }
        events += report.events;
        acknowledged += report.acknowledged;
        if arguments.seed.is_some() && report.violation.is_none() {
            report.last.iter().for_each(|line| println!("  {line}"));
        }
        if arguments.verbose || arguments.seed.is_some() || report.violation.is_some() {
            println!("{report}");
        }
        if report.violation.is_some() {
            println!("repeat with: cargo run -p sim -- {}--seed {seed}", arguments.level.flag());
            return ExitCode::FAILURE;
        }
    }
    println!("{count} seeds clean: {events} events, {acknowledged} messages acknowledged");
    ExitCode::SUCCESS
}
