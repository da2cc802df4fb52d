//! Values in another dress: numbers and truths as texts, texts as numbers.
//!
//! The original takes `"7"` where it wants a number and `7` where it wants a text, and clients in other languages rely
//! on it: those in C++ quote versions, those in Go quote hashes.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde_json::{Error, Value};

/// A value that turns into what is wanted of it, if that loses nothing.
#[derive(Clone, Copy)]
pub(super) struct Coerced<'de>(pub(super) &'de Value);

/// The key of a map.
#[derive(Clone, Copy)]
pub(super) struct Key<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Error> for Coerced<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> IntoDeserializer<'de, Error> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Calls for a number written as text, if it is one; else for the text.
fn visit_number<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    let text = text.trim();
    match (text.parse::<i64>(), text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(number), ..) => visitor.visit_i64(number),
        (_, Ok(number), _) => visitor.visit_u64(number),
        (.., Ok(number)) => visitor.visit_f64(number),
        _ => visitor.visit_borrowed_str(text),
    }
}

fn visit_bool<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    match text {
        "true" | "TRUE" | "1" => visitor.visit_bool(true),
        "false" | "FALSE" | "0" => visitor.visit_bool(false),
        _ => visitor.visit_borrowed_str(text),
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                Value::String(text) => visit_number(text, visitor),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! key_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visit_number(self.0, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Coerced<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Coerced))),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| (Key(key), Coerced(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visit_bool(text, visitor),
            Value::Number(number) => visitor.visit_bool(number.as_f64() != Some(0.0)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Number(number) => visitor.visit_string(number.to_string()),
            Value::Bool(truth) => visitor.visit_string(truth.to_string()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_f64
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    key_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 i128 u128 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        enum identifier ignored_any
    }
}
