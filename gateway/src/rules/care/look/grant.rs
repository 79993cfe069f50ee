//! Whether somebody may look, now: the one place that says yes.
//!
//! Enters: who wants to look where and why; the state, what is agreed, the moment. Leaves: the record to write before anything is seen, or
//! why not. Invariants: no look without a consent that holds, without its slot or an alarm that the agreement names, against a no, without
//! a known time, beside another look through the same camera, or once more than agreed. Absent: roles and keys, which the board asks for.

use vaka_protocol::{AlarmId, DeviceId};

use super::super::View;
use super::super::agreed::Person;
use super::super::signed::Refusal;
use super::declined::{no_now, said_no};
use super::memory::{MOVED, Seen, WELL};
use super::slots::{self, Slot};
use super::{CAUSE, Look, NAME};
use crate::journal::record::{Look as Step, LookAsked, LookOutcome, LookStep};
use crate::limits::{
    LOOK_ALARM_MS, LOOK_CHECK_AHEAD_MS, LOOK_CHECK_EVERY_MS, LOOK_PURPOSE_BYTES_MAX, LOOK_SETUP_MS, LOOK_TRIES_MAX,
    LOOK_WAKE_MS_MAX,
};
use crate::rules::alarms::Alarm;

/// What a person wants, or the gateway by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// To look, for a slot (UTC milliseconds of its beginning) or an alarm.
    Open {
        resident: String,
        slot_at: Option<i64>,
        alarm: Option<AlarmId>,
        purpose: String,
        clear: bool,
    },
    /// To check the camera ahead of this slot.
    Check {
        resident: String,
        slot_at: i64,
    },
    /// To check this camera now, because somebody at the home asks for it. Nobody sees anything.
    Try {
        camera: DeviceId,
    },
    Checked {
        look: u64,
        found: String,
        reference: Option<String>,
    },
    /// To take what this check saw as the camera's view from now on.
    Accept {
        look: u64,
        reference: String,
        why: String,
    },
    /// To see clearly in a look at this resident that is open.
    Unveil {
        look: u64,
        resident: String,
    },
    End {
        look: u64,
        shown_ms: u64,
        why: String,
    },
    Outcome {
        look: u64,
        outcome: LookOutcome,
    },
}

/// A check of a camera that is due now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub resident: String,
    pub camera: DeviceId,
    pub slot_at: i64,
}

/// Whether this wish may be opened now, without opening it.
///
/// # Errors
/// As [`judge`].
pub fn may_ask(view: View<'_>, resident: &str, slot_at: Option<i64>, alarm: Option<&AlarmId>) -> Result<(), Refusal> {
    let (person, look) = agreed_with(view, resident)?;
    match (slot_at, alarm) {
        (Some(at), _) => may_for_slot(view, person, look, at).map(|_| ()),
        (None, Some(alarm)) => may_for_alarm(view, person, look, alarm),
        (None, None) => Ok(()),
    }
}

/// The look that is open must end now: the resident has said no since, nothing is agreed any more, or it is a check and somebody looks.
pub fn must_end(view: View<'_>, look: u64) -> bool {
    let Some(seen) = view.care.look.get(look) else { return true };
    // Its light goes out now: nobody sees on in the dark.
    if seen.is_over(view.now) {
        return true;
    }
    if seen.asked.by.is_none() && looking(view, &seen.camera).is_some() {
        return true;
    }
    let Ok((person, agreed)) = agreed_with(view, &seen.resident) else { return true };
    let slot = slots::around(agreed, &view.agreed.zone, view.now.wall_ms).into_iter().find(|slot| seen.is_of(slot));
    match slot {
        Some(slot) => said_no(view.care, &view.agreed.zone, person, agreed, &slot, view.now.wall_ms).is_some(),
        None => {
            let zone = &view.agreed.zone;
            seen.asked.slot.is_some() || no_now(view.care, zone, person, agreed, view.now.wall_ms).is_some()
        }
    }
}

