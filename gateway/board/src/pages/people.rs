//! People and programs, for administrators: who may log in, as what, and by which means.
//!
//! Invariant: what is changed is in the log before it is done, and in `people.toml` before the page says so.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::Frame;
use super::keys::when;
use super::view::View;
use super::{qr, words};
use crate::Board;
use crate::auth::book::Edit;
use crate::auth::credentials::Record;
use crate::auth::invite::{self, Invitation};
use crate::auth::people::{PeopleError, Person};
use crate::auth::{Role, Session, Units, tokens};
use crate::gateway::{Lang, Said, Trace};

pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/people", get(list))
        .route("/people/add", get(show_add).post(add))
        .route("/people/of/{id}", get(show))
        .route("/people/of/{id}/set", post(set))
        .route("/people/of/{id}/end", post(end))
        .route("/people/of/{id}/link", post(link))
        .route("/people/of/{id}/reset", post(reset))
        .route("/people/of/{id}/sessions", post(sessions))
        .route("/people/programs", get(programs).post(make_token))
        .route("/people/programs/end", post(end_token))
}

/// Who asks, and in which language.
struct Asks<'a> {
    board: &'a Board,
    session: &'a Session,
    view: View,
}

impl Asks<'_> {
    fn page(&self, title: &str, body: Markup) -> Markup {
        Frame::new(&self.view, title).tab("/people").page(body)
    }

    fn t(&self, sv: &'static str, en: &'static str) -> &'static str {
        self.view.t(sv, en)
    }

    /// Does it once the log has it; what went wrong is said on the page that `again` makes.
    async fn act<T>(
        &self,
        act: &str,
        object: &str,
        purpose: &str,
        doing: impl FnOnce() -> Result<T, PeopleError>,
        again: impl FnOnce(&Said) -> Markup,
    ) -> Result<T, Response> {
        let trace = Trace { purpose: purpose.to_owned(), ..self.session.trace(act, object) };
        if let Err(e) = self.board.gateway.trace(trace).await {
            tracing::error!(person = %self.session.person.id, "{act} is refused, as it cannot be in the log: {e}");
            return Err(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        doing().map_err(|e| {
            tracing::warn!(person = %self.session.person.id, "{e}");
            (StatusCode::CONFLICT, again(&said(&e))).into_response()
        })
    }
}

fn asks<'a>(board: &'a Board, session: &'a Session, headers: &HeaderMap) -> Asks<'a> {
    Asks { board, session, view: View::of(board, Some(session), headers) }
}

fn said(e: &PeopleError) -> Said {
    match e {
        PeopleError::LastAdmin(id) => Said::new(
            format!("{id} är den sista administratören som kan logga in. Låt en till logga in först."),
            e.to_string(),
        ),
        PeopleError::Wrong { line, .. } => {
            Said::new(format!("people.toml är fel på rad {line}. Rätta den först."), e.to_string())
        }
        _ => Said::new(format!("Det gick inte: {e}."), format!("That did not work: {e}.")),
    }
}

fn role_of(text: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.as_str() == text)
}

fn units_of(text: &str) -> Units {
    Units(text.split(',').map(str::trim).filter(|unit| !unit.is_empty()).map(str::to_owned).collect())
}

