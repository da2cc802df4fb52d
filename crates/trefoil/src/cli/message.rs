//! A message as the command line prints it.

use super::time;
use model::record::Record;
use model::{properties, sys_flag};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::remoting::inflate::inflate;

/// Largest body that is decompressed, in bytes.
const BODY_BYTES_MAX: usize = 128 << 20;

/// A message.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) broker: String,
    pub(super) queue: u32,
    pub(super) offset: u64,
    pub(super) id: String,
    pub(super) born_timestamp: i64,
    pub(super) store_timestamp: i64,
    pub(super) attempt: i32,
    pub(super) tag: Option<String>,
    pub(super) keys: Option<String>,
    pub(super) properties: BTreeMap<String, String>,
    /// The body, if it is text.
    pub(super) body: Option<String>,
    /// The body in hexadecimal digits, if it is not; as it is stored, if it is compressed in another way than by zlib.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_hex: Option<String>,
}

impl Message {
    /// The message in a record.
    pub(super) fn from_record(record: &Record<'_>, broker: &str) -> anyhow::Result<Self> {
        record.check_body()?;
        let body = match record.sys_flag & sys_flag::COMPRESSED {
            0 => record.body.to_vec(),
            // One message that only its consumers understand must not keep the others from being seen.
            _ => inflate(record.body, BODY_BYTES_MAX).unwrap_or_else(|_| record.body.to_vec()),
        };
        let (body, body_hex) = match String::from_utf8(body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect())),
        };
        let property = |name| record.property(name).map(str::to_owned);
        Ok(Self {
            topic: record.topic.to_owned(),
            broker: broker.to_owned(),
            queue: record.queue_id.0,
            offset: record.queue_offset.0,
            id: property(properties::UNIQ_KEY).unwrap_or_else(|| format!("at {}", record.physical_offset.0)),
            born_timestamp: record.born_timestamp,
            store_timestamp: record.store_timestamp,
            attempt: record.reconsume_times + 1,
            tag: property(properties::TAGS),
            keys: property(properties::KEYS),
            properties: properties::iter(record.properties).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            body,
            body_hex,
        })
    }

    /// One line; the body alone, or with what is known of it in front.
    pub(super) fn text(&self, verbose: bool) -> String {
        let body = self.body.as_deref().or(self.body_hex.as_deref()).unwrap_or_default();
        if !verbose {
            return format!("{body}\n");
        }
        let Self { broker, queue, offset, .. } = self;
        let tag = self.tag.as_deref().map_or(String::new(), |tag| format!(" tag={tag}"));
        let keys = self.keys.as_deref().map_or(String::new(), |keys| format!(" keys={keys}"));
        format!("{broker}/{queue}#{offset} {}{tag}{keys} {body}\n", time::text(self.store_timestamp))
    }
}
