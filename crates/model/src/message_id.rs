//! The id that a broker gives a message: where it is stored.

use crate::PhysicalOffset;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Store host and physical offset, written as 32 (IPv4) or 56 (IPv6) hexadecimal digits:
/// address 4 or 16 bytes, port 4 bytes, offset 8 bytes, big endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageId {
    /// The broker that stored the message.
    pub store_host: SocketAddr,
    /// Where its record stands.
    pub offset: PhysicalOffset,
}

/// Why a text is not a message id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a message id: it must be 32 or 56 hexadecimal digits naming a host, a port and an offset")]
pub struct MessageIdError {
    /// The text.
    pub text: String,
}

/// Digits of an id with an IPv6 address, the longest.
const DIGITS_MAX: usize = 56;

/// Digits of the offset, the last ones.
const OFFSET_DIGITS: usize = 16;

/// A message id's text.
#[derive(Clone, Copy)]
pub struct MessageIdText {
    digits: [u8; DIGITS_MAX],
    len: usize,
}

impl MessageIdText {
    /// The same of a message that the same broker stored at `offset`: most of the text stays.
    #[inline]
    pub fn move_to(&mut self, offset: PhysicalOffset) {
        let start = self.len - OFFSET_DIGITS;
        if let Some(digits) = self.digits[start..].first_chunk_mut::<OFFSET_DIGITS>() {
            let (high, low) = digits.split_at_mut(OFFSET_DIGITS / 2);
            high.copy_from_slice(&hexadecimal((offset.0 >> 32) as u32));
            low.copy_from_slice(&hexadecimal(offset.0 as u32));
        }
    }

    /// Adds eight digits.
    #[inline]
    fn push(&mut self, value: u32) {
        if let Some(digits) = self.digits[self.len..].first_chunk_mut() {
            *digits = hexadecimal(value);
            self.len += digits.len();
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same as bytes, which costs nothing.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

impl MessageId {
    /// The id's text, without an allocation: every send is answered with one.
    #[must_use]
    pub fn text(&self) -> MessageIdText {
        let mut text = MessageIdText { digits: [0; DIGITS_MAX], len: 0 };
        match self.store_host.ip() {
            IpAddr::V4(ip) => text.push(ip.to_bits()),
            IpAddr::V6(ip) => {
                for shift in [96, 64, 32, 0] {
                    text.push((ip.to_bits() >> shift) as u32);
                }
            }
        }
        text.push(u32::from(self.store_host.port()));
        text.len += OFFSET_DIGITS;
        text.move_to(self.offset);
        text
    }
}

/// The digits of a number, all eight at once: each of its nibbles in a byte of its own.
#[inline]
fn hexadecimal(value: u32) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 255;
    let mut wide = u64::from(value.swap_bytes());
    wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
    wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
    let nibbles = (wide >> 4 | wide << 8) & (ONES * 0x0F);
    let is_letter = ((nibbles + ONES * 6) >> 4) & ONES;
    (nibbles + ONES * u64::from(b'0') + is_letter * u64::from(b'A' - b'0' - 10)).to_le_bytes()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let wrong = || MessageIdError { text: text.to_owned() };
        if !text.is_ascii() || !matches!(text.len(), 32 | 56) {
            return Err(wrong());
        }
        let bytes: Vec<u8> = (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        let (ip, rest) = match bytes.split_first_chunk::<16>() {
            Some((ip, rest)) if bytes.len() == 28 => (IpAddr::V6(Ipv6Addr::from(*ip)), rest),
            _ => {
                let (ip, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
                (IpAddr::V4(Ipv4Addr::from(*ip)), rest)
            }
        };
        let (port, offset) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let port = u16::try_from(u32::from_be_bytes(*port)).map_err(|_| wrong())?;
        let offset = u64::from_be_bytes(offset.try_into().map_err(|_| wrong())?);
        Ok(Self { store_host: SocketAddr::new(ip, port), offset: PhysicalOffset(offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_parts_agree() {
        let check = |host: &str, offset: u64, expected: &str| {
            let id = MessageId { store_host: host.parse().unwrap(), offset: PhysicalOffset(offset) };
            assert_eq!(id.to_string(), expected);
            assert_eq!(expected.parse::<MessageId>().unwrap(), id);
        };
        check("127.0.0.1:10911", 1234, "7F00000100002A9F00000000000004D2");
        check("255.254.16.9:65535", 0x0123_4567_89AB_CDEF, "FFFE10090000FFFF0123456789ABCDEF");
        check("[::1]:10911", 1, "0000000000000000000000000000000100002A9F0000000000000001");
        for wrong in ["", "7F", "7F00000100002A9F00000000000004DX", "7F0000010FFF2A9F00000000000004D2"] {
            assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
        }
    }
}
