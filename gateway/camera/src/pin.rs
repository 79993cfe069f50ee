//! Who a camera is: the hash of its public key, as a person accepted it.
//!
//! Invariant: the handshake's signature is always checked: a certificate alone proves nobody.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

/// SHA-256 of a certificate's public key (its SubjectPublicKeyInfo, DER), written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a camera's pin is the SHA-256 of its public key, 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Pin(bytes))
    }
}

impl Pin {
    /// The pin of a certificate's key; `None`: it is no certificate of today's form.
    fn of(certificate: &CertificateDer<'_>) -> Option<Pin> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        digest(&SHA256, parsed.public_key().raw).as_ref().try_into().ok().map(Pin)
    }
}

/// What a camera's certificate is for.
#[derive(Debug)]
enum Judge {
    /// It must be this key's. Its dates and names are not asked: a camera's self-signed certificate says nothing by them.
    Pinned(Pin),
    /// It is only looked at, for a person to accept.
    Shown,
}

/// The key that the other end has shown, once it has.
pub(crate) type ShownPin = Arc<Mutex<Option<Pin>>>;

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    shown: ShownPin,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pin = Pin::of(certificate).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
        match self.judge {
            Judge::Pinned(wanted) if wanted != pin => {
                Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    // Without these two anybody who has seen the certificate could show it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A connector that accepts `pin`'s key alone; none: any key, which is then found in the second value.
pub(crate) fn connector(pin: Option<Pin>) -> Result<(TlsConnector, ShownPin), rustls::Error> {
    let shown = ShownPin::default();
    let provider = rustls::crypto::ring::default_provider();
    let judge = pin.map_or(Judge::Shown, Judge::Pinned);
    let verifier = Arc::new(Verifier { judge, shown: Arc::clone(&shown), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), shown))
}
