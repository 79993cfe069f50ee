//! Who a peer is, from the certificate that TLS has already verified.

use rustls_pki_types::CertificateDer;
use vaka_protocol::DeviceId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::hex;

/// Prefix of the subject alternative name that carries the enrolment.
pub(crate) const ENROLMENT_URN: &str = "urn:vaka:enrolment:";

/// A device, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    pub device: DeviceId,
    /// Part of an event's identity: a replaced device has the next number. 1 where the certificate says nothing.
    pub enrolment: u32,
    /// Lower-case hex without leading zeros, as in `issued.jsonl`.
    pub serial: String,
    /// UTC milliseconds.
    pub not_after: i64,
}

/// Why a certificate names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("reading the peer's certificate: not X.509; make it with `vaka device add`")]
    NotX509,
    #[error(
        "reading the peer's certificate: the common name `{0}` is no device id ([a-z0-9-], 1 to 32); make it with `vaka device add`"
    )]
    CommonName(String),
    #[error(
        "reading the certificate of `{device}`: `{uri}` is no enrolment number from 1; make it with `vaka device add`"
    )]
    Enrolment { device: DeviceId, uri: String },
}

/// Reads the peer's identity. Trust, dates and key usage are TLS's part, revocation is [`super::Issued`]'s.
///
/// # Errors
/// [`IdentityError`], which names what is wrong.
pub fn identity(certificate: &CertificateDer<'_>) -> Result<PeerIdentity, IdentityError> {
    let (_, x509) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::NotX509)?;
    let names: Vec<&str> = x509.subject().iter_common_name().map(|cn| cn.as_str().unwrap_or("?")).collect();
    let name = names.join("+");
    let device = DeviceId::try_from(name.as_str())
        .map_err(|_| IdentityError::CommonName(name.chars().take(64).flat_map(char::escape_debug).collect()))?;
    let alternatives = x509.subject_alternative_name().map_err(|_| IdentityError::NotX509)?;
    let mut enrolment = 1;
    for alternative in alternatives.iter().flat_map(|san| &san.value.general_names) {
        if let GeneralName::URI(uri) = alternative
            && let Some(number) = uri.strip_prefix(ENROLMENT_URN)
        {
            let uri = || uri.chars().take(64).flat_map(char::escape_debug).collect();
            enrolment = number
                .parse()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| IdentityError::Enrolment { device: device.clone(), uri: uri() })?;
        }
    }
    let serial = x509.raw_serial();
    let leading = serial.iter().take_while(|byte| **byte == 0).count();
    Ok(PeerIdentity {
        device,
        enrolment,
        serial: hex(&serial[leading..]),
        not_after: x509.validity().not_after.timestamp().saturating_mul(1_000),
    })
}
