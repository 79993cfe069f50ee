//! The one gate before every route.
//!
//! Enters: a request that axum has matched. Leaves: the same with its [`Session`], or a refusal; every answer with the headers
//! that keep a browser to itself. Invariants: a path without a row in [`ROUTES`](crate::routes::ROUTES) answers nobody; who may not
//! is refused before a handler runs; another site can make nobody's browser do anything.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use tracing::{debug, error};

use super::doors::{DEVICE, SID, cookie, told};
use super::sessions::NoSession;
use super::{Right, Session, origin, tokens};
use crate::Board;
use crate::gateway::Trace;
use crate::packed;
use crate::pages::trouble::Trouble;
use crate::pages::view::View;
use crate::pages::{assets, login};
use crate::routes::{ROUTES, right_of};
use crate::seats::Seat;
use crate::server::Peer;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer carries.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
    ),
];

/// The middleware. A handler behind it finds its [`Session`] as an argument; behind [`Right::Open`] as an `Option`.
pub async fn gate(State(board): State<Arc<Board>>, mut request: Request, next: Next) -> Response {
    let packs = request.method() == Method::GET && packed::is_wanted(request.headers());
    let answer = match admit(&board, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    let answer = dress(&board, answer);
    if packs { packed::pack(answer).await } else { answer }
}

/// Finds the session and puts it into the request, or says why not.
async fn admit(board: &Board, request: &mut Request) -> Result<(), Box<Response>> {
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let right = matched.as_deref().and_then(|path| right_of(request.method(), path));
    let right = right.ok_or_else(|| Box::new(StatusCode::NOT_FOUND.into_response()))?;
    let asks = Asks::of(request);

    // On the card's listener alone is there a certificate, and no cookie counts there.
    let certificate = request.extensions().get::<Peer>().and_then(|peer| peer.certificate.clone());
    let is_program = certificate.is_some() || (asks.is_api && request.headers().contains_key(header::AUTHORIZATION));
    let session = if let Some(certificate) = certificate {
        // A browser shows its card to whatever site asks in its name: a program says nothing of where it comes from.
        if request.headers().contains_key("sec-fetch-site") || request.headers().contains_key(header::ORIGIN) {
            return Err(asks.refuse(StatusCode::FORBIDDEN, "this listener's API is for programs, not for browsers"));
        }
        let session = tokens::session_by_card(board, &certificate);
        if session.is_none() {
            told(board, "", "certificate", "names no program in people.toml").await;
        }
        session
    } else if is_program {
        let session = tokens::session(board, request.headers());
        if session.is_none() {
            told(board, "", "token", "unknown or expired").await;
        }
        session
    } else {
        // A program's token is no cookie: no other site can send it along.
        if !asks.is_reading && !is_own(request.headers(), &origin(&board.settings)) {
            return Err(asks.refuse(StatusCode::FORBIDDEN, "the request does not come from the board's own pages"));
        }
        by_cookie(board, request.headers(), &asks).await
    };
    if let (Some(_), Some(seat)) = (&session, request.extensions().get::<Arc<Seat>>()) {
        seat.is_known();
    }
    if right == Right::Open {
        request.extensions_mut().extend(session.map(extension).unwrap_or_default());
        return Ok(());
    }
    let Some(session) = session else {
        return Err(asks.log_in(false));
    };
    if !session.person.role.may(right) {
        let trace = Trace { purpose: format!("{right:?}"), ..session.trace("refused", &asks.path) };
        if let Err(e) = board.gateway.trace(trace).await {
            error!(person = %session.person.id, "a refusal is not in the log: {e}");
        }
        return Err(if asks.is_api {
            asks.refuse(StatusCode::FORBIDDEN, "this role may not do this")
        } else {
            let view = View::of(board, Some(&session), request.headers());
            Box::new(Trouble::of(view, StatusCode::FORBIDDEN).into_response())
        });
    }
    if right.is_sensitive() && !session.is_fresh(board.gateway.now_ms()) {
        return Err(if is_program {
            asks.refuse(StatusCode::FORBIDDEN, "no program may do this: a person has to")
        } else {
            asks.log_in(true)
        });
    }
    request.extensions_mut().insert(session);
    Ok(())
}

fn extension(session: Session) -> axum::http::Extensions {
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(session);
    extensions
}

async fn by_cookie(board: &Board, headers: &HeaderMap, asks: &Asks) -> Option<Session> {
    let now_ms = board.gateway.now_ms();
    let found =
        board.sessions.find(cookie(headers, SID)?, cookie(headers, DEVICE), &board.people, now_ms, asks.by_hand);
    match found {
        Ok(session) => Some(session),
        Err(NoSession::Over) => None,
        Err(NoSession::Copied { person, name }) => {
            let purpose = "shown by another browser than its own".to_owned();
            let trace = Trace {
                person,
                session: name,
                act: "session-copied".into(),
                object: "session".into(),
                purpose,
                ..Trace::default()
            };
            if let Err(e) = board.gateway.trace(trace).await {
                error!("a copied session is not in the log: {e}");
            }
            None
        }
    }
}

/// What a request asks for, and how it wants to hear no.
struct Asks {
    path: String,
    is_api: bool,
    is_reading: bool,
    /// A browser shows the answer as a page, as against a script that reads it.
    is_page: bool,
    by_hand: bool,
    /// Where a log-in leads back to.
    back: String,
}

impl Asks {
    fn of(request: &Request) -> Self {
        let path = request.uri().path().to_owned();
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let fetched = request.headers().get("sec-fetch-dest").and_then(|value| value.to_str().ok());
        let is_page = fetched.is_none_or(|dest| dest == "document");
        let back = if is_reading {
            request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned()
        } else {
            page_above(&path)
        };
        let is_api = path == "/api" || path.starts_with("/api/");
        // What a page fetches to keep itself fresh is nobody's doing.
        let by_hand = !is_reading || is_page;
        Asks { path, is_api, is_reading, is_page, by_hand, back }
    }

    fn refuse(&self, status: StatusCode, what: &'static str) -> Box<Response> {
        debug!(path = %self.path, "refused: {what}");
        Box::new(if self.is_api {
            let kind = if status == StatusCode::UNAUTHORIZED { "unauthorized" } else { "forbidden" };
            (status, axum::Json(serde_json::json!({"error": {"kind": kind, "text": what}}))).into_response()
        } else {
            (status, what).into_response()
        })
    }

    /// Sends to the log-in page, or says 401 to what cannot show one.
    fn log_in(&self, again: bool) -> Box<Response> {
        if self.is_api || !self.is_page {
            let what = if again { "a fresh log-in is needed" } else { "nobody is logged in" };
            return self.refuse(StatusCode::UNAUTHORIZED, what);
        }
        let again = if again { "again&" } else { "" };
        Box::new(Redirect::to(&format!("/login?{again}to={}", login::escaped(&self.back))).into_response())
    }
}

/// The nearest page above a path that only takes acts: where its form stands.
fn page_above(path: &str) -> String {
    let mut at = path;
    while let Some((above, _)) = at.rsplit_once('/') {
        if !above.is_empty() && ROUTES.iter().any(|route| route.method == "GET" && fits(route.path, above)) {
            return above.to_owned();
        }
        at = above;
    }
    "/".to_owned()
}

fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(is)) if part == is || (part.starts_with('{') && !is.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Whether a request that changes something comes from a page of ours.
pub fn is_own(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        // Browsers before 2023: a page cannot forge its origin either.
        None => headers.get(header::ORIGIN).is_some_and(|from| from == origin),
    }
}

