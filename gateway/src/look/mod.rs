//! Looks through cameras, carried out: the light first, then the picture, then nothing.
//!
//! Enters: what the keeper has granted, a viewer. Leaves: frames, one at a time, to that viewer alone; records of the end. Invariants:
//! a camera is opened only for a look or a check that is on the disk, and after the resident's light has answered; a grant opens one
//! picture, once, for one person; at its end, at a no and when the viewer goes, the camera is closed. Absent: a place where a frame stays.
//! A home's hub looks through the home (`abroad`, and `there` at the hub). Who may look is decided in [`crate::rules::care::look`].

mod abroad;
mod carry;
mod checks;
mod line;
mod there;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::SecureRandom;
use tokio::sync::{mpsc, oneshot, watch};
use vaka_board::gateway::{Granted, LookPart};
use vaka_protocol::DeviceId;

use crate::config::Config;
use crate::ingest::inbox::{Inbox, Rank};
use crate::limits::{LOOK_END_RETRY_MS, LOOK_SETUP_MS};
use crate::pipeline::export::hex;
use crate::pipeline::keeper::{Ask, Input, Keeper, NotSigned};
use crate::rules::care::look::{OpenLook, Wish};
use crate::rules::orders;
pub use abroad::carry_for_hubs;
pub use checks::{Tried, keep_checking};
pub use there::{ThereWish, hear_homes};

/// Bytes of a grant's token. Source: our choice; nobody guesses 256 bits within [`LOOK_SETUP_MS`].
const TOKEN_BYTES: usize = 32;
/// Bytes of what a home says at its hub's door. The home's certificate proves who it is: this says only which look.
const CALL_BYTES: usize = 16;
/// Time to hand the last word to a viewer who reads slowly, in milliseconds. Beyond: the stream just ends. Source: our choice.
const LAST_WORD_MS: u64 = 1_000;

/// Why nobody looks.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Refused(#[from] NotSigned),
    #[error("opening the look: the grant was used, has ended, or is somebody else's; ask for the look anew")]
    NoGrant,
    #[error("opening the look: the gateway is stopping")]
    Stopping,
    #[error("opening the look: {0}")]
    Camera(String),
    #[error("checking the camera: it was closed again, because somebody looks or the resident said no; try it later")]
    GaveWay,
    #[error("ordering the look of the home: {}", .0.said().1)]
    NotOrdered(orders::Why),
    #[error("ordering the look of the home: the journal could not be written; try again")]
    Disk,
    #[error("telling the home what was seen: {}", orders::said(.0).1)]
    NotTaken(String),
    #[error(
        "telling the home what was seen: it has not answered yet; your word is on its way, and the round asks again if it does not arrive"
    )]
    OnItsWay,
}

/// As hexadecimal digits, so many bytes that nobody guesses.
fn random(bytes: usize) -> Result<String, LookError> {
    let mut token = vec![0; bytes];
    let random = ring::rand::SystemRandom::new().fill(&mut token);
    random.map_err(|_| LookError::Camera("the machine gives no random numbers".to_owned()))?;
    Ok(hex(&token))
}

/// How it stands once it is so. `None`: the gateway is stopping.
async fn until(state: &mut watch::Receiver<OpenLook>, is_so: impl FnMut(&OpenLook) -> bool) -> Option<OpenLook> {
    state.wait_for(is_so).await.ok().map(|state| state.clone())
}

/// One grant that nobody has used yet.
struct Grant {
    by: String,
    viewer: oneshot::Sender<mpsc::Sender<LookPart>>,
}

/// The looks of this gateway.
pub struct Looks {
    inbox: Arc<Inbox<Input>>,
    config: watch::Receiver<Arc<Config>>,
    grants: Mutex<BTreeMap<String, Grant>>,
    /// At a hub: viewers that wait for a home, by what it says.
    calls: Mutex<BTreeMap<String, there::Call>>,
}

impl Looks {
    pub fn new(inbox: Arc<Inbox<Input>>, config: watch::Receiver<Arc<Config>>) -> Arc<Self> {
        Arc::new(Looks { inbox, config, grants: Mutex::default(), calls: Mutex::default() })
    }

