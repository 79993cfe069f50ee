//! What people see. Server-made HTML that reads without a script; a script keeps it live.
//!
//! Enters: requests that the middleware has let through, with their [`crate::auth::Session`]. Leaves: pages, fragments as events,
//! redirects after a POST. Invariants: a row is shown only through [`seen`]; what is read of a person is traced before it leaves;
//! no style, script or name of a person stands in a page unless somebody tapped for that name.

mod acts;
mod alarms;
mod article;
pub mod assets;
mod check;
mod devices;
pub(crate) mod events;
pub mod frame;
mod handover;
pub mod keys;
mod list;
pub mod live;
mod log;
pub mod login;
mod look;
mod names;
mod orders;
pub mod people;
mod plot;
mod qr;
mod residents;
mod round;
pub mod seen;
mod settings;
pub mod times;
pub mod trouble;
pub mod view;
mod visit;
pub mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::Form;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::Board;
use view::Theme;

/// Every page, asset and act of a page. Who may use which stands in [`crate::routes::ROUTES`].
pub fn router() -> Router<Arc<Board>> {
    Router::new()
        .route("/", get(alarms::home))
        .route("/alarms", get(alarms::all))
        .route("/alarms/{id}", get(alarms::one))
        .route("/alarms/{id}/claim", post(acts::claim))
        .route("/alarms/{id}/close", post(acts::close))
        .route("/alarms/{id}/escalate", post(acts::escalate))
        .route("/alarms/{id}/hand-over", post(acts::hand_over))
        .route("/alarms/{id}/note", post(acts::note))
        .route("/alarms/{id}/lock", post(orders::lock))
        .route("/alarms/{id}/say", post(orders::say))
        .route("/alarms/{id}/unlock", post(orders::unlock))
        .route("/devices/{id}/settings", post(orders::settings))
        .route("/assets/{name}", get(assets::get))
        .route("/check", get(check::check))
        .route("/devices", get(devices::devices))
        .route("/devices/new", get(devices::new).post(devices::invite))
        .route("/devices/{id}/revoke", post(devices::revoke))
        .route("/events", get(events::events))
        .route("/log", get(log::log))
        .route("/log/export", get(log::export))
        .route("/look/alarm/{id}", get(look::alarm).post(look::open_alarm))
        .route("/look/clear", post(look::unveil))
        .route("/look/said", post(look::said))
        .route("/look/stream", post(look::stream))
        .route("/look/{slot}", get(look::slot).post(look::open_slot))
        .route("/manifest.webmanifest", get(assets::manifest))
        .route("/night", get(round::night))
        .route("/night/handover", get(handover::handover))
        .route("/night/sign", post(round::signed))
        .route("/residents", get(residents::residents))
        .route("/residents/{id}", get(residents::one))
        .route("/residents/{id}/doses/{slot}/release", post(residents::release))
        .route("/residents/{id}/extract", get(log::extract))
        .route("/residents/{id}/name", post(names::reveal))
        .route("/residents/{id}/name/set", post(names::set))
        .route("/residents/{id}/settings", post(residents::change))
        .route("/residents/{id}/withdraw", post(residents::withdraw))
        .route("/sw.js", get(assets::worker))
        .route("/theme", post(theme))
        .route("/visit", get(visit::visit).post(visit::step))
        .route("/visit/protocol/{form}", get(visit::protocol))
}

#[derive(Debug, Deserialize)]
struct Chosen {
    theme: String,
    #[serde(default)]
    back: String,
}

/// Light or dark, for a year, and back to the page it was chosen on.
async fn theme(Form(chosen): Form<Chosen>) -> Response {
    let theme = Theme::of(&chosen.theme).as_str();
    let cookie = format!("{}={theme}; Path=/; Max-Age=31536000; SameSite=Lax; Secure; HttpOnly", Theme::COOKIE);
    ([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&chosen.back))).into_response()
}

/// A path of this board: what could lead elsewhere is the first page.
fn own_path(path: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let is_own = path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain);
    if is_own { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn a_choice_of_theme_never_leads_elsewhere() {
        for own in ["/", "/alarms/01J-a", "/night"] {
            assert_eq!(own_path(own), own);
        }
        for other in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a b", "/a?b=c"] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
