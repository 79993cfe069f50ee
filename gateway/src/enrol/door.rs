//! The enrolment door: TLS 1.3, one request, one answer.
//!
//! Enters: TCP connections. Leaves: certificates, and the name of each device that got one. Invariants: each connection has one
//! deadline for all it does; who is refused is told nothing but that; the log names devices and addresses, never codes, keys or proofs.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};
use vaka_protocol::DeviceId;
use vaka_protocol::enrol::{
    ALPN, ANSWER_BYTES_MAX, Answer, EXPORTER_BYTES, EXPORTER_LABEL, Granted, Locator, REQUEST_BYTES_MAX, Refused,
    Request, length,
};

use super::rate::Rates;
use super::{Counts, ENROLLED, ENROLLED_AGAIN, FAILED, HANDSHAKE_FAILED, MALFORMED, TURNED_AWAY};
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::lobby::{Lobby, Ticket};
use crate::limits;
use crate::provision::tls::TlsError;
use crate::provision::{self, Judged, NotEnrolled, Pki};

/// What the door needs; made once.
pub struct Door {
    config_file: PathBuf,
    pki: Pki,
    /// Where MQTT is, told to who is enrolled.
    mqtt: SocketAddr,
    clock: Arc<dyn Clock>,
    pub counts: Arc<Counts>,
    /// Hears of each device that got a certificate.
    enrolled: mpsc::UnboundedSender<DeviceId>,
    rates: Mutex<Rates>,
    locators: Mutex<Locators>,
}

/// The locators of the list as it last was on the disk: a stranger's wrong code costs a look at the file's date, not its reading.
#[derive(Default)]
struct Locators {
    seen: Option<(SystemTime, u64, u64)>,
    known: BTreeSet<Locator>,
}

impl Door {
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
        enrolled: mpsc::UnboundedSender<DeviceId>,
    ) -> Door {
        Door {
            config_file: config.file.clone(),
            pki: config.pki(),
            mqtt: config.ingest.listen,
            clock,
            counts,
            enrolled,
            rates: Mutex::default(),
            locators: Mutex::default(),
        }
    }

    /// Whether an invitation has this locator. Blocks on the disk.
    fn knows(&self, locator: &Locator) -> Result<bool, provision::ProvisionError> {
        use std::os::unix::fs::MetadataExt;
        let mut locators = self.locators.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::fs::metadata(self.pki.invites())
            .ok()
            .and_then(|meta| Some((meta.modified().ok()?, meta.len(), meta.ino())));
        if seen.is_none() || seen != locators.seen {
            locators.known = provision::locators(&self.pki)?;
            locators.seen = seen;
        }
        Ok(locators.known.contains(locator))
    }
}

/// Why a connection ended without an answer.
enum Ended {
    Handshake(String),
    Malformed(String),
}

