//! `/residents` and `/residents/{id}`: what is agreed with each, by whom, from when; withdrawn in one tap.

use axum::extract::{Form, Path};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::acts::word;
use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::{settings, words};
use crate::auth::Right;
use crate::gateway::{Agreement, Device, Dose, Refused, Resident, SettingsChange};

pub(super) async fn residents(asked: Asked) -> Result<Markup, Trouble> {
    asked.trace("read-residents", "residents", "list", None).await?;
    let residents = asked.sight().residents().await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let title = view.t("Boende", "Residents");
    let body = html! {
        h1 { (title) ": " (residents.len()) }
        @if residents.is_empty() {
            p { (view.t("Ingen boende hör till dina enheter.", "No resident belongs to your units.")) }
        }
        ul.rows.card { @for resident in &residents { (row(view, resident)) } }
    };
    Ok(Frame::new(view, title).tab("/residents").page(body))
}

fn in_force(resident: &Resident) -> impl Iterator<Item = &Agreement> {
    resident.agreements.iter().filter(|agreement| agreement.withdrawn_at.is_none())
}

fn row(view: &View, resident: &Resident) -> Markup {
    let agreed: Vec<String> =
        in_force(resident).map(|agreement| settings::title(view.lang, &agreement.table)).collect();
    let unwritten = in_force(resident).any(|agreement| agreement.consent_by.is_none());
    let locked = resident.doses.iter().any(|dose| dose.locked);
    let (mark, class, word) = match (locked, unwritten) {
        (true, _) => ("!", "miss", view.t("Dos låst", "Dose locked")),
        (_, true) => ("?", "next", view.t("Samtycke saknas", "No consent written")),
        _ => ("✓", "ok", view.t("I ordning", "In order")),
    };
    html! {
        li {
            span { a href={ "/residents/" (resident.id) } { (view.t("Boende ", "Resident ")) (resident.id) }
                small {
                    @if let Some(unit) = &resident.unit { (unit) " · " }
                    @if agreed.is_empty() { (view.t("inget avtalat", "nothing agreed")) } @else { (agreed.join(", ")) }
                    " · " (words::many(view.lang, resident.devices.len(), ("enhet", "enheter"), ("device", "devices")))
                }
            }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
        }
    }
}

pub(super) async fn one(asked: Asked, Path(id): Path<String>) -> Result<Markup, Trouble> {
    let resident = asked.sight().resident(&id).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("read-resident", format!("resident {id}"), "agreements", Some(&id)).await?;
    let view = &asked.view;
    let devices = match view.may(Right::SeeDevices) {
        true => asked.sight().devices().await.map_err(|refused| asked.trouble(refused))?,
        false => Vec::new(),
    };
    let title = view.say(format!("Boende {id}"), format!("Resident {id}"));
    Ok(Frame::new(view, title).tab("/residents").page(page(view, &resident, &devices)))
}

fn page(view: &View, resident: &Resident, devices: &[Device]) -> Markup {
    let id = &resident.id;
    let own = devices.iter().filter(|device| resident.devices.contains(&device.id));
    html! {
        h1 { (view.t("Boende ", "Resident ")) (id) }
        @if let Some(unit) = &resident.unit { p.lead { (unit) } }
        div.columns {
            section aria-labelledby="agreed" {
                h2 #agreed { (view.t("Det här är överenskommet", "What has been agreed")) }
                @if resident.agreements.is_empty() { p.card { (view.t("Ingen tillsyn är överenskommen. Vaka ser bara larm.", "No supervision has been agreed. Vaka sees alarms alone.")) } }
                @for agreement in &resident.agreements { (agreement_card(view, id, agreement)) }
                @if view.may(Right::ChangeAgreements) { (new_agreements(view, resident)) }
            }
            section aria-label=(view.t("Mer om den boende", "More about the resident")) {
                (who(view, resident))
                @if !resident.doses.is_empty() {
                    h2 { (view.t("Läkemedel", "Medicine")) }
                    ul.rows.card { @for dose in &resident.doses { (dose_row(view, id, dose)) } }
                }
                h2 { (view.t("Enheter", "Devices")) }
                ul.rows.card {
                    @for device in own {
                        li { span { a href={ "/devices#d-" (device.id) } { (device.id) } small { (words::kind(view.lang, &device.kind)) @if let Some(room) = &device.room { " · " (room) } } }
                            @if device.silent { span.tag.miss { "! " (view.t("Tyst", "Silent")) } } @else { span.tag.ok { "✓ " (view.t("Hörs", "Heard")) } } }
                    }
                    @if resident.devices.is_empty() { li { span { (view.t("Inga", "None")) } } }
                }
                @if view.may(Right::SeeLog) {
                    h2 { (view.t("Vem har sett uppgifterna?", "Who has seen the data?")) }
                    p { a.button href={ "/residents/" (id) "/extract" } { (view.t("Utdrag att lämna ut", "Extract to give out")) } }
                }
            }
        }
    }
}