pub(super) fn dress(board: &Board, mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, text) in HEADERS {
        headers.insert(name, HeaderValue::from_static(text));
    }
    // Not for localhost: a browser would hold every other server there to it.
    if board.settings.host != "localhost" {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // The style is fetched beside the page, not after it.
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page && let Some(ahead) = assets::ahead("board.css", "style") {
        headers.append(header::LINK, ahead);
    }
    answer
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Session>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Session>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_leads_back_to_the_page_its_form_stands_on() {
        assert_eq!(page_above("/people/of/natt-07/end"), "/people/of/natt-07");
        assert_eq!(page_above("/people/add"), "/people");
        assert_eq!(page_above("/keys/start"), "/keys");
        assert_eq!(page_above("/nowhere"), "/");
    }

    #[test]
    fn only_our_own_pages_may_change_anything() {
        let ours = "https://localhost:8443";
        let is_own = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_own(&HeaderMap::from_iter(pairs), ours)
        };
        assert!(is_own(&[("sec-fetch-site", "same-origin")]));
        assert!(is_own(&[("origin", "https://localhost:8443")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!is_own(&[("sec-fetch-site", site), ("origin", "https://localhost:8443")]), "{site}");
        }
        assert!(!is_own(&[]));
        assert!(!is_own(&[("origin", "null")]));
        assert!(!is_own(&[("origin", "https://localhost:8444")]));
        assert!(!is_own(&[("origin", "https://localhost:8443.example")]));
    }
}
