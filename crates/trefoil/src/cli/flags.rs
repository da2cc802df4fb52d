//! Every option as a flag, made from the table of options.

use crate::config::{self, Given, Kind, OPTIONS, Origin, Resolved, Settings};
use crate::start::StartError;
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

const FILE: &str = "config";

/// What the command line says about options.
pub(crate) struct Flags {
    file: Option<PathBuf>,
    given: Vec<Given>,
}

impl Flags {
    /// Reads file, environment and flags.
    ///
    /// # Errors
    /// [`StartError::Options`] with all faults, or [`StartError::OptionFile`].
    #[allow(clippy::disallowed_methods, reason = "the binary is the one that reads the environment")]
    pub(crate) fn load(&self) -> Result<Resolved, StartError> {
        let file = self.file.clone().or_else(|| std::env::var_os(config::FILE_VARIABLE).map(PathBuf::from));
        let mut given = Vec::new();
        if let Some(path) = file {
            let text = std::fs::read(&path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
            let text = text.map_err(|error| StartError::OptionFile { path: path.clone(), error })?;
            given = config::file(&path, &text).map_err(StartError::Options)?;
        }
        let variables =
            std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        given.extend(config::environment(variables));
        given.extend(self.given.iter().cloned());
        config::resolve(given).map_err(StartError::Options)
    }

    /// The same as types, with what the operator should be warned of.
    ///
    /// # Errors
    /// As [`Flags::load`].
    pub(crate) fn settings(&self) -> Result<(Settings, Vec<String>), StartError> {
        let resolved = self.load()?;
        Ok((Settings::from(&resolved), resolved.warnings))
    }
}

fn flag(spec: &'static config::Spec) -> Arg {
    let value = match spec.kind {
        Kind::Path | Kind::PathOrNone => "PATH",
        Kind::Host | Kind::HostOrNone => "HOST",
        Kind::Port { .. } => "PORT",
        Kind::Addresses => "HOST:PORT,…",
        Kind::Name | Kind::NameOrNone => "NAME",
        Kind::Count { .. } => "NUMBER",
        Kind::Bytes { .. } => "BYTES",
        Kind::Switch => "BOOL",
        Kind::OneOf(_) => "WORD",
        Kind::Roles => "ROLE,…",
    };
    let default = if spec.default.is_empty() { String::new() } else { format!(" [default: {}]", spec.default) };
    let arg = Arg::new(spec.name).long(spec.name).value_name(value).help(format!("{}{default}", spec.doc));
    match spec.kind {
        Kind::Switch => arg.num_args(0..=1).default_missing_value("true"),
        _ => arg,
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE).long(FILE).value_name("FILE").value_parser(clap::value_parser!(PathBuf));
        command.arg(file.help("File with options (TOML, or RocketMQ's key=value lines)")).args(OPTIONS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = OPTIONS.iter().filter_map(|spec| {
            let text = matches.get_one::<String>(spec.name)?.clone();
            let name = spec.name.to_owned();
            Some(Given { key: name.clone(), text, origin: Origin::Flag { name } })
        });
        Ok(Self { file: matches.get_one::<PathBuf>(FILE).cloned(), given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