    /// A map is whole after every statement, so a panic elsewhere spoils nothing.
    fn grants(&self) -> MutexGuard<'_, BTreeMap<String, Grant>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Looks::grants`].
    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, there::Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, ask: Ask) {
        self.inbox.put([(Rank::Urgent, Input::Ask(ask))]);
    }

    async fn ask<T>(&self, rank: Rank, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, LookError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.put([(rank, Input::Ask(question(reply)))]);
        answer.await.map_err(|_| LookError::Stopping)
    }

    /// Has it recorded. Leaves: the number of the look.
    pub async fn wish(&self, wish: Wish, by: &str) -> Result<u64, LookError> {
        let by = by.to_owned();
        Ok(self.ask(Rank::Urgent, |reply| Ask::Look { wish, by, reply }).await??)
    }

    /// Looks at what the journal has folded to.
    async fn see<T: Send + 'static>(&self, look: impl FnOnce(&Keeper) -> T + Send + 'static) -> Result<T, LookError> {
        let question = |reply: oneshot::Sender<T>| {
            Ask::See(Box::new(move |keeper: &Keeper| {
                // Whoever asked may have gone away.
                let _ = reply.send(look(keeper));
            }))
        };
        self.ask(Rank::Usual, question).await
    }

    fn watch(&self, look: u64) -> watch::Receiver<OpenLook> {
        let (to, state) = watch::channel(OpenLook::default());
        self.tell(Ask::LookWatch { look, to });
        state
    }

    fn camera(&self, id: &DeviceId) -> Result<(crate::config::Camera, vaka_camera::Camera), String> {
        let config = self.config.borrow().clone();
        let camera = config.cameras.get(id).ok_or_else(|| format!("there is no camera {id} in vaka.toml"))?;
        Ok((camera.clone(), camera.open()?))
    }

    /// Records a look and lights the light; the picture waits for the viewer, [`LOOK_SETUP_MS`] at most.
    ///
    /// # Errors
    /// [`LookError`]: nothing was opened.
    pub async fn open(self: &Arc<Self>, wish: Wish, by: &str) -> Result<Granted, LookError> {
        // A phone that loses its network drops this future: what was recorded and lit is ended all the same.
        let (room, by) = (Arc::clone(self), by.to_owned());
        let granting = tokio::spawn(async move { room.grant(wish, by).await });
        granting.await.map_err(|_| LookError::Stopping)?
    }

    async fn grant(self: &Arc<Self>, wish: Wish, by: String) -> Result<Granted, LookError> {
        let token = random(TOKEN_BYTES)?;
        let look = self.wish(wish, &by).await?;
        let asked = match self.see(move |keeper| keeper.state().care.look.get(look).cloned()).await {
            Ok(Some(asked)) => asked,
            missing => {
                self.end(look, "unused".to_owned(), 0).await;
                return Err(missing.err().unwrap_or(LookError::NoGrant));
            }
        };
        let (viewer, comes) = oneshot::channel();
        self.grants().insert(token.clone(), Grant { by, viewer });
        let seconds = asked.asked.look_ms / 1_000;
        let room = Arc::clone(self);
        let granted = Granted { look, token: token.clone(), seconds };
        tokio::spawn(async move {
            let wait = Duration::from_millis(LOOK_SETUP_MS as u64);
            let viewer = tokio::time::timeout(wait, comes).await;
            room.grants().remove(&token);
            let (why, shown_ms) = match viewer {
                Ok(Ok(viewer)) => carry::carry_out(&room, look, &asked, viewer).await,
                _ => ("unused".to_owned(), 0),
            };
            room.end(look, why, shown_ms).await;
        });
        Ok(granted)
    }

    /// The picture of a grant: once, and to whom it was granted.
    ///
    /// # Errors
    /// [`LookError::NoGrant`].
    pub fn redeem(&self, token: &str, by: &str) -> Result<mpsc::Receiver<LookPart>, LookError> {
        let grant = {
            let mut grants = self.grants();
            match grants.get(token) {
                Some(grant) if grant.by == by => grants.remove(token),
                _ => None,
            }
        };
        let (to, parts) = mpsc::channel(1);
        let grant = grant.ok_or(LookError::NoGrant)?;
        grant.viewer.send(to).map_err(|_| LookError::NoGrant)?;
        Ok(parts)
    }

    /// Recorded whatever happens, or tried again: an end that nobody knows of leaves a light on.
    async fn end(&self, look: u64, why: String, shown_ms: u64) {
        loop {
            match self.wish(Wish::End { look, shown_ms, why: why.clone() }, "gateway").await {
                Err(LookError::Refused(NotSigned::Disk)) => {
                    tokio::time::sleep(Duration::from_millis(LOOK_END_RETRY_MS)).await
                }
                Err(e) => return tracing::error!(look, "the end of a look is not recorded: {e}"),
                Ok(_) => return,
            }
        }
    }
}
