//! `/devices`: red lines first. `/devices/new`: an invitation as a picture and a code.

use axum::extract::{Form, Path, Query};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::acts::word;
use super::alarms::{From, lines, pager};
use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::{orders, words};
use crate::auth::Right;
use crate::gateway::{Device, InviteWish, Invited, Refused};
use crate::limits::{CERTIFICATE_DAYS, ROWS_SHOWN_MAX};

const DAY_MS: i64 = 24 * 3_600_000;

/// What is wrong with a device, in words, the worst first; and whether it is wrong or only not done yet.
fn wrong(view: &View, device: &Device) -> (Vec<String>, Vec<String>) {
    let (mut red, mut yellow) = (Vec::new(), Vec::new());
    let now_ms = view.times.now_ms;
    if device.revoked {
        yellow.push(view.t("spärrad", "revoked").to_owned());
        return (red, yellow);
    }
    if device.silent {
        let since = device.heard_at.map(|at| view.times.away(at));
        let since = since.unwrap_or_else(|| view.t("aldrig", "never").to_owned());
        red.push(view.say(format!("tyst, hördes {since}"), format!("silent, heard {since}")));
    }
    if device.battery_low {
        red.push(view.t("byt batteri", "change the battery").to_owned());
    }
    match device.certificate_until {
        Some(until) if until <= now_ms => {
            red.push(view.t("certifikatet har gått ut", "the certificate has ended").to_owned())
        }
        Some(until) if until - now_ms < CERTIFICATE_DAYS * DAY_MS => {
            let away = view.times.away(until);
            red.push(view.say(format!("certifikatet går ut {away}"), format!("the certificate ends {away}")));
        }
        _ => {}
    }
    match (device.invited_until, device.proven_at) {
        (Some(until), _) if device.heard_at.is_none() => {
            let at = view.times.when(until);
            yellow.push(
                view.say(format!("inbjuden till {at}, har inte kommit"), format!("invited until {at}, has not come")),
            );
        }
        (_, None) if tries(&device.kind) => {
            red.push(view.t("inte provad ända fram", "not tried all the way").to_owned())
        }
        _ => {}
    }
    (red, yellow)
}

/// Kinds that have nothing to be tried all the way to a person.
fn tries(kind: &str) -> bool {
    !matches!(kind, "bridge" | "gateway" | "thermometer" | "vital-monitor")
}

pub(super) async fn devices(asked: Asked, Query(wish): Query<From>) -> Result<Markup, Trouble> {
    asked.trace("read-devices", "devices", "list", None).await?;
    let devices = asked.sight().devices().await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let rank = |device: &Device| match wrong(view, device) {
        (red, _) if !red.is_empty() => 0,
        (_, yellow) if !yellow.is_empty() => 1,
        _ => 2,
    };
    let mut rows: Vec<(u8, &Device)> = devices.iter().map(|device| (rank(device), device)).collect();
    rows.sort_by(|(a, one), (b, other)| (a, &one.id).cmp(&(b, &other.id)));
    let red = rows.iter().filter(|(rank, _)| *rank == 0).count();
    let all = devices.len();
    let heading = match (red, all) {
        (_, 0) => view.t("Inga enheter", "No devices").to_owned(),
        (0, n) => view.say(format!("Alla {n} enheter är i ordning"), format!("All {n} devices are in order")),
        (red, n) => {
            let needs = words::many(view.lang, red, ("behöver", "behöver"), ("needs", "need"));
            view.say(format!("{needs} något, av {n} enheter"), format!("{needs} something, of {n} devices"))
        }
    };
    let body = html! {
        div.between {
            h1 { (heading) }
            @if view.may(Right::ChangeDevices) { a.button href="/devices/new" { (view.t("Ny enhet", "New device")) } }
        }
        ul.rows.card.devices { @for (rank, device) in rows.iter().skip(wish.from).take(ROWS_SHOWN_MAX) { (row(view, device, *rank)) } }
        (pager(view, "/devices", wish.from, all))
    };
    Ok(Frame::new(view, view.t("Enheter", "Devices")).tab("/devices").page(body))
}

