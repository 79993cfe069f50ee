//! What people sign for: "I have been there", "I have given it".
//!
//! Enters: a wish, the state, what is agreed; later the record of it. Leaves: the record to write, or why not; what was signed, for the
//! round and the rules. Invariants: the same signature twice is one; a look-in that is signed is made; a dose that is signed as given is
//! not given out as well; a signature closes no alarm but the visit that was asked for and is now made. Absent: any judgement of it.

use crate::rules::gone::Gone;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use vaka_protocol::AlarmId;

use super::agreed::Person;
use super::dose::rows;
use super::moment::At;
use super::{View, look, night};
use crate::journal::record::{Signed, SignedWhat};
use crate::limits::{SIGN_EARLY_MS, SIGN_LATE_MS, SIGN_NOTE_BYTES_MAX, SIGN_REPEAT_MS, SIGNATURES_KEPT};
use crate::rules::alarms::Alarm;

/// What a person wants to sign. Times are UTC milliseconds, as the round shows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// `planned_at`: of a look-in or a visit that was asked for; absent: a visit that nobody had planned.
    Visit {
        resident: String,
        planned_at: Option<i64>,
        note: String,
    },
    Dose {
        resident: String,
        slot: String,
        planned_at: i64,
        given: bool,
        note: String,
    },
}

/// Why it cannot be signed: what was tried, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    NotFound(String),
    /// Somebody else has signed it, or it stands otherwise now.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Wrong(String),
}

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// To be recorded; the visit that was asked for with this alarm is made.
    New(Signed, Option<AlarmId>),
    /// It is signed already, by the same person: nothing more to do.
    Known,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub by: String,
    pub note: String,
    pub what: SignedWhat,
    pub at: At,
}

/// By resident the newest signatures, oldest first.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Signatures(BTreeMap<String, VecDeque<Signature>>);

impl Signatures {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.0.remove(gone.resident);
    }

    /// Signatures up to `until_ms` (UTC) are forgotten.
    pub fn age(&mut self, until_ms: i64) {
        self.0.values_mut().for_each(|known| known.retain(|signature| signature.at.wall_ms > until_ms));
        self.0.retain(|_, known| !known.is_empty());
    }

    pub fn apply(&mut self, signed: &Signed, at: At) {
        let of_resident = self.0.entry(signed.resident.clone()).or_default();
        let Signed { by, note, what, .. } = signed.clone();
        of_resident.push_back(Signature { by, note, what, at });
        while of_resident.len() > SIGNATURES_KEPT {
            of_resident.pop_front();
        }
    }

    /// Oldest first.
    pub fn of(&self, resident: &str) -> impl DoubleEndedIterator<Item = &Signature> {
        self.0.get(resident).into_iter().flatten()
    }

    /// When somebody signed last that they are there. Who signs afterwards for a look-in says nothing of where they are now.
    pub fn visited(&self, resident: &str) -> Option<At> {
        self.of(resident)
            .rev()
            .find(|known| matches!(known.what, SignedWhat::Visit { planned_at: None, .. }))
            .map(|known| known.at)
    }

    /// Who signed for what was planned at this moment, UTC milliseconds.
    pub fn visit(&self, resident: &str, planned_at_ms: i64) -> Option<&Signature> {
        let is_it = |known: &&Signature| matches!(known.what, SignedWhat::Visit { planned_at: Some(at), .. } if at == planned_at_ms);
        self.of(resident).rev().find(is_it)
    }

    /// The newest word on a dose.
    pub fn dose(&self, resident: &str, slot: &str, planned_at_ms: i64) -> Option<&Signature> {
        let is_it = |known: &&Signature| matches!(&known.what, SignedWhat::Dose { slot: of, planned_at, .. } if of == slot && *planned_at == planned_at_ms);
        self.of(resident).rev().find(is_it)
    }
}

/// What becomes of `wish`, signed `by` a person now.
///
/// # Errors
/// [`Refusal`], whose text says what to do.
pub fn judge(view: View<'_>, wish: Wish, by: &str) -> Result<Verdict, Refusal> {
    let (Wish::Visit { resident, note, .. } | Wish::Dose { resident, note, .. }) = &wish;
    if by.trim().is_empty() {
        return Err(Refusal::Wrong("a signature needs somebody who signs; say who".into()));
    }
    if note.len() > SIGN_NOTE_BYTES_MAX {
        let text = format!("the note has {} bytes; shorten it to {SIGN_NOTE_BYTES_MAX}", note.len());
        return Err(Refusal::Wrong(text));
    }
    let Some(person) = view.agreed.people.iter().find(|person| person.id == *resident) else {
        let text = format!("there is no resident `{resident}` in vaka.toml; `vaka round` names those on the round");
        return Err(Refusal::NotFound(text));
    };
    match wish {
        Wish::Visit { planned_at: None, note, .. } => Ok(unplanned(view, person, by, note)),
        Wish::Visit { planned_at: Some(planned_at), note, .. } => visit(view, person, planned_at, by, note),
        Wish::Dose { slot, planned_at, given, note, .. } => dose(view, person, (slot, planned_at, given), by, note),
    }
}

fn signed(person: &Person, by: &str, note: String, what: SignedWhat) -> Signed {
    Signed { resident: person.id.clone(), by: by.to_owned(), note, what }
}

fn unplanned(view: View<'_>, person: &Person, by: &str, note: String) -> Verdict {
    let is_same = |known: &Signature| {
        let unplanned = matches!(known.what, SignedWhat::Visit { planned_at: None, .. });
        unplanned && known.by == by && known.note == note && view.now.age_ms(&known.at) < SIGN_REPEAT_MS
    };
    if view.care.signed.of(&person.id).any(is_same) {
        return Verdict::Known;
    }
    Verdict::New(signed(person, by, note, SignedWhat::Visit { planned_at: None, settles: None }), None)
}

