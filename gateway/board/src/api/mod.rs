//! `/api/v1`: the board's acts for programs. JSON in and out; `openapi.json` beside this file says the shapes.
//!
//! Enters: requests of a session, a token or a client certificate, all judged by the gate. Leaves: the same rows that the pages show,
//! cut to the same units, and acts under the same rights. Invariant: what is read or done is traced before the answer goes out.
//! Errors: `{"error":{"kind","text"}}` with 400 wrong, 401, 403, 404, 409 conflict, 503 unavailable.

mod events;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Json, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaka_protocol::{Light, Ordered, Sound};

use crate::Board;
use crate::auth::Session;
use crate::gateway::{
    Alarm, AlarmAct, InviteWish, OrderWish, Outcome, Refused, SettingsChange, Sign, Trace, TraceQuery,
};
use crate::limits::{ORDER_TEXT_BYTES_MAX, TEXT_CHARS_MAX, TRACES_EXPORTED_MAX, TRACES_SHOWN_MAX};
use crate::pages::seen::Sight;

/// The shapes, for programs and for the test that compares them with what is answered.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Why a request is not answered.
pub(crate) struct Failure(Refused);

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Failure(refused)
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Failure(Refused::Wrong(rejection.body_text()))
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Failure(Refused::Wrong(rejection.body_text()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, kind) = match &self.0 {
            Refused::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Refused::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Refused::Wrong(_) => (StatusCode::BAD_REQUEST, "wrong"),
            Refused::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Refused::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Refused::OnItsWay(_) => (StatusCode::ACCEPTED, "on-its-way"),
        };
        (status, Json(json!({"error": {"kind": kind, "text": self.0.to_string()}}))).into_response()
    }
}

type Answer<T> = Result<Json<T>, Failure>;
type Who = Extension<Session>;
type Here = State<Arc<Board>>;

pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/health", get(health))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/alarms/{id}", get(story))
        .route("/api/v1/alarms/{id}/acts", post(act))
        .route("/api/v1/alarms/{id}/words", post(say))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/night", get(night))
        .route("/api/v1/night/signatures", post(sign))
        .route("/api/v1/residents", get(residents))
        .route("/api/v1/residents/{id}/settings", post(settings))
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/devices/invitations", post(invite))
        .route("/api/v1/devices/{id}/revocation", post(revoke))
        .route("/api/v1/log", get(log))
}

/// What is written down of a request before it is answered.
async fn trace(
    board: &Board,
    who: &Session,
    act: &str,
    object: String,
    resident: Option<String>,
) -> Result<(), Failure> {
    let trace = Trace {
        person: who.person.id.clone(),
        role: who.person.role.as_str().to_owned(),
        session: who.name.clone(),
        act: act.to_owned(),
        object,
        purpose: "api".to_owned(),
        resident,
    };
    Ok(board.record(trace).await?)
}

fn text(word: &str) -> Result<(), Failure> {
    match word.chars().count() {
        0..=TEXT_CHARS_MAX if !word.contains(char::is_control) => Ok(()),
        0..=TEXT_CHARS_MAX => Err(Refused::Wrong("a text has a control character; leave it out".into()).into()),
        n => Err(Refused::Wrong(format!("a text has {n} characters; at most {TEXT_CHARS_MAX} fit")).into()),
    }
}

/// A body whose kind stands in its field `tag`. serde alone would take a number there for a kind's place in the list: `{"act":0}` would
/// be a claim.
fn tagged<T: serde::de::DeserializeOwned>(body: Result<Json<Value>, JsonRejection>, tag: &str) -> Result<T, Failure> {
    let Json(body) = body?;
    if !body[tag].is_string() {
        return Err(Refused::Wrong(format!(
            "`{tag}` is missing or is no text; /api/v1/openapi.json says which there are"
        ))
        .into());
    }
    serde_json::from_value(body).map_err(|e| Refused::Wrong(format!("reading the body: {e}")).into())
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from_static(OPENAPI.as_bytes()))
}

async fn health(State(board): Here) -> Answer<impl Serialize> {
    Ok(Json(board.gateway.health().await?))
}

#[derive(Debug, Deserialize)]
struct Which {
    /// Closed ones too.
    #[serde(default)]
    all: bool,
}

async fn alarms(
    State(board): Here,
    Extension(who): Who,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(which) = which?;
    trace(&board, &who, "read-alarms", "alarms".to_owned(), None).await?;
    let mut alarms = Sight::new(board.gateway.as_ref(), &who).alarms().await?;
    alarms.retain(|alarm| which.all || alarm.closed_by.is_none());
    // Shared with every open page: written from where they stand.
    Ok(Json(alarms.iter().map(|alarm| &**alarm).collect::<Vec<&Alarm>>()).into_response())
}