fn agreement_card(view: &View, resident: &str, agreement: &Agreement) -> Markup {
    let limits = match (&agreement.from, &agreement.until) {
        (None, None) => view.t("tills vidare", "until further notice").to_owned(),
        (Some(from), None) => view.say(format!("från {from}"), format!("from {from}")),
        (None, Some(until)) => view.say(format!("till {until}"), format!("until {until}")),
        (Some(from), Some(until)) => view.say(format!("{from} till {until}"), format!("{from} to {until}")),
    };
    html! {
        div.card #{ "g-" (agreement.table) } {
            h3 { (settings::title(view.lang, &agreement.table)) }
            p { (agreement.said.in_(view.lang)) }
            dl.pairs {
                @for (key, value) in &agreement.settings { div { dt { (settings::label_in(view, &agreement.table, key)) } dd { (settings::value(view, value)) } } }
                div { dt { (view.t("Gäller", "In force")) } dd { (limits) } }
                div { dt { (view.t("Samtycke av", "Consent by")) } dd {
                    @match (&agreement.consent_by, &agreement.consent_on) {
                        (Some(by), Some(on)) => { (by) ", " (on) }
                        (Some(by), None) => (by),
                        _ => strong.miss { "! " (view.t("inte nedskrivet", "not written down")) },
                    }
                } }
            }
            @match agreement.withdrawn_at {
                Some(at) => p.strong { (view.t("Avslutad ", "Withdrawn ")) (view.times.when(at)) "." },
                None if view.may(Right::ChangeAgreements) => {
                    div.act {
                        form method="post" action={ "/residents/" (resident) "/withdraw" } {
                            input type="hidden" name="table" value=(agreement.table);
                            button { (view.t("Den boende säger nej: avsluta nu", "The resident says no: withdraw now")) span.sr { ": " (settings::title(view.lang, &agreement.table)) } }
                        }
                        @if settings::may_change(&agreement.table) { details.act-form {
                            summary.button { (view.t("Ändra …", "Change …")) span.sr { " " (settings::title(view.lang, &agreement.table)) } }
                            (settings::form(view, resident, &agreement.table, Some(agreement), &agreement.stands))
                        } }
                    }
                }
                None => {}
            }
        }
    }
}

/// Tables that are not agreed on yet, or were withdrawn.
fn new_agreements(view: &View, resident: &Resident) -> Markup {
    let is_in_force = |name: &str| in_force(resident).any(|agreement| agreement.table == name);
    html! {
        @for table in settings::TABLES.iter().filter(|table| table.may_begin() && (table.repeats || !is_in_force(table.name))) {
            details.fold.card {
                summary { (view.t("Ny överenskommelse: ", "New agreement: ")) (settings::title(view.lang, table.name)) }
                @let stands = resident.agreements.iter().find(|one| one.table == table.name).map_or("", |one| one.stands.as_str());
                (settings::form(view, &resident.id, table.name, None, stands))
            }
        }
    }
}

/// The name behind a tap; and for whoever may, writing it without seeing it.
fn who(view: &View, resident: &Resident) -> Markup {
    let id = &resident.id;
    let purposes =
        [("visit", view.t("Jag ska dit", "I am going there")), ("call", view.t("Jag ska ringa", "I am going to call"))];
    html! {
        h2 { (view.t("Namn, adress och nyckel", "Name, address and key")) }
        div.card {
            @if !resident.has_name { p { (view.t("Inget är inskrivet.", "Nothing has been written.")) } }
            @if resident.has_name && view.may(Right::SeeNames) {
                p { (view.t("Visas för den som behöver det. Att du ser det skrivs i loggen.", "Shown to whoever needs it. That you see it is written in the log.")) }
                form.act method="post" action={ "/residents/" (id) "/name" } {
                    @for (purpose, said) in purposes { button name="purpose" value=(purpose) { (said) ": " (view.t("visa", "show")) } }
                }
            }
            @if resident.has_name && !view.may(Right::SeeNames) { p { (view.t("Finns. Din roll ser det inte.", "Is there. Your role does not see it.")) } }
            @if view.may(Right::ChangeAgreements) {
                details.act-form {
                    summary.button { (view.t("Skriv nytt …", "Write anew …")) }
                    form.form method="post" action={ "/residents/" (id) "/name/set" } {
                        p.soft { (view.t("Ersätter allt som står där.", "Replaces everything that is there.")) }
                        label { (view.t("Namn", "Name")) input name="name" required maxlength="200" autocomplete="off"; }
                        label { (view.t("Adress", "Address")) input name="address" maxlength="200" autocomplete="off"; }
                        label { (view.t("Så kommer man in", "How to get in")) textarea name="key_note" rows="2" maxlength="500" {} }
                        label { (view.t("Telefon", "Telephone")) input name="phone" type="tel" maxlength="40" autocomplete="off"; }
                        button.main { (view.t("Spara", "Save")) }
                    }
                }
            }
        }
    }
}