fn visit(view: View<'_>, person: &Person, planned_at: i64, by: &str, note: String) -> Result<Verdict, Refusal> {
    if let Some(known) = view.care.signed.visit(&person.id, planned_at) {
        return again(known, by, &format!("that visit to `{}`", person.id));
    }
    let now_ms = view.now.wall_ms;
    if let Some((round, key)) = night::planned_round(view.care, view.agreed, person, planned_at) {
        in_time(&round.slot, round.at_ms, round.latest_ms, now_ms)?;
        let asked = match &round.state {
            night::RoundState::Visit { alarm } => view.alarms.get(alarm).filter(|alarm| alarm.closed_by.is_none()),
            _ => None,
        };
        let what = SignedWhat::Visit { planned_at: Some(planned_at), settles: Some((key, round.latest_ms)) };
        return Ok(Verdict::New(signed(person, by, note, what), asked.map(|alarm| alarm.id().clone())));
    }
    if let Some((round, key)) = look::planned_look(view.care, view.agreed, person, planned_at, view.now) {
        in_time(&round.slot, round.at_ms, round.latest_ms, now_ms)?;
        let asked = match &round.state {
            look::LookState::Visit { alarm } => view.alarms.get(alarm).filter(|alarm| alarm.closed_by.is_none()),
            _ => None,
        };
        let what = SignedWhat::Visit { planned_at: Some(planned_at), settles: Some((key, round.latest_ms)) };
        return Ok(Verdict::New(signed(person, by, note, what), asked.map(|alarm| alarm.id().clone())));
    }
    let Some(asked) = tasks(view.alarms.open(), &person.id).find(|alarm| alarm.raised_at == planned_at) else {
        let text =
            format!("nothing on the round of `{}` is planned for that time; `vaka round` shows what is", person.id);
        return Err(Refusal::NotFound(text));
    };
    let what = SignedWhat::Visit { planned_at: Some(planned_at), settles: None };
    Ok(Verdict::New(signed(person, by, note, what), Some(asked.id().clone())))
}

/// A look-in is signed when it is made.
fn in_time(slot: &str, at_ms: i64, latest_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    if now_ms < at_ms.saturating_sub(SIGN_EARLY_MS) {
        let text = format!("the look-in of {slot} has not come yet; sign it when you have been there");
        return Err(Refusal::Conflict(text));
    }
    if now_ms > latest_ms.saturating_add(SIGN_LATE_MS) {
        let text = format!("the look-in of {slot} is long over; sign a visit without a planned time");
        return Err(Refusal::Conflict(text));
    }
    Ok(())
}

/// The visits that are asked for at this resident, and that are no dose's: to be there does not give it.
pub fn tasks<'a>(alarms: impl Iterator<Item = &'a Alarm>, resident: &str) -> impl Iterator<Item = &'a Alarm> {
    alarms.filter(move |alarm| {
        let basis = alarm.raise.basis.as_deref();
        let is_task = basis.is_some_and(|basis| basis.due_at.is_some() && basis.resident.as_deref() == Some(resident));
        is_task && alarm.raise.lane == vaka_protocol::Lane::Care && alarm.raise.rule != super::dose::NAME
    })
}

fn dose(
    view: View<'_>,
    person: &Person,
    (slot, planned_at, given): (String, i64, bool),
    by: &str,
    note: String,
) -> Result<Verdict, Refusal> {
    let named = format!("the dose of slot `{slot}` of `{}`", person.id);
    let rows = rows::rows(view.care, view.agreed, view.now.wall_ms);
    let of = |row: &&rows::DoseRow| row.resident == person.id && row.slot == slot && row.due_at == Some(planned_at);
    let Some(row) = rows.iter().find(of) else {
        let text = format!("{named} is not planned for that time; `vaka dose list` shows those that are");
        return Err(Refusal::NotFound(text));
    };
    if let Some(known) = view.care.signed.dose(&person.id, &slot, planned_at)
        && let SignedWhat::Dose { given: was_given, .. } = &known.what
    {
        match (was_given, given) {
            (true, false) => {
                let text = format!("{named} was signed as given by {}; write a note if that was wrong", known.by);
                return Err(Refusal::Conflict(text));
            }
            (false, true) => {}
            (true, true) | (false, false) => return again(known, by, &named),
        }
    }
    // Its time was changed since.
    if given && row.state == "signed" {
        return Err(Refusal::Conflict(format!("{named} was signed as given already; `vaka round` shows by whom")));
    }
    // Twice is worse than late: what the dispenser has given out, or may have, is not given by hand on one person's word.
    if given && matches!(row.state.as_str(), "taken" | "dispensed" | "not-taken") {
        let text =
            format!("{named} was given out by the dispenser ({}); look there before anything is given", row.state);
        return Err(Refusal::Conflict(text));
    }
    if view.now.wall_ms < planned_at.saturating_sub(SIGN_EARLY_MS) {
        return Err(Refusal::Conflict(format!("{named} has not come yet; sign it when it is given")));
    }
    let what = SignedWhat::Dose { slot, date: row.date.clone(), planned_at, given };
    Ok(Verdict::New(signed(person, by, note, what), None))
}

fn again(known: &Signature, by: &str, what: &str) -> Result<Verdict, Refusal> {
    match known.by == by {
        true => Ok(Verdict::Known),
        false => Err(Refusal::Conflict(format!("{what} was signed by {} already", known.by))),
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
