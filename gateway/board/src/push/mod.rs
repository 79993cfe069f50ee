//! A phone in a pocket is told that somebody waits: Web Push, without an app store, and an ntfy-compatible channel for sites
//! without internet.
//!
//! Enters: the gateway's changes, and the addresses that people's browsers give. Leaves: one short message for each new call of life or
//! care to each phone whose person may see it. Invariants: no message says who, where or what; it says that somebody waits, and the
//! board says the rest to whoever logs in. A push is a help: nothing counts on it, and no rung is made of it.
//! Sources: RFC 8030, 8291 and 8292, as read; ntfy as its public documentation says.

mod seal;
mod store;
mod vapid;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tracing::{info, warn};
use vaka_protocol::Lane;

use crate::Board;
use crate::auth::people::Person;
use crate::auth::{Right, Session, fetch};
use crate::gateway::{Alarm, Change};
use crate::limits::{PUSH_TRIES_MS, PUSHED_KEPT_MAX, PUSHES_MAX};
use crate::pages::seen::sees_alarm;
pub use store::{Store, StoreError, Subscription};

/// Push services of the browsers there are: an address elsewhere is refused, so that nobody makes the gateway call where they like.
/// `[board] push_services` adds to them.
const SERVICES: [&str; 5] = [
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "web.push.apple.com",
    "push.apple.com",
    "notify.windows.com",
];

/// How long a push service keeps a message for a phone that is off, in seconds: an hour later somebody else has the alarm.
const TTL_S: u32 = 3_600;

pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/push/key", get(key))
        .route("/push/subscribe", post(subscribe))
        .route("/push/unsubscribe", post(unsubscribe))
}

async fn key(State(board): State<Arc<Board>>) -> Response {
    match board.push.public_key() {
        Ok(key) => Json(json!({"key": key})).into_response(),
        Err(e) => trouble(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()),
    }
}

fn trouble(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": {"kind": "wrong", "text": text}}))).into_response()
}

/// As `PushSubscription.toJSON()` says it.
#[derive(Debug, Deserialize)]
struct Given {
    endpoint: String,
    keys: GivenKeys,
}

#[derive(Debug, Deserialize)]
struct GivenKeys {
    p256dh: String,
    auth: String,
}

async fn subscribe(
    State(board): State<Arc<Board>>,
    Extension(who): Extension<Session>,
    Json(given): Json<Given>,
) -> Response {
    if !is_service(&given.endpoint, &board.settings.push_services) {
        return trouble(
            StatusCode::BAD_REQUEST,
            "`endpoint` is at no push service that is known here; [board] push_services adds one",
        );
    }
    let Some(subscription) = Subscription::new(&who.person.id, given.endpoint, &given.keys.p256dh, &given.keys.auth)
    else {
        return trouble(StatusCode::BAD_REQUEST, "`keys` are not those of a push subscription");
    };
    if let Err(e) = board.gateway.trace(who.trace("push-on", "phone")).await {
        return trouble(StatusCode::SERVICE_UNAVAILABLE, &e.to_string());
    }
    match board.push.add(subscription) {
        Ok(()) => Json(json!({"subscribed": true})).into_response(),
        Err(e) => trouble(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()),
    }
}

#[derive(Debug, Deserialize)]
struct Gone {
    endpoint: String,
}

async fn unsubscribe(
    State(board): State<Arc<Board>>,
    Extension(who): Extension<Session>,
    Json(gone): Json<Gone>,
) -> Response {
    if let Err(e) = board.gateway.trace(who.trace("push-off", "phone")).await {
        return trouble(StatusCode::SERVICE_UNAVAILABLE, &e.to_string());
    }
    // Nobody silences another's phone.
    match board.push.remove(&gone.endpoint, Some(&who.person.id)) {
        Ok(()) => Json(json!({"subscribed": false})).into_response(),
        Err(e) => trouble(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()),
    }
}

/// The address is https, without user or odd parts, at a known service or one of its own subdomains.
fn is_service(endpoint: &str, more: &[String]) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else { return false };
    let at = |service: &str| host == service || host.strip_suffix(service).is_some_and(|rest| rest.ends_with('.'));
    !endpoint.contains('@') && (SERVICES.iter().any(|service| at(service)) || more.iter().any(|service| at(service)))
}

/// An alarm that somebody should hear of, as often as it waits anew.
fn waits(alarm: &Alarm) -> bool {
    matches!(alarm.lane, Lane::Life | Lane::Care) && alarm.claimed_by.is_none() && alarm.closed_by.is_none()
}

/// What has been pushed: by alarm, the last time it began to wait.
#[derive(Debug, Default)]
struct Pushed(BTreeMap<String, i64>);

impl Pushed {
    /// True once for each time that an alarm begins to wait: when it is raised, pressed again, handed over, escalated.
    fn is_news(&mut self, alarm: &Alarm) -> bool {
        if !waits(alarm) {
            self.0.remove(&alarm.id);
            return false;
        }
        let since =
            alarm.steps.iter().filter(|step| step.rung == vaka_protocol::Rung::Stored).map(|step| step.at).max();
        let since = since.unwrap_or(alarm.raised_at);
        if self.0.len() >= PUSHED_KEPT_MAX {
            self.0.pop_first();
        }
        self.0.insert(alarm.id.clone(), since).is_none_or(|before| since > before)
    }
}

