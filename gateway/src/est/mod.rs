//! The gateway's certificate towards receivers and hubs (`client.pem`) from an authority outside the home, such as the municipality's.
//!
//! Speaks EST (RFC 7030) as public implementations do: /cacerts, /simpleenroll with a one-time password or a certificate, /simplereenroll
//! with the present certificate. Enters: a technician's wish, later the clock. Leaves: `client.pem`, `est.json` and `est-ca.pem` in `pki/`.
//! Invariants: the key stays where it is and the same through every renewal; whom to trust is said beforehand, by certificate or
//! fingerprint, and nothing secret is said before; a certificate is kept only if it is of our key, and a peer that trusts the authority
//! would take it. Absent: the certificates that devices see, which are the home's own; changes of a root that the old one does not vouch for.

mod client;
mod csr;
mod pkcs7;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::X509Certificate;

pub use client::{Login, Server};
use client::{Reply, Trust};
pub use pkcs7::{Malformed, certificates as certificates_of};

use crate::enrol::client::pem_of;
use crate::provision::{BACKDATE_MS, Pki, ProvisionError, files, lock_home, sha256};

/// Why the authority has not given a certificate. Says no password and no key.
#[derive(Debug, thiserror::Error)]
pub enum EstError {
    #[error("reading the address `{0}`: write https://HOST[:PORT], or with /.well-known/est/LABEL behind it")]
    Url(String),
    #[error("reading {}: {source}", path.display())]
    Pem { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("the authority's certificate cannot be used: {0}")]
    Trust(rustls::Error),
    #[error(
        "`{0}` is no SHA-256 of a certificate (64 hexadecimal digits); whoever runs the authority has it: openssl x509 -in CA -noout -fingerprint -sha256"
    )]
    Fingerprint(String),
    #[error("{url} shows no authority with that fingerprint but {shown}; nothing was sent: find out who answers there")]
    OtherAuthority { url: String, shown: String },
    #[error("connecting to {url}: {source}; check the address")]
    Connect { url: String, source: std::io::Error },
    #[error("TLS with {url}: {source}; nothing was sent")]
    Tls { url: String, source: std::io::Error },
    #[error("speaking with {url}: {why}")]
    Http { url: String, why: String },
    #[error("{url} did not answer within {ms} ms")]
    Slow { url: String, ms: u64 },
    #[error("{url} answers HTTP {status}{hint}{said}")]
    Status { url: String, status: u16, hint: &'static str, said: String },
    #[error("reading the answer of {0}: it is no base64")]
    NoBase64(String),
    #[error("reading the answer of {url}: {source}")]
    Answer { url: String, source: Malformed },
    #[error("making the request: {0}")]
    Request(#[from] rcgen::Error),
    #[error("the certificate that came is not of this gateway's key; nothing was kept")]
    OtherKey,
    #[error("a receiver that trusts this authority would refuse the certificate that came ({0}); nothing was kept")]
    Unfit(String),
    #[error("{}: {source}; enrol again: vaka identity est", path.display())]
    Kept { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Files(#[from] ProvisionError),
}

/// Whom a technician says to trust.
pub enum Anchor {
    /// PEM file of the authority's certificate, or more.
    File(PathBuf),
    /// SHA-256 of it, hexadecimal, colons or not.
    Fingerprint(String),
}

/// What is kept of the authority: `est.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub url: String,
}

/// A certificate that came, and is in use from now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// As the authority wrote it.
    pub subject: String,
    pub issuer: String,
    /// UTC milliseconds.
    pub not_after: i64,
    /// When the gateway asks for the next one, UTC milliseconds.
    pub renews_at: i64,
}

/// What became of a wish for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Enrolled(Enrolled),
    /// A person at the authority decides first; ask again after this.
    Later(Duration),
}

