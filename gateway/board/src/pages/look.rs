//! `/look/{slot}`: a look-in by camera. First why, then some seconds of picture, then one tap.
//!
//! Enters: a look-in or an alarm, a purpose, what whoever looked saw. Leaves: a page, and one stream of pictures that nothing keeps.
//! Invariants: the purpose is in the log before the light is lit, and the light is lit before anything is seen; the stream opens once;
//! without the script there is no picture.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, Path};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::acts::word;
use super::assets;
use super::events::Stream;
use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use crate::gateway::{Bytes, Granted, Lang, LookAt, LookIn, LookOutcome, LookPart, LookWish, Refused};
use crate::limits::{LOOK_LIVES_MS, LOOK_TOKEN_CHARS_MAX};

/// A page's way to what is looked at, and back.
struct Way {
    at: LookAt,
    /// Where the form and the second look are.
    page: String,
    /// Where it leads when the look is over.
    back: String,
}

impl Way {
    /// `r17.1795313528000`, of a home `r17.1795313528000@gw-0007`.
    fn slot(asked: &Asked, name: &str) -> Result<Way, Trouble> {
        let (slot, home) = name.split_once('@').map_or((name, None), |(slot, home)| (slot, Some(home.to_owned())));
        let parsed = slot.rsplit_once('.').and_then(|(resident, at)| Some((resident.to_owned(), at.parse().ok()?)));
        let (resident, planned_at) =
            parsed.ok_or_else(|| asked.trouble(Refused::NotFound(format!("`{name}` is no look-in"))))?;
        let at = match home {
            Some(home) => LookAt::Home { home, resident, planned_at },
            None => LookAt::Slot { resident, planned_at },
        };
        Ok(Way { at, page: format!("/look/{name}"), back: "/night".to_owned() })
    }

    fn alarm(id: &str) -> Way {
        let back = format!("/alarms/{id}");
        Way { at: LookAt::Alarm(id.to_owned()), page: format!("/look/alarm/{id}"), back }
    }

    fn object(&self) -> String {
        match &self.at {
            LookAt::Slot { planned_at, .. } => format!("look-in {planned_at}"),
            LookAt::Home { home, planned_at, .. } => format!("look-in {planned_at} of {home}"),
            LookAt::Alarm(id) => format!("alarm {id}"),
        }
    }
}

pub(super) async fn slot(asked: Asked, Path(name): Path<String>) -> Result<Markup, Trouble> {
    let way = Way::slot(&asked, &name)?;
    page(&asked, &way).await
}

pub(super) async fn alarm(asked: Asked, Path(id): Path<String>) -> Result<Markup, Trouble> {
    // Also finds that it is not theirs: then there is no such alarm.
    asked.sight().story(&id).await.map_err(|refused| asked.trouble(refused))?;
    page(&asked, &Way::alarm(&id)).await
}

async fn page(asked: &Asked, way: &Way) -> Result<Markup, Trouble> {
    let look = asked.sight().look_in(way.at.clone()).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("read-look", way.object(), "look", Some(&look.resident)).await?;
    let view = &asked.view;
    let body = html! {
        div.narrow {
            (heading(view, &look))
            @match (&look.unsaid, &look.refused) {
                (Some(unsaid), _) => (outcome(view, *unsaid, &way.back, true)),
                (None, Some(why)) => {
                    p.strong { (view.t("Nu kan ingen titta. Gå dit om du är osäker.", "Nobody can look now. Go there if you are in doubt.")) }
                    p.soft lang="en" { (why) }
                }
                (None, None) => (form(view, &look, way)),
            }
            p { a href=(way.back) { (view.t("Tillbaka utan att titta", "Back without looking")) } }
        }
    };
    Ok(Frame::new(view, title(view)).tab("/night").page(body))
}

fn title(view: &View) -> &'static str {
    view.t("Tillsyn med kamera", "Look-in by camera")
}

