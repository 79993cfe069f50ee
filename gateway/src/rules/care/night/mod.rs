//! Rule `night`: the night as agreed: bed, doors, visits up, the morning, and the planned look-ins.
//!
//! Enters: what the sensors said, what is agreed, the moment. Leaves: alarms of what was not as agreed, a visit task wherever no sensor
//! proves what was agreed to be looked at, and a note of each look-in that a sensor made.
//! Invariants: a bed whose sensor is not heard is never read as a bed with somebody in it; each look-in ends once: done, declined or a
//! visit that is asked for before its latest time; staff in the home explain an alarm and mute none.
//! Absent: breathing, sleep, or anything else that a bed sensor's one bit does not say.

mod bed;
mod door;
mod kept;
mod memory;
mod morning;
mod rounds;
#[cfg(test)]
pub(super) mod tests;
mod visits;
mod words;

use std::borrow::Cow;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use vaka_protocol::DeviceId;

use super::agreed::Person;
use super::moment::At;
use super::out::key;
use super::term::Term;
use super::when::{Daily, Span};
use super::{Finding, Out, Subject, View, seen_at};
use crate::journal::record::{Decision, Evidence, Join, JoinWhat};
use crate::limits::ASSIGNED_RESTART;
use crate::rules::alarms::Alarm;
use bed::Beds;
pub use kept::Kept;
use kept::Made;
pub use memory::Nights;
pub use rounds::{CAUSE as ROUND, RoundState, RoundView, planned_round, rounds_of, tonights_rounds};

pub const NAME: &str = "night";
pub const VERSION: u16 = 1;

/// SCAIP status codes: 0009 automatic alarm, 0010 help needed, 0094 restoral.
const AUTOMATIC: u16 = 9;
const HELP: u16 = 10;
const RESTORAL: u16 = 94;

/// What is agreed. What is absent is not agreed, and not done.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// The hours that are watched, local time.
    pub window: Daily,
    /// The bed sensors of this person.
    pub beds: Vec<DeviceId>,
    /// The doors that may not be opened in the window.
    pub exits: Vec<DeviceId>,
    /// Milliseconds out of bed: a care alarm.
    pub absence_care_ms: Option<i64>,
    /// Milliseconds out of bed: a life alarm of its own.
    pub absence_life_ms: Option<i64>,
    /// In bed by then, local time within the window.
    pub in_bed_by: Option<Time>,
    /// So many visits up are as agreed; one more is an alarm, one a night.
    pub visits_up_max: Option<usize>,
    pub morning: Option<Morning>,
    /// Planned look-ins, in the order of the night.
    pub rounds: Vec<Round>,
    /// A visit is asked for so long before a look-in's latest time, milliseconds.
    pub visit_lead_ms: i64,
    /// Staff are taken to be in the home for so long after their tag was read, milliseconds.
    pub staff_visit_ms: i64,
    /// A bed sensor without a connection of its own proves nothing when it was not heard for so long, milliseconds.
    pub bed_heard_ms: i64,
    pub declined: Declined,
    pub term: Term,
}

/// A sign of life is expected between these, local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Morning {
    pub from: Time,
    pub by: Time,
}

/// A planned look-in: from `at` until `latest`, local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    pub at: Time,
    pub latest: Time,
}

/// What is agreed for a look-in that the resident declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// A person comes instead.
    Visit,
    /// Nobody looks in.
    Nothing,
}

impl Night {
    /// The night that began last, its day after included.
    fn last_begun(&self, zone: &TimeZone, now_ms: i64) -> Span {
        let today = super::when::local(zone, now_ms).date();
        let span = self.window.on(zone, today);
        match span.start_ms <= now_ms {
            true => span,
            false => self.window.on(zone, today.yesterday().unwrap_or(today)),
        }
    }

