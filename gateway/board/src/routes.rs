//! Every route with who may use it: a request to anything else is refused before a handler sees it.

use axum::http::Method;

use crate::auth::Right;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    /// As axum writes it: `/alarms/{id}`.
    pub path: &'static str,
    pub right: Right,
}

const fn get(path: &'static str, right: Right) -> Route {
    Route { method: "GET", path, right }
}

const fn post(path: &'static str, right: Right) -> Route {
    Route { method: "POST", path, right }
}

/// The table. A route without a row answers nobody.
pub const ROUTES: &[Route] = &[
    get("/", Right::SeeAlarms),
    get("/alarms", Right::SeeAlarms),
    get("/alarms/{id}", Right::SeeAlarms),
    post("/alarms/{id}/claim", Right::ActOnAlarms),
    post("/alarms/{id}/close", Right::ActOnAlarms),
    post("/alarms/{id}/escalate", Right::ActOnAlarms),
    post("/alarms/{id}/hand-over", Right::ActOnAlarms),
    post("/alarms/{id}/lock", Right::Unlock),
    post("/alarms/{id}/note", Right::ActOnAlarms),
    post("/alarms/{id}/say", Right::Say),
    post("/alarms/{id}/unlock", Right::Unlock),
    get("/api/v1/alarms", Right::SeeAlarms),
    get("/api/v1/alarms/{id}", Right::SeeAlarms),
    post("/api/v1/alarms/{id}/acts", Right::ActOnAlarms),
    post("/api/v1/alarms/{id}/words", Right::Say),
    get("/api/v1/devices", Right::SeeDevices),
    post("/api/v1/devices/invitations", Right::ChangeDevices),
    post("/api/v1/devices/{id}/revocation", Right::RevokeDevices),
    get("/api/v1/events", Right::SeeAlarms),
    get("/api/v1/health", Right::Any),
    get("/api/v1/log", Right::SeeLog),
    get("/api/v1/night", Right::SeeRound),
    post("/api/v1/night/signatures", Right::SignRound),
    get("/api/v1/openapi.json", Right::Any),
    get("/api/v1/residents", Right::SeeResidents),
    post("/api/v1/residents/{id}/settings", Right::ChangeAgreements),
    get("/assets/{name}", Right::Open),
    get("/check", Right::ChangeDevices),
    get("/devices", Right::SeeDevices),
    get("/devices/new", Right::ChangeDevices),
    post("/devices/new", Right::ChangeDevices),
    post("/devices/{id}/revoke", Right::RevokeDevices),
    post("/devices/{id}/settings", Right::ChangeDevices),
    get("/enter", Right::Open),
    post("/enter/ask", Right::Open),
    post("/enter/code", Right::Open),
    post("/enter/code/proof", Right::Open),
    post("/enter/passkey", Right::Open),
    get("/events", Right::SeeAlarms),
    get("/healthz", Right::Open),
    get("/keys", Right::Any),
    post("/keys/add", Right::OwnKeys),
    post("/keys/ask", Right::OwnKeys),
    post("/keys/remove", Right::OwnKeys),
    post("/keys/session", Right::Any),
    get("/log", Right::SeeLog),
    get("/log/export", Right::SeeLog),
    get("/login", Right::Open),
    post("/login/code", Right::Open),
    get("/login/oidc", Right::Open),
    get("/login/oidc/return", Right::Open),
    post("/login/passkey", Right::Open),
    post("/login/passkey/ask", Right::Open),
    post("/logout", Right::Any),
    get("/look/alarm/{id}", Right::LookIn),
    post("/look/alarm/{id}", Right::LookIn),
    post("/look/clear", Right::SayLook),
    post("/look/said", Right::SayLook),
    post("/look/stream", Right::LookIn),
    get("/look/{slot}", Right::LookIn),
    post("/look/{slot}", Right::LookIn),
    get("/manifest.webmanifest", Right::Open),
    get("/night", Right::SeeRound),
    get("/night/handover", Right::SeeRound),
    post("/night/sign", Right::SignRound),
    get("/people", Right::SeePeople),
    get("/people/add", Right::ChangePeople),
    post("/people/add", Right::ChangePeople),
    get("/people/of/{id}", Right::ChangePeople),
    post("/people/of/{id}/end", Right::ChangePeople),
    post("/people/of/{id}/link", Right::ChangePeople),
    post("/people/of/{id}/reset", Right::ChangePeople),
    post("/people/of/{id}/sessions", Right::ChangePeople),
    post("/people/of/{id}/set", Right::ChangePeople),
    get("/people/programs", Right::ChangePeople),
    post("/people/programs", Right::ChangePeople),
    post("/people/programs/end", Right::ChangePeople),
    get("/push/key", Right::SeeAlarms),
    post("/push/subscribe", Right::SeeAlarms),
    post("/push/unsubscribe", Right::Any),
    get("/residents", Right::SeeResidents),
    get("/residents/{id}", Right::SeeResidents),
    post("/residents/{id}/doses/{slot}/release", Right::Unlock),
    get("/residents/{id}/extract", Right::SeeLog),
    post("/residents/{id}/name", Right::SeeNames),
    post("/residents/{id}/name/set", Right::ChangeAgreements),
    post("/residents/{id}/settings", Right::ChangeAgreements),
    post("/residents/{id}/withdraw", Right::Withdraw),
    get("/sw.js", Right::Open),
    post("/theme", Right::Open),
    get("/visit", Right::ChangeDevices),
    post("/visit", Right::ChangeDevices),
    get("/visit/protocol/{form}", Right::ChangeDevices),
];

/// Who may use what axum has matched. HEAD counts as GET.
pub fn right_of(method: &Method, path: &str) -> Option<Right> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.method == method && route.path == path).map(|route| route.right)
}
