//! Cameras checked ahead of each look-in, so that one that is dark is known while somebody can still go there, and when somebody asks for it.
//!
//! Enters: what is due, by the keeper's clock; `vaka camera check`. Leaves: records of what each check found. Invariant: as a look, a check is on the disk and
//! its light is on before the camera is opened; no picture leaves [`vaka_camera::check`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tracing::{error, warn};
use vaka_protocol::DeviceId;

use super::{LookError, Looks};
use crate::limits::LOOK_SETUP_MS;
use crate::rules::care::look::{CameraKnown, Wish, camera_known, checks_due};

/// Time between two looks at what is due, in milliseconds. Source: our choice; each costs the keeper some microseconds for each camera.
const LOOK_MS: u64 = 15_000;
/// Cameras that are checked at once. Beyond: they wait. Source: our choice; decoding one picture takes 10 ms of a core.
const CHECKS_MAX: usize = 8;
/// Who the records name.
const BY: &str = "gateway";

/// Checks what is due, until the gateway stops.
pub async fn keep_checking(looks: Arc<Looks>, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(LOOK_MS));
    let places = Arc::new(Semaphore::new(CHECKS_MAX));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = shutdown.changed() => return,
        }
        if looks.config.borrow().cameras.is_empty() {
            continue;
        }
        let Ok(due) = looks.see(|keeper| checks_due(keeper.view())).await else { return };
        for due in due {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let looks = looks.clone();
            tokio::spawn(async move {
                let _place = place;
                let wish = Wish::Check { resident: due.resident, slot_at: due.slot_at };
                match check(&looks, &due.camera, wish, BY).await {
                    Ok(_) | Err(LookError::GaveWay) => {}
                    // Somebody looks just now, or said no.
                    Err(e) => warn!(camera = %due.camera, "not checked: {e}"),
                }
            });
        }
    }
}

/// A check that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The number of its record.
    pub look: u64,
    /// A stable word: `well`, or what is wrong.
    pub found: String,
    /// The view, to be accepted or not. Absent: there was no picture.
    pub reference: Option<String>,
}

impl Looks {
    /// What is known of the cameras of vaka.toml, none of which is opened for it.
    ///
    /// # Errors
    /// The gateway is stopping.
    pub async fn known(&self) -> Result<BTreeMap<DeviceId, CameraKnown>, LookError> {
        let ids: Vec<DeviceId> = self.config.borrow().cameras.keys().cloned().collect();
        self.see(move |keeper| {
            let known = |id| camera_known(&keeper.state().care, id, keeper.now_ms());
            ids.iter().map(|id| (id.clone(), known(id))).collect()
        })
        .await
    }

    /// Checks a camera now, as before a look-in: recorded first, with its light on, and no picture leaves.
    ///
    /// # Errors
    /// [`LookError`]: it was not opened, or gave way to somebody.
    pub async fn try_camera(&self, camera: DeviceId, by: &str) -> Result<Tried, LookError> {
        check(self, &camera, Wish::Try { camera: camera.clone() }, by).await
    }

    /// As [`Looks::try_camera`]; who takes what it saw as the camera's view from now on, and why, is recorded.
    ///
    /// # Errors
    /// [`LookError`]; also where the check found no view of a room.
    pub async fn accept_view(&self, camera: DeviceId, by: &str, why: String) -> Result<Tried, LookError> {
        let tried = self.try_camera(camera, by).await?;
        let wish = Wish::Accept { look: tried.look, reference: tried.reference.clone().unwrap_or_default(), why };
        self.wish(wish, by).await?;
        Ok(tried)
    }
}

async fn check(looks: &Looks, camera: &DeviceId, wish: Wish, by: &str) -> Result<Tried, LookError> {
    let look = looks.wish(wish, by).await?;
    let mut state = looks.watch(look);
    let found = {
        let ended = async {
            let lit = super::until(&mut state, |state| state.is_lit || state.is_refused || state.must_end);
            let lit = tokio::time::timeout(Duration::from_millis(LOOK_SETUP_MS as u64), lit).await;
            if !matches!(lit, Ok(Some(state)) if state.is_lit && !state.must_end) {
                return Some(("no_light", None));
            }
            let (config, opened) = match looks.camera(camera) {
                Ok(opened) => opened,
                Err(e) => {
                    error!(camera = %camera, "a check is due and there is no camera: {e}");
                    return Some(("no_camera", None));
                }
            };
            tokio::select! {
                checked = vaka_camera::check(&opened, &config.references) => Some(match checked {
                    Ok(checked) => (checked.state.word(), checked.reference),
                    Err(fault) => (fault.word(), None),
                }),
                _ = super::until(&mut state, |state| state.must_end) => None,
            }
        };
        ended.await
    };
    let why = if found.is_some() { "checked" } else { "gave_way" };
    let told = match found {
        Some((word, reference)) => {
            let (found, reference) = (word.to_owned(), reference.map(|reference| reference.to_string()));
            let tried = Tried { look, found: found.clone(), reference: reference.clone() };
            looks.wish(Wish::Checked { look, found, reference }, BY).await.map(|_| tried)
        }
        None => Err(LookError::GaveWay),
    };
    // Ended whatever became of the finding: its light goes out.
    looks.end(look, why.to_owned(), 0).await;
    told
}
