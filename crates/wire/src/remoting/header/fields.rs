//! Extension fields of a header.

use super::{FIELDS_MAX, HeaderError};
use std::borrow::Cow;

/// Room for the fields of nearly every request, so that one allocation does.
const FIELDS_USUAL: usize = 16;

/// Extension fields in the order sent; of equal names the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    list: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Fields<'a> {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().rev().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    /// The names and values in the order sent, doubles included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.list.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many were sent.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none was sent.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The same fields, owned.
    pub fn into_owned(self) -> Fields<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Fields { list: self.list.into_iter().map(|(name, value)| (own(name), own(value))).collect() }
    }

    #[inline]
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), HeaderError> {
        if self.list.len() >= FIELDS_MAX {
            return Err(HeaderError::TooManyFields { limit: FIELDS_MAX });
        }
        if self.list.capacity() == 0 {
            self.list.reserve_exact(FIELDS_USUAL);
        }
        self.list.push((name, value));
        Ok(())
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { list: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}
