//! `/events`: what an open page needs to stay true, as server-sent events.
//!
//! Enters: a page's wish (`on=alarms` keeps the list, anything else the counters) and where it was (`Last-Event-ID`). Leaves:
//! `event: now` with every article that has changed and the order of all, `event: beat` every 2 s. Invariants: the first event is
//! everything, save for a page that has missed nothing; an event is rendered for this person's units and language.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::list::{self, List, Part};
use super::live::Now;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::{article, round};
use crate::auth::{Role, Units};
use crate::gateway::{Alarm, Lang};
use crate::limits::{ALARMS_SHOWN_MAX, AUDIENCES_MAX, EVENTS_MS_MAX, EVENTS_WAITING_MAX};

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    on: String,
}

/// What flows out, event by event.
pub(crate) struct Stream(pub(crate) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

pub(super) async fn events(asked: Asked, headers: HeaderMap, Query(wish): Query<Wish>) -> Result<Response, Trouble> {
    let board = Arc::clone(&asked.board);
    let watched = board.live.follow(&board.gateway).await.map_err(|refused| asked.trouble(refused))?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let lists = wish.on == "alarms";
    // What a page says that it was told proves nothing: that this session was told it just now does.
    if lists && !asked.board.live.goes_on(&asked.session, asked.board.gateway.now_ms()) {
        asked.trace("follow-alarms", "alarms", "list", None).await?;
        asked.board.live.follows(&asked.session, asked.board.gateway.now_ms());
    }
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    tokio::spawn(tell(Page { asked, lists, shown: None }, watched, seen, sender));
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(Stream(receiver))).into_response())
}

async fn tell(
    mut page: Page,
    mut watched: watch::Receiver<Arc<Now>>,
    seen: Option<String>,
    sender: mpsc::Sender<Bytes>,
) {
    let idle_ms = (page.asked.session.idle_at - page.asked.view.times.now_ms).max(0);
    let lasts_ms = EVENTS_MS_MAX.min(u64::try_from(idle_ms).unwrap_or_default());
    let end = tokio::time::sleep(Duration::from_millis(lasts_ms));
    tokio::pin!(end);
    let mut now = Arc::clone(&watched.borrow_and_update());
    let first = page.now(&now);
    let first = if seen.as_deref() == Some(&id_of(&now)) { page.beat() } else { first };
    let first = [&b"retry: 1000\n"[..], &first].concat();
    if sender.send(first.into()).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = &mut end => return,
            () = sender.closed() => return,
            changed = watched.changed() => if changed.is_err() { return },
        }
        let next = Arc::clone(&watched.borrow_and_update());
        let event = if next.version == now.version { page.beat() } else { page.now(&next) };
        now = next;
        if page.lists {
            page.asked.board.live.follows(&page.asked.session, page.asked.board.gateway.now_ms());
        }
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

fn id_of(now: &Now) -> String {
    format!("{}-{}", now.started_ms, now.version)
}

/// Who is told the same: what a page shows goes by these, and by who has taken an alarm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Audience {
    units: Units,
    role: Role,
    is_english: bool,
    lists: bool,
}

/// What is made once for everybody who is told the same, for one state at a time.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Which state: of which start, and its version.
    of: (i64, u64),
    lists: BTreeMap<Units, Arc<List>>,
    /// By whom it is for, and the state that they were told before; `None`: none.
    events: BTreeMap<(Audience, Option<u64>), Bytes>,
}

impl Shared {
    /// Forgets what is of another state.
    fn turn_to(&mut self, now: &Now) {
        let of = (now.started_ms, now.version);
        if self.of != of || self.lists.len() >= AUDIENCES_MAX || self.events.len() >= AUDIENCES_MAX {
            *self = Shared { of, ..Shared::default() };
        }
    }

    fn list(&mut self, now: &Now, units: &Units) -> Arc<List> {
        self.turn_to(now);
        let made = || Arc::new(List::of(now, units));
        Arc::clone(self.lists.entry(units.clone()).or_insert_with(made))
    }
}

