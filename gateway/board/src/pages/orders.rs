//! What a person has a device in the home do: words to the resident, the door, how a device behaves. A plain POST, the trace, the order,
//! and back to where it shows what became of it.

use axum::extract::{Form, Path};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use vaka_protocol::{Lane, Light, Ordered, Sound};

use super::acts::word;
use super::trouble::Trouble;
use super::view::{Asked, View};
use crate::auth::Right;
use crate::gateway::{Alarm, Lang, OrderWish, Refused, Said};
use crate::limits::ORDER_TEXT_BYTES_MAX;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    text: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    volume_percent: String,
    #[serde(default)]
    language: String,
}

/// What can be done in the home of an open alarm. The home may refuse: it knows what is agreed there.
pub fn in_the_home(view: &View, alarm: &Alarm, spoken: Lang) -> Markup {
    // In the home's language, not in that of whoever sends it.
    let coming = Said::new("Vi har hört dig. Någon kommer.", "We have heard you. Somebody is coming.");
    let is_open = alarm.closed_by.is_none() && matches!(alarm.lane, Lane::Life | Lane::Care);
    html! {
        @if is_open && (view.may(Right::Say) || view.may(Right::Unlock)) {
            div.card {
                h2 { (view.t("I hemmet", "In the home")) }
                @if view.may(Right::Say) {
                    form.form method="post" action={ "/alarms/" (alarm.id) "/say" } {
                        label { (view.t("Säg till den boende", "Say to the resident"))
                            input name="text" required maxlength="120" autocomplete="off" value=(coming.in_(spoken)); }
                        button { (view.t("Skicka", "Send")) }
                    }
                }
                @if view.may(Right::Unlock) {
                    details.act-form.apart {
                        summary.button { (view.t("Dörren …", "The door …")) }
                        form.form method="post" action={ "/alarms/" (alarm.id) "/unlock" } {
                            label { (view.t("Varför?", "Why?")) input name="purpose" required maxlength="120" autocomplete="off"; }
                            button { (view.t("Lås upp", "Unlock")) }
                        }
                        form.form method="post" action={ "/alarms/" (alarm.id) "/lock" } {
                            button { (view.t("Lås", "Lock")) }
                        }
                        p.soft { (view.t("Bara om det är avtalat i hemmet. Dörren går alltid att öppna inifrån.",
                            "Only where it is agreed in the home. The door always opens from inside.")) }
                    }
                }
            }
        }
    }
}

/// How loud a device is and what it speaks: whoever provisions it sets that.
pub fn of_device(view: &View, device: &str) -> Markup {
    html! {
        details.act-form {
            summary.button { (view.t("Ställ in …", "Set …")) span.sr { ": " (device) } }
            form.form method="post" action={ "/devices/" (device) "/settings" } {
                label { (view.t("Ljudstyrka, procent", "Loudness, percent")) input type="number" name="volume_percent" min="0" max="100"; }
                label { (view.t("Språk", "Language")) select name="language" {
                    option value="" { (view.t("som det är", "as it is")) }
                    option value="sv" { "svenska" }
                    option value="en" { "English" }
                } }
                button { (view.t("Skicka till enheten", "Send to the device")) }
            }
        }
    }
}

pub(super) async fn say(asked: Asked, path: Path<String>, Form(wish): Form<Wish>) -> Result<Redirect, Trouble> {
    let text = word(&asked, &wish.text)?;
    if text.is_empty() || text.len() > ORDER_TEXT_BYTES_MAX {
        let why = format!("the words are {} bytes; 1 to {ORDER_TEXT_BYTES_MAX} fit a device's display", text.len());
        return Err(asked.trouble(Refused::Wrong(why)));
    }
    let what =
        Ordered::Feedback { light: Some(Light::Steady), sound: Some(Sound::Chime), text: Some(text.as_str().into()) };
    about(asked, path, what, text).await
}

pub(super) async fn unlock(asked: Asked, path: Path<String>, Form(wish): Form<Wish>) -> Result<Redirect, Trouble> {
    let why = word(&asked, &wish.purpose)?;
    if why.is_empty() {
        return Err(asked.trouble(Refused::Wrong("a door is opened for a reason; none was given".into())));
    }
    about(asked, path, Ordered::Unlock { open_s: None }, why).await
}

pub(super) async fn lock(asked: Asked, path: Path<String>) -> Result<Redirect, Trouble> {
    about(asked, path, Ordered::Lock {}, String::new()).await
}

async fn about(asked: Asked, Path(id): Path<String>, what: Ordered, purpose: String) -> Result<Redirect, Trouble> {
    // Also finds that it is not theirs: then there is no such alarm.
    let story = asked.sight().story(&id).await.map_err(|refused| asked.trouble(refused))?;
    let resident = story.alarm.resident.as_deref();
    let why = if purpose.is_empty() { format!("alarm {id}") } else { format!("alarm {id}: {purpose}") };
    asked.trace(&format!("order {}", what.name()), format!("alarm {id}"), why, resident).await?;
    let role = asked.session.person.role.as_str().to_owned();
    let wish = OrderWish { alarm: Some(id.clone()), device: None, what, purpose, role };
    give(&asked, wish, &format!("/alarms/{id}")).await
}

pub(super) async fn settings(
    asked: Asked,
    Path(device): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Redirect, Trouble> {
    asked.sight().device(&device).await.map_err(|refused| asked.trouble(refused))?;
    let volume_percent =
        match wish.volume_percent.trim() {
            "" => None,
            text => Some(text.parse().ok().filter(|percent| *percent <= 100).ok_or_else(|| {
                asked.trouble(Refused::Wrong(format!("the loudness is 0 to 100 percent, not {text:?}")))
            })?),
        };
    let language = Some(wish.language.as_str()).filter(|word| matches!(*word, "sv" | "en")).map(Into::into);
    if volume_percent.is_none() && language.is_none() {
        return Err(asked.trouble(Refused::Wrong("nothing was chosen: give a loudness or a language".into())));
    }
    asked.trace("order settings", format!("device {device}"), "", None).await?;
    let what = Ordered::Settings { heartbeat_interval_s: None, volume_percent, language };
    let role = asked.session.person.role.as_str().to_owned();
    let wish = OrderWish { alarm: None, device: Some(device), what, purpose: String::new(), role };
    give(&asked, wish, "/devices").await
}

async fn give(asked: &Asked, wish: OrderWish, back: &str) -> Result<Redirect, Trouble> {
    let answer = asked.board.gateway.order(wish, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    answer.map_err(|why| refusal(asked, &why, back))?;
    Ok(Redirect::to(back))
}

fn refusal(asked: &Asked, why: &Said, back: &str) -> Trouble {
    let view = &asked.view;
    let body = html! {
        p { (view.t("Inget är gjort: ", "Nothing was done: ")) (why.in_(view.lang)) "." }
        p { a.button href=(back) { (view.t("Tillbaka", "Back")) } }
    };
    asked
        .trouble(Refused::Conflict(why.en.clone()))
        .saying(view.t("Det gick inte", "It could not be done").to_owned(), body)
}
