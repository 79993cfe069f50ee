//! The parts of the example house, for the example itself and for the tests of the pages.

pub mod gateway;
pub mod rows;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use vaka_board::auth::people::Person;
use vaka_board::auth::{Role, Session, Units};
use vaka_board::gateway::Gateway;
use vaka_board::settings::Settings;
use vaka_board::{Board, StartError};

/// A board on a house.
///
/// # Errors
/// [`StartError`], as the board itself.
pub fn board(house: Arc<gateway::House>) -> Result<Arc<Board>, StartError> {
    // Not there: nobody logs in to an example.
    board_of(house, std::env::temp_dir().join("vaka-house").join("people.toml"))
}

/// The same with the people of this file.
///
/// # Errors
/// As [`board`].
pub fn board_of(house: Arc<gateway::House>, people: PathBuf) -> Result<Arc<Board>, StartError> {
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        host: "localhost".into(),
        cert: None,
        own: ("server.pem".into(), "server.key".into()),
        people,
        idle_min: 15,
        card: None,
        oidc: None,
        totp: false,
        push_services: Vec::new(),
        ntfy: None,
        push_ca: None,
    };
    Board::open(house, settings).map(Arc::new)
}

/// Somebody who has logged in just now.
pub fn session(role: Role, units: &[&str], house: &gateway::House) -> Session {
    let id = match role {
        Role::Night => "natt-07".to_owned(),
        Role::Technician => "tekniker-3".to_owned(),
        role => format!("{}-1", role.as_str()),
    };
    let units = Units(units.iter().map(|unit| (*unit).to_owned()).collect());
    let person = Person { id, name: None, role, units, lang: None, card: None, oidc: None, ended: false };
    let now = house.now_ms();
    Session { person, name: "0123abcd".into(), strong_at: now, way: "passkey", idle_at: now + 15 * 60_000 }
}