/// The record that `wish` becomes. `None`: it is so already, by the same person.
///
/// # Errors
/// [`Refusal`], whose text says what to do instead.
pub fn judge(view: View<'_>, wish: Wish, by: &str) -> Result<Option<Step>, Refusal> {
    match wish {
        Wish::Open { resident, slot_at, alarm, purpose, clear } => {
            let (person, look) = agreed_with(view, &resident)?;
            let purpose = checked_purpose(purpose)?;
            if by.trim().is_empty() {
                return Err(Refusal::Wrong("a look needs somebody who looks; say who".into()));
            }
            if clear {
                may_unveil(person, look)?;
            }
            let asked = asked(view, look, Some(by), purpose, clear);
            let asked = match (slot_at, alarm) {
                (Some(at), None) => LookAsked { slot: Some(may_for_slot(view, person, look, at)?), ..asked },
                (None, Some(alarm)) => {
                    may_for_alarm(view, person, look, &alarm)?;
                    LookAsked { alarm: Some(alarm), ..asked }
                }
                _ => return Err(Refusal::Wrong("a look is for one look-in or for one alarm; name one of them".into())),
            };
            Ok(Some(step(person, look, LookStep::Asked(Box::new(asked)))))
        }
        Wish::Check { resident, slot_at } => {
            let (person, look) = agreed_with(view, &resident)?;
            let slot = slot_of(view, look, slot_at)?;
            stands_free(view, person, look, &slot)?;
            is_closed(view, look)?;
            let asked = LookAsked {
                slot: Some((slot.at_ms, slot.latest_ms)),
                ..asked(view, look, None, format!("check before {}", slot.name()), false)
            };
            Ok(Some(step(person, look, LookStep::Asked(Box::new(asked)))))
        }
        Wish::Try { camera } => {
            let (person, look) = agreed_through(view, &camera)?;
            let by = checked_by(by)?;
            if no_now(view.care, &view.agreed.zone, person, look, view.now.wall_ms).is_some() {
                let text = format!("`{}` does not want the camera to be open now; try it later", person.id);
                return Err(Refusal::Conflict(text));
            }
            is_free(view, look)?;
            is_closed(view, look)?;
            let asked = asked(view, look, None, format!("check by {by}"), false);
            Ok(Some(step(person, look, LookStep::Asked(Box::new(asked)))))
        }
        Wish::Accept { look, reference, why } => {
            let (seen, by, why) = (known(view, look)?, checked_by(by)?.to_owned(), checked_purpose(why)?);
            match seen.found.as_deref() {
                Some(WELL | MOVED) => Ok(Some(of(seen, LookStep::Accepted { look, reference, by, why }))),
                found => {
                    let (camera, found) = (&seen.camera, found.unwrap_or("nothing"));
                    let text = format!(
                        "the check of camera `{camera}` found `{found}`; only a view of the room can be accepted: put that right, and take it again"
                    );
                    Err(Refusal::Conflict(text))
                }
            }
        }
        Wish::Checked { look, found, reference } => {
            Ok(Some(of(known(view, look)?, LookStep::Checked { look, found, reference })))
        }
        Wish::Unveil { look, resident } => {
            let seen = known(view, look).ok().filter(|seen| seen.resident == resident);
            let seen =
                seen.ok_or_else(|| Refusal::NotFound(format!("there is no look {look} at `{resident}`; go there")))?;
            let (person, agreed) = agreed_with(view, &seen.resident)?;
            may_unveil(person, agreed)?;
            let whose = seen.asked.by.as_deref();
            if whose != Some(by) {
                let text = format!("only {} looks, and can take the veil off", whose.unwrap_or("the gateway"));
                return Err(Refusal::Conflict(text));
            }
            if seen.is_over(view.now) {
                return Err(Refusal::Conflict("the look is over; go there if in doubt".into()));
            }
            let is_clear = seen.is_unveiled || seen.asked.clear;
            Ok((!is_clear).then(|| of(seen, LookStep::Unveiled { look, by: by.to_owned() })))
        }
        Wish::End { look, shown_ms, why } => {
            let seen = known(view, look)?;
            Ok(seen.ended.is_none().then(|| of(seen, LookStep::Ended { look, shown_ms, why })))
        }
        Wish::Outcome { look, outcome } => {
            let seen = known(view, look)?;
            let whose = seen.asked.by.as_deref();
            if whose != Some(by) {
                let text = format!("only {} looked, and can say what they saw", whose.unwrap_or("the gateway"));
                return Err(Refusal::Conflict(text));
            }
            match &seen.outcome {
                Some((known, ..)) if *known == outcome => Ok(None),
                Some(_) => {
                    Err(Refusal::Conflict("something else was said of this look already; go there if in doubt".into()))
                }
                None => Ok(Some(of(seen, LookStep::Outcome { look, outcome, by: by.to_owned() }))),
            }
        }
    }
}

