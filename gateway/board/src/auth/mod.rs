//! Who is there, and what they may: log-in, sessions, roles.
//!
//! Enters: requests. Leaves: a [`Session`] for a person who has proven who they are by something they have, or a refusal.
//! Invariants: no password exists; a session is never stored by its cookie but by the cookie's hash; a person without
//! a role for a route is refused before its handler runs.

pub mod book;
pub mod card;
pub mod codes;
pub mod credentials;
pub mod doors;
pub(crate) mod fetch;
mod flows;
pub mod gate;
pub mod invite;
pub mod oidc;
pub mod passkeys;
pub mod people;
pub mod roles;
pub mod secret;
pub mod sessions;
mod throttle;
pub mod tokens;
pub mod totp;

use std::sync::Arc;

use axum::Router;

use crate::Board;
use crate::pages;
use crate::settings::{Card, Settings};

pub use doors::Doors;
pub use roles::{Right, Role, Units};
pub use sessions::{Session, Sessions};
pub(crate) use throttle::place_of;

/// Everything that has to do with who is there.
pub fn router() -> Router<Arc<Board>> {
    pages::login::router().merge(pages::keys::router()).merge(pages::people::router())
}

/// What a browser calls the board: `https://HOST`, with the port where it is not 443.
pub fn origin(settings: &Settings) -> String {
    at(&settings.host, settings.listen.port())
}

/// The same for the card's listener.
pub fn card_origin(settings: &Settings, card: &Card) -> String {
    at(&settings.host, card.listen.port())
}

fn at(host: &str, port: u16) -> String {
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}
