//! What is remembered of the nights: openings, visits up, what was declined, how look-ins ended, and since when what is agreed.
//!
//! Enters: events and decisions. Invariant: what is kept of events does not depend on what is agreed; old news opens no door twice.

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId, Event};

use super::super::Sight;
use super::super::facts::Switch;
use super::super::moment::At;
use super::{NAME, rounds};
use crate::journal::record::Decision;
use crate::limits::{NIGHT_DECLINES_KEPT, NIGHT_ROUNDS_KEPT, NIGHT_UPS_KEPT};
use crate::rules::lookup::Lookup;

/// The note from which on an agreement holds; its slot is the agreement's fingerprint.
pub(super) const AGREED: &str = "night-agreed";

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Nights {
    #[serde(default)]
    doors: Lookup<DeviceId, Door>,
    #[serde(default)]
    beds: Lookup<DeviceId, Bed>,
    /// By device and look-in as the device named it: the newest time it was declined.
    #[serde(default)]
    declined: BTreeMap<DeviceId, BTreeMap<String, At>>,
    /// By kind of cause (`night r1 round 03:00`): how the newest ended.
    #[serde(default)]
    rounds: BTreeMap<String, Ended>,
    /// By resident.
    #[serde(default)]
    held: Lookup<String, Held>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Door {
    open: bool,
    /// Latched: closing it does not undo it.
    opened: Option<At>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Bed {
    occupied: Option<bool>,
    /// Oldest first.
    ups: Vec<Up>,
}

/// Nobody in the bed: from when until when, UTC milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Up {
    /// `i64::MIN`: it was empty when it was heard first.
    pub left_ms: i64,
    /// `i64::MAX`: still.
    pub back_ms: i64,
    /// The record of the leaving.
    pub record: u64,
}

/// How a look-in ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Whose latest time this was, UTC milliseconds.
    pub latest_ms: i64,
    pub how: How,
    /// (Swedish, English).
    pub said: (String, String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Done,
    Declined,
    Visit(AlarmId),
}

/// Since when what is agreed, UTC milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Of the agreement as it is.
    pub print: u64,
    pub since_ms: i64,
    /// Of the first agreement with this person.
    pub first_ms: i64,
}

