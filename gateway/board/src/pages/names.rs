//! A resident's name, address and how to get in: shown to whoever taps for it, each time written down first; and written by
//! whoever keeps the agreements, who need not see what stood there.

use axum::extract::{Form, Path};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::acts::word;
use super::frame::Frame;
use super::trouble::Trouble;
use super::view::Asked;
use crate::gateway::{Name, Refused};

#[derive(Debug, Deserialize)]
pub(super) struct Why {
    #[serde(default)]
    purpose: String,
}

pub(super) async fn reveal(asked: Asked, Path(id): Path<String>, Form(why): Form<Why>) -> Result<Markup, Trouble> {
    asked.sight().resident(&id).await.map_err(|refused| asked.trouble(refused))?;
    let purpose = word(&asked, &why.purpose)?;
    if purpose.is_empty() {
        return Err(asked.trouble(Refused::Wrong("a name is read for a purpose; none came".into())));
    }
    asked.trace("read-name", format!("resident {id}"), purpose.clone(), Some(&id)).await?;
    let name = asked.board.gateway.name_of(&id).await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let alarm = purpose.strip_prefix("alarm ");
    let call = name.phone.split_whitespace().collect::<String>();
    let rows = [
        (view.t("Namn", "Name"), &name.name),
        (view.t("Adress", "Address"), &name.address),
        (view.t("Så kommer man in", "How to get in"), &name.key_note),
    ];
    let body = html! {
        div.narrow {
            h1 { (view.t("Boende ", "Resident ")) (id) }
            dl.pairs.card.large {
                @for (what, said) in rows { @if !said.is_empty() { div { dt { (what) } dd { (said) } } } }
                @if !call.is_empty() { div { dt { (view.t("Telefon", "Telephone")) } dd { a href={ "tel:" (call) } { (name.phone) } } } }
            }
            p.soft { (view.t("Att du såg det är skrivet i loggen. Lämna sidan när du är klar.", "That you saw it is written in the log. Leave the page when you are done.")) }
            div.act {
                @match alarm {
                    Some(alarm) => a.button.main href={ "/alarms/" (alarm) } { (view.t("Tillbaka till larmet", "Back to the alarm")) },
                    None => a.button.main href={ "/residents/" (id) } { (view.t("Tillbaka", "Back")) },
                }
            }
        }
    };
    Ok(Frame::new(view, view.say(format!("Boende {id}"), format!("Resident {id}"))).tab("/residents").page(body))
}

#[derive(Debug, Deserialize)]
pub(super) struct Written {
    name: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    key_note: String,
    #[serde(default)]
    phone: String,
}

pub(super) async fn set(asked: Asked, Path(id): Path<String>, Form(form): Form<Written>) -> Result<Redirect, Trouble> {
    asked.sight().resident(&id).await.map_err(|refused| asked.trouble(refused))?;
    let name = Name {
        name: word(&asked, &form.name)?,
        address: word(&asked, &form.address)?,
        key_note: word(&asked, &form.key_note)?,
        phone: word(&asked, &form.phone)?,
    };
    asked.trace("set-name", format!("resident {id}"), "name", Some(&id)).await?;
    asked.board.gateway.set_name(&id, name, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to(&format!("/residents/{id}")))
}
