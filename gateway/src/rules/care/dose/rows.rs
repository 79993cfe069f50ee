//! What people are shown of the doses: those planned around now, and what became of those before.
//!
//! Enters: what is remembered, what is agreed, the moment. Leaves: rows. Absent: any advice.

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, DoseOutcome};

use super::super::agreed::{Agreed, Person};
use super::super::when::local;
use super::super::{Care, View};
use super::memory::{Outcome, Told};
use super::planned::Planned;
use super::schedule::refusal;
use super::{Slot, slots};
use crate::limits::DOSE_LOOK_BACK_DAYS;

/// One row of `vaka dose list --json`: these keys are a fixed interface. Times are UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoseRow {
    pub resident: String,
    pub device: DeviceId,
    pub slot: String,
    /// Local date: with resident and slot the dose's name.
    pub date: String,
    /// Absent: the plan has no such dose any more.
    pub due_at: Option<i64>,
    pub closes_at: Option<i64>,
    /// `planned`, `open` (its time has come), `dispensed` (given out, not yet taken), else the outcome.
    pub state: String,
    /// It stays so until a person releases it.
    pub locked: bool,
    pub released_by: Option<String>,
    pub released_at: Option<i64>,
    pub note: Option<String>,
    /// Who has given it by hand, and when.
    #[serde(default)]
    pub signed_by: Option<String>,
    #[serde(default)]
    pub signed_at: Option<i64>,
}

/// The doses of the last days, of today and of tomorrow, in the order of time.
pub fn rows(care: &Care, agreed: &Agreed, now_ms: i64) -> Vec<DoseRow> {
    let mut rows = Vec::new();
    for person in &agreed.people {
        rows.extend(of_person(care, agreed, person, now_ms));
    }
    let order = |row: &DoseRow| (row.date.clone(), row.due_at, row.resident.clone(), row.slot.clone());
    rows.sort_by_cached_key(order);
    rows
}

/// As [`rows`], of one person, slot by slot.
pub fn of_person(care: &Care, agreed: &Agreed, person: &Person, now_ms: i64) -> Vec<DoseRow> {
    slots(person).iter().flat_map(|slot| of_slot(care, agreed, person, slot, now_ms)).collect()
}

/// The date of the dose that a person may release now: the one named, else the newest that is locked.
///
/// # Errors
/// In words, where there is none, or where it cannot be given out any more: why, and what to do.
pub fn releasable(view: View<'_>, resident: &str, slot: &str, date: Option<&str>) -> Result<String, String> {
    let date = locked(view.care, resident, slot, date)?;
    let Some(told) = view.care.dose.told(resident, slot).and_then(|told| told.get(&date)) else { return Ok(date) };
    let Some(person) = view.agreed.people.iter().find(|person| person.id == resident) else { return Ok(date) };
    let refused = slots(person).iter().filter(|known| known.name == slot).find_map(|known| {
        let planned = known.on(&view.agreed.zone, date.parse().ok()?)?;
        refusal(view, person, known, &planned, told)
    });
    refused.map_or(Ok(date), Err)
}

fn locked(care: &Care, resident: &str, slot: &str, date: Option<&str>) -> Result<String, String> {
    const LIST: &str = "`vaka dose list` shows those there are";
    let Some(told) = care.dose.told(resident, slot) else {
        return Err(format!("nothing was told yet of a slot `{slot}` of resident `{resident}`; {LIST}"));
    };
    let Some(date) = date else {
        let newest = told.iter().rev().find(|(_, told)| told.is_locked()).map(|(date, _)| date.clone());
        return newest.ok_or_else(|| format!("no dose of slot `{slot}` of resident `{resident}` is locked; {LIST}"));
    };
    match told.get(date) {
        None => Err(format!("nothing was told of slot `{slot}` on {date}; {LIST}")),
        Some(Told { released: Some(released), .. }) => {
            Err(format!("the dose of slot `{slot}` on {date} was released by {} already", released.by))
        }
        Some(told) if told.outcome == Outcome::Taken => {
            Err(format!("the dose of slot `{slot}` on {date} was taken: it is not locked"))
        }
        Some(Told { outcome: Outcome::Signed, signed, .. }) => {
            let by = signed.as_ref().map_or("somebody", |signed| signed.by.as_str());
            Err(format!("the dose of slot `{slot}` on {date} was given by hand by {by}: it is not locked"))
        }
        Some(_) => Ok(date.to_owned()),
    }
}

fn of_slot(care: &Care, agreed: &Agreed, person: &Person, slot: &Slot<'_>, now_ms: i64) -> Vec<DoseRow> {
    let zone = &agreed.zone;
    let told = care.dose.told(&person.id, slot.name);
    let known = care.dose.dispenser(slot.device);
    let mut rows = Vec::new();
    for planned in slot.since(zone, None, now_ms) {
        let date = planned.date.to_string();
        let window = (planned.opens_ms, planned.closes_ms);
        match told.and_then(|told| told.get(&date)) {
            Some(told) => rows.push(told_row(person, slot, &date, Some(&planned), told)),
            // What was planned before it was agreed was never asked for.
            None if planned.closes_ms <= now_ms && !known.is_some_and(|known| known.was_asked(slot.name, window)) => {}
            None => {
                let reports = known.map_or(&[][..], |known| known.reports(slot.name));
                let is_out = reports.iter().any(|report| {
                    report.outcome == DoseOutcome::Dispensed
                        && slot.of(zone, report.at.wall_ms).is_some_and(|of| of.date == planned.date)
                });
                let state = match () {
                    () if is_out => "dispensed",
                    () if planned.due_ms <= now_ms => "open",
                    () => "planned",
                };
                rows.push(row(person, slot, &date, Some(&planned), state));
            }
        }
    }
    // Told of dates that the plan has no longer.
    let far = super::planned::number(local(zone, now_ms).date()) - i64::from(DOSE_LOOK_BACK_DAYS) * 86_400_000;
    for (date, told) in told.into_iter().flatten() {
        let is_far = date.parse().map_or(true, |date| super::planned::number(date) < far);
        if !is_far && !rows.iter().any(|row| row.date == *date) {
            rows.push(told_row(person, slot, date, None, told));
        }
    }
    rows
}

fn told_row(person: &Person, slot: &Slot<'_>, date: &str, planned: Option<&Planned<'_>>, told: &Told) -> DoseRow {
    let (released, signed) = (told.released.as_ref(), told.signed.as_ref());
    DoseRow {
        signed_by: signed.map(|signed| signed.by.clone()),
        signed_at: signed.map(|signed| signed.at.wall_ms),
        locked: told.is_locked(),
        released_by: released.map(|released| released.by.clone()),
        released_at: released.map(|released| released.at.wall_ms),
        note: signed.or(released).map(|acted| acted.note.clone()).filter(|note| !note.is_empty()),
        ..row(person, slot, date, planned, told.outcome.as_str())
    }
}

fn row(person: &Person, slot: &Slot<'_>, date: &str, planned: Option<&Planned<'_>>, state: &str) -> DoseRow {
    DoseRow {
        resident: person.id.clone(),
        device: slot.device.clone(),
        slot: slot.name.to_owned(),
        date: date.to_owned(),
        due_at: planned.map(|planned| planned.due_ms),
        closes_at: planned.map(|planned| planned.closes_ms),
        state: state.to_owned(),
        locked: false,
        released_by: None,
        released_at: None,
        note: None,
        signed_by: None,
        signed_at: None,
    }
}
