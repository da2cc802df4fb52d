//! Queues, and maps keyed by them.

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A queue in the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageQueue {
    /// Name of the broker, not its address.
    pub broker_name: String,
    /// Number within topic and broker.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// Values by queue. The original writes the queue itself as key; strict JSON has its text instead.
pub type QueueMap<V> = BTreeMap<MessageQueue, V>;

/// How the key text of a queue begins, by which the loose writer knows it.
pub(crate) const QUEUE_KEY_PREFIX: &str = "{\"brokerName\":";

/// For `#[serde(with = …)]` on a [`QueueMap`].
pub mod queue_map {
    use super::*;

    /// Writes each queue as its JSON text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, V: Serialize>(map: &QueueMap<V>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(map.len()))?;
        for (queue, value) in map {
            let key = serde_json::to_string(queue).map_err(serde::ser::Error::custom)?;
            out.serialize_entry(&key, value)?;
        }
        out.end()
    }

    /// Reads keys that are JSON texts of queues, as [`normalise`](crate::remoting::loose_json::normalise) leaves them.
    ///
    /// # Errors
    /// When a key is no queue.
    pub fn deserialize<'de, D, V>(deserializer: D) -> Result<QueueMap<V>, D::Error>
    where
        D: Deserializer<'de>,
        V: DeserializeOwned,
    {
        deserializer.deserialize_map(QueueMapVisitor(PhantomData))
    }
}

struct QueueMapVisitor<V>(PhantomData<V>);

impl<'de, V: DeserializeOwned> Visitor<'de> for QueueMapVisitor<V> {
    type Value = QueueMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map keyed by queues")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<QueueMap<V>, A::Error> {
        let mut out = QueueMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let queue = serde_json::from_str(&key).map_err(A::Error::custom)?;
            out.insert(queue, map.next_value()?);
        }
        Ok(out)
    }
}
