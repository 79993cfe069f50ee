//! A byte stream to a receiver: TCP or TLS, from the local end that its path asks for.
//!
//! Enters: a receiver's configuration, host and port. Leaves: a stream that stands, or why it does not. Everything here is
//! bounded by the receiver's `received_deadline_ms`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::config::{Bind, ReceiverConfig};
use super::first::{Try, first_of};
use super::tls::{self, TlsError};
use crate::limits::CONNECT_NEXT_MS;

/// Either kind of stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream that stands.
pub(crate) struct Opened {
    pub stream: Box<dyn Stream>,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// The peer's certificate has ended: UTC seconds.
    pub expired_at_s: Option<i64>,
}

/// Why no stream came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("connecting to {to}: {source}")]
    Connect { to: String, source: io::Error },
    #[error("connecting to {to}: TLS: {source}")]
    Handshake { to: String, source: io::Error },
    #[error("connecting to {to}: nothing within {after_ms} ms")]
    Slow { to: String, after_ms: u128 },
    #[error("connecting to {to}: it is no address of a hub; write `mqtts:HOST:PORT`")]
    NoAddress { to: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens a stream to `host` and `port`, from the configuration's local end; over TLS judged as it says.
pub(crate) async fn open(
    config: &ReceiverConfig,
    host: &str,
    port: u16,
    over_tls: bool,
    wall_ms: i64,
) -> Result<Opened, OpenError> {
    let tls = if over_tls { Some(tls::client(config)?) } else { None };
    open_as(config, host, port, tls, wall_ms).await
}

/// A TLS stream that says by `alpn` what it is for.
pub(crate) async fn open_for(
    config: &ReceiverConfig,
    host: &str,
    port: u16,
    alpn: &[u8],
) -> Result<Box<dyn Stream>, OpenError> {
    let mut tls = ClientConfig::clone(&*tls::client(config)?);
    tls.alpn_protocols = vec![alpn.to_vec()];
    // Whether its certificate has ended is told of the alarms' own connection.
    Ok(open_as(config, host, port, Some(Arc::new(tls)), i64::MIN).await?.stream)
}

async fn open_as(
    config: &ReceiverConfig,
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    wall_ms: i64,
) -> Result<Opened, OpenError> {
    let limit = Duration::from_millis(config.received_deadline_ms.into());
    let to = || config.url.clone();
    let tls = match tls {
        None => None,
        Some(tls) => Some((TlsConnector::from(tls), tls::server_name(host)?)),
    };
    let opening = async {
        let wrong = |source| OpenError::Connect { to: to(), source };
        #[cfg(test)]
        if let Some(dialled) = super::tests::memory::dial(host).await {
            let nowhere = SocketAddr::from(([127, 0, 0, 1], port));
            let stream = Box::new(dialled.map_err(wrong)?);
            return Ok(Opened { stream, local: nowhere, peer: nowhere, expired_at_s: None });
        }
        let stream = connect(&config.bind, host, port).await.map_err(wrong)?;
        // Before TLS: small messages must not wait for the peer's acknowledgement.
        stream.set_nodelay(true).map_err(wrong)?;
        let (local, peer) = (stream.local_addr().map_err(wrong)?, stream.peer_addr().map_err(wrong)?);
        let Some((connector, name)) = tls else {
            return Ok(Opened { stream: Box::new(stream), local, peer, expired_at_s: None });
        };
        let stream =
            connector.connect(name, stream).await.map_err(|source| OpenError::Handshake { to: to(), source })?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let expired_at_s = certificate.and_then(|c| tls::expired(c, wall_ms));
        Ok(Opened { stream: Box::new(stream), local, peer, expired_at_s })
    };
    match tokio::time::timeout(limit, opening).await {
        Ok(result) => result,
        Err(_) => Err(OpenError::Slow { to: to(), after_ms: limit.as_millis() }),
    }
}

/// Each address in turn, from the path's own end: one that says nothing does not use up the time of the next.
async fn connect(bind: &Bind, host: &str, port: u16) -> io::Result<TcpStream> {
    let ways = lookup_host((host, port))
        .await?
        .map(|peer| -> Try<'_, TcpStream, io::Error> { Box::pin(connect_to(bind, peer)) });
    let none = || Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"));
    first_of(ways, Duration::from_millis(CONNECT_NEXT_MS)).await.unwrap_or_else(none)
}

async fn connect_to(bind: &Bind, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(interface) = &bind.interface {
        // Without this the kernel would send over any path that leads there, also over the other one.
        socket.bind_device(Some(interface.as_bytes())).map_err(|e| match e.raw_os_error() {
            Some(libc::ENODEV) => {
                io::Error::new(e.kind(), format!("no interface is called {interface}; `ip link` shows their names"))
            }
            _ => named(&e, &format!("interface {interface}")),
        })?;
    }
    if let Some(address) = bind.address {
        socket.bind(SocketAddr::new(address, 0)).map_err(|e| named(&e, &format!("local address {address}")))?;
    }
    socket.connect(peer).await
}

fn named(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
