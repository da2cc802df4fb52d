//! The record: one message as bytes, the same in the commit log and in the reply to a pull.
//!
//! Big endian, the original's `MessageExt` encoding:
//!
//! ```text
//!   0  total size 4        everything, these four bytes included
//!   4  magic 4             v1 0xDAA320A7: topic length is one byte; v2 0xDAA320AB: two bytes
//!   8  body CRC 4          CRC-32 of the body, top bit cleared
//!  12  queue id 4
//!  16  flag 4              the sender's
//!  20  queue offset 8      given by the log
//!  28  physical offset 8   given by the log
//!  36  system flag 4       see `sys_flag`
//!  40  born time 8         ms since the epoch, by the sender's clock
//!  48  born host 8 | 20    address 4 | 16, port 4
//!   …  store time 8        ms since the epoch, given by the log
//!   …  store host 8 | 20
//!   …  reconsume times 4
//!   …  prepared transaction offset 8
//!   …  body length 4, body
//!   …  topic length 1 | 2, topic
//!   …  properties length 2, properties
//! ```

use crate::{PhysicalOffset, QueueId, QueueOffset, properties, sys_flag};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(test)]
mod tests;

/// Magic of a record whose topic length takes one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Magic of a record whose topic length takes two bytes.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Smallest possible record: IPv4 hosts, no body, no letter of topic, no properties.
pub const LEN_MIN: usize = 72 + 16 + 1 + 2;

/// Bytes before the body with two IPv6 hosts, the most.
const HEAD_LEN_MAX: usize = 72 + 2 * 20;

const QUEUE_OFFSET_AT: usize = 20;
const PHYSICAL_OFFSET_AT: usize = 28;
const SYS_FLAG_AT: usize = 36;
const BORN_HOST_AT: usize = 48;

/// The checksum of a body as records carry it.
#[must_use]
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

/// A message before the log has given it a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// Topic.
    pub topic: Cow<'a, str>,
    /// Queue of the topic.
    pub queue_id: QueueId,
    /// The sender's flag; its meaning is the sender's.
    pub flag: i32,
    /// See [`sys_flag`]. The two address bits are set by [`Draft::encode`].
    pub sys_flag: i32,
    /// Ms since the epoch by the sender's clock.
    pub born_timestamp: i64,
    /// The sender.
    pub born_host: SocketAddr,
    /// The broker that stores it.
    pub store_host: SocketAddr,
    /// How often it was consumed in vain.
    pub reconsume_times: i32,
    /// Position of the half message that this one decides or completes; 0 for others.
    pub prepared_transaction_offset: i64,
    /// Body.
    pub body: Cow<'a, [u8]>,
    /// [`body_crc`] of the body.
    pub body_crc: u32,
    /// Properties text, at most [`properties::LEN_MAX`] bytes.
    pub properties: Cow<'a, str>,
}

/// What the log gives a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Position in its queue.
    pub queue_offset: QueueOffset,
    /// Position of its record in the log.
    pub physical_offset: PhysicalOffset,
    /// Ms since the epoch by the broker's clock.
    pub store_timestamp: i64,
}

fn host_len(host: &SocketAddr) -> usize {
    if host.is_ipv4() { 8 } else { 20 }
}

/// What stands before the body, put together on the stack.
struct Head {
    bytes: [u8; HEAD_LEN_MAX],
    len: usize,
}

impl Head {
    fn put<const N: usize>(&mut self, part: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&part);
        self.len += N;
    }

    fn put_host(&mut self, host: &SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.put(ip.octets()),
            IpAddr::V6(ip) => self.put(ip.octets()),
        }
        self.put(u32::from(host.port()).to_be_bytes());
    }
}

