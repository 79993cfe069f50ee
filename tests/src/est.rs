//! A municipality's authority that speaks EST over real TLS. OpenSSL judges every request for a certificate and writes every answer.
//!
//! Enters: connections on 127.0.0.1. Leaves: what was asked for, and certificates under an issuing authority under a root.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use crate::now_ms;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// How the authority answers a request for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// With a certificate of which so many hours have passed, and that ends in so many.
    Issues { since_h: i64, for_h: i64 },
    /// 202: a person decides.
    Later,
    /// With a certificate of another key.
    ForAnotherKey,
    /// With a certificate that may serve, and nothing else.
    ForServers,
    /// 200, and this body.
    Says(&'static str),
    /// With this status.
    Status(u16),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /.well-known/est/simpleenroll`.
    pub what: String,
    /// Of HTTP Basic, in base64.
    pub login: Option<String>,
    /// Common name of the certificate that was shown.
    pub shown: Option<String>,
    /// The request for a certificate, DER.
    pub csr: Vec<u8>,
}

/// The running authority; its listener is closed when dropped.
pub struct EstServer {
    pub port: u16,
    desk: Arc<Desk>,
}

struct Desk {
    dir: TempDir,
    root_pem: String,
    root_der: CertificateDer<'static>,
    issuing: CertifiedIssuer<'static, KeyPair>,
    state: Mutex<State>,
    closing: AtomicBool,
}

struct State {
    answers: Answers,
    /// HTTP Basic's words, good once.
    password: Option<String>,
    asked: Vec<Asked>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this")
    }
}

fn named(name: &str, purposes: &[ExtendedKeyUsagePurpose]) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = purposes.to_vec();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2045, 1, 1));
    params
}

fn authority(name: &str, path_length: u8) -> CertificateParams {
    let mut params = named(name, &[]);
    params.subject_alt_names.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

impl EstServer {
    /// Listens; `user:password` is good once.
    #[track_caller]
    pub fn start(password: &str) -> EstServer {
        let root = CertifiedIssuer::self_signed(authority("Kommun root", 1), key()).expect("a root");
        let issuing = CertifiedIssuer::signed_by(authority("Kommun gateways", 0), key(), &root).expect("an authority");
        let (server, server_key) = (named("est", &[ExtendedKeyUsagePurpose::ServerAuth]), key());
        let server = server.signed_by(&server_key, &issuing).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let chain = vec![server.der().clone(), issuing.der().clone()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())))
            .expect("a certificate and its key");
        let dir = TempDir::with_prefix("vaka-est-").expect("a temporary directory");
        std::fs::write(dir.path().join("root.pem"), root.pem()).expect("written");
        let state = State {
            answers: Answers::Issues { since_h: 0, for_h: 365 * 24 },
            password: Some(base64(password.as_bytes())),
            asked: Vec::new(),
        };
        let desk = Arc::new(Desk {
            dir,
            root_pem: root.pem(),
            root_der: root.der().clone(),
            issuing,
            state: Mutex::new(state),
            closing: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (serving, config) = (desk.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.closing.load(Ordering::SeqCst) {
                    return;
                }
                let (desk, config) = (serving.clone(), config.clone());
                std::thread::spawn(move || {
                    // Who goes away in the middle of it is nobody's loss here.
                    let _ = serve(stream, config, &desk);
                });
            }
        });
        EstServer { port, desk }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// PEM file of the root.
    pub fn root(&self) -> PathBuf {
        self.desk.dir.path().join("root.pem")
    }

    /// SHA-256 of the root, as OpenSSL prints it.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.desk.root_der);
        let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    pub fn answer(&self, answers: Answers) {
        self.desk.state().answers = answers;
    }

    /// What was asked so far, `GET` of the authorities left out.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.desk.state().asked.clone();
        asked.into_iter().filter(|one| one.what.starts_with("POST")).collect()
    }

    /// Everything that was asked.
    pub fn heard(&self) -> usize {
        self.desk.state().asked.len()
    }
}

impl Drop for EstServer {
    fn drop(&mut self) {
        self.desk.closing.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, desk: &Desk) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    tls.read_line(&mut line)?;
    let what = line.rsplit_once(' ').map_or("", |(what, _)| what).to_owned();
    let (mut length, mut login, mut kind) = (0, None, String::new());
    loop {
        let mut header = String::new();
        tls.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "content-type" => kind = value.trim().to_owned(),
            "authorization" => login = value.trim().strip_prefix("Basic ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    tls.read_exact(&mut body)?;
    let shown = tls.get_ref().conn.peer_certificates().and_then(|chain| chain.first()).map(common_name);
    let csr = if what.starts_with("POST") { unbase64(&body) } else { Vec::new() };
    let is_pkcs10 = !what.starts_with("POST") || kind == "application/pkcs10";
    let asked = Asked { what: what.clone(), login, shown, csr };
    desk.state().asked.push(asked.clone());
    let (status, head, said) = match what.split_once("/.well-known/est/").map(|(_, service)| service) {
        Some("cacerts") => (200, "", pkcs7(desk, &[desk.issuing.pem(), desk.root_pem.clone()])),
        Some("simpleenroll" | "simplereenroll") if !is_pkcs10 => (415, "", "no application/pkcs10".to_owned()),
        Some(service @ ("simpleenroll" | "simplereenroll")) => decide(desk, &asked, service == "simplereenroll"),
        _ => (404, "", "no such service".to_owned()),
    };
    let length = said.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n{head}Content-Length: {length}\r\n\r\n{said}"
    );
    tls.get_mut().write_all(answer.as_bytes())?;
    tls.get_mut().conn.send_close_notify();
    tls.get_mut().flush()?;
    tls.get_ref().sock.shutdown(Shutdown::Write)
}

fn decide(desk: &Desk, asked: &Asked, again: bool) -> (u16, &'static str, String) {
    let answers = desk.state().answers;
    if answers == Answers::Later {
        return (202, "Retry-After: 60\r\n", String::new());
    }
    let may = match (again, &asked.shown) {
        (true, shown) => shown.is_some(),
        (false, Some(_)) => true,
        (false, None) => {
            let mut state = desk.state();
            let fits = asked.login.is_some() && state.password == asked.login;
            // Good once.
            state.password = state.password.take().filter(|_| !fits);
            fits
        }
    };
    if !may {
        return (401, "WWW-Authenticate: Basic realm=\"est\"\r\n", String::new());
    }
    let (since_h, for_h) = match answers {
        Answers::Status(status) => {
            return (status, "", "<b>\u{1b}[31mthe policy of this authority</b>\nmore".to_owned());
        }
        Answers::Says(body) => return (200, "", body.to_owned()),
        Answers::Issues { since_h, for_h } => (since_h, for_h),
        _ => (0, 365 * 24),
    };
    if let Err(why) = judged(desk.dir.path(), &asked.csr) {
        return (400, "", why);
    }
    let der = CertificateSigningRequestDer::from(asked.csr.clone());
    let Ok(mut request) = CertificateSigningRequestParams::from_der(&der) else {
        return (400, "", "rcgen does not read it".to_owned());
    };
    let at = |ms: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
    request.params.not_before = at(now_ms() - since_h * HOUR_MS);
    request.params.not_after = at(now_ms() + for_h * HOUR_MS);
    // As an authority does that has its own idea of a name.
    request.params.distinguished_name.push(DnType::OrganizationName, "Hemtj\u{e4}nsten");
    let usage = match answers {
        Answers::ForServers => ExtendedKeyUsagePurpose::ServerAuth,
        _ => ExtendedKeyUsagePurpose::ClientAuth,
    };
    request.params.extended_key_usages = vec![usage];
    let issued = match answers {
        Answers::ForAnotherKey => request.params.signed_by(&key(), &desk.issuing),
        _ => request.signed_by(&desk.issuing),
    };
    (200, "", pkcs7(desk, &[issued.expect("signed").pem()]))
}

/// OpenSSL's word on a request.
fn judged(dir: &Path, csr: &[u8]) -> Result<(), String> {
    let file = dir.join("request.der");
    std::fs::write(&file, csr).map_err(|e| e.to_string())?;
    let output = openssl(&["req", "-inform", "DER", "-verify", "-noout", "-in", &file.display().to_string()], &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && said.contains("verify OK") { Ok(()) } else { Err(said) }
}

/// What OpenSSL makes of certificates, in base64 with line breaks.
fn pkcs7(desk: &Desk, pem: &[String]) -> String {
    let file = desk.dir.path().join(format!("chain-{:?}.pem", std::thread::current().id()));
    std::fs::write(&file, pem.concat()).expect("written");
    let output = openssl(&["crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile", &file.display().to_string()], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = base64(&output.stdout);
    text.as_bytes().chunks(64).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}

fn base64(bytes: &[u8]) -> String {
    String::from_utf8(openssl(&["base64", "-A"], bytes).stdout).expect("letters").trim().to_owned()
}

fn unbase64(text: &[u8]) -> Vec<u8> {
    let mut line = text.to_vec();
    line.push(b'\n');
    openssl(&["base64", "-d", "-A"], &line).stdout
}

fn openssl(arguments: &[&str], input: &[u8]) -> std::process::Output {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl, which the test asked for");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn common_name(certificate: &CertificateDer<'_>) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), certificate).expect("written");
    let path = file.path().display().to_string();
    let said =
        openssl(&["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "multiline", "-in", &path], &[]).stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let name = said.lines().find_map(|line| line.trim().strip_prefix("commonName")?.split_once("= "));
    name.map_or(String::new(), |(_, name)| name.to_owned())
}