fn units_text(units: &Units) -> String {
    units.0.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

async fn list(State(board): State<Arc<Board>>, session: Session, headers: HeaderMap) -> Response {
    let asks = asks(&board, &session, &headers);
    if let Err(e) = session.tell(&board, "read-people", "people").await {
        tracing::error!("{e}");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let book = board.people.book();
    let title = asks.t("Personal", "People");
    let body = html! {
        h1 { (title) }
        @if let Some(problem) = board.people.problem() {
            p.said role="alert" { (asks.t("Filen med personal är fel; det som lästes förut gäller. ", "The file of people is wrong; what was read before holds. ")) (problem) }
        }
        p { a.button href="/people/add" { (asks.t("Lägg till en person", "Add a person")) } " " a.button href="/people/programs" { (asks.t("Program", "Programs")) } }
        ul.rows {
            @for person in book.0.values() {
                li {
                    a href=(format!("/people/of/{}", person.id)) { strong { (person.id) } }
                    @if let Some(name) = &person.name { " " (name) }
                    p.note {
                        (words::role(asks.view.lang, person.role)) " · "
                        @if person.units.0.is_empty() { (asks.t("inga grupper", "no groups")) } @else { (units_text(&person.units)) }
                        @if person.ended { " · " strong { (asks.t("avslutad", "ended")) } }
                        @else if !board.people.can_log_in(person) { " · " strong { (asks.t("kan inte logga in än", "cannot log in yet")) } }
                    }
                }
            }
        }
    };
    asks.page(title, body).into_response()
}

fn add_page(asks: &Asks<'_>, said: Option<&Said>) -> Markup {
    let title = asks.t("Lägg till en person", "Add a person");
    let body = html! {
        h1 { (title) }
        (said_box(asks.view.lang, said))
        form method="post" action="/people/add" {
            p { label { (asks.t("Beteckning, till exempel natt-07", "Id, for example natt-07")) " " input name="id" pattern="[a-z0-9\\-]{1,32}" autocapitalize="none" spellcheck="false" required; } }
            p { label { (asks.t("Namn (behövs inte)", "Name (not needed)")) " " input name="name" maxlength="120"; } }
            (role_and_units(asks, Role::Staff, ""))
            button.main type="submit" { (asks.t("Lägg till och gör en länk", "Add and make a link")) }
        }
    };
    asks.page(title, body)
}

fn said_box(lang: Lang, said: Option<&Said>) -> Markup {
    html! { @if let Some(said) = said { p.said role="alert" { (said.in_(lang)) } } }
}

fn role_and_units(asks: &Asks<'_>, role: Role, units: &str) -> Markup {
    html! {
        p { label { (asks.t("Roll", "Role")) " " select name="role" {
            @for one in Role::ALL { option value=(one.as_str()) selected[one == role] { (words::role(asks.view.lang, one)) } }
        } } }
        p { label { (asks.t("Grupper, med komma emellan; * är alla", "Groups, with commas between; * is all")) " " input name="units" value=(units); } }
    }
}

async fn show_add(State(board): State<Arc<Board>>, session: Session, headers: HeaderMap) -> Markup {
    add_page(&asks(&board, &session, &headers), None)
}

#[derive(Deserialize)]
struct AddForm {
    id: String,
    #[serde(default)]
    name: String,
    role: String,
    #[serde(default)]
    units: String,
}

async fn add(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<AddForm>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let Some(role) = role_of(&form.role) else { return StatusCode::UNPROCESSABLE_ENTITY.into_response() };
    let person = Person {
        id: form.id.trim().to_owned(),
        name: Some(form.name.trim().to_owned()).filter(|name| !name.is_empty()),
        role,
        units: units_of(&form.units),
        lang: None,
        card: None,
        oidc: None,
        ended: false,
    };
    let (object, purpose) =
        (format!("person {}", person.id), format!("{} {}", role.as_str(), units_text(&person.units)));
    let doing = || {
        board.people.change(&Edit::Add(person.clone()))?;
        invite::link(&board.people, &board.settings, &person.id, &session.person.id, board.gateway.now_ms())
    };
    match asks.act("add-person", &object, &purpose, doing, |said| add_page(&asks, Some(said))).await {
        Ok(invitation) => link_page(&asks, &invitation).into_response(),
        Err(answer) => answer,
    }
}

/// Shown once: the board keeps the code's hash alone.
fn link_page(asks: &Asks<'_>, invitation: &Invitation) -> Markup {
    let title = asks.t("Länk för en gång", "One-time link");
    let body = html! {
        h1 { (title) }
        p { (asks.t("För ", "For ")) strong { (invitation.person) } (asks.t(". Gäller till ", ". Works until ")) (when(&*asks.board.gateway, invitation.expires_at)) (asks.t(" och visas bara nu.", " and is shown only now.")) }
        (qr::svg(&invitation.url, asks.t("Länken som ruta att läsa av", "The link as a square to scan")))
        p { code { (invitation.url) } }
        p { a href="/people" { (asks.t("Till personalen", "To the people")) } }
    };
    asks.page(title, body)
}

async fn show(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    if let Err(e) = session.tell(&board, "read-person", &format!("person {id}")).await {
        tracing::error!("{e}");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match board.people.get(&id) {
        Some(person) => person_page(&asks, &person, None).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn person_page(asks: &Asks<'_>, person: &Person, said: Option<&Said>) -> Markup {
    let keys = asks.board.people.keys();
    let gateway = &*asks.board.gateway;
    let at = format!("/people/of/{}", person.id);
    let (passkeys, sessions) = (keys.passkeys_of(&person.id), asks.board.sessions.of(&person.id, gateway.now_ms()));
    let body = html! {
        h1 { (person.id) }
        (said_box(asks.view.lang, said))
        form method="post" action=(format!("{at}/set")) {
            p { label { (asks.t("Namn (behövs inte)", "Name (not needed)")) " " input name="name" maxlength="120" value=(person.name.as_deref().unwrap_or_default()); } }
            (role_and_units(asks, person.role, &units_text(&person.units)))
            button type="submit" { (asks.t("Spara", "Save")) }
        }
        h2 { (asks.t("Sätt att logga in", "Ways to log in")) }
        ul.rows {
            @for key in &passkeys { li { (asks.t("Nyckel ", "Key ")) (key.label) p.note { (when(gateway, key.added_at)) } } }
            @if let Some(card) = &person.card { li { (asks.t("Kort ", "Card ")) (card) } }
            @if let Some(oidc) = &person.oidc { li { (asks.t("Kommunens inloggning ", "The municipality's log-in ")) (oidc) } }
            @if keys.totp.contains_key(&person.id) { li { (asks.t("Engångskoder", "One-time codes")) } }
        }
        form method="post" action=(format!("{at}/link")) { button type="submit" { (asks.t("Gör en länk för en ny nyckel", "Make a link for a new key")) } }
        form method="post" action=(format!("{at}/reset")) { button type="submit" { (asks.t("Ta bort alla nycklar och koder", "Remove all keys and codes")) } }
        h2 { (asks.t("Inloggningar", "Sessions")) ": " (sessions.len()) }
        form method="post" action=(format!("{at}/sessions")) { button type="submit" { (asks.t("Logga ut överallt", "Log out everywhere")) } }
        h2 { (asks.t("Anställning", "Employment")) }
        form method="post" action=(format!("{at}/end")) {
            input type="hidden" name="ended" value=(!person.ended);
            button type="submit" { (if person.ended { asks.t("Släpp in igen", "Let in again") } else { asks.t("Avsluta; gäller genast", "End; holds at once") }) }
        }
    };
    asks.page(&person.id, body)
}

/// The page of somebody after an act on them, or with what went wrong.
async fn done<T>(
    asks: &Asks<'_>,
    id: &str,
    act: &str,
    purpose: &str,
    doing: impl FnOnce(&Person) -> Result<T, PeopleError>,
) -> Result<T, Response> {
    let Some(person) = asks.board.people.get(id) else { return Err(StatusCode::NOT_FOUND.into_response()) };
    let again = |said: &Said| person_page(asks, &person, Some(said));
    asks.act(act, &format!("person {id}"), purpose, || doing(&person), again).await
}

fn back<T>(id: &str, done: Result<T, Response>) -> Response {
    done.map_or_else(|answer| answer, |_| Redirect::to(&format!("/people/of/{id}")).into_response())
}

#[derive(Deserialize)]
struct SetForm {
    #[serde(default)]
    name: String,
    role: String,
    #[serde(default)]
    units: String,
}

async fn set(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(form): Form<SetForm>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let Some(role) = role_of(&form.role) else { return StatusCode::UNPROCESSABLE_ENTITY.into_response() };
    let units = units_of(&form.units);
    let name = Some(form.name.trim().to_owned()).filter(|name| !name.is_empty());
    let purpose = format!("{} {}", role.as_str(), units_text(&units));
    let doing = |person: &Person| {
        board.people.change(&Edit::Set { id: person.id.clone(), role, units, lang: person.lang, name })
    };
    back(&id, done(&asks, &id, "change-person", &purpose, doing).await)
}

#[derive(Deserialize)]
struct EndForm {
    ended: bool,
}

async fn end(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(form): Form<EndForm>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let act = if form.ended { "end-person" } else { "let-person-in" };
    let doing = |person: &Person| board.people.change(&Edit::End { id: person.id.clone(), ended: form.ended });
    back(&id, done(&asks, &id, act, "", doing).await)
}

async fn link(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let doing = |person: &Person| {
        invite::link(&board.people, &board.settings, &person.id, &session.person.id, board.gateway.now_ms())
    };
    match done(&asks, &id, "make-link", "", doing).await {
        Ok(invitation) => link_page(&asks, &invitation).into_response(),
        Err(answer) => answer,
    }
}

async fn reset(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let doing = |person: &Person| {
        board.people.record(|keys| {
            let passkeys = keys.passkeys_of(&person.id).into_iter();
            let mut gone: Vec<Record> = passkeys.map(|key| Record::PasskeyGone { id: key.id.clone() }).collect();
            if keys.totp.contains_key(&person.id) {
                gone.push(Record::TotpGone { person: person.id.clone() });
            }
            if let Some(link) = keys.links.get(&person.id) {
                gone.push(Record::LinkUsed { hash: link.hash.clone() });
            }
            Ok((gone, ()))
        })?;
        board.sessions.end_all_of(&person.id);
        Ok(())
    };
    back(&id, done(&asks, &id, "remove-keys", "", doing).await)
}

async fn sessions(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let doing = |person: &Person| Ok(board.sessions.end_all_of(&person.id));
    back(&id, done(&asks, &id, "end-sessions", "", doing).await)
}

fn programs_page(asks: &Asks<'_>, said: Option<&Said>, made: Option<&str>) -> Markup {
    let title = asks.t("Program", "Programs");
    let keys = asks.board.people.keys();
    let gateway = &*asks.board.gateway;
    let mut theirs: Vec<_> = keys.tokens.values().collect();
    theirs.sort_by(|a, b| a.name.cmp(&b.name));
    let body = html! {
        h1 { (title) }
        (said_box(asks.view.lang, said))
        @if let Some(made) = made {
            p role="status" { (asks.t("Programmets nyckel, som bara visas nu: ", "The program's token, shown only now: ")) code { (made) } }
        }
        ul.rows {
            @for token in theirs {
                li {
                    strong { (token.name) } " · " (words::role(asks.view.lang, token.role)) " · " (units_text(&token.units))
                    p.note { (asks.t("Gäller till ", "Works until ")) (when(gateway, token.expires_at)) (asks.t(" · gjord av ", " · made by ")) (token.by) }
                    form method="post" action="/people/programs/end" {
                        input type="hidden" name="name" value=(token.name);
                        button type="submit" aria-label=(format!("{} {}", asks.t("Avsluta", "End"), token.name)) { (asks.t("Avsluta", "End")) }
                    }
                }
            }
        }
        form method="post" action="/people/programs" {
            p { label { (asks.t("Programmets namn, till exempel rapport", "The program's name, for example report")) " " input name="name" pattern="[a-z0-9\\-]{1,28}" required; } }
            (role_and_units(asks, Role::Auditor, "*"))
            p { label { (asks.t("Dagar den gäller", "Days it works")) " " input name="days" type="number" min="1" max="400" value="365" required; } }
            button type="submit" { (asks.t("Gör en nyckel åt programmet", "Make a token for the program")) }
        }
    };
    asks.page(title, body)
}

async fn programs(State(board): State<Arc<Board>>, session: Session, headers: HeaderMap) -> Markup {
    programs_page(&asks(&board, &session, &headers), None, None)
}

#[derive(Deserialize)]
struct TokenForm {
    name: String,
    role: String,
    #[serde(default)]
    units: String,
    days: i64,
}

async fn make_token(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<TokenForm>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let Some(role) = role_of(&form.role) else { return StatusCode::UNPROCESSABLE_ENTITY.into_response() };
    let wish = tokens::Wish { name: form.name.trim().to_owned(), role, units: units_of(&form.units), days: form.days };
    let (object, purpose) =
        (format!("program {}", wish.name), format!("{} {}", role.as_str(), units_text(&wish.units)));
    let doing = || tokens::make(&board.people, &wish, &session.person.id, board.gateway.now_ms());
    let again = |said: &Said| programs_page(&asks, Some(said), None);
    match asks.act("make-token", &object, &purpose, doing, again).await {
        Ok(made) => programs_page(&asks, None, Some(&made)).into_response(),
        Err(answer) => answer,
    }
}

#[derive(Deserialize)]
struct EndTokenForm {
    name: String,
}

async fn end_token(
    State(board): State<Arc<Board>>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<EndTokenForm>,
) -> Response {
    let asks = asks(&board, &session, &headers);
    let doing = || tokens::end(&board.people, &form.name);
    let again = |said: &Said| programs_page(&asks, Some(said), None);
    match asks.act("end-token", &format!("program {}", form.name), "", doing, again).await {
        Ok(_) => Redirect::to("/people/programs").into_response(),
        Err(answer) => answer,
    }
}