    /// The same for the same agreement (FNV-1a): tells whether it was in force when something should have been done.
    fn fingerprint(&self) -> u64 {
        let time = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let at = |at: Option<Time>| at.map_or(-1, time);
        let fixed = [
            time(self.window.from),
            time(self.window.until),
            self.absence_care_ms.unwrap_or(-1),
            self.absence_life_ms.unwrap_or(-1),
            at(self.in_bed_by),
            self.visits_up_max.map_or(-1, |max| max as i64),
            at(self.morning.map(|morning| morning.from)),
            at(self.morning.map(|morning| morning.by)),
            self.visit_lead_ms,
            self.staff_visit_ms,
            self.bed_heard_ms,
            i64::from(self.declined == Declined::Visit),
        ];
        let rounds = self.rounds.iter().flat_map(|round| [time(round.at), time(round.latest)]);
        let numbers = fixed.into_iter().chain(rounds).flat_map(i64::to_le_bytes);
        let names = self.beds.iter().chain(&self.exits);
        let text = names.flat_map(|id| <DeviceId as AsRef<str>>::as_ref(id).bytes().chain([0]));
        numbers
            .chain(text)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

/// One person's night, at this moment.
struct Tonight<'a> {
    view: View<'a>,
    person: &'a Person,
    night: &'a Night,
    /// The night that began last.
    span: Span,
    /// Since when this agreement holds, and since when there is any, UTC milliseconds.
    held: memory::Held,
    beds: Beds<'a>,
    kept: &'a Made,
    /// This person's alarms that are open and not over.
    alarms: Vec<&'a Alarm>,
}

/// `kept`: of this person's agreement.
pub fn judge(view: View<'_>, person: &Person, kept: &mut Kept, out: &mut Out) {
    let Some(night) = &person.night else { return };
    let kept = kept.at(person, night, view.agreed, view.now.wall_ms);
    let Some(held) = view.care.night.held(&person.id).filter(|held| held.print == kept.print) else {
        agree(view, person, night, kept.print, out);
        return;
    };
    // Before its dates it was not in force, whatever was agreed earlier.
    let from_ms = night.term.from_ms.unwrap_or(i64::MIN);
    let held = memory::Held { first_ms: held.first_ms.max(from_ms), since_ms: held.since_ms.max(from_ms), ..held };
    let span = kept.calendar.span;
    let beds = Beds::read(view, night, held);
    let alarms = view.alarms.open_of(NAME, Some(&person.id)).filter(|alarm| !alarm.over).collect();
    let tonight = Tonight { view, person, night, span, held, beds, kept, alarms };
    out.look_at(view, kept.calendar.next_ms);
    tonight.beds.proves_ms.into_iter().for_each(|ms| out.look_in(ms));
    // Whatever is heard of a dark sensor next may decide what it left open.
    out.eager |= tonight.beds.dark.is_some();
    tonight.overs(out);
    if tonight.is_running() {
        out.look_at(view, span.end_ms);
    }
    // What was agreed after the night had ended was not broken in it.
    if tonight.is_running() || held.since_ms < span.end_ms {
        bed::judge(&tonight, out);
        visits::judge(&tonight, out);
        door::judge(&tonight, out);
        rounds::judge(&tonight, out);
    }
    morning::judge(&tonight, out);
}

/// The agreement holds from now: it is noted, so that nothing is held against a time before it.
fn agree(view: View<'_>, person: &Person, night: &Night, print: u64, out: &mut Out) {
    let key = key(NAME, Some(&person.id), memory::AGREED);
    // A clock that was set back stands before the last such note: this one comes after it all the same.
    let after = view.care.settled.upto(&key).map_or(i64::MIN, |known| known.saturating_add(1));
    let finding = Finding {
        cause: memory::AGREED.to_owned(),
        upto: view.now.wall_ms.max(after),
        said: words::agreed(night),
        agreed: words::all_settings(night),
        ..Finding::default()
    };
    let (rule, resident) = ((NAME, VERSION), Some(person.id.as_str()));
    out.note(view, rule, resident, memory::AGREED, &format!("{print:016x}"), finding);
}

impl<'a> Tonight<'a> {
    fn is_running(&self) -> bool {
        self.view.now.wall_ms < self.span.end_ms
    }

