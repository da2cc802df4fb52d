//! What is kept from one header to the next.

use super::fields::Spare;
use super::shape::Shape;
use super::{Header, HeaderError, binary, json};
use crate::remoting::frame::{Encoding, RawFrame};
use std::ops::Range;

/// Most headers whose memory is kept.
const SPARES_MAX: usize = 32;
/// Most shapes that are known at a time, each of another length.
const SHAPES_MAX: usize = 16;
/// Headers of one length in a row that have no known shape, until the shape of the last one becomes known.
const MISFITS_MAX: usize = 2;

/// Decodes headers within the memory of earlier ones: a door that decodes one after the other allocates for the first ones
/// only, and knows what most of them look like.
#[derive(Default)]
pub struct Memory {
    spares: Vec<Spare>,
    shapes: Shapes,
}

impl Memory {
    /// Decodes the header of `frame`.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn parse<'a>(&mut self, frame: &RawFrame<'a>) -> Result<Header<'a>, HeaderError> {
        let spare = self.spares.pop().unwrap_or_default();
        match frame.encoding {
            Encoding::Json => json::parse(frame.header, spare, Some(&mut self.shapes)),
            Encoding::Binary => binary::parse(frame.header, spare),
        }
    }

    /// Takes the memory of a header that is not needed any more.
    pub fn take_back(&mut self, header: Header<'_>) {
        if self.spares.len() < SPARES_MAX {
            self.spares.push(header.fields.into_spare());
        }
    }
}

/// The shapes of the last headers.
#[derive(Default)]
pub(super) struct Shapes {
    /// Those used last come first.
    known: Vec<Known>,
}

/// What is known of headers of one length.
struct Known {
    header_len: usize,
    shape: Option<Box<Shape>>,
    /// Headers since the last one that had this shape.
    misfits: usize,
}

impl Shapes {
    /// The header in `text` if its shape is known; else the memory is given back.
    pub(super) fn read<'a>(&mut self, text: &'a str, spare: Spare) -> Result<Header<'a>, Spare> {
        let Some(at) = self.known.iter().position(|known| known.header_len == text.len()) else { return Err(spare) };
        self.known[..=at].rotate_right(1);
        let known = &mut self.known[0];
        let read = match &known.shape {
            Some(shape) => shape.read(text, spare),
            None => Err(spare),
        };
        known.misfits = if read.is_ok() { 0 } else { known.misfits + 1 };
        read
    }

    /// Takes note of a header whose shape was not known and whose number stands at `opaque`.
    pub(super) fn note(&mut self, header: &Header<'_>, opaque: Range<usize>) {
        let header_len = header.fields.text.len();
        match self.known.first_mut() {
            Some(known) if known.header_len == header_len => {
                if known.misfits >= MISFITS_MAX {
                    (known.shape, known.misfits) = (Shape::of(header, opaque).map(Box::new), 0);
                }
            }
            _ => {
                self.known.truncate(SHAPES_MAX - 1);
                self.known.insert(0, Known { header_len, shape: None, misfits: 1 });
            }
        }
    }
}
