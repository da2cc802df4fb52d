//! The command line: one file for each noun.

mod cluster;
mod config;
mod consume;
mod dead_letter;
mod find;
mod flags;
mod group;
mod message;
mod output;
mod produce;
mod remote;
mod time;
mod timer;
mod topic;

pub(crate) use flags::Flags;

use crate::serve;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use output::Closed;
use remote::Cluster;
use std::process::ExitCode;
use std::time::Duration;

/// Message broker and name server for RocketMQ clients, and their command line.
#[derive(Parser)]
#[command(name = "trefoil", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the name server and the broker in this process.
    Serve(Flags),
    /// Show options.
    #[command(subcommand)]
    Config(config::Config),
    /// List, show, create, scale and delete topics.
    #[command(subcommand)]
    Topic(topic::Topic),
    /// List consumer groups, show how far they are, and move them.
    #[command(subcommand)]
    Group(group::Group),
    /// Send messages: from arguments, a file, or the lines of standard input.
    Produce(produce::Produce),
    /// Find single messages by id or key.
    #[command(subcommand)]
    Message(find::Find),
    /// Read messages of a topic as they come.
    Consume(consume::Consume),
    /// List, show and cancel messages that wait for their time.
    #[command(subcommand)]
    Timer(timer::Timer),
    /// List, show, resend and export messages that a group could not consume.
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetter),
    /// Show the brokers of a cluster.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Print a script that completes this command line in a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What every command needs that talks to a cluster.
#[derive(clap::Args, Clone)]
pub(crate) struct Target {
    /// Name servers of the cluster, as host:port separated by commas.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "ADDRESS")]
    nameserver: String,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Longest time in ms to wait for one answer.
    #[arg(long, default_value_t = 10_000, value_name = "MS")]
    timeout_ms: u64,
}

/// How to print a result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Target {
    fn cluster(&self) -> Cluster {
        Cluster::new(rt::Host::real(), &self.nameserver, Duration::from_millis(self.timeout_ms))
    }
}

/// Exit code after a refused or failed command; wrong usage ends with 2.
const FAILED: u8 = 1;

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(flags) => serve::run(&flags).map_err(anyhow::Error::from),
        Command::Config(command) => config::run(&command),
        Command::Completion { shell } => completion(shell),
        Command::Topic(command) => block_on(topic::run(command)),
        Command::Group(command) => block_on(group::run(command)),
        Command::Produce(command) => block_on(produce::run(command)),
        Command::Message(command) => block_on(find::run(command)),
        Command::Consume(command) => block_on(consume::run(command)),
        Command::Timer(command) => block_on(timer::run(command)),
        Command::DeadLetter(command) => block_on(dead_letter::run(command)),
        Command::Cluster(command) => block_on(cluster::run(command)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `trefoil topic list | head -1`.
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread that reads standard input may wait for ever.
    runtime.shutdown_background();
    result
}

fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trefoil", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_flags() {
        let check = |line: &str, is_good: bool| {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), is_good, "{line}");
        };
        check("trefoil serve --data-dir D --listen-host 127.0.0.1 --broker-port 20911", true);
        check("trefoil serve --auto-create-topics false", true);
        check("trefoil serve --nonsense 1", false);
        check("trefoil topic create orders --queues 4 --nameserver h:1", true);
        check("trefoil consume orders --from time=1700000000000 --max 3 --output json", true);
        check("trefoil consume orders --from somewhere", false);
        check("trefoil group reset g --topic t --to time=2026-11-21T06:00:00Z", true);
        check("trefoil group reset g --topic t --queue=0 --to offset=5", true);
        check("trefoil group reset g --topic t --queue=-1 --to offset=5", false);
        check("trefoil message query t --key k --max 2000", false);
        check("trefoil topic scale t --queues 4 --keep-order", true);
        check("trefoil timer list --topic t --since 2026-11-21 --until 2026-11-22", true);
        check("trefoil timer cancel", false);
        check("trefoil timer cancel ID --topic t", false);
        check("trefoil timer cancel --topic t --yes", true);
        check("trefoil dead-letter resend g", false);
        check("trefoil dead-letter resend g ID ID", true);
        check("trefoil dead-letter resend g --all --yes", true);
        check("trefoil dead-letter resend g ID --since 2026-11-21", false);
        check("trefoil dead-letter export g --since 2026-11-21 --file f", true);
        check("trefoil produce orders hello --property a=b --tag t --key k", true);
        check("trefoil produce orders hello --count 0", false);
    }
}