/// Accepts connections until `shutdown`. `changed` changes whenever the gateway's certificate may have; then `settings` makes the TLS
/// settings anew.
pub async fn run(
    listener: TcpListener,
    door: Arc<Door>,
    mut changed: watch::Receiver<Arc<ServerConfig>>,
    settings: impl Fn() -> Result<Arc<ServerConfig>, TlsError>,
    mut tls: Arc<ServerConfig>,
    mut shutdown: watch::Receiver<bool>,
) {
    let lobby = Arc::new(Lobby::with_places(limits::ENROL_PLACES_MAX, limits::ENROL_PLACES_PER_ADDRESS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        let (stream, address) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(e) => {
                warn!("accepting a connection for enrolment: {e}; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let may = door.rates.lock().unwrap_or_else(PoisonError::into_inner).take(address, door.clock.now().mono_ms);
        let Some(ticket) = may.then(|| lobby.enter(address, Instant::now())).flatten() else {
            turned_away(&door, address);
            continue;
        };
        if changed.has_changed().unwrap_or(false) {
            changed.mark_unchanged();
            match settings() {
                Ok(new) => tls = new,
                Err(e) => warn!("reading the gateway's certificate anew for enrolment: {e}; the old one stays in use"),
            }
        }
        tokio::spawn(Box::pin(serve(stream, address, TlsAcceptor::from(tls.clone()), door.clone(), ticket)));
    }
}

/// Said for the first few and then ever more seldom: a crowd must not fill the log.
fn is_said(count: u64) -> bool {
    count <= 16 || count.is_power_of_two()
}

fn turned_away(door: &Door, address: IpAddr) {
    let count = door.counts.add(TURNED_AWAY);
    if is_said(count) {
        warn!(peer.address = %address, count, "enrolment: turned away, too many tries");
    }
}

async fn serve(stream: TcpStream, address: IpAddr, acceptor: TlsAcceptor, door: Arc<Door>, mut ticket: Ticket) {
    let deadline = Instant::now() + Duration::from_millis(limits::ENROL_MS_MAX);
    let met = tokio::select! {
        met = Box::pin(meet(stream, address, acceptor, door.clone(), deadline)) => met,
        () = ticket.turned_out() => return turned_away(&door, address),
    };
    let (what, why) = match met {
        Ok(()) => return,
        Err(Ended::Handshake(why)) => (HANDSHAKE_FAILED, why),
        Err(Ended::Malformed(why)) => (MALFORMED, why),
    };
    let count = door.counts.add(what);
    if is_said(count) {
        warn!(peer.address = %address, count, "enrolment: connection refused: {why}");
    }
}

async fn meet(
    stream: TcpStream,
    address: IpAddr,
    acceptor: TlsAcceptor,
    door: Arc<Door>,
    deadline: Instant,
) -> Result<(), Ended> {
    let handshake = |why: &str| Ended::Handshake(why.to_owned());
    let malformed = |why: String| Ended::Malformed(why);
    let mut tls = timeout_at(deadline, acceptor.accept(stream))
        .await
        .map_err(|_| handshake("the TLS handshake took too long"))?
        .map_err(|e| Ended::Handshake(format!("the TLS handshake failed: {e}")))?;
    let exporter = {
        let (_, connection) = tls.get_ref();
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(handshake("it does not speak vaka-enrol/1 (ALPN)"));
        }
        connection
            .export_keying_material([0_u8; EXPORTER_BYTES], EXPORTER_LABEL, None)
            .map_err(|e| Ended::Handshake(format!("exporting keys: {e}")))?
    };
    let reading = async {
        let mut prefix = [0; 2];
        tls.read_exact(&mut prefix).await.map_err(|e| malformed(format!("it ended before its request: {e}")))?;
        let length = length(prefix, REQUEST_BYTES_MAX).map_err(|e| malformed(e.to_string()))?;
        let mut request = vec![0; length];
        tls.read_exact(&mut request).await.map_err(|e| malformed(format!("it ended in its request: {e}")))?;
        Ok(request)
    };
    let request =
        timeout_at(deadline, reading).await.map_err(|_| malformed("its request took too long".to_owned()))??;
    let judging = door.clone();
    let answer = tokio::task::spawn_blocking(move || judging.answer(&request, &exporter, address))
        .await
        .map_err(|e| malformed(format!("judging its request: {e}")))??;
    // Who does not read its answer asks again.
    let writing = async {
        tls.write_all(&answer).await?;
        tls.shutdown().await
    };
    let _ = timeout_at(deadline, writing).await;
    Ok(())
}

impl Door {
    /// The bytes to answer a request with. Blocks on the disk.
    fn answer(&self, request: &[u8], exporter: &[u8; EXPORTER_BYTES], address: IpAddr) -> Result<Vec<u8>, Ended> {
        let request = Request::read(request).map_err(|e| Ended::Malformed(e.to_string()))?;
        let now = self.clock.now();
        let judged = match self.knows(&request.locator) {
            Ok(true) => provision::judge(&self.config_file, &self.pki, &request, exporter, now),
            Ok(false) => Ok(Judged::Refused { why: NotEnrolled::Unknown, id: None }),
            Err(e) => Err(e),
        };
        let ca = judged.and_then(|judged| Ok((judged, provision::server_ca(&self.pki)?)));
        let mut buffer = vec![0; 2 + ANSWER_BYTES_MAX];
        let written = match ca {
            Ok((Judged::Enrolled { id, enrolment, certificate, secret, again }, ca)) => {
                self.counts.add(if again { ENROLLED_AGAIN } else { ENROLLED });
                info!(device.id = %id, enrolment, peer.address = %address, again, "enrolled by a one-time code");
                // The other end is gone when the gateway stops.
                let _ = self.enrolled.send(id.clone());
                let (port, at) = (self.mqtt.port(), now.wall_ms);
                let granted = Granted { certificate: &certificate, ca: &ca, id: id.as_ref(), port, at };
                let proof = secret.gateway_proof(exporter, &granted);
                Answer::Granted(granted, proof).write(&mut buffer)
            }
            Ok((Judged::Refused { why, id }, _)) => {
                let count = self.counts.refused(why);
                if is_said(count) {
                    let id = id.as_ref().map_or("-", AsRef::as_ref);
                    warn!(device.id = %id, peer.address = %address, count, "enrolment refused: {}", said(why));
                }
                Answer::Refused(Refused::Refused).write(&mut buffer)
            }
            Err(e) => {
                let count = self.counts.add(FAILED);
                if is_said(count) {
                    warn!(peer.address = %address, count, "enrolment failed: {e}; the code is still good");
                }
                Answer::Refused(Refused::Busy).write(&mut buffer)
            }
        };
        buffer.truncate(written.map_err(|e| Ended::Malformed(e.to_string()))?);
        Ok(buffer)
    }
}

fn said(why: NotEnrolled) -> &'static str {
    match why {
        NotEnrolled::Unknown => "no invitation has this code",
        NotEnrolled::Expired => "the code has expired",
        NotEnrolled::Used => "the code was used by another device",
        NotEnrolled::Cancelled => "the code was taken back",
        NotEnrolled::Burnt => {
            "the code is burnt after too many wrong proofs; make a new one, and find out who stands between"
        }
        NotEnrolled::WrongProof => {
            "the proof does not fit this connection: somebody stands between the device and this gateway, or tries codes"
        }
        NotEnrolled::OtherKind => "the code is right, but it was made for another kind of device",
        NotEnrolled::BadRequest => "its request for a certificate is none of a P-256 key",
        NotEnrolled::NotListed => "the device is no longer in vaka.toml as it was invited",
    }
}
