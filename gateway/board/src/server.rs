//! Listeners: TLS, bounds on strangers, a certificate that changes while they run.
//!
//! Enters: connections. Leaves: requests for the router, each with its [`Peer`] and its [`Seat`]. A file that cannot be read leaves the certificate
//! that is in use in force, and says so in the log.
//! Absent: plain HTTP. Nothing here waits for the gateway.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::{Extension, Router};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::limits;
use crate::seats::{Seat, Seats};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// What it showed, where the listener asks for a certificate: chain checked, end entity alone.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("reading the board's certificate {}: {what}; [board] cert and key name PEM files of the same key", file.display())]
    Read { file: PathBuf, what: String },
    #[error("using the board's certificate {} with the key {}: {what}; [board] cert and key must belong together", cert.display(), key.display())]
    Mismatch { cert: PathBuf, key: PathBuf, what: String },
}

/// The certificate that is shown, and the files it comes from.
#[derive(Debug)]
pub struct Shown {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<(Option<SystemTime>, Arc<CertifiedKey>)>,
}

impl Shown {
    /// # Errors
    /// [`CertificateError`] naming the file.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let current = RwLock::new((changed_at(cert, key), read(cert, key)?));
        Ok(Arc::new(Shown { cert: cert.to_owned(), key: key.to_owned(), current }))
    }

    /// Reads the files again if one has changed. True: another certificate is shown from now on.
    ///
    /// # Errors
    /// [`CertificateError`]: the one in use stays, and the files are tried again when they change again.
    pub fn look_again(&self) -> Result<bool, CertificateError> {
        let changed = changed_at(&self.cert, &self.key);
        if changed == self.current.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(false);
        }
        let fresh = read(&self.cert, &self.key);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.0 = changed;
        current.1 = fresh?;
        Ok(true)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}

/// The later change of the two: a renewal writes both.
fn changed_at(cert: &Path, key: &Path) -> Option<SystemTime> {
    let at = |file: &Path| std::fs::metadata(file).and_then(|data| data.modified()).ok();
    at(cert).max(at(key))
}

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let wrong = |file: &Path, what: String| CertificateError::Read { file: file.to_owned(), what };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(|e| wrong(cert, e.to_string()))?.collect();
    let chain = chain.map_err(|e| wrong(cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(cert, "no certificate in it".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, e.to_string()))?;
    let mismatch =
        |what: rustls::Error| CertificateError::Mismatch { cert: cert.into(), key: key.into(), what: what.to_string() };
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(private).map_err(mismatch)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(mismatch)?;
    Ok(Arc::new(certified))
}

/// TLS for browsers: 1.2 and 1.3, HTTP/2 where they speak it.
#[must_use]
pub fn tls(shown: Arc<Shown>) -> rustls::ServerConfig {
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks both versions")
        .with_no_client_auth();
    let mut config = builder.with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Looks at the files of `shown` now and then, until it stops.
pub async fn keep_certificate(shown: Arc<Shown>, mut shutdown: watch::Receiver<bool>) {
    let mut looks = tokio::time::interval(Duration::from_millis(limits::CERTIFICATE_LOOK_MS));
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = shutdown.changed() => return,
        }
        match shown.look_again() {
            Ok(false) => {}
            Ok(true) => info!(file = %shown.cert.display(), "the board shows its new certificate"),
            Err(e) => warn!("{e}; the one in use stays"),
        }
    }
}

/// Serves `router` to whoever connects, until it stops.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    shutdown: watch::Receiver<bool>,
) {
    let first_request = Duration::from_millis(limits::FIRST_REQUEST_MS_MAX);
    serve_within(Door { seats: Arc::default(), first_request }, listener, tls, router, shutdown).await;
}

/// Who is let in, and for how long before they say what they want.
#[derive(Debug)]
pub struct Door {
    pub seats: Arc<Seats>,
    /// From the connection to its first request.
    pub first_request: Duration,
}

/// [`serve`] with bounds of one's own.
pub async fn serve_within(
    door: Door,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of descriptors, most likely: the accept queue is not read faster for asking again at once.
                warn!("accepting on the board's port: {e}");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                continue;
            }
        };
        let Some(seat) = door.seats.take(address.ip()) else {
            debug!(%address, "the board is full: connection closed");
            continue;
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        let (seat, first_request) = (Arc::new(seat), door.first_request);
        let mut stopping = shutdown.clone();
        tokio::spawn(async move {
            let (spoke, speaks) = tokio::sync::oneshot::channel();
            let silent = async {
                if tokio::time::timeout(first_request, speaks).await.is_err() {
                    return;
                }
                // It has said what it wants, or it has ended.
                std::future::pending().await
            };
            let ended = tokio::select! {
                ended = talk(stream, address, &acceptor, router, seat.clone(), spoke) => ended,
                () = silent => Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")),
                () = seat.has_to_go() => Err(io::Error::other("a stranger's place is given to another")),
                _ = stopping.changed() => Ok(()),
            };
            if let Err(e) = ended {
                debug!(%address, "a connection to the board ended: {e}");
            }
        });
    }
}

async fn talk(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
    router: Router,
    seat: Arc<Seat>,
    spoke: tokio::sync::oneshot::Sender<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let handshake = tokio::time::timeout(Duration::from_millis(limits::HANDSHAKE_MS_MAX), acceptor.accept(stream));
    let stream = handshake.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time"))??;
    let shown = stream.get_ref().1.peer_certificates();
    let certificate = shown.and_then(<[_]>::first).map(|certificate| certificate.clone().into_owned());
    let router = router.layer(Extension(Peer { address, certificate })).layer(Extension(seat));
    let router = TowerToHyperService::new(router);
    let spoke = Mutex::new(Some(spoke));
    let service = hyper::service::service_fn(move |request| {
        // The first alone: whoever waits for it may have gone.
        let first = spoke.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map(|first| first.send(()));
        router.call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let head = Duration::from_millis(limits::HEADER_MS_MAX);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(limits::STREAMS_MAX);
    // A phone that has gone without a word keeps no place.
    let quiet = Duration::from_millis(limits::QUIET_MS_MAX);
    builder.http2().keep_alive_interval(quiet).keep_alive_timeout(quiet);
    builder.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}