fn row(view: &View, device: &Device, rank: u8) -> Markup {
    let (red, yellow) = wrong(view, device);
    let (mark, class, word) = match rank {
        0 => ("!", "miss", view.t("Åtgärda", "See to")),
        1 => ("–", "later", view.t("Att veta", "To know")),
        _ => ("✓", "ok", view.t("I ordning", "In order")),
    };
    let place = [
        device.room.clone(),
        device.resident.as_ref().map(|id| view.say(format!("boende {id}"), format!("resident {id}"))),
    ];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let unknown = || "–".to_owned();
    let heard = device.heard_at.map_or_else(|| view.t("aldrig", "never").to_owned(), |at| view.times.away(at));
    let battery = device.battery_percent.map_or_else(unknown, |percent| format!("{percent} %"));
    let signal = device.signal_dbm.map_or_else(unknown, |dbm| format!("{dbm} dBm"));
    let proven = device.proven_at.map(|at| view.times.when(at));
    let by = device.proven_by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
    let proven = proven.map_or_else(|| view.t("nej", "no").to_owned(), |at| at + &by);
    let certificate = device.certificate_until.map_or_else(unknown, |at| view.times.date(view.times.date_of(at)));
    html! {
        li id={ "d-" (device.id) } {
            span {
                strong { (device.id) } " " (words::kind(view.lang, &device.kind))
                @if !place.is_empty() { small { (place) } }
                @if let Some(via) = &device.via { small { (view.t("via ", "via ")) (via) } }
                @if !red.is_empty() { small.miss { strong { (words::sentence(&red.join(", "))) "." } } }
                @if !yellow.is_empty() { small { (words::sentence(&yellow.join(", "))) "." } }
            }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
            dl.facts {
                div { dt { (view.t("Hördes", "Heard")) } dd { (heard) } }
                div { dt { (view.t("Batteri", "Battery")) } dd { (battery) } }
                div { dt { (view.t("Signal", "Signal")) } dd { (signal) } }
                div { dt { (view.t("Provad", "Tried")) } dd { (proven) } }
                div { dt { (view.t("Certifikat till", "Certificate until")) } dd { (certificate) } }
            }
            @if !device.ordered.is_empty() {
                div { p.soft { (view.t("Senast beordrat", "Ordered last")) } (lines(view, &device.ordered)) }
            }
            @if view.may(Right::ChangeDevices) && !device.revoked && device.via.is_none() && !matches!(device.kind.as_str(), "bridge" | "gateway") {
                (orders::of_device(view, &device.id))
            }
            @if view.may(Right::ChangeDevices) && !device.revoked {
                details.act-form {
                    summary { (view.t("Spärra …", "Revoke …")) span.sr { " " (device.id) } }
                    form method="post" action={ "/devices/" (device.id) "/revoke" } {
                        p { (view.t("Enheten kan sedan inte larma. Det går inte att ångra.", "The device cannot alarm any more. It cannot be undone.")) }
                        button { (view.say(format!("Spärra {}", device.id), format!("Revoke {}", device.id))) }
                    }
                }
            }
        }
    }
}

pub(super) async fn revoke(asked: Asked, Path(id): Path<String>) -> Result<Redirect, Trouble> {
    let device = asked.sight().device(&id).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("revoke", format!("device {id}"), "devices", device.resident.as_deref()).await?;
    asked.board.gateway.revoke(&id, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to(&format!("/devices#d-{id}")))
}

