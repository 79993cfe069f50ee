//! The life of a planned dose: due, reminded of, given out, taken; or a person is told.
//!
//! Invariant: each dose gets one outcome (a note) and at most one alarm at a time; later words correct it by notes.

use std::collections::BTreeMap;

use vaka_protocol::{Command, DoseOutcome, Lane};

use super::super::agreed::Person;
use super::super::out::alarm_of;
use super::super::{Finding, Out, View, seen_at};
use super::contact::{Contact, contact};
use super::memory::{Outcome, Report, Told};
use super::planned::Planned;
use super::schedule::release_window;
use super::{NAME, RULE, Slot, subject, words};
use crate::journal::record::{Decision, Evidence, Join, JoinWhat};
use crate::limits::{
    ASSIGNED_RESTART, DOSE_EARLY_REACH_MS, DOSE_EARLY_TOLERANCE_MS, DOSE_HEARD_MS, DOSE_LATE_REACH_MS, DOSE_SILENT_MS,
    DOSE_UNCLEAR_MS, DOSE_UNPLANNED_MS,
};

const HELP_NEEDED: u16 = 10;
const UNKNOWN: u16 = 0;
const JAMMED: u16 = 52;
const NOT_TAKEN: u16 = 81;
const TAKEN: u16 = 83;

/// One slot of one person at one moment.
struct Case<'a> {
    view: View<'a>,
    person: &'a Person,
    slot: &'a Slot<'a>,
    reports: &'a [Report],
    told: Option<&'a BTreeMap<String, Told>>,
}

