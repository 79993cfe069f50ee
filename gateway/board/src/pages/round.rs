//! The night round: `/night` by time, what the night has shown of each, and one tap to sign. Also the short form beside the alarms.

use axum::extract::{Form, Query};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::acts::word;
use super::frame::Frame;
use super::live::Now;
use super::plot::night_bar;
use super::seen::sees_round;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::words;
use crate::auth::Right;
use crate::gateway::{Night, NightOf, Refused, RoundItem, RoundState, Sign};

/// Lines of the short form: what is late, what comes next.
const ASIDE_LINES: usize = 6;

fn is_open(item: &RoundItem) -> bool {
    matches!(
        item.state,
        RoundState::Next | RoundState::Due | RoundState::Visit | RoundState::Missed | RoundState::Later
    )
}

/// What comes next, said from the round: late ones first.
fn next_said(view: &View, round: &[&RoundItem]) -> String {
    let late = round.iter().filter(|item| matches!(item.state, RoundState::Missed | RoundState::Visit)).count();
    let next = round.iter().find(|item| matches!(item.state, RoundState::Due | RoundState::Next | RoundState::Later));
    let next = match next {
        Some(item) if item.planned_at <= view.times.now_ms => {
            view.t("något att göra nu", "something to do now").to_owned()
        }
        Some(item) => {
            let away = view.times.away(item.planned_at);
            view.say(format!("nästa {away}"), format!("next {away}"))
        }
        None => view.t("inget mer i natt", "nothing more tonight").to_owned(),
    };
    match late {
        0 => next,
        n => {
            let late = words::many(view.lang, n, ("behöver besök", "behöver besök"), ("needs a visit", "need a visit"));
            format!("{late}, {next}")
        }
    }
}

/// Beside the alarms.
pub fn aside(view: &View, now: &Now) -> Markup {
    let units = view.session.as_ref().map(|session| &session.person.units);
    let Some((night, units)) = now.night.as_ref().zip(units).filter(|_| view.may(Right::SeeRound)) else {
        return html! { aside #aside hidden {} };
    };
    let round: Vec<&RoundItem> = night.round.iter().filter(|item| sees_round(units, item)).collect();
    let open = round.iter().filter(|item| is_open(item));
    let done = round.iter().rev().filter(|item| !is_open(item)).take(2);
    let mut lines: Vec<&&RoundItem> = open.take(ASIDE_LINES).chain(done).collect();
    lines.sort_by_key(|item| item.planned_at);
    html! {
        aside #aside aria-labelledby="round-h" {
            h2 #round-h { a href="/night" { (view.t("Nattrond", "Night round")) } " · " (next_said(view, &round)) }
            @if lines.is_empty() { p.soft { (view.t("Inget är planerat.", "Nothing is planned.")) } }
            ul.rows.card { @for item in lines { (line(view, item, false)) } }
        }
    }
}

fn tag(view: &View, item: &RoundItem) -> Markup {
    let (mark, class) = words::round_mark(item.state);
    let soon = item.planned_at - view.times.now_ms;
    let word = match item.state {
        RoundState::Next if (0..3_600_000).contains(&soon) => words::sentence(&view.times.away(item.planned_at)),
        state => words::round_state(view.lang, state).to_owned(),
    };
    html! { span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) } }
}

fn line(view: &View, item: &RoundItem, signs: bool) -> Markup {
    let said = item.said.in_(view.lang);
    let class = if matches!(item.state, RoundState::Next | RoundState::Due) { "now" } else { "" };
    let id = format!("r-{}-{}", item.resident, item.planned_at);
    html! {
        li class=(class) id=[signs.then_some(id)] {
            time { (view.times.minute(item.planned_at)) }
            span {
                (view.t("Boende ", "Resident ")) (item.resident)
                @if let Some(home) = &item.home { " · " (home) }
                small {
                    (words::form(view.lang, &item.form))
                    @if let Some(slot) = &item.slot { " " (slot) }
                    @if !said.is_empty() { " · " (said) }
                    @if let (Some(latest), true) = (item.latest_at, is_open(item)) {
                        " · " (view.t("senast ", "by ")) (view.times.minute(latest))
                    }
                    @if let Some(by) = &item.by { " · " (by) }
                }
                @if let Some(alarm) = &item.alarm { a.small-link href={ "/alarms/" (alarm) } { (view.t("Se larmet", "See the alarm")) } }
            }
            (tag(view, item))
            @if let (Some(unsaid), true) = (item.unsaid, signs && view.may(Right::SayLook)) { (super::look::outcome(view, unsaid, "/night", false)) }
            @if let (Some(look), true) = (&item.look, signs && view.may(Right::LookIn)) {
                p.act { a.button.main href={ "/look/" (look) } { (view.t("Titta", "Look")) span.sr { ": " (item.resident) " " (view.times.minute(item.planned_at)) } } }
            }
            @if signs && view.may(Right::SignRound) { (sign(view, item)) }
        }
    }
}

