//! The planned look-ins. Each is made by what a sensor proves, from its time on; what none has proven is asked of a person while there is
//! still time for the visit.
//!
//! Invariant: each ends once, as done, as a visit or as declined: the three settle the same cause. In bed means a bed sensor that is heard
//! and says so. Nothing is said of breathing.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use vaka_protocol::{AlarmId, DeviceId, Lane};

use super::super::agreed::{Agreed, Person};
use super::super::out::key;
use super::super::when::Span;
use super::super::{Care, Finding, Out, seen, seen_at};
use super::kept::Planned;
use super::memory::How;
use super::{Declined, HELP, NAME, Night, Tonight, VERSION, words};
use crate::journal::record::Evidence;
use crate::limits::ROUND_MOVED_MS;

pub(super) const DONE: &str = "round-done";
pub(super) const DECLINED: &str = "round-declined";
/// With the look-in's own time: the cause of its visit.
pub const CAUSE: &str = "round ";

/// One look-in of one night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub at: Time,
    pub at_ms: i64,
    pub latest_ms: i64,
}

impl Slot {
    pub fn name(&self) -> String {
        self.at.strftime("%H:%M").to_string()
    }

    pub fn cause(&self) -> String {
        format!("{CAUSE}{}", self.name())
    }
}

/// The look-ins of the night that began with `span`. One that clocks set forward would cut short begins as much sooner.
pub(super) fn slots(night: &Night, zone: &TimeZone, span: &Span) -> Vec<Slot> {
    let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
    let slot = |round: &super::Round| {
        let latest_ms = span.instant(zone, &night.window, round.latest);
        let length_min = (minutes(round.latest) - minutes(round.at)).rem_euclid(24 * 60);
        let at_ms = span.instant(zone, &night.window, round.at).min(latest_ms - length_min * 60_000);
        Slot { at: round.at, at_ms, latest_ms }
    };
    night.rounds.iter().map(slot).collect()
}

pub(super) fn judge(tonight: &Tonight<'_>, out: &mut Out) {
    for Planned { slot, key, .. } in &tonight.kept.calendar.rounds {
        // Before anything was agreed with this person nothing was missed.
        let is_past = slot.latest_ms < tonight.held.first_ms;
        if !is_past && !tonight.view.care.settled.has(key, slot.latest_ms) {
            one(tonight, *slot, out);
        }
    }
}

fn one(tonight: &Tonight<'_>, slot: Slot, out: &mut Out) {
    let (view, night, zone) = (tonight.view, tonight.night, tonight.zone());
    if !out.has_come(view, slot.at_ms) {
        return;
    }
    let finding = |said, evidence| {
        let latest = super::super::when::local(zone, slot.latest_ms).strftime("%H:%M").to_string();
        let agreed = words::settings(night, &[("rounds.at", slot.name()), ("rounds.latest", latest)]);
        Finding { cause: slot.cause(), upto: slot.latest_ms, said, seen: evidence, agreed, ..Finding::default() }
    };
    let resident = tonight.resident();
    if let Some((device, at)) = declined(tonight.view.care, night, zone, tonight.person, &tonight.span, &slot) {
        let evidence = vec![seen_at(device, &at, "decline")];
        if night.declined == Declined::Nothing {
            let said = words::round_declined(zone, &slot, &at);
            out.note(view, (NAME, VERSION), resident, DECLINED, &slot.name(), finding(said, evidence));
            return;
        }
        let said = words::round_visit_instead(zone, &slot, &at);
        visit(tonight, slot, finding(said, evidence), out);
        return;
    }
    let is_late = view.now.wall_ms >= slot.latest_ms;
    if let Some((said, evidence)) = proof(tonight, &slot) {
        let said = if is_late { words::and(said, words::late(zone, slot.latest_ms)) } else { said };
        out.note(view, (NAME, VERSION), resident, DONE, &slot.name(), finding(said, evidence));
        return;
    }
    if !out.has_come(view, slot.latest_ms - night.visit_lead_ms) {
        // Whatever is heard next may prove it.
        out.eager = true;
        return;
    }
    let said = words::round_visit(zone, &slot, why_not(tonight));
    let beds = night.beds.iter().filter_map(|id| Some((id, view.care.facts.get(id)?.bed.as_deref()?)));
    let evidence = beds.map(|(id, switch)| seen(id, switch, super::bed::SAID)).collect();
    visit(tonight, slot, finding(said, evidence), out);
}

