//! What is known of the firmware of the devices: a fold of the journal.
//!
//! Enters: steps of the gateway and words of people ([`Firmware`] records), and what devices say: their versions, and what became of a
//! command. Leaves: how each device stands. Invariant: a step of an attempt that has ended, or is another's, changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event, Outcome};

use crate::journal::record::{Firmware, FirmwareStep};

/// What is remembered.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// What each device said at its last start.
    versions: BTreeMap<DeviceId, String>,
    /// The newest attempt of each device.
    attempts: BTreeMap<DeviceId, Attempt>,
    /// Who has stopped all of it.
    stopped: Option<String>,
    /// With whose resident somebody is, until when, UTC milliseconds.
    someone: BTreeMap<DeviceId, i64>,
    /// Devices that a person wants updated now.
    wanted: BTreeMap<DeviceId, String>,
}

/// A device was told to take an image, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The record that told it: the command's id is made of it.
    pub record: u64,
    pub version: String,
    pub sha256: String,
    pub size_bytes: u32,
    /// The last part of its address, which only this device was told.
    pub path: String,
    pub stage: Stage,
    /// When it was told, UTC milliseconds.
    pub asked_at: i64,
    /// When anything was heard of it last.
    pub heard_at: i64,
    /// Bytes that it had then, by its own word: it asked for what comes behind them.
    pub fetched_bytes: u32,
    /// Why it came to nothing; empty until it has.
    pub why: String,
    /// A person has looked at how it failed.
    pub looked: bool,
    /// A person wants it now: nights and quiet times do not hold it.
    #[serde(default)]
    pub by_hand: bool,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Told; it has not fetched a byte.
    Asked,
    Fetching,
    /// It has proven the whole image, and was told that it may restart.
    Restarting,
    /// The new firmware runs, and has still to keep itself.
    Trial,
    Confirmed,
    /// It answered that it will not, or could not.
    Failed,
    /// Nothing more was heard of it.
    Silent,
}

impl Stage {
    pub const ALL: [Stage; 7] = [
        Stage::Asked,
        Stage::Fetching,
        Stage::Restarting,
        Stage::Trial,
        Stage::Confirmed,
        Stage::Failed,
        Stage::Silent,
    ];

    pub fn is_under_way(self) -> bool {
        matches!(self, Stage::Asked | Stage::Fetching | Stage::Restarting | Stage::Trial)
    }

    pub fn has_failed(self) -> bool {
        matches!(self, Stage::Failed | Stage::Silent)
    }

    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Asked => "asked",
            Stage::Fetching => "fetching",
            Stage::Restarting => "restarting",
            Stage::Trial => "trial",
            Stage::Confirmed => "confirmed",
            Stage::Failed => "failed",
            Stage::Silent => "silent",
        }
    }
}

impl Fleet {
    pub fn version(&self, device: &DeviceId) -> Option<&str> {
        self.versions.get(device).map(String::as_str)
    }

    pub fn attempt(&self, device: &DeviceId) -> Option<&Attempt> {
        self.attempts.get(device)
    }

    pub fn attempts(&self) -> impl Iterator<Item = (&DeviceId, &Attempt)> {
        self.attempts.iter()
    }

    /// The one device that is being updated.
    pub fn under_way(&self) -> Option<(&DeviceId, &Attempt)> {
        self.attempts.iter().find(|(_, attempt)| attempt.stage.is_under_way())
    }

    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Somebody is with the device's resident now.
    pub fn has_someone(&self, device: &DeviceId, now_ms: i64) -> bool {
        self.someone.get(device).is_some_and(|until| now_ms < *until)
    }

    pub fn is_wanted(&self, device: &DeviceId) -> bool {
        self.wanted.contains_key(device)
    }

    /// The device's own records are unreadable from now on, or another's.
    pub fn forget(&mut self, device: &DeviceId) {
        self.versions.remove(device);
        self.attempts.remove(device);
        self.someone.remove(device);
        self.wanted.remove(device);
    }

