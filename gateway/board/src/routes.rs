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
    get("/healthz", Right::Open),
    get("/login", Right::Open),
    post("/logout", Right::Any),
    get("/", Right::SeeAlarms),
];

/// Who may use what axum has matched. HEAD counts as GET.
pub fn right_of(method: &Method, path: &str) -> Option<Right> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.method == method && route.path == path).map(|route| route.right)
}