pub fn slot(view: View<'_>, person: &Person, slot: &Slot<'_>, out: &mut Out) {
    let Some(dispenser) = view.care.dose.dispenser(slot.device) else { return };
    let zone = &view.agreed.zone;
    let told = view.care.dose.told(&person.id, slot.name);
    let told_on = |planned: &Planned<'_>| told.and_then(|told| told.get(&planned.date.to_string()));
    let case = Case { view, person, slot, reports: dispenser.reports(slot.name), told };

    // Sorted to the doses that they are of; what was looked at before is left out where nothing waits for it.
    let looked_at = told.into_iter().flat_map(|told| told.values()).map(|told| told.record).max().unwrap_or(0);
    let settled = view.care.settled.upto(&super::super::key(NAME, Some(&person.id), &format!("told {}", slot.name)));
    let mut waiting = Vec::new();
    for planned in slot.since(zone, settled, view.now.wall_ms) {
        let window = (planned.opens_ms, planned.closes_ms);
        if told_on(&planned).is_none() && dispenser.was_asked(slot.name, window) {
            waiting.push((planned, Vec::new()));
        }
    }
    let first_ms = waiting.first().map_or(i64::MAX, |(planned, _)| planned.opens_ms);
    let mut of_told: Vec<(Planned<'_>, Vec<Report>)> = Vec::new();
    let is_news = |report: &&Report| {
        report.at.record > looked_at || report.at.wall_ms >= first_ms.saturating_sub(DOSE_EARLY_REACH_MS)
    };
    for report in case.reports.iter().filter(is_news) {
        let Some(planned) = case.dose_of(report.at.wall_ms) else {
            case.unplanned(report, dispenser.since(slot.name), out);
            continue;
        };
        let same = |(known, _): &&mut (Planned<'_>, Vec<Report>)| known.date == planned.date;
        if let Some((_, reports)) = waiting.iter_mut().find(|known| same(known)) {
            reports.push(*report);
        } else if told_on(&planned).is_none() {
            case.unplanned(report, dispenser.since(slot.name), out);
        } else if let Some((_, reports)) = of_told.iter_mut().find(|known| same(known)) {
            reports.push(*report);
        } else {
            of_told.push((planned, vec![*report]));
        }
    }
    for (planned, mut reports) in waiting {
        reports.sort_by_key(|report| (report.at.wall_ms, report.at.record));
        case.ripen(&planned, &reports, out);
    }
    for (planned, news) in of_told {
        if let Some(told) = told_on(&planned).filter(|told| news.iter().any(|report| report.at.record > told.record)) {
            case.correct(&planned, told, out);
        }
    }
    for (date, told) in told.into_iter().flatten().rev().take(2) {
        if let Ok(date) = date.parse()
            && let Some(planned) = slot.on(zone, date)
        {
            case.released(&planned, told, out);
        }
    }
}

/// How the dose ended by what was said alone, and the words that show it.
fn said(reports: &[Report]) -> Option<Outcome> {
    if reports.iter().any(|report| report.outcome == DoseOutcome::Taken) {
        return Some(Outcome::Taken);
    }
    let bad = reports.iter().rev().find(|report| report.is_bad())?;
    Some(match bad.outcome {
        DoseOutcome::Missed => Outcome::Missed,
        DoseOutcome::Refused => Outcome::Refused,
        DoseOutcome::Jammed => Outcome::Jammed,
        _ => Outcome::Unknown,
    })
}

impl<'a> Case<'a> {
    /// The dose that a word of the dispenser's at `at_ms` is of: by the plan, else the one that had been released for then.
    fn dose_of(&self, at_ms: i64) -> Option<Planned<'a>> {
        let zone = &self.view.agreed.zone;
        let released = || {
            let told = self.told.into_iter().flatten().rev().filter(|(_, told)| told.released.is_some());
            let doses = told.filter_map(|(date, told)| Some((self.slot.on(zone, date.parse().ok()?)?, told)));
            let mut of = doses.filter(|(planned, told)| {
                let window = release_window(self.view, self.person, self.slot, planned, told);
                window.is_some_and(|(opens_ms, closes_ms)| (opens_ms..closes_ms + DOSE_LATE_REACH_MS).contains(&at_ms))
            });
            of.next().map(|(planned, _)| planned)
        };
        self.slot.of(zone, at_ms).or_else(released)
    }

    /// A dose of which nothing is decided yet. `reports`: what was said of it, oldest first.
    fn ripen(&self, planned: &Planned<'_>, reports: &[Report], out: &mut Out) {
        let view = self.view;
        let early = |report: &&Report| {
            report.outcome == DoseOutcome::Dispensed && report.at.wall_ms < planned.opens_ms - DOSE_EARLY_TOLERANCE_MS
        };
        if let Some(report) = reports.iter().find(early) {
            let finding = Finding {
                happened_at: Some(report.at.wall_ms),
                seen: self.seen(reports),
                prevented: None,
                ..self.finding(planned, words::early(view, planned, report))
            };
            // Seen again at once: how it ended is told of this alarm, which has to be there first.
            if out.raise(view, subject(self.person, self.slot.device), Lane::Care, UNKNOWN, finding) {
                return;
            }
        }
        if let Some(outcome) = said(reports) {
            return self.end(planned, outcome, reports, out);
        }
        let is_out = reports.iter().any(|report| report.outcome == DoseOutcome::Dispensed);
        if out.has_come(view, planned.closes_ms) {
            let late_ms = view.now.wall_ms - planned.closes_ms;
            let outcome = match contact(view, self.slot.device, planned.closes_ms) {
                Contact::Soon(ms) if late_ms < DOSE_UNCLEAR_MS => {
                    // Whatever is heard of it may make it clear.
                    out.eager = true;
                    return out.look_in(ms.min(DOSE_UNCLEAR_MS - late_ms));
                }
                Contact::Yes if is_out => Outcome::NotTaken,
                Contact::Yes => Outcome::Missed,
                // It may have been given, and even taken: nobody can tell.
                Contact::No | Contact::Soon(_) => Outcome::Unknown,
            };
            return self.end(planned, outcome, reports, out);
        }
        if !out.has_come(view, planned.due_ms) {
            return;
        }
        if !is_out {
            match contact(view, self.slot.device, view.now.wall_ms - DOSE_HEARD_MS) {
                // Seen again when it has been heard for so long that it counts as silent.
                Contact::Yes => out.look_in(DOSE_SILENT_MS),
                Contact::Soon(ms) => out.look_in(ms),
                Contact::No => self.silent(planned, out),
            }
        }
        if let Some(after_ms) = planned.plan.reminder_after_ms
            && out.has_come(view, planned.due_ms + after_ms)
        {
            self.remind(planned, out);
        }
    }

    fn silent(&self, planned: &Planned<'_>, out: &mut Out) {
        let view = self.view;
        let heard = view.care.facts.get(self.slot.device).and_then(|known| known.heard);
        let finding = Finding {
            seen: heard.map(|at| seen_at(self.slot.device, &at, "heard last")).into_iter().collect(),
            prevented: Some(words::owned(words::HEARD)),
            due_at: Some(planned.closes_ms),
            ..self.finding(planned, words::silent(view, planned))
        };
        out.raise(view, subject(self.person, self.slot.device), Lane::Care, HELP_NEEDED, finding);
    }

    fn remind(&self, planned: &Planned<'_>, out: &mut Out) {
        let (sv, en) = words::reminder(planned);
        let text = if self.view.home.english { en } else { sv };
        let command = Command::Reminder { text: text.as_str().into() };
        let finding = Finding {
            cause: format!("reminder {}", self.slot.name),
            ..self.finding(planned, words::reminded(planned))
        };
        out.send(self.view, subject(self.person, self.slot.device), command, planned.closes_ms, finding);
    }

    /// The dose has its outcome.
    fn end(&self, planned: &Planned<'_>, outcome: Outcome, reports: &[Report], out: &mut Out) {
        let view = self.view;
        let said = words::ended(view, planned, outcome, reports);
        // What was said against a dose after it was taken is not looked at yet: the correction finds it, and tells a person.
        let taken_ms = reports.iter().filter(|report| report.outcome == DoseOutcome::Taken).map(|r| r.at.wall_ms).max();
        let against = |report: &&Report| report.is_bad() && taken_ms.is_some_and(|at| report.at.wall_ms >= at);
        let upto = reports.iter().filter(against).map(|report| report.at.record).min().unwrap_or(u64::MAX);
        let looked_at: Vec<Report> = reports.iter().filter(|report| report.at.record < upto).copied().collect();
        let finding = Finding { seen: self.seen(&looked_at), ..self.finding(planned, said.clone()) };
        // That it is silent has been told; that it still does not know is no news.
        let is_news = outcome != Outcome::Unknown || reports.iter().any(Report::is_bad);
        match outcome {
            Outcome::Taken => self.over(planned, &said, out),
            _ => self.tell((outcome, is_news), finding.clone(), out),
        }
        let finding = Finding { cause: format!("told {}", self.slot.name), ..finding };
        let what = format!("dose-{}", outcome.as_str());
        out.note(view, RULE, Some(&self.person.id), &what, &planned.name(), finding);
    }

    /// A person is told: by the dose's own alarm, and only if somebody has closed that one by another.
    fn tell(&self, (outcome, is_news): (Outcome, bool), finding: Finding, out: &mut Out) {
        let view = self.view;
        let stc = match outcome {
            Outcome::Missed | Outcome::NotTaken | Outcome::Refused => NOT_TAKEN,
            Outcome::Jammed => JAMMED,
            Outcome::Taken | Outcome::Unknown | Outcome::Signed => UNKNOWN,
        };
        let subject = subject(self.person, self.slot.device);
        if out.raise(view, subject, Lane::Care, stc, finding.clone()) {
            return;
        }
        let id = alarm_of(NAME, subject.resident, &finding.cause, finding.upto);
        match view.alarms.get(&id) {
            Some(_) if !is_news => {}
            Some(alarm) if alarm.closed_by.is_none() => out.decisions.push(Decision::Join(Join {
                alarm: id,
                what: JoinWhat::Again,
                restart: ASSIGNED_RESTART,
                seq: alarm.raise.seq,
                stc,
                happened_at: view.now.wall_ms,
                delayed: false,
                notify: !alarm.is_claimed(),
                home: None,
                whereabouts: None,
                words: Some(finding.said),
            })),
            _ => {
                let cause = format!("{} {}", outcome.as_str(), self.slot.name);
                out.raise(view, subject, Lane::Care, stc, Finding { cause, ..finding });
            }
        }
    }

    /// The dose was taken after all.
    fn over(&self, planned: &Planned<'_>, said: &(String, String), out: &mut Out) {
        let subject = subject(self.person, self.slot.device);
        let own = Outcome::ALL.into_iter().map(|outcome| format!("{} {}", outcome.as_str(), self.slot.name));
        for cause in std::iter::once(cause(planned)).chain(own) {
            out.over(self.view, subject, (&cause, planned.number()), TAKEN, said.clone());
        }
    }

    /// The dispenser has said more of a dose that was told.
    fn correct(&self, planned: &Planned<'_>, told: &Told, out: &mut Out) {
        let view = self.view;
        let is_of = |report: &&Report| self.dose_of(report.at.wall_ms).is_some_and(|known| known.date == planned.date);
        let mut reports: Vec<Report> = self.reports.iter().filter(is_of).copied().collect();
        reports.sort_by_key(|report| (report.at.wall_ms, report.at.record));
        let is_out = reports.iter().any(|report| report.outcome == DoseOutcome::Dispensed);
        if told.outcome == Outcome::Signed {
            // Given by hand. That the dispenser misses it is as it should be; that it gives it out too a person has to know.
            let given = |outcome| matches!(outcome, DoseOutcome::Dispensed | DoseOutcome::Taken);
            let twice = reports.iter().rev().find(|report| given(report.outcome) && report.at.record > told.record);
            if let Some(report) = twice {
                self.twice(planned, report, &reports, out);
            }
            return;
        }
        let Some(outcome) = said(&reports).or(is_out.then_some(Outcome::NotTaken)) else { return };
        let upto = reports.iter().map(|report| report.at.record).max().unwrap_or(0);
        let taken_ms = reports.iter().filter(|report| report.outcome == DoseOutcome::Taken).map(|r| r.at.wall_ms).max();
        let against = |report: &&Report| {
            report.is_bad() && report.at.record > told.record && taken_ms.is_some_and(|at| report.at.wall_ms >= at)
        };
        let note = |what: &str, said: (String, String), out: &mut Out| {
            let cause = format!("corrected {}", self.slot.name);
            let finding = Finding {
                cause,
                upto: i64::try_from(upto).unwrap_or(i64::MAX),
                seen: self.seen(&reports),
                ..self.finding(planned, said)
            };
            out.note(view, RULE, Some(&self.person.id), what, &planned.name(), finding)
        };
        if told.outcome == Outcome::Taken {
            // It was taken; what is said against it a person has to judge.
            if let Some(report) = reports.iter().rev().find(against) {
                let said = words::contradicted(view, planned, report);
                if note("dose-contradicted", said.clone(), out) {
                    let outcome =
                        if report.outcome == DoseOutcome::Jammed { Outcome::Jammed } else { Outcome::Unknown };
                    let finding = Finding { seen: self.seen(&reports), ..self.finding(planned, said) };
                    self.tell((outcome, true), finding, out);
                }
            }
            return;
        }
        // What gave an alarm is not made worse by hearing it again; what was said first stays until the dispenser says otherwise.
        // Missed, and yet given out before anybody released it: the dose stands there, and a person who looks for none has to know.
        let was_out = told.outcome == Outcome::Missed
            && reports.iter().any(|report| {
                report.outcome == DoseOutcome::Dispensed
                    && report.at.record > told.record
                    && told.released.as_ref().is_none_or(|released| report.at.wall_ms < released.at.wall_ms)
            });
        let is_known =
            outcome == told.outcome || (outcome == Outcome::NotTaken && told.outcome != Outcome::Unknown && !was_out);
        if is_known {
            return;
        }
        let said = words::ended(view, planned, outcome, &reports);
        let what = format!("dose-corrected-{}", outcome.as_str());
        if note(&what, words::corrected(said.clone()), out) {
            match outcome {
                Outcome::Taken => self.over(planned, &words::corrected(said), out),
                // A dispenser that is stuck is stuck for the next dose too.
                Outcome::Jammed => {
                    let finding = Finding { seen: self.seen(&reports), ..self.finding(planned, said) };
                    self.tell((outcome, true), finding, out);
                }
                Outcome::NotTaken if was_out => {
                    let finding = Finding { seen: self.seen(&reports), ..self.finding(planned, said) };
                    self.tell((outcome, true), finding, out);
                }
                _ => {}
            }
        }
    }

    /// A dose that was given by hand is given out by the dispenser as well.
    fn twice(&self, planned: &Planned<'_>, report: &Report, reports: &[Report], out: &mut Out) {
        let finding = Finding {
            seen: self.seen(reports),
            prevented: None,
            ..self.finding(planned, words::twice(self.view, planned, report))
        };
        let noted = Finding {
            cause: format!("corrected {}", self.slot.name),
            upto: i64::try_from(report.at.record).unwrap_or(i64::MAX),
            ..finding.clone()
        };
        if out.note(self.view, RULE, Some(&self.person.id), "dose-contradicted", &planned.name(), noted) {
            self.tell((Outcome::Unknown, true), finding, out);
        }
    }

    /// A dose that a person has released and that nobody has taken since.
    fn released(&self, planned: &Planned<'_>, told: &Told, out: &mut Out) {
        let view = self.view;
        let Some(released) =
            told.released.as_ref().filter(|_| !matches!(told.outcome, Outcome::Taken | Outcome::Signed))
        else {
            return;
        };
        let Some((_, until_ms)) = release_window(view, self.person, self.slot, planned, told) else { return };
        if out.has_come(view, until_ms) {
            let finding = Finding {
                cause: format!("released {}", self.slot.name),
                upto: i64::try_from(released.at.record).unwrap_or(i64::MAX),
                ..self.finding(planned, words::released_unused(view, planned, &released.by, until_ms))
            };
            out.raise(view, subject(self.person, self.slot.device), Lane::Care, NOT_TAKEN, finding);
        }
    }

    /// Something that the dispenser says of a slot when no dose of it was planned.
    fn unplanned(&self, report: &Report, since: Option<u64>, out: &mut Out) {
        let view = self.view;
        // Before it was first asked, it ran on a schedule of its own; what went wrong just then is told all the same.
        let is_planned_since = since.is_some_and(|since| report.at.record > since);
        let is_fresh = view.now.wall_ms - report.recorded_ms <= DOSE_UNPLANNED_MS;
        if !is_fresh || !(is_planned_since || report.is_bad()) {
            return;
        }
        let finding = Finding {
            cause: format!("unplanned {}", self.slot.name),
            upto: i64::try_from(report.at.record).unwrap_or(i64::MAX),
            said: words::unplanned(view, self.slot.name, report),
            happened_at: Some(report.at.wall_ms),
            seen: self.seen(std::slice::from_ref(report)),
            agreed: self
                .slot
                .plans
                .iter()
                .map(|plan| ("dose.at".to_owned(), plan.at.strftime("%H:%M").to_string()))
                .collect(),
            ..Finding::default()
        };
        let stc = if report.outcome == DoseOutcome::Jammed { JAMMED } else { UNKNOWN };
        out.raise(view, subject(self.person, self.slot.device), Lane::Care, stc, finding);
    }

    fn seen(&self, reports: &[Report]) -> Vec<Evidence> {
        let seen = |report: &Report| seen_at(self.slot.device, &report.at, &format!("dose {}", report.outcome));
        let mut seen: Vec<Evidence> = reports.iter().map(seen).collect();
        seen.sort_by_key(|seen| (seen.at, seen.record));
        seen
    }

    /// The dose's own cause, with what was agreed of it.
    fn finding(&self, planned: &Planned<'_>, said: (String, String)) -> Finding {
        let plan = planned.plan;
        let minutes = |ms: i64| (ms / 60_000).to_string();
        let mut agreed = vec![
            ("dose.slot".to_owned(), plan.slot.clone()),
            ("dose.at".to_owned(), plan.at.strftime("%H:%M").to_string()),
            ("dose.grace_min".to_owned(), minutes(plan.grace_ms)),
        ];
        agreed.extend(plan.reminder_after_ms.map(|ms| ("dose.reminder_after_min".to_owned(), minutes(ms))));
        Finding {
            cause: cause(planned),
            upto: planned.number(),
            said,
            agreed,
            prevented: Some(words::owned(words::TAKEN_IN_TIME)),
            ..Finding::default()
        }
    }
}

/// One cause for all that can happen to one dose: so it has one alarm.
fn cause(planned: &Planned<'_>) -> String {
    format!("dose {}", planned.plan.slot)
}