fn may_unveil(person: &Person, look: &Look) -> Result<(), Refusal> {
    match look.may_see_clearly {
        true => Ok(()),
        false => {
            let text = format!("`{}` has not agreed to be seen clearly; look with the veil, or go there", person.id);
            Err(Refusal::Conflict(text))
        }
    }
}

fn step(person: &Person, look: &Look, step: LookStep) -> Step {
    Step { resident: person.id.clone(), camera: look.camera.clone(), step }
}

fn of(seen: &Seen, step: LookStep) -> Step {
    Step { resident: seen.resident.clone(), camera: seen.camera.clone(), step }
}

fn asked(view: View<'_>, look: &Look, by: Option<&str>, purpose: String, clear: bool) -> LookAsked {
    // The viewer comes, the light answers, the camera wakes: each has its time.
    let longest_ms = 2 * LOOK_SETUP_MS + LOOK_WAKE_MS_MAX + look.look_ms;
    LookAsked {
        by: by.map(str::to_owned),
        purpose,
        slot: None,
        alarm: None,
        clear,
        look_ms: u64::try_from(look.look_ms).unwrap_or(0),
        light: look.light.clone(),
        // A check wakes nobody.
        sound: look.sound && by.is_some(),
        ends_at: view.now.wall_ms.saturating_add(longest_ms),
    }
}

fn checked_purpose(purpose: String) -> Result<String, Refusal> {
    match purpose.trim().len() {
        0 => Err(Refusal::Wrong("a look needs a purpose; say why you look".into())),
        n if n > LOOK_PURPOSE_BYTES_MAX => {
            Err(Refusal::Wrong(format!("the purpose has {n} bytes; shorten it to {LOOK_PURPOSE_BYTES_MAX}")))
        }
        _ => Ok(purpose.trim().to_owned()),
    }
}

/// Who asks for a check: their name stands in its purpose.
fn checked_by(by: &str) -> Result<&str, Refusal> {
    match by.trim() {
        "" => Err(Refusal::Wrong("nobody is named; say who with --by".into())),
        by if by.len() > LOOK_PURPOSE_BYTES_MAX / 2 => {
            let most = LOOK_PURPOSE_BYTES_MAX / 2;
            Err(Refusal::Wrong(format!("the name has {} bytes; shorten it to {most}", by.len())))
        }
        by => Ok(by),
    }
}

fn known(view: View<'_>, look: u64) -> Result<&Seen, Refusal> {
    view.care
        .look
        .get(look)
        .ok_or_else(|| Refusal::NotFound(format!("there is no look {look}; look anew, or go there")))
}

/// The agreement, where its consent and its dates hold now.
fn agreed_with<'a>(view: View<'a>, resident: &str) -> Result<(&'a Person, &'a Look), Refusal> {
    let person = view.agreed.people.iter().find(|person| person.id == *resident);
    let found = person.and_then(|person| Some((person, person.look.as_ref()?)));
    let (person, look) = found.ok_or_else(|| {
        Refusal::NotFound(format!("no look-ins by camera are agreed with `{resident}`; nobody may look, go there"))
    })?;
    if !view.now.sure {
        let text = "the gateway does not know the time, so not whether a consent holds; nobody may look, go there";
        return Err(Refusal::Conflict(text.into()));
    }
    if !look.term.holds(view.now.wall_ms) {
        let text = format!("the consent of `{resident}` does not hold now; nobody may look, go there");
        return Err(Refusal::Conflict(text));
    }
    Ok((person, look))
}

/// Whoever has agreed to look-ins through this camera, where that holds now.
fn agreed_through<'a>(view: View<'a>, camera: &DeviceId) -> Result<(&'a Person, &'a Look), Refusal> {
    let sees = |person: &&Person| person.look.as_ref().is_some_and(|look| look.camera == *camera);
    let person = view.agreed.people.iter().find(sees).ok_or_else(|| {
        Refusal::Conflict(format!(
            "nobody has agreed to look-ins through camera `{camera}`, so it stays closed; agree on them first ([resident.look])"
        ))
    })?;
    agreed_with(view, &person.id)
}

