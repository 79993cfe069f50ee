//! What is remembered: who is out, and how much moves in which hour. The latter is information for people, never a reason.

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::DeviceId;

use super::super::agreed::{Agreed, Person};
use super::super::facts::is_activity;
use super::super::when::local;
use super::super::{Care, Sight};
use super::NAME;
use crate::journal::record::Decision;
use crate::limits::ACTIVITY_DEVICES_MAX;
use crate::rules::lookup::Lookup;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// What is kept of a count from day to day is all but one part in so many: about a week is remembered.
const DECAY: u16 = 8;
/// Days after which nothing is left of any count.
const DECAYED_DAYS: i64 = 128;

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Presences {
    /// By resident.
    #[serde(default)]
    out: BTreeMap<String, Away>,
    #[serde(default)]
    hours: Lookup<DeviceId, Hours>,
}

/// Since when somebody is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    /// UTC milliseconds of the front door's newest word.
    pub at_ms: i64,
    pub record: u64,
}

/// How often a device saw activity, by the hour of the UTC day, older days less and less.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hours {
    /// Days since 1970, UTC.
    day: i64,
    /// How many days have passed since the first.
    days: u16,
    counts: [u16; 24],
}

/// What is usual in a home: for a report. No rule looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Information {
    /// Signs of activity in each hour of the local day, on an average day of about the last week.
    pub per_hour: [f32; 24],
    /// Days that it rests on.
    pub days: u16,
}

impl Presences {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.out.remove(gone.resident);
        self.hours.retain_keys(|device| !(gone.is_theirs)(device));
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        if !is_activity(sight.event) {
            return;
        }
        if let Some(hours) = self.hours.get_mut(sight.device) {
            hours.count(sight.at.wall_ms);
        } else if self.hours.len() < ACTIVITY_DEVICES_MAX {
            let day = sight.at.wall_ms.div_euclid(DAY_MS);
            let mut hours = Hours { day, days: 0, counts: [0; 24] };
            hours.count(sight.at.wall_ms);
            self.hours.insert(sight.device.clone(), hours);
        }
    }

    pub fn apply(&mut self, decision: &Decision) {
        let Decision::Note(note) = decision else { return };
        let Some(resident) = note.basis.resident.as_ref().filter(|_| note.rule == NAME) else { return };
        match note.what.as_str() {
            "away" => {
                if let Some(door) = note.basis.seen.last() {
                    self.out.insert(resident.clone(), Away { at_ms: door.at, record: door.record });
                }
            }
            "home" => {
                self.out.remove(resident);
            }
            _ => {}
        }
    }

    /// Since when this resident is out. None: home, as far as is known.
    pub fn out(&self, resident: &str) -> Option<Away> {
        self.out.get(resident).copied()
    }
}

impl Hours {
    fn count(&mut self, at_ms: i64) {
        let day = at_ms.div_euclid(DAY_MS);
        // A day that comes late is counted with the newest: it is information alone.
        for _ in 0..day.saturating_sub(self.day).clamp(0, DECAYED_DAYS) {
            self.counts.iter_mut().for_each(|count| *count -= count.div_ceil(DECAY));
            self.days = self.days.saturating_add(1);
        }
        self.day = self.day.max(day);
        let hour = usize::try_from(at_ms.rem_euclid(DAY_MS) / HOUR_MS).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(hour) {
            *count = count.saturating_add(1);
        }
    }
}

/// What is usual for this person, in local hours as they are `at_ms` (UTC milliseconds).
pub fn information(care: &Care, agreed: &Agreed, person: &Person, at_ms: i64) -> Information {
    let mut information = Information { per_hour: [0.0; 24], days: 0 };
    let local_hour = i64::from(local(&agreed.zone, at_ms).hour());
    let utc_hour = at_ms.rem_euclid(DAY_MS) / HOUR_MS;
    for hours in person.devices.iter().filter_map(|device| care.presence.hours.get(device)) {
        information.days = information.days.max(hours.days.saturating_add(1));
        for (hour, count) in (0_i64..).zip(hours.counts) {
            let at = usize::try_from((hour + local_hour - utc_hour).rem_euclid(24)).unwrap_or(0);
            information.per_hour[at] += f32::from(count);
        }
    }
    // In the long run a count stands at eight days' worth; before that at those that have passed.
    let weight = (0..information.days.min(200)).fold(0.0, |sum, _| sum * 7.0 / 8.0 + 1.0);
    if weight > 0.0 {
        information.per_hour.iter_mut().for_each(|count| *count /= weight);
    }
    information
}
