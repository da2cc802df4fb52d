//! `trefoil`: name server, broker and command line in one binary.
//!
//! Start here: [`cli`] reads the command line, [`config`] puts options together, [`serve`] starts the roles, [`start`]
//! lists what can go wrong on the way.

mod cli;
mod config;
mod serve;
mod start;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
