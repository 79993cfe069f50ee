//! The staff board: who is waiting for somebody, the night round, residents, devices, people and the log.
//!
//! Enters: HTTPS from browsers and programs, and what [`gateway::Gateway`] tells. Leaves: pages, `/api/v1`, server-sent events,
//! and acts with a person's id. It runs on threads and a runtime of its own: it can die or be flooded, and no event, alarm or
//! receipt waits for it.
//! Invariant: no route answers that does not stand in [`routes::ROUTES`] with who may use it.

pub mod api;
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
    /// How it stands this moment, kept once for all open pages.
    pub live: pages::live::Live,
}

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    People(String),
}

/// Everything the board answers, over any listener.
///
/// # Errors
/// [`StartError`], naming the file that is in the way.
pub fn router(settings: Settings, gateway: Arc<dyn Gateway>) -> Result<axum::Router, StartError> {
    let board = Arc::new(Board {
        gateway,
        settings,
        sessions: auth::Sessions {},
        people: auth::people::People {},
        live: Default::default(),
    });
    Ok(axum::Router::new().merge(pages::router()).merge(api::router()).with_state(board))
}