    /// Folds a record in. `record`: its number; `at`: when it was written, UTC milliseconds.
    pub fn apply(&mut self, record: u64, firmware: &Firmware, at: i64) {
        match &firmware.step {
            FirmwareStep::Asked { device, version, url, size_bytes, sha256, .. } => {
                let by_hand = self.wanted.remove(device).is_some();
                let path = url.rsplit('/').next().unwrap_or_default().to_owned();
                let attempt = Attempt {
                    record,
                    version: version.clone(),
                    sha256: sha256.clone(),
                    size_bytes: *size_bytes,
                    path,
                    stage: Stage::Asked,
                    asked_at: at,
                    heard_at: at,
                    fetched_bytes: 0,
                    why: String::new(),
                    looked: false,
                    by_hand,
                };
                self.attempts.insert(device.clone(), attempt);
            }
            FirmwareStep::Fetched { device, bytes } => {
                let Some(attempt) = self.open(device) else { return };
                (attempt.heard_at, attempt.fetched_bytes) = (at, *bytes);
                if attempt.stage != Stage::Trial {
                    attempt.stage = Stage::Fetching;
                }
            }
            FirmwareStep::Restarts { device } => {
                let Some(attempt) = self.open(device) else { return };
                (attempt.heard_at, attempt.fetched_bytes) = (at, attempt.size_bytes);
                if attempt.stage != Stage::Trial {
                    attempt.stage = Stage::Restarting;
                }
            }
            FirmwareStep::Silent { device, why } => {
                let Some(attempt) = self.open(device) else { return };
                (attempt.stage, attempt.why) = (Stage::Silent, why.clone());
            }
            FirmwareStep::Someone { device, until } => {
                self.someone.insert(device.clone(), *until);
            }
            FirmwareStep::Wanted { device } => {
                if let Some(attempt) = self.open(device) {
                    attempt.by_hand = true;
                    return;
                }
                self.wanted.insert(device.clone(), firmware.by.clone());
                if let Some(attempt) = self.attempts.get_mut(device) {
                    attempt.looked = true;
                }
            }
            FirmwareStep::Stopped {} => {
                self.stopped = Some(firmware.by.clone());
                self.wanted.clear();
            }
            FirmwareStep::Resumed {} => {
                self.stopped = None;
                self.attempts.values_mut().for_each(|attempt| attempt.looked = true);
            }
        }
    }

    /// What a device says itself. `cause`: the record whose command an answer is about.
    pub fn see(&mut self, device: &DeviceId, event: &Event, cause: impl Fn(u64) -> u64, at: i64) {
        match event {
            Event::Started { version, .. } => {
                self.versions.insert(device.clone(), version.as_str().to_owned());
                if let Some(attempt) = self.open(device).filter(|attempt| attempt.version == version.as_str()) {
                    (attempt.stage, attempt.heard_at) = (Stage::Trial, at);
                }
            }
            // Said before the answer, which has one word alone.
            Event::Fault { part, active: true } => {
                let why = part.as_str().strip_prefix("update: ");
                if let (Some(why), Some(attempt)) = (why, self.open(device)) {
                    (attempt.why, attempt.heard_at) = (why.to_owned(), at);
                }
            }
            Event::Done { id, outcome } => {
                let is_its = |attempt: &&mut Attempt| attempt.record == cause(*id);
                // Also of one that was given up: it is late, and true.
                let known = self.attempts.get_mut(device).filter(is_its);
                let Some(attempt) = known.filter(|attempt| attempt.stage != Stage::Confirmed) else { return };
                attempt.heard_at = at;
                if matches!(outcome, Outcome::Done) {
                    (attempt.stage, attempt.fetched_bytes) = (Stage::Confirmed, attempt.size_bytes);
                    attempt.why.clear();
                } else {
                    attempt.stage = Stage::Failed;
                    let word = outcome.as_str();
                    attempt.why =
                        if attempt.why.is_empty() { word.to_owned() } else { format!("{word}: {}", attempt.why) };
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, device: &DeviceId) -> Option<&mut Attempt> {
        self.attempts.get_mut(device).filter(|attempt| attempt.stage.is_under_way())
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
