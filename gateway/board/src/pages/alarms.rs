//! `/` the open alarms, `/alarms` all at hand, `/alarms/{id}` one with its story.

use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::article::{acts, headline, notes, place, rungs};
use super::frame::Frame;
use super::list::{self, List};
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::{assets, orders, round, words};
use crate::auth::Right;
use crate::gateway::{Alarm, Lang, LookAt, Story, StoryLine};
use crate::limits::ROWS_SHOWN_MAX;

/// The board: is somebody waiting for me?
pub(super) async fn home(asked: Asked) -> Result<Response, Trouble> {
    asked.trace("read-alarms", "alarms", "list", None).await?;
    let board = &asked.board;
    let watched = board.live.follow(&board.gateway).await.map_err(|refused| asked.trouble(refused))?;
    let now = watched.borrow().clone();
    let view = &asked.view;
    let list = List::of(&now, &asked.session.person.units);
    let body = html! {
        (list::wrong(view, &now))
        div.columns {
            section aria-labelledby="count" { (list.markup(view, &now)) }
            (round::aside(view, &now))
        }
    };
    let page = Frame::new(view, view.t("Larm", "Alarms")).tab("/").refreshing().listing(list.waiting()).page(body);
    let ahead = assets::ahead("live.js", "script").map(|script| [(header::LINK, script)]);
    Ok((ahead, page).into_response())
}

#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    pub from: usize,
}

/// Every alarm at hand, closed ones too.
pub(super) async fn all(asked: Asked, Query(wish): Query<From>) -> Result<Markup, Trouble> {
    asked.trace("read-alarms", "alarms", "all", None).await?;
    let alarms = asked.sight().alarms().await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let rows: Vec<&Alarm> = alarms.iter().skip(wish.from).take(ROWS_SHOWN_MAX).map(|alarm| &**alarm).collect();
    let body = html! {
        div.narrow {
            h1 { (view.t("Alla larm", "All alarms")) ": " (alarms.len()) }
            @if rows.is_empty() { p { (view.t("Inga larm finns kvar i minnet.", "No alarms are at hand.")) } }
            ul.rows {
                @for alarm in &rows { (row(view, alarm)) }
            }
            (pager(view, "/alarms", wish.from, alarms.len()))
        }
    };
    Ok(Frame::new(view, view.t("Alla larm", "All alarms")).tab("/").page(body))
}

/// Earlier and later rows of a long list.
pub(super) fn pager(view: &View, path: &str, from: usize, all: usize) -> Markup {
    html! {
        @if from > 0 || from + ROWS_SHOWN_MAX < all {
            nav.act aria-label=(view.t("Fler rader", "More rows")) {
                @if from > 0 {
                    a.button href={ (path) "?from=" (from.saturating_sub(ROWS_SHOWN_MAX)) } { (view.t("Föregående", "Previous")) }
                }
                @if from + ROWS_SHOWN_MAX < all {
                    a.button href={ (path) "?from=" (from + ROWS_SHOWN_MAX) } { (view.t("Nästa", "Next")) }
                }
            }
        }
    }
}

fn state(view: &View, alarm: &Alarm) -> (&'static str, &'static str, String) {
    match (&alarm.closed_by, &alarm.claimed_by) {
        (Some(by), _) => {
            let outcome = alarm.outcome.map_or(view.t("Avslutat", "Closed"), |it| words::outcome(view.lang, it));
            ("✓", "ok", format!("{outcome}, {by}"))
        }
        (None, Some(by)) => ("→", "next", view.say(format!("Tagen av {by}"), format!("Taken by {by}"))),
        _ => ("!", "miss", view.t("Väntar", "Waits").to_owned()),
    }
}

fn row(view: &View, alarm: &Alarm) -> Markup {
    let (mark, class, word) = state(view, alarm);
    html! {
        li {
            time { (view.times.when(alarm.raised_at)) }
            span { a href={ "/alarms/" (alarm.id) } { (place(view, alarm)) } small { (headline(view, alarm)) } }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
        }
    }
}

/// One alarm: everything in its order, and what explains it.
pub(super) async fn one(asked: Asked, Path(id): Path<String>) -> Result<Markup, Trouble> {
    let story = asked.sight().story(&id).await.map_err(|refused| asked.trouble(refused))?;
    let resident = story.alarm.resident.as_deref();
    asked.trace("read-alarm", format!("alarm {id}"), format!("alarm {id}"), resident).await?;
    let view = &asked.view;
    let alarm = &story.alarm;
    let title = format!("{}, {}", place(view, alarm), words::lane(view.lang, alarm.lane));
    let opens = view.may(Right::LookIn) && alarm.closed_by.is_none();
    let look = match opens {
        true => asked.sight().look_in(LookAt::Alarm(id.clone())).await.ok(),
        false => None,
    };
    let looks = look.is_some_and(|look| look.refused.is_none() || look.unsaid.is_some());
    Ok(Frame::new(view, title).tab("/").page(page(view, &story, asked.board.gateway.lang(), looks)))
}

