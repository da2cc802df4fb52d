//! TLS on the same port as plain frames: the first byte tells them apart.

use super::proxied::take_header;
use bytes::{Buf, BytesMut};
use rt::Stream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// First byte of a TLS handshake record. A frame begins with the top byte of its length, which is 0 or 1.
const HANDSHAKE: u8 = 0x16;
/// Bytes read before the kind of connection is decided.
const FIRST_READ_BYTES: usize = 16 << 10;

/// A server's certificate and key, ready to use.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("the certificate is not PEM with at least one certificate: {0}")]
    Certificate(String),
    /// The key cannot be read.
    #[error("the key is not a PEM private key: {0}")]
    Key(String),
    /// Key and certificate do not fit.
    #[error("the certificate and the key cannot be used together: {0}")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

impl Tls {
    /// From the text of a PEM certificate chain (the server's own first) and of its private key.
    ///
    /// # Errors
    /// [`TlsError`] saying which of the two is wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Certificate("it has none".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A connection whose kind is known.
pub(super) struct Accepted {
    pub(super) stream: Box<dyn Stream>,
    /// What was already read from it.
    pub(super) input: BytesMut,
    /// The client, if a load balancer in front has told it.
    pub(super) client: Option<SocketAddr>,
}

/// Looks at the first bytes and speaks TLS if the client does; `None` if it left without a word.
pub(super) async fn accept_either(mut stream: Box<dyn Stream>, tls: Option<Tls>) -> io::Result<Option<Accepted>> {
    let mut first = BytesMut::with_capacity(FIRST_READ_BYTES);
    if stream.read_buf(&mut first).await? == 0 {
        return Ok(None);
    }
    let client = take_header(&mut stream, &mut first).await?;
    if first.first() != Some(&HANDSHAKE) {
        return Ok(Some(Accepted { stream, input: first, client }));
    }
    let Some(Tls(acceptor)) = tls else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the client speaks TLS but no certificate is configured; set tls-cert and tls-key",
        ));
    };
    let (peer, local) = (stream.peer_addr(), stream.local_addr());
    let secured = acceptor.accept(Prefixed { prefix: first, stream }).await?;
    let stream = Box::new(Secured { stream: secured, peer, local });
    Ok(Some(Accepted { stream, input: BytesMut::new(), client }))
}

/// A stream of which some bytes were read already.
struct Prefixed {
    prefix: BytesMut,
    stream: Box<dyn Stream>,
}

struct Secured {
    stream: tokio_rustls::server::TlsStream<Prefixed>,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Stream for Secured {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..taken]);
        self.prefix.advance(taken);
        Poll::Ready(Ok(()))
    }
}

macro_rules! forward_writes {
    ($stream:ty) => {
        impl AsyncWrite for $stream {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream).poll_write(cx, buf)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_flush(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_shutdown(cx)
            }
        }
    };
}

forward_writes!(Prefixed);
forward_writes!(Secured);

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Reply, write_request};
    use crate::server::{Call, Connection, Door, Options, Server, Work};
    use rt::ShutdownTrigger;
    use tokio::io::AsyncWriteExt as _;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    use wire::remoting::frame::RawFrame;
    use wire::remoting::header::Header;

    struct Echo;

    impl Door for Echo {
        fn call(&self, connection: &Arc<Connection>, requests: Vec<RawFrame<'_>>, _: &mut Work) {
            for frame in requests {
                let opaque = Header::parse(&frame).unwrap().opaque;
                let reply = Reply::ok().with_body(frame.body.to_vec());
                connection.send(|out| reply.write(out, frame.encoding, opaque));
            }
        }

        fn closed(&self, _: &Arc<Connection>) {}
    }

    /// More than any buffer on the way holds.
    async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (body, mut out) = (vec![7; 3 << 20], BytesMut::new());
        write_request(&mut out, &Call { code: 1, fields: &[], body: &body }, 5, false);
        stream.write_all(&out).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.ends_with(&body));
    }

    #[test]
    fn clients_with_and_without_tls_are_served_on_one_port() {
        let made = rcgen::generate_simple_self_signed(vec!["server".to_owned()]).unwrap();
        let tls = Tls::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
        rt::sim::run(1, |world| async move {
            let (machine, client) = (world.host("server"), world.host("client").boot());
            let addr = SocketAddr::new(machine.ip(), 1);
            let server = Server::bind(&machine.boot(), addr, Options::default(), Some(tls), Arc::new(Echo)).await;
            let (_stop, shutdown) = ShutdownTrigger::new();
            machine.spawn(server.unwrap().serve(shutdown));
            echo(client.net.connect(addr).await.unwrap()).await;
            let stream = client.net.connect(addr).await.unwrap();
            echo(connector.connect("server".try_into().unwrap(), stream).await.unwrap()).await;
        });
    }

    #[test]
    fn what_is_wrong_with_certificate_and_key_is_told() {
        let made = || rcgen::generate_simple_self_signed(vec!["server".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let check = |cert: &str, key: &str, expected: fn(&TlsError) -> bool| {
            let error = Tls::from_pem(cert.as_bytes(), key.as_bytes()).err().unwrap();
            assert!(expected(&error), "{error}");
        };
        check("", &key, |error| matches!(error, TlsError::Certificate(_)));
        check(&cert, "no key", |error| matches!(error, TlsError::Key(_)));
        check(&cert, &other.signing_key.serialize_pem(), |error| matches!(error, TlsError::Pair(_)));
    }
}
