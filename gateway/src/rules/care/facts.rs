//! What the sensors have said last: facts that do not depend on what is agreed, so that a new agreement holds at once.
//!
//! Enters: events, as they happened and were recorded; that a device came or went. Leaves: for each device its newest word.
//! Invariant: old news (an event that happened before what is known) changes no state; it still shows that the device is heard.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event};

use super::Sight;
use super::moment::{At, Moment};
use crate::limits::{CATCH_UP_MS_MAX, CATCH_UP_QUIET_MS};

/// Something that is one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub on: bool,
    /// Since when it is so: the first word of it.
    pub since: At,
    /// The newest word of it.
    pub said: At,
    /// When it was the other way last. Absent: never known.
    #[serde(default)]
    pub other: Option<At>,
}

/// A device's charge, as it said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battery {
    pub percent: Option<u8>,
    pub low: bool,
    pub at: At,
}

/// One device's newest words.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The newest record of it, its coming and going included: when it was recorded.
    #[serde(default)]
    pub heard: Option<At>,
    /// It has a connection. Absent: it never had one, as a device behind a bridge.
    #[serde(default)]
    pub online: Option<bool>,
    #[serde(default)]
    pub bed: Option<Switch>,
    #[serde(default)]
    pub chair: Option<Switch>,
    #[serde(default)]
    pub mat: Option<Switch>,
    /// On: open.
    #[serde(default)]
    pub door: Option<Switch>,
    #[serde(default)]
    pub mains: Option<Switch>,
    #[serde(default)]
    pub privacy: Option<Switch>,
    #[serde(default)]
    pub battery: Option<Battery>,
    #[serde(default)]
    pub motion: Option<At>,
    /// The newest event that a person was behind, of whatever kind.
    #[serde(default)]
    pub activity: Option<At>,
    /// A member of staff held a tag to it.
    #[serde(default)]
    pub staff: Option<At>,
    /// It sends what had waited: since when, and the newest of it, as recorded.
    #[serde(default)]
    catching_up: Option<(At, At)>,
}

/// Every device's newest words.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Facts(BTreeMap<DeviceId, Device>);

impl Facts {
    pub fn get(&self, device: &DeviceId) -> Option<&Device> {
        self.0.get(device)
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        if !self.0.contains_key(sight.device) {
            self.0.insert(sight.device.clone(), Device::default());
        }
        if let Some(device) = self.0.get_mut(sight.device) {
            device.see(sight);
        }
    }

    /// The device came (`online`) or went.
    pub fn alive(&mut self, device: &DeviceId, online: bool, recorded: At) {
        let known = self.0.entry(device.clone()).or_default();
        known.online = Some(online);
        // That its connection ended is no sign of life.
        if online {
            known.heard = Some(recorded);
        }
    }
}

impl Device {
    fn see(&mut self, sight: &Sight<'_>) {
        let at = sight.at;
        self.heard = Some(sight.recorded);
        self.catching_up = match (sight.delayed, self.catching_up) {
            (true, Some((since, last))) if sight.recorded.mono_ms - last.mono_ms < CATCH_UP_QUIET_MS => {
                Some((since, sight.recorded))
            }
            (true, _) => Some((sight.recorded, sight.recorded)),
            (false, known) => known,
        };
        match sight.event {
            Event::Bed { occupied } => turn(&mut self.bed, *occupied, at),
            Event::Chair { occupied } => turn(&mut self.chair, *occupied, at),
            Event::Mat { pressed } => turn(&mut self.mat, *pressed, at),
            Event::Door { open } => turn(&mut self.door, *open, at),
            Event::Mains { on } => turn(&mut self.mains, *on, at),
            Event::Privacy { on } => turn(&mut self.privacy, *on, at),
            Event::Battery { percent, low } if self.battery.is_none_or(|known| known.at.wall_ms <= at.wall_ms) => {
                self.battery = Some(Battery { percent: *percent, low: *low, at });
            }
            Event::Motion {} => newer(&mut self.motion, at),
            Event::Staff { .. } => newer(&mut self.staff, at),
            _ => {}
        }
        if is_activity(sight.event) {
            newer(&mut self.activity, at);
        }
    }

    /// Judging waits so long for what this device still has to say, in milliseconds: it is sending what had waited, and what it
    /// says next may be the end of what it said before.
    pub fn waits_ms(&self, now: Moment) -> i64 {
        let Some((since, last)) = self.catching_up else { return 0 };
        let quiet_in_ms = CATCH_UP_QUIET_MS - now.age_ms(&last);
        let at_most_ms = CATCH_UP_MS_MAX - now.age_ms(&since);
        quiet_in_ms.min(at_most_ms).max(0)
    }
}

/// A person was behind it.
pub fn is_activity(event: &Event) -> bool {
    matches!(
        event,
        Event::Button { .. }
            | Event::Cancel {}
            | Event::Bed { .. }
            | Event::Chair { .. }
            | Event::Mat { .. }
            | Event::Door { .. }
            | Event::Motion {}
            | Event::Lock { .. }
            | Event::Cabinet { .. }
            | Event::Privacy { .. }
            | Event::Decline { .. }
            | Event::Dose { outcome: vaka_protocol::DoseOutcome::Taken, .. }
    )
}

fn turn(switch: &mut Option<Switch>, on: bool, at: At) {
    match switch {
        Some(known) if at.wall_ms < known.said.wall_ms => {}
        Some(known) if known.on == on => known.said = at,
        Some(known) => *known = Switch { on, since: at, said: at, other: Some(known.said) },
        None => *switch = Some(Switch { on, since: at, said: at, other: None }),
    }
}

fn newer(known: &mut Option<At>, at: At) {
    if known.is_none_or(|known| known.wall_ms <= at.wall_ms) {
        *known = Some(at);
    }
}
