//! Extension fields of a header.
//!
//! Each name and value is a range, in the header's own text or, when it had to be decoded, in one text beside it. That
//! keeps a field at 16 bytes and a header at two allocations, whatever its fields.

use super::{FIELDS_MAX, HeaderError};
use std::borrow::Cow;
use std::fmt;

/// Room for the fields of nearly every request, so that one allocation does.
pub(super) const FIELDS_USUAL: usize = 16;

/// Extension fields in the order sent; of equal names the last counts.
#[derive(Clone, Default)]
pub struct Fields<'a> {
    text: &'a str,
    decoded: String,
    list: Vec<(Span, Span)>,
}

/// Memory of a header that is no more: a door that decodes one header after the other allocates for the first only.
#[derive(Default)]
pub struct Spare {
    pub(super) text: Vec<u8>,
    pub(super) list: Vec<(Span, Span)>,
}

/// A range of bytes in the header, or in the decoded text when its start bears [`DECODED`]. Headers are far below 2 GiB.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

const DECODED: u32 = 1 << 31;

impl Span {
    #[inline]
    pub(super) fn plain(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(super) fn decoded(start: usize, end: usize) -> Self {
        Self { start: start as u32 | DECODED, end: end as u32 }
    }

    pub(super) fn ends_a_character(self, text: &str) -> bool {
        text.is_char_boundary(self.end as usize)
    }
}

impl<'a> Fields<'a> {
    /// No fields yet, of a header with this text.
    #[inline]
    pub(super) fn of(text: &'a str, mut list: Vec<(Span, Span)>) -> Self {
        list.reserve(FIELDS_USUAL);
        Self { text, decoded: String::new(), list }
    }

    /// The memory, emptied.
    pub(super) fn into_spare(self) -> Spare {
        let (mut text, mut list) = (self.decoded.into_bytes(), self.list);
        text.clear();
        list.clear();
        Spare { text, list }
    }

    /// Fields whose texts all lie in `decoded`.
    pub(super) fn of_decoded(decoded: String, list: Vec<(Span, Span)>) -> Self {
        Self { text: "", decoded, list }
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().rev().find(|(n, _)| self.resolve(*n) == name).map(|(_, value)| self.resolve(*value))
    }

    /// The names and values in the order sent, doubles included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.list.iter().map(|(name, value)| (self.resolve(*name), self.resolve(*value)))
    }

    /// The values of the fields that are named by one letter, the first `N` letters from `a`; each other field is given
    /// to `other`.
    #[inline]
    pub(crate) fn by_letter<'f, const N: usize>(
        &'f self,
        mut other: impl FnMut(&'f str, &'f str),
    ) -> [Option<&'f str>; N] {
        let mut values = [None; N];
        for (name, value) in &self.list {
            match self.letter(*name).and_then(|letter| values.get_mut(usize::from(letter.wrapping_sub(b'a')))) {
                Some(slot) => *slot = Some(self.resolve(*value)),
                None => other(self.resolve(*name), self.resolve(*value)),
            }
        }
        values
    }

    /// The only byte of a text.
    #[inline]
    fn letter(&self, span: Span) -> Option<u8> {
        let (from, start) = self.place(span);
        let is_one = span.end as usize == start + 1;
        is_one.then(|| from.as_bytes().get(start).copied()).flatten()
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
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[inline]
    fn resolve(&self, span: Span) -> &str {
        let (from, start) = self.place(span);
        // Spans are made of whole characters, so the default is never taken.
        from.get(start..span.end as usize).unwrap_or_default()
    }

    /// The text that a span lies in, and where in it.
    #[inline]
    fn place(&self, span: Span) -> (&str, usize) {
        let from = if span.start & DECODED == 0 { self.text } else { &self.decoded };
        (from, (span.start & !DECODED) as usize)
    }

    /// Gives the text that [`Span::decoded`] points into.
    #[inline]
    pub(super) fn set_decoded(&mut self, decoded: String) {
        self.decoded = decoded;
    }

    #[inline]
    pub(super) fn push(&mut self, name: Span, value: Span) -> Result<(), HeaderError> {
        if self.list.len() >= FIELDS_MAX {
            return Err(HeaderError::TooManyFields { limit: FIELDS_MAX });
        }
        self.list.push((name, value));
        Ok(())
    }
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Fields<'_> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            let start = fields.decoded.len();
            fields.decoded.push_str(&name.into());
            let middle = fields.decoded.len();
            fields.decoded.push_str(&value.into());
            let end = fields.decoded.len();
            fields.list.push((Span::decoded(start, middle), Span::decoded(middle, end)));
        }
        fields
    }
}
