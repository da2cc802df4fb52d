//! JSON bodies in the original's dialect.
//!
//! Its serializer writes maps with number keys bare, `{0:"a"}`, and maps keyed by objects with the object as key,
//! `{{"brokerName":"a","queueId":7,"topic":"T"}:1}`. Newer clients ask for strict JSON. This module reads both and
//! writes either: [`from_slice`], [`to_vec`].
//!
//! Reading tolerates more, as the original does: single quotes, unquoted keys, extra commas, `NaN`, `Set[…]`, null
//! where a value is wanted, numbers and truths as texts and the other way round.

mod coerce;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{DEPTH_MAX, LooseError, normalise};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Which JSON to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As the standard has it: every key is a quoted text.
    Strict,
    /// As the original writes it: number keys bare, object keys as objects.
    Loose,
}

/// Why a body cannot be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Not JSON in any dialect.
    #[error("body is not JSON: {0}")]
    Syntax(#[from] LooseError),
    /// A list, where fields have names. It would pass for a body whose fields are all absent.
    #[error("body has an unexpected shape: a list, expected an object")]
    List,
    /// JSON, but not of the wanted shape.
    #[error("body has an unexpected shape: {0}")]
    Shape(#[from] serde_json::Error),
}

/// Reads a body, which is an object, in either dialect. Keys that are objects come as their JSON text, as `queue_map` wants them.
///
/// # Errors
/// [`BodyError`] when the body is no JSON or of another shape than `T`.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        normalise(body)?;
        return Err(BodyError::List);
    }
    // Nearly all bodies are strict JSON, and no loose text passes for strict with another meaning.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let strict = normalise(body)?;
    serde_json::from_slice(&strict).or_else(|error| {
        let value = serde_json::from_slice(&strict)?;
        // What went wrong at first says where in the body it was.
        T::deserialize(coerce::Coerced(&value)).map_err(|_| error.into())
    })
}

/// Writes a body.
///
/// # Panics
/// When `value` holds a map whose keys are neither texts nor numbers; no type of [`body`](super::body) does.
pub fn to_vec<T: Serialize + ?Sized>(value: &T, dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::Strict => serde_json::to_vec(value),
        Dialect::Loose => write::to_vec(value),
    }
    .expect("bodies have text and number keys only")
}
