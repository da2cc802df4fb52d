//! The body of `REGISTER_BROKER`, plain or compressed.
//!
//! Plain it is the JSON of [`RegisterBrokerBody`]. Compressed it is a zlib stream of:
//!
//! ```text
//! length 4 · data version as JSON
//! topics 4 · { length 4 · "name readQueues writeQueues perm filterType[ attributes as JSON]" }*
//! length 4 · filter servers as JSON
//! mappings 4 · { length 4 · mapping as JSON }*        (only from senders since 5.0.0)
//! ```

use crate::remoting::body::{Opaque, RegisterBrokerBody, TopicConfig, TopicTable};
use crate::remoting::code::VERSION_QUEUE_MAPPING;
use crate::remoting::inflate::{InflateError, deflate, inflate};
use crate::remoting::loose_json::{self, BodyError, Dialect};
use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Most bytes of a registration once decompressed. A topic takes some 50, so this is about a million topics.
pub const INFLATED_BYTES_MAX: usize = 64 << 20;

/// Why a registration cannot be read.
#[derive(Debug, Error)]
pub enum RegistrationError {
    /// The stream is damaged or too large.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// A JSON part is wrong.
    #[error("registration {0}")]
    Json(#[from] BodyError),
    /// It ends inside a part.
    #[error("registration ends after {bytes} bytes inside {inside}")]
    Truncated {
        /// Bytes, decompressed.
        bytes: usize,
        /// Which part.
        inside: &'static str,
    },
    /// A topic text has another form.
    #[error("registration holds the topic text '{text}', expected name, two queue counts, permission and filter type")]
    BadTopic {
        /// As sent, cut to 200 characters.
        text: String,
    },
}

fn list(body: &[u8]) -> Result<Vec<String>, BodyError> {
    Ok(serde_json::from_slice(&loose_json::normalise(body)?)?)
}

/// Reads a registration. `compressed` is the header field, `version` that of the sender. An empty body registers the
/// broker without topics.
///
/// # Errors
/// [`RegistrationError`] says which part is wrong.
pub fn decode(body: &[u8], compressed: bool, version: i32) -> Result<RegisterBrokerBody, RegistrationError> {
    if body.is_empty() {
        return Ok(RegisterBrokerBody::default());
    }
    if !compressed {
        return Ok(loose_json::from_slice(body)?);
    }
    let plain = inflate(body, INFLATED_BYTES_MAX)?;
    let mut parts = Parts { plain: &plain, at: 0 };
    let mut wrapper =
        TopicTable { data_version: loose_json::from_slice(parts.sized("the data version")?)?, ..TopicTable::default() };
    for _ in 0..parts.word("the topic count")? {
        let topic = parse_topic(parts.sized("a topic")?)?;
        wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
    }
    let servers = parts.sized("the filter servers")?;
    let filter_server_list = if servers == b"null" { Vec::new() } else { list(servers)? };
    if version >= VERSION_QUEUE_MAPPING && parts.at < plain.len() {
        for _ in 0..parts.word("the mapping count")? {
            let mapping: Opaque = loose_json::from_slice(parts.sized("a queue mapping")?)?;
            let topic = mapping.0.get("topic").and_then(|t| t.as_str()).unwrap_or_default().to_owned();
            wrapper.topic_queue_mapping_info_map.insert(topic, mapping);
        }
    }
    Ok(RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, filter_server_list })
}

/// Writes a registration; the other side must be told `compressed` in the header.
pub fn encode(body: &RegisterBrokerBody, compressed: bool) -> Vec<u8> {
    if !compressed {
        return loose_json::to_vec(body, Dialect::Loose);
    }
    let wrapper = &body.topic_config_serialize_wrapper;
    let mut out = BytesMut::new();
    put_sized(&mut out, &loose_json::to_vec(&wrapper.data_version, Dialect::Strict));
    out.put_u32(wrapper.topic_config_table.len() as u32);
    for topic in wrapper.topic_config_table.values() {
        put_sized(&mut out, topic_text(topic).as_bytes());
    }
    put_sized(&mut out, &loose_json::to_vec(&body.filter_server_list, Dialect::Strict));
    out.put_u32(wrapper.topic_queue_mapping_info_map.len() as u32);
    for mapping in wrapper.topic_queue_mapping_info_map.values() {
        put_sized(&mut out, &loose_json::to_vec(mapping, Dialect::Loose));
    }
    deflate(&out)
}

fn put_sized(out: &mut BytesMut, part: &[u8]) {
    out.put_u32(part.len() as u32);
    out.put_slice(part);
}

fn topic_text(topic: &TopicConfig) -> String {
    let TopicConfig { topic_name, read_queue_nums, write_queue_nums, perm, topic_filter_type, .. } = topic;
    let mut text = format!("{topic_name} {read_queue_nums} {write_queue_nums} {perm} {topic_filter_type}");
    if !topic.attributes.is_empty() {
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(&loose_json::to_vec(&topic.attributes, Dialect::Strict)));
    }
    text
}

fn parse_topic(bytes: &[u8]) -> Result<TopicConfig, RegistrationError> {
    let text = String::from_utf8_lossy(bytes);
    let bad = || RegistrationError::BadTopic { text: text.chars().take(200).collect() };
    // Attributes may hold blanks, so they are whatever follows the fifth.
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next().filter(|w| !w.is_empty()).ok_or_else(bad);
    let mut topic = TopicConfig { topic_name: word()?.to_owned(), ..TopicConfig::default() };
    topic.read_queue_nums = word()?.parse().map_err(|_| bad())?;
    topic.write_queue_nums = word()?.parse().map_err(|_| bad())?;
    topic.perm = word()?.parse().map_err(|_| bad())?;
    topic.topic_filter_type = word()?.to_owned();
    if let Some(attributes) = words.next().filter(|a| !a.is_empty()) {
        topic.attributes = loose_json::from_slice(attributes.as_bytes())?;
    }
    Ok(topic)
}

struct Parts<'a> {
    plain: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    fn word(&mut self, inside: &'static str) -> Result<u32, RegistrationError> {
        let chunk = self.plain.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        let chunk = chunk.ok_or(RegistrationError::Truncated { bytes: self.plain.len(), inside })?;
        self.at += 4;
        Ok(u32::from_be_bytes(*chunk))
    }

    fn sized(&mut self, inside: &'static str) -> Result<&'a [u8], RegistrationError> {
        let bytes = self.word(inside)? as usize;
        let part = self.plain.get(self.at..).and_then(|rest| rest.get(..bytes));
        let part = part.ok_or(RegistrationError::Truncated { bytes: self.plain.len(), inside })?;
        self.at += bytes;
        Ok(part)
    }
}

#[cfg(test)]
mod tests;
