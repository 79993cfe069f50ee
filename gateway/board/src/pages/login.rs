//! Logging in and out, in words; one main button.
//!
//! Enters: somebody nobody knows yet. Leaves: a session, or a sentence that says what to do. Without a script there are the card,
//! the municipality's log-in and one-time codes; a passkey needs one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::assets;
use super::frame::{Frame, start_of};
use super::view::View;
use crate::Board;
use crate::auth::doors::{self, Browser};
use crate::auth::passkeys::{self, By, KeyError};
use crate::auth::people::Person;
use crate::auth::{Session, card_origin, codes, invite, oidc};
use crate::gateway::Said;

/// What a log-in leads to.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Wish {
    to: Option<String>,
    again: Option<String>,
}

impl Wish {
    pub fn to_page(to: &str) -> Self {
        Wish { to: Some(to.to_owned()), again: None }
    }

    /// A page of ours; anything else is the first one.
    pub fn to(&self) -> &str {
        let is_ours = |to: &&str| {
            let second = to.as_bytes().get(1);
            to.starts_with('/')
                && second != Some(&b'/')
                && second != Some(&b'\\')
                && to.bytes().all(|byte| byte > b' ' && byte != 127)
        };
        self.to.as_deref().filter(is_ours).unwrap_or("/")
    }
}

/// Where somebody goes who has come in: where they were going, else the first page of their role.
fn onward<'w>(wish: &'w Wish, person: &Person) -> &'w str {
    if wish.to() == "/" { start_of(person.role) } else { wish.to() }
}

/// A path as the value of a query.
pub fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/login", get(show))
        .route("/login/passkey", post(by_passkey))
        .route("/login/passkey/ask", post(ask_passkey))
        .route("/login/oidc", get(to_provider))
        .route("/login/oidc/return", get(from_provider))
        .route("/login/code", post(by_code))
        .route("/logout", post(log_out))
        .route("/enter", get(show_enter))
        .route("/enter/ask", post(ask_enter))
        .route("/enter/passkey", post(enter_by_passkey))
        .route("/enter/code", post(enter_by_code))
        .route("/enter/code/proof", post(prove_code))
}

async fn show(
    State(board): State<Arc<Board>>,
    Query(wish): Query<Wish>,
    session: Option<Session>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let view = View::of(&board, session.as_ref(), &parts.headers);
    greet(&board, &parts, log_in_page(&board, &view, None, &wish))
}

/// The log-in page with what went wrong.
pub fn refused(board: &Board, view: &View, said: &Said, wish: &Wish) -> Markup {
    log_in_page(board, view, Some(said), wish)
}

