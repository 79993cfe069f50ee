//! What the rule remembers: what dispensers said of each slot, what was told of each dose, what each dispenser was asked to do.
//!
//! Enters: events, decisions, releases, each with its record. Invariant: does not depend on what is agreed; bounded per slot and device.

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{Command, DeviceId, DoseOutcome, Event};

use super::super::Sight;
use super::super::moment::At;
use super::NAME;
use crate::journal::record::{Decision, Note, Release};
use crate::limits::{
    DOSE_ASKED_MAX, DOSE_EARLY_REACH_MS, DOSE_REPEAT_MS, DOSE_REPORTS_MAX, DOSE_SLOTS_MAX, DOSE_TOLD_MAX,
};

/// What became of a planned dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Taken,
    /// Given out, and not taken in time.
    NotTaken,
    Missed,
    Refused,
    Jammed,
    /// The dispenser could not tell, or says that it does not know.
    Unknown,
    /// A person has signed that they gave it by hand.
    Signed,
}

impl Outcome {
    /// Those that a dispenser's words, or its silence, make.
    pub const ALL: [Outcome; 6] =
        [Outcome::Taken, Outcome::NotTaken, Outcome::Missed, Outcome::Refused, Outcome::Jammed, Outcome::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Taken => "taken",
            Outcome::NotTaken => "not-taken",
            Outcome::Missed => "missed",
            Outcome::Refused => "refused",
            Outcome::Jammed => "jammed",
            Outcome::Unknown => "unknown",
            Outcome::Signed => "signed",
        }
    }

    fn from_word(word: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// One word of a dispenser's on a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    #[serde(rename = "o")]
    pub outcome: DoseOutcome,
    #[serde(rename = "a")]
    pub at: At,
    /// UTC milliseconds when it was recorded.
    #[serde(rename = "r")]
    pub recorded_ms: i64,
}

impl Report {
    /// A person has to look: what was to happen did not.
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome, DoseOutcome::Missed | DoseOutcome::Refused | DoseOutcome::Jammed | DoseOutcome::Unknown)
    }
}

/// What was told of one dose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub outcome: Outcome,
    /// The newest record that was looked at.
    pub record: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
    /// A person has given it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Released>,
}

impl Told {
    /// A person has to release it.
    pub fn is_locked(&self) -> bool {
        !matches!(self.outcome, Outcome::Taken | Outcome::Signed) && self.released.is_none()
    }
}

/// A person has released it, or signed for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Released {
    pub by: String,
    pub note: String,
    pub at: At,
}

/// One dose as a dispenser was asked for it. Times are UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(rename = "s")]
    pub slot: String,
    #[serde(rename = "o")]
    pub opens_ms: i64,
    #[serde(rename = "c")]
    pub closes_ms: i64,
    /// It is a release: when the dose that it releases opened.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub releases_ms: Option<i64>,
}

/// The newest schedule that a dispenser was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    /// The command's id.
    pub id: u64,
    pub at: At,
    pub slots: Vec<Asked>,
    /// What it said to it: true where it runs on it.
    pub done: Option<bool>,
}

/// What a dispenser holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    pub days_left: u16,
    pub at: At,
    /// The first word since it was filled last.
    pub filled: At,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Dispenser {
    /// What it said of each slot, as it came.
    #[serde(default)]
    reports: BTreeMap<String, Vec<Report>>,
    /// The record with which it was first asked for each slot.
    #[serde(default)]
    since: BTreeMap<String, u64>,
    #[serde(default)]
    pub pushed: Option<Pushed>,
    /// What it was asked for and has not been taken back before its time.
    #[serde(default)]
    asked: Vec<Asked>,
    #[serde(default)]
    pub stock: Option<Stock>,
}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Doses {
    #[serde(default)]
    devices: BTreeMap<DeviceId, Dispenser>,
    /// By resident, slot and local date.
    #[serde(default)]
    told: BTreeMap<String, BTreeMap<String, BTreeMap<String, Told>>>,
    /// When this process began.
    #[serde(default)]
    began: Option<At>,
}

