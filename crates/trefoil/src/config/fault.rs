//! What is wrong with what was given.

use super::alias;
use super::source::{Given, Origin};
use super::table::OPTIONS;
use std::fmt;

/// One edit for so many letters of a wrong name, and one more, may lie between it and the name that is suggested for it.
const LETTERS_PER_EDIT: usize = 3;

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    key: String,
    value: String,
    origin: Origin,
    wrong: Wrong,
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Unknown { hint: Option<&'static str> },
    Range { allowed: String },
    Syntax { error: String },
}

impl Fault {
    /// No option has this name.
    pub(crate) fn unknown(given: &Given) -> Self {
        Self::new(given, Wrong::Unknown { hint: nearest(&given.key) })
    }

    /// The value is not allowed.
    pub(crate) fn range(given: &Given, allowed: impl Into<String>) -> Self {
        Self::new(given, Wrong::Range { allowed: allowed.into() })
    }

    /// A file cannot be understood.
    pub(crate) fn syntax(origin: Origin, error: impl Into<String>) -> Self {
        Self { key: String::new(), value: String::new(), origin, wrong: Wrong::Syntax { error: error.into() } }
    }

    fn new(given: &Given, wrong: Wrong) -> Self {
        Self { key: given.key.clone(), value: given.text.clone(), origin: given.origin.clone(), wrong }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin, wrong } = self;
        match wrong {
            Wrong::Unknown { hint: Some(hint) } => {
                write!(f, "{origin}: unknown option '{key}'; did you mean '{hint}'?")
            }
            Wrong::Unknown { hint: None } => {
                write!(f, "{origin}: unknown option '{key}'; 'trefoil config default' lists them all")
            }
            Wrong::Range { allowed } => write!(f, "{origin}: {key} is '{value}'; allowed: {allowed}"),
            Wrong::Syntax { error } => write!(f, "{origin}: {error}"),
        }
    }
}

/// Everything that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// The known name that is most like a wrong one, if any is like it at all.
fn nearest(key: &str) -> Option<&'static str> {
    let wanted = key.to_lowercase().replace(['_', '.'], "-");
    let names = OPTIONS.iter().map(|spec| (distance(&wanted, spec.name), spec.name));
    let familiar = alias::names().map(|(old, new)| (distance(&wanted, &old.to_lowercase()), new));
    let (edits, name) = names.chain(familiar).min_by_key(|(edits, _)| *edits)?;
    (edits <= wanted.len() / LETTERS_PER_EDIT + 1).then_some(name)
}

/// Edits (insert, delete, replace) that turn one text into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = before + usize::from(a != *b);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(before + 1);
        }
    }
    row[to.len()]
}
