//! What a device is: the word after `kind =` in `[[device]]` and after `--kind` on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::nearest;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// What a device is. It decides the SCAIP device type where an event alone does not (DESIGN §5, `dty`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum DeviceKind { $($(#[$doc])* $variant,)+ }

        impl DeviceKind {
            /// Every kind, in the order in which help lists them.
            pub const ALL: &[DeviceKind] = &[$(DeviceKind::$variant,)+];

            /// The word in vaka.toml.
            pub const fn as_str(self) -> &'static str {
                match self { $(DeviceKind::$variant => $text,)+ }
            }
        }
    };
}

kinds! {
    /// Button worn by the resident.
    Pendant = "pendant",
    /// Button mounted on a wall or pull cord.
    FixedTrigger = "fixed-trigger",
    FallDetector = "fall-detector",
    BedSensor = "bed-sensor",
    ChairSensor = "chair-sensor",
    MatSensor = "mat-sensor",
    DoorSensor = "door-sensor",
    MotionSensor = "motion-sensor",
    SmokeDetector = "smoke-detector",
    GasDetector = "gas-detector",
    CoDetector = "co-detector",
    HeatDetector = "heat-detector",
    FloodSensor = "flood-sensor",
    EnuresisSensor = "enuresis-sensor",
    SeizureSensor = "seizure-sensor",
    GpsAlarm = "gps-alarm",
    Dispenser = "dispenser",
    Cabinet = "cabinet",
    Lock = "lock",
    Thermometer = "thermometer",
    VitalMonitor = "vital-monitor",
    /// Lamp, siren or display that only tells.
    Feedback = "feedback",
    /// Zigbee2MQTT and the like: other devices stand behind it (`via`).
    Bridge = "bridge",
    /// A home's gateway, seen from a hub.
    Gateway = "gateway",
    Other = "other",
}

/// A word that is no device kind. The text lists all kinds and the nearest one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown device kind `{word}`{}; kinds: {}", hint(.word), list())]
pub struct UnknownKind {
    pub word: String,
}

fn list() -> String {
    DeviceKind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ")
}

fn hint(word: &str) -> String {
    match nearest(&plain(word), DeviceKind::ALL.iter().map(|k| k.as_str())) {
        Some(kind) => format!("; did you mean `{kind}`?"),
        None => String::new(),
    }
}

/// Case, underscores and spaces do not matter: `Bed_Sensor` is `bed-sensor`.
fn plain(word: &str) -> String {
    word.trim().chars().map(|c| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

impl FromStr for DeviceKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let plain = plain(word);
        let known = DeviceKind::ALL.iter().copied().find(|k| k.as_str() == plain);
        known.ok_or_else(|| UnknownKind { word: word.to_owned() })
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
