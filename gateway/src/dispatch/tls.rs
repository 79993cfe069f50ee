//! How a receiver is judged over TLS: by its pinned key, or by a certificate authority and its name.
//!
//! Invariants: ring is the provider, passed by hand; a pin judges the key alone, so a receiver whose certificate has expired
//! is still told (the expiry is reported); the handshake's signature is always checked. Files are read at each
//! connection, so that a renewed certificate needs no restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::config::ReceiverConfig;
use crate::base64;

/// Why TLS towards a receiver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "`sips:` needs `pin` or `ca` to know the receiver by; get its pin, and compare it with the receiver's staff: \
         openssl s_client -connect HOST:PORT </dev/null | openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | \
         openssl dgst -sha256 -binary | base64"
    )]
    Unjudged,
    #[error("`cert` and `key` belong together; give both PEM files or none")]
    HalfIdentity,
    #[error("pin `{0}` is not a SHA-256 in base64 (44 characters) or hexadecimal (64 characters)")]
    Pin(String),
    #[error("reading {}: {reason}; it must be a PEM file with {what}", path.display())]
    File { path: PathBuf, what: &'static str, reason: String },
    #[error("setting up TLS: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("`{0}` is neither a host name nor an address")]
    Host(String),
    #[error("listening with TLS needs `cert` and `key`")]
    NoIdentity,
}

/// SHA-256 of a SubjectPublicKeyInfo in DER: it outlives renewals of the certificate as long as the key stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Base64 (also in curl's form `sha256//…`), or hexadecimal with or without colons.
    pub fn parse(text: &str) -> Result<Self, TlsError> {
        let wrong = || TlsError::Pin(text.to_owned());
        let bare = text.trim().strip_prefix("sha256//").unwrap_or(text.trim());
        let plain: String = bare.chars().filter(|c| *c != ':').collect();
        let bytes = if plain.len() == 64 {
            from_hex(&plain)
        } else {
            base64::decode(&bare.replace('-', "+").replace('_', "/"))
        };
        bytes.and_then(|b| b.try_into().ok()).map(Self).ok_or_else(wrong)
    }

    /// The pin of a certificate's key; `None` where it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        digest(&SHA256, parsed.public_key().raw).as_ref().try_into().ok().map(Self)
    }

    /// Hexadecimal, as it may stand in the configuration.
    pub fn hex(&self) -> String {
        super::sip::digest::hex(&self.0)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// When the peer's certificate ended, if that is before `wall_ms` (UTC milliseconds): its end in UTC seconds.
pub fn expired(certificate: &CertificateDer<'_>, wall_ms: i64) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let ends_s = parsed.validity().not_after.timestamp();
    (ends_s < wall_ms / 1_000).then_some(ends_s)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate that a pinned receiver showed last, for whoever does not get at the connection itself.
pub type Shown = Arc<Mutex<Option<CertificateDer<'static>>>>;

/// What to dial with.
pub fn client(config: &ReceiverConfig) -> Result<Arc<ClientConfig>, TlsError> {
    client_showing(config, Shown::default())
}

/// [`client`], which leaves in `shown` what a pinned receiver has shown. (One that a CA vouches for has not ended.)
pub fn client_showing(config: &ReceiverConfig, shown: Shown) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if config.pins.is_empty() {
        let ca = config.ca.as_deref().ok_or(TlsError::Unjudged)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca)?), provider)
            .build()
            .map_err(|e| file_error(ca, "CA certificates", &e))?;
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        let pinned = Pinned { shown, ..Pinned::new(&config.pins, provider)? };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
    };
    let client = match identity(config)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(client))
}

/// What to accept a dialling receiver with: our identity, and the same judgement of its certificate.
pub fn server(config: &ReceiverConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let (chain, key) = identity(config)?.ok_or(TlsError::NoIdentity)?;
    let verifier: Arc<dyn ClientCertVerifier> = if config.pins.is_empty() {
        let ca = config.ca.as_deref().ok_or(TlsError::Unjudged)?;
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider.clone())
            .build()
            .map_err(|e| file_error(ca, "CA certificates", &e))?
    } else {
        Arc::new(Pinned::new(&config.pins, provider.clone())?)
    };
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?))
}

/// The name the certificate must carry (where a CA judges), and that is asked for (SNI).
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host(host.to_owned()))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(config: &ReceiverConfig) -> Result<Option<Identity>, TlsError> {
    match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| file_error(key, "a private key", &e))?;
            Ok(Some((chain, key)))
        }
        (None, None) => Ok(None),
        _ => Err(TlsError::HalfIdentity),
    }
}

/// Which certificate of ours a connection was opened with: another one is on the disk once it was renewed. `None`: none was shown, or it
/// cannot be read (what stands with the one before it goes on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Worn(Option<[u8; 32]>);

impl Worn {
    /// The one that the next connection will show.
    pub fn now(config: &ReceiverConfig) -> Worn {
        let pem = config.cert.as_ref().and_then(|cert| std::fs::read(cert).ok());
        Worn(pem.and_then(|pem| digest(&SHA256, &pem).as_ref().try_into().ok()))
    }

    /// There is a newer one than this.
    pub fn is_renewed(&self, config: &ReceiverConfig) -> bool {
        let now = Worn::now(config);
        now.0.is_some() && *self != now
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| file_error(path, "CA certificates", &e))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(file_error(path, "certificates", &"there is no certificate in it")),
        Err(e) => Err(file_error(path, "certificates", &e)),
    }
}

fn file_error(path: &Path, what: &'static str, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), what, reason: reason.to_string() }
}

/// Takes a peer whose key is one of the pinned ones, whatever its certificate says of names and dates.
#[derive(Debug)]
struct Pinned {
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
    shown: Shown,
}

impl Pinned {
    fn new(pins: &[String], provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let pins = pins.iter().map(|p| Pin::parse(p)).collect::<Result<_, _>>()?;
        Ok(Self { pins, provider, shown: Shown::default() })
    }

    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let pin = Pin::of(certificate).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.pins.contains(&pin) {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.clone().into_owned());
            return Ok(());
        }
        Err(rustls::Error::General(format!("its key has the pin {}, which is not configured", pin.hex())))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_reads_in_every_written_form() {
        let hash = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; // SHA-256 of "abc"
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = Pin::parse(hex).unwrap();
        assert_eq!(expected.hex(), hex);
        for text in [
            hash.to_owned(),
            format!("sha256//{hash}"),
            format!(" {hash}\n"),
            hex.to_uppercase(),
            format!("ba:{}", &hex[2..]),
        ] {
            assert_eq!(Pin::parse(&text).unwrap(), expected, "{text}");
        }
        for bad in ["", "abc", "zz", &hex[1..], "****", "å"] {
            assert!(Pin::parse(bad).is_err(), "{bad}");
        }
    }
}
