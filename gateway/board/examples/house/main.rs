//! A house to look at: every page of the board over plain HTTP on this machine, with rows in memory and no log-in.
//!
//! `cargo run -p vaka-board --example house [PORT]`, then http://127.0.0.1:PORT/. Who looks is the cookie `as`: a role, and after a
//! dot their unit (`night`, `staff.parken`, `auditor`). `POST /house/press` presses a button, `/house/dead` and `/house/alive` stop
//! and start the gateway's answers. An example only: it opens everything to whoever can reach the port.

#[path = "mod.rs"]
mod house;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use house::gateway::House;
use house::{board, rows, session};
use vaka_board::auth::Role;
use vaka_board::gateway::Gateway;
use vaka_board::pages;
use vaka_protocol::Lane;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8480);
    let house = Arc::new(House::new());
    let own = Router::new().route("/house/{what}", post(control)).with_state(Arc::clone(&house));
    let board = board(Arc::clone(&house)).map_err(std::io::Error::other)?;
    let app = pages::router().with_state(board).merge(own);
    let app = app.layer(from_fn_with_state(house, somebody));
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await
}

/// In place of the log-in: whoever the cookie says.
async fn somebody(State(house): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    let cookies = request.headers().get(header::COOKIE).and_then(|line| line.to_str().ok()).unwrap_or_default();
    let who = cookies.split(';').find_map(|pair| pair.trim().strip_prefix("as=")).unwrap_or("night").to_owned();
    if who == "nobody" && !request.uri().path().starts_with("/assets") && request.method() != Method::POST {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (role, unit) = who.split_once('.').unwrap_or((&who, "*"));
    let role = Role::ALL.into_iter().find(|one| one.as_str() == role).unwrap_or(Role::Night);
    request.extensions_mut().insert(session(role, &[unit], &house));
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn control(
    State(house): State<Arc<House>>,
    axum::extract::Path(what): axum::extract::Path<String>,
) -> StatusCode {
    match what.as_str() {
        "dead" => house.dead.store(true, Ordering::SeqCst),
        "alive" => house.dead.store(false, Ordering::SeqCst),
        "press" => {
            let at = house.now_ms();
            house.put(rows::alarm(&format!("01jd-new-{at}"), Lane::Life, at, "r8", Some("hagalund")));
        }
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}