fn slot_of(view: View<'_>, look: &Look, at_ms: i64) -> Result<Slot, Refusal> {
    let slots = slots::around(look, &view.agreed.zone, view.now.wall_ms);
    let found = slots.into_iter().find(|slot| slot.at_ms == at_ms);
    found.ok_or_else(|| Refusal::NotFound("no look-in is planned for that time; `vaka round` shows what is".into()))
}

/// Nobody has said no, and nobody looks.
fn stands_free(view: View<'_>, person: &Person, look: &Look, slot: &Slot) -> Result<(), Refusal> {
    if said_no(view.care, &view.agreed.zone, person, look, slot, view.now.wall_ms).is_some() {
        return Err(Refusal::Conflict(format!(
            "`{}` does not want to be looked at now; do what is agreed instead",
            person.id
        )));
    }
    is_free(view, look)
}

/// Nobody looks through this camera. A check gives way to a person.
fn is_free(view: View<'_>, look: &Look) -> Result<(), Refusal> {
    match looking(view, &look.camera) {
        Some(by) => {
            let text = format!("camera `{}` is open for {by}; wait until that is over", look.camera);
            Err(Refusal::Conflict(text))
        }
        None => Ok(()),
    }
}

/// Nor is it open for a check.
fn is_closed(view: View<'_>, look: &Look) -> Result<(), Refusal> {
    let mut open = view.care.look.open();
    match open.any(|(_, seen)| seen.camera == look.camera && !seen.is_over(view.now)) {
        true => Err(Refusal::Conflict(format!("camera `{}` is being checked; wait until that is over", look.camera))),
        false => Ok(()),
    }
}

/// Who looks through this camera now.
fn looking<'a>(view: View<'a>, camera: &DeviceId) -> Option<&'a str> {
    let mut open = view.care.look.open().filter(|(_, seen)| seen.camera == *camera && !seen.is_over(view.now));
    open.find_map(|(_, seen)| seen.asked.by.as_deref())
}

fn may_for_slot(view: View<'_>, person: &Person, look: &Look, at_ms: i64) -> Result<(i64, i64), Refusal> {
    let slot = slot_of(view, look, at_ms)?;
    let now_ms = view.now.wall_ms;
    if now_ms < slot.at_ms {
        return Err(Refusal::Conflict(format!(
            "the look-in of {} has not come yet; look from its time on",
            slot.name()
        )));
    }
    let key = super::key(NAME, Some(&person.id), &slot.cause());
    let is_done = |end: &super::memory::End| end.how == super::memory::How::Done;
    if view.care.look.ended(&key, slot.latest_ms).is_some_and(is_done) {
        return Err(Refusal::Conflict(format!("the look-in of {} is made; nobody need look", slot.name())));
    }
    if now_ms >= slot.latest_ms {
        return Err(Refusal::Conflict(format!("the look-in of {} is over; go there", slot.name())));
    }
    stands_free(view, person, look, &slot)?;
    if view.care.signed.visit(&person.id, slot.at_ms).is_some() {
        return Err(Refusal::Conflict(format!(
            "somebody has been there for the look-in of {}; nobody need look",
            slot.name()
        )));
    }
    let of_slot = view.care.look.of(&person.id).map(|(_, seen)| seen).filter(|seen| seen.is_of(&slot));
    may_again(view, look, of_slot)?;
    Ok((slot.at_ms, slot.latest_ms))
}

fn may_for_alarm(view: View<'_>, person: &Person, look: &Look, alarm: &AlarmId) -> Result<(), Refusal> {
    let known = view.alarms.get(alarm).filter(|known| opens(person, look, known));
    let known = known.ok_or_else(|| {
        Refusal::Conflict(format!(
            "alarm {alarm} may not open the camera of `{}`: it is not agreed; go there",
            person.id
        ))
    })?;
    if view.now.wall_ms.saturating_sub(known.raised_at) > LOOK_ALARM_MS {
        return Err(Refusal::Conflict(format!("alarm {alarm} is too old to open the camera; go there")));
    }
    if no_now(view.care, &view.agreed.zone, person, look, view.now.wall_ms).is_some() {
        return Err(Refusal::Conflict(format!("`{}` does not want to be looked at now; go there", person.id)));
    }
    is_free(view, look)?;
    let of_alarm = view.care.look.of(&person.id).map(|(_, seen)| seen);
    may_again(view, look, of_alarm.filter(|seen| seen.asked.alarm.as_ref() == Some(alarm)))
}

