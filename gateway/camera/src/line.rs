//! A connection to one camera, with a bound on every wait.
//!
//! Enters: a spot that was judged when the camera was set up. Leaves: bytes, at most as many as were asked for.

use std::io;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::camera::Spot;
use crate::unread::Unread;
use crate::{Camera, Fault, Net, Pin, net, pin};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An open connection, and what was read from it and not used yet.
pub(crate) struct Line {
    wire: Box<dyn Wire>,
    camera: String,
    silence_ms: u64,
    pub buffer: Unread,
}

/// Connects to `spot` of `camera`, with TLS where it has it.
pub(crate) async fn dial(camera: &Camera, spot: &Spot) -> Result<Line, Fault> {
    let connect_ms = camera.waits.connect_ms;
    let wire = timeout(Duration::from_millis(connect_ms), connect(camera, spot)).await.unwrap_or_else(|_| {
        Err(Fault::PathDown { camera: camera.id().to_owned(), reason: format!("no connection within {connect_ms} ms") })
    })?;
    Ok(Line { wire, camera: camera.id().to_owned(), silence_ms: camera.waits.silence_ms, buffer: Unread::default() })
}

async fn connect(camera: &Camera, spot: &Spot) -> Result<Box<dyn Wire>, Fault> {
    let id = || camera.id().to_owned();
    let stream = TcpStream::connect(spot.address)
        .await
        .map_err(|e| Fault::PathDown { camera: id(), reason: e.kind().to_string() })?;
    // Only slower without it.
    let _ = stream.set_nodelay(true);
    if !spot.tls {
        return Ok(Box::new(stream));
    }
    // `Camera::new` has seen to it that there is a pin; without one, nobody is believed.
    let pin = camera.pin.ok_or_else(|| Fault::ChangedCertificate { camera: id() })?;
    let (connector, _) = pin::connector(Some(pin)).map_err(|e| Fault::Tls { camera: id(), reason: e.to_string() })?;
    let name = ServerName::from(spot.address.ip());
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(e) if is_other_key(&e) => Err(Fault::ChangedCertificate { camera: id() }),
        Err(e) => Err(Fault::Tls { camera: id(), reason: e.to_string() }),
    }
}

fn is_other_key(error: &io::Error) -> bool {
    use rustls::{CertificateError::ApplicationVerificationFailure, Error::InvalidCertificate};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(InvalidCertificate(ApplicationVerificationFailure)))
}

/// The key that the machine at `address` shows now, for a person to compare and accept. `id` stands in faults. Nothing is sent to it
/// but a TLS handshake, and to an address outside `allowed` not even that.
pub async fn pin_of(
    id: &str,
    address: std::net::SocketAddr,
    allowed: &[Net],
    waits: crate::Waits,
) -> Result<Pin, Fault> {
    let down = |reason: String| Fault::PathDown { camera: id.to_owned(), reason };
    let tls = |reason: String| Fault::Tls { camera: id.to_owned(), reason };
    if let Some(reason) = net::refusal(address.ip(), allowed) {
        return Err(down(reason.to_owned()));
    }
    let (connector, shown) = pin::connector(None).map_err(|e| tls(e.to_string()))?;
    let handshake = async {
        let stream = TcpStream::connect(address).await.map_err(|e| down(e.kind().to_string()))?;
        connector.connect(ServerName::from(address.ip()), stream).await.map_err(|e| tls(e.to_string()))
    };
    timeout(Duration::from_millis(waits.connect_ms), handshake)
        .await
        .map_err(|_| down(format!("no TLS within {} ms", waits.connect_ms)))??;
    let pin = *shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    pin.ok_or_else(|| tls("it showed no certificate".to_owned()))
}

impl Line {
    /// Reads more into `buffer`. `false`: the camera has ended the connection.
    pub async fn fill(&mut self) -> Result<bool, Fault> {
        let buffer = self.buffer.more();
        buffer.reserve(READ_BYTES);
        let read = (&mut self.wire).take(READ_BYTES as u64).read_buf(buffer).await;
        Ok(read.is_ok_and(|length| length > 0))
    }

    /// [`Line::fill`], within the longest silence.
    pub async fn fill_soon(&mut self) -> Result<bool, Fault> {
        let silence_ms = self.silence_ms;
        timeout(Duration::from_millis(silence_ms), self.fill()).await.unwrap_or_else(|_| Err(self.silent()))
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let sent = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        match timeout(Duration::from_millis(self.silence_ms), sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(self.silent()),
        }
    }

    pub fn ended(&self) -> Fault {
        Fault::Ended { camera: self.camera.clone() }
    }

    pub fn malformed(&self, what: &'static str) -> Fault {
        Fault::Malformed { camera: self.camera.clone(), what }
    }

    pub fn too_large(&self, what: &'static str, max: usize) -> Fault {
        Fault::TooLarge { camera: self.camera.clone(), what, max }
    }

    fn silent(&self) -> Fault {
        Fault::Silent { camera: self.camera.clone(), silent_ms: self.silence_ms }
    }
}