fn log_in_page(board: &Board, view: &View, said: Option<&Said>, wish: &Wish) -> Markup {
    let to = wish.to();
    let is_again = wish.again.is_some() && view.session.is_some();
    let title =
        if is_again { view.t("Visa att det är du", "Show that it is you") } else { view.t("Logga in", "Log in") };
    let settings = &board.settings;
    let body = html! {
        h1 { (title) }
        @if is_again {
            p { (view.t("Det du ska göra kräver att du visar vem du är, just nu.", "What you are about to do needs you to show who you are, right now.")) }
        }
        (said_box(view, said))
        button.main type="button" data-passkey="get" data-ask="/login/passkey/ask" data-answer="/login/passkey" data-to=(to) {
            (view.t("Logga in med nyckel", "Log in with a key"))
        }
        p.note { (view.t("Telefonens fingeravtryck eller ansikte, eller en säkerhetsnyckel.", "The phone's fingerprint or face, or a security key.")) }
        (no_script(view))
        @if let Some(card) = &settings.card {
            p { a.button href=(format!("{}/card?to={}", card_origin(settings, card), escaped(to))) { (view.t("Logga in med kort", "Log in with a card")) } }
        }
        @if settings.oidc.is_some() {
            p { a.button href=(format!("/login/oidc?to={}", escaped(to))) { (view.t("Logga in genom kommunen", "Log in through the municipality")) } }
        }
        @if settings.totp {
            details {
                summary { (view.t("Logga in med engångskod", "Log in with a one-time code")) }
                form method="post" action="/login/code" {
                    input type="hidden" name="to" value=(to);
                    p { label { (view.t("Din beteckning", "Your id")) " " input name="person" autocomplete="username" autocapitalize="none" spellcheck="false" required; } }
                    p { label { (view.t("Kod från appen", "Code from the app")) " " input name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,8}" required; } }
                    button type="submit" { (view.t("Logga in", "Log in")) }
                }
            }
        }
        (words(view))
        script src=(assets::path("passkey.js")) defer {}
    };
    Frame::new(view, title).page(body)
}

fn said_box(view: &View, said: Option<&Said>) -> Markup {
    html! { p.said role="alert" data-said { @if let Some(said) = said { (said.in_(view.lang)) } } }
}

pub(super) fn no_script(view: &View) -> Markup {
    html! { noscript { p { (view.t("En nyckel behöver JavaScript, som är avstängt här.", "A key needs JavaScript, which is off here.")) } } }
}

/// What the script says: it knows no language.
pub(super) fn words(view: &View) -> Markup {
    let words = [
        (
            "cancelled",
            view.t(
                "Det avbröts, eller så fanns ingen nyckel för Vaka. Försök igen.",
                "It was cancelled, or there was no key for Vaka. Try again.",
            ),
        ),
        ("known", view.t("Den nyckeln är redan tillagd.", "That key has been added already.")),
        (
            "unable",
            view.t(
                "Webbläsaren kan inte använda nycklar här. Uppdatera den, eller använd en annan.",
                "The browser cannot use keys here. Update it, or use another.",
            ),
        ),
        (
            "offline",
            view.t(
                "Vaka svarar inte. Kontrollera nätet och försök igen.",
                "Vaka does not answer. Check the network and try again.",
            ),
        ),
        ("waiting", view.t("Väntar på nyckeln …", "Waiting for the key …")),
    ];
    html! { div hidden { @for (name, text) in words { span data-word=(name) { (text) } } } }
}

/// The answer with a device cookie for a browser that has none.
fn greet(board: &Board, parts: &axum::http::request::Parts, answer: impl IntoResponse) -> Response {
    match Browser::of(board, parts) {
        Ok(browser) => browser.greet(answer),
        Err(e) => unavailable(&e),
    }
}

fn unavailable(e: &dyn std::fmt::Display) -> Response {
    tracing::error!("a log-in could not begin or end: {e}");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// A request that a log-in is made of, taken apart.
struct Try {
    browser: Browser,
    view: View,
    body: Bytes,
}

/// The browser and what it sent, or the answer it gets at once. The gate has bounded nothing yet: the body is, here.
async fn take(board: &Board, request: Request) -> Result<Try, Box<Response>> {
    let (parts, body) = request.into_parts();
    let view = View::of(board, None, &parts.headers);
    let browser = Browser::of(board, &parts).map_err(|e| Box::new(unavailable(&e)))?;
    let body = axum::body::to_bytes(body, crate::limits::BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Box::new(StatusCode::PAYLOAD_TOO_LARGE.into_response()))?;
    Ok(Try { browser, view, body })
}

impl Try {
    /// Too many failures from here: how long to wait.
    fn wait(&self, board: &Board) -> Option<(StatusCode, Said, i64)> {
        let wait_s = self.browser.wait_s(board)?;
        let said = Said::new(
            format!("För många försök härifrån. Vänta {wait_s} sekunder."),
            format!("Too many tries from here. Wait {wait_s} seconds."),
        );
        Some((StatusCode::TOO_MANY_REQUESTS, said, wait_s))
    }

    /// No, to a script.
    fn no(&self, status: StatusCode, said: &Said, wait_s: Option<i64>) -> Response {
        let mut answer = (status, Json(json!({ "said": said.in_(self.view.lang) }))).into_response();
        if let Some(wait_s) = wait_s {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
        }
        self.browser.greet(answer)
    }

    /// A key did not open: counted, in the log, and said.
    async fn failed(&self, board: &Board, person: &str, e: &KeyError) -> Response {
        doors::failed(board, &self.browser, person, "passkey", &e.to_string()).await;
        self.no(StatusCode::FORBIDDEN, &e.said(), None)
    }

    fn json(&self, bytes: Vec<u8>) -> Response {
        self.browser.greet(([(header::CONTENT_TYPE, "application/json")], bytes))
    }
}

async fn ask_passkey(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    if let Some((status, said, wait_s)) = tried.wait(&board) {
        return tried.no(status, &said, Some(wait_s));
    }
    match passkeys::ask_log_in(&board, &tried.browser) {
        Ok(asked) => tried.json(asked),
        Err(e) => {
            tracing::error!("{e}");
            tried.no(StatusCode::SERVICE_UNAVAILABLE, &e.said(), None)
        }
    }
}

/// What the script sends: the key's own answer, and what is needed beside it.
#[derive(Deserialize)]
struct Answer {
    credential: Value,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    label: String,
}

impl Answer {
    fn of(body: &[u8]) -> Result<(Self, Vec<u8>), KeyError> {
        let unreadable = |e: serde_json::Error| KeyError::Unreadable(e.to_string());
        let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
        let credential = serde_json::to_vec(&answer.credential).map_err(unreadable)?;
        Ok((answer, credential))
    }
}

async fn by_passkey(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    if let Some((status, said, wait_s)) = tried.wait(&board) {
        return tried.no(status, &said, Some(wait_s));
    }
    let opened = Answer::of(&tried.body)
        .and_then(|(answer, credential)| Ok((answer, passkeys::log_in(&board, &tried.browser, &credential)?)));
    match opened {
        Ok((answer, person)) => {
            let wish = Wish { to: answer.to, again: None };
            let welcome = doors::welcome(
                &board,
                &tried.browser,
                &person,
                "passkey",
                Json(json!({ "to": onward(&wish, &person) })),
            );
            welcome.await.unwrap_or_else(|e| unavailable(&e))
        }
        Err(e) => tried.failed(&board, "", &e).await,
    }
}

async fn to_provider(State(board): State<Arc<Board>>, Query(wish): Query<Wish>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let view = View::of(&board, None, &parts.headers);
    let browser = match Browser::of(&board, &parts) {
        Ok(browser) => browser,
        Err(e) => return unavailable(&e),
    };
    match oidc::ask(&board, &browser, wish.to().to_owned()).await {
        Ok(url) => browser.greet(Redirect::to(&url)),
        Err(e) => {
            tracing::warn!("{e}");
            browser.greet((StatusCode::BAD_GATEWAY, refused(&board, &view, &e.said(), &wish)))
        }
    }
}

async fn from_provider(State(board): State<Arc<Board>>, Query(back): Query<oidc::Back>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let view = View::of(&board, None, &parts.headers);
    let browser = match Browser::of(&board, &parts) {
        Ok(browser) => browser,
        Err(e) => return unavailable(&e),
    };
    match oidc::answer(&board, &browser, back).await {
        Ok((person, to)) => {
            let welcome =
                doors::welcome(&board, &browser, &person, "oidc", Redirect::to(onward(&Wish::to_page(&to), &person)));
            welcome.await.unwrap_or_else(|e| unavailable(&e))
        }
        Err(e) => {
            tracing::warn!("{e}");
            // Told, and nobody waits for it: what the provider has signed is not guessed at here, and anybody can send a false answer.
            doors::told(&board, "", "oidc", &e.to_string()).await;
            browser.greet((StatusCode::FORBIDDEN, refused(&board, &view, &e.said(), &Wish::default())))
        }
    }
}

#[derive(Deserialize)]
struct CodeForm {
    person: String,
    code: String,
    #[serde(default)]
    to: String,
}

async fn by_code(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    let Ok(form) = serde_urlencoded::from_bytes::<CodeForm>(&tried.body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let wish = Wish::to_page(&form.to);
    if let Some((status, said, wait_s)) = tried.wait(&board) {
        let answer = (status, [(header::RETRY_AFTER, wait_s.to_string())], refused(&board, &tried.view, &said, &wish));
        return tried.browser.greet(answer);
    }
    match codes::log_in(&board, &tried.browser, form.person.trim(), &form.code) {
        Ok(person) => {
            let welcome = doors::welcome(&board, &tried.browser, &person, "totp", Redirect::to(onward(&wish, &person)));
            welcome.await.unwrap_or_else(|e| unavailable(&e))
        }
        Err(e) => {
            // Named only where somebody of that name is: the log takes no words from strangers.
            let person = board.people.get(form.person.trim()).map(|person| person.id).unwrap_or_default();
            doors::failed(&board, &tried.browser, &person, "totp", &e.to_string()).await;
            tried.browser.greet((StatusCode::FORBIDDEN, refused(&board, &tried.view, &e.said(), &wish)))
        }
    }
}

async fn log_out(State(board): State<Arc<Board>>, session: Session, headers: HeaderMap) -> Response {
    if let Some(sid) = doors::cookie(&headers, doors::SID) {
        board.sessions.end(sid);
    }
    if let Err(e) = session.tell(&board, "log-out", "board").await {
        tracing::error!(person = %session.person.id, "a log-out is not in the log: {e}");
    }
    let mut answer = Redirect::to("/login").into_response();
    doors::forget_session(&mut answer);
    answer
}

async fn show_enter(State(board): State<Arc<Board>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let view = View::of(&board, None, &parts.headers);
    let title = view.t("Välkommen till Vaka", "Welcome to Vaka");
    let body = html! {
        h1 { (title) }
        p { (view.t("Länken gäller en gång. Gör en nyckel på den telefon eller dator som du ska använda, eller på din säkerhetsnyckel.", "The link works once. Make a key on the phone or computer that you will use, or on your security key.")) }
        (said_box(&view, None))
        p { label { (view.t("Vad ska nyckeln heta?", "What shall the key be called?")) " " input name="label" maxlength="40" data-label placeholder=(view.t("min telefon", "my phone")); } }
        button.main type="button" data-passkey="create" data-ask="/enter/ask" data-answer="/enter/passkey" data-to="/" {
            (view.t("Gör en nyckel", "Make a key"))
        }
        (no_script(&view))
        @if board.settings.totp {
            form method="post" action="/enter/code" {
                input type="hidden" name="link" data-link;
                p { button type="submit" { (view.t("Använd engångskoder i stället", "Use one-time codes instead")) } }
            }
        }
        (words(&view))
        script src=(assets::path("passkey.js")) defer {}
    };
    greet(&board, &parts, Frame::new(&view, title).page(body))
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
}

async fn ask_enter(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    let code = serde_json::from_slice::<Code>(&tried.body).map(|code| code.code).unwrap_or_default();
    let hash = invite::hash_of(&code);
    let holder = invite::holder(&board.people.keys(), &hash, board.gateway.now_ms());
    // A link that works is never made to wait: nobody can guess one.
    let Some(person) = holder.and_then(|person| board.people.in_force(&person)) else {
        if let Some((status, said, wait_s)) = tried.wait(&board) {
            return tried.no(status, &said, Some(wait_s));
        }
        doors::failed(&board, &tried.browser, "", "link", &KeyError::Spent.to_string()).await;
        return tried.no(StatusCode::FORBIDDEN, &KeyError::Spent.said(), None);
    };
    match passkeys::ask_register(&board, &tried.browser, &person, By::Link(hash)) {
        Ok(asked) => tried.json(asked),
        Err(e) => {
            tracing::error!("{e}");
            tried.no(StatusCode::CONFLICT, &e.said(), None)
        }
    }
}

async fn enter_by_passkey(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    let made = Answer::of(&tried.body)
        .and_then(|(answer, credential)| passkeys::register(&board, &tried.browser, &credential, &answer.label, None));
    match made {
        Ok((person, id)) => {
            let trace = crate::gateway::Trace {
                person: person.id.clone(),
                role: person.role.as_str().to_owned(),
                act: "add-key".to_owned(),
                object: format!("passkey {}", passkeys::short(&id)),
                purpose: "link".to_owned(),
                ..Default::default()
            };
            if let Err(e) = board.gateway.trace(trace).await {
                tracing::error!(person = %person.id, "a new key is not in the log: {e}");
            }
            let welcome = doors::welcome(
                &board,
                &tried.browser,
                &person,
                "passkey",
                Json(json!({ "to": start_of(person.role) })),
            );
            welcome.await.unwrap_or_else(|e| unavailable(&e))
        }
        Err(e) => tried.failed(&board, "", &e).await,
    }
}

#[derive(Deserialize)]
struct LinkForm {
    #[serde(default)]
    link: String,
}

async fn enter_by_code(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    let Ok(form) = serde_urlencoded::from_bytes::<LinkForm>(&tried.body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match codes::ask(&board, &tried.browser, &form.link) {
        Ok(asked) => tried.browser.greet(proof_page(&tried.view, &asked, None)),
        Err(e) => {
            doors::failed(&board, &tried.browser, "", "link", &e.to_string()).await;
            tried.browser.greet((StatusCode::FORBIDDEN, refused(&board, &tried.view, &e.said(), &Wish::default())))
        }
    }
}

fn proof_page(view: &View, asked: &codes::Asked, said: Option<&Said>) -> Markup {
    let title = view.t("Engångskoder", "One-time codes");
    let body = html! {
        h1 { (title) }
        p { (view.t("Läs av rutan med din app för engångskoder. Koderna gäller bara i den här webbläsaren.", "Scan the square with your app for one-time codes. The codes work in this browser alone.")) }
        (super::qr::svg(&asked.address, view.t("Ruta att läsa av med appen", "Square to scan with the app")))
        p { (view.t("Eller skriv in: ", "Or type: ")) code { (asked.secret) } }
        (said_box(view, said))
        form method="post" action="/enter/code/proof" {
            input type="hidden" name="key" value=(asked.key);
            p { label { (view.t("Kod från appen", "Code from the app")) " " input name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,8}" required; } }
            button.main type="submit" { (view.t("Spara", "Save")) }
        }
    };
    Frame::new(view, title).page(body)
}

#[derive(Deserialize)]
struct ProofForm {
    key: String,
    code: String,
}

async fn prove_code(State(board): State<Arc<Board>>, request: Request) -> Response {
    let tried = match take(&board, request).await {
        Ok(tried) => tried,
        Err(answer) => return *answer,
    };
    let Ok(form) = serde_urlencoded::from_bytes::<ProofForm>(&tried.body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match codes::prove(&board, &tried.browser, &form.key, &form.code) {
        Ok(person) => {
            let welcome = doors::welcome(&board, &tried.browser, &person, "totp", Redirect::to(start_of(person.role)));
            welcome.await.unwrap_or_else(|e| unavailable(&e))
        }
        Err(e) => {
            doors::failed(&board, &tried.browser, "", "totp", &e.to_string()).await;
            tried.browser.greet((StatusCode::FORBIDDEN, refused(&board, &tried.view, &e.said(), &Wish::default())))
        }
    }
}