pub(super) async fn new(asked: Asked) -> Result<Markup, Trouble> {
    let view = &asked.view;
    // Ids alone: a technician sees no more of a resident.
    let residents = asked.sight().residents().await.map_err(|refused| asked.trouble(refused))?;
    let kinds = words::KINDS.iter().filter(|(kind, ..)| *kind != "gateway");
    let body = html! {
        div.narrow {
            h1 { (view.t("Ny enhet", "New device")) }
            p { (view.t("Enheten får en kod som gäller en gång. Den gör sin egen nyckel.", "The device is given a code that counts once. It makes its own key.")) }
            form.form method="post" action="/devices/new" {
                label { (view.t("Id", "Id")) small #id-hint { (view.t("a–z, 0–9 och -, högst 32 tecken, till exempel p1", "a–z, 0–9 and -, at most 32 characters, such as p1")) }
                    input name="id" required maxlength="32" pattern="[a-z0-9\\-]+" autocapitalize="none" autocomplete="off" spellcheck="false"; }
                label { (view.t("Vad är det?", "What is it?")) select name="kind" { @for (kind, sv, en) in kinds { option value=(kind) { (words::sentence(view.t(sv, en))) } } } }
                label { (view.t("Rum (frivilligt)", "Room (optional)")) input name="room" maxlength="64" autocomplete="off"; }
                label { (view.t("Boende", "Resident")) select name="resident" {
                    option value="" { (view.t("Ingen", "None")) }
                    @for resident in &residents { option value=(resident.id) { (resident.id) } }
                } }
                button.main { (view.t("Gör en inbjudan", "Make an invitation")) }
            }
        }
    };
    Ok(Frame::new(view, view.t("Ny enhet", "New device")).tab("/devices").page(body))
}

#[derive(Debug, Deserialize)]
pub(super) struct New {
    id: String,
    kind: String,
    room: Option<String>,
    resident: Option<String>,
}

pub(super) async fn invite(asked: Asked, Form(new): Form<New>) -> Result<Markup, Trouble> {
    let id = word(&asked, &new.id)?;
    let given = |word: Option<String>| word.filter(|word| !word.trim().is_empty());
    let room = given(new.room).map(|room| word(&asked, &room)).transpose()?;
    let resident = given(new.resident);
    let wish = InviteWish { id: id.clone(), kind: new.kind, room, resident };
    asked.sight().may_invite(&wish).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("invite", format!("device {id}"), "devices", wish.resident.as_deref()).await?;
    let invited = asked.board.gateway.invite(wish, asked.by()).await.map_err(|refused| asked.trouble(refused))?;
    let view = &asked.view;
    let until = view.times.when(invited.until);
    let body = html! {
        div.narrow {
            h1 { (view.say(format!("Inbjudan för {id}"), format!("Invitation for {id}"))) }
            p { (view.say(format!("Gäller en gång, till {until}. Visas bara nu."), format!("Counts once, until {until}. Shown only now."))) }
            (picture(view, &invited).map_err(|refused| asked.trouble(refused))?)
            p { (view.t("Utan kamera, skriv koden:", "Without a camera, type the code:")) }
            p.code { code { (invited.code) } }
            div.act {
                a.button.main href="/visit" { (view.t("Vidare till besöket", "On to the visit")) }
                a.button href="/devices/new" { (view.t("En till", "One more")) }
            }
        }
    };
    Ok(Frame::new(view, view.t("Inbjudan", "Invitation")).tab("/devices").page(body))
}

/// The address as a QR code, dark on light in either theme, with the four modules of quiet that readers ask for.
fn picture(view: &View, invited: &Invited) -> Result<Markup, Refused> {
    let code = qrcode::QrCode::new(&invited.url)
        .map_err(|why| Refused::Unavailable(format!("drawing the invitation as a QR code: {why}")))?;
    let wide = code.width();
    let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == qrcode::Color::Dark);
    let path: String = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % wide + 4, at / wide + 4)).collect();
    Ok(html! {
        svg.qr viewBox={ "0 0 " (wide + 8) " " (wide + 8) } role="img" aria-label=(view.t("QR-kod med inbjudan", "QR code with the invitation")) {
            rect.light width="100%" height="100%" {}
            path.dark d=(path) {}
        }
    })
}