impl Doses {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.devices.retain(|device, _| !(gone.is_theirs)(device));
        self.told.remove(gone.resident);
    }

    pub fn began(&self) -> Option<At> {
        self.began
    }

    /// The process began.
    pub fn begin(&mut self, at: At) {
        self.began = Some(at);
    }

    pub fn dispenser(&self, device: &DeviceId) -> Option<&Dispenser> {
        self.devices.get(device)
    }

    /// What was told of the doses of a slot, by local date.
    pub fn told(&self, resident: &str, slot: &str) -> Option<&BTreeMap<String, Told>> {
        self.told.get(resident)?.get(slot)
    }

    /// The slots of a resident of which anything was told.
    pub fn slots(&self, resident: &str) -> impl Iterator<Item = (&str, &BTreeMap<String, Told>)> {
        self.told.get(resident).into_iter().flatten().map(|(slot, dates)| (slot.as_str(), dates))
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        match sight.event {
            Event::Dose { slot, outcome } if *outcome != DoseOutcome::Reminded => {
                let report = Report { outcome: *outcome, at: sight.at, recorded_ms: sight.recorded.wall_ms };
                self.devices.entry(sight.device.clone()).or_default().report(slot, report);
            }
            Event::Stock { days_left } => {
                self.devices.entry(sight.device.clone()).or_default().holds(*days_left, sight.at);
            }
            Event::Done { id, outcome } => {
                let pushed = self.devices.get_mut(sight.device).and_then(|known| known.pushed.as_mut());
                if let Some(pushed) = pushed.filter(|pushed| pushed.id == *id) {
                    pushed.done = Some(*outcome == vaka_protocol::Outcome::Done);
                }
            }
            _ => {}
        }
    }

    /// `command`: the id under which a sent command goes out.
    pub fn apply(&mut self, decision: &Decision, at: At, command: u64) {
        match decision {
            Decision::Note(note) if note.rule == NAME => self.note(note),
            Decision::Send(send) if send.rule == NAME => {
                if let Command::Schedule { slots } = &send.command {
                    let asked = slots.iter().map(|slot| Asked {
                        slot: slot.slot.to_string(),
                        opens_ms: slot.opens_at,
                        closes_ms: slot.closes_at,
                        releases_ms: slot.releases,
                    });
                    let pushed = Pushed { id: command, at, slots: asked.collect(), done: None };
                    self.devices.entry(send.device.clone()).or_default().ask(pushed);
                }
            }
            _ => {}
        }
    }

    pub fn release(&mut self, release: &Release, at: At) {
        let told = self.told.get_mut(&release.resident).and_then(|slots| slots.get_mut(&release.slot));
        if let Some(told) = told.and_then(|dates| dates.get_mut(&release.date)) {
            told.released = Some(Released { by: release.by.clone(), note: release.note.clone(), at });
        }
    }

    /// It was given by hand: the dispenser is not to give it out as well.
    pub fn sign(&mut self, resident: &str, slot: &str, date: &str, by: &str, note: &str, at: At) {
        let slots = self.told.entry(resident.to_owned()).or_default();
        let dates = slots.entry(slot.to_owned()).or_default();
        let signed = Some(Released { by: by.to_owned(), note: note.to_owned(), at });
        let told = dates.entry(date.to_owned()).or_insert(Told {
            outcome: Outcome::Signed,
            record: 0,
            released: None,
            signed: None,
        });
        (told.outcome, told.signed) = (Outcome::Signed, signed);
        told.record = told.record.max(at.record);
        while dates.len() > DOSE_TOLD_MAX {
            dates.pop_first();
        }
        forget(slots, |dates| dates.last_key_value().map(|(date, _)| date.clone()));
    }

    fn note(&mut self, note: &Note) {
        let (Some(resident), Some(what)) = (&note.basis.resident, note.what.strip_prefix("dose-")) else { return };
        let Some((slot, date)) = note.slot.rsplit_once(' ') else { return };
        let record = note.basis.seen.iter().map(|seen| seen.record).max().unwrap_or(0);
        let dates = self.told.entry(resident.clone()).or_default().entry(slot.to_owned()).or_default();
        if let Some(outcome) = Outcome::from_word(what) {
            dates.entry(date.to_owned()).or_insert(Told { outcome, record, released: None, signed: None });
        } else if let Some(told) = dates.get_mut(date) {
            told.record = told.record.max(record);
            let corrected = what.strip_prefix("corrected-").and_then(Outcome::from_word);
            told.outcome = corrected.unwrap_or(told.outcome);
        }
        while dates.len() > DOSE_TOLD_MAX {
            dates.pop_first();
        }
        if let Some(slots) = self.told.get_mut(resident) {
            forget(slots, |dates| dates.last_key_value().map(|(date, _)| date.clone()));
        }
    }
}

