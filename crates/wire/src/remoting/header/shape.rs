//! The shape of a JSON header: what stays the same from one request of a client to the next.
//!
//! Requests that come together are mostly of one kind. Their headers are of one length and differ only in what some texts
//! and the number of the request say; whether that is so is seen in one pass without branches, and nothing is left to
//! parse then.

use super::fields::{LETTERS, Span, Spare};
use super::{Fields, Header};
use crate::remoting::escape::{escape_at, special};
use crate::remoting::field::FieldValue;
use std::ops::Range;

/// What the bits of a byte of a text may do: all may change.
const TEXT: u8 = 0xFF;
/// A digit stays within the sixteen characters that share its upper bits.
const DIGIT: u8 = 0x0F;
/// Bytes that are compared at once.
const WIDTH: usize = 16;
/// Bytes of a header whose shape is worth its memory.
const LENS: Range<usize> = WIDTH..4096;

/// What headers have in common that have the same length and the same fields.
pub(super) struct Shape {
    /// A header of this shape.
    sample: Vec<u8>,
    /// The bits of each byte that may be other ones.
    free: Vec<u8>,
    code: i32,
    language: u8,
    version: i32,
    flag: i32,
    /// Where the digits of `opaque` are.
    opaque: Range<usize>,
    letters: [Span; LETTERS],
    list: Vec<(Span, Span)>,
    /// The decoded texts, in order.
    pieces: Vec<Piece>,
}

/// A part of a text with escapes.
struct Piece {
    /// Bytes of the header that stand for themselves.
    plain: Range<usize>,
    /// What the escape after them stands for.
    escaped: Option<char>,
}

impl Shape {
    /// The shape of a header whose number stands at `opaque`; `None` if it has anything that requests do not usually have.
    pub(super) fn of(header: &Header<'_>, opaque: Range<usize>) -> Option<Self> {
        let (fields, text) = (&header.fields, header.fields.text);
        let is_decoded = |span: &Span| span.in_header().is_none();
        let is_usual = header.remark.is_none() && !fields.list.iter().any(|(name, _)| is_decoded(name));
        number(text, &opaque).filter(|_| is_usual && LENS.contains(&text.len()) && text.is_ascii())?;
        let mut shape = Self {
            sample: text.as_bytes().to_vec(),
            free: vec![0; text.len()],
            code: header.code,
            language: header.language,
            version: header.version,
            flag: header.flag,
            opaque,
            letters: fields.letters,
            list: fields.list.clone(),
            pieces: Vec::new(),
        };
        let values = || fields.letters.iter().chain(fields.list.iter().map(|(_, value)| value));
        for value in values().filter_map(|value| value.in_header()) {
            // What is not quoted is no text: it could become something else altogether.
            if value.start > 0 && shape.sample[value.start - 1] == b'"' {
                shape.free[value].fill(TEXT);
            }
        }
        shape.free[shape.opaque.clone()].fill(DIGIT);
        // Each text of a value that was decoded, and nothing else, was put behind the others.
        let decoded: usize = values().filter(|value| is_decoded(value)).map(|value| value.len()).sum();
        shape.find_pieces(text, &fields.decoded).filter(|()| decoded == fields.decoded.len())?;
        Some(shape)
    }

    /// Finds the texts with escapes; `None` if they are not those that were decoded.
    fn find_pieces(&mut self, text: &str, decoded: &str) -> Option<()> {
        let (mut at, mut left) = (0, decoded);
        while let Some(quote) = text[at..].find('"') {
            at += quote + 1;
            let first = self.pieces.len();
            loop {
                let end = special(&self.sample, at, b'"');
                let escape =
                    if self.sample.get(end)? == &b'"' { None } else { Some(escape_at(&self.sample, end).ok()?) };
                self.pieces.push(Piece { plain: at..end, escaped: escape.map(|(escaped, _)| escaped) });
                at = escape.map_or(end + 1, |(_, after)| after);
                if escape.is_none() {
                    break;
                }
            }
            if self.pieces.len() == first + 1 {
                // Without an escape it was not decoded.
                self.pieces.pop();
            }
            for Piece { plain, escaped } in &self.pieces[first..] {
                left = left.strip_prefix(&text[plain.clone()])?;
                left = escaped.map_or(Some(left), |escaped| left.strip_prefix(escaped))?;
                self.free[plain.clone()].fill(TEXT);
            }
        }
        left.is_empty().then_some(())
    }

    /// The header in `text` if it has this shape; else the memory is given back.
    pub(super) fn read<'a>(&self, text: &'a str, spare: Spare) -> Result<Header<'a>, Spare> {
        let Some(opaque) = self.fits(text.as_bytes()).then(|| number(text, &self.opaque)).flatten() else {
            return Err(spare);
        };
        let mut fields = Fields::of(text, spare);
        for Piece { plain, escaped } in &self.pieces {
            fields.decoded.push_str(&text[plain.clone()]);
            if let Some(escaped) = escaped {
                fields.decoded.push(*escaped);
            }
        }
        fields.letters = self.letters;
        fields.list.extend_from_slice(&self.list);
        let Self { code, language, version, flag, .. } = *self;
        Ok(Header { code, language, version, opaque, flag, remark: None, fields })
    }

    /// Whether only what may change did, and no text ends elsewhere, has other escapes, or is not ASCII.
    fn fits(&self, bytes: &[u8]) -> bool {
        if bytes.len() != self.sample.len() {
            return false;
        }
        // The last ones again with some before them: so none is looked at alone.
        let (whole, last) = (..bytes.len() / WIDTH * WIDTH, bytes.len() - WIDTH..);
        let is_misfit = misfit(&bytes[whole], &self.sample[whole], &self.free[whole])
            | misfit(&bytes[last.clone()], &self.sample[last.clone()], &self.free[last]);
        is_misfit == 0
    }
}

/// Not zero if a byte is another one where it must not be, or is not one that may stand in a text.
#[inline]
fn misfit(bytes: &[u8], sample: &[u8], free: &[u8]) -> u8 {
    let mut wrong = 0;
    for ((byte, sample), free) in bytes.iter().zip(sample).zip(free) {
        let is_bad = (*byte == b'"') | (*byte == b'\\') | !byte.is_ascii();
        wrong |= ((byte ^ sample) & !free) | if is_bad { *free } else { 0 };
    }
    wrong
}

/// Digits and nothing else.
fn number(text: &str, at: &Range<usize>) -> Option<i32> {
    i32::read_usual(&text.as_bytes()[at.clone()])
}
