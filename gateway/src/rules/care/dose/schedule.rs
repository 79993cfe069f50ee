//! The dispenser's schedule: the next doses, pushed whenever they change and once a day, and confirmed by the dispenser.
//!
//! Invariants: a dose that was given out, or that has its outcome, is not asked for again, unless a person has released it; at
//! most 8 doses, the next ones; a schedule that is not confirmed in time is told.

use std::collections::BTreeMap;

use jiff::ToSpan;
use vaka_protocol::limits::SCHEDULE_SLOTS_MAX;
use vaka_protocol::{Command, DeviceId, DoseOutcome, Lane, Slot as WireSlot};

use super::super::agreed::Person;
use super::super::when::{local, next};
use super::super::{Finding, Out, View, key, seen_at};
use super::memory::{Asked, Dispenser, Outcome, Pushed, Told};
use super::planned::Planned;
use super::{NAME, Slot, subject, words};
use crate::limits::{DOSE_CONFIRM_MS, DOSE_EARLY_REACH_MS, DOSE_HORIZON_DAYS, DOSE_LOOK_BACK_DAYS, DOSE_SCHEDULE_MS};

const MALFUNCTION: u16 = 67;
const RESTORAL: u16 = 94;

/// What a dispenser is to do from now.
struct Wanted {
    /// In the order of time.
    next: Vec<Asked>,
    /// Windows that are still open, of doses that need nothing more.
    done: Vec<Asked>,
}

pub fn judge(view: View<'_>, person: &Person, slots: &[Slot<'_>], out: &mut Out) {
    for device in &person.devices {
        let known = view.care.dose.dispenser(device);
        let pushed = known.and_then(|known| known.pushed.as_ref());
        let of_device: Vec<&Slot<'_>> = slots.iter().filter(|slot| slot.device == device).collect();
        if of_device.is_empty() && pushed.is_none() {
            continue;
        }
        let wanted = wanted(view, person, &of_device, known);
        // What comes within reach with the days.
        out.look_in(DOSE_SCHEDULE_MS / 4);
        if is_due(view, &wanted, pushed, out) {
            push(view, person, device, wanted.next, out);
        } else if let Some(pushed) = pushed {
            confirm(view, person, device, pushed, out);
        }
    }
}

fn wanted(view: View<'_>, person: &Person, slots: &[&Slot<'_>], known: Option<&Dispenser>) -> Wanted {
    let zone = &view.agreed.zone;
    let now_ms = view.now.wall_ms;
    let mut wanted = Wanted { next: Vec::new(), done: Vec::new() };
    for slot in slots {
        let history = view.care.dose.told(&person.id, slot.name);
        // A grace of half a day reaches past midnight.
        let first = local(zone, now_ms).date().yesterday().unwrap_or_default();
        // What a person has released stays asked for until its own time is over, however old its date.
        let released = history.into_iter().flatten().filter(|(_, told)| told.released.is_some());
        let older = released.filter_map(|(date, _)| date.parse().ok()).filter(|date| *date < first);
        let dates = older.chain((0..DOSE_HORIZON_DAYS).filter_map(|days| first.checked_add(days.days()).ok()));
        let mut open = 0;
        for planned in dates.filter_map(|date| slot.on(zone, date)) {
            let told = history.and_then(|told| told.get(&planned.date.to_string()));
            let asked = |(opens_ms, closes_ms), releases_ms| Asked {
                slot: slot.name.to_owned(),
                opens_ms,
                closes_ms,
                releases_ms,
            };
            let own = asked((planned.opens_ms, planned.closes_ms), None);
            let window = match told {
                Some(told) => release_window(view, person, slot, &planned, told)
                    .map(|window| asked(window, Some(opened_ms(view, known, slot, &planned)))),
                None if is_given_out(slot, &planned, known, now_ms) => None,
                None if is_given_out_before(view, slot, &planned, history) => None,
                None => Some(own.clone()),
            };
            let is_release = window.as_ref().is_some_and(|window| window.releases_ms.is_some());
            // What was given by hand the dispenser does not know of itself.
            let is_by_hand = told.is_some_and(|told| told.outcome == Outcome::Signed);
            if (window.is_none() || is_release) && !is_by_hand {
                wanted.done.push(own);
            }
            let Some(window) = window.filter(|window| window.closes_ms > now_ms) else { continue };
            if is_release && is_taken_since(slot, known, window.opens_ms) {
                wanted.done.push(window);
                continue;
            }
            wanted.next.push(window);
            open += 1;
            if open == SCHEDULE_SLOTS_MAX {
                break;
            }
        }
    }
    wanted.next.sort_by(|a, b| (a.opens_ms, &a.slot).cmp(&(b.opens_ms, &b.slot)));
    wanted.next.truncate(SCHEDULE_SLOTS_MAX);
    wanted
}

