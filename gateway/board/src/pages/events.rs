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
use super::view::Asked;
use super::{article, round};
use crate::gateway::Alarm;
use crate::limits::{EVENTS_MS_MAX, EVENTS_WAITING_MAX};

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
    // Only a page that was told by this very start goes on; any other reads the list.
    let started = format!("{}-", watched.borrow().started_ms);
    if lists && !seen.as_deref().is_some_and(|seen| seen.starts_with(&started)) {
        asked.trace("follow-alarms", "alarms", "list", None).await?;
    }
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    tokio::spawn(tell(Page { asked, lists, shown: BTreeMap::new() }, watched, seen, sender));
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
    let mut first = page.now(&now);
    if seen.as_deref() == Some(&id_of(&now)) {
        first = page.beat();
    }
    if sender.send(format!("retry: 1000\n{first}").into()).await.is_err() {
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
        if sender.send(event.into()).await.is_err() {
            return;
        }
    }
}

fn id_of(now: &Now) -> String {
    format!("{}-{}", now.started_ms, now.version)
}

/// One open page.
struct Page {
    asked: Asked,
    lists: bool,
    /// What it shows, as it was last told.
    shown: BTreeMap<String, (Arc<Alarm>, Part)>,
}

impl Page {
    fn beat(&mut self) -> String {
        format!("event: beat\ndata: {}\n\n", json!({"at": self.asked.board.gateway.now_ms()}))
    }

    /// What is not as the page was told, and the order of everything.
    fn now(&mut self, now: &Now) -> String {
        self.asked.view.times.now_ms = self.asked.board.gateway.now_ms();
        let view = &self.asked.view;
        let list = List::of(now, view);
        let said = |alarm: &Arc<Alarm>| json!({"id": alarm.id, "said": format!("{}, {}", article::place(view, alarm), alarm.what.in_(view.lang))});
        let mut told = json!({
            "at": view.times.now_ms,
            "waiting": list.waiting(),
            "life": list.life().map(said).collect::<Vec<Value>>(),
        });
        if self.lists {
            let mut shown = BTreeMap::new();
            let (mut parts, mut html, mut sums) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
            for part in Part::ALL {
                for alarm in list.shown(part) {
                    let is_same = |(old, at): &(Arc<Alarm>, Part)| Arc::ptr_eq(old, alarm) && *at == part;
                    if !self.shown.get(&alarm.id).is_some_and(is_same) {
                        html.insert(alarm.id.clone(), list.article(view, part, alarm).into_string());
                    }
                    shown.insert(alarm.id.clone(), (Arc::clone(alarm), part));
                }
                let ids: Vec<&str> = list.shown(part).iter().map(|alarm| alarm.id.as_str()).collect();
                parts.insert(part.id(), ids);
                sums.insert(part.id(), list.summary(view, part));
            }
            self.shown = shown;
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
}
