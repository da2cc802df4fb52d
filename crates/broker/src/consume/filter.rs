//! Filters on tags. Queue entries carry the tag's hash, so that messages that do not match are never read.
//!
//! Two tags may share a hash: clients compare the text again.

use model::java_hash;

/// Most tags of one expression.
const TAGS_MAX: usize = 1024;

/// Which tags a subscription wants.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum TagFilter {
    /// Any, and messages without tags.
    #[default]
    All,
    /// Those with one of these hashes, in order.
    Hashes(Vec<i32>),
}

/// Why an expression is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The expression has no tag.
    #[error("the expression '{0}' has no tag; write tags separated by ||, or * for all")]
    NoTag(String),
    /// The expression has too many tags.
    #[error("the expression has {0} tags; at most {TAGS_MAX} are allowed")]
    TooManyTags(usize),
    /// The type of the expression is not served.
    #[error("The broker does not support consumer to filter message by {0}")]
    Unsupported(String),
}

impl TagFilter {
    /// Reads `*` or tags separated by `||`; an empty expression means all, as in the original.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn parse(expression: &str) -> Result<Self, FilterError> {
        let expression = expression.trim();
        if expression.is_empty() || expression == "*" {
            return Ok(Self::All);
        }
        let mut hashes: Vec<i32> =
            expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()).map(java_hash).collect();
        if hashes.is_empty() {
            return Err(FilterError::NoTag(expression.to_owned()));
        }
        if hashes.len() > TAGS_MAX {
            return Err(FilterError::TooManyTags(hashes.len()));
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Self::Hashes(hashes))
    }

    /// Reads an expression of a named type; only `TAG` is served.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn parse_typed(kind: Option<&str>, expression: &str) -> Result<Self, FilterError> {
        match kind {
            None | Some("" | "TAG") => Self::parse(expression),
            Some(other) => Err(FilterError::Unsupported(other.to_owned())),
        }
    }

    /// Whether a message whose tags have this hash is wanted.
    #[must_use]
    pub fn wants(&self, tag_hash: i32) -> bool {
        match self {
            Self::All => true,
            Self::Hashes(hashes) => hashes.binary_search(&tag_hash).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_choose_tags() {
        let check = |expression: &str, tag: &str, expected: bool| {
            let filter = TagFilter::parse(expression).unwrap();
            assert_eq!(filter.wants(if tag.is_empty() { 0 } else { java_hash(tag) }), expected, "{expression} {tag}");
        };
        check("*", "", true);
        check("", "a", true);
        check("a || b", "a", true);
        check("a||b", "b", true);
        check("a || b", "c", false);
        check("a", "", false);
        assert!(TagFilter::parse("||").is_err());
        assert!(TagFilter::parse_typed(Some("SQL92"), "a > 1").is_err());
    }
}
