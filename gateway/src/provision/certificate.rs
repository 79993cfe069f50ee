//! Making authorities and certificates. X.509 v3, P-256, ECDSA with SHA-256, by rcgen on ring.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{BACKDATE_MS, CLOCK_FLOOR_MS, ProvisionError};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// From when a certificate is valid.
pub(super) enum Start {
    /// From 1970: judged by devices, whose clocks may show anything, and there is nothing that an early start could open.
    Always,
    /// From a day ago: judged by us and by receivers; its life can be read from it, as renewal at two thirds needs.
    Yesterday,
    /// From when the one before it was, UTC milliseconds: renewed while the clock was years ahead, it is good when it is right again.
    As(i64),
}

/// What a certificate says of its owner, beside its key.
pub(super) struct Subject<'a> {
    pub name: &'a str,
    /// The one extended key usage.
    pub usage: ExtendedKeyUsagePurpose,
    pub alternatives: Vec<SanType>,
    pub start: Start,
    pub days: i64,
}

/// A signed certificate, without its key.
pub(super) struct Signed {
    pub pem: String,
    pub der: Vec<u8>,
    /// Lower-case hex.
    pub serial: String,
    /// UTC milliseconds, whole seconds.
    pub not_after: i64,
}

/// An authority with its key, as it lies in its two files.
pub(super) struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    /// UTC milliseconds: nothing that it signs ends later.
    pub not_after: i64,
}

/// An authority that may sign end certificates only (path length 0), of peers with this one usage.
///
/// One for devices (usage "client") excludes every DNS name and every address: whatever it is made to sign, nothing that it signed
/// can be a server's. The name constraints are critical, as RFC 5280 4.2.1.10 asks for.
pub(super) fn authority(
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    days: i64,
    now_ms: i64,
) -> Result<CertifiedIssuer<'static, KeyPair>, ProvisionError> {
    let (mut params, _, _) = params(name, &Start::Always, days, i64::MAX, now_ms)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if usage == ExtendedKeyUsagePurpose::ClientAuth {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: vec![
                // Empty: every name.
                GeneralSubtree::DnsName(String::new()),
                GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
            ],
        });
    }
    params.extended_key_usages = vec![usage];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?)
}

/// Reads an authority back from its two files.
pub(super) fn read_authority(cert: &Path, key: &Path) -> Result<Authority, ProvisionError> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(ProvisionError::file(path));
    let wrong = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ProvisionError::Certificate { path, source }
    };
    let pair = KeyPair::from_pem(&read(key)?).map_err(wrong(key))?;
    let pem = read(cert)?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| wrong(cert)(rcgen::Error::CouldNotParseCertificate))?;
    let (_, x509) =
        x509_parser::parse_x509_certificate(&der).map_err(|_| wrong(cert)(rcgen::Error::CouldNotParseCertificate))?;
    let not_after = x509.validity().not_after.timestamp().saturating_mul(1_000);
    Ok(Authority { issuer: Issuer::from_ca_cert_der(&der, pair).map_err(wrong(cert))?, not_after })
}

/// A new key and its certificate.
pub(super) fn end(
    authority: &Authority,
    subject: Subject<'_>,
    now_ms: i64,
) -> Result<(KeyPair, Signed), ProvisionError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let signed = sign(authority, subject, &key, now_ms)?;
    Ok((key, signed))
}

/// A certificate of `key`, which stays where it is; with exactly one extended key usage.
pub(super) fn sign(
    authority: &Authority,
    subject: Subject<'_>,
    key: &impl PublicKeyData,
    now_ms: i64,
) -> Result<Signed, ProvisionError> {
    let Subject { name, usage, alternatives, start, days } = subject;
    let (mut params, serial, not_after) = params(name, &start, days, authority.not_after, now_ms)?;
    params.subject_alt_names = alternatives;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(key, &authority.issuer)?;
    Ok(Signed { pem: certificate.pem(), der: certificate.der().to_vec(), serial, not_after })
}

fn params(
    name: &str,
    start: &Start,
    days: i64,
    latest_ms: i64,
    now_ms: i64,
) -> Result<(CertificateParams, String, i64), ProvisionError> {
    let now_ms = now_ms.max(CLOCK_FLOOR_MS) / 1_000 * 1_000;
    let not_after = (now_ms + days * DAY_MS).min(latest_ms);
    let since_1970 = |ms: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = match start {
        Start::Always => since_1970(0),
        // Never after its end: an authority that has ended would make what no handshake takes.
        Start::Yesterday => since_1970((now_ms - BACKDATE_MS).min(not_after)),
        Start::As(ms) => since_1970(*ms),
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
