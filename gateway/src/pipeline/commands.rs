//! Commands that devices still owe a `done` for.
//!
//! A command's id is made from the sequence number of the record that caused it: no record of its own, and the same id
//! after every replay. Delivered at every new session until `done` or expiry; bounded per device.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{Command, CommandMessage, DeviceId, decode_command, encode_command_json};

use crate::limits::COMMANDS_PER_DEVICE_MAX;

/// Commands that one record may cause; the id's low bits.
const PER_RECORD: u64 = 256;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Commands {
    open: BTreeMap<DeviceId, BTreeMap<u64, Open>>,
}

/// A command as the wire has it: one form to keep, whatever the version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Open(CommandMessage);

impl From<Open> for String {
    fn from(open: Open) -> String {
        encode_command_json(&open.0)
    }
}

impl TryFrom<String> for Open {
    type Error = vaka_protocol::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        decode_command(text.as_bytes()).map(Open)
    }
}

impl Commands {
    /// What this device is owed is taken back.
    pub fn forget(&mut self, device: &DeviceId) {
        self.open.remove(device);
    }

    /// The id of the `index`-th command caused by the record `cause`.
    pub fn id(cause: u64, index: usize) -> u64 {
        cause * PER_RECORD + index as u64 % PER_RECORD
    }

    /// The record that caused the command of this id.
    pub fn cause(id: u64) -> u64 {
        id / PER_RECORD
    }

    /// Opens a command. A receipt takes the place of an older one for the same event: only the highest rung matters; and a schedule that of
    /// the schedule before it.
    ///
    /// Answers the ids of those it stands in place of.
    pub fn issue(&mut self, device: &DeviceId, mut message: CommandMessage, now_ms: i64) -> Vec<u64> {
        let open = self.open.entry(device.clone()).or_default();
        open.retain(|_, older| older.0.expires_at > now_ms);
        let is_old = |(id, older): (&u64, &Open)| supersedes(&message.command, &older.0.command).then_some(*id);
        let replaced: Vec<u64> = open.iter().filter_map(is_old).collect();
        for older in replaced.iter().filter_map(|id| open.remove(id)) {
            keep_settings(&mut message.command, &older.0.command);
        }
        while open.len() >= COMMANDS_PER_DEVICE_MAX {
            let receipt = open.iter().find(|(_, m)| matches!(m.0.command, Command::Receipt { .. })).map(|(&id, _)| id);
            let Some(oldest) = receipt else { return replaced };
            open.remove(&oldest);
        }
        open.insert(message.id, Open(message));
        replaced
    }

    /// The device has executed or refused it.
    pub fn done(&mut self, device: &DeviceId, id: u64) {
        if let Some(open) = self.open.get_mut(device) {
            open.remove(&id);
            if open.is_empty() {
                self.open.remove(device);
            }
        }
    }

    /// What the device still has to hear, oldest first. An expired command is never among it.
    pub fn owed(&self, device: &DeviceId, now_ms: i64) -> impl Iterator<Item = &CommandMessage> {
        let open = self.open.get(device).into_iter().flat_map(BTreeMap::values).map(|open| &open.0);
        open.filter(move |message| message.expires_at > now_ms)
    }
}

fn supersedes(newer: &Command, older: &Command) -> bool {
    match (newer, older) {
        (
            Command::Receipt { restart, seq, alarm, .. },
            Command::Receipt { restart: older_restart, seq: older_seq, alarm: older_alarm, .. },
        ) => (restart, seq, alarm) == (older_restart, older_seq, older_alarm),
        // An old schedule after a new one would be the old one again.
        (Command::Schedule { .. }, Command::Schedule { .. }) => true,
        // Unlock, then lock, while the door was out of reach: it does not open first.
        (Command::Lock { .. }, Command::Lock { .. }) => true,
        (Command::Settings { .. }, Command::Settings { .. }) => true,
        _ => false,
    }
}

/// What the older settings said, and the newer do not.
fn keep_settings(newer: &mut Command, older: &Command) {
    let (
        Command::Settings { heartbeat_interval_s, position_interval_s, volume_percent, language },
        Command::Settings {
            heartbeat_interval_s: heartbeat,
            position_interval_s: position,
            volume_percent: volume,
            language: spoken,
        },
    ) = (newer, older)
    else {
        return;
    };
    *heartbeat_interval_s = heartbeat_interval_s.or(*heartbeat);
    *position_interval_s = position_interval_s.or(*position);
    *volume_percent = volume_percent.or(*volume);
    if language.is_none() {
        *language = spoken.clone();
    }
}
