//! A person's own keys and where they are logged in.
//!
//! Adding or removing a key needs a fresh log-in; the last one stays.

use std::sync::Arc;

use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::assets;
use super::frame::Frame;
use super::login::{no_script, words};
use super::view::View;
use crate::Board;
use crate::auth::credentials::Record;
use crate::auth::doors::Browser;
use crate::auth::passkeys::{self, By, KeyError};
use crate::auth::people::PeopleError;
use crate::auth::{Right, Session};
use crate::gateway::{Gateway, Lang, Said};
use crate::limits::BODY_BYTES_MAX;

pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/keys", get(show))
        .route("/keys/ask", post(ask))
        .route("/keys/add", post(add))
        .route("/keys/remove", post(remove))
        .route("/keys/session", post(end_session))
}

async fn show(State(board): State<Arc<Board>>, session: Session, headers: HeaderMap) -> Markup {
    render(&board, &session, &View::of(&board, Some(&session), &headers), None)
}

/// Whether this phone is told when somebody waits.
fn this_phone(view: &View) -> Markup {
    let words = [
        ("on", view.t("Den här telefonen säger till när någon väntar.", "This phone tells you when somebody waits.")),
        ("off", view.t("Den här telefonen säger inte till längre.", "This phone tells you no longer.")),
        ("denied", view.t("Webbläsaren tillåter inte notiser här.", "The browser allows no notifications here.")),
        ("unable", view.t("Webbläsaren kan inte ta emot notiser här.", "The browser cannot take notifications here.")),
    ];
    html! {
        h2 { (view.t("Den här telefonen", "This phone")) }
        p.note { (view.t("Notisen säger att någon väntar, inte vem. Lita inte på den: håll sidan öppen när du har jour.", "The notification says that somebody waits, not who. Do not rely on it: keep the page open when you are on duty.")) }
        p.said role="status" data-push-said {}
        button type="button" hidden data-push="off" data-on=(view.t("Säg till mig här", "Tell me here")) data-off=(view.t("Säg inte till mig här", "Do not tell me here")) {}
        div hidden { @for (name, text) in words { span data-push-word=(name) { (text) } } }
        script src=(assets::path("push.js")) defer {}
    }
}

fn render(board: &Board, session: &Session, view: &View, said: Option<&Said>) -> Markup {
    let title = view.t("Mina nycklar", "My keys");
    let keys = board.people.keys();
    let theirs = keys.passkeys_of(&session.person.id);
    let gateway = &*board.gateway;
    let body = html! {
        h1 { (title) }
        p.said role="alert" data-said { @if let Some(said) = said { (said.in_(view.lang)) } }
        @if theirs.is_empty() { p { (view.t("Du har ingen nyckel.", "You have no key.")) } }
        ul.rows {
            @for key in &theirs {
                li {
                    strong { (label(view, &key.label)) }
                    p.note {
                        (view.t("Tillagd ", "Added ")) (when(gateway, key.added_at))
                        @if let Some(at) = key.used_at { (view.t(" · använd ", " · used ")) (when(gateway, at)) }
                    }
                    @if theirs.len() > 1 {
                        form method="post" action="/keys/remove" {
                            input type="hidden" name="id" value=(key.id);
                            button type="submit" aria-label=(format!("{} {}", view.t("Ta bort", "Remove"), label(view, &key.label))) { (view.t("Ta bort", "Remove")) }
                        }
                    }
                }
            }
        }
        @if theirs.len() == 1 { p.note { (view.t("Lägg till en till, så att du kommer in om du tappar den första.", "Add another one, so that you get in if you lose the first.")) } }
        p { label { (view.t("Vad ska den nya nyckeln heta?", "What shall the new key be called?")) " " input name="label" maxlength="40" data-label; } }
        button.main type="button" data-passkey="create" data-ask="/keys/ask" data-answer="/keys/add" data-to="/keys" { (view.t("Lägg till en nyckel", "Add a key")) }
        (no_script(view))
        @if session.person.role.may(Right::SeeAlarms) { (this_phone(view)) }
        h2 { (view.t("Här är du inloggad", "Where you are logged in")) }
        ul.rows {
            @for seen in board.sessions.of(&session.person.id, gateway.now_ms()) {
                li {
                    strong { (if seen.name == session.name { view.t("Här", "Here") } else { view.t("En annan webbläsare", "Another browser") }) }
                    p.note { (view.t("Sedan ", "Since ")) (when(gateway, seen.began_at)) (view.t(" · senast ", " · last ")) (when(gateway, seen.seen_at)) " · " (seen.name) }
                    form method="post" action="/keys/session" {
                        input type="hidden" name="name" value=(seen.name);
                        button type="submit" aria-label=(format!("{} {}", view.t("Logga ut", "Log out"), seen.name)) { (view.t("Logga ut", "Log out")) }
                    }
                }
            }
        }
        (words(view))
        script src=(assets::path("passkey.js")) defer {}
    };
    Frame::new(view, title).page(body)
}