/// `looks`: the alarm may open the resident's camera.
fn page(view: &View, story: &Story, spoken: Lang, looks: bool) -> Markup {
    let alarm = &story.alarm;
    let open = if alarm.claimed_by.is_none() && alarm.closed_by.is_none() { "open" } else { "" };
    let (mark, class, word) = state(view, alarm);
    html! {
        div.columns {
            section aria-labelledby="what" {
                div class={ "alarm " (words::lane_class(alarm.lane)) " " (open) } {
                    div.top {
                        (headline(view, alarm))
                        span.age { span.sr { (view.t("Ålder ", "Age ")) } time data-at=[alarm.closed_by.is_none().then_some(alarm.raised_at)] {
                            (view.times.age(alarm.raised_at)) } }
                    }
                    h1 #what { (place(view, alarm)) }
                    p.where {
                        @if let Some(room) = &alarm.room { (words::sentence(room)) " · " }
                        (words::kind(view.lang, &alarm.kind)) " " (alarm.device)
                    }
                    p.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
                    (notes(view, alarm))
                    @if !alarm.note.is_empty() { p.why { (view.t("Anteckning: ", "Note: ")) (alarm.note) } }
                    (rungs(view, alarm))
                    (acts(view, alarm, true))
                    @if looks { p.act { a.button href={ "/look/alarm/" (alarm.id) } { (view.t("Titta genom kameran", "Look through the camera")) } } }
                }
                (orders::in_the_home(view, alarm, spoken))
                (whereto(view, story))
            }
            section aria-label=(view.t("Förklaring", "Explanation")) { (explained(view, story)) }
        }
        section aria-labelledby="everything" {
            h2 #everything { (view.t("Allt som hänt, i ordning", "Everything that happened, in order")) }
            (lines(view, &story.lines))
        }
        p { a href="/" { (view.t("Till larmen", "To the alarms")) } }
    }
}

/// Who lives there and how to get in: behind a tap that is logged. And where they are, where that is known.
fn whereto(view: &View, story: &Story) -> Markup {
    let alarm = &story.alarm;
    html! {
        @if let Some(resident) = &alarm.resident {
            div.card {
                h2 { (view.t("Vem och hur man kommer in", "Who, and how to get in")) }
                div.act {
                    @if view.may(Right::SeeNames) {
                        form method="post" action={ "/residents/" (resident) "/name" } {
                            input type="hidden" name="purpose" value={ "alarm " (alarm.id) };
                            button { (view.t("Visa namn, adress och nyckel", "Show name, address and key")) }
                        }
                    }
                    @if view.may(Right::SeeResidents) {
                        a.button href={ "/residents/" (resident) } { (view.say(format!("Om boende {resident}"), format!("About resident {resident}"))) }
                    }
                }
                @if view.may(Right::SeeNames) { p.soft { (view.t("Att du ser det skrivs i loggen.", "That you see it is written in the log.")) } }
            }
        }
        @if let Some(at) = &story.position {
            div.card {
                h2 { (view.t("Senast kända plats", "Last known place")) }
                p { a href={ "geo:" (at.latitude) "," (at.longitude) } { (format!("{:.5}, {:.5}", at.latitude, at.longitude)) }
                    @if let Some(m) = at.accuracy_m { ", ± " (m) " m" }
                    ", " (view.times.when(at.at)) " (" (view.times.away(at.at)) ")" }
            }
        }
    }
}

fn explained(view: &View, story: &Story) -> Markup {
    let alarm = &story.alarm;
    let why = alarm.why.in_(view.lang);
    html! {
        div.card {
            h2 { (view.t("Varför larmade det?", "Why did it alarm?")) }
            @if why.is_empty() { p { (words::sentence(alarm.what.in_(view.lang))) "." } } @else { p { (why) } }
            @if !story.seen.is_empty() {
                h3 { (view.t("Det här såg Vaka", "What Vaka saw")) }
                (lines(view, &story.seen))
            }
            @if !story.agreed.is_empty() {
                h3 { (view.t("Det här är avtalat", "What was agreed")) }
                dl.pairs { @for (name, value) in &story.agreed { div { dt { (super::settings::label(view, name)) } dd { (super::settings::value(view, value)) } } } }
            }
            @if let Some(prevented) = &story.prevented {
                h3 { (view.t("Larmet hade inte kommit om", "It would not have come if")) }
                p { (prevented.in_(view.lang)) }
            }
            p.soft { (view.t("Regel ", "Rule ")) (alarm.rule) ". " (view.t("Larm ", "Alarm ")) code { (alarm.id) } }
        }
    }
}

pub(super) fn lines(view: &View, lines: &[StoryLine]) -> Markup {
    html! {
        ol.rows.story {
            @for line in lines { li { time { (view.times.when(line.at)) } span { (line.said.in_(view.lang)) } } }
        }
    }
}
