//! A device's side, for scripts: `vaka device enrol`. Firmware does the same with `vaka_protocol::enrol`.
//!
//! Enters: where the gateway is, and the code. Leaves: key.pem, cert.pem and ca.pem in a folder. Invariants: the key is made here, 0600,
//! and never leaves; nothing is believed before the gateway has proved the code over the same connection; asked again after a lost answer,
//! it asks with the same key.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;
use vaka_protocol::enrol::{
    ALPN, ANSWER_BYTES_MAX, Answer, Code, CodeError, EXPORTER_BYTES, EXPORTER_LABEL, REQUEST_BYTES_MAX, Refused,
    Request, length,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::DeviceKind;
use crate::limits;
use crate::provision::{ProvisionError, files, sha256};

/// What `vaka device enrol` is asked for.
pub struct Ask {
    /// `HOST:PORT`, or the `vaka://HOST:PORT/?code=…&ca=…` of the QR code.
    pub gateway: Gateway,
    /// What this device is; absent: whatever it was invited as.
    pub kind: Option<DeviceKind>,
    /// Where the three files go.
    pub out: PathBuf,
}

/// Where to go, and with what.
pub struct Gateway {
    pub host: String,
    pub port: u16,
    pub code: Code,
    /// SHA-256 of the server authority, lower-case hex: then nobody else even hears a proof.
    pub ca_sha256: Option<String>,
}

/// What the device has now.
#[derive(Debug, Clone, Serialize)]
pub struct Enrolled {
    pub id: String,
    /// Where its MQTT goes.
    pub host: String,
    pub port: u16,
    pub out: PathBuf,
}

/// Why it has nothing. Says no code and no key.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("reading `{0}`: expected HOST:PORT, or the whole text of the QR code (vaka://HOST:PORT/?code=…)")]
    Address(String),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error("there is no code; add --code CODE")]
    NoCode,
    #[error("{} already exists: this folder belongs to a device that is enrolled; give another one", .0.display())]
    Enrolled(PathBuf),
    #[error(transparent)]
    Files(#[from] ProvisionError),
    #[error("making a key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("connecting to {0}: {1}; check the address, and that [enrol] is configured there")]
    Connect(String, std::io::Error),
    #[error("speaking with {0}: {1}; if it closed the connection at once it has had too many tries: wait a minute")]
    Speak(String, std::io::Error),
    #[error("TLS with {0}: {1}; nothing was sent, the code is still good")]
    Tls(String, rustls::Error),
    #[error("{0} is no enrolment door (it does not answer to vaka-enrol/1); nothing was sent, the code is still good")]
    NoDoor(String),
    #[error("reading the answer of {0}: {1}")]
    Answer(String, vaka_protocol::enrol::Malformed),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the certificate that came is not for this device's key; nothing was kept")]
    OtherKey,
}

impl Gateway {
    /// Reads an address and, unless the address is the QR code's, the code.
    ///
    /// # Errors
    /// [`EnrolError::Address`], [`EnrolError::Code`], [`EnrolError::NoCode`]: nothing was sent then.
    pub fn read(address: &str, code: Option<&str>) -> Result<Gateway, EnrolError> {
        let (place, query) = match address.strip_prefix("vaka://") {
            Some(rest) => rest.split_once("/?").unwrap_or((rest.trim_end_matches('/'), "")),
            None => (address, ""),
        };
        let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        // The query is not repeated: the code is in it.
        let wrong = || EnrolError::Address(place.split(['/', '?']).next().unwrap_or_default().to_owned());
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Err(wrong());
        }
        let code = Code::parse(code.or(field("code")).ok_or(EnrolError::NoCode)?)?;
        let ca_sha256 = field("ca").map(str::to_ascii_lowercase);
        Ok(Gateway { host, port, code, ca_sha256 })
    }

    fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Makes a key, or takes the one that an interrupted try left, and brings a certificate for it.
///
/// # Errors
/// [`EnrolError`]; no certificate is kept then.
pub fn enrol(ask: &Ask) -> Result<Enrolled, EnrolError> {
    let (gateway, name) = (&ask.gateway, ask.gateway.name());
    let in_out = |file: &str| ask.out.join(file);
    if in_out("cert.pem").symlink_metadata().is_ok() {
        return Err(EnrolError::Enrolled(in_out("cert.pem")));
    }
    let key = own_key(&in_out("key.pem"))?;
    // All that takes time is done before anybody waits.
    let secret = gateway.code.secret();
    let csr = {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(&key)?
    };
    let mut tls = connect(gateway, &name)?;
    let mut exporter = [0; EXPORTER_BYTES];
    exporter = tls
        .conn
        .export_keying_material(exporter, EXPORTER_LABEL, None)
        .map_err(|e| EnrolError::Tls(name.clone(), e))?;

    let wrong = |e| EnrolError::Answer(name.clone(), e);
    let mut buffer = vec![0; 2 + REQUEST_BYTES_MAX];
    let kind = ask.kind.map(DeviceKind::as_str);
    let sent = Request::new(&secret, &exporter, kind, csr.der()).write(&mut buffer).map_err(wrong)?;
    let broken = |e| EnrolError::Speak(name.clone(), e);
    tls.write_all(&buffer[..sent]).and_then(|()| tls.flush()).map_err(broken)?;
    let mut prefix = [0; 2];
    tls.read_exact(&mut prefix).map_err(broken)?;
    let mut answer = vec![0; length(prefix, ANSWER_BYTES_MAX).map_err(wrong)?];
    tls.read_exact(&mut answer).map_err(broken)?;
    let granted = Answer::read(&answer).map_err(wrong)?.proven(&secret, &exporter)?;
    let is_ours = X509Certificate::from_der(granted.certificate)
        .is_ok_and(|(_, certificate)| certificate.public_key().raw == key.subject_public_key_info());
    if !is_ours {
        return Err(EnrolError::OtherKey);
    }

    files::write(&in_out("ca.pem"), pem_of(granted.ca).as_bytes(), files::PUBLIC)?;
    // Last: with it the folder is whole.
    files::write(&in_out("cert.pem"), pem_of(granted.certificate).as_bytes(), files::PUBLIC)?;
    Ok(Enrolled { id: granted.id.to_owned(), host: gateway.host.clone(), port: granted.port, out: ask.out.clone() })
}