/// Enrols the gateway called `gateway`: its present key, and a certificate of the authority at `url`.
///
/// # Errors
/// [`EstError`]; what was there before is as it was.
pub async fn enrol(
    pki: &Pki,
    gateway: &str,
    url: &str,
    anchor: &Anchor,
    login: &Login,
    now_ms: i64,
) -> Result<Outcome, EstError> {
    let server = Server::parse(url)?;
    let key = own_key(pki)?;
    let mut trusted = match anchor {
        Anchor::File(file) => certificates_in(file)?,
        Anchor::Fingerprint(text) => vec![by_fingerprint(&server, text).await?],
    };
    let known = client::authorities(&server, &Trust::Anchors(&trusted)).await?;
    add_roots(&mut trusted, &known);
    let request = csr::request(&csr::Names::of(gateway), &key)?;
    let given = match client::enrol(&server, &trusted, login, &request, false).await? {
        Reply::Later(after) => return Ok(Outcome::Later(after)),
        Reply::Certificates(given) => given,
    };
    let chain = chain(&key, given, &known, &trusted, now_ms)?;
    keep(pki, &Kept { url: server.url() }, &trusted, &chain)?;
    Ok(Outcome::Enrolled(enrolled(&chain[0])?))
}

/// The authority that `client.pem` comes from, if it comes from one outside.
///
/// # Errors
/// [`EstError::Kept`].
pub fn kept(pki: &Pki) -> Result<Option<Kept>, EstError> {
    let path = pki.est();
    let wrong = |source| EstError::Kept { path: path.clone(), source };
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| wrong(error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error)),
    }
}

/// `client.pem` as it is now.
///
/// # Errors
/// [`EstError::Pem`], [`EstError::Unfit`].
pub fn present(pki: &Pki) -> Result<Enrolled, EstError> {
    let path = pki.client_cert();
    enrolled(&CertificateDer::from_pem_file(&path).map_err(|source| EstError::Pem { path, source })?)
}

/// Asks for the next certificate, with the present one, where two thirds of its life are over. `None`: it is not time, or it is the home's own.
///
/// # Errors
/// [`EstError`]; the present one is as it was.
pub async fn renew_if_due(pki: &Pki, now_ms: i64) -> Result<Option<Outcome>, EstError> {
    let Some(kept) = kept(pki)? else { return Ok(None) };
    if now_ms < present(pki)?.renews_at {
        return Ok(None);
    }
    let server = Server::parse(&kept.url)?;
    let key = own_key(pki)?;
    let mut trusted = certificates_in(&pki.est_anchors())?;
    let known = client::authorities(&server, &Trust::Anchors(&trusted)).await?;
    add_roots(&mut trusted, &known);
    let path = pki.client_cert();
    let old = CertificateDer::from_pem_file(&path).map_err(|source| EstError::Pem { path: path.clone(), source })?;
    let request = csr::request(&csr::Names::again(&parse(&old)?), &key)?;
    let login = Login { identity: Some((path, pki.client_key())), password: None };
    let given = match client::enrol(&server, &trusted, &login, &request, true).await? {
        Reply::Later(after) => return Ok(Some(Outcome::Later(after))),
        Reply::Certificates(given) => given,
    };
    let chain = chain(&key, given, &known, &trusted, now_ms)?;
    keep(pki, &kept, &trusted, &chain)?;
    Ok(Some(Outcome::Enrolled(enrolled(&chain[0])?)))
}

fn own_key(pki: &Pki) -> Result<KeyPair, EstError> {
    let path = pki.client_key();
    let pem = std::fs::read_to_string(&path).map_err(|source| ProvisionError::File { path: path.clone(), source })?;
    Ok(KeyPair::from_pem(&pem).map_err(|source| ProvisionError::Certificate { path, source })?)
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, EstError> {
    let wrong = |source| EstError::Pem { path: path.to_path_buf(), source };
    let all: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(wrong)?;
    if all.is_empty() { Err(wrong(rustls_pki_types::pem::Error::NoItemsFound)) } else { Ok(all) }
}

/// What the server says of itself to anybody is judged by the fingerprint, and then judges the server.
async fn by_fingerprint(server: &Server, text: &str) -> Result<CertificateDer<'static>, EstError> {
    let wanted: String = text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    if wanted.len() != 64 || !wanted.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(EstError::Fingerprint(text.chars().take(80).collect()));
    }
    let shown = client::authorities(server, &Trust::Nobody).await?;
    let names: Vec<String> = shown.iter().map(|one| sha256(one)).collect();
    let found = shown.into_iter().find(|one| sha256(one) == wanted);
    found.ok_or_else(|| EstError::OtherAuthority { url: server.url(), shown: names.join(", ") })
}

