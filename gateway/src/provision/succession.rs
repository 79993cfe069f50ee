//! A box that takes another's place: the same authorities, so that every device knows it, and keys of its own.
//!
//! What the old box had for receivers is listed as revoked, so that nobody who has it comes in here as a device. What devices saw of it
//! cannot be taken back: they have no list of revoked servers, and its certificate is good until it ends.

use std::path::Path;

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use vaka_protocol::DeviceId;

use super::certificate::{Start, Subject, end, hex, read_authority};
use super::issued::{IssuedRow, append};
use super::own::{chain, names};
use super::{GATEWAY_DAYS, Pki, ProvisionError, files, sha256};

/// A key as receivers pin it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex.
    pub sha256: String,
}

/// What has taken the place of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Superseded {
    pub server_before: Key,
    pub server: Key,
    pub client_before: Key,
    /// Absent: the certificate towards receivers comes from an authority outside, which alone can replace it.
    pub client: Option<Key>,
}

/// Makes new keys and certificates for the gateway in `pki`, under its authorities and the names it had.
///
/// # Errors
/// [`ProvisionError`] where a file or an authority's key is not there.
pub fn supersede(pki: &Pki, gateway: &DeviceId, now_ms: i64) -> Result<Superseded, ProvisionError> {
    let server_old = read(&pki.server_cert())?;
    let client_old = read(&pki.client_cert())?;
    let in_pki = |name: &str| pki.dir().join(name);

    let authority = read_authority(&pki.server_ca(), &pki.server_ca_key())?;
    let (name, mut alternatives) = parsed(&pki.server_cert(), &server_old)?;
    // The new box has a name of its own in the network.
    alternatives.extend(super::home::host_name().filter(|host| !alternatives.contains(host)));
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let subject = Subject { name: &name, usage, alternatives, start: Start::Always, days: GATEWAY_DAYS };
    let (server_key, signed) = end(&authority, subject, now_ms)?;
    let shown = chain(signed.pem, &pki.server_ca(), &pki.server_ca_above())?;

    let is_elsewhere = pki.est().symlink_metadata().is_ok();
    let client = if is_elsewhere {
        None
    } else {
        let authority = read_authority(&pki.device_ca(), &pki.device_ca_key())?;
        let (name, alternatives) = parsed(&pki.client_cert(), &client_old)?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let subject = Subject { name: &name, usage, alternatives, start: Start::Yesterday, days: GATEWAY_DAYS };
        let (key, signed) = end(&authority, subject, now_ms)?;
        Some((key, chain(signed.pem, &pki.device_ca(), &pki.device_ca_above())?))
    };

    // First what may not be used any more.
    append(&pki.issued(), &[revoked(gateway, &pki.client_cert(), &client_old, now_ms)?])?;
    files::write(&in_pki("server.key"), server_key.serialize_pem().as_bytes(), files::PRIVATE)?;
    files::write(&pki.server_cert(), shown.as_bytes(), files::PUBLIC)?;
    let client_key = match client {
        None => None,
        Some((key, shown)) => {
            files::write(&in_pki("client.key"), key.serialize_pem().as_bytes(), files::PRIVATE)?;
            files::write(&pki.client_cert(), shown.as_bytes(), files::PUBLIC)?;
            Some(of_pair(&key))
        }
    };
    Ok(Superseded {
        server_before: of_certificate(&pki.server_cert(), &server_old)?,
        server: of_pair(&server_key),
        client_before: of_certificate(&pki.client_cert(), &client_old)?,
        client: client_key,
    })
}

fn unreadable(path: &Path) -> ProvisionError {
    ProvisionError::Certificate { path: path.to_path_buf(), source: rcgen::Error::CouldNotParseCertificate }
}

fn read(path: &Path) -> Result<CertificateDer<'static>, ProvisionError> {
    CertificateDer::from_pem_file(path).map_err(|_| unreadable(path))
}

fn parsed(path: &Path, der: &CertificateDer<'_>) -> Result<(String, Vec<SanType>), ProvisionError> {
    let (_, x509) = x509_parser::parse_x509_certificate(der).map_err(|_| unreadable(path))?;
    names(&x509).ok_or_else(|| unreadable(path))
}

fn of_certificate(path: &Path, der: &CertificateDer<'_>) -> Result<Key, ProvisionError> {
    let (_, x509) = x509_parser::parse_x509_certificate(der).map_err(|_| unreadable(path))?;
    Ok(Key { sha256: sha256(x509.public_key().raw) })
}

fn of_pair(pair: &KeyPair) -> Key {
    use rcgen::PublicKeyData;
    Key { sha256: sha256(&pair.subject_public_key_info()) }
}

fn revoked(
    gateway: &DeviceId,
    path: &Path,
    der: &CertificateDer<'_>,
    now_ms: i64,
) -> Result<IssuedRow, ProvisionError> {
    let (_, x509) = x509_parser::parse_x509_certificate(der).map_err(|_| unreadable(path))?;
    let serial = x509.raw_serial();
    let leading = serial.iter().take_while(|byte| **byte == 0).count();
    let ms = |time: &x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1_000);
    Ok(IssuedRow {
        id: gateway.clone(),
        enrolment: 1,
        serial: hex(&serial[leading..]),
        fingerprint_sha256: sha256(der),
        issued_at: ms(&x509.validity().not_before),
        not_after: ms(&x509.validity().not_after),
        revoked_at: Some(now_ms),
        superseded_at: None,
    })
}
