//! Rule `reminder`: what the resident has asked to be reminded of.
//!
//! Enters: the agreed times, the moment, the devices' answers. Leaves: a command once for each time, and a note of whether it was shown.
//! Invariants: never twice, also over a restart; never beyond its expiry.

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use vaka_protocol::{Command, DeviceId, Event, Outcome};

use super::agreed::Person;
use super::moment::At;
use super::term::Term;
use super::when::{Days, instant, local};
use super::{Finding, Out, Sight, Subject, View, key, seen_at};
use crate::journal::record::Decision;
use crate::limits::REMINDERS_OPEN_MAX;

pub const NAME: &str = "reminder";
pub const VERSION: u16 = 1;

const RULE: (&str, u16) = (NAME, VERSION);

/// How late a reminder may still come where nothing else is agreed, in minutes. Source: our choice; later it would only confuse.
pub const EXPIRY_MIN: i64 = 30;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reminder {
    /// What shows or says it.
    pub device: DeviceId,
    pub days: Days,
    /// Local time.
    pub at: Time,
    /// In the resident's own words.
    pub text: String,
    pub expiry_ms: i64,
    pub term: Term,
}

/// A reminder that its device has not answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    resident: String,
    /// Its cause, and its number among that cause's.
    cause: String,
    upto: i64,
    /// UTC milliseconds.
    expires_at: i64,
    /// When the device answered, and whether it showed it.
    #[serde(default)]
    done: Option<(At, bool)>,
}

/// What is remembered: by device and command.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reminders {
    #[serde(default)]
    open: BTreeMap<DeviceId, BTreeMap<u64, Open>>,
}

impl Reminders {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.open.values_mut().for_each(|open| open.retain(|_, one| one.resident != gone.resident));
        self.open.retain(|_, open| !open.is_empty());
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        let Event::Done { id, outcome } = sight.event else { return };
        if let Some(open) = self.open.get_mut(sight.device).and_then(|open| open.get_mut(id)) {
            open.done = Some((sight.at, *outcome == Outcome::Done));
        }
    }

    /// `command`: the id under which it goes out.
    pub fn apply(&mut self, decision: &Decision, command: u64) {
        match decision {
            Decision::Send(send) if send.rule == NAME => {
                let open = self.open.entry(send.device.clone()).or_default();
                let resident = send.basis.resident.clone().unwrap_or_default();
                let of_all = key(NAME, Some(&resident), "");
                let cause = send.basis.key.strip_prefix(&of_all).unwrap_or_default().to_owned();
                let (upto, expires_at) = (send.basis.upto, send.expires_at);
                open.insert(command, Open { resident, cause, upto, expires_at, done: None });
                while open.len() > REMINDERS_OPEN_MAX {
                    open.pop_first();
                }
            }
            Decision::Note(note) if note.rule == NAME => {
                let resident = note.basis.resident.as_deref().unwrap_or_default();
                let is_it =
                    |open: &Open| open.resident == resident && open.cause == note.slot && open.upto == note.basis.upto;
                self.open.values_mut().for_each(|open| open.retain(|_, open| !is_it(open)));
                self.open.retain(|_, open| !open.is_empty());
            }
            _ => {}
        }
    }
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    for reminder in &person.reminders {
        remind(view, person, reminder, out);
    }
    for (device, open) in &view.care.reminder.open {
        for open in open.values().filter(|open| open.resident == person.id) {
            answer(view, person, device, open, out);
        }
    }
}

fn remind(view: View<'_>, person: &Person, reminder: &Reminder, out: &mut Out) {
    let zone = &view.agreed.zone;
    let today = local(zone, view.now.wall_ms).date();
    // Yesterday's may not have expired; the next to come is when to look again.
    let days = (-1..=8).filter_map(|days: i32| today.checked_add(days.days()).ok());
    for date in days.filter(|date| reminder.days.contains(date.weekday())) {
        let due_ms = instant(zone, date, reminder.at);
        if !out.has_come(view, due_ms) {
            return;
        }
        if view.now.wall_ms >= due_ms + reminder.expiry_ms {
            continue;
        }
        let at = reminder.at.strftime("%H:%M").to_string();
        let finding = Finding {
            cause: format!("{at} {}", reminder.device),
            upto: super::dose::number(date),
            said: (format!("Påminnelsen {at} sändes."), format!("The reminder of {at} was sent.")),
            agreed: vec![("reminder.at".into(), at), ("reminder.text".into(), reminder.text.clone())],
            ..Finding::default()
        };
        let subject = Subject { rule: RULE, resident: Some(&person.id), device: &reminder.device };
        let command = Command::Reminder { text: reminder.text.as_str().into() };
        out.send(view, subject, command, due_ms + reminder.expiry_ms, finding);
    }
}

fn answer(view: View<'_>, person: &Person, device: &DeviceId, open: &Open, out: &mut Out) {
    let at = open.cause.split_once(' ').map_or(open.cause.as_str(), |(at, _)| at);
    let (what, said) = match open.done {
        Some((_, true)) => {
            ("reminder-shown", (format!("Påminnelsen {at} visades."), format!("The reminder of {at} was shown.")))
        }
        Some((_, false)) => (
            "reminder-refused",
            (
                format!("Påminnelsen {at} visades inte. Enheten tog inte emot den."),
                format!("The reminder of {at} was not shown. The device did not accept it."),
            ),
        ),
        None if out.has_come(view, open.expires_at) => (
            "reminder-unconfirmed",
            (
                format!("Oklart om påminnelsen {at} visades. Enheten svarade inte."),
                format!("Whether the reminder of {at} was shown is unknown. The device did not answer."),
            ),
        ),
        None => return,
    };
    let seen = open.done.map(|(at, _)| seen_at(device, &at, "done"));
    let finding = Finding {
        cause: format!("answer {}", open.cause),
        upto: open.upto,
        said,
        seen: seen.into_iter().collect(),
        ..Finding::default()
    };
    out.note(view, RULE, Some(&person.id), what, &open.cause, finding);
}

#[cfg(test)]
#[path = "reminder_tests.rs"]
mod tests;
