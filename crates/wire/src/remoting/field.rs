//! Extension fields as typed structs: the `header_fields!` declaration and what it needs.

use thiserror::Error;

/// A field is missing or not what it must be; answered with `INVALID_PARAMETER` or `SYSTEM_ERROR` by the door.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum FieldError {
    /// Required and not sent.
    #[error("required field '{name}' is missing")]
    Missing {
        /// Name on the wire.
        name: &'static str,
    },
    /// Sent, but not of its type.
    #[error("field '{name}' is '{value}', expected {expected}")]
    Bad {
        /// Name on the wire.
        name: &'static str,
        /// As sent, cut to 64 characters.
        value: String,
        /// What would have been right.
        expected: &'static str,
    },
}

impl FieldError {
    /// A field that was sent but does not mean anything.
    pub fn bad(name: &'static str, value: &str, expected: &'static str) -> Self {
        FieldError::Bad { name, value: value.chars().take(64).collect(), expected }
    }
}

/// Where the fields of a typed header are written to.
pub trait FieldSink {
    /// Adds a text.
    fn text(&mut self, name: &str, value: &str);
    /// Adds a number.
    fn integer(&mut self, name: &str, value: i64);
}

/// Collects fields as text, for signing and tests.
impl FieldSink for Vec<(String, String)> {
    fn text(&mut self, name: &str, value: &str) {
        self.push((name.to_owned(), value.to_owned()));
    }

    fn integer(&mut self, name: &str, value: i64) {
        self.push((name.to_owned(), value.to_string()));
    }
}

/// One value in the form it has in a typed header.
pub trait FieldValue<'a>: Sized {
    /// Reads the value sent for `name`, if any.
    ///
    /// # Errors
    /// [`FieldError`] when it is required and missing, or not of its type.
    fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError>;

    /// The same as [`FieldValue::read`], of a usual value that need not be looked at as a text; `None` if it is not one,
    /// as an empty one never is.
    #[inline(always)]
    fn read_usual(_value: &[u8]) -> Option<Self> {
        None
    }

    /// Writes the value, or nothing when it is an absent optional one.
    fn write(&self, name: &str, sink: &mut impl FieldSink);
}

impl<'a> FieldValue<'a> for &'a str {
    #[inline]
    fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError> {
        value.ok_or(FieldError::Missing { name })
    }

    fn write(&self, name: &str, sink: &mut impl FieldSink) {
        sink.text(name, self);
    }
}

/// Like the original: any case of `true` is true, everything else false.
impl<'a> FieldValue<'a> for bool {
    #[inline]
    fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError> {
        Ok(value.ok_or(FieldError::Missing { name })?.eq_ignore_ascii_case("true"))
    }

    #[inline(always)]
    fn read_usual(value: &[u8]) -> Option<Self> {
        (!value.is_empty()).then(|| value.eq_ignore_ascii_case(b"true"))
    }

    fn write(&self, name: &str, sink: &mut impl FieldSink) {
        sink.text(name, if *self { "true" } else { "false" });
    }
}

/// The usual case of a number: up to 18 digits and nothing else. A send has eight of them.
#[inline]
fn digits(text: &[u8]) -> Option<u64> {
    if let [digit @ b'0'..=b'9'] = text {
        return Some(u64::from(digit - b'0'));
    }
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

macro_rules! integer_value {
    ($($ty:ty, $expected:literal);* $(;)?) => {$(
        impl<'a> FieldValue<'a> for $ty {
            #[inline]
            fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError> {
                let value = value.ok_or(FieldError::Missing { name })?;
                if let Some(number) = Self::read_usual(value.as_bytes()) {
                    return Ok(number);
                }
                value.parse().map_err(|_| FieldError::bad(name, value, $expected))
            }

            #[inline(always)]
            fn read_usual(value: &[u8]) -> Option<Self> {
                digits(value)?.try_into().ok()
            }

            fn write(&self, name: &str, sink: &mut impl FieldSink) {
                sink.integer(name, i64::from(*self));
            }
        }
    )*};
}
integer_value! {
    i32, "an integer of 32 bits";
    i64, "an integer of 64 bits";
    u32, "an unsigned integer of 32 bits";
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    #[inline]
    fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError> {
        match value {
            // An empty number stands for none, as in the compact encoding.
            None | Some("") => Ok(None),
            value => T::read(name, value).map(Some),
        }
    }

    #[inline(always)]
    fn read_usual(value: &[u8]) -> Option<Self> {
        if value.is_empty() { None } else { T::read_usual(value).map(Some) }
    }

    fn write(&self, name: &str, sink: &mut impl FieldSink) {
        if let Some(value) = self {
            value.write(name, sink);
        }
    }
}

/// A field that is always written, and that a peer may leave out: its default then stands for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrDefault<T>(pub T);

impl<'a, T: FieldValue<'a> + Default> FieldValue<'a> for OrDefault<T> {
    #[inline]
    fn read(name: &'static str, value: Option<&'a str>) -> Result<Self, FieldError> {
        Ok(Self(Option::read(name, value)?.unwrap_or_default()))
    }

    #[inline(always)]
    fn read_usual(value: &[u8]) -> Option<Self> {
        T::read_usual(value).map(Self)
    }

    fn write(&self, name: &str, sink: &mut impl FieldSink) {
        self.0.write(name, sink);
    }
}

/// Declares a typed header: `name: type = "nameOnTheWire"` for each field; `Option` and [`OrDefault`] mark what may be
/// missing.
///
/// Gives the struct, `parse(&Fields)`, which reads each sent field once, and `write(&mut impl FieldSink)`.
macro_rules! header_fields {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$lt:lifetime>)? { $($field:ident: $ty:ty = $wire:literal),* $(,)? }
    )*) => {$(
        $crate::remoting::field::header_fields!(@struct [$(#[$meta])*] $name [$($lt)?] $($field: $ty = $wire),*);
    )*};
    (@struct [$($meta:tt)*] $name:ident [] $($field:ident: $ty:ty = $wire:literal),*) => {
        $($meta)*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $(#[doc = concat!("Field `", $wire, "`.")] pub $field: $ty),* }
        impl $name {
            $crate::remoting::field::header_fields!(@methods '_ $($field: $ty = $wire),*);
        }
    };
    (@struct [$($meta:tt)*] $name:ident [$lt:lifetime] $($field:ident: $ty:ty = $wire:literal),*) => {
        $($meta)*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name<$lt> { $(#[doc = concat!("Field `", $wire, "`.")] pub $field: $ty),* }
        impl<$lt> $name<$lt> {
            $crate::remoting::field::header_fields!(@methods $lt $($field: $ty = $wire),*);
        }
    };
    (@methods $lt:lifetime $($field:ident: $ty:ty = $wire:literal),*) => {
        /// Reads the fields.
        ///
        /// # Errors
        /// [`FieldError`](crate::remoting::FieldError) names the first field that is missing or malformed.
        pub fn parse(fields: &$lt $crate::remoting::Fields<'_>) -> Result<Self, $crate::remoting::FieldError> {
            $(let mut $field = None;)*
            for (name, value) in fields.iter() {
                match name {
                    $($wire => $field = Some(value),)*
                    _ => {}
                }
            }
            Ok(Self { $($field: $crate::remoting::field::FieldValue::read($wire, $field)?),* })
        }

        /// Writes the fields that are present.
        pub fn write(&self, sink: &mut impl $crate::remoting::FieldSink) {
            $($crate::remoting::field::FieldValue::write(&self.$field, $wire, sink);)*
        }
    };
}
pub(crate) use header_fields;