fn dose_row(view: &View, resident: &str, dose: &Dose) -> Markup {
    let (word, mark, class) = words::dose(view.lang, &dose.state);
    html! {
        li {
            time { (view.times.minute(dose.planned_at)) }
            span { (words::sentence(&dose.slot)) small { (view.times.day_or_night(dose.planned_at)) } }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) @if dose.locked { ", " (view.t("låst", "locked")) } }
            @if dose.locked && view.may(Right::Unlock) {
                details.act-form {
                    summary.button { (view.t("Lås upp dosen …", "Release the dose …")) span.sr { " " (dose.slot) } }
                    form method="post" action={ "/residents/" (resident) "/doses/" (dose.slot) "/release" } {
                        p { strong { (view.t("Är du säker på att den inte redan är tagen?", "Are you sure that it has not been taken already?")) } }
                        label { (view.t("Hur vet du det?", "How do you know?")) textarea name="note" rows="2" maxlength="500" required {} }
                        button { (view.t("Lås upp", "Release")) }
                    }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Withdrawn {
    table: String,
}

pub(super) async fn withdraw(
    asked: Asked,
    Path(id): Path<String>,
    Form(form): Form<Withdrawn>,
) -> Result<Redirect, Trouble> {
    let change =
        SettingsChange { resident: id.clone(), table: form.table.clone(), withdraw: true, ..SettingsChange::default() };
    put(&asked, &id, "withdraw", change).await
}

/// A form's `set.KEY` are the settings; an empty one is left as the gateway's own.
pub(super) async fn change(
    asked: Asked,
    Path(id): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Redirect, Trouble> {
    let given = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim().to_owned());
    let Some(table) = given("table").filter(|table| !table.is_empty()) else {
        return Err(asked.trouble(Refused::Wrong("a change of settings names no table".into())));
    };
    let mut values = Vec::new();
    for (key, value) in &form {
        if let Some(key) = key.strip_prefix("set.").filter(|_| !value.trim().is_empty()) {
            values.push((key.to_owned(), word(&asked, value)?));
        }
    }
    let consent = |name| given(name).filter(|word| !word.is_empty());
    let change = SettingsChange {
        resident: id.clone(),
        table,
        values,
        withdraw: false,
        consent_by: consent("consent_by"),
        consent_on: consent("consent_on"),
        consent_from: given("consent_from"),
        consent_until: given("consent_until"),
        // A form from before this was asked for compares as if nothing had been agreed then.
        stands: Some(given("stands").unwrap_or_default()),
    };
    put(&asked, &id, "change-settings", change).await
}

async fn put(asked: &Asked, id: &str, act: &str, change: SettingsChange) -> Result<Redirect, Trouble> {
    asked.sight().resident(id).await.map_err(|refused| asked.trouble(refused))?;
    let table = change.table.clone();
    asked.trace(act, format!("resident {id}"), format!("agreement {table}"), Some(id)).await?;
    asked.board.gateway.change_settings(change, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to(&format!("/residents/{id}#g-{table}")))
}

#[derive(Debug, Deserialize)]
pub(super) struct Noted {
    note: String,
}

pub(super) async fn release(
    asked: Asked,
    Path((id, slot)): Path<(String, String)>,
    Form(form): Form<Noted>,
) -> Result<Redirect, Trouble> {
    asked.sight().resident(&id).await.map_err(|refused| asked.trouble(refused))?;
    let note = word(&asked, &form.note)?;
    asked.trace("release-dose", format!("resident {id}"), format!("dose {slot}"), Some(&id)).await?;
    let released = asked.board.gateway.release_dose(&id, &slot, asked.by(), &note).await;
    released.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to(&format!("/residents/{id}")))
}