async fn story(State(board): Here, Extension(who): Who, Path(id): Path<String>) -> Answer<impl Serialize> {
    let story = Sight::new(board.gateway.as_ref(), &who).story(&id).await?;
    trace(&board, &who, "read-alarm", format!("alarm {id}"), story.alarm.resident.clone()).await?;
    Ok(Json(story))
}

/// An act, with the note that goes with it.
#[derive(Debug, Deserialize)]
struct Acting {
    #[serde(flatten)]
    act: Act,
    #[serde(default)]
    note: String,
}

/// As [`AlarmAct`], with the names a program writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
enum Act {
    Claim {
        from: Option<String>,
    },
    Close {
        outcome: Outcome,
        seen: Option<u32>,
    },
    HandOver {
        #[serde(default)]
        to: String,
    },
    Escalate,
    Note,
}

async fn act(
    State(board): Here,
    Extension(who): Who,
    Path(id): Path<String>,
    acting: Result<Json<Value>, JsonRejection>,
) -> Answer<impl Serialize> {
    let acting: Acting = tagged(acting, "act")?;
    text(&acting.note)?;
    let (name, act) = match acting.act {
        Act::Claim { from } => {
            from.as_deref().map_or(Ok(()), text)?;
            ("claim", AlarmAct::Claim { from })
        }
        Act::Close { outcome, seen } => ("close", AlarmAct::Close { outcome, seen }),
        Act::HandOver { to } => {
            text(&to)?;
            ("hand-over", AlarmAct::HandOver { to })
        }
        Act::Escalate => ("escalate", AlarmAct::Escalate),
        Act::Note => ("note", AlarmAct::Note),
    };
    let story = Sight::new(board.gateway.as_ref(), &who).story(&id).await?;
    trace(&board, &who, name, format!("alarm {id}"), story.alarm.resident).await?;
    Ok(Json(board.gateway.act(&id, act, &who.person.id, &acting.note).await?))
}

#[derive(Debug, Deserialize)]
struct Words {
    text: String,
}

/// What the resident is told. To open a door a person has to.
async fn say(
    State(board): Here,
    Extension(who): Who,
    Path(id): Path<String>,
    words: Result<Json<Words>, JsonRejection>,
) -> Answer<impl Serialize> {
    let Json(Words { text: said }) = words?;
    text(&said)?;
    if said.is_empty() || said.len() > ORDER_TEXT_BYTES_MAX {
        let why = format!("`text` is {} bytes; 1 to {ORDER_TEXT_BYTES_MAX} fit a device's display", said.len());
        return Err(Refused::Wrong(why).into());
    }
    let story = Sight::new(board.gateway.as_ref(), &who).story(&id).await?;
    trace(&board, &who, "order feedback", format!("alarm {id}"), story.alarm.resident).await?;
    let wish = OrderWish {
        alarm: Some(id),
        device: None,
        what: Ordered::Feedback {
            light: Some(Light::Steady),
            sound: Some(Sound::Chime),
            text: Some(said.as_str().into()),
        },
        purpose: said,
        role: who.person.role.as_str().to_owned(),
    };
    match board.gateway.order(wish, &who.person.id).await? {
        Ok(()) => Ok(Json(json!({"ordered": true}))),
        Err(why) => Err(Refused::Conflict(why.en).into()),
    }
}

#[derive(Debug, Deserialize)]
struct Evening {
    date: Option<String>,
}

async fn night(
    State(board): Here,
    Extension(who): Who,
    evening: Result<Query<Evening>, QueryRejection>,
) -> Answer<impl Serialize> {
    let Query(evening) = evening?;
    let night = Sight::new(board.gateway.as_ref(), &who).night(evening.date).await?;
    trace(&board, &who, "read-night", format!("night {}", night.date), None).await?;
    Ok(Json(night))
}

async fn sign(
    State(board): Here,
    Extension(who): Who,
    sign: Result<Json<Value>, JsonRejection>,
) -> Answer<impl Serialize> {
    let sign: Sign = tagged(sign, "what")?;
    let (name, resident, note) = match &sign {
        Sign::Visit { resident, note, .. } => ("sign-visit", resident.clone(), note),
        Sign::Dose { resident, note, .. } => ("sign-dose", resident.clone(), note),
    };
    text(note)?;
    Sight::new(board.gateway.as_ref(), &who).resident(&resident).await?;
    trace(&board, &who, name, format!("resident {resident}"), Some(resident)).await?;
    board.gateway.sign(sign, &who.person.id).await?;
    Ok(Json(json!({"signed": true})))
}