/// An alarm of this person's, open still, that the agreement lets open the camera.
pub fn opens(person: &Person, look: &Look, alarm: &Alarm) -> bool {
    let basis = alarm.raise.basis.as_deref().and_then(|basis| basis.resident.as_deref());
    let is_theirs = basis.map_or_else(|| person.devices.contains(&alarm.raise.device), |id| id == person.id);
    let is_own = alarm.raise.rule == NAME && alarm.raise.cause.starts_with(CAUSE);
    is_theirs
        && !is_own
        && alarm.closed_by.is_none()
        && alarm.raise.lane != vaka_protocol::Lane::Test
        && look.alarms.contains(&alarm.raise.cause)
}

/// `looks`: for the same slot or alarm, oldest first.
fn may_again<'a>(view: View<'_>, look: &Look, looks: impl Iterator<Item = &'a Seen>) -> Result<(), Refusal> {
    let by_people: Vec<&Seen> = looks.filter(|seen| seen.asked.by.is_some()).collect();
    if by_people.len() >= LOOK_TRIES_MAX {
        return Err(Refusal::Conflict(format!("it was tried {} times; go there", by_people.len())));
    }
    let shown: Vec<&&Seen> = by_people.iter().filter(|seen| seen.shown(view.now)).collect();
    let Some(last) = shown.last() else { return Ok(()) };
    let outcome = last.outcome.as_ref().map(|(outcome, ..)| *outcome);
    let Some(after_ms) =
        look.second_after_ms.filter(|_| shown.len() == 1 && outcome == Some(LookOutcome::CouldNotTell))
    else {
        return Err(Refusal::Conflict(
            "it was looked at already, and a look is agreed once; go there if in doubt".into(),
        ));
    };
    let lasted_ms = last.over_at(view.now).map_or(0, |over_at| view.now.age_ms(&over_at));
    if lasted_ms < after_ms {
        let text = format!("the second look is agreed {} minutes after the first; wait until then", after_ms / 60_000);
        return Err(Refusal::Conflict(text));
    }
    Ok(())
}

/// The checks that are due now: some minutes before each slot, and again until the look-in is settled or somebody looks.
pub fn checks_due(view: View<'_>) -> Vec<Due> {
    let with_look = view.agreed.people.iter().filter_map(|person| Some((person, person.look.as_ref()?)));
    let due = with_look.filter_map(|(person, look)| {
        let now_ms = view.now.wall_ms;
        let slots = slots::around(look, &view.agreed.zone, now_ms);
        let is_near = |slot: &&Slot| slot.at_ms - LOOK_CHECK_AHEAD_MS <= now_ms && now_ms < slot.latest_ms;
        let key = |slot: &Slot| super::key(NAME, Some(&person.id), &slot.cause());
        // One that is settled hides no other that begins as it ends.
        let is_open = |slot: &&Slot| !view.care.settled.has(&key(slot), slot.latest_ms);
        let slot = slots.iter().filter(is_near).find(is_open)?;
        let of_slot = || view.care.look.of(&person.id).filter(|(_, seen)| seen.is_of(slot));
        let is_looked = of_slot().any(|(_, seen)| seen.asked.by.is_some() && seen.shown(view.now));
        let newest = of_slot().map(|(_, seen)| &seen.at).max_by_key(|at| at.record);
        let is_fresh = newest.is_some_and(|at| view.now.age_ms(at) < LOOK_CHECK_EVERY_MS);
        let may = agreed_with(view, &person.id).is_ok() && stands_free(view, person, look, slot).is_ok();
        (may && !is_looked && !is_fresh).then(|| Due {
            resident: person.id.clone(),
            camera: look.camera.clone(),
            slot_at: slot.at_ms,
        })
    });
    due.collect()
}
