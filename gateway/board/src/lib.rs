//! The staff board: who is waiting for somebody, the night round, residents, devices, people and the log.
//!
//! Enters: HTTPS from browsers and programs, and what [`gateway::Gateway`] tells. Leaves: pages, `/api/v1`, server-sent events,
//! and acts with a person's id. It runs on threads and a runtime of its own: it can die or be flooded, and no event, alarm or
//! receipt waits for it.
//! Invariant: no route answers that does not stand in [`routes::ROUTES`] with who may use it.

pub mod auth;
pub mod gateway;
pub mod limits;
pub mod pages;
pub mod routes;
pub mod server;
pub mod settings;

use std::sync::Arc;

use gateway::Gateway;
use settings::Settings;

/// Everything a request needs.
pub struct Board {
    pub gateway: Arc<dyn Gateway>,
    pub settings: Settings,
    pub sessions: auth::Sessions,
    pub people: auth::people::People,
    pub doors: auth::Doors,
}

impl Board {
    /// # Errors
    /// [`auth::people::PeopleError`]: `people.toml` or the keys beside it are wrong; it names the line.
    pub fn open(gateway: Arc<dyn Gateway>, settings: Settings) -> Result<Self, auth::people::PeopleError> {
        let people = auth::people::People::open(&settings.people, (&settings).into())?;
        let sessions = auth::Sessions::new(settings.idle_min);
        Ok(Board { gateway, settings, sessions, people, doors: auth::Doors::default() })
    }
}