fn label(view: &View, label: &str) -> String {
    if label.is_empty() { view.t("Nyckel", "Key").to_owned() } else { label.to_owned() }
}

/// Local date and time to the minute.
pub(super) fn when(gateway: &dyn Gateway, at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(gateway.zone()).strftime("%Y-%m-%d %H:%M").to_string()
}

async fn ask(State(board): State<Arc<Board>>, session: Session, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let view = View::of(&board, Some(&session), &parts.headers);
    let Ok(browser) = Browser::of(&board, &parts) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match passkeys::ask_register(&board, &browser, &session.person, By::Own) {
        Ok(asked) => ([(header::CONTENT_TYPE, "application/json")], asked).into_response(),
        Err(e) => no(view.lang, &e),
    }
}

fn no(lang: Lang, e: &KeyError) -> Response {
    tracing::warn!("{e}");
    (StatusCode::CONFLICT, Json(json!({ "said": e.said().in_(lang) }))).into_response()
}

#[derive(Deserialize)]
struct Answer {
    credential: Value,
    #[serde(default)]
    label: String,
}

async fn add(State(board): State<Arc<Board>>, session: Session, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let view = View::of(&board, Some(&session), &parts.headers);
    let Ok(browser) = Browser::of(&board, &parts) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let unreadable = |e: serde_json::Error| KeyError::Unreadable(e.to_string());
    let made = serde_json::from_slice::<Answer>(&body).map_err(unreadable).and_then(|answer| {
        let credential = serde_json::to_vec(&answer.credential).map_err(unreadable)?;
        passkeys::register(&board, &browser, &credential, &answer.label, Some(&session.person))
    });
    match made {
        Ok((_, id)) => told(&board, &session, "add-key", &id, Json(json!({ "to": "/keys" })).into_response()).await,
        Err(e) => no(view.lang, &e),
    }
}

/// The answer, once the log has it.
async fn told(board: &Board, session: &Session, act: &str, id: &str, answer: Response) -> Response {
    match session.tell(board, act, &format!("passkey {}", passkeys::short(id))).await {
        Ok(()) => answer,
        Err(e) => {
            tracing::error!(person = %session.person.id, "{act} is done and not in the log: {e}");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

#[derive(Deserialize)]
struct Remove {
    id: String,
}

async fn remove(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Form(wish): Form<Remove>,
) -> Response {
    let view = View::of(&board, Some(&session), &headers);
    let removed = board.people.record(|keys| {
        let theirs = keys.passkeys_of(&session.person.id);
        if !theirs.iter().any(|key| key.id == wish.id) {
            return Err(PeopleError::Refused("no such key of this person".into()));
        }
        if theirs.len() == 1 {
            return Err(PeopleError::Refused("the last key stays; add another one first".into()));
        }
        Ok((vec![Record::PasskeyGone { id: wish.id.clone() }], ()))
    });
    match removed {
        Ok(()) => told(&board, &session, "remove-key", &wish.id, Redirect::to("/keys").into_response()).await,
        Err(e) => {
            tracing::warn!("{e}");
            let said = Said::new(
                "Nyckeln kunde inte tas bort. Den sista måste finnas kvar.",
                "The key could not be removed. The last one has to stay.",
            );
            (StatusCode::CONFLICT, render(&board, &session, &view, Some(&said))).into_response()
        }
    }
}

#[derive(Deserialize)]
struct EndSession {
    name: String,
}

async fn end_session(State(board): State<Arc<Board>>, session: Session, Form(wish): Form<EndSession>) -> Response {
    if let Err(e) = session.tell(&board, "end-session", "session").await {
        tracing::error!("{e}");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    board.sessions.end_named(&session.person.id, &wish.name);
    Redirect::to("/keys").into_response()
}
