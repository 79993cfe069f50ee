//! What a person does with an alarm: a plain POST, the trace, the act, and back to where it shows.

use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Redirect;
use maud::html;
use serde::Deserialize;

use super::article::claimed_at;
use super::trouble::Trouble;
use super::view::Asked;
use crate::gateway::{AlarmAct, Outcome, Refused};
use crate::limits::TEXT_CHARS_MAX;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    note: String,
    #[serde(default)]
    to: String,
    from: Option<String>,
    outcome: Option<Outcome>,
    seen: Option<u32>,
}

/// A word for the journal: on one line, trimmed, not longer than it may be.
pub(super) fn word(asked: &Asked, word: &str) -> Result<String, Trouble> {
    let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
    match word.chars().count() {
        0..=TEXT_CHARS_MAX => Ok(word),
        n => Err(asked.trouble(Refused::Wrong(format!("a text has {n} characters; at most {TEXT_CHARS_MAX} fit")))),
    }
}

pub(super) async fn claim(asked: Asked, path: Path<String>, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    let from = said.from.as_deref().map(|from| word(&asked, from)).transpose()?;
    act(asked, path, "claim", AlarmAct::Claim { from }, &said).await
}

pub(super) async fn close(asked: Asked, path: Path<String>, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    let Some(outcome) = said.outcome else {
        return Err(asked.trouble(Refused::Wrong("an alarm is closed with an outcome; none came".into())));
    };
    act(asked, path, "close", AlarmAct::Close { outcome, seen: said.seen }, &said).await
}

pub(super) async fn hand_over(asked: Asked, path: Path<String>, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    let to = word(&asked, &said.to)?;
    act(asked, path, "hand-over", AlarmAct::HandOver { to }, &said).await
}

pub(super) async fn escalate(asked: Asked, path: Path<String>, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    act(asked, path, "escalate", AlarmAct::Escalate, &said).await
}

pub(super) async fn note(asked: Asked, path: Path<String>, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    act(asked, path, "note", AlarmAct::Note, &said).await
}

async fn act(
    asked: Asked,
    Path(id): Path<String>,
    name: &'static str,
    act: AlarmAct,
    said: &Said,
) -> Result<Redirect, Trouble> {
    // Also finds that it is not theirs: then there is no such alarm.
    let story = asked.sight().story(&id).await.map_err(|refused| asked.trouble(refused))?;
    let alarm = story.alarm;
    let me = asked.by().to_owned();
    // A second tap of the same finger.
    if matches!(act, AlarmAct::Claim { .. }) && alarm.claimed_by.as_ref() == Some(&me) && alarm.closed_by.is_none() {
        return Ok(Redirect::to(&format!("/alarms/{id}")));
    }
    let note = word(&asked, &said.note)?;
    asked.trace(name, format!("alarm {id}"), format!("alarm {id}"), alarm.resident.as_deref()).await?;
    let back = match act {
        AlarmAct::Claim { .. } | AlarmAct::Note | AlarmAct::Escalate => format!("/alarms/{id}"),
        AlarmAct::Close { .. } | AlarmAct::HandOver { .. } => "/".to_owned(),
    };
    match asked.board.gateway.act(&id, act, &me, &note).await {
        Ok(alarm) => {
            asked.board.live.shows(&alarm).await;
            Ok(Redirect::to(&back))
        }
        Err(refused @ Refused::Conflict(_)) => Err(taken(&asked, &id, refused).await),
        Err(refused) => Err(asked.trouble(refused)),
    }
}

/// Who was first, and when, as it stands now.
async fn taken(asked: &Asked, id: &str, refused: Refused) -> Trouble {
    let trouble = asked.trouble(refused);
    let Ok(story) = asked.sight().story(id).await else { return trouble };
    let (view, alarm) = (&asked.view, &story.alarm);
    let at = claimed_at(alarm).map(|at| view.times.when(at)).unwrap_or_default();
    let heading = match (&alarm.closed_by, &alarm.claimed_by) {
        (Some(by), _) => view.say(format!("{by} har redan avslutat det"), format!("{by} has closed it already")),
        (None, Some(by)) => view.say(format!("{by} tog det {at}"), format!("{by} took it at {at}")),
        _ => return trouble,
    };
    let body = html! {
        p { (view.t("Du har det inte. Vill du veta mer, läs larmet.", "You do not have it. To know more, read the alarm.")) }
        div.act {
            @if let (None, Some(by)) = (&alarm.closed_by, &alarm.claimed_by) {
                form method="post" action={ "/alarms/" (id) "/claim" } {
                    input type="hidden" name="from" value=(by);
                    button { (view.say(format!("Ta över från {by}"), format!("Take over from {by}"))) }
                }
            }
            a.button href={ "/alarms/" (id) } { (view.t("Läs larmet", "Read the alarm")) }
        }
    };
    debug_assert_eq!(trouble.status(), StatusCode::CONFLICT);
    trouble.saying(heading, body)
}