/// Roots that a trusted server names beside the one it is known by: its next one, before the old one ends.
fn add_roots(trusted: &mut Vec<CertificateDer<'static>>, known: &[CertificateDer<'static>]) {
    for one in known {
        let is_root = parse(one).is_ok_and(|x509| x509.subject().as_raw() == x509.issuer().as_raw() && x509.is_ca());
        if is_root && !trusted.contains(one) {
            trusted.push(one.clone());
        }
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, EstError> {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.map(|(_, x509)| x509).map_err(|_| EstError::Unfit("it is no X.509 certificate".to_owned()))
}

/// Our certificate first, then those between it and a root, as a peer that knows the root alone needs them.
fn chain(
    key: &KeyPair,
    given: Vec<CertificateDer<'static>>,
    known: &[CertificateDer<'static>],
    trusted: &[CertificateDer<'static>],
    now_ms: i64,
) -> Result<Vec<CertificateDer<'static>>, EstError> {
    let spki = key.subject_public_key_info();
    let is_ours = |one: &&CertificateDer<'static>| parse(one).is_ok_and(|x509| x509.public_key().raw == spki);
    let mut chain = vec![given.iter().find(is_ours).ok_or(EstError::OtherKey)?.clone()];
    let pool: Vec<&CertificateDer<'static>> = given.iter().chain(known).collect();
    while chain.len() <= pool.len() {
        let Some(last) = chain.last() else { break };
        let issuer = parse(last)?.issuer().as_raw().to_vec();
        // Not the root: a peer has that.
        let is_next = |one: &&CertificateDer<'static>| {
            parse(one).is_ok_and(|x509| x509.subject().as_raw() == issuer && x509.issuer().as_raw() != issuer)
        };
        let Some(above) = pool.iter().copied().find(is_next) else { break };
        chain.push(above.clone());
    }
    judge(&chain, trusted, now_ms).map_err(EstError::Unfit)?;
    Ok(chain)
}

/// As a receiver judges it that trusts the authority.
fn judge(chain: &[CertificateDer<'_>], trusted: &[CertificateDer<'static>], now_ms: i64) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let judge = judge.map_err(|error| error.to_string())?;
    let [own, above @ ..] = chain else { return Err("there is none".to_owned()) };
    // It was made this moment, by a clock that may be ahead of ours.
    let begins_ms =
        parse(own).map_err(|error| error.to_string())?.validity().not_before.timestamp().saturating_mul(1_000);
    let at_ms = if begins_ms <= now_ms.saturating_add(BACKDATE_MS) { now_ms.max(begins_ms) } else { now_ms };
    let now = UnixTime::since_unix_epoch(Duration::from_millis(at_ms.max(0).unsigned_abs()));
    judge.verify_client_cert(own, above, now).map(drop).map_err(|error| error.to_string())
}

/// Order on the disk: who renews it first, then the certificate. Cut off between, the one before it is in use, and enrolling again mends it.
fn keep(pki: &Pki, kept: &Kept, trusted: &[CertificateDer<'_>], chain: &[CertificateDer<'_>]) -> Result<(), EstError> {
    let pem = |all: &[CertificateDer<'_>]| all.iter().map(|one| pem_of(one)).collect::<String>();
    let text = serde_json::to_string(kept).map_err(|error| EstError::Kept { path: pki.est(), source: error.into() })?;
    let _lock = lock_home(pki.dir())?;
    files::write(&pki.est_anchors(), pem(trusted).as_bytes(), files::PUBLIC)?;
    files::write(&pki.est(), format!("{text}\n").as_bytes(), files::PUBLIC)?;
    files::write(&pki.client_cert(), pem(chain).as_bytes(), files::PUBLIC)?;
    Ok(())
}

fn enrolled(certificate: &CertificateDer<'_>) -> Result<Enrolled, EstError> {
    let x509 = parse(certificate)?;
    let ms = |time: &x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1_000);
    let (from, until) = (ms(&x509.validity().not_before), ms(&x509.validity().not_after));
    let third = until.saturating_sub(from) / 3;
    Ok(Enrolled {
        subject: x509.subject().to_string(),
        issuer: x509.issuer().to_string(),
        not_after: until,
        renews_at: until.saturating_sub(third),
    })
}