/// One tap. A dose has two answers.
fn sign(view: &View, item: &RoundItem) -> Markup {
    // What is of a home is signed in the home: it alone knows what that settles.
    let can = is_open(item) && item.state != RoundState::Later && item.home.is_none();
    html! {
        @if can {
            form.act method="post" action="/night/sign" {
                input type="hidden" name="resident" value=(item.resident);
                input type="hidden" name="planned_at" value=(item.planned_at);
                @let spoken = html! { span.sr { ": " (item.resident) " " (view.times.minute(item.planned_at)) } };
                @match item.slot.as_ref().filter(|_| item.form == "dose") {
                    Some(slot) => {
                        input type="hidden" name="slot" value=(slot);
                        button.main name="what" value="given" { (view.t("Given", "Given")) (spoken) }
                        button name="what" value="not-given" { (view.t("Inte given", "Not given")) (spoken) }
                    }
                    None if item.state == RoundState::Next => button name="what" value="visit" { (view.t("Jag har varit där", "I have been there")) (spoken) },
                    None => button.main name="what" value="visit" { (view.t("Jag har varit där", "I have been there")) (spoken) },
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    pub date: Option<String>,
}

/// Whose night it was, for the trace: the extract is found by these words.
pub(super) fn object(night: &Night) -> String {
    let mut ids: Vec<&str> = night.people.iter().map(|of| of.resident.as_str()).collect();
    ids.extend(night.round.iter().map(|item| item.resident.as_str()));
    ids.sort_unstable();
    ids.dedup();
    format!("night {} of {}", night.date, ids.join(" "))
}

pub(super) async fn night(asked: Asked, Query(wish): Query<Wish>) -> Result<Markup, Trouble> {
    let night = asked.sight().night(wish.date.clone()).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("read-night", object(&night), "round", None).await?;
    let view = &asked.view;
    let round: Vec<&RoundItem> = night.round.iter().collect();
    let title = view.t("Nattrond", "Night round");
    let body = html! {
        h1 { (words::sentence(&view.times.day_or_night(night.until - 1))) }
        p.lead { (words::sentence(&next_said(view, &round))) ". "
            (view.times.minute(night.from)) "–" (view.times.minute(night.until)) "." }
        div.columns {
            section aria-labelledby="by-time" {
                h2 #by-time { (view.t("I tidsordning", "By time")) }
                @if round.is_empty() { p { (view.t("Inget är planerat den här natten.", "Nothing is planned this night.")) } }
                ul.rows.card { @for item in &round { (line(view, item, true)) } }
            }
            section aria-labelledby="shown" {
                h2 #shown { (view.t("Vad natten har visat", "What the night has shown")) }
                @if night.people.is_empty() { p { (view.t("Inget är avtalat att se på.", "Nothing is agreed to be watched.")) } }
                @for of in &night.people { (person(view, &night, of)) }
            }
        }
        p.act { a.button href={ "/night/handover?date=" (night.date) } { (view.t("Morgonrapport att skriva ut", "Morning page to print")) } }
    };
    Ok(Frame::new(view, title).tab("/night").refreshing().page(body))
}

pub(super) fn person(view: &View, night: &Night, of: &NightOf) -> Markup {
    html! {
        div.card {
            h3 { (view.t("Boende ", "Resident ")) (of.resident) }
            p { (of.said.in_(view.lang)) }
            (night_bar(view, night, of))
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    resident: String,
    planned_at: i64,
    what: String,
    slot: Option<String>,
    #[serde(default)]
    note: String,
}

pub(super) async fn signed(asked: Asked, Form(form): Form<Signed>) -> Result<Redirect, Trouble> {
    let resident = asked.sight().resident(&form.resident).await.map_err(|refused| asked.trouble(refused))?.id;
    let note = word(&asked, &form.note)?;
    let (act, sign) = match (form.what.as_str(), form.slot) {
        ("visit", _) => {
            ("sign-visit", Sign::Visit { resident: resident.clone(), planned_at: Some(form.planned_at), note })
        }
        ("given" | "not-given", Some(slot)) => {
            let given = form.what == "given";
            ("sign-dose", Sign::Dose { resident: resident.clone(), slot, planned_at: form.planned_at, given, note })
        }
        (other, _) => {
            let why = format!("what is signed must be visit, given or not-given; {other:?} came");
            return Err(asked.trouble(Refused::Wrong(why)));
        }
    };
    asked.trace(act, format!("resident {resident}"), "round", Some(&resident)).await?;
    asked.board.gateway.sign(sign, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to(&format!("/night#r-{resident}-{}", form.planned_at)))
}
