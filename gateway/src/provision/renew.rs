//! A device's next certificate, asked for on the connection that its present one has opened.
//!
//! Enters: who asks, by which certificate, and a certificate request (PKCS #10). Leaves: a certificate of the same device and
//! enrolment. Invariants: a revoked certificate renews nothing; only the key is taken from the request; one that is given and
//! not used yet is at most one per enrolment; the one before stays good until the next was used. Asked again with the same key, the
//! same certificate is given again, so that an answer lost on the way costs nothing.

use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::certificate::{read_authority, sign};
use super::devices::{device_subject, lock_home, row};
use super::issued::{Issued, IssuedRow, append};
use super::{DEVICE_DAYS, PeerIdentity, Pki, ProvisionError, files};
use crate::limits;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// id-ecPublicKey with the curve P-256 (RFC 5480), as every certificate here.
const P256: (&str, &str) = ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7");

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    #[error("reading the certificate request: {0}; send PKCS #10 (DER) with a P-256 key, signed by it")]
    Unreadable(&'static str),
    #[error("its certificate is revoked, or superseded by one that has been used")]
    NotInForce,
    #[error("less than half of its certificate's life has passed; it is renewed at two thirds")]
    TooEarly,
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

/// A certificate given.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// X.509, DER.
    pub certificate: Vec<u8>,
    pub serial: String,
    /// UTC milliseconds.
    pub not_after: i64,
    /// False: it had been given before, and was lost on the way.
    pub is_new: bool,
}

/// Gives `peer` its next certificate for the key in `request`.
///
/// # Errors
/// [`NotRenewed`]; nothing has changed then.
pub fn renew(pki: &Pki, peer: &PeerIdentity, request: &[u8], now_ms: i64) -> Result<Renewal, NotRenewed> {
    let key = read_request(request)?;
    let _lock = lock_home(pki.dir())?;
    let (issued, _) = Issued::load(&pki.issued())?;
    let known = issued.row(&peer.serial);
    if known.is_some_and(|row| !row.is_in_force()) {
        return Err(NotRenewed::NotInForce);
    }
    if let Some(given) = given_before(pki, peer, &issued, &key) {
        return Ok(given);
    }
    // A list that was lost must not end every device: TLS has judged its certificate.
    let life_ms = known.map_or(DEVICE_DAYS * DAY_MS, |row| row.not_after - row.issued_at);
    if now_ms < peer.not_after.saturating_sub(life_ms / 2) {
        return Err(NotRenewed::TooEarly);
    }
    let authority = read_authority(&pki.device_ca(), &pki.device_ca_key())?;
    let signed = sign(&authority, device_subject(&peer.device, peer.enrolment)?, &key, now_ms)?;
    // One that was given to it, was never used and is not of this key is lost: the device has not got its key.
    let mut rows: Vec<IssuedRow> = later(&issued, peer);
    rows.iter_mut().for_each(|row| row.superseded_at = Some(now_ms));
    rows.push(row(&peer.device, peer.enrolment, &signed, now_ms));
    append(&pki.issued(), &rows)?;
    let waiting = pki.waiting(&peer.device, peer.enrolment);
    files::folder(&pki.dir().join("renewed"))?;
    files::write(&waiting, signed.pem.as_bytes(), files::PUBLIC)?;
    Ok(Renewal { certificate: signed.der, serial: signed.serial, not_after: signed.not_after, is_new: true })
}

/// What `peer` was given and has not used, if there is such.
pub fn waiting(pki: &Pki, peer: &PeerIdentity) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_file(pki.waiting(&peer.device, peer.enrolment)).ok()?;
    let (issued, _) = Issued::load(&pki.issued()).ok()?;
    let given = super::identity(&der).ok()?;
    later(&issued, peer).iter().any(|row| row.serial == given.serial).then(|| der.to_vec())
}

/// `peer` has come with a certificate that it was given on a connection: those before it are good no longer. Returns whether there were
/// any.
///
/// # Errors
/// [`ProvisionError`]: the old ones are good as before.
pub fn first_used(pki: &Pki, peer: &PeerIdentity, now_ms: i64) -> Result<bool, ProvisionError> {
    let _lock = lock_home(pki.dir())?;
    let (issued, _) = Issued::load(&pki.issued())?;
    let rows = issued.of(&peer.device);
    let before =
        rows.into_iter().filter(|row| row.enrolment == peer.enrolment).take_while(|row| row.serial != peer.serial);
    let mut before: Vec<IssuedRow> = before.filter(|row| row.is_in_force()).cloned().collect();
    if before.is_empty() || issued.row(&peer.serial).is_none() {
        return Ok(false);
    }
    before.iter_mut().for_each(|row| row.superseded_at = Some(now_ms));
    append(&pki.issued(), &before)?;
    // It has it: only a copy is lost.
    let _ = std::fs::remove_file(pki.waiting(&peer.device, peer.enrolment));
    Ok(true)
}

/// Certificates in force of this enrolment that were given after the peer's own.
fn later(issued: &Issued, peer: &PeerIdentity) -> Vec<IssuedRow> {
    let rows = issued.of(&peer.device).into_iter().filter(|row| row.enrolment == peer.enrolment);
    rows.skip_while(|row| row.serial != peer.serial).skip(1).filter(|row| row.is_in_force()).cloned().collect()
}

fn given_before(pki: &Pki, peer: &PeerIdentity, issued: &Issued, key: &SubjectPublicKeyInfo) -> Option<Renewal> {
    let der = CertificateDer::from_pem_file(pki.waiting(&peer.device, peer.enrolment)).ok()?;
    let given = super::identity(&der).ok()?;
    let (_, x509) = x509_parser::parse_x509_certificate(&der).ok()?;
    let same_key = x509.public_key().raw == key.subject_public_key_info();
    let still = later(issued, peer).iter().any(|row| row.serial == given.serial);
    (same_key && still).then(|| Renewal {
        certificate: der.to_vec(),
        serial: given.serial,
        not_after: given.not_after,
        is_new: false,
    })
}

/// The key of a request that its owner has signed. Names and wishes in it count for nothing.
pub(super) fn read_request(request: &[u8]) -> Result<SubjectPublicKeyInfo, NotRenewed> {
    let unreadable = NotRenewed::Unreadable;
    if request.len() > limits::CSR_BYTES_MAX {
        return Err(unreadable("it is longer than any"));
    }
    let (rest, read) = X509CertificationRequest::from_der(request).map_err(|_| unreadable("it is not PKCS #10"))?;
    if !rest.is_empty() {
        return Err(unreadable("something follows it"));
    }
    let key = &read.certification_request_info.subject_pki;
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let is_p256 = key.algorithm.algorithm.to_id_string() == P256.0
        && curve.is_some_and(|curve| curve.to_id_string() == P256.1)
        && key.subject_public_key.data.len() == 65;
    if !is_p256 {
        return Err(unreadable("its key is not an uncompressed point of P-256"));
    }
    read.verify_signature().map_err(|_| unreadable("its signature is not of its key"))?;
    SubjectPublicKeyInfo::from_der(key.raw).map_err(|_| unreadable("its key cannot be read"))
}
