//! `/night/handover`: the night on paper, for whoever comes in the morning.

use axum::extract::Query;
use maud::{Markup, html};

use super::article::{claimed_at, place};
use super::frame::Frame;
use super::round::{Wish, object, person};
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::words;
use crate::gateway::{Alarm, RoundItem, RoundState};

pub(super) async fn handover(asked: Asked, Query(wish): Query<Wish>) -> Result<Markup, Trouble> {
    let night = asked.sight().night(wish.date.clone()).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("read-handover", object(&night), "handover", None).await?;
    let alarms = asked.sight().alarms().await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let within = |alarm: &&Alarm| (night.from..night.until).contains(&alarm.raised_at) && !alarm.test;
    let mut of_night: Vec<&Alarm> = alarms.iter().map(|alarm| &**alarm).filter(within).collect();
    of_night.sort_by_key(|alarm| alarm.raised_at);
    let is_still = |alarm: &&Alarm| alarm.closed_by.is_none() && !alarm.test;
    let still: Vec<&Alarm> = alarms.iter().map(|alarm| &**alarm).filter(is_still).collect();
    let undone: Vec<&RoundItem> = night
        .round
        .iter()
        .filter(|item| matches!(item.state, RoundState::Missed | RoundState::Visit | RoundState::Due))
        .collect();
    let done = night.round.iter().filter(|item| matches!(item.state, RoundState::Done | RoundState::Visited)).count();
    let title = view.t("Morgonrapport", "Morning page");
    let body = html! {
        div.paper {
            h1 { (title) ", " (view.times.day_or_night(night.until - 1)) }
            p { (view.times.minute(night.from)) "–" (view.times.minute(night.until)) ". "
                (view.t("Gjord ", "Made at ")) (view.times.when(view.times.now_ms)) (view.t(" av ", " by ")) (asked.by()) ". "
                (view.t("Bara nummer, inga namn.", "Numbers alone, no names.")) }
            h2 { (view.t("Kvar att göra", "Left to do")) }
            @if still.is_empty() && undone.is_empty() { p { strong { (view.t("Inget.", "Nothing.")) } } }
            ul {
                @for alarm in &still { li { strong { (place(view, alarm)) ": " } (alarm.what.in_(view.lang)) ", " (view.times.when(alarm.raised_at))
                    @if let Some(by) = &alarm.claimed_by { (view.t(", tagen av ", ", taken by ")) (by) } @else { (view.t(", ingen har tagit det", ", nobody has taken it")) } } }
                @for item in &undone { li { strong { (view.t("Boende ", "Resident ")) (item.resident) ": " }
                    (words::form(view.lang, &item.form)) " " (view.times.minute(item.planned_at)) ", " (words::round_state(view.lang, item.state)) ". " (item.said.in_(view.lang)) } }
            }
            h2 { (view.t("Nattens larm: ", "Alarms of the night: ")) (of_night.len()) }
            (alarm_table(view, &of_night))
            h2 { (view.t("Rond: ", "Round: ")) (done) (view.t(" av ", " of ")) (night.round.len()) (view.t(" gjorda", " done")) }
            h2 { (view.t("Vad natten visade", "What the night showed")) }
            @for of in &night.people { (person(view, &night, of)) }
        }
    };
    Ok(Frame::new(view, title).tab("/night").page(body))
}

fn alarm_table(view: &View, alarms: &[&Alarm]) -> Markup {
    html! {
        @if !alarms.is_empty() {
            div.scroll tabindex="0" role="region" aria-label=(view.t("Nattens larm", "Alarms of the night")) {
                table {
                    thead { tr {
                        th scope="col" { (view.t("När", "When")) } th scope="col" { (view.t("Var", "Where")) } th scope="col" { (view.t("Vad", "What")) }
                        th scope="col" { (view.t("Taget", "Taken")) } th scope="col" { (view.t("Slut", "End")) }
                    } }
                    tbody { @for alarm in alarms { tr {
                        td { (view.times.minute(alarm.raised_at)) } td { (place(view, alarm)) } td { (alarm.what.in_(view.lang)) }
                        td { @match (claimed_at(alarm), &alarm.claimed_by) { (Some(at), Some(by)) => { (view.times.minute(at)) " " (by) } _ => "–" } }
                        td { @match alarm.outcome { Some(outcome) => (words::outcome(view.lang, outcome)), None => (view.t("öppet", "open")) }
                            @if !alarm.note.is_empty() { ". " (alarm.note) } }
                    } } }
                }
            }
        }
    }
}