/// One open page.
struct Page {
    asked: Asked,
    lists: bool,
    /// What it shows, as it was last told, and which state that was.
    shown: Option<(u64, Arc<List>)>,
}

impl Page {
    fn beat(&self) -> Bytes {
        format!("event: beat\ndata: {}\n\n", json!({"at": self.asked.board.gateway.now_ms()})).into()
    }

    /// What is not as the page was told, and the order of everything: made once for all who are told the same.
    fn now(&mut self, now: &Now) -> Bytes {
        self.asked.view.times.now_ms = self.asked.board.gateway.now_ms();
        let person = &self.asked.session.person;
        let audience = Audience {
            units: person.units.clone(),
            role: person.role,
            is_english: self.asked.view.lang == Lang::En,
            lists: self.lists,
        };
        let key = (audience, self.shown.as_ref().map(|(version, _)| *version));
        let mut shared = self.asked.board.live.shared();
        let list = shared.list(now, &person.units);
        let mine = |alarm: &&Arc<Alarm>| alarm.claimed_by.as_ref() == Some(&person.id);
        let changed: Vec<(Part, &Arc<Alarm>)> = match self.lists {
            true => changed(self.shown.as_ref().map(|(_, list)| &**list), &list),
            false => Vec::new(),
        };
        // What somebody has taken reads otherwise to them.
        let is_own = changed.iter().any(|(_, alarm)| mine(alarm));
        let told = match shared.events.get(&key).filter(|_| !is_own) {
            Some(told) => told.clone(),
            None => {
                let told = Bytes::from(told(&self.asked.view, now, &list, self.lists.then_some(changed.as_slice())));
                if !is_own {
                    shared.events.insert(key, told.clone());
                }
                told
            }
        };
        drop(shared);
        drop(changed);
        self.shown = Some((now.version, list));
        told
    }
}

/// The articles of `next` that do not stand as they are in `old`.
fn changed<'l>(old: Option<&List>, next: &'l List) -> Vec<(Part, &'l Arc<Alarm>)> {
    let of = |part: Part| next.shown(part).iter().map(move |alarm| (part, alarm));
    let is_new = |(part, alarm): &(Part, &Arc<Alarm>)| {
        !old.is_some_and(|old| old.shown(*part).iter().any(|there| Arc::ptr_eq(there, alarm)))
    };
    Part::ALL.into_iter().flat_map(of).filter(is_new).collect()
}

fn told(view: &View, now: &Now, list: &List, changed: Option<&[(Part, &Arc<Alarm>)]>) -> String {
    let said = |alarm: &Arc<Alarm>| {
        let said = format!("{}, {}", article::place(view, alarm), alarm.what.in_(view.lang));
        json!({"id": alarm.id, "at": alarm.raised_at, "said": said})
    };
    let mut told = json!({
        "at": view.times.now_ms,
        "waiting": list.waiting(),
        "life": list.newest_life().iter().map(said).collect::<Vec<Value>>(),
        "window": ALARMS_SHOWN_MAX,
    });
    if let Some(changed) = changed {
        let (mut parts, mut html, mut sums) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (part, alarm) in changed {
            html.insert(alarm.id.as_str(), list.article(view, *part, alarm).into_string());
        }
        for part in Part::ALL {
            let ids: Vec<&str> = list.shown(part).iter().map(|alarm| alarm.id.as_str()).collect();
            parts.insert(part.id(), ids);
            sums.insert(part.id(), list.summary(view, part));
        }
        told["heading"] = json!(list.heading(view, now));
        told["mood"] = json!(list.mood(now));
        told["parts"] = json!(parts);
        told["sums"] = json!(sums);
        told["html"] = json!(html);
        told["whole"] = json!({
            "wrong": list::wrong(view, now).into_string(),
            "aside": round::aside(view, now).into_string(),
        });
    }
    format!("id: {}\nevent: now\ndata: {told}\n\n", id_of(now))
}
