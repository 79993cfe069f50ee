//! Firmware of the devices, through the gateway: one device of a home at a time, and never a person's only way to call.
//!
//! Enters: the publisher's list and its images, how the devices stand, what people wish. Leaves: a command to the one device that is next,
//! its image over plain HTTP, records of each step, a technical alarm where one came to nothing. The way of an image: [`shelf`] brings and
//! keeps it, [`choose`] says whose turn it is, `pipeline::fleet` tells the device, [`serve`] gives it the bytes, [`state`] is what the
//! journal knows of it.
//!
//! Invariants: nothing is listed that a key of `[update] keys` has not signed; a device fetches only from the address that it alone was
//! told; a restart of the gateway neither tells a second device nor forgets the first. Absent: the judgement of an image's own signature,
//! which is the device's; firmware of what stands behind a bridge.

pub mod choose;
mod patience;
mod serve;
mod shelf;
pub mod state;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use vaka_protocol::{Command, DeviceId};
use vaka_update::devices::Devices;

use crate::config::Config;
use crate::ingest::inbox::{Inbox, Rank};
use crate::journal::record::FirmwareStep;
use crate::pipeline::keeper::{self, Input};

pub use shelf::{is_as_listed, read_image};
pub use work::{Work, start};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Status,
    /// Ask the publisher now.
    Check,
    /// This device now: without waiting for its share or a quiet hour, and again what came to nothing.
    Take {
        device: DeviceId,
        someone_is_there: bool,
    },
    /// No device begins any more, and none fetches on.
    Stop,
    /// A person has looked.
    Resume,
}

/// What there is to give out, as the work found it.
#[derive(Debug, Clone)]
pub struct Offer {
    pub config: Arc<Config>,
    /// Signed, and not expired. Absent: nothing is offered.
    pub list: Option<Devices>,
    /// SHA-256 of the images that are whole here.
    pub here: BTreeSet<String>,
}

/// A question to the journal's thread.
pub enum Ask {
    /// What is due is done, and how everything stands is answered.
    Look { offer: Arc<Offer>, reply: oneshot::Sender<Standing> },
    /// Answered with a word on what it waits for; `Err`: it cannot be.
    Wish { wish: Wish, by: String, offer: Arc<Offer>, reply: oneshot::Sender<Result<String, String>> },
    /// May bytes be sent to whoever knows this path, or, where it has them all, may it restart? `Err`: why not now. `None`: nobody was
    /// told of it, or it is over. `has_bytes`: what the device has by its own word, for it asks for what comes behind.
    May { path: String, has_bytes: u32, offer: Arc<Offer>, reply: oneshot::Sender<May> },
}

/// The answer to [`Ask::May`].
pub type May = Option<Result<Serving, String>>;

/// An image that a device was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    pub path: String,
    pub sha256: String,
    pub size_bytes: u32,
}

/// How the devices stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub devices: Vec<Row>,
    /// Who has stopped it.
    pub stopped: Option<String>,
    #[serde(skip)]
    pub serving: Option<Serving>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub device: DeviceId,
    pub kind: &'static str,
    /// The version that it said it runs.
    pub runs: Option<String>,
    /// The newest that there is for it.
    pub offered: Option<String>,
    /// Of the newest attempt: asked, fetching, restarting, trial, confirmed, failed or silent.
    pub stage: Option<&'static str>,
    pub version: Option<String>,
    pub fetched_bytes: u32,
    pub size_bytes: u32,
    /// UTC milliseconds.
    pub heard_at: Option<i64>,
    /// What it waits for, or why it came to nothing. Empty: nothing is to be said.
    pub why: String,
    /// There is a newer version, and it has not got it.
    pub waits: bool,
    /// It came to nothing, and nobody has looked.
    pub halts: bool,
}

/// What the work last found, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Found>>);

#[derive(Debug, Clone, Default)]
struct Found {
    offer: Option<Arc<Offer>>,
    /// What is wrong with the publisher, its list or its images. Empty: nothing.
    trouble: String,
    is_busy: bool,
}

impl Board {
    fn get(&self) -> Found {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Found)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where wishes are put.
#[derive(Clone)]
pub struct Door {
    pub inbox: Arc<Inbox<Input>>,
    pub board: Board,
    /// Told that the publisher is to be asked now.
    pub check: Arc<Notify>,
    /// Told that something is to be looked at now.
    pub look: Arc<Notify>,
}

impl Door {
    /// How the devices stand, after the wish was put where there is one beyond that.
    ///
    /// # Errors
    /// In words: it cannot be, or firmware is not given out here.
    pub async fn ask(&self, wish: Wish, by: String) -> Result<Value, String> {
        let offer = self.board.get().offer;
        let Some(offer) = offer.filter(|offer| offer.config.firmware.is_some()) else {
            return match wish {
                Wish::Status => Ok(json!({"is_on": false, "devices": []})),
                _ => Err("firmware is not given out here; add [firmware] to vaka.toml, then reload".to_owned()),
            };
        };
        let mut said = String::new();
        match &wish {
            Wish::Status => {}
            Wish::Check => {
                self.board.set(|found| found.is_busy = true);
                self.check.notify_one();
            }
            Wish::Take { .. } | Wish::Stop | Wish::Resume => {
                said = put(&self.inbox, |reply| Ask::Wish { wish, by, offer: offer.clone(), reply }).await??;
                self.look.notify_one();
            }
        }
        // Looked at after the next commit: the wish is on the disk then.
        let (reply, answer) = oneshot::channel();
        let look = move |keeper: &keeper::Keeper| drop(reply.send(keeper.fleet_standing(&offer)));
        self.inbox.put([(Rank::Usual, Input::Ask(keeper::Ask::See(Box::new(look))))]);
        let standing = answer.await.map_err(|_| gone())?;
        let found = self.board.get();
        let mut shown = serde_json::to_value(&standing).map_err(|e| e.to_string())?;
        shown["is_on"] = true.into();
        shown["said"] = said.into();
        shown["trouble"] = found.trouble.into();
        shown["busy"] = found.is_busy.into();
        Ok(shown)
    }
}

/// Puts a question to the journal's thread.
async fn put<T>(inbox: &Inbox<Input>, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, String> {
    let (reply, answer) = oneshot::channel();
    inbox.put([(Rank::Usual, Input::Ask(keeper::Ask::Firmware(question(reply))))]);
    answer.await.map_err(|_| gone())
}

fn gone() -> String {
    "the gateway is stopping".to_owned()
}

/// The command that a step means for a device, and when it must have begun, UTC milliseconds.
pub fn command(step: &FirmwareStep) -> Option<(DeviceId, i64, Command)> {
    let FirmwareStep::Asked { device, version, url, size_bytes, sha256, expires_at } = step else { return None };
    let command = Command::Update {
        version: version.as_str().into(),
        url: url.as_str().try_into().ok()?,
        size_bytes: *size_bytes,
        sha256: sha256.as_str().try_into().ok()?,
    };
    Some((device.clone(), *expires_at, command))
}
