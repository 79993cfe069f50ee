//! Making authorities and certificates. X.509 v3, P-256, ECDSA with SHA-256, by rcgen on ring.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};

use super::{BACKDATE_MS, CLOCK_FLOOR_MS, ProvisionError};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// From when a certificate is valid.
pub(super) enum Start {
    /// From 1970: judged by devices, whose clocks may show anything, and there is nothing that an early start could open.
    Always,
    /// From a day ago: judged by us and by receivers; its life can be read from it, as renewal at two thirds needs.
    Yesterday,
}

pub(super) struct Made {
    pub cert_pem: String,
    pub key_pem: String,
    pub der: Vec<u8>,
    /// Lower-case hex.
    pub serial: String,
    /// UTC milliseconds, whole seconds.
    pub not_after: i64,
}

/// A certificate for a key that may be anywhere.
pub(super) struct Signed {
    pub cert_pem: String,
    pub der: Vec<u8>,
    /// Lower-case hex.
    pub serial: String,
    /// UTC milliseconds, whole seconds.
    pub not_after: i64,
}

/// An authority that may sign end certificates only (path length 0).
pub(super) fn authority(
    name: &str,
    days: i64,
    now_ms: i64,
) -> Result<CertifiedIssuer<'static, KeyPair>, ProvisionError> {
    let (mut params, _, _) = params(name, Start::Always, days, now_ms)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?)
}

/// Reads an authority back from its two files.
pub(super) fn read_authority(cert: &Path, key: &Path) -> Result<Issuer<'static, KeyPair>, ProvisionError> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(ProvisionError::file(path));
    let wrong = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ProvisionError::Certificate { path, source }
    };
    let pair = KeyPair::from_pem(&read(key)?).map_err(wrong(key))?;
    Issuer::from_ca_cert_pem(&read(cert)?, pair).map_err(wrong(cert))
}

/// A key and a certificate for one peer, with exactly one extended key usage.
pub(super) fn end(
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    alternatives: Vec<SanType>,
    start: Start,
    days: i64,
    now_ms: i64,
) -> Result<Made, ProvisionError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let signed = signed(issuer, &key, name, usage, alternatives, start, days, now_ms)?;
    let Signed { cert_pem, der, serial, not_after } = signed;
    Ok(Made { cert_pem, key_pem: key.serialize_pem(), der, serial, not_after })
}

/// A certificate for somebody else's public key, with exactly one extended key usage.
#[expect(clippy::too_many_arguments, reason = "each is one field of the certificate")]
pub(super) fn signed(
    issuer: &Issuer<'_, KeyPair>,
    key: &impl PublicKeyData,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    alternatives: Vec<SanType>,
    start: Start,
    days: i64,
    now_ms: i64,
) -> Result<Signed, ProvisionError> {
    let (mut params, serial, not_after) = params(name, start, days, now_ms)?;
    params.subject_alt_names = alternatives;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(key, issuer)?;
    Ok(Signed { cert_pem: certificate.pem(), der: certificate.der().to_vec(), serial, not_after })
}

fn params(
    name: &str,
    start: Start,
    days: i64,
    now_ms: i64,
) -> Result<(CertificateParams, String, i64), ProvisionError> {
    let now_ms = now_ms.max(CLOCK_FLOOR_MS) / 1_000 * 1_000;
    let not_after = now_ms + days * DAY_MS;
    let since_1970 = |ms: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = match start {
        Start::Always => since_1970(0),
        Start::Yesterday => since_1970(now_ms - BACKDATE_MS),
    };
    params.not_after = since_1970(not_after);
    let serial = serial()?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok((params, hex(&serial), not_after))
}

/// 16 random bytes; positive and without leading zero, so that every tool prints the same hex.
fn serial() -> Result<[u8; 16], ProvisionError> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| ProvisionError::Random)?;
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
