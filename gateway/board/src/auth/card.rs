//! Log-in by a card: a client certificate, as SITHS cards carry, on a listener of its own.
//!
//! Enters: a connection whose certificate TLS has checked. Leaves: a session for the person whose subject it bears. Invariants:
//! a log-in costs a handshake: nothing is resumed, and the connection ends with the answer; a card on a revocation list is
//! refused from the moment the list is there.
//!
//! The session's cookie is set here and goes to the other listener as it is: cookies belong to a host, not to a port
//! (RFC 6265 section 8.5), so nothing that opens a session ever stands in an address.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::{PemObject, SectionKind};
use tracing::warn;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::doors::{Browser, told, welcome};
use super::people::Person;
use super::{gate, origin};
use crate::Board;
use crate::gateway::Said;
use crate::limits::BODY_BYTES_MAX;
use crate::pages::login;
use crate::pages::view::View;
use crate::server::{Peer, Shown};
use crate::settings::Card;

/// Why cards cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    #[error("reading [board.card] {key} {file}: {what}; it is PEM, a revocation list also DER")]
    Read { key: &'static str, file: String, what: String },
}

/// TLS that lets nobody in without a card of these issuers, their files read anew when they change.
///
/// # Errors
/// [`CardError`] naming the file.
pub fn tls(card: &Card, shown: Arc<Shown>) -> Result<ServerConfig, CardError> {
    let judge = judge(card)?;
    let hints = judge.root_hint_subjects().to_vec();
    let now = RwLock::new((changed(card), judge));
    let judge = Arc::new(Judge { card: card.clone(), hints, now });
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| wrong("ca", &card.ca, &e))?;
    let mut config = builder.with_client_cert_verifier(judge).with_cert_resolver(shown);
    // HTTP/1.1 alone: its `connection: close` ends a connection with one log-in.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed connection brings the card's name back without the card.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

type Stamps = (Option<SystemTime>, Option<SystemTime>);

struct Judge {
    card: Card,
    hints: Vec<DistinguishedName>,
    now: RwLock<(Stamps, Arc<dyn ClientCertVerifier>)>,
}

impl Judge {
    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        let stamps = changed(&self.card);
        {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            if now.0 == stamps {
                return now.1.clone();
            }
        }
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.0 = stamps;
        match judge(&self.card) {
            Ok(fresh) => now.1 = fresh,
            Err(e) => warn!("{e}; what was read before stays in force"),
        }
        now.1.clone()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("card", &self.card).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

fn changed(card: &Card) -> Stamps {
    let at = |file: &Path| std::fs::metadata(file).and_then(|data| data.modified()).ok();
    (at(&card.ca), card.crl.as_deref().and_then(at))
}

fn wrong(key: &'static str, file: &Path, e: &dyn fmt::Display) -> CardError {
    CardError::Read { key, file: file.display().to_string(), what: e.to_string() }
}

fn judge(card: &Card) -> Result<Arc<dyn ClientCertVerifier>, CardError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&card.ca).map_err(|e| wrong("ca", &card.ca, &e))? {
        let certificate = certificate.map_err(|e| wrong("ca", &card.ca, &e))?;
        roots.add(certificate).map_err(|e| wrong("ca", &card.ca, &e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(file) = &card.crl {
        // A list past its day still names who is revoked: it is believed, as a job that fails to fetch a new one must not keep a
        // whole shift from the alarms. A card whose issuer has no list in the file is refused.
        let lists = read_lists(file).map_err(|e| wrong("crl", file, &e))?;
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    builder.build().map_err(|e| wrong("ca", &card.ca, &e))
}

fn read_lists(file: &Path) -> io::Result<Vec<CertificateRevocationListDer<'static>>> {
    let bytes = std::fs::read(file)?;
    if !bytes.starts_with(b"-----") {
        return Ok(vec![bytes.into()]);
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes);
    let sections: Result<Vec<_>, _> = sections.collect();
    let sections = sections.map_err(io::Error::other)?;
    let lists: Vec<_> =
        sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Crl).map(|(_, der)| der.into()).collect();
    if lists.is_empty() { Err(io::Error::other("no revocation list in it")) } else { Ok(lists) }
}

/// Everything the card's listener answers: people's log-in, which needs no gate (TLS has let nobody else in), and `/api` for programs that
/// show a certificate. Each answer ends its connection, so that a revoked card is refused with the next.
pub fn router(board: Arc<Board>) -> Router {
    let gate = axum::middleware::from_fn_with_state(board.clone(), gate::gate);
    let programs = crate::api::router().layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(gate);
    let last = axum::middleware::map_response(|mut answer: axum::response::Response| async {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    });
    Router::new().route("/card", get(enter)).merge(programs).layer(last).with_state(board)
}

async fn enter(State(board): State<Arc<Board>>, Query(wish): Query<login::Wish>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    gate::dress(&board, admit(&board, &parts, &wish).await)
}

async fn admit(board: &Board, parts: &axum::http::request::Parts, wish: &login::Wish) -> Response {
    let view = View::of(board, None, &parts.headers);
    let refuse = |said: Said| (StatusCode::FORBIDDEN, login::refused(board, &view, &said, wish)).into_response();
    // Another site must not log anybody in, not even as themselves.
    if parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return refuse(Said::new("Börja på inloggningssidan.", "Begin on the log-in page."));
    }
    let Ok(browser) = Browser::of(board, parts) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let certificate = parts.extensions.get::<Peer>().and_then(|peer| peer.certificate.as_ref());
    let Some(marks) = certificate.and_then(|certificate| marks(certificate)) else {
        return refuse(Said::new("Inget kort visades.", "No card was shown."));
    };
    let Some(person) = bearer(board, &marks) else {
        // An issuer that is believed has signed it: nobody guesses here, and nobody at this address waits for it.
        told(board, "", "card", "names nobody in people.toml").await;
        let serial = marks.iter().find(|mark| mark.starts_with("SERIALNUMBER=")).or(marks.first());
        let serial = serial.map(String::as_str).unwrap_or_default();
        return refuse(Said::new(
            format!("Kortet hör inte till någon här. Be en administratör lägga till {serial}."),
            format!("This card belongs to nobody here. Ask an administrator to add {serial}."),
        ));
    };
    let to = format!("{}{}", origin(&board.settings), wish.to());
    match welcome(board, &browser, &person, "card", Redirect::to(&to)).await {
        Ok(answer) => answer,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn bearer(board: &Board, marks: &[String]) -> Option<Person> {
    let book = board.people.book();
    let theirs = |person: &&Person| !person.ended && person.card.as_ref().is_some_and(|card| marks.contains(card));
    book.0.values().find(theirs).cloned()
}

/// What a subject says, as `people.toml` writes it: `SERIALNUMBER=…`, `CN=…`, `UID=…`.
pub(super) fn marks(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    const NAMES: [(&str, &str); 3] =
        [("2.5.4.5", "SERIALNUMBER"), ("2.5.4.3", "CN"), ("0.9.2342.19200300.100.1.1", "UID")];
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let attributes = certificate.subject().iter_attributes().filter_map(|attribute| {
        let oid = attribute.attr_type().to_id_string();
        let name = NAMES.into_iter().find(|(known, _)| *known == oid)?.1;
        Some(format!("{name}={}", attribute.as_str().ok()?))
    });
    Some(attributes.collect())
}
