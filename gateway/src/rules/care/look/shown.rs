//! How each look-in by camera stands, for whoever shows it.

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId};

use super::super::agreed::{Agreed, Person};
use super::super::moment::Moment;
use super::super::when::Span;
use super::super::{Care, View, key};
use super::declined::said_no;
use super::grant;
use super::memory::{How, Seen};
use super::slots::{self, Slot};
use super::{Instead, NAME, words};
use crate::journal::record::LookOutcome;
use crate::rules::alarms::Alarm;

/// How far a look-in is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookState {
    /// Its time has not come.
    Planned,
    /// Somebody is to look, now.
    Open,
    /// Somebody looks.
    Looking {
        by: String,
    },
    /// Somebody has looked and has not said what they saw.
    Unsaid {
        by: String,
    },
    /// Somebody could not tell; the second look is due at this moment, UTC milliseconds.
    Again {
        at_ms: i64,
    },
    /// Seen calm; (Swedish, English).
    Done {
        said: (String, String),
    },
    Visit {
        alarm: AlarmId,
    },
    /// The resident does not want it; nobody comes.
    Declined,
}

/// What is known of a camera without opening it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraKnown {
    /// When the newest check began, UTC milliseconds. Absent: none is remembered.
    pub checked_at: Option<i64>,
    /// What it found: a stable word, `well` or a fault.
    pub found: Option<String>,
    /// Somebody looks through it, or it is being checked.
    pub is_open: bool,
}

/// `now_ms`: UTC milliseconds.
pub fn camera_known(care: &Care, camera: &DeviceId, now_ms: i64) -> CameraKnown {
    let checked = care.look.checked(camera);
    CameraKnown {
        checked_at: checked.map(|seen| seen.at.wall_ms),
        found: checked.and_then(|seen| seen.found.clone()),
        is_open: care.look.open().any(|(_, seen)| seen.camera == *camera && now_ms < seen.asked.ends_at),
    }
}

/// One look-in of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookView {
    /// Local time at which it begins, `HH:MM`: its name.
    pub slot: String,
    /// UTC milliseconds.
    pub at_ms: i64,
    /// UTC milliseconds.
    pub latest_ms: i64,
    pub state: LookState,
    /// The look that waits for what whoever looked saw.
    pub unsaid: Option<u64>,
    /// What stands in the way of the camera, (Swedish, English).
    pub fault: Option<(String, String)>,
}

/// How the look stands that this alarm opens: open, looking, unsaid. `None`: it opens none, or none now.
pub fn look_of_alarm(view: View<'_>, person: &Person, alarm: &Alarm) -> Option<LookState> {
    let look = person.look.as_ref()?;
    if !grant::opens(person, look, alarm) {
        return None;
    }
    let of_alarm = |seen: &&Seen| seen.asked.by.is_some() && seen.asked.alarm.as_ref() == Some(alarm.id());
    let newest = view.care.look.of(&person.id).map(|(_, seen)| seen).rfind(of_alarm);
    let by = |seen: &Seen| seen.asked.by.clone().unwrap_or_default();
    match newest {
        Some(seen) if !seen.is_over(view.now) => Some(LookState::Looking { by: by(seen) }),
        Some(seen) if seen.waits_for_outcome(view.now) => Some(LookState::Unsaid { by: by(seen) }),
        _ => grant::may_ask(view, &person.id, None, Some(alarm.id())).is_ok().then_some(LookState::Open),
    }
}

/// The look-ins that begin within `span`.
pub fn looks_of(care: &Care, agreed: &Agreed, person: &Person, span: &Span, now: Moment) -> Vec<LookView> {
    let Some(look) = &person.look else { return Vec::new() };
    let around = [span.start_ms, span.end_ms].map(|at_ms| slots::around(look, &agreed.zone, at_ms));
    let mut all: Vec<Slot> = around.into_iter().flatten().filter(|slot| span.contains(slot.at_ms)).collect();
    all.sort_by_key(|slot| slot.at_ms);
    all.dedup();
    all.into_iter().map(|slot| of_slot(care, agreed, person, &slot, now)).collect()
}

/// The look-in of this person's that begins at `at_ms` (UTC milliseconds), and what it is settled by.
pub fn planned_look(
    care: &Care,
    agreed: &Agreed,
    person: &Person,
    at_ms: i64,
    now: Moment,
) -> Option<(LookView, String)> {
    let look = person.look.as_ref()?;
    let slot = slots::around(look, &agreed.zone, at_ms).into_iter().find(|slot| slot.at_ms == at_ms)?;
    Some((of_slot(care, agreed, person, &slot, now), key(NAME, Some(&person.id), &slot.cause())))
}

fn of_slot(care: &Care, agreed: &Agreed, person: &Person, slot: &Slot, now: Moment) -> LookView {
    let of_slot: Vec<(&u64, &Seen)> = care.look.of(&person.id).filter(|(_, seen)| seen.is_of(slot)).collect();
    let by_people = || of_slot.iter().filter(|(_, seen)| seen.asked.by.is_some());
    let unsaid = by_people().rev().find(|(_, seen)| seen.waits_for_outcome(now));
    let ended = care.look.ended(&key(NAME, Some(&person.id), &slot.cause()), slot.latest_ms);
    let by = |seen: &Seen| seen.asked.by.clone().unwrap_or_default();
    let looking = by_people().find(|(_, seen)| !seen.is_over(now));
    let look = person.look.as_ref();
    let again = || {
        let (_, last) = by_people().rev().find(|(_, seen)| seen.shown(now))?;
        let could_not = last.outcome.as_ref().is_some_and(|(outcome, ..)| *outcome == LookOutcome::CouldNotTell);
        let after_ms = look?.second_after_ms.filter(|_| could_not)?;
        Some(last.over_at(now)?.wall_ms.saturating_add(after_ms))
    };
    let is_refused = || {
        let look = look.filter(|look| look.instead == Instead::Nothing)?;
        said_no(care, &agreed.zone, person, look, slot, now.wall_ms)
    };
    let state = match (ended.map(|end| (&end.how, &end.said)), looking, unsaid) {
        (Some((How::Done, said)), ..) => LookState::Done { said: said.clone() },
        (Some((How::Declined, _)), ..) => LookState::Declined,
        (Some((How::Visit(alarm), _)), ..) => LookState::Visit { alarm: alarm.clone() },
        (None, Some((_, seen)), _) => LookState::Looking { by: by(seen) },
        (None, None, Some((_, seen))) => LookState::Unsaid { by: by(seen) },
        (None, None, None) if is_refused().is_some() => LookState::Declined,
        (None, None, None) if now.wall_ms < slot.at_ms => LookState::Planned,
        (None, None, None) => again().map_or(LookState::Open, |at_ms| LookState::Again { at_ms }),
    };
    let fault = of_slot.last().and_then(|(_, seen)| seen.fault()).map(words::why);
    LookView {
        slot: slot.name(),
        at_ms: slot.at_ms,
        latest_ms: slot.latest_ms,
        state,
        unsaid: unsaid.map(|(id, _)| **id),
        fault,
    }
}