fn heading(view: &View, look: &LookIn) -> Markup {
    html! {
        h1 { (view.t("Tillsyn med kamera, boende ", "Look-in by camera, resident ")) (look.resident) }
        p.lead { (look.said.in_(view.lang)) }
        @if let Some(fault) = &look.fault { p.strong { (fault.in_(view.lang)) } }
    }
}

fn form(view: &View, look: &LookIn, way: &Way) -> Markup {
    let purpose = match way.at {
        LookAt::Slot { .. } | LookAt::Home { .. } => view.t("Avtalad tillsyn", "Agreed look-in"),
        LookAt::Alarm(_) => view.t("Larm", "Alarm"),
    };
    let seconds = look.seconds;
    html! {
        p { (view.say(
            format!("En lampa tänds hos den boende. Du ser bilden i högst {seconds} sekunder, en gång. Den sparas inte. Att du tittar, och varför, skrivs i loggen och lämnas ut till den boende."),
            format!("A light goes on at the resident's. You see the picture for at most {seconds} seconds, once. It is not kept. That you look, and why, is written in the log, and told to the resident."))) }
        form.form method="post" action=(way.page) {
            label { (view.t("Varför tittar du?", "Why do you look?")) input name="purpose" required maxlength="200" value=(purpose) autocomplete="off"; }
            @if look.may_see_clearly && !look.in_home {
                p.soft { (view.t("Bilden är beslöjad. Medan du tittar kan du be att få se klart.", "The picture is veiled. While you look you can ask to see clearly.")) }
            } @else if look.may_see_clearly {
                label.tick { input type="checkbox" name="clear" value="true";
                    (view.t("Visa klart, utan slöja. Bara om du måste.", "Show clearly, without the veil. Only if you must.")) }
            } @else {
                p.soft { (view.t("Den boende har inte gått med på att synas klart.", "The resident has not agreed to be seen clearly.")) }
            }
            button.main { (view.say(format!("Titta nu, {seconds} s"), format!("Look now, {seconds} s"))) }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    purpose: String,
    #[serde(default)]
    clear: bool,
}

pub(super) async fn open_slot(
    asked: Asked,
    Path(name): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Markup, Trouble> {
    let way = Way::slot(&asked, &name)?;
    open(&asked, &way, &wish).await
}

pub(super) async fn open_alarm(
    asked: Asked,
    Path(id): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Markup, Trouble> {
    asked.sight().story(&id).await.map_err(|refused| asked.trouble(refused))?;
    open(&asked, &Way::alarm(&id), &wish).await
}

async fn open(asked: &Asked, way: &Way, wish: &Wish) -> Result<Markup, Trouble> {
    let view = &asked.view;
    let look = asked.sight().look_in(way.at.clone()).await.map_err(|refused| asked.trouble(refused))?;
    let purpose = word(asked, &wish.purpose)?;
    let clear = if wish.clear { ", clear" } else { "" };
    asked.trace("look", format!("{}{clear}", way.object()), purpose.clone(), Some(&look.resident)).await?;
    let role = asked.session.person.role.as_str().to_owned();
    let wanted = LookWish { at: way.at.clone(), purpose, clear: wish.clear, role };
    let granted = asked.board.gateway.open_look(wanted, asked.by()).await;
    let granted = granted.map_err(|refused| {
        let heading = view.t("Nu kan ingen titta", "Nobody can look now").to_owned();
        let body = html! {
            p { (view.t("Gå dit om du är osäker.", "Go there if you are in doubt.")) }
            p { a.button href=(way.back) { (view.t("Tillbaka", "Back")) } }
        };
        asked.trouble(refused).saying(heading, body)
    })?;
    let body = html! { div.narrow { (heading(view, &look)) (picture(view, &look, &granted, way)) } };
    Ok(Frame::new(view, title(view)).tab("/night").page(body))
}

fn picture(view: &View, look: &LookIn, granted: &Granted, way: &Way) -> Markup {
    html! {
        section #look.look data-token=(granted.token) data-back=(way.back)
            data-waits=(view.t("Lampan tänds hos den boende …", "The light goes on at the resident's …"))
            data-lit=(view.t("Lampan lyser. Kameran öppnas …", "The light is on. The camera is opened …"))
            data-over=(view.t("Det är slut. Bilden är borta.", "It is over. The picture is gone."))
            data-hidden=(view.t("Sidan doldes, så bilden stängdes.", "The page was hidden, so the picture was closed."))
            data-failed=(view.t("Bilden kunde inte hämtas. Gå dit om du är osäker.", "The picture could not be had. Go there if you are in doubt."))
            data-again=(view.t("Hur var det? Svara, annars skickas någon dit.", "How was it? Answer, else somebody is sent."))
            data-veiled=(view.t("Slöjan är kvar. Försök igen, eller gå dit om du är osäker.", "The veil stays on. Try again, or go there if you are in doubt."))
            data-seconds=(view.t("sekunder kvar", "seconds left")) {
            p #look-said role="status" { (view.t("Lampan tänds hos den boende …", "The light goes on at the resident's …")) }
            canvas #look-picture role="img" aria-label=(view.t("Bild från kameran", "Picture from the camera")) hidden {}
            p #look-left role="timer" {}
            @if look.may_see_clearly && !look.in_home {
                // One tap; by the script, so that the picture goes on.
                p { button #look-clear hidden value=(granted.look) data-page=(way.page) { (view.t("Visa klart. Bara om du måste.", "Show clearly. Only if you must.")) } }
            }
            noscript { p.strong { (view.t("Bilden behöver skript, som är avstängt här.", "The picture needs scripts, which are off here.")) } }
            div #look-outcome hidden { (outcome(view, granted.look, &way.back, true)) }
            p #look-back hidden { a.button href=(way.back) { (view.t("Tillbaka", "Back")) } }
            p #look-close { a.button href=(way.back) { (view.t("Stäng bilden", "Close the picture")) } }
        }
        script src=(assets::path("look.js")) defer {}
    }
}

/// One tap.
pub(super) fn outcome(view: &View, look: u64, back: &str, heads: bool) -> Markup {
    html! {
        @if heads { h2 { (view.t("Hur var det?", "How was it?")) } }
        form.act method="post" action="/look/said" {
            input type="hidden" name="look" value=(look);
            input type="hidden" name="back" value=(back);
            button.main name="outcome" value="calm" { (view.t("Lugnt", "Calm")) }
            button name="outcome" value="needs-visit" { (view.t("Behöver besök", "Needs a visit")) }
            button name="outcome" value="could-not-tell" { (view.t("Gick inte att avgöra", "Could not tell")) }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Unveil {
    look: u64,
    /// The page that the look was asked for on.
    page: String,
}

/// The veil off the look that is open: in the log before it is off.
pub(super) async fn unveil(asked: Asked, Form(wish): Form<Unveil>) -> Result<StatusCode, Trouble> {
    let way = match wish.page.strip_prefix("/look/alarm/") {
        Some(alarm) => Way::alarm(alarm),
        None => Way::slot(&asked, wish.page.strip_prefix("/look/").unwrap_or_default())?,
    };
    let look = asked.sight().look_in(way.at.clone()).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("look-clearly", way.object(), "", Some(&look.resident)).await?;
    let done = asked.board.gateway.unveil_look(wish.look, &look.resident, asked.by()).await;
    done.map_err(|refused| asked.trouble(refused))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct Said {
    look: u64,
    outcome: LookOutcome,
    #[serde(default)]
    back: String,
}

pub(super) async fn said(asked: Asked, Form(said): Form<Said>) -> Result<Redirect, Trouble> {
    let outcome = match said.outcome {
        LookOutcome::Calm => "calm",
        LookOutcome::NeedsVisit => "needs-visit",
        LookOutcome::CouldNotTell => "could-not-tell",
    };
    asked.trace("say-look", format!("look {}", said.look), outcome, None).await?;
    let done = asked.board.gateway.say_look(said.look, said.outcome, asked.by()).await;
    done.map_err(|refused| {
        let is_told = matches!(refused, Refused::OnItsWay(_));
        let (trouble, view) = (asked.trouble(refused), &asked.view);
        if !is_told {
            return trouble;
        }
        let heading = view.t("Ditt svar är inte framme än", "Your answer has not arrived yet").to_owned();
        let back = super::own_path(&said.back);
        trouble.saying(heading, html! {
            p { (view.t("Kommer det inte fram frågar rundan igen. Gå dit om någon behöver hjälp.", "If it does not arrive the round asks again. Go there if somebody needs help.")) }
            p { a.button href=(back) { (view.t("Till rundan", "To the round")) } }
        })
    })?;
    Ok(Redirect::to(super::own_path(&said.back)))
}

/// The picture of a look that was granted, once. Each part: a letter, its length (4 bytes, big-endian), its bytes.
pub(super) async fn stream(asked: Asked, token: String) -> Result<Response, Trouble> {
    if token.len() > LOOK_TOKEN_CHARS_MAX {
        return Err(asked.trouble(Refused::Wrong("this is no grant of a look".into())));
    }
    let parts = asked.board.gateway.watch_look(&token, asked.by()).await;
    let parts = parts.map_err(|refused| asked.trouble(refused))?;
    let (to, bytes) = mpsc::channel(1);
    let (lang, board, session) = (asked.view.lang, asked.board, asked.session);
    let lives = move || board.sessions.lives(&session, &board.people, board.gateway.now_ms());
    tokio::spawn(pass_on(parts, to, lang, lives));
    let kind = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(Stream(bytes))).into_response())
}

/// `lives`: whoever looks is logged in still, as what they were. Once they are not the look ends: dropping the parts ends it.
async fn pass_on(mut parts: mpsc::Receiver<LookPart>, to: mpsc::Sender<Bytes>, lang: Lang, lives: impl Fn() -> bool) {
    let mut asks = tokio::time::interval(Duration::from_millis(LOOK_LIVES_MS));
    loop {
        let part = tokio::select! {
            biased;
            // Nobody sees it any more: the look ends.
            () = to.closed() => return,
            _ = asks.tick() => match lives() {
                true => continue,
                false => return,
            },
            part = parts.recv() => part,
        };
        let Some(part) = part.filter(|_| lives()) else { return };
        let (kind, bytes) = match part {
            LookPart::Lit => (b'L', Bytes::new()),
            LookPart::Begun { left_ms } => (b'B', Bytes::from(left_ms.to_string())),
            LookPart::Picture(picture) => (b'P', picture),
            LookPart::Ended { said, .. } => (b'E', Bytes::from(said.in_(lang).to_owned())),
        };
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        let mut head = vec![kind];
        head.extend_from_slice(&length.to_be_bytes());
        for bytes in [Bytes::from(head), bytes] {
            if bytes.is_empty() {
                continue;
            }
            // A page that takes nothing is asked for all the same.
            let sending = to.send(bytes);
            tokio::pin!(sending);
            loop {
                tokio::select! {
                    sent = &mut sending => match sent {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    _ = asks.tick() => if !lives() { return },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_is_logged_in_no_longer_sees_no_more_and_the_look_ends() {
        for takes in [true, false] {
            let (viewer, parts) = mpsc::channel(1);
            let (to, mut page) = mpsc::channel(1);
            let lives = Arc::new(AtomicBool::new(true));
            let asked = lives.clone();
            let passing = tokio::spawn(pass_on(parts, to, Lang::En, move || asked.load(Ordering::Relaxed)));
            viewer.send(LookPart::Picture(Bytes::from_static(b"first"))).await.expect("it is taken");
            if takes {
                assert_eq!(page.recv().await.as_deref(), Some(&b"P\0\0\0\x05"[..]));
                assert_eq!(page.recv().await.as_deref(), Some(&b"first"[..]));
            }
            lives.store(false, Ordering::Relaxed);
            // Nothing more need come of the camera, and the page need take nothing.
            viewer.closed().await;
            passing.await.expect("it ended");
            while let Some(bytes) = page.recv().await {
                assert!(!takes, "{bytes:?}");
            }
        }
    }
}
