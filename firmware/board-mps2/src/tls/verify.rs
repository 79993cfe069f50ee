//! Whether it is the gateway. Enters: its certificate. Leaves: yes, or why not.
//!
//! Invariants, each of them: signed by the authority for gateways itself, with nothing between (what else the peer sends
//! is not looked at, so that no device can vouch for anybody); no authority, no device: the only purpose is to serve;
//! the name that this device was given; within its dates, if the device knows the time. Without a clock the dates are
//! not judged: a lost clock never stops a call for help. Nor does an expired certificate, where [`Verifier::at`] is
//! left out because a life event waits.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    anchor_from_trusted_cert,
};

use super::provider::SIGNATURES;

/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1 (RFC 5280, 4.2.1.12).
const SERVES_OID: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const SERVES: KeyPurposeId<'static> = KeyPurposeId::new(SERVES_OID);

/// Judges one connection's certificate.
#[derive(Debug)]
pub struct Verifier {
    /// The authority for gateways, DER.
    pub authority: CertificateDer<'static>,
    /// The time, if the dates are to be judged.
    pub at: Option<UnixTime>,
}

/// Serving is the only purpose.
struct ServesOnly;

impl ExtendedKeyUsageValidator for ServesOnly {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match (purposes.next(), purposes.next()) {
            (Some(Ok(purpose)), None) if purpose == SERVES => Ok(()),
            (Some(Err(error)), _) => Err(error),
            _ => Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
                required: KeyUsage::required(SERVES_OID),
                present: alloc::vec::Vec::new(),
            })),
        }
    }
}

/// A certificate that this authority has signed itself, for a server and nothing else, within its dates if there is a time.
///
/// # Errors
/// What is wrong with it.
pub fn signed_by<'c>(
    authority: &CertificateDer<'_>,
    certificate: &'c CertificateDer<'_>,
    at: Option<UnixTime>,
) -> Result<EndEntityCert<'c>, webpki::Error> {
    let authority = [anchor_from_trusted_cert(authority)?];
    let certificate = EndEntityCert::try_from(certificate)?;
    let chain = |at| {
        let path = certificate.verify_for_usage(SIGNATURES.all, &authority, &[], at, ServesOnly, None, None);
        path.map(drop)
    };
    match (at, chain(at.unwrap_or(UnixTime::since_unix_epoch(core::time::Duration::ZERO)))) {
        (Some(_), judged) => judged?,
        // Judged as of a time when it was valid, everything else must hold.
        (None, Err(webpki::Error::CertNotValidYet { not_before, .. })) => chain(not_before)?,
        (None, judged) => judged?,
    }
    Ok(certificate)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = signed_by(&self.authority, certificate, self.at)
            .and_then(|certificate| certificate.verify_is_valid_for_subject_name(name));
        judged.map(|()| ServerCertVerified::assertion()).map_err(|error| {
            Error::InvalidCertificate(match error {
                webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
                webpki::Error::CertExpired { .. } => CertificateError::Expired,
                webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
                webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
                    CertificateError::InvalidPurpose
                }
                webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
                _ => CertificateError::BadEncoding,
            })
        })
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> alloc::vec::Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}
