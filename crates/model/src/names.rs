//! Names of topics and groups, and what the original allows in them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Longest name of a user's topic, in bytes. Retry and dead-letter topics may have 255.
pub const TOPIC_LEN_MAX: usize = 127;
/// Longest name of a retry or dead-letter topic, in bytes.
const DERIVED_TOPIC_LEN_MAX: usize = 255;
/// Longest name of a group, in bytes.
pub const GROUP_LEN_MAX: usize = 120;

const RETRY_PREFIX: &str = "%RETRY%";
const DEAD_LETTER_PREFIX: &str = "%DLQ%";

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name was given.
    #[error("the {what} name is blank; give a name")]
    Blank {
        /// `topic` or `group`.
        what: &'static str,
    },
    /// The name is too long.
    #[error("the {what} name has {len} bytes; at most {max} are allowed")]
    TooLong {
        /// `topic` or `group`.
        what: &'static str,
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The name has a character that is not allowed.
    #[error("the {what} name '{name}' has the character {found:?}; allowed are letters, digits, and any of % | - _")]
    Character {
        /// `topic` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
}

fn check(what: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank { what });
    }
    if name.len() > max {
        return Err(NameError::TooLong { what, len: name.len(), max });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '-' | '_');
    match name.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(NameError::Character { what, name: name.to_owned(), found }),
        None => Ok(()),
    }
}

/// A topic's name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Topic(Arc<str>);

impl Topic {
    /// A checked name.
    ///
    /// # Errors
    /// [`NameError`] if it is blank, too long or has a character that is not allowed.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let derived = name.starts_with(RETRY_PREFIX) || name.starts_with(DEAD_LETTER_PREFIX);
        check("topic", name, if derived { DERIVED_TOPIC_LEN_MAX } else { TOPIC_LEN_MAX })?;
        Ok(Self(name.into()))
    }

    /// A name that is known to be good: a constant, or one read back from a store that checked it.
    #[must_use]
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }

    /// Where a group's failed messages wait for their next delivery.
    #[must_use]
    pub fn retry_of(group: &Group) -> Self {
        Self(format!("{RETRY_PREFIX}{group}").into())
    }

    /// Where a group's hopeless messages end.
    #[must_use]
    pub fn dead_letter_of(group: &Group) -> Self {
        Self(format!("{DEAD_LETTER_PREFIX}{group}").into())
    }

    /// The group whose retry topic this is.
    #[must_use]
    pub fn retry_group(&self) -> Option<Group> {
        self.0.strip_prefix(RETRY_PREFIX).map(Group::from_stored)
    }

    /// The group whose dead-letter topic this is.
    #[must_use]
    pub fn dead_letter_group(&self) -> Option<Group> {
        self.0.strip_prefix(DEAD_LETTER_PREFIX).map(Group::from_stored)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A producer or consumer group's name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(Arc<str>);

impl Group {
    /// A checked name.
    ///
    /// # Errors
    /// [`NameError`] if it is blank, too long or has a character that is not allowed.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check("group", name, GROUP_LEN_MAX)?;
        Ok(Self(name.into()))
    }

    /// A name that is known to be good.
    #[must_use]
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Group {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Java's `String.hashCode` (over UTF-16 units): what tag filters on both sides of the wire compare.
#[must_use]
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_original() {
        let check = |name: &str, good: bool| assert_eq!(Topic::new(name).is_ok(), good, "{name}");
        check("orders", true);
        check("a%b|c-d_E9", true);
        check("", false);
        check("  ", false);
        check("with space", false);
        check("dot.dot", false);
        check("größe", false);
        check(&"x".repeat(127), true);
        check(&"x".repeat(128), false);
        check(&format!("%RETRY%{}", "x".repeat(200)), true);
    }

    #[test]
    fn the_hash_is_javas() {
        let check = |text: &str, expected: i32| assert_eq!(java_hash(text), expected, "{text}");
        check("", 0);
        check("TagA", 2598919);
        check("hello", 99_162_322);
        check("polygenelubricants", i32::MIN);
    }

    #[test]
    fn derived_topics_name_their_group() {
        let group = Group::new("g1").unwrap();
        assert_eq!(Topic::retry_of(&group).as_str(), "%RETRY%g1");
        assert_eq!(Topic::retry_of(&group).retry_group(), Some(group.clone()));
        assert_eq!(Topic::dead_letter_of(&group).dead_letter_group(), Some(group));
        assert_eq!(Topic::new("g1").unwrap().retry_group(), None);
    }
}