/// When the dose opened by the schedule that the dispenser had of it, whatever is planned now: its name there. UTC milliseconds.
fn opened_ms(view: View<'_>, known: Option<&Dispenser>, slot: &Slot<'_>, planned: &Planned<'_>) -> i64 {
    let asked = known.into_iter().flat_map(|known| known.asked(slot.name)).filter(|asked| asked.releases_ms.is_none());
    let opens = asked.map(|asked| asked.opens_ms);
    let of_date = opens.filter(|opens_ms| local(&view.agreed.zone, *opens_ms).date() == planned.date);
    of_date.max().unwrap_or(planned.opens_ms)
}

fn is_given_out(slot: &Slot<'_>, planned: &Planned<'_>, known: Option<&Dispenser>, now_ms: i64) -> bool {
    let reports = known.map_or(&[][..], |known| known.reports(slot.name));
    let since_ms = planned.opens_ms - DOSE_EARLY_REACH_MS;
    let given = |outcome| matches!(outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
    now_ms >= since_ms && reports.iter().any(|report| given(report.outcome) && report.at.wall_ms >= since_ms)
}

/// The dose of that date was given out when it was still asked for at another time of the day.
fn is_given_out_before(
    view: View<'_>,
    slot: &Slot<'_>,
    planned: &Planned<'_>,
    history: Option<&BTreeMap<String, Told>>,
) -> bool {
    let Some(known) = view.care.dose.dispenser(slot.device) else { return false };
    let given = |outcome| matches!(outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
    // A release opens a window too, but of the dose of another day.
    let released = |told: &Told| told.released.as_ref().map(|released| released.at.wall_ms);
    let is_release =
        |asked: &Asked| history.into_iter().flatten().any(|(_, told)| released(told) == Some(asked.opens_ms));
    let reports = known.reports(slot.name);
    known.asked(slot.name).any(|asked| {
        let window = asked.opens_ms - DOSE_EARLY_REACH_MS..asked.closes_ms;
        // In this order: what day it is costs the most.
        reports.iter().any(|report| given(report.outcome) && window.contains(&report.at.wall_ms))
            && local(&view.agreed.zone, asked.opens_ms).date() == planned.date
            && !is_release(asked)
    })
}

fn is_taken_since(slot: &Slot<'_>, known: Option<&Dispenser>, since_ms: i64) -> bool {
    let reports = known.map_or(&[][..], |known| known.reports(slot.name));
    let given = |outcome| matches!(outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
    reports.iter().any(|report| given(report.outcome) && report.at.wall_ms >= since_ms)
}

/// From when to when the dispenser may give out a dose that a person has released, UTC milliseconds. None where it may already have
/// been given out, or the resident's next dose is too near: then the release is a record and nothing else.
pub fn release_window(
    view: View<'_>,
    person: &Person,
    slot: &Slot<'_>,
    planned: &Planned<'_>,
    told: &Told,
) -> Option<(i64, i64)> {
    let released = told.released.as_ref()?;
    if !is_given_out_by_release(told.outcome) {
        return None;
    }
    let opens_ms = released.at.wall_ms;
    let known = view.care.dose.dispenser(slot.device)?;
    let in_window = |at_ms: i64| (planned.opens_ms - DOSE_EARLY_REACH_MS..opens_ms).contains(&at_ms);
    let given = |outcome| matches!(outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
    if is_far(view, planned, opens_ms)
        || known.reports(slot.name).iter().any(|report| given(report.outcome) && in_window(report.at.wall_ms))
    {
        return None;
    }
    let next = next_of_slot(view, slot, planned, opens_ms);
    let before_own_ms = next.map_or(i64::MAX, |next| next.opens_ms - DOSE_EARLY_REACH_MS);
    let before_other_ms = next_of_others(view, person, slot, opens_ms).unwrap_or(i64::MAX);
    let closes_ms = (opens_ms + planned.plan.grace_ms).min(before_own_ms).min(before_other_ms);
    (closes_ms > opens_ms).then_some((opens_ms, closes_ms))
}

/// A dose that ended so is still in the dispenser, as far as is known: its release lets it be given out.
fn is_given_out_by_release(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Missed | Outcome::Refused | Outcome::Jammed | Outcome::Taken)
}

/// Nobody is shown doses from so long before `at_ms`, and what was planned since is not looked up any more.
fn is_far(view: View<'_>, planned: &Planned<'_>, at_ms: i64) -> bool {
    let far = local(&view.agreed.zone, at_ms).date().checked_sub(DOSE_LOOK_BACK_DAYS.days());
    far.is_ok_and(|far| planned.date < far)
}

/// The dose of the slot that follows this one, if it is planned until the day after `at_ms`.
fn next_of_slot<'a>(view: View<'_>, slot: &Slot<'a>, planned: &Planned<'_>, at_ms: i64) -> Option<Planned<'a>> {
    let zone = &view.agreed.zone;
    let last = next(local(zone, at_ms).date());
    let mut date = planned.date;
    while date < last {
        date = date.tomorrow().ok()?;
        if let Some(next) = slot.on(zone, date) {
            return Some(next);
        }
    }
    None
}

/// When the next dose of any other slot of the resident's opens after `at_ms`: two are never released into one another.
fn next_of_others(view: View<'_>, person: &Person, slot: &Slot<'_>, at_ms: i64) -> Option<i64> {
    let zone = &view.agreed.zone;
    let today = local(zone, at_ms).date();
    let others =
        super::slots(person).into_iter().filter(|other| (other.device, other.name) != (slot.device, slot.name));
    let opens = others.flat_map(|other| {
        let days = [today, next(today), next(next(today))];
        days.into_iter().filter_map(move |date| Some(other.on(zone, date)?.opens_ms)).collect::<Vec<_>>()
    });
    opens.filter(|opens_ms| *opens_ms > at_ms).min()
}

/// Why a dose cannot be released now, and what to do: where the release would be taken for one that the dispenser hears of, and is none.
pub fn refusal(view: View<'_>, person: &Person, slot: &Slot<'_>, planned: &Planned<'_>, told: &Told) -> Option<String> {
    const ASK: &str = "ask whoever prescribes whether it is to be given by hand, and close its alarm";
    if !is_given_out_by_release(told.outcome) {
        return None;
    }
    let (zone, now_ms) = (&view.agreed.zone, view.now.wall_ms);
    let dose = format!("the dose of slot `{}` on {}", slot.name, planned.date);
    if is_far(view, planned, now_ms) {
        return Some(format!("{dose} is too old to be released: more than {DOSE_LOOK_BACK_DAYS} days; {ASK}"));
    }
    let next = next_of_slot(view, slot, planned, now_ms);
    if let Some(next) = next.filter(|next| next.opens_ms - DOSE_EARLY_REACH_MS <= now_ms) {
        let due = local(zone, next.due_ms).strftime("%Y-%m-%d %H:%M").to_string();
        return Some(format!(
            "{dose} is too old to be released: the next dose of that slot is the one of {due}, and two must never be open at once; {ASK}"
        ));
    }
    let slots = super::slots(person);
    let open = slots.iter().find_map(|other| {
        let known = view.care.dose.dispenser(other.device);
        let wanted = wanted(view, person, &[other], known);
        wanted.next.into_iter().find(|asked| asked.opens_ms <= now_ms && now_ms < asked.closes_ms)
    })?;
    let until = local(zone, open.closes_ms).strftime("%H:%M").to_string();
    let other = open.slot;
    Some(format!(
        "{dose} cannot be released now: the dose of slot `{other}` is open until {until}, and two must never be open at once; release it when that one is taken, or after {until}"
    ))
}

/// The schedule that the dispenser has does not do any more.
fn is_due(view: View<'_>, wanted: &Wanted, pushed: Option<&Pushed>, out: &mut Out) -> bool {
    let now_ms = view.now.wall_ms;
    let Some(pushed) = pushed else { return !wanted.next.is_empty() };
    // What has opened and needs nothing more the dispenser knows itself; what has not is taken back.
    let is_over = |asked: &Asked| asked.opens_ms <= now_ms && wanted.done.contains(asked);
    let is_open = |asked: &&Asked| asked.closes_ms > now_ms && !is_over(asked);
    let left: Vec<&Asked> = pushed.slots.iter().filter(is_open).collect();
    let is_the_same =
        left.len() <= wanted.next.len() && left.iter().zip(&wanted.next).all(|(left, next)| *left == next);
    // Half a schedule is left: room for what has come within reach.
    let runs_out = left.len() <= SCHEDULE_SLOTS_MAX / 2 && left.len() < wanted.next.len();
    let is_old = !wanted.next.is_empty() && out.has_lasted(view, &pushed.at, DOSE_SCHEDULE_MS);
    !is_the_same || is_old || (runs_out && pushed.slots.len() == SCHEDULE_SLOTS_MAX)
}

fn push(view: View<'_>, person: &Person, device: &DeviceId, next: Vec<Asked>, out: &mut Out) {
    let cause = format!("schedule {device}");
    let earlier = view.care.settled.upto(&key(NAME, Some(&person.id), &cause)).unwrap_or(0);
    let slots = next.iter().map(|asked| WireSlot {
        slot: asked.slot.as_str().into(),
        opens_at: asked.opens_ms,
        closes_at: asked.closes_ms,
        releases: asked.releases_ms,
    });
    let finding = Finding {
        cause,
        upto: earlier + 1,
        said: words::schedule_sent(next.len()),
        agreed: next.iter().map(|asked| ("dose.slot".to_owned(), asked.slot.clone())).collect(),
        ..Finding::default()
    };
    let expires_at = view.now.wall_ms + DOSE_SCHEDULE_MS;
    out.send(view, subject(person, device), Command::Schedule { slots: slots.collect() }, expires_at, finding);
}

/// The dispenser says that it runs on it; else somebody is told that it does not.
fn confirm(view: View<'_>, person: &Person, device: &DeviceId, pushed: &Pushed, out: &mut Out) {
    let cause = format!("unconfirmed {device}");
    let subject = subject(person, device);
    let open = view.alarms.newest(device, &cause).filter(|alarm| alarm.raise.rule == NAME && !alarm.over);
    match pushed.done {
        Some(true) => {
            if let Some(basis) = open.and_then(|alarm| alarm.raise.basis.as_ref()) {
                out.over(view, subject, (&cause, basis.upto), RESTORAL, words::schedule_new());
            }
        }
        None if !out.has_lasted(view, &pushed.at, DOSE_CONFIRM_MS) => {}
        done => {
            if open.is_none() {
                let finding = Finding {
                    cause,
                    upto: i64::try_from(pushed.at.record).unwrap_or(i64::MAX),
                    said: words::schedule_old(done.is_some()),
                    seen: vec![seen_at(device, &pushed.at, "schedule sent")],
                    prevented: Some(words::owned(words::HEARD)),
                    ..Finding::default()
                };
                out.raise(view, subject, Lane::Technical, MALFUNCTION, finding);
            }
        }
    }
}
