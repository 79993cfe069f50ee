//! What is remembered of looks: who asked, whether the light was on, how each ended and what came of it.
//!
//! Enters: steps as they are recorded, decisions, the devices' answers. Invariant: what is kept does not depend on what is agreed; a look
//! ends once, by its record, or with the process that had it open.

use crate::rules::gone::Gone;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Event, Outcome};

use super::super::Sight;
use super::super::moment::{At, Moment};
use super::slots::Slot;
use super::{AGREED, CAUSE, DECLINED, DONE, LIGHT_OFF, LIGHT_ON, NAME};
use crate::journal::record::{Decision, Look, LookAsked, LookOutcome, LookStep};
use crate::limits::{LOOK_ENDS_KEPT, LOOKS_KEPT};
use vaka_protocol::AlarmId;

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Looks {
    /// By the number of its record: the newest.
    #[serde(default)]
    looks: BTreeMap<u64, Seen>,
    /// By resident: the agreement's fingerprint and since when it holds, UTC milliseconds.
    #[serde(default)]
    held: BTreeMap<String, (u64, i64)>,
    /// Devices that say that nothing may be seen, and since when.
    #[serde(default)]
    private: BTreeMap<DeviceId, At>,
    /// How look-ins ended, the newest last.
    #[serde(default)]
    ends: VecDeque<End>,
}

/// One look, or one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub resident: String,
    pub camera: DeviceId,
    pub asked: LookAsked,
    pub at: At,
    /// The command that lights the light, and when it was answered.
    #[serde(default)]
    pub light: Option<(u64, Option<At>)>,
    /// It answered that it will not.
    #[serde(default)]
    pub is_refused: bool,
    /// Whoever looks has asked to see clearly, since it began or at its beginning.
    #[serde(default)]
    pub is_unveiled: bool,
    /// The light was told to go out.
    #[serde(default)]
    pub is_put_out: bool,
    #[serde(default)]
    pub ended: Option<Ended>,
    /// What a check found.
    #[serde(default)]
    pub found: Option<String>,
    #[serde(default)]
    pub outcome: Option<(LookOutcome, String, At)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub at: At,
    /// Milliseconds.
    pub shown_ms: u64,
    pub why: String,
}

/// How a look-in ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    /// What it is settled by.
    pub key: String,
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

/// A look that is under way, for whoever carries it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenLook {
    /// The resident's light has answered that it is on.
    pub is_lit: bool,
    /// It answered that it will not.
    pub is_refused: bool,
    pub is_ended: bool,
    /// It is seen clearly.
    pub is_unveiled: bool,
    /// The resident has said no, or the agreement is over.
    pub must_end: bool,
    /// Whoever looks does so at a hub that may not look any more.
    pub hub_may_not: bool,
}

impl OpenLook {
    /// Why nobody may see any more, by its stable word.
    pub fn no(&self) -> Option<&'static str> {
        match self {
            OpenLook { hub_may_not: true, .. } => Some("hub_may_not"),
            OpenLook { must_end: true, .. } | OpenLook { is_ended: true, .. } => Some("said_no"),
            _ => None,
        }
    }
}

/// A check that found nothing wrong.
pub const WELL: &str = "well";
/// A check that found the camera looking elsewhere than any view that was accepted.
pub const MOVED: &str = "moved";

impl Seen {
    /// It is for this look-in.
    pub fn is_of(&self, slot: &Slot) -> bool {
        self.asked.slot == Some((slot.at_ms, slot.latest_ms))
    }

    /// How long it may last, milliseconds.
    pub(super) fn longest_ms(&self) -> i64 {
        self.asked.ends_at.saturating_sub(self.at.wall_ms)
    }

    /// When it was over. A look whose end was never told is over when it has lasted as long as it may, on the running clock: one that is set
    /// back keeps no light on.
    pub fn over_at(&self, now: Moment) -> Option<At> {
        let longest_ms = self.longest_ms();
        match &self.ended {
            Some(ended) => Some(ended.at),
            None if now.age_ms(&self.at) >= longest_ms => {
                Some(At { wall_ms: self.asked.ends_at, mono_ms: self.at.mono_ms.saturating_add(longest_ms), ..self.at })
            }
            None => None,
        }
    }

    pub fn is_over(&self, now: Moment) -> bool {
        self.over_at(now).is_some()
    }

    /// Somebody saw something, or may have.
    pub fn shown(&self, now: Moment) -> bool {
        self.is_over(now) && self.was_shown()
    }