async fn residents(State(board): Here, Extension(who): Who) -> Answer<impl Serialize> {
    trace(&board, &who, "read-residents", "residents".to_owned(), None).await?;
    Ok(Json(Sight::new(board.gateway.as_ref(), &who).residents().await?))
}

async fn settings(
    State(board): Here,
    Extension(who): Who,
    Path(id): Path<String>,
    change: Result<Json<SettingsChange>, JsonRejection>,
) -> Answer<impl Serialize> {
    let Json(change) = change?;
    if change.resident != id {
        return Err(Refused::Wrong(format!("`resident` is {}, the address says {id}", change.resident)).into());
    }
    if change.withdraw && !who.is_fresh(board.gateway.now_ms()) {
        let why = "withdrawing an agreement needs a fresh log-in: a person has to";
        return Err(Refused::Forbidden(why.into()).into());
    }
    let sight = Sight::new(board.gateway.as_ref(), &who);
    sight.resident(&id).await?;
    trace(&board, &who, "change-agreement", format!("resident {id} {}", change.table), Some(id.clone())).await?;
    board.gateway.change_settings(change, &who.person.id).await?;
    Ok(Json(sight.resident(&id).await?))
}

async fn devices(State(board): Here, Extension(who): Who) -> Answer<impl Serialize> {
    trace(&board, &who, "read-devices", "devices".to_owned(), None).await?;
    Ok(Json(Sight::new(board.gateway.as_ref(), &who).devices().await?))
}

async fn invite(
    State(board): Here,
    Extension(who): Who,
    wish: Result<Json<InviteWish>, JsonRejection>,
) -> Answer<impl Serialize> {
    let Json(wish) = wish?;
    Sight::new(board.gateway.as_ref(), &who).may_invite(&wish).await?;
    trace(&board, &who, "invite-device", format!("device {}", wish.id), wish.resident.clone()).await?;
    Ok(Json(board.gateway.invite(wish, &who.person.id).await?))
}

async fn revoke(State(board): Here, Extension(who): Who, Path(id): Path<String>) -> Answer<impl Serialize> {
    let device = Sight::new(board.gateway.as_ref(), &who).device(&id).await?;
    trace(&board, &who, "revoke-device", format!("device {id}"), device.resident).await?;
    board.gateway.revoke(&id, &who.person.id).await?;
    Ok(Json(json!({"revoked": true})))
}

#[derive(Debug, Deserialize)]
struct LogWish {
    from: Option<i64>,
    until: Option<i64>,
    person: Option<String>,
    resident: Option<String>,
    most: Option<usize>,
}

async fn log(
    State(board): Here,
    Extension(who): Who,
    wish: Result<Query<LogWish>, QueryRejection>,
) -> Answer<impl Serialize> {
    let Query(LogWish { from, until, person, resident, most }) = wish?;
    trace(&board, &who, "read-log", "log".to_owned(), resident.clone()).await?;
    let most = most.unwrap_or(TRACES_SHOWN_MAX);
    if most > TRACES_EXPORTED_MAX {
        return Err(Refused::Wrong(format!(
            "`most` is {most}; at most {TRACES_EXPORTED_MAX}, and older ones by `until`"
        ))
        .into());
    }
    let query = TraceQuery { from, until, person, resident, most };
    Ok(Json(Sight::new(board.gateway.as_ref(), &who).traces(query).await?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::Json;
    use serde_json::json;

    use super::{Acting, OPENAPI, tagged};
    use crate::routes::ROUTES;

    /// What is written for programs is what there is.
    #[test]
    fn the_document_names_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
        let paths = document["paths"].as_object().expect("paths");
        let told: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods");
                methods.keys().map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let there = ROUTES.iter().filter(|route| route.path.starts_with("/api/"));
        let there: BTreeSet<String> = there.map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(told, there);
    }

    #[test]
    fn a_number_is_no_act() {
        for wrong in [
            json!({"act": 0, "note": ""}),
            json!({"note": ""}),
            json!([]),
            json!({"act": "clam"}),
            json!({"act": "close"}),
        ] {
            assert!(tagged::<Acting>(Ok(Json(wrong.clone())), "act").is_err(), "{wrong}");
        }
        assert!(tagged::<Acting>(Ok(Json(json!({"act": "close", "outcome": "helped"}))), "act").is_ok());
    }
}
