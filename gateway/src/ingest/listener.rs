//! The door: TCP, mutual TLS, and the bounds on who may stand in it.
//!
//! Enters: TCP connections. Leaves: sessions with a known certificate. A slow or silent client is dropped after
//! [`HANDSHAKE_MS_MAX`](crate::limits::HANDSHAKE_MS_MAX), or sooner where it stands in another's way (`lobby`); how many devices
//! may be connected is judged when one has said who it is, so that it can be told.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

use super::lobby::{Lobby, Ticket};
use super::roster::Peer;
use super::session::{self, Hall};
use crate::limits;

/// Name of the fault that a device was turned away because as many as may are connected.
pub const CONNECTIONS_FULL: &str = "connections-full";

/// What happened at the door since the start.
#[derive(Debug, Default)]
pub struct DoorCounts {
    /// TLS handshakes that ended well.
    pub accepted: AtomicU64,
    pub handshake_failed: AtomicU64,
    /// Connections of devices whose certificate had ended.
    pub ended: AtomicU64,
    /// Known devices refused because as many as may are connected.
    pub turned_away_full: AtomicU64,
    /// Connections closed before they had said who they are, because of too many such.
    pub turned_away_unknown: AtomicU64,
    /// The fault [`CONNECTIONS_FULL`] is told and not over.
    pub is_full: AtomicBool,
}

/// Reads who is calling off a verified certificate.
pub type Identify = fn(&CertificateDer<'_>) -> Result<Peer, String>;

/// Accepts connections until `shutdown`. `tls` may be replaced while it runs (new certificates).
pub async fn run(listener: TcpListener, tls: watch::Receiver<Arc<ServerConfig>>, identify: Identify, hall: Arc<Hall>) {
    let lobby = Arc::new(Lobby::default());
    let mut shutdown = hall.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        let (stream, address) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(e) => {
                // Out of descriptors, mostly: some connection has to end first.
                warn!("accepting a connection: {e}; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(ticket) = lobby.enter(address, Instant::now()) else {
            turned_away(&hall, address);
            continue;
        };
        let tls = tls.borrow().clone();
        // Boxed: what only a handshake needs must not stay with the connection for ever.
        tokio::spawn(Box::pin(serve(stream, address, tls, identify, hall.clone(), ticket)));
    }
}

/// Counted always, said in the log for the first and then ever more seldom: a crowd must not fill it.
fn turned_away(hall: &Hall, address: IpAddr) {
    let before = hall.counts.turned_away_unknown.fetch_add(1, Ordering::Relaxed);
    if (before + 1).is_power_of_two() {
        warn!(peer.address = %address, turned_away = before + 1, "too many connections that have not said who they are");
    }
}

async fn serve(
    stream: TcpStream,
    address: IpAddr,
    tls: Arc<ServerConfig>,
    identify: Identify,
    hall: Arc<Hall>,
    mut ticket: Ticket,
) {
    let deadline = Instant::now() + Duration::from_millis(limits::HANDSHAKE_MS_MAX);
    let open = {
        let opening = Box::pin(open(stream, tls, identify, hall.clone(), deadline));
        tokio::select! {
            open = opening => open,
            () = ticket.turned_out() => return turned_away(&hall, address),
        }
    };
    drop(ticket);
    match open {
        Ok(Some(open)) => open.run().await,
        // It had its say, and its reason is in the log.
        Ok(None) => {}
        Err(why) => {
            hall.counts.handshake_failed.fetch_add(1, Ordering::Relaxed);
            info!(peer.address = %address, "connection refused: {why}");
        }
    }
}

async fn open(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    identify: Identify,
    hall: Arc<Hall>,
    deadline: Instant,
) -> Result<Option<session::Open<TlsStream<TcpStream>>>, String> {
    // A PUBACK is small and must not wait for company.
    stream.set_nodelay(true).map_err(|e| format!("setting TCP_NODELAY: {e}"))?;
    keep_alive(&stream)?;
    let stream = timeout_at(deadline, shake_hands(stream, &tls))
        .await
        .map_err(|_| "the TLS handshake took too long".to_owned())?
        .map_err(|e| format!("the TLS handshake failed: {e}"))?;
    let (peer, calls) = {
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first).ok_or("no client certificate")?;
        (identify(certificate)?, connection.alpn_protocol() == Some(vaka_protocol::look::ALPN))
    };
    if calls {
        return hall.call(peer, stream).map(|()| None);
    }
    hall.counts.accepted.fetch_add(1, Ordering::Relaxed);
    Ok(session::open(stream, peer, hall, deadline).await)
}

/// Where names are agreed on (ALPN), TLS refuses whoever offers only others. Here all but the look stream is MQTT, so such a client is
/// taken as one that offers none.
async fn shake_hands(stream: TcpStream, tls: &Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let offered = hello.client_hello().alpn().map(|names| names.map(<[u8]>::to_vec).collect::<Vec<_>>());
    let is_strange = |names: Vec<Vec<u8>>| !names.iter().any(|name| tls.alpn_protocols.contains(name));
    let mut tls = tls.clone();
    if offered.is_some_and(is_strange) {
        Arc::make_mut(&mut tls).alpn_protocols.clear();
    }
    hello.into_stream(tls).await
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
