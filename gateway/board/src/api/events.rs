//! `/api/v1/events`: every change of an alarm, as server-sent events.
//!
//! Leaves: `event: alarms` with all open rows first and whenever something was missed; `event: alarm` with one row for each change;
//! `event: beat` with the gateway's time every [`BEAT_MS`]: whoever hears none for longer must not take silence for calm.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::{Failure, Here, Who, trace};
use crate::Board;
use crate::auth::Session;
use crate::gateway::{Alarm, Change, Refused};
use crate::limits::{BEAT_MS, EVENTS_MS_MAX, EVENTS_WAITING_MAX};
use crate::pages::events::Stream;
use crate::pages::seen::{Sight, sees_alarm};

pub(super) async fn events(State(board): Here, Extension(who): Who) -> Result<Response, Failure> {
    trace(&board, &who, "follow-alarms", "alarms".to_owned(), None).await?;
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    tokio::spawn(async move {
        let lasts = Duration::from_millis(EVENTS_MS_MAX);
        // Ended now and then, so that who is there and what they may see is judged anew.
        let _ = tokio::time::timeout(lasts, tell(board, who, sender)).await;
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(Stream(receiver))).into_response())
}

fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

async fn everything(board: &Board, who: &Session) -> Result<String, Refused> {
    let mut alarms = Sight::new(board.gateway.as_ref(), who).alarms().await?;
    alarms.retain(|alarm| alarm.closed_by.is_none());
    Ok(event("alarms", &alarms.iter().map(|alarm| &**alarm).collect::<Vec<&Alarm>>()))
}

/// Ends where nobody listens, or the gateway does not answer: a closed stream says so.
async fn tell(board: Arc<Board>, who: Session, sender: mpsc::Sender<Bytes>) {
    // Before the first reading: nothing falls between.
    let mut changes = board.gateway.follow();
    let Ok(first) = everything(&board, &who).await else { return };
    if sender.send(first.into()).await.is_err() {
        return;
    }
    let mut beat = tokio::time::interval(Duration::from_millis(BEAT_MS));
    loop {
        let told = tokio::select! {
            _ = beat.tick() => Some(event("beat", &json!({"at": board.gateway.now_ms()}))),
            change = changes.recv() => match change {
                Ok(Change::Alarm(alarm)) if sees_alarm(&who.person.units, &alarm) => Some(event("alarm", alarm.as_ref())),
                Ok(Change::Alarm(_) | Change::Other) => None,
                Ok(Change::Anew) | Err(RecvError::Lagged(_)) => everything(&board, &who).await.ok(),
                Err(RecvError::Closed) => return,
            },
            () = sender.closed() => return,
        };
        if let Some(told) = told
            && sender.send(told.into()).await.is_err()
        {
            return;
        }
    }
}
