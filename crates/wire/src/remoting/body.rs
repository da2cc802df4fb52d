//! JSON bodies.
//!
//! Unknown members are ignored and missing ones take the original's defaults. Read with
//! [`loose_json::from_slice`](super::loose_json::from_slice), write with [`loose_json::to_vec`](super::loose_json::to_vec).
//! Maps are sorted, so equal values give equal bytes.

mod admin;
mod client;
mod config;
mod queue;
mod route;
mod stats;
#[cfg(test)]
mod tests;
mod timer;

pub use admin::*;
pub use client::*;
pub use config::*;
pub use queue::*;
pub use route::*;
pub use stats::*;
pub use timer::*;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Declares a body: camel-case members, all defaulted, absent options left out.
macro_rules! body {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$field_meta])* #[doc = concat!("Member `", stringify!($field), "` in camel case.")] pub $field: $ty),*
        }
    )*};
}

/// Declares an enum that travels by its name; ordinals, which some clients send, are read too.
macro_rules! named {
    ($($(#[$meta:meta])* pub enum $name:ident { $($variant:ident = $text:literal),* $(,)? } default $default:ident)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = concat!("`", $text, "`.")] $variant),* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The value of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("one of", $(" ", $text),*))
                    }
                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$name, E> {
                        $name::from_name(name).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(name), &self))
                    }
                    fn visit_u64<E: serde::de::Error>(self, at: u64) -> Result<$name, E> {
                        let found = usize::try_from(at).ok().and_then(|at| $name::ALL.get(at)).copied();
                        found.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(at), &self))
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    )*};
}
use {body, named};

body! {
    /// Versions of a configuration: it changed when any of the three differs.
    #[derive(Copy, Eq)]
    pub struct DataVersion {
        state_version: i64,
        timestamp: i64,
        counter: i64,
    }

    /// Texts by name: order configuration, runtime information, name server configuration.
    #[derive(Eq)]
    pub struct KvTable {
        table: BTreeMap<String, String>,
    }

    /// Names of topics.
    #[derive(Eq)]
    pub struct TopicList {
        topic_list: BTreeSet<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        broker_addr: Option<String>,
    }

    /// Names of groups.
    #[derive(Eq)]
    pub struct GroupList {
        group_list: BTreeSet<String>,
    }
}

/// A JSON object kept as it is, where only the client knows what it holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opaque(pub serde_json::Map<String, serde_json::Value>);