impl Draft<'_> {
    fn is_v2(&self) -> bool {
        self.topic.len() > usize::from(u8::MAX >> 1)
    }

    /// Bytes that [`Draft::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        72 + host_len(&self.born_host)
            + host_len(&self.store_host)
            + self.body.len()
            + if self.is_v2() { 2 } else { 1 }
            + self.topic.len()
            + 2
            + self.properties.len()
    }

    /// Appends the record to a buffer.
    ///
    /// # Panics
    /// If properties or body are longer than their length fields can say: the door must have refused them.
    pub fn encode(&self, place: Place, out: &mut Vec<u8>) {
        assert!(self.properties.len() <= properties::LEN_MAX, "properties of {} bytes", self.properties.len());
        let (start, len) = (out.len(), self.encoded_len());
        let mut sys_flag = self.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            sys_flag |= sys_flag::BORN_HOST_V6;
        }
        if self.store_host.is_ipv6() {
            sys_flag |= sys_flag::STORE_HOST_V6;
        }
        let total = u32::try_from(len).expect("a record's size fits its length field");
        let body_len = u32::try_from(self.body.len()).expect("a body is shorter than its record");
        let mut head = Head { bytes: [0; HEAD_LEN_MAX], len: 0 };
        head.put(total.to_be_bytes());
        head.put(if self.is_v2() { MAGIC_V2 } else { MAGIC_V1 }.to_be_bytes());
        head.put(self.body_crc.to_be_bytes());
        head.put(self.queue_id.0.to_be_bytes());
        head.put(self.flag.to_be_bytes());
        head.put(place.queue_offset.0.to_be_bytes());
        head.put(place.physical_offset.0.to_be_bytes());
        head.put(sys_flag.to_be_bytes());
        head.put(self.born_timestamp.to_be_bytes());
        head.put_host(&self.born_host);
        head.put(place.store_timestamp.to_be_bytes());
        head.put_host(&self.store_host);
        head.put(self.reconsume_times.to_be_bytes());
        head.put(self.prepared_transaction_offset.to_be_bytes());
        head.put(body_len.to_be_bytes());
        out.reserve(len);
        out.extend_from_slice(&head.bytes[..head.len]);
        out.extend_from_slice(&self.body);
        let topic = self.topic.as_bytes();
        match self.is_v2() {
            true => out.extend_from_slice(&(topic.len() as u16).to_be_bytes()),
            false => out.push(topic.len() as u8),
        }
        out.extend_from_slice(topic);
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties.as_bytes());
        assert_eq!(out.len() - start, len, "a record has the size that was announced");
    }
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The magic is none of the two.
    #[error("magic is {found:#010x}, expected {MAGIC_V1:#010x} or {MAGIC_V2:#010x}")]
    Magic {
        /// What stands there.
        found: u32,
    },
    /// A length inside the record does not fit the bytes.
    #[error("the record's {part} does not fit: it has {len} bytes of which {available} are there")]
    Length {
        /// The part of the record.
        part: &'static str,
        /// Bytes it should have.
        len: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The body's checksum is wrong.
    #[error("the body's checksum is {found:#010x}, the record says {expected:#010x}")]
    BodyChecksum {
        /// Checksum of the bytes.
        found: u32,
        /// Checksum in the record.
        expected: u32,
    },
    /// The topic or the properties are not UTF-8.
    #[error("the record's {part} is not UTF-8")]
    Text {
        /// The part of the record.
        part: &'static str,
    },
}

/// A record's parts, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    /// Queue of the topic.
    pub queue_id: QueueId,
    /// The sender's flag.
    pub flag: i32,
    /// Position in its queue.
    pub queue_offset: QueueOffset,
    /// Position in the log.
    pub physical_offset: PhysicalOffset,
    /// See [`sys_flag`].
    pub sys_flag: i32,
    /// Ms since the epoch by the sender's clock.
    pub born_timestamp: i64,
    /// The sender.
    pub born_host: SocketAddr,
    /// Ms since the epoch by the broker's clock.
    pub store_timestamp: i64,
    /// The broker that stored it.
    pub store_host: SocketAddr,
    /// How often it was consumed in vain.
    pub reconsume_times: i32,
    /// Position of the half message that this one decides or completes.
    pub prepared_transaction_offset: i64,
    /// The checksum that the record carries of its body.
    pub body_crc: u32,
    /// Body.
    pub body: &'a [u8],
    body_at: usize,
    /// Topic.
    pub topic: &'a str,
    /// Properties text.
    pub properties: &'a str,
}

/// Reads forward through a record.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, part: &'static str, len: usize) -> Result<&'a [u8], RecordError> {
        let available = self.bytes.len() - self.at;
        let taken = self.bytes.get(self.at..self.at.saturating_add(len));
        self.at += len.min(available);
        taken.ok_or(RecordError::Length { part, len, available })
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], RecordError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(part, N)?);
        Ok(array)
    }

    fn u32(&mut self, part: &'static str) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array(part)?))
    }

    fn i32(&mut self, part: &'static str) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array(part)?))
    }

    fn u64(&mut self, part: &'static str) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array(part)?))
    }

    fn i64(&mut self, part: &'static str) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array(part)?))
    }

    fn host(&mut self, part: &'static str, v6: bool) -> Result<SocketAddr, RecordError> {
        let ip = match v6 {
            true => IpAddr::V6(Ipv6Addr::from(self.array::<16>(part)?)),
            false => IpAddr::V4(Ipv4Addr::from(self.array::<4>(part)?)),
        };
        Ok(SocketAddr::new(ip, self.u32(part)? as u16))
    }

    fn text(&mut self, part: &'static str, len: usize) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.take(part, len)?).map_err(|_| RecordError::Text { part })
    }
}

