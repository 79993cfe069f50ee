//! What the gateway tells a device. The table of all commands: fields, units, what is refused.
//!
//! Unlike an event, a command is not guessed at: what decides has no default, and nothing that decides is cut.

use serde::{Deserialize, Serialize};

use crate::id::{AlarmId, DeviceId};
use crate::limits::{SCHEDULE_SLOTS_MAX, SHA256_HEX_BYTES, URL_BYTES_MAX};
use crate::text::{Label, Name, Words};
use crate::words::{Light, Rung, Sound};

/// One message on a device's topic `command`. Executed once by its id; the device answers with the event `done`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommandMessage {
    /// Version of the wire format: 1.
    pub v: u8,
    /// The command's id: the sequence number of the record that caused it.
    pub id: u64,
    /// From when on it must not be carried out, UTC milliseconds since 1970.
    pub expires_at: i64,
    /// What is to be done.
    pub command: Command,
}

impl CommandMessage {
    /// A command of this version.
    pub fn new(id: u64, expires_at: i64, command: Command) -> Self {
        Self { v: crate::VERSION, id, expires_at, command }
    }
}

/// What is to be done. On the wire a map with one key, the command's name: `{"locate":{}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[allow(clippy::large_enum_variant, reason = "without an allocator there is nothing to box with")]
pub enum Command {
    /// How far the alarm of one of the device's events has come.
    Receipt {
        /// The event's `restart`.
        restart: u32,
        /// The event's `seq`.
        seq: u64,
        /// The alarm that it raised or joined.
        alarm: AlarmId,
        /// The rung that was reached.
        rung: Rung,
        /// Nobody who has it can prove more by themselves: person not confirmed. Absent: false.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        last: bool,
    },
    /// What the resident shall see and hear; what is absent stays as it is.
    Feedback {
        /// The light.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        light: Option<Light>,
        /// The sound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sound: Option<Sound>,
        /// Plain words for a display.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<Words>,
    },
    /// The doses to come. Replaces the schedule before it.
    Schedule {
        /// In the order of time; at most 8, more is refused.
        slots: heapless::Vec<Slot, SCHEDULE_SLOTS_MAX>,
    },
    /// Remind the resident.
    Reminder {
        /// In plain words.
        #[serde(default)]
        text: Words,
    },
    /// Tell the position now.
    Locate {},
    /// Open or lock a door.
    Lock {
        /// True: unlock. False: lock.
        open: bool,
        /// When it locks again by itself, UTC milliseconds. Absent: at the lock's own time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
        /// For whom: a staff id.
        by: Label,
    },
    /// The camera's shutter.
    Shutter {
        /// True: the camera may see.
        open: bool,
    },
    /// How the device behaves; what is absent stays as it is.
    Settings {
        /// Between two signs of life, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_interval_s: Option<u32>,
        /// Between two positions, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position_interval_s: Option<u32>,
        /// Loudness, 0 to 100.
        #[serde(default, deserialize_with = "crate::fields::percent", skip_serializing_if = "Option::is_none")]
        volume_percent: Option<u8>,
        /// Language of texts, e.g. `sv`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Label>,
    },
    /// To a home, from its hub: what somebody there orders. The home judges it by what is agreed at home, and answers with what became of it.
    Order {
        /// The home's own alarm that it is about. Absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm: Option<AlarmId>,
        /// The home's device. Absent: that of the alarm, or what its resident has of the kind that is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        /// Who orders: a staff id at the hub.
        by: Label,
        /// As what, e.g. `night`.
        role: Label,
        /// Why, in that person's words.
        #[serde(default)]
        purpose: Words,
        /// What is ordered.
        what: Ordered,
    },
    /// Fetch, prove and start another firmware.
    Update {
        /// Its version.
        version: Label,
        /// Where it is; refused beyond 200 bytes.
        url: heapless::String<URL_BYTES_MAX>,
        /// Its length, bytes.
        size_bytes: u32,
        /// Its SHA-256, 64 hexadecimal digits.
        sha256: heapless::String<SHA256_HEX_BYTES>,
    },
    /// A command that this version does not know: the device answers `refused`.
    #[serde(skip_deserializing)]
    Unknown {
        /// Its name, cut to 32 bytes.
        name: Name,
    },
}

/// What a person may order of a device. On the wire a map with one key: `{"unlock":{"open_s":120}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordered {
    /// Open a lock or cabinet.
    Unlock {
        /// It locks again after so many seconds. Absent: as agreed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_s: Option<u16>,
    },
    /// Lock it.
    Lock {},
    /// What the resident shall see and hear, as in the command `feedback`.
    Feedback {
        /// The light.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        light: Option<Light>,
        /// The sound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sound: Option<Sound>,
        /// Plain words for a display.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<Words>,
    },
    /// How the device behaves, as in the command `settings`.
    Settings {
        /// Between two signs of life, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_interval_s: Option<u32>,
        /// Loudness, 0 to 100.
        #[serde(default, deserialize_with = "crate::fields::percent", skip_serializing_if = "Option::is_none")]
        volume_percent: Option<u8>,
        /// Language of texts, e.g. `sv`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Label>,
    },
    /// A look-in by camera, for whoever orders it. The home alone grants it; the picture goes to the hub over a connection that the home opens.
    Look {
        /// Whose look-in: an id, never a name.
        resident: Label,
        /// When that look-in begins, UTC milliseconds: which one it is. 0 where the order names the alarm that it is for.
        at: i64,
        /// Without the veil.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        clear: bool,
        /// What the home says at the hub's door, so that the picture comes to this one viewer. Used once.
        call: Label,
    },
    /// What whoever looked saw.
    Looked {
        /// The command by which the look was ordered.
        id: u64,
        /// `calm`, `needs-visit`, `could-not-tell`.
        outcome: Label,
    },
}

impl Ordered {
    /// Its key on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Ordered::Unlock { .. } => "unlock",
            Ordered::Lock {} => "lock",
            Ordered::Feedback { .. } => "feedback",
            Ordered::Settings { .. } => "settings",
            Ordered::Look { .. } => "look",
            Ordered::Looked { .. } => "looked",
        }
    }
}

/// One dose of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Which dose; the event `dose` names it.
    pub slot: Label,
    /// From when on it may be given out, UTC milliseconds.
    pub opens_at: i64,
    /// Until when, UTC milliseconds; after it a missed dose stays locked until a person releases it.
    pub closes_at: i64,
    /// A person has released a locked dose of this slot: when that one opened, UTC milliseconds. It comes from where that one lies.
    /// Absent: a dose of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<i64>,
}

impl Command {
    /// The command's name: its key on the wire.
    pub fn name(&self) -> &str {
        match self {
            Command::Receipt { .. } => "receipt",
            Command::Feedback { .. } => "feedback",
            Command::Schedule { .. } => "schedule",
            Command::Reminder { .. } => "reminder",
            Command::Locate {} => "locate",
            Command::Lock { .. } => "lock",
            Command::Shutter { .. } => "shutter",
            Command::Settings { .. } => "settings",
            Command::Order { .. } => "order",
            Command::Update { .. } => "update",
            Command::Unknown { name } => name,
        }
    }

    /// A device without a clock must refuse it: it opens a door or gives out medicine, and might have expired.
    pub fn needs_clock(&self) -> bool {
        matches!(self, Command::Lock { .. } | Command::Schedule { .. })
    }
}
