//! Codes, languages and versions, each with its name.
//!
//! They are numbers with constants, not enums: a peer may send any number, and the constants still work as patterns.

mod request;
mod response;

pub use request::RequestCode;
pub use response::ResponseCode;
use std::fmt;

/// Declares a code type with its constants and their names.
macro_rules! codes {
    ($(#[$meta:meta])* $ty:ident $what:literal $($name:ident = $value:literal;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $ty(pub i32);

        impl $ty {
            $(#[doc = concat!("Code ", $value, ".")] pub const $name: Self = Self($value);)*

            /// Every known code.
            pub const ALL: &[Self] = &[$(Self($value)),*];

            /// The name of a known code.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl From<i32> for $ty {
            fn from(code: i32) -> Self {
                Self(code)
            }
        }

        impl From<$ty> for i32 {
            fn from(code: $ty) -> i32 {
                code.0
            }
        }

        /// The name and number of a known code, the bare number of another.
        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name} ({})", self.0),
                    None => write!(f, concat!($what, " {}"), self.0),
                }
            }
        }
    };
}
use codes;

/// The language that a peer says it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(pub u8);

const LANGUAGES: [&str; 14] = [
    "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST",
    "NODE_JS",
];

impl Language {
    /// Java.
    pub const JAVA: Self = Self(0);
    /// C++.
    pub const CPP: Self = Self(1);
    /// Not told or not known.
    pub const OTHER: Self = Self(7);
    /// Go.
    pub const GO: Self = Self(9);
    /// Rust.
    pub const RUST: Self = Self(12);

    /// The name used in JSON; unknown numbers are called `OTHER`.
    pub fn name(self) -> &'static str {
        LANGUAGES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }

    /// The language of that name.
    #[inline]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "JAVA" {
            return Some(Self::JAVA);
        }
        LANGUAGES.iter().position(|known| *known == name).map(|at| Self(at as u8))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The version told to peers: that of 5.5.0, whose protocol this is.
pub const VERSION: i32 = 513;
/// First version that must get routes in strict JSON: 4.9.4.
pub const VERSION_STRICT_JSON: i32 = 401;
/// First version whose compressed registration holds queue mappings: 5.0.0.
pub const VERSION_QUEUE_MAPPING: i32 = 413;
/// Last version that leaves `_UNIQUE_KEY_QUERY` out of signatures: 4.9.3.
pub const VERSION_4_9_3: i32 = 399;

/// Versions whose ordinals are certain. Between two of them the ordinal grows by two for each release (a snapshot and
/// the release), so that a name can be given as "4.9.4 or later".
const VERSION_NAMES: [(i32, &str); 8] = [
    (213, "4.0.0"),
    (399, "4.9.3"),
    (401, "4.9.4"),
    (409, "4.9.8"),
    (413, "5.0.0"),
    (479, "5.3.3"),
    (493, "5.4.0"),
    (513, "5.5.0"),
];

/// What to show people for a peer's version: its name where the ordinal is known, else the next lower one and a `+`.
pub fn version_text(version: i32) -> String {
    match VERSION_NAMES.iter().rev().find(|(ordinal, _)| *ordinal <= version) {
        Some((ordinal, name)) if *ordinal == version => (*name).to_owned(),
        Some((_, name)) => format!("{name}+"),
        None => format!("before 4.0.0 ({version})"),
    }
}

/// Whether a caller of this version wants routes in strict JSON without asking for it.
pub const fn wants_strict_json(version: i32) -> bool {
    version >= VERSION_STRICT_JSON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_and_work_as_patterns() {
        assert_eq!(RequestCode(310).name(), Some("SEND_MESSAGE_V2"));
        assert_eq!(RequestCode(310).to_string(), "SEND_MESSAGE_V2 (310)");
        assert_eq!(RequestCode(9999).to_string(), "request code 9999");
        assert_eq!(ResponseCode(-1000).name(), Some("RPC_UNKNOWN"));
        assert!(matches!(RequestCode::from(11), RequestCode::PULL_MESSAGE));
        assert_eq!(RequestCode::ALL.len(), 173);
    }

    #[test]
    fn languages_and_versions() {
        for (at, name) in LANGUAGES.iter().enumerate() {
            assert_eq!(Language::from_name(name), Some(Language(at as u8)));
            assert_eq!(Language(at as u8).name(), *name);
        }
        assert_eq!(Language(200).name(), "OTHER");
        assert_eq!(version_text(513), "5.5.0");
        assert_eq!(version_text(402), "4.9.4+");
        assert!(wants_strict_json(401) && !wants_strict_json(399));
    }
}
