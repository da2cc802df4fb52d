//! Extension fields of a header.
//!
//! Each name and value is a range, in the header's own text or, when it had to be decoded, in one text beside it. That
//! keeps a field at 16 bytes and a header at two allocations, whatever its fields. Sends, by far the most frequent requests,
//! name their fields by one letter: those have a place of their own.

use super::{FIELDS_MAX, HeaderError};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Room for the fields of nearly every request, so that one allocation does.
const FIELDS_USUAL: usize = 16;

/// Bytes of decoded text whose memory is kept for the next header.
const SPARE_TEXT_MAX: usize = 4096;

/// Letters that have a place of their own, from `a` on.
pub(super) const LETTERS: usize = 16;
/// Their names.
const LETTER_NAMES: &str = "abcdefghijklmnop";

/// Extension fields; of equal names the last counts.
#[derive(Clone, Default)]
pub struct Fields<'a> {
    pub(super) text: &'a str,
    /// Texts that held escapes, or all of them.
    pub(super) decoded: String,
    pub(super) letters: [Span; LETTERS],
    /// Name and value of the others, in the order sent.
    pub(super) list: Vec<(Span, Span)>,
}

/// Memory of a header that is no more.
#[derive(Default)]
pub(super) struct Spare {
    pub(super) text: String,
    pub(super) list: Vec<(Span, Span)>,
}

/// A range of bytes in the header, or in the decoded text when its start bears [`DECODED`]. Headers are far below 2 GiB.
/// The default, which no text has because a header begins with a brace, stands for none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
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

    /// Where it is, unless in the decoded text. The default is nowhere.
    pub(super) fn in_header(self) -> Option<Range<usize>> {
        (self.text() == 0).then(|| self.range())
    }

    pub(super) fn len(self) -> usize {
        self.range().len()
    }

    /// Its part of the header's text or of the decoded one. Spans are made of whole characters: there always is one.
    #[inline(always)]
    fn of<'t>(self, texts: &[&'t str; 2]) -> Option<&'t str> {
        texts[self.text()].get(self.range())
    }

    /// Which of the two texts it lies in.
    #[inline(always)]
    fn text(self) -> usize {
        (self.start / DECODED) as usize
    }

    #[inline(always)]
    fn range(self) -> Range<usize> {
        (self.start & !DECODED) as usize..self.end as usize
    }
}

impl<'a> Fields<'a> {
    /// No fields yet, of a header with this text, in this memory.
    #[inline]
    pub(super) fn of(text: &'a str, spare: Spare) -> Self {
        Self { text, decoded: spare.text, letters: [Span::default(); LETTERS], list: spare.list }
    }

    /// The memory, emptied.
    pub(super) fn into_spare(self) -> Spare {
        let (mut text, mut list) = (self.decoded, self.list);
        text.clear();
        text.shrink_to(SPARE_TEXT_MAX);
        list.clear();
        Spare { text, list }
    }

    /// Fields whose texts all lie in `decoded`.
    pub(super) fn of_decoded(decoded: String, list: Vec<(Span, Span)>) -> Self {
        let mut fields = Self::of("", Spare { text: decoded, list });
        fields.place_decoded();
        fields
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        match name.as_bytes() {
            [letter @ b'a'..=b'p'] => self.letters().text(usize::from(letter - b'a')),
            _ => self.list.iter().rev().find(|(n, _)| self.resolve(*n) == name).map(|(_, value)| self.resolve(*value)),
        }
    }

    /// The names and values: those named by one letter, then the others in the order sent, doubles included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let letters = self.letters();
        let named = (0..LETTERS).filter_map(move |at| Some((&LETTER_NAMES[at..=at], letters.text(at)?)));
        named.chain(self.list.iter().map(|(name, value)| (self.resolve(*name), self.resolve(*value))))
    }

    /// The fields that are named by a letter.
    #[inline]
    pub(crate) fn letters(&self) -> Letters<'_> {
        Letters { spans: &self.letters, texts: self.texts() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len() + self.letters.iter().filter(|value| **value != Span::default()).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same fields, owned.
    pub fn into_owned(self) -> Fields<'static> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[inline]
    fn resolve(&self, span: Span) -> &str {
        span.of(&self.texts()).unwrap_or_default()
    }

    #[inline(always)]
    fn texts(&self) -> [&str; 2] {
        [self.text, &self.decoded]
    }

    /// Whether no text, all of them decoded, ends within a character.
    pub(super) fn end_in_whole_characters(&self) -> bool {
        let others = self.list.iter().flat_map(|(name, value)| [name, value]);
        self.letters.iter().chain(others).all(|span| self.decoded.is_char_boundary(span.end as usize))
    }

    /// Puts decoded names of one letter where they belong; they are known only when all is read.
    #[inline]
    pub(super) fn place_decoded(&mut self) {
        if self.list.is_empty() || self.decoded.is_empty() {
            return;
        }
        let (from, letters) = (self.decoded.as_bytes(), &mut self.letters);
        self.list.retain(|(name, value)| {
            let start = (name.start & !DECODED) as usize;
            let is_letter = name.start & DECODED != 0 && name.end as usize == start + 1;
            let Some(place) = (if is_letter { letter(from[start]) } else { None }) else { return true };
            letters[place] = *value;
            false
        });
    }

    #[inline]
    pub(super) fn push(&mut self, name: Span, value: Span) -> Result<(), HeaderError> {
        let is_letter = name.start & DECODED == 0 && name.end == name.start + 1;
        if is_letter && let Some(place) = letter(self.text.as_bytes()[name.start as usize]) {
            self.letters[place] = value;
            return Ok(());
        }
        if self.list.len() >= FIELDS_MAX {
            return Err(HeaderError::TooManyFields { limit: FIELDS_MAX });
        }
        if self.list.capacity() == 0 {
            self.list.reserve(FIELDS_USUAL);
        }
        self.list.push((name, value));
        Ok(())
    }
}

/// The values of the fields that are named by a letter, by its place in the alphabet.
pub(crate) struct Letters<'a> {
    spans: &'a [Span; LETTERS],
    texts: [&'a str; 2],
}

impl<'a> Letters<'a> {
    #[inline]
    pub(crate) fn has(&self, at: usize) -> bool {
        self.spans[at] != Span::default()
    }

    #[inline]
    pub(crate) fn text(&self, at: usize) -> Option<&'a str> {
        if self.has(at) { self.spans[at].of(&self.texts) } else { None }
    }

    /// The same as bytes; none of them if there is no such field.
    #[inline(always)]
    pub(crate) fn bytes(&self, at: usize) -> &'a [u8] {
        let span = self.spans[at];
        self.texts[span.text()].as_bytes().get(span.range()).unwrap_or_default()
    }
}

/// The place of a name of one letter.
#[inline]
pub(super) fn letter(name: u8) -> Option<usize> {
    let place = usize::from(name.wrapping_sub(b'a'));
    (place < LETTERS).then_some(place)
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
        let (mut decoded, mut list) = (String::new(), Vec::new());
        for (name, value) in pairs {
            let start = decoded.len();
            decoded.push_str(&name.into());
            let middle = decoded.len();
            decoded.push_str(&value.into());
            list.push((Span::decoded(start, middle), Span::decoded(middle, decoded.len())));
        }
        Self::of_decoded(decoded, list)
    }
}
