//! Which devices' certificates TLS lets in: everything about them is judged but when they end.
//!
//! A certificate of the home's authority that has ended, or that begins later than our clock shows, is judged as of a moment within
//! its life: signature, usage and names as ever. That it has ended is then the session's to know (`ingest/session`): such a device may
//! renew and call for help. Revocation is the roster's, as for all.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// [`rustls::server::WebPkiClientVerifier`] without the dates.
pub(super) struct Timeless(pub Arc<dyn ClientCertVerifier>);

impl fmt::Debug for Timeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeless")
    }
}

impl ClientCertVerifier for Timeless {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = match self.0.verify_client_cert(end_entity, intermediates, now) {
            Err(refused) if is_about_time(&refused) => refused,
            judged => return judged,
        };
        let Some(within) = last_moment(end_entity) else { return Err(refused) };
        self.0.verify_client_cert(end_entity, intermediates, within)
    }

    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn is_about_time(refused: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let Error::InvalidCertificate(why) = refused else { return false };
    matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

fn last_moment(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, x509) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = x509.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    // A life that ends before it begins is no life.
    let until = u64::try_from(until).ok().filter(|_| from <= until)?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(until)))
}
