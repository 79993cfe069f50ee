//! The gateway's own certificates, made again before they end: its authorities' keys are at hand.
//!
//! Under the same key, so that one file is replaced, all or nothing, and a receiver that has pinned the key still knows it.

use std::path::Path;

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tracing::{info, warn};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::certificate::{Start, Subject, read_authority, sign};
use super::devices::lock_home;
use super::{GATEWAY_DAYS, Pki, ProvisionError, files};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A certificate that would end no more than this much later is not made, in milliseconds: under an authority that ends first there is
/// nothing to be won by it.
const WORTH_MS: i64 = 30 * DAY_MS;

/// Makes those of the gateway's certificates again of whose life a third or less is left. Returns true if there are new ones.
///
/// What cannot be renewed is left as it is, and said: the gateway serves its devices with what it has.
pub fn renew_own(pki: &Pki, now_ms: i64) -> bool {
    let server = (pki.server_cert(), pki.server_key(), pki.server_ca(), pki.server_ca_key(), pki.server_ca_above());
    let client = (pki.client_cert(), pki.client_key(), pki.device_ca(), pki.device_ca_key(), pki.device_ca_above());
    let mut renewed = false;
    // One that comes from elsewhere is renewed there (`est`).
    let is_elsewhere = pki.est().symlink_metadata().is_ok();
    let client = (!is_elsewhere).then_some((client, ExtendedKeyUsagePurpose::ClientAuth));
    for (files, usage) in [(server, ExtendedKeyUsagePurpose::ServerAuth)].into_iter().chain(client) {
        match renew_one(pki, &files, usage, now_ms) {
            Ok(true) => {
                info!("{} was near its end and is made again", files.0.display());
                renewed = true;
            }
            Ok(false) => {}
            Err(error) => warn!("renewing {}: {error}", files.0.display()),
        }
    }
    renewed
}

type Files = (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf, std::path::PathBuf, std::path::PathBuf);

fn renew_one(
    pki: &Pki,
    (cert, key, ca, ca_key, above): &Files,
    usage: ExtendedKeyUsagePurpose,
    now_ms: i64,
) -> Result<bool, ProvisionError> {
    let unreadable =
        || ProvisionError::Certificate { path: cert.clone(), source: rcgen::Error::CouldNotParseCertificate };
    let der = CertificateDer::from_pem_file(cert).map_err(|_| unreadable())?;
    let (_, old) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
    let ms = |time: &x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1_000);
    let (from, until) = (ms(&old.validity().not_before), ms(&old.validity().not_after));
    if until.saturating_sub(now_ms) > GATEWAY_DAYS * DAY_MS / 3 {
        return Ok(false);
    }
    let _lock = lock_home(pki.dir())?;
    let authority = read_authority(ca, ca_key)?;
    if (now_ms + GATEWAY_DAYS * DAY_MS).min(authority.not_after) < until + WORTH_MS {
        return Ok(false);
    }
    let (name, alternatives) = names(&old).ok_or_else(unreadable)?;
    let subject = Subject { name: &name, usage, alternatives, start: Start::As(from), days: GATEWAY_DAYS };
    let text = std::fs::read_to_string(key).map_err(ProvisionError::file(key))?;
    let pair = KeyPair::from_pem(&text).map_err(|source| ProvisionError::Certificate { path: key.clone(), source })?;
    let signed = sign(&authority, subject, &pair, now_ms)?;
    files::write(cert, chain(signed.pem, ca, above)?.as_bytes(), files::PUBLIC)?;
    Ok(true)
}

/// As it was shown before: with the authorities between it and the municipality's root.
pub(super) fn chain(pem: String, ca: &Path, above: &Path) -> Result<String, ProvisionError> {
    let mut chain = pem;
    if let Ok(above) = std::fs::read_to_string(above) {
        chain += &std::fs::read_to_string(ca).map_err(ProvisionError::file(ca))?;
        chain += &above;
    }
    Ok(chain)
}

/// Whom a certificate names: its common name, and the names and addresses beside it.
pub(super) fn names(x509: &X509Certificate<'_>) -> Option<(String, Vec<SanType>)> {
    let name: Vec<&str> = x509.subject().iter_common_name().filter_map(|cn| cn.as_str().ok()).collect();
    let names = x509.subject_alternative_name().ok()?;
    let alternatives = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(SanType::DnsName((*name).try_into().ok()?)),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(bytes), _) => Some(SanType::IpAddress(bytes.into())),
            (_, Ok(bytes)) => Some(SanType::IpAddress(bytes.into())),
            _ => None,
        },
        _ => None,
    });
    Some((name.concat(), alternatives.collect()))
}
