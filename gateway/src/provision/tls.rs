//! TLS settings made from the home's files: the devices' endpoint, and a device's own side of it.
//!
//! Provider: ring, given explicitly. Both sides must show a certificate. Absent: resumption. A resumed connection would
//! skip the certificate, and with it revocation; a device connects seldom, and 50 ms of its time buys that "revoked" is true.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::verifier::Timeless;
use crate::clock::Clock;
use crate::config::{Config, Role, TlsMin};

/// Why there are no TLS settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading {}: {source}; restore pki/ from a backup, or make a home with `vaka init DIR`", path.display())]
    Pem { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("reading {}: there is no certificate in it", .0.display())]
    Empty(PathBuf),
    #[error("using {}: {source}", path.display())]
    Certificate { path: PathBuf, source: rustls::Error },
    #[error("using {} to judge devices: {source}", path.display())]
    Verifier { path: PathBuf, source: rustls::server::VerifierBuilderError },
    #[error("starting TLS: {0}")]
    Versions(rustls::Error),
}

const NEW_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Certificates are judged by the gateway's clock with its floor, so that a box that woke up in 1970 still takes its devices.
struct ByClock(Arc<dyn Clock>);

impl fmt::Debug for ByClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClock")
    }
}

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = self.0.now().wall_ms.max(super::CLOCK_FLOOR_MS);
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms.unsigned_abs())))
    }
}

/// The devices' endpoint: only certificates of the device authority with the usage "client" come in. One that has ended comes in too:
/// its session knows it (`verifier`).
///
/// TLS 1.3 unless `tls_min` says otherwise, no resumption, no early data. A connection's own buffers are bounded where it is
/// accepted (`set_buffer_limit`).
///
/// # Errors
/// [`TlsError`], which names the file.
pub fn server_config(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, TlsError> {
    let pki = config.pki();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(&pki.device_ca())?);
    let strict = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|source| TlsError::Verifier { path: pki.device_ca(), source })?;
    let verifier = Arc::new(Timeless(strict));
    let versions = match config.ingest.tls_min {
        TlsMin::V1_3 => NEW_ONLY,
        TlsMin::V1_2 => BOTH,
    };
    let (chain, key) = (chain(&pki.server_cert())?, key(&pki.server_key())?);
    let mut server = ServerConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
        .with_protocol_versions(versions)
        .map_err(TlsError::Versions)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Certificate { path: pki.server_cert(), source })?;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    if config.gateway.role == Role::Hub {
        // What a client names beside these is no reason to refuse it: the listener takes it as MQTT.
        server.alpn_protocols = vec![vaka_protocol::look::ALPN.to_vec(), b"mqtt".to_vec()];
    }
    Ok(Arc::new(server))
}

/// The enrolment door: TLS 1.3 and `vaka-enrol/1` alone, nobody is asked for a certificate. The authority is shown beside the gateway's
/// certificate, so that a device that knows its fingerprint can judge it before it says anything.
///
/// # Errors
/// [`TlsError`], which names the file.
pub fn enrol_config(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, TlsError> {
    let pki = config.pki();
    let mut shown = chain(&pki.server_cert())?;
    shown.extend(chain(&pki.server_ca())?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
        .with_protocol_versions(NEW_ONLY)
        .map_err(TlsError::Versions)?
        .with_no_client_auth()
        .with_single_cert(shown, key(&pki.server_key())?)
        .map_err(|source| TlsError::Certificate { path: pki.server_cert(), source })?;
    server.alpn_protocols = vec![vaka_protocol::enrol::ALPN.to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

/// A device's side: trusts the authority in `ca`, shows `identity` (certificate and key, PEM) if there is one.
///
/// # Errors
/// [`TlsError`], which names the file.
pub fn client_config(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(BOTH)
        .map_err(TlsError::Versions)?
        .with_root_certificates(roots(ca)?);
    let mut client = match identity {
        Some((cert, private)) => builder
            .with_client_auth_cert(chain(cert)?, key(private)?)
            .map_err(|source| TlsError::Certificate { path: cert.to_path_buf(), source })?,
        None => builder.with_no_client_auth(),
    };
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|source| TlsError::Certificate { path: path.to_path_buf(), source })?;
    }
    Ok(roots)
}

/// Every certificate in a PEM file, at least one.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem { path: path.to_path_buf(), source };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if chain.is_empty() { Err(TlsError::Empty(path.to_path_buf())) } else { Ok(chain) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem { path: path.to_path_buf(), source })
}