fn visit(tonight: &Tonight<'_>, slot: Slot, finding: Finding, out: &mut Out) {
    let Some(device) = tonight.anchor() else { return };
    let of_staff = tonight.finding(&finding.cause, finding.upto, finding.said.clone(), finding.seen.clone());
    let finding = Finding {
        due_at: Some(slot.latest_ms),
        prevented: Some(words::round_prevented()),
        agreed: finding.agreed,
        ..of_staff
    };
    out.raise(tonight.view, tonight.subject(device), Lane::Care, HELP, finding);
}

/// What proves that the look-in is made: a person, the bed, or that somebody moves about.
fn proof(tonight: &Tonight<'_>, slot: &Slot) -> Option<((String, String), Vec<Evidence>)> {
    let zone = tonight.zone();
    if let Some((device, at)) = tonight.staff(true) {
        return Some((words::round_staff(zone, slot, &at), vec![seen_at(device, &at, "staff")]));
    }
    sensors_proof(tonight, slot)
}

/// As [`proof`], by sensors alone.
fn sensors_proof(tonight: &Tonight<'_>, slot: &Slot) -> Option<((String, String), Vec<Evidence>)> {
    let zone = tonight.zone();
    if let Some((device, switch, heard)) = tonight.beds.in_bed {
        return Some((words::round_in_bed(zone, slot, &switch, &heard), vec![seen(device, &switch, super::bed::SAID)]));
    }
    let newest = tonight.signs(false).max_by_key(|(_, at)| at.wall_ms);
    let (device, at) = newest.filter(|(_, at)| at.wall_ms >= slot.at_ms - ROUND_MOVED_MS)?;
    // Not what moved before the bed was left: that may have been the way out of it.
    let is_after = tonight.beds.left.is_none_or(|(_, left)| at.wall_ms > left.wall_ms);
    is_after.then(|| (words::round_up(zone, slot, &at), vec![seen_at(device, &at, "moved")]))
}

/// (Swedish, English): why no sensor could make it.
fn why_not(tonight: &Tonight<'_>) -> (String, String) {
    match (tonight.beds.dark, tonight.beds.left) {
        (Some((bed, _)), _) if super::bed::refused(tonight.view, bed).is_some() => words::of(words::BED_REFUSED),
        (Some(_), _) => words::of(words::BED_SILENT),
        (None, Some((_, left))) => words::empty_since(tonight.zone(), &left),
        (None, None) => words::of(words::NOT_ENTERED),
    }
}

/// When and where the resident declined this look-in. Without a time it is the next one to end that is meant.
fn declined<'a>(
    care: &Care,
    night: &Night,
    zone: &TimeZone,
    person: &'a Person,
    span: &Span,
    slot: &Slot,
) -> Option<(&'a DeviceId, super::At)> {
    let all = person.devices.iter().flat_map(|id| care.night.declined(id).map(move |(name, at)| (id, name, *at)));
    let mut mine = all.filter(|(_, name, _)| name.is_empty() || *name == slot.name()).peekable();
    mine.peek()?;
    let before = night.window.on(zone, span.date.yesterday().unwrap_or(span.date));
    let mut ends: Vec<Slot> = slots(night, zone, &before);
    ends.extend(slots(night, zone, span));
    let same = ends.iter().filter(|known| known.at == slot.at && known.latest_ms < slot.latest_ms);
    let same_ms = same.map(|known| known.latest_ms).max().unwrap_or(i64::MIN);
    let any = ends.iter().filter(|known| known.latest_ms < slot.latest_ms);
    let any_ms = any.map(|known| known.latest_ms).max().unwrap_or(i64::MIN);
    let of_it = |(_, name, at): &(&DeviceId, &str, super::At)| {
        let after_ms = if name.is_empty() { any_ms } else { same_ms };
        after_ms < at.wall_ms && at.wall_ms <= slot.latest_ms
    };
    mine.filter(of_it).max_by_key(|(_, _, at)| at.wall_ms).map(|(id, _, at)| (id, at))
}