impl Dispenser {
    pub fn reports(&self, slot: &str) -> &[Report] {
        self.reports.get(slot).map_or(&[], Vec::as_slice)
    }

    /// It was asked for a dose of this slot that overlaps this window, UTC milliseconds.
    pub fn was_asked(&self, slot: &str, (opens_ms, closes_ms): (i64, i64)) -> bool {
        let overlaps = |asked: &Asked| asked.opens_ms < closes_ms && opens_ms < asked.closes_ms;
        self.asked.iter().any(|asked| asked.slot == slot && overlaps(asked))
    }

    /// What it was asked for of this slot and has not been taken back before its time.
    pub fn asked(&self, slot: &str) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| asked.slot == slot)
    }

    /// The record with which it was first asked for this slot.
    pub fn since(&self, slot: &str) -> Option<u64> {
        self.since.get(slot).copied()
    }

    fn report(&mut self, slot: &str, report: Report) {
        let reports = self.reports.entry(slot.to_owned()).or_default();
        // The same said again under another number.
        let is_known = |known: &Report| {
            known.outcome == report.outcome && (known.at.wall_ms - report.at.wall_ms).abs() <= DOSE_REPEAT_MS
        };
        if reports.iter().any(is_known) {
            return;
        }
        reports.push(report);
        if reports.len() > DOSE_REPORTS_MAX {
            // Of the outcome that was said most often the oldest: a jam told a hundred times must not push out what was taken.
            let count = |outcome| reports.iter().filter(|report| report.outcome == outcome).count();
            let most = reports.iter().map(|report| report.outcome).max_by_key(|outcome| count(*outcome));
            let of_most = reports.iter().enumerate().filter(|(_, report)| Some(report.outcome) == most);
            if let Some((oldest, _)) = of_most.min_by_key(|(_, report)| report.at.wall_ms) {
                reports.remove(oldest);
            }
        }
        forget(&mut self.reports, |reports| reports.iter().map(|report| report.at.record).max());
    }

    fn ask(&mut self, pushed: Pushed) {
        let now_ms = pushed.at.wall_ms;
        // What had not begun is taken back by the new schedule; what was given out too early has begun.
        let reports = &self.reports;
        let given = |report: &Report| matches!(report.outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
        let has_begun = |asked: &Asked| {
            let since_ms = asked.opens_ms - DOSE_EARLY_REACH_MS;
            let of_slot = reports.get(&asked.slot).into_iter().flatten();
            asked.opens_ms <= now_ms || of_slot.into_iter().any(|report| given(report) && report.at.wall_ms >= since_ms)
        };
        self.asked.retain(|asked| has_begun(asked) && !pushed.slots.contains(asked));
        self.asked.extend(pushed.slots.iter().cloned());
        self.asked.sort_by_key(|asked| asked.closes_ms);
        let beyond = self.asked.len().saturating_sub(DOSE_ASKED_MAX);
        self.asked.drain(..beyond);
        for asked in &pushed.slots {
            self.since.entry(asked.slot.clone()).or_insert(pushed.at.record);
        }
        forget(&mut self.since, |record| *record);
        self.pushed = Some(pushed);
    }

    fn holds(&mut self, days_left: u16, at: At) {
        self.stock = match self.stock {
            Some(known) if at.wall_ms < known.at.wall_ms => Some(known),
            Some(known) if days_left <= known.days_left => Some(Stock { days_left, at, filled: known.filled }),
            _ => Some(Stock { days_left, at, filled: at }),
        };
    }
}

/// Beyond the bound the slot that was named longest ago is forgotten.
fn forget<T, K: Ord>(slots: &mut BTreeMap<String, T>, newest: impl Fn(&T) -> K) {
    while slots.len() > DOSE_SLOTS_MAX {
        let Some(oldest) = slots.iter().min_by_key(|(_, value)| newest(value)).map(|(slot, _)| slot.clone()) else {
            return;
        };
        slots.remove(&oldest);
    }
}