pub(crate) fn pem_of(certificate: &[u8]) -> String {
    let unix = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate), unix)
}

fn own_key(path: &Path) -> Result<KeyPair, EnrolError> {
    match std::fs::read_to_string(path) {
        Ok(pem) => Ok(KeyPair::from_pem(&pem)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            files::folder(path.parent().unwrap_or(Path::new(".")))?;
            files::write(path, key.serialize_pem().as_bytes(), files::PRIVATE)?;
            Ok(key)
        }
        Err(source) => Err(ProvisionError::File { path: path.to_path_buf(), source }.into()),
    }
}

fn connect(gateway: &Gateway, name: &str) -> Result<StreamOwned<ClientConnection, TcpStream>, EnrolError> {
    let patience = Duration::from_millis(limits::ENROL_MS_MAX);
    let failed = |e| EnrolError::Connect(name.to_owned(), e);
    let mut stream = Err(failed(std::io::Error::other("the name has no address")));
    for address in (gateway.host.as_str(), gateway.port).to_socket_addrs().map_err(failed)? {
        stream = TcpStream::connect_timeout(&address, patience).map_err(failed);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(patience))).map_err(failed)?;
    let refused = |e| EnrolError::Tls(name.to_owned(), e);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByCode { provider, ca_sha256: gateway.ca_sha256.clone() }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A name that TLS knows is sent along; which certificate is right is not a matter of names here.
    let server = ServerName::try_from(gateway.host.clone())
        .or_else(|_| ServerName::try_from("gateway.invalid"))
        .map_err(|_| EnrolError::Address(name.to_owned()))?;
    let mut connection = ClientConnection::new(Arc::new(config), server).map_err(refused)?;
    while connection.is_handshaking() {
        if let Err(e) = connection.complete_io(&mut stream) {
            // Its own words, where TLS has some.
            return Err(match e.downcast::<rustls::Error>() {
                Ok(e) => refused(e),
                Err(e) => EnrolError::Speak(name.to_owned(), e),
            });
        }
    }
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(EnrolError::NoDoor(name.to_owned()));
    }
    Ok(StreamOwned::new(connection, stream))
}

/// Judges the gateway by the fingerprint of its authority, where one is known; else what comes after decides: the proofs of a code, or (`est`)
/// the fingerprint of what it says. Either way the handshake's
/// signature is checked: it ties the exporter to the certificate.
pub(crate) struct ByCode {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) ca_sha256: Option<String>,
}

impl fmt::Debug for ByCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByCode")
    }
}

impl ServerCertVerifier for ByCode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(wanted) = &self.ca_sha256 else { return Ok(ServerCertVerified::assertion()) };
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let ca = intermediates.iter().find(|shown| sha256(shown) == *wanted).ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned()).map_err(|_| unknown())?;
        let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|_| unknown())?;
        match judge.verify_server_cert(end_entity, &[], server_name, ocsp, now) {
            // This authority is the gateway's own: whatever it is called here, it is that gateway.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_qr_codes_text_says_all_and_an_address_needs_a_code() {
        let code = Code::from_random([3; 12]).text();
        let url = format!("vaka://192.168.1.2:8884/?code={code}&ca=AB12");
        let read = Gateway::read(&url, None).unwrap();
        assert_eq!((read.host.as_str(), read.port), ("192.168.1.2", 8884));
        assert_eq!((read.code.text(), read.ca_sha256.as_deref()), (code.clone(), Some("ab12")));
        let read = Gateway::read("[fd00::1]:8884", Some(&code)).unwrap();
        assert_eq!((read.host.as_str(), read.name().as_str()), ("fd00::1", "[fd00::1]:8884"));
        assert!(matches!(Gateway::read("gw:8884", None), Err(EnrolError::NoCode)));
        assert!(matches!(Gateway::read("gw:8884", Some("222")), Err(EnrolError::Code(CodeError::Length(3)))));
        for wrong in ["gw", ":8884", "gw:port", "vaka://", ""] {
            assert!(matches!(Gateway::read(wrong, Some(&code)), Err(EnrolError::Address(_))), "{wrong}");
        }
        // What is complained of is never the code.
        for typed in ["vaka://gw/?code=", "vaka://gw:8884?code=", "gw:8884/?code=", "gw?code=", "vaka://gw/x?code="] {
            let Err(error) = Gateway::read(&format!("{typed}{code}"), None) else { panic!("{typed}") };
            assert!(!error.to_string().contains(code.as_str()), "{error}");
        }
    }
}
