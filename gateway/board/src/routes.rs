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
    get("/assets/passkey.js", Right::Open),
    get("/enter", Right::Open),
    post("/enter/ask", Right::Open),
    post("/enter/code", Right::Open),
    post("/enter/code/proof", Right::Open),
    post("/enter/passkey", Right::Open),
    get("/healthz", Right::Open),
    get("/keys", Right::Any),
    post("/keys/add", Right::OwnKeys),
    post("/keys/ask", Right::OwnKeys),
    post("/keys/remove", Right::OwnKeys),
    post("/keys/session", Right::Any),
    get("/login", Right::Open),
    post("/login/code", Right::Open),
    get("/login/oidc", Right::Open),
    get("/login/oidc/return", Right::Open),
    post("/login/passkey", Right::Open),
    post("/login/passkey/ask", Right::Open),
    post("/logout", Right::Any),
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
];

/// Who may use what axum has matched. HEAD counts as GET.
pub fn right_of(method: &Method, path: &str) -> Option<Right> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.method == method && route.path == path).map(|route| route.right)
}
