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
mod packed;
pub mod pages;
pub mod push;
pub mod routes;
pub mod seats;
pub mod server;
pub mod settings;
mod unread;

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
    /// How it stands this moment, kept once for all open pages.
    pub live: pages::live::Live,
    /// Which phones are told.
    pub push: push::Store,
}

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    People(#[from] auth::people::PeopleError),
    #[error(transparent)]
    Push(#[from] push::StoreError),
}

impl Board {
    /// # Errors
    /// [`StartError`], naming the file that is in the way, and the line.
    pub fn open(gateway: Arc<dyn Gateway>, settings: Settings) -> Result<Self, StartError> {
        let people = auth::people::People::open(&settings.people, (&settings).into())?;
        let push = push::Store::open(&settings.people)?;
        let sessions = auth::Sessions::new(settings.idle_min);
        Ok(Board { gateway, settings, sessions, people, doors: auth::Doors::default(), live: Default::default(), push })
    }
}

/// What helps somebody who has called: it goes on where the log cannot be written (a full disk), as help must not wait for a disk.
/// An act on an alarm stands in the journal with its person all the same.
const HELPS: [&str; 10] = [
    "read-alarms",
    "follow-alarms",
    "read-alarm",
    "claim",
    "close",
    "hand-over",
    "escalate",
    "note",
    "read-name",
    "read-night",
];

impl Board {
    /// Writes down what is about to be read or done.
    ///
    /// # Errors
    /// [`gateway::Refused`]: it must not be done then, unless it helps somebody who has called.
    pub async fn record(&self, trace: gateway::Trace) -> Result<(), gateway::Refused> {
        let (act, person) = (trace.act.clone(), trace.person.clone());
        match self.gateway.trace(trace).await {
            Err(e) if HELPS.contains(&act.as_str()) => {
                tracing::error!(act, person, "it is done, and is not in the log: {e}");
                Ok(())
            }
            done => done,
        }
    }
}

/// Everything the board answers, behind its one gate.
pub fn router(board: Arc<Board>) -> axum::Router {
    let gate = axum::middleware::from_fn_with_state(board.clone(), auth::gate::gate);
    axum::Router::new()
        .route("/healthz", axum::routing::get(|| async { "ok\n" }))
        .merge(auth::router())
        .merge(pages::router())
        .merge(api::router())
        .merge(push::router())
        .layer(axum::extract::DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(gate)
        .layer(axum::middleware::from_fn(unread::read_on))
        .with_state(board)
}
