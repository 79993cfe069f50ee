//! Somebody who says that he is the gateway, with a certificate of a test's making.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate for `localhost` that serves, but for what is said otherwise.
#[derive(Clone)]
pub struct Forgery {
    /// Certificate and key, PEM, of whoever signs; `None`: itself.
    issuer: Option<(String, String)>,
    name: String,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    has_expired: bool,
}

impl std::fmt::Debug for Forgery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, name, purposes, has_expired } = self;
        let is_signed = issuer.is_some();
        write!(f, "a certificate of {name} (signed {is_signed}, expired {has_expired}) with {purposes:?}")
    }
}

impl Forgery {
    /// Signed by that key, with that certificate sent along.
    #[track_caller]
    pub fn by(certificate: &Path, key: &Path) -> Forgery {
        let read =
            |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()));
        Forgery { issuer: Some((read(certificate), read(key))), ..Forgery::by_itself() }
    }

    /// Signed by nobody else.
    pub fn by_itself() -> Forgery {
        Forgery {
            issuer: None,
            name: "localhost".to_owned(),
            purposes: vec![ExtendedKeyUsagePurpose::ServerAuth],
            has_expired: false,
        }
    }

    pub fn named(self, name: &str) -> Forgery {
        Forgery { name: name.to_owned(), ..self }
    }

    pub fn purposes(self, purposes: &[ExtendedKeyUsagePurpose]) -> Forgery {
        Forgery { purposes: purposes.to_vec(), ..self }
    }

    /// Good until 2020.
    pub fn expired(self) -> Forgery {
        Forgery { has_expired: true, ..self }
    }

    /// A server with this certificate, for anybody who comes.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.make();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the forgery is a certificate");
        Arc::new(config)
    }

    fn make(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![self.name.clone()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, &self.name);
        params.extended_key_usages.clone_from(&self.purposes);
        if self.has_expired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let chain = match &self.issuer {
            None => vec![params.self_signed(&key).expect("a certificate").der().clone()],
            Some((certificate, signing)) => {
                let signing = KeyPair::from_pem(signing).expect("the issuer's key");
                let issuer = Issuer::from_ca_cert_pem(certificate, signing).expect("the issuer's certificate");
                let sent = rustls_pki_types::pem::PemObject::from_pem_slice(certificate.as_bytes());
                vec![
                    params.signed_by(&key, &issuer).expect("a certificate").der().clone(),
                    sent.expect("a certificate"),
                ]
            }
        };
        (chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }
}

/// Listens as the gateway would, takes every device, and hears what it says; gone when dropped.
pub struct Imposter {
    port: u16,
    closing: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
}

impl Imposter {
    #[track_caller]
    pub fn start(port: u16, forgery: &Forgery) -> Imposter {
        let config = forgery.server();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("listening on {port}: {e}"));
        let imposter = Imposter { port, closing: Arc::default(), heard: Arc::default() };
        let (closing, heard) = (imposter.closing.clone(), imposter.heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                let tls = ServerConnection::new(config.clone()).expect("a connection");
                let mut stream = StreamOwned::new(tls, stream);
                let mut buffer = [0; 1024];
                // One read: with a CONNECT it has heard what it wanted, and hangs up.
                heard.fetch_add(stream.read(&mut buffer).unwrap_or(0), Ordering::SeqCst);
                let _ = stream.sock.shutdown(Shutdown::Both);
            }
        });
        imposter
    }

    /// Bytes that devices have said to it, below TLS.
    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Imposter {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the listener, so that the port is free again.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        crate::eventually("the imposter's port to be free", String::new, || {
            (!crate::is_listening(self.port)).then_some(())
        });
    }
}