/// The total size that a record's first bytes announce; `None` for fewer than four bytes.
#[must_use]
pub fn announced_len(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize)
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; more may follow it. The body's checksum is not compared: see
    /// [`Record::check_body`].
    ///
    /// # Errors
    /// [`RecordError`] naming the part that is wrong. No input makes it panic.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let available = bytes.len();
        let len = announced_len(bytes).ok_or(RecordError::Length { part: "size", len: 4, available })?;
        let bytes = bytes.get(..len).ok_or(RecordError::Length { part: "size", len, available })?;
        if len < LEN_MIN {
            return Err(RecordError::Length { part: "size", len: LEN_MIN, available: len });
        }
        let mut reader = Reader { bytes, at: 4 };
        let magic = reader.u32("magic")?;
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(RecordError::Magic { found: magic });
        }
        let body_crc = reader.u32("body checksum")?;
        let queue_id = QueueId(reader.u32("queue id")?);
        let flag = reader.i32("flag")?;
        let queue_offset = QueueOffset(reader.u64("queue offset")?);
        let physical_offset = PhysicalOffset(reader.u64("physical offset")?);
        let sys_flag = reader.i32("system flag")?;
        let born_timestamp = reader.i64("born time")?;
        let born_host = reader.host("born host", sys_flag & sys_flag::BORN_HOST_V6 != 0)?;
        let store_timestamp = reader.i64("store time")?;
        let store_host = reader.host("store host", sys_flag & sys_flag::STORE_HOST_V6 != 0)?;
        let reconsume_times = reader.i32("reconsume times")?;
        let prepared_transaction_offset = reader.i64("prepared transaction offset")?;
        let body_len = reader.u32("body length")? as usize;
        let body_at = reader.at;
        let body = reader.take("body", body_len)?;
        let topic_len = match magic {
            MAGIC_V1 => usize::from(reader.array::<1>("topic length")?[0]),
            _ => usize::from(u16::from_be_bytes(reader.array("topic length")?)),
        };
        let topic = reader.text("topic", topic_len)?;
        let properties_len = usize::from(u16::from_be_bytes(reader.array("properties length")?));
        let properties = reader.text("properties", properties_len)?;
        if reader.at != len {
            return Err(RecordError::Length { part: "end", len: reader.at, available: len });
        }
        Ok(Self {
            bytes,
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body_crc,
            body,
            body_at,
            topic,
            properties,
        })
    }

    /// All bytes of the record.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes before and after the body: what a checksum beside the body's must cover.
    #[must_use]
    pub fn around_body(&self) -> (&'a [u8], &'a [u8]) {
        (&self.bytes[..self.body_at], &self.bytes[self.body_at + self.body.len()..])
    }

    /// Compares the body with its checksum.
    ///
    /// # Errors
    /// [`RecordError::BodyChecksum`] with both values.
    pub fn check_body(&self) -> Result<(), RecordError> {
        let found = body_crc(self.body);
        if found == self.body_crc {
            return Ok(());
        }
        Err(RecordError::BodyChecksum { found, expected: self.body_crc })
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        properties::get(self.properties, name)
    }

    /// The same message as a draft, to be stored again elsewhere.
    #[must_use]
    pub fn to_draft(&self) -> Draft<'a> {
        Draft {
            topic: Cow::Borrowed(self.topic),
            queue_id: self.queue_id,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born_timestamp: self.born_timestamp,
            born_host: self.born_host,
            store_host: self.store_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            body: Cow::Borrowed(self.body),
            body_crc: self.body_crc,
            properties: Cow::Borrowed(self.properties),
        }
    }
}

/// Where the body of an encoded record stands, from its first bytes; `None` if they are not a record's.
#[must_use]
pub fn body_range(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let flag_bytes = bytes.get(SYS_FLAG_AT..SYS_FLAG_AT + 4)?;
    let sys_flag = i32::from_be_bytes(flag_bytes.try_into().ok()?);
    let born = if sys_flag & sys_flag::BORN_HOST_V6 != 0 { 20 } else { 8 };
    let store = if sys_flag & sys_flag::STORE_HOST_V6 != 0 { 20 } else { 8 };
    let len_at = BORN_HOST_AT + born + 8 + store + 4 + 8;
    let len = u32::from_be_bytes(bytes.get(len_at..len_at + 4)?.try_into().ok()?) as usize;
    let start = len_at + 4;
    (start.checked_add(len)? <= bytes.len()).then_some(start..start + len)
}

/// Gives an encoded record its place, in the stead of the one that it was encoded with.
///
/// # Panics
/// If the bytes are not a record's.
pub fn set_place(record: &mut [u8], place: Place) {
    let sys_flag = i32::from_be_bytes(std::array::from_fn(|i| record[SYS_FLAG_AT + i]));
    let store_time_at = BORN_HOST_AT + if sys_flag & sys_flag::BORN_HOST_V6 != 0 { 20 } else { 8 };
    record[QUEUE_OFFSET_AT..QUEUE_OFFSET_AT + 8].copy_from_slice(&place.queue_offset.0.to_be_bytes());
    record[PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8].copy_from_slice(&place.physical_offset.0.to_be_bytes());
    record[store_time_at..store_time_at + 8].copy_from_slice(&place.store_timestamp.to_be_bytes());
}

/// The two offsets of an encoded record, from its first bytes.
#[must_use]
pub fn offsets(bytes: &[u8]) -> Option<(QueueOffset, PhysicalOffset)> {
    let queue = bytes.get(QUEUE_OFFSET_AT..QUEUE_OFFSET_AT + 8)?;
    let physical = bytes.get(PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8)?;
    Some((
        QueueOffset(u64::from_be_bytes(queue.try_into().ok()?)),
        PhysicalOffset(u64::from_be_bytes(physical.try_into().ok()?)),
    ))
}