    /// The same of one that is over.
    pub(super) fn was_shown(&self) -> bool {
        self.ended.as_ref().is_none_or(|ended| ended.shown_ms > 0)
    }

    /// Somebody has looked, and has not said what they saw.
    pub fn waits_for_outcome(&self, now: Moment) -> bool {
        self.asked.by.is_some() && self.outcome.is_none() && self.shown(now)
    }

    /// What stood in the way: a check's finding, or why a look ended without a picture.
    pub(super) fn fault(&self) -> Option<&str> {
        let ended = self.ended.as_ref()?;
        match &self.found {
            Some(found) => Some(found.as_str()).filter(|found| *found != WELL),
            // A check that gave way has found nothing.
            None => (ended.shown_ms == 0 && self.asked.by.is_some()).then_some(ended.why.as_str()),
        }
    }
}

impl Looks {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.looks.retain(|_, seen| seen.resident != gone.resident);
        self.held.remove(gone.resident);
        self.private.retain(|device, _| !(gone.is_theirs)(device));
        self.ends.retain(|end| !gone.is_in(&end.key));
    }

    /// Looks that ended up to `until_ms` (UTC), and what look-ins came to whose latest time was by then, are forgotten.
    pub fn age(&mut self, until_ms: i64) {
        self.looks.retain(|_, seen| seen.ended.as_ref().is_none_or(|ended| ended.at.wall_ms > until_ms));
        self.ends.retain(|end| end.latest_ms > until_ms);
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        match sight.event {
            Event::Privacy { on: true } => {
                self.private.entry(sight.device.clone()).or_insert(sight.at);
            }
            // One that was late says nothing of now.
            Event::Privacy { on: false }
                if self.private.get(sight.device).is_some_and(|since| !sight.at.is_before(since)) =>
            {
                self.private.remove(sight.device);
            }
            Event::Done { id, outcome } => {
                let of_light = |seen: &&mut Seen| {
                    seen.asked.light == *sight.device && seen.light.is_some_and(|(command, _)| command == *id)
                };
                if let Some(seen) = self.looks.values_mut().find(of_light) {
                    match outcome {
                        Outcome::Done => seen.light = Some((*id, Some(sight.recorded))),
                        _ => seen.is_refused = true,
                    }
                }
            }
            _ => {}
        }
    }

    pub fn apply_step(&mut self, look: &Look, at: At) {
        match &look.step {
            LookStep::Asked(asked) => {
                let seen = Seen {
                    resident: look.resident.clone(),
                    camera: look.camera.clone(),
                    asked: (**asked).clone(),
                    at,
                    light: None,
                    is_refused: false,
                    is_unveiled: asked.clear,
                    is_put_out: false,
                    ended: None,
                    found: None,
                    outcome: None,
                };
                self.looks.insert(at.record, seen);
                while self.looks.len() > LOOKS_KEPT {
                    // Checks go first: who has looked may not look again.
                    let is_check = |(_, seen): &(&u64, &Seen)| seen.asked.by.is_none() && seen.ended.is_some();
                    let oldest = self.looks.iter().find(is_check).or_else(|| self.looks.first_key_value());
                    let oldest = oldest.map(|(id, _)| *id);
                    oldest.and_then(|id| self.looks.remove(&id));
                }
            }
            LookStep::Ended { look, shown_ms, why } => {
                if let Some(seen) = self.looks.get_mut(look).filter(|seen| seen.ended.is_none()) {
                    seen.ended = Some(Ended { at, shown_ms: *shown_ms, why: why.clone() });
                }
            }
            LookStep::Checked { look, found, .. } => {
                if let Some(seen) = self.looks.get_mut(look) {
                    seen.found = Some(found.clone());
                }
            }
            LookStep::Outcome { look, outcome, by } => {
                if let Some(seen) = self.looks.get_mut(look).filter(|seen| seen.outcome.is_none()) {
                    seen.outcome = Some((*outcome, by.clone(), at));
                }
            }
            LookStep::Unveiled { look, .. } => {
                if let Some(seen) = self.looks.get_mut(look) {
                    seen.is_unveiled = true;
                }
            }
            // What counts from now on stands in vaka.toml; this says who accepted it.
            LookStep::Accepted { .. } => {}
        }
    }

    /// `command`: the id under which a sent command goes out.
    pub fn apply(&mut self, decision: &Decision, at: At, command: u64) {
        match decision {
            Decision::Send(send) if send.rule == NAME => {
                let look = u64::try_from(send.basis.upto).unwrap_or(0);
                let cause = send.basis.key.rsplit(' ').nth(1).unwrap_or_default();
                if let Some(seen) = self.looks.get_mut(&look) {
                    match cause {
                        LIGHT_ON => seen.light = Some((command, None)),
                        LIGHT_OFF => seen.is_put_out = true,
                        _ => {}
                    }
                }
            }
            Decision::Note(note) if note.rule == NAME && note.what == AGREED => {
                // Its number is later than that where the clock was set back between two of them.
                let since_ms = note.basis.upto.min(at.wall_ms);
                let print = u64::from_str_radix(&note.slot, 16).unwrap_or(0);
                self.held.insert(note.basis.resident.clone().unwrap_or_default(), (print, since_ms));
            }
            Decision::Note(note) if note.rule == NAME && note.what == DONE => {
                self.end(&note.basis.key, note.basis.upto, How::Done, (&note.sv, &note.en));
            }
            Decision::Note(note) if note.rule == NAME && note.what == DECLINED => {
                self.end(&note.basis.key, note.basis.upto, How::Declined, (&note.sv, &note.en));
            }
            Decision::Raise(raise) if raise.rule == NAME && raise.cause.starts_with(CAUSE) => {
                if let Some(basis) = &raise.basis {
                    self.end(&basis.key, basis.upto, How::Visit(raise.alarm.clone()), (&raise.sv, &raise.en));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, key: &str, latest_ms: i64, how: How, (sv, en): (&str, &str)) {
        if self.ends.len() >= LOOK_ENDS_KEPT {
            self.ends.pop_front();
        }
        self.ends.push_back(End { key: key.to_owned(), latest_ms, how, said: (sv.to_owned(), en.to_owned()) });
    }

    pub(super) fn ended(&self, key: &str, latest_ms: i64) -> Option<&End> {
        self.ends.iter().rev().find(|end| end.latest_ms == latest_ms && end.key == key)
    }

    pub(super) fn held(&self, resident: &str) -> Option<(u64, i64)> {
        self.held.get(resident).copied()
    }

    /// Looks and checks at this resident's, oldest first.
    pub fn of(&self, resident: &str) -> impl DoubleEndedIterator<Item = (&u64, &Seen)> {
        self.looks.iter().filter(move |(_, seen)| seen.resident == resident)
    }

    pub fn get(&self, look: u64) -> Option<&Seen> {
        self.looks.get(&look)
    }

    /// Those whose end is not recorded.
    pub fn open(&self) -> impl Iterator<Item = (&u64, &Seen)> {
        self.looks.iter().filter(|(_, seen)| seen.ended.is_none())
    }

    /// The newest check of this camera that found something, good or bad.
    pub(super) fn checked(&self, camera: &DeviceId) -> Option<&Seen> {
        self.looks.values().rfind(|seen| seen.camera == *camera && seen.found.is_some())
    }

    /// How a look stands, for whoever carries it out.
    pub fn state(&self, look: u64) -> OpenLook {
        let Some(seen) = self.looks.get(&look) else { return OpenLook { is_ended: true, ..OpenLook::default() } };
        let is_lit = seen.light.is_some_and(|(_, at)| at.is_some());
        OpenLook {
            is_lit,
            is_refused: seen.is_refused,
            is_unveiled: seen.is_unveiled || seen.asked.clear,
            is_ended: seen.ended.is_some(),
            must_end: false,
            hub_may_not: false,
        }
    }

    /// Those whose light is still to be lit, or to be put out.
    pub(super) fn unlit_or_over(&self) -> impl Iterator<Item = (&u64, &Seen)> {
        self.looks.iter().filter(|(_, seen)| match seen.ended {
            None => true,
            Some(_) => seen.light.is_some() && !seen.is_put_out,
        })
    }

    /// The same light stands for another look that is not over.
    pub(super) fn is_lit_for_another(&self, light: &DeviceId, look: u64, now: Moment) -> bool {
        let is_it = |(id, seen): (&u64, &Seen)| *id != look && seen.asked.light == *light && !seen.is_over(now);
        self.looks.iter().any(is_it)
    }

    /// Since when this device says that nothing may be seen.
    pub(super) fn private(&self, device: &DeviceId) -> Option<At> {
        self.private.get(device).copied()
    }
}
