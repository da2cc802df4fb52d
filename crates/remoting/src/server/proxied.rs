//! What a load balancer in front says of the client: the PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>). As with the original, a connection that begins so is
//! believed; any other speaks for itself.

use bytes::{Buf as _, BytesMut};
use proxy_header::{Error, ParseConfig, ProxyHeader};
use rt::Stream;
use std::io;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt as _;

/// First byte of a header of version 1 and 2. A frame begins with 0 or 1, TLS with 22.
const FIRST_BYTES: [u8; 2] = [b'P', b'\r'];

/// Takes the header off `input`, the first bytes of a connection, and reads on until something follows it. Gives the client's
/// address if the header has one: a load balancer that asks for itself, or hides it, has none.
pub(super) async fn take_header(stream: &mut Box<dyn Stream>, input: &mut BytesMut) -> io::Result<Option<SocketAddr>> {
    if !input.first().is_some_and(|first| FIRST_BYTES.contains(first)) {
        return Ok(None);
    }
    let (client, len) = loop {
        match ProxyHeader::parse(input, ParseConfig::default()) {
            Ok((header, len)) => break (header.proxied_address().map(|proxied| proxied.source), len),
            Err(Error::BufferTooShort) => read_more(stream, input).await?,
            Err(error) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("neither a frame, nor TLS, nor a PROXY protocol header: {error}"),
                ));
            }
        }
    };
    input.advance(len);
    if input.is_empty() {
        read_more(stream, input).await?;
    }
    Ok(client)
}

async fn read_more(stream: &mut Box<dyn Stream>, input: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