    fn zone(&self) -> &'a TimeZone {
        &self.view.agreed.zone
    }

    fn resident(&self) -> Option<&'a str> {
        Some(&self.person.id)
    }

    fn subject(&self, device: &'a DeviceId) -> Subject<'a> {
        Subject { rule: (NAME, VERSION), resident: self.resident(), device }
    }

    /// What this kind of cause is settled by.
    fn key(&self, cause: &str) -> Cow<'_, str> {
        let kept = self.kept.keys_of(cause).map(|(key, _)| Cow::from(key));
        kept.unwrap_or_else(|| super::out::key(NAME, self.resident(), cause).into())
    }

    /// Where an alarm is shown that is no single sensor's.
    fn anchor(&self) -> Option<&'a DeviceId> {
        self.night.beds.first().or(self.person.devices.first())
    }

    /// Staff who are in the home, as far as is known: where their tag was read, or what they signed for, and when. `own`: at this person's alone.
    fn staff(&self, own: bool) -> Option<(&'a DeviceId, At)> {
        let care = self.view.care;
        let tag = |id: &'a DeviceId| Some((id, care.facts.get(id)?.staff?));
        let here = |(_, at): &(&DeviceId, At)| self.view.now.age_ms(at) < self.night.staff_visit_ms;
        let at_persons = self.person.devices.iter().filter_map(tag);
        let shared = self.kept.shared.iter().filter(|_| !own);
        // Who signed that they were there was there.
        let signed = care.signed.visited(&self.person.id).and_then(|at| Some((self.anchor()?, at)));
        at_persons.chain(shared.filter_map(tag)).chain(signed).filter(here).max_by_key(|(_, at)| at.wall_ms)
    }

    /// The newest sign that a person is about: something changed, or moved. A sensor that repeats itself is none.
    fn sign(&self) -> Option<(&'a DeviceId, At)> {
        self.signs(true).max_by_key(|(_, at)| at.wall_ms)
    }

    /// There is such a sign of this moment, UTC milliseconds, or of a later one.
    fn has_sign_since(&self, from_ms: i64) -> bool {
        self.signs(true).any(|(_, at)| at.wall_ms >= from_ms)
    }

    /// The newest of each device. `all`: beds and exits too; else what shows somebody up and about at home.
    fn signs(&self, all: bool) -> impl Iterator<Item = (&'a DeviceId, At)> {
        let devices = self.person.devices.iter();
        let counted = devices.filter(move |id| all || !(self.night.beds.contains(id) || self.view.agreed.is_exit(id)));
        let known = counted.filter_map(|id| Some((id, self.view.care.facts.get(id)?)));
        known.filter_map(move |(id, device)| {
            let switches = [&device.bed, &device.chair, &device.mat, &device.door].map(Option::as_deref);
            let changes = switches.iter().flatten().filter(|switch| switch.other.is_some()).map(|switch| switch.since);
            // A button or a dose is a sign of life, and does not say that its owner is up.
            let other = device.activity.filter(|_| all && switches.iter().all(Option::is_none));
            let newest = changes.chain(device.motion).chain(other).max_by_key(|at| at.wall_ms)?;
            Some((id, newest))
        })
    }

    /// A finding with staff in the home as part of the explanation.
    fn finding(&self, cause: &str, upto: i64, said: (String, String), mut seen: Vec<Evidence>) -> Finding {
        let (mut sv, mut en) = said;
        if let Some((device, at)) = self.staff(false) {
            let (staff_sv, staff_en) = words::staff(self.zone(), &at);
            sv = format!("{sv} {staff_sv}");
            en = format!("{en} {staff_en}");
            seen.insert(0, seen_at(device, &at, "staff"));
        }
        Finding { cause: cause.to_owned(), upto, said: (sv, en), seen, ..Finding::default() }
    }

    /// As [`Tonight::is_decided`], of what may have joined an alarm.
    fn is_told(&self, cause: &str, upto: i64) -> bool {
        let again = |key: &str| self.view.care.settled.has(key, upto);
        self.is_decided(cause, upto)
            || match self.kept.keys_of(cause) {
                Some((_, key)) => again(key),
                None => again(&self.key(&format!("{cause}-again"))),
            }
    }

    /// Raises an alarm; where one of the same device and kind waits for a person tonight, it joins that one.
    fn raise_or_join(&self, out: &mut Out, device: &'a DeviceId, stc: u16, finding: Finding) {
        let again = format!("{}-again", finding.cause);
        if self.is_told(&finding.cause, finding.upto) {
            return;
        }
        let known = self.view.alarms.newest(device, &finding.cause).filter(|alarm| {
            let whose = alarm.raise.basis.as_ref().and_then(|basis| basis.resident.as_deref());
            let tonight = alarm.raise.rule == NAME && alarm.raised_at >= self.span.start_ms;
            tonight && whose == self.resident() && !alarm.is_claimed()
        });
        match known {
            Some(alarm) => self.join(out, alarm, stc, true, Finding { cause: again, ..finding }),
            None => {
                out.raise(self.view, self.subject(device), vaka_protocol::Lane::Care, stc, finding);
            }
        }
    }

    /// The cause of a known alarm came again. `notify`: its receivers are told.
    fn join(&self, out: &mut Out, alarm: &Alarm, stc: u16, notify: bool, finding: Finding) {
        let happened_at = finding.happened_at.unwrap_or(self.view.now.wall_ms);
        let (what, said) = (finding.cause.clone(), finding.said.clone());
        let seq = finding.seen.last().map_or(alarm.raise.seq, |seen| seen.record);
        if out.note(self.view, (NAME, VERSION), self.resident(), &what, "", finding) {
            out.decisions.push(Decision::Join(Join {
                alarm: alarm.id().clone(),
                what: JoinWhat::Again,
                restart: ASSIGNED_RESTART,
                seq,
                stc,
                happened_at,
                delayed: false,
                notify,
                home: None,
                whereabouts: None,
                words: Some(said),
            }));
        }
    }

    /// The newest alarm of this kind, while its cause is not over and nobody has closed it.
    fn open(&self, cause: &str) -> Option<(i64, &'a Alarm)> {
        let mut of_kind = self.alarms.iter().filter(|alarm| alarm.raise.cause == cause).peekable();
        of_kind.peek()?;
        let upto = self.view.care.settled.upto(&self.key(cause))?;
        let is_newest = |alarm: &&&Alarm| alarm.raise.basis.as_ref().is_some_and(|basis| basis.upto == upto);
        of_kind.find(is_newest).map(|alarm| (upto, *alarm))
    }

    fn end(&self, out: &mut Out, cause: &str, (upto, alarm): (i64, &'a Alarm), said: (String, String)) {
        out.over(self.view, self.subject(&alarm.raise.device), (cause, upto), RESTORAL, said);
    }

    /// This cause, or a later one of its kind, has been told.
    fn is_decided(&self, cause: &str, upto: i64) -> bool {
        self.view.care.settled.has(&self.key(cause), upto)
    }

    /// The night is over, and somebody has moved since it ended: what it left open is over too.
    fn is_up_by_day(&self) -> bool {
        !self.is_running() && self.has_sign_since(self.span.end_ms)
    }

    fn overs(&self, out: &mut Out) {
        if self.alarms.is_empty() {
            return;
        }
        bed::overs(self, out);
        door::overs(self, out);
        morning::overs(self, out);
        rounds::overs(self, out);
    }
}