/// A visit was asked for, and then a sensor saw what had been in doubt.
pub(super) fn overs(tonight: &Tonight<'_>, out: &mut Out) {
    for Planned { slot, cause, .. } in &tonight.kept.calendar.rounds {
        let Some((upto, alarm)) = tonight.open(cause).filter(|(upto, _)| *upto == slot.latest_ms) else {
            continue;
        };
        // Who declined the sensor is visited all the same.
        let has_declined = alarm.raise.basis.as_ref().is_some_and(|b| b.seen.iter().any(|seen| seen.what == "decline"));
        if has_declined {
            continue;
        }
        // That staff are there ends nothing, and hides nothing that a sensor sees.
        match sensors_proof(tonight, slot) {
            Some((said, _)) => tonight.end(out, cause, (upto, alarm), said),
            None => out.eager = true,
        }
    }
}

/// How far a look-in is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundState {
    /// Its time has not come.
    Planned,
    /// Its time has come and no sensor has proven it yet.
    Trying,
    /// Made; (Swedish, English) by what.
    Done { said: (String, String) },
    /// A person is asked to visit, with this alarm.
    Visit { alarm: AlarmId },
    /// The resident does not want it; nobody comes.
    Declined,
}

/// One look-in of a night, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundView {
    /// Local time at which it begins, `HH:MM`: its name.
    pub slot: String,
    /// UTC milliseconds.
    pub at_ms: i64,
    /// UTC milliseconds.
    pub latest_ms: i64,
    pub state: RoundState,
}

/// The look-ins of the night that runs at `now_ms` (UTC milliseconds), else of the next. Empty where none are agreed.
pub fn tonights_rounds(care: &Care, agreed: &Agreed, person: &Person, now_ms: i64) -> Vec<RoundView> {
    let Some(night) = &person.night else { return Vec::new() };
    let span = night.window.around(&agreed.zone, now_ms);
    rounds_of(care, agreed, person, &span, now_ms)
}

/// The look-in of this person's that begins at `at_ms` (UTC milliseconds), and what it is settled by.
pub fn planned_round(care: &Care, agreed: &Agreed, person: &Person, at_ms: i64) -> Option<(RoundView, String)> {
    let window = person.night.as_ref()?.window;
    let span = window.around(&agreed.zone, at_ms);
    // One that clocks set forward cut short begins before its night does.
    let before = window.on(&agreed.zone, span.date.yesterday().unwrap_or(span.date));
    let of = |span: &Span| rounds_of(care, agreed, person, span, at_ms).into_iter().find(|round| round.at_ms == at_ms);
    let round = of(&span).or_else(|| of(&before))?;
    let settled_by = key(NAME, Some(&person.id), &format!("{CAUSE}{}", round.slot));
    Some((round, settled_by))
}

/// As [`tonights_rounds`], of the night that began with `span`.
pub fn rounds_of(care: &Care, agreed: &Agreed, person: &Person, span: &Span, now_ms: i64) -> Vec<RoundView> {
    let Some(night) = &person.night else { return Vec::new() };
    let view = |slot: Slot| {
        let ended = care.night.round(&key(NAME, Some(&person.id), &slot.cause()), slot.latest_ms);
        let is_declined = || declined(care, night, &agreed.zone, person, span, &slot).is_some();
        let state = match ended.map(|ended| (&ended.how, &ended.said)) {
            Some((How::Done, said)) => RoundState::Done { said: said.clone() },
            Some((How::Declined, _)) => RoundState::Declined,
            Some((How::Visit(alarm), _)) => RoundState::Visit { alarm: alarm.clone() },
            None if night.declined == Declined::Nothing && is_declined() => RoundState::Declined,
            None if now_ms >= slot.at_ms => RoundState::Trying,
            None => RoundState::Planned,
        };
        RoundView { slot: slot.name(), at_ms: slot.at_ms, latest_ms: slot.latest_ms, state }
    };
    slots(night, &agreed.zone, span).into_iter().map(view).collect()
}
