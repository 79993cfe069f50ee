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
                // A no comes before whatever the camera did at that moment.
                biased;
                _ = super::until(&mut state, |state| state.must_end) => None,
                checked = vaka_camera::check(&opened, &config.references) => Some(match checked {
                    Ok(checked) => (checked.state.word(), checked.reference),
                    Err(fault) => (fault.word(), None),
                }),
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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc;

    use super::*;
    use crate::config::Config;
    use crate::ingest::inbox::Inbox;
    use crate::pipeline::keeper::{Ask, Input, NotSigned};
    use crate::rules::care::look::OpenLook;

    /// What the keeper says of the check that is under way.
    #[derive(Clone, Copy)]
    enum Says {
        Lit,
        Refused,
        /// The resident says no, or somebody looks, before the lamp has answered.
        Over,
        /// The same, while the camera is open.
        OverWhenOpen,
        /// It is stopping: nothing more is said.
        Nothing,
    }

    /// Answers as the keeper does until a check has ended; `refuses`: wishes that find no place on the disk, each once. Leaves: what was wished, in order.
    fn keep(inbox: Arc<Inbox<Input>>, says: Says, mut refuses: Vec<&'static str>, camera: TcpListener) -> Vec<String> {
        let mut wished = Vec::new();
        loop {
            let mut batch = Vec::new();
            inbox.take(1, Duration::from_millis(100), &mut batch);
            for input in batch {
                match input {
                    Input::Ask(Ask::Look { wish, reply, .. }) => {
                        let (word, told) = match wish {
                            Wish::Try { .. } => ("try", "try".to_owned()),
                            Wish::Checked { found, .. } => ("checked", format!("checked {found}")),
                            Wish::End { shown_ms: 0, why, .. } => ("end", format!("end {why}")),
                            other => panic!("{other:?}"),
                        };
                        wished.push(told);
                        let refused = refuses.iter().position(|refused| *refused == word).map(|at| refuses.remove(at));
                        let _ = reply.send(if refused.is_some() { Err(NotSigned::Disk) } else { Ok(7) });
                        if word == "end" && refused.is_none() {
                            return wished;
                        }
                    }
                    Input::Ask(Ask::LookWatch { to, .. }) => {
                        let lit = OpenLook { is_lit: true, ..OpenLook::default() };
                        let over = OpenLook { must_end: true, ..lit.clone() };
                        match says {
                            Says::Lit => _ = to.send_replace(lit),
                            Says::Refused => _ = to.send_replace(OpenLook { is_refused: true, ..OpenLook::default() }),
                            Says::Over => _ = to.send_replace(over),
                            Says::OverWhenOpen => {
                                to.send_replace(lit);
                                let _open = camera.accept().expect("the camera is asked");
                                to.send_replace(over);
                            }
                            Says::Nothing => {}
                        }
                        // Where it stands no watch is dropped while a look is open, but where it stops.
                        if !matches!(says, Says::Nothing) {
                            std::mem::forget(to);
                        }
                    }
                    _ => panic!("another question"),
                }
            }
        }
    }

    fn config(camera: SocketAddr) -> Config {
        let text = format!(
            "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[device]]\nid = \"lamp\"\nkind = \"feedback\"\n\
             [[camera]]\nid = \"cam\"\nlook = \"http://{camera}/snap.jpg\"\nallowed = [\"127.0.0.0/8\"]\nlight = \"lamp\"\n"
        );
        Config::parse(text.as_bytes(), "vaka.toml".as_ref()).expect("a config").0
    }

    /// Tries `id`; `is_there`: something listens where the camera should be. Leaves: what was wished, and what whoever asked hears.
    async fn tried(
        says: Says,
        refuses: &[&'static str],
        id: &str,
        is_there: bool,
    ) -> (Vec<String>, Result<Tried, LookError>) {
        let camera = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = if is_there { camera.local_addr().expect("it") } else { SocketAddr::from(([127, 0, 0, 1], 1)) };
        let inbox = Arc::new(Inbox::default());
        let (_keep, config) = watch::channel(Arc::new(config(address)));
        let looks = Looks::new(inbox.clone(), config);
        let (done, wished) = mpsc::channel();
        let refuses = refuses.to_vec();
        std::thread::spawn(move || done.send(keep(inbox, says, refuses, camera)));
        let heard = looks.try_camera(DeviceId::try_from(id).expect("an id"), "ture").await;
        (wished.recv().expect("the check has ended"), heard)
    }

    #[tokio::test]
    async fn a_check_always_ends_whatever_became_of_it() {
        let (away, there) = (false, true);
        for (what, says, refuses, id, is_there, expected, is_told) in [
            (
                "a camera that is away",
                Says::Lit,
                &[][..],
                "cam",
                away,
                vec!["try", "checked path_down", "end checked"],
                true,
            ),
            ("no such camera", Says::Lit, &[], "cam-2", away, vec!["try", "checked no_camera", "end checked"], true),
            (
                "a lamp that will not",
                Says::Refused,
                &[],
                "cam",
                there,
                vec!["try", "checked no_light", "end checked"],
                true,
            ),
            (
                "over before the lamp",
                Says::Over,
                &[],
                "cam",
                there,
                vec!["try", "checked no_light", "end checked"],
                true,
            ),
            ("over while open", Says::OverWhenOpen, &[], "cam", there, vec!["try", "end gave_way"], false),
            (
                "the gateway stops",
                Says::Nothing,
                &[],
                "cam",
                there,
                vec!["try", "checked no_light", "end checked"],
                true,
            ),
            (
                "a full disk",
                Says::Refused,
                &["checked"],
                "cam",
                there,
                vec!["try", "checked no_light", "end checked"],
                false,
            ),
            (
                "a full disk, for longer",
                Says::Refused,
                &["checked", "end"],
                "cam",
                there,
                vec!["try", "checked no_light", "end checked", "end checked"],
                false,
            ),
        ] {
            let (wished, heard) = tried(says, refuses, id, is_there).await;
            assert_eq!(wished, expected, "{what}");
            assert_eq!(heard.is_ok(), is_told, "{what}: {heard:?}");
        }
    }
}
