//! `cargo x`: the one developer tool. It drives cargo and the built programs from outside, and knows none of the crates.
#![allow(
    clippy::disallowed_methods,
    reason = "a tool for developers' machines: it starts programs and reads their files"
)]

mod bench;
mod crash;
mod disk;
mod e2e;
mod node;
mod order;
mod shell;
mod test;
mod tidy;

use anyhow::{Result, bail};
use shell::cargo;
use std::process::ExitCode;

const HELP: &str = "\
cargo x <command>

  verify            the gate: formatting, clippy, tidy, tests, docs; writes nothing
  fix               formats, takes clippy's corrections, regenerates pages
  tidy              crate edges, lengths, names, unfinished marks, pages of options and errors
  test              everything a user can run; names what it skips for want of a tool (an error where CI=true)
  sim [ARGS]        seeded simulation; 'cargo x sim --help' lists its arguments
  crash [N]         kill -9 at random under load by the Java client, N rounds (default 100)
  order [N]         kill -9 of the node and of orderly Java consumers, N kills of the node (default 20)
  disk-full         fills the disk of a node, reads everything, makes room
  e2e [java|go]     official clients against a fresh node
  bench [ROW…]      beside the original; 'cargo x bench list' shows rows, options and what it needs
  fuzz TARGET [ARGS]  needs a nightly toolchain and cargo-fuzz
  run [ARGS]        'trefoil serve' with these arguments
  gen               rewrites generated pages (docs/options.md)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let (command, rest) = args.split_first().map_or(("help", args), |(command, rest)| (command.as_str(), rest));
    match command {
        "verify" => test::verify(),
        "fix" => fix(),
        "tidy" => tidy::run(),
        "test" => test::all(),
        "sim" => cargo(["run", "-q", "--release", "-p", "sim", "--"]).args(rest).run(),
        "crash" => crash::run(rest.first().map_or(Ok(crash::ROUNDS), |rounds| rounds.parse())?),
        "order" => order::run(rest.first().map_or(Ok(order::KILLS), |kills| kills.parse())?),
        "disk-full" => disk::run(),
        "e2e" => e2e::run(rest.first().map(String::as_str)),
        "bench" => bench::run(rest),
        "fuzz" => fuzz(rest),
        "run" => cargo(["run", "--release", "-p", "trefoil", "--", "serve"]).args(rest).run(),
        "gen" => generate(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command '{other}'\n\n{HELP}"),
    }
}

fn fix() -> Result<()> {
    cargo(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]).run()?;
    cargo(["fmt", "--all"]).run()?;
    generate()
}

fn generate() -> Result<()> {
    let page = cargo(["run", "-q", "-p", "trefoil", "--", "config", "default", "--page"]).output()?;
    std::fs::write(shell::root().join("docs/options.md"), page)?;
    Ok(())
}

fn fuzz(args: &[String]) -> Result<()> {
    let Some((target, rest)) = args.split_first() else {
        let targets = shell::files(&shell::root().join("fuzz/fuzz_targets"), "rs")?;
        let names: Vec<_> = targets.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
        bail!("which target? there are {}", names.join(", "));
    };
    if !shell::succeeds("cargo", &["+nightly", "fuzz", "--version"]) {
        bail!("fuzzing needs a nightly toolchain and cargo-fuzz: cargo +nightly install cargo-fuzz");
    }
    shell::command("cargo").args(["+nightly", "fuzz", "run", target]).args(rest).run()
}
