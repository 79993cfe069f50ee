//! Cameras checked ahead of each look-in, so that one that is dark is known while somebody can still go there.
//!
//! Enters: what is due, by the keeper's clock. Leaves: records of what each check found. Invariant: as a look, a check is on the disk and
//! its light is on before the camera is opened; no picture leaves [`vaka_camera::check`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tracing::{error, warn};

use super::{LookError, Looks};
use crate::limits::LOOK_SETUP_MS;
use crate::rules::care::look::{Due, Wish, checks_due};

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
                if let Err(e) = check(&looks, &due).await {
                    // Somebody looks just now, or said no.
                    warn!(camera = %due.camera, "not checked: {e}");
                }
            });
        }
    }
}

async fn check(looks: &Looks, due: &Due) -> Result<(), LookError> {
    let wish = Wish::Check { resident: due.resident.clone(), slot_at: due.slot_at };
    let look = looks.wish(wish, BY).await?;
    let mut state = looks.watch(look);
    let found = {
        let ended = async {
            let lit = super::until(&mut state, |state| state.is_lit || state.is_refused || state.must_end);
            let lit = tokio::time::timeout(Duration::from_millis(LOOK_SETUP_MS as u64), lit).await;
            if !matches!(lit, Ok(Some(state)) if state.is_lit && !state.must_end) {
                return Some(("no_light", None));
            }
            let (camera, opened) = match looks.camera(&due.camera) {
                Ok(opened) => opened,
                Err(e) => {
                    error!(camera = %due.camera, "a check is due and there is no camera: {e}");
                    return Some(("no_camera", None));
                }
            };
            tokio::select! {
                checked = vaka_camera::check(&opened, &camera.references) => Some(match checked {
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
            looks.wish(Wish::Checked { look, found, reference }, BY).await.map(|_| ())
        }
        None => Ok(()),
    };
    // Ended whatever became of the finding: its light goes out.
    looks.end(look, why.to_owned(), 0).await;
    told
}