/// Tells phones of new calls, for as long as the gateway runs.
pub async fn keep(board: Arc<Board>) {
    let tls = match fetch::tls(board.settings.push_ca.as_deref()) {
        Ok(tls) => tls,
        Err(e) => return warn!("phones cannot be told: {e}"),
    };
    let mut changes = board.gateway.follow();
    let mut pushed = Pushed::default();
    let way = Way { board, tls, places: Arc::new(Semaphore::new(PUSHES_MAX)) };
    // What waits already at the start is news to a phone.
    let mut missed = true;
    loop {
        if std::mem::take(&mut missed) {
            let open = way.board.gateway.alarms(false).await.unwrap_or_default();
            open.iter().filter(|alarm| pushed.is_news(alarm)).for_each(|alarm| way.send(alarm));
        }
        match changes.recv().await {
            Ok(Change::Alarm(alarm)) if pushed.is_news(&alarm) => way.send(&alarm),
            Ok(Change::Alarm(_) | Change::Other) => {}
            Ok(Change::Anew) | Err(RecvError::Lagged(_)) => missed = true,
            Err(RecvError::Closed) => return,
        }
    }
}

/// What every message goes by.
struct Way {
    board: Arc<Board>,
    tls: Arc<ClientConfig>,
    places: Arc<Semaphore>,
}

impl Way {
    /// To each phone whose person may see it, as far as there are places.
    fn send(&self, alarm: &Alarm) {
        let may = |person: &Person| person.role.may(Right::SeeAlarms) && sees_alarm(&person.units, alarm);
        let theirs =
            |phone: &Subscription| self.board.people.in_force(&phone.person).is_some_and(|person| may(&person));
        for phone in self.board.push.all().into_iter().filter(theirs) {
            let (board, tls, lane) = (self.board.clone(), self.tls.clone(), alarm.lane);
            self.in_a_place(tell(board, tls, phone, lane));
        }
        if self.board.settings.ntfy.is_some() {
            self.in_a_place(tell_ntfy(self.board.clone(), self.tls.clone(), alarm.lane));
        }
    }

    fn in_a_place(&self, message: impl Future<Output = ()> + Send + 'static) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return warn!("too many messages to phones are under way: one is not told of this call");
        };
        tokio::spawn(async move {
            message.await;
            drop(place);
        });
    }
}

/// One message to one phone: tried again where the service could not be asked, forgotten where it knows the phone no more.
async fn tell(board: Arc<Board>, tls: Arc<ClientConfig>, to: Subscription, lane: Lane) {
    let message = json!({"lane": lane, "at": board.gateway.now_ms()}).to_string();
    for wait_ms in PUSH_TRIES_MS {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        match send(&board, tls.clone(), &to, message.as_bytes()).await {
            Ok(status) if status.is_success() => return,
            Ok(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                info!(person = %to.person, "a phone is no longer there: it is not told any more");
                if let Err(e) = board.push.remove(&to.endpoint, None) {
                    warn!("{e}");
                }
                return;
            }
            Ok(status) => warn!(person = %to.person, %status, "the push service did not take a message"),
            Err(e) => warn!(person = %to.person, "telling a phone: {e}"),
        }
    }
}

async fn send(board: &Board, tls: Arc<ClientConfig>, to: &Subscription, message: &[u8]) -> Result<StatusCode, String> {
    let uri: http::Uri = to.endpoint.parse().map_err(|_| "its address is none".to_owned())?;
    let audience = format!("https://{}", uri.authority().map(http::uri::Authority::as_str).unwrap_or_default());
    let subject = format!("https://{}", board.settings.host);
    let authorization = board.push.authorization(&audience, &subject, board.gateway.now_ms())?;
    let body = seal::seal(&to.p256dh, &to.auth, message).map_err(|_| "its key is none".to_owned())?;
    let request = http::Request::post(uri)
        .header("authorization", authorization)
        .header("content-encoding", "aes128gcm")
        .header("content-type", "application/octet-stream")
        .header("ttl", TTL_S)
        .header("urgency", "high")
        .body(body)
        .map_err(|e| e.to_string())?;
    fetch::fetch(tls, request).await.map(|answer| answer.status()).map_err(|e| e.to_string())
}

/// The same to the site's own channel. ntfy: the body is the text, headers say how loud it is and where a tap leads.
async fn tell_ntfy(board: Arc<Board>, tls: Arc<ClientConfig>, lane: Lane) {
    let Some(url) = &board.settings.ntfy else { return };
    let text = match lane {
        Lane::Life => "Nödlarm väntar / An emergency waits",
        _ => "Larm väntar / An alarm waits",
    };
    for wait_ms in PUSH_TRIES_MS {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let request = http::Request::post(url)
            .header("title", "Vaka")
            .header("priority", if lane == Lane::Life { "urgent" } else { "high" })
            .header("click", crate::auth::origin(&board.settings))
            .body(text.as_bytes().to_vec());
        let told = match request {
            Ok(request) => fetch::fetch(tls.clone(), request).await.map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        match told {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => warn!(status = %answer.status(), "the ntfy channel did not take a message"),
            Err(e) => warn!("telling the ntfy channel: {e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_service;

    #[test]
    fn the_gateway_calls_no_address_but_a_push_services() {
        let more = ["push.kommunen.se".to_owned()];
        for good in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://eu.notify.windows.com/w/?t=1",
            "https://push.kommunen.se/1",
        ] {
            assert!(is_service(good, &more), "{good}");
        }
        for bad in [
            "http://fcm.googleapis.com/x",
            "https://127.0.0.1/x",
            "https://evilfcm.googleapis.com.example/x",
            "https://notfcm.googleapis.com@10.0.0.1/x",
            "https://xpush.kommunen.se/1",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!is_service(bad, &more), "{bad}");
        }
    }
}