impl Nights {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.doors.retain_keys(|device| !(gone.is_theirs)(device));
        self.beds.retain_keys(|device| !(gone.is_theirs)(device));
        self.declined.retain(|device, _| !(gone.is_theirs)(device));
        self.rounds.retain(|key, _| !gone.is_in(key));
        self.held.remove(gone.resident);
    }

    /// `switch`: how the bed or the door of this event stands after it; which of its words is the newest is decided there.
    pub fn see(&mut self, sight: &Sight<'_>, switch: Option<Switch>) {
        match sight.event {
            Event::Door { open } => {
                if let Some(switch) = switch {
                    self.door(sight, *open, switch);
                }
            }
            Event::Bed { .. } => {
                if let Some(switch) = switch {
                    self.beds.or_default(sight.device).see(switch);
                }
            }
            Event::Decline { slot } => {
                let slots = self.declined.entry(sight.device.clone()).or_default();
                let newest = slots.entry(slot.as_str().to_owned()).or_insert(sight.at);
                if newest.is_before(&sight.at) {
                    *newest = sight.at;
                }
                if slots.len() > NIGHT_DECLINES_KEPT
                    && let Some(oldest) = slots.iter().min_by_key(|(_, at)| at.wall_ms).map(|(slot, _)| slot.clone())
                {
                    slots.remove(&oldest);
                }
            }
            _ => {}
        }
    }

    /// `recorded`: when it was.
    pub fn apply(&mut self, decision: &Decision, recorded: At) {
        match decision {
            Decision::Note(note) if note.rule == NAME && note.what == AGREED => {
                // Its number is later than that where the clock was set back between two of them.
                let since_ms = note.basis.upto.min(recorded.wall_ms);
                let print = u64::from_str_radix(&note.slot, 16).unwrap_or(0);
                let whom = note.basis.resident.clone().unwrap_or_default();
                let first_ms = self.held.get(&whom).map_or(since_ms, |held| held.first_ms.min(since_ms));
                self.held.insert(whom, Held { print, since_ms, first_ms });
            }
            Decision::Note(note) if note.rule == NAME && note.what == rounds::DONE => {
                self.ended(&note.basis.key, note.basis.upto, How::Done, (&note.sv, &note.en));
            }
            Decision::Note(note) if note.rule == NAME && note.what == rounds::DECLINED => {
                self.ended(&note.basis.key, note.basis.upto, How::Declined, (&note.sv, &note.en));
            }
            Decision::Raise(raise) if raise.rule == NAME && raise.cause.starts_with(rounds::CAUSE) => {
                if let Some(basis) = &raise.basis {
                    let how = How::Visit(raise.alarm.clone());
                    self.ended(&basis.key, basis.upto, how, (&raise.sv, &raise.en));
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, key: &str, latest_ms: i64, how: How, (sv, en): (&str, &str)) {
        let ended = Ended { latest_ms, how, said: (sv.to_owned(), en.to_owned()) };
        self.rounds.insert(key.to_owned(), ended);
        if self.rounds.len() > NIGHT_ROUNDS_KEPT
            && let Some(oldest) =
                self.rounds.iter().min_by_key(|(_, ended)| ended.latest_ms).map(|(key, _)| key.clone())
        {
            self.rounds.remove(&oldest);
        }
    }

    fn door(&mut self, sight: &Sight<'_>, open: bool, now: Switch) {
        let at = sight.at;
        let Some(door) = self.doors.get_mut(sight.device) else {
            let door = Door { open: now.on, opened: open.then_some(at) };
            self.doors.insert(sight.device.clone(), door);
            return;
        };
        // While it stands open, "open" is a repetition. Of old news only what came after the last known opening is an opening.
        if now.on && !door.open {
            door.opened = Some(now.since);
        } else if open && !door.open && door.opened.is_none_or(|known| known.is_before(&at)) {
            door.opened = Some(at);
        }
        door.open = now.on;
    }

    /// When this door was opened last, whether or not it is closed again.
    pub fn opened(&self, door: &DeviceId) -> Option<At> {
        self.doors.get(door)?.opened
    }

    /// The times nobody was in this bed, oldest first. `None`: the sensor has never said anything.
    pub(super) fn ups(&self, bed: &DeviceId) -> Option<&[Up]> {
        self.beds.get(bed).map(|bed| &bed.ups[..])
    }

    /// When somebody was in this bed between two moments, oldest first: UTC milliseconds from and until, `None`: still. `None`: the sensor
    /// has never been heard, or what was before is no longer remembered.
    pub fn in_bed(&self, bed: &DeviceId, from_ms: i64, until_ms: i64) -> Option<Vec<(i64, Option<i64>)>> {
        let known = self.beds.get(bed)?;
        let is_whole = known.ups.len() < NIGHT_UPS_KEPT || known.ups.first().is_some_and(|up| up.left_ms <= from_ms);
        if !is_whole {
            return None;
        }
        let mut since_ms = known.ups.first().is_none_or(|up| up.left_ms > i64::MIN).then_some(i64::MIN);
        let mut stretches = Vec::new();
        for up in &known.ups {
            stretches.extend(since_ms.map(|since| (since, Some(up.left_ms))));
            since_ms = (up.back_ms < i64::MAX).then_some(up.back_ms);
        }
        stretches.extend(since_ms.map(|since| (since, None)));
        let within = |(from, until): (i64, Option<i64>)| {
            let ended = until.is_some_and(|until| until <= from_ms);
            (from < until_ms && !ended).then_some((from.max(from_ms), until.filter(|until| *until < until_ms)))
        };
        Some(stretches.into_iter().filter_map(within).collect())
    }

    /// When look-ins were declined at this device: what it called them, and when.
    pub fn declined(&self, device: &DeviceId) -> impl Iterator<Item = (&str, &At)> {
        self.declined.get(device).into_iter().flatten().map(|(slot, at)| (slot.as_str(), at))
    }

    pub(super) fn round(&self, key: &str, latest_ms: i64) -> Option<&Ended> {
        self.rounds.get(key).filter(|ended| ended.latest_ms == latest_ms)
    }

    pub(super) fn held(&self, resident: &str) -> Option<Held> {
        self.held.get(resident).copied()
    }
}

impl Bed {
    fn see(&mut self, now: Switch) {
        match (self.occupied, now.on) {
            (Some(true) | None, false) => {
                let left_ms = self.occupied.map_or(i64::MIN, |_| now.since.wall_ms);
                if self.ups.len() == NIGHT_UPS_KEPT {
                    self.ups.remove(0);
                }
                self.ups.push(Up { left_ms, back_ms: i64::MAX, record: now.since.record });
            }
            (Some(false), true) => {
                if let Some(up) = self.ups.last_mut() {
                    up.back_ms = now.since.wall_ms;
                }
            }
            _ => {}
        }
        self.occupied = Some(now.on);
    }
}
