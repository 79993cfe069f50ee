//! TLS with a gateway that nobody has vouched for yet: what its handshake leaves behind, to be judged by the code.
//!
//! Enters: the authority's fingerprint, where the technician's QR code told it. Leaves: what both sides export of the
//! connection, and the certificate that was shown. Invariants: without the fingerprint any certificate is let through, and
//! nothing is believed of who shows it but by proof over this connection; the handshake's signature is checked either way,
//! which ties certificate and exporter together.
//!
//! rustls without `std` exports nothing (`UnbufferedClientConnection` keeps what could in private, 0.23.46), but tells its
//! exporter secret to a key log: [`Met`] is one, and hears that alone.

use alloc::sync::Arc;
use core::cell::RefCell;

use critical_section::Mutex;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, KeyLog, SignatureScheme};
use sha2::{Digest, Sha256};
use vaka_device::enrol::{ALPN, EXPORTER_BYTES, EXPORTER_LABEL};
use vaka_device::identity::exported;

use super::NoTime;
use super::provider::{SIGNATURES, provider};
use super::verify::signed_by;

/// The label of the exporter's secret, as key logs name it.
const EXPORTER_SECRET: &str = "EXPORTER_SECRET";

/// Who was met.
pub struct Met {
    /// SHA-256 of the authority that must have signed.
    authority: Option<[u8; 32]>,
    seen: Mutex<RefCell<Seen>>,
}

#[derive(Default)]
struct Seen {
    secret: Option<[u8; 32]>,
    certificate: Option<CertificateDer<'static>>,
}

impl core::fmt::Debug for Met {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Met(..)")
    }
}

impl Met {
    /// Nobody yet.
    pub fn new(authority: Option<[u8; 32]>) -> Arc<Self> {
        Arc::new(Self { authority, seen: Mutex::new(RefCell::default()) })
    }

    /// The settings for one connection. `None`: rustls does not take them, which is for the program to mend.
    pub fn config(self: &Arc<Self>) -> Option<Arc<ClientConfig>> {
        let mut config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(NoTime))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        config.alpn_protocols = alloc::vec![ALPN.to_vec()];
        config.key_log = self.clone();
        config.resumption = Resumption::disabled();
        Some(Arc::new(config))
    }

    /// What both sides export of the connection, once its handshake is over.
    pub fn exporter(&self) -> Option<[u8; EXPORTER_BYTES]> {
        let secret = critical_section::with(|cs| self.seen.borrow_ref_mut(cs).secret.take())?;
        Some(exported(&secret, EXPORTER_LABEL))
    }

    /// The certificate that was shown.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        critical_section::with(|cs| self.seen.borrow_ref(cs).certificate.clone())
    }
}

impl KeyLog for Met {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            critical_section::with(|cs| self.seen.borrow_ref_mut(cs).secret = secret.try_into().ok());
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER_SECRET
    }
}

impl ServerCertVerifier for Met {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(wanted) = self.authority {
            let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
            let is_it = |shown: &&CertificateDer<'_>| Sha256::digest(shown).as_slice() == wanted;
            let authority = more.iter().find(is_it).ok_or_else(unknown)?;
            signed_by(authority, certificate, None).map_err(|_| unknown())?;
        }
        let shown = certificate.clone().into_owned();
        critical_section::with(|cs| self.seen.borrow_ref_mut(cs).certificate = Some(shown));
        Ok(ServerCertVerified::assertion())
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
