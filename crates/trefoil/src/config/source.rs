//! Where options are given: a file, the environment, flags.

use super::fault::{Fault, Faults};
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Prefix of our variables.
const PREFIX: &str = "TREFOIL_";
/// Names the file itself, so it is no option.
pub(crate) const FILE_VARIABLE: &str = "TREFOIL_CONFIG";

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere.
    Default,
    /// In a file.
    File {
        /// Its path.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// On the command line.
    Flag {
        /// The option's name.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { name } => write!(f, "flag --{name}"),
        }
    }
}

/// A value that somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Name of the option, as given.
    pub(crate) key: String,
    /// The value, not checked.
    pub(crate) text: String,
    /// Where it was given.
    pub(crate) origin: Origin,
}

/// What the environment says.
pub(crate) fn environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Given> {
    let mut given: Vec<Given> = variables
        .filter(|(variable, text)| variable != FILE_VARIABLE && !is_service_link(variable, text))
        .filter_map(|(variable, text)| {
            let key = variable.strip_prefix(PREFIX)?.to_lowercase().replace('_', "-");
            Some(Given { key, text, origin: Origin::Environment { variable } })
        })
        .collect();
    given.sort_by(|a, b| a.key.cmp(&b.key));
    given
}

/// Whether Kubernetes made a variable for a service (`enableServiceLinks`, on by default). One called `trefoil` makes
/// `TREFOIL_SERVICE_HOST` and `TREFOIL_PORT_9876_TCP_ADDR`, and one called `trefoil-broker` makes
/// `TREFOIL_BROKER_PORT=tcp://10.0.0.1:10911`: nobody meant options.
fn is_service_link(variable: &str, text: &str) -> bool {
    let has_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || variable.split_once("_PORT_").is_some_and(|(_, rest)| has_number(rest))
        || (variable.ends_with("_PORT") && text.contains("://"))
}

/// What a file says: TOML, or the `key=value` lines of RocketMQ if its name ends in `.conf` or `.properties`.
pub(crate) fn file(path: &Path, text: &str) -> Result<Vec<Given>, Faults> {
    let name = path.display().to_string();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("conf" | "properties") => properties(&name, text),
        _ => toml(&name, text),
    }
}

fn properties(path: &str, text: &str) -> Result<Vec<Given>, Faults> {
    let mut given = Vec::new();
    let mut faults = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with('!') {
            continue;
        }
        let origin = Origin::File { path: path.to_owned(), line: at + 1 };
        match line.split_once('=') {
            Some((key, value)) => {
                given.push(Given { key: key.trim().to_owned(), text: value.trim().to_owned(), origin });
            }
            None => faults.push(Fault::syntax(origin, format!("'{line}' is not of the form key=value"))),
        }
    }
    if faults.is_empty() { Ok(given) } else { Err(Faults(faults)) }
}

fn toml(path: &str, text: &str) -> Result<Vec<Given>, Faults> {
    let origin = |at: usize| {
        let line = text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { path: path.to_owned(), line }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| Fault::syntax(origin(error.span().map_or(0, |span| span.start)), error.message()))
        .collect();
    let mut given = Vec::new();
    for (key, value) in table.get_ref() {
        let origin = origin(key.span().start);
        match plain(value.get_ref()) {
            Some(text) => given.push((key.span().start, Given { key: key.get_ref().to_string(), text, origin })),
            None if faults.is_empty() => {
                let kind = value.get_ref().type_str();
                let error = format!("'{}' is a {kind}; expected a string, a number, true or false", key.get_ref());
                faults.push(Fault::syntax(origin, error));
            }
            None => {}
        }
    }
    given.sort_by_key(|(at, _)| *at);
    if faults.is_empty() { Ok(given.into_iter().map(|(_, given)| given).collect()) } else { Err(Faults(faults)) }
}

/// A value as text; a list of texts has commas between them.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| plain(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
