//! The door: TCP, mutual TLS, and the bounds on who may stand in it.
//!
//! Enters: TCP connections. Leaves: sessions with a known certificate. A slow or silent client is dropped after
//! [`HANDSHAKE_MS_MAX`](crate::limits::HANDSHAKE_MS_MAX); beyond [`CONNECTIONS_MAX`](crate::limits::CONNECTIONS_MAX) nobody is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::roster::Peer;
use super::session::{self, Hall};
use crate::limits;

/// What happened at the door since the start.
#[derive(Debug, Default)]
pub struct DoorCounts {
    pub accepted: AtomicU64,
    pub turned_away_full: AtomicU64,
    pub handshake_failed: AtomicU64,
}

/// Reads who is calling off a verified certificate.
pub type Identify = fn(&CertificateDer<'_>) -> Result<Peer, String>;

/// Accepts connections until `shutdown`. `tls` may be replaced while it runs (new certificates).
pub async fn run(
    listener: TcpListener,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    identify: Identify,
    hall: Arc<Hall>,
    counts: Arc<DoorCounts>,
) {
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let mut shutdown = hall.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of descriptors, mostly: some connection has to end first.
                warn!("accepting a connection: {e}; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            counts.turned_away_full.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let (hall, counts) = (hall.clone(), counts.clone());
        tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_millis(limits::HANDSHAKE_MS_MAX);
            if let Err(why) = admit(stream, acceptor, identify, hall, &counts, deadline).await {
                counts.handshake_failed.fetch_add(1, Ordering::Relaxed);
                info!(peer.address = %address, "connection refused: {why}");
            }
            drop(place);
        });
    }
}

async fn admit(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    identify: Identify,
    hall: Arc<Hall>,
    counts: &DoorCounts,
    deadline: Instant,
) -> Result<(), String> {
    // A PUBACK is small and must not wait for company.
    stream.set_nodelay(true).map_err(|e| format!("setting TCP_NODELAY: {e}"))?;
    keep_alive(&stream)?;
    let stream = timeout_at(deadline, acceptor.accept(stream))
        .await
        .map_err(|_| "the TLS handshake took too long".to_owned())?
        .map_err(|e| format!("the TLS handshake failed: {e}"))?;
    let peer = {
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first).ok_or("no client certificate")?;
        identify(certificate)?
    };
    counts.accepted.fetch_add(1, Ordering::Relaxed);
    session::serve(stream, peer, hall, deadline).await;
    Ok(())
}

/// A client without a keep-alive of its own (3.1.1 may ask for none) must not stand half-open for ever.
fn keep_alive(stream: &TcpStream) -> Result<(), String> {
    use rustix::net::sockopt;
    let set = || {
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, Duration::from_secs(u64::from(limits::KEEP_ALIVE_DEFAULT_S)))?;
        sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
        sockopt::set_tcp_keepcnt(stream, 4)
    };
    set().map_err(|e| format!("setting TCP keep-alive: {e}"))
}
