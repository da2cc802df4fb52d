//! What values an option takes.

use super::Role;

/// What values an option takes. Values travel as text until they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file or folder.
    Path,
    /// A file, or nothing.
    PathOrNone,
    /// An address or a host name.
    Host,
    /// The same, or nothing.
    HostOrNone,
    /// A TCP port.
    Port {
        /// Smallest one.
        min: u64,
    },
    /// `host:port`, any number of them.
    Addresses,
    /// A name of the protocol.
    Name,
    /// The same, or nothing.
    NameOrNone,
    /// A number.
    Count {
        /// Smallest one.
        min: u64,
        /// Largest one.
        max: u64,
    },
    /// A number of bytes, with or without a unit.
    Bytes {
        /// Smallest one.
        min: u64,
        /// Largest one.
        max: u64,
    },
    /// On or off.
    Switch,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Roles of a process.
    Roles,
}

const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// Longest name of a cluster or broker.
const NAME_LEN_MAX: usize = 127;

impl Kind {
    /// Whether a text is such a value; if not, what would be.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        let is_good = match self {
            Self::Path => !text.is_empty(),
            Self::PathOrNone => true,
            Self::Host => is_host(text),
            Self::HostOrNone => text.is_empty() || is_host(text),
            Self::Port { min } => text.parse::<u16>().is_ok_and(|port| u64::from(port) >= min),
            Self::Addresses => addresses(text).all(is_address),
            Self::Name => is_name(text),
            Self::NameOrNone => text.is_empty() || is_name(text),
            Self::Count { min, max } => count(text).is_some_and(|count| (min..=max).contains(&count)),
            Self::Bytes { min, max } => bytes(text).is_some_and(|count| (min..=max).contains(&count)),
            Self::Switch => matches!(text, "true" | "false"),
            Self::OneOf(words) => words.contains(&text),
            Self::Roles => roles(text).is_ok(),
        };
        match is_good {
            true => Ok(()),
            false if self == Self::Roles => Err(roles(text).err().unwrap_or_else(|| self.allowed())),
            false => Err(self.allowed()),
        }
    }

    /// What is allowed, for people.
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Path => "a path".to_owned(),
            Self::PathOrNone => "a path, or empty".to_owned(),
            Self::Host => "an address or a host name".to_owned(),
            Self::HostOrNone => "an address or a host name, or empty".to_owned(),
            Self::Port { min } => format!("{min} – 65535"),
            Self::Addresses => "host:port, separated by commas, or empty".to_owned(),
            Self::Name => format!("1 – {NAME_LEN_MAX} letters, digits, or any of % | - _ ."),
            Self::NameOrNone => format!("up to {NAME_LEN_MAX} letters, digits, or any of % | - _ ."),
            Self::Count { min, max } => format!("{min} – {max}"),
            Self::Bytes { min, max } => format!("{} – {}", bytes_text(min), bytes_text(max)),
            Self::Switch => "true or false".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::Roles => Role::BUILT.map(Role::name).join(", "),
        }
    }

    /// Whether the value is written without quotes in TOML.
    pub(crate) fn is_bare(self) -> bool {
        matches!(self, Self::Port { .. } | Self::Count { .. } | Self::Switch)
    }
}

fn is_host(text: &str) -> bool {
    let is_label_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.parse::<std::net::IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(is_label_char))
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    is_host(host.trim_start_matches('[').trim_end_matches(']')) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_name(text: &str) -> bool {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '-' | '_' | '.');
    (1..=NAME_LEN_MAX).contains(&text.len()) && text.chars().all(is_name_char)
}

/// The parts of a list of addresses. The familiar semicolon separates too.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty())
}

/// A number, with `_` allowed between digits.
pub(super) fn count(text: &str) -> Option<u64> {
    text.replace('_', "").parse().ok()
}

/// A number of bytes: `4194304`, `4MiB`, `4 MiB`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    for (unit, size) in UNITS {
        if let Some(number) = text.strip_suffix(unit) {
            return count(number.trim())?.checked_mul(size);
        }
    }
    count(text)
}

/// A number of bytes in the largest unit that divides it.
pub(super) fn bytes_text(bytes: u64) -> String {
    match UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

/// The roles in a list; or why they cannot be had.
pub(super) fn roles(text: &str) -> Result<Vec<Role>, String> {
    let mut roles = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let role = Role::from_name(name)?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    if roles.is_empty() {
        Err(format!("at least one of {}", Role::BUILT.map(Role::name).join(", ")))
    } else {
        Ok(roles)
    }
}
