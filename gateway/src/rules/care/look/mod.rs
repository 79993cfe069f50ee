//! Rule `look`: look-ins by camera, as agreed: a person looks for some seconds, or a person goes there.
//!
//! Enters: what is agreed, the steps of looks and checks, "not tonight", privacy, the moment. Leaves: the light that says that somebody
//! looks; a note of each look-in that was seen calm or that the resident did without; a visit task for every other, while there is time.
//! Invariants: a look-in is made by a look whose outcome is calm, or by a person who signs for it, and by nothing else; each ends once;
//! the light is on before anything is seen and put out after every end, a crash included. Absent: pictures, and any judgement of one.

mod declined;
mod grant;
mod memory;
mod shown;
mod slots;
#[cfg(test)]
mod tests;
mod words;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use vaka_protocol::{Command, DeviceId, Lane, Light, Sound};

use super::agreed::Person;
use super::out::key;
use super::term::Term;
use super::{Finding, Out, Subject, View, seen_at};
use crate::journal::record::{Evidence, LookOutcome};
use crate::limits::{LOOK_ASK_AGAIN_MS, LOOK_LIGHT_OFF_MS, LOOK_OUTCOME_MS};
pub use declined::{No, said_no};
pub use grant::{Due, Wish, checks_due, judge as grant, may_ask, must_end, opens};
pub use memory::{Looks, OpenLook, Seen};
pub use memory::{MOVED, WELL};
pub use shown::{CameraKnown, LookState, LookView, camera_known, look_of_alarm, looks_of, planned_look};
pub use slots::Slot;
use words::Said;
pub use words::{found as found_in_words, why as why_in_words};

pub const NAME: &str = "look";
pub const VERSION: u16 = 1;
const RULE: (&str, u16) = (NAME, VERSION);

/// With the look-in's own time: its cause.
pub const CAUSE: &str = "look ";
/// Of a look that an alarm opened; settled by the number of its record.
const OF_ALARM: &str = "look alarm";
const AGREED: &str = "look-agreed";
const DONE: &str = "look-done";
const DECLINED: &str = "look-declined";
const ASK_AGAIN: &str = "look-asked-again";
/// Causes of the light's commands.
const LIGHT_ON: &str = "light-on";
const LIGHT_OFF: &str = "light-off";
/// SCAIP status codes: 0010 help needed, 0094 restoral.
const HELP: u16 = 10;
const RESTORAL: u16 = 94;

/// What is agreed. Absent: nobody ever looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub camera: DeviceId,
    /// What shows the resident that somebody looks, and whether it sounds too.
    pub light: DeviceId,
    pub sound: bool,
    /// The planned look-ins, by day and by night, in the order of their times.
    pub rounds: Vec<Round>,
    /// How long one look lasts, milliseconds from its first picture.
    pub look_ms: i64,
    /// A look that could not tell is made again once after so long, milliseconds. Absent: a person goes at once.
    pub second_after_ms: Option<i64>,
    /// The veil may be taken off.
    pub may_see_clearly: bool,
    /// Causes of alarms that may open the camera.
    pub alarms: Vec<String>,
    pub instead: Instead,
    /// A visit is asked for so long before the latest time, milliseconds.
    pub lead_ms: i64,
    pub term: Term,
    /// The end of the last agreed date, UTC milliseconds: as [`Term::end_ms`], but not a withdrawal.
    pub ends_ms: Option<i64>,
}

/// A planned look-in: from `at` until `latest`, local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    pub at: Time,
    pub latest: Time,
}

/// What is agreed for a resident who does not want to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    Visit,
    /// Somebody telephones.
    Call,
    Nothing,
}

/// One person's look-ins, at this moment.
struct Now<'a> {
    view: View<'a>,
    person: &'a Person,
    look: &'a Look,
}

/// The lights of all looks: on when one is asked for, off when it is over, whatever is agreed by then.
pub fn lights(view: View<'_>, out: &mut Out) {
    let looks = &view.care.look;
    for (id, seen) in looks.unlit_or_over() {
        let subject = Subject { rule: RULE, resident: Some(&seen.resident), device: &seen.asked.light };
        let upto = i64::try_from(*id).unwrap_or(i64::MAX);
        let cause = |what: &str| Finding { cause: format!("{what} {}", seen.asked.light), upto, ..Finding::default() };
        if !seen.is_over(view.now) {
            let (sv, en) = words::light_on(seen.asked.by.is_some());
            let text = if view.home.english { en.as_str() } else { sv.as_str() };
            let sound = seen.asked.sound.then_some(Sound::Chime);
            let command = Command::Feedback { light: Some(Light::Steady), sound, text: Some(text.into()) };
            let finding = Finding { said: (sv.clone(), en.clone()), ..cause(LIGHT_ON) };
            out.send(view, subject, command, seen.asked.ends_at, finding);
            out.has_lasted(view, &seen.at, seen.longest_ms());
        } else if !looks.is_lit_for_another(&seen.asked.light, *id, view.now) {
            let command = Command::Feedback { light: Some(Light::Off), sound: None, text: None };
            let expires_at = view.now.wall_ms.saturating_add(LOOK_LIGHT_OFF_MS);
            out.send(view, subject, command, expires_at, Finding { said: words::light_off(), ..cause(LIGHT_OFF) });
        }
    }
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    let Some(look) = &person.look else { return };
    let print = words::print(look);
    let held = view.care.look.held(&person.id).filter(|(known, _)| *known == print);
    let Some((_, since_ms)) = held else { return agree(view, person, look, print, out) };
    let now = Now { view, person, look };
    let mut next_ms = i64::MAX;
    for slot in slots::around(look, &view.agreed.zone, view.now.wall_ms) {
        if view.now.wall_ms < slot.at_ms {
            next_ms = next_ms.min(slot.at_ms);
        } else if since_ms <= slot.latest_ms {
            let key = now.key(&slot.cause());
            match view.care.settled.has(&key, slot.latest_ms) {
                true => now.over(&slot, out),
                false => now.one(&slot, out),
            }
        }
    }
    if next_ms < i64::MAX {
        out.look_at(view, next_ms);
    }
    now.after_alarms(out);
    now.ask_again(out);
}

/// The agreement holds from now: it is noted, so that nothing is held against a time before it.
fn agree(view: View<'_>, person: &Person, look: &Look, print: u64, out: &mut Out) {
    let key = key(NAME, Some(&person.id), AGREED);
    // A clock that was set back stands before the last such note: this one comes after it all the same.
    let after = view.care.settled.upto(&key).map_or(i64::MIN, |known| known.saturating_add(1));
    let finding = Finding {
        cause: AGREED.to_owned(),
        upto: view.now.wall_ms.max(after),
        said: words::agreed(),
        agreed: words::settings(look),
        ..Finding::default()
    };
    out.note(view, RULE, Some(&person.id), AGREED, &format!("{print:016x}"), finding);
}

impl<'a> Now<'a> {
    fn zone(&self) -> &'a TimeZone {
        &self.view.agreed.zone
    }

    fn key(&self, cause: &str) -> String {
        key(NAME, Some(&self.person.id), cause)
    }

    /// Looks for this slot through which somebody saw something, oldest first.
    fn looks(&self, slot: &'a Slot) -> impl Iterator<Item = (u64, &'a Seen)> {
        let of_person = self.view.care.look.of(&self.person.id);
        of_person.filter(|(_, seen)| seen.asked.by.is_some() && seen.is_of(slot)).map(|(id, seen)| (*id, seen))
    }

    fn finding(&self, slot: &Slot, said: Said, seen: Vec<Evidence>) -> Finding {
        let mut agreed = words::settings(self.look);
        agreed.push(("look.rounds.at".to_owned(), slot.name()));
        Finding { cause: slot.cause(), upto: slot.latest_ms, said, seen, agreed, ..Finding::default() }
    }

    fn evidence(&self, id: u64, seen: &Seen, what: &str) -> Evidence {
        let at = seen.ended.as_ref().map_or(seen.at, |ended| ended.at);
        Evidence { record: id, ..seen_at(&self.look.camera, &at, what) }
    }

    /// One slot that has begun and is not settled.
    fn one(&self, slot: &Slot, out: &mut Out) {
        let (view, zone) = (self.view, self.zone());
        if let Some(signed) = view.care.signed.visit(&self.person.id, slot.at_ms) {
            let said = words::visited(slot, &signed.by, signed.at.wall_ms, zone);
            out.note(view, RULE, Some(&self.person.id), DONE, &slot.name(), self.finding(slot, said, Vec::new()));
            return;
        }
        let counts = |(_, seen): &(u64, &Seen)| seen.shown(view.now) || !seen.is_over(view.now);
        if let Some((id, seen)) = self.looks(slot).filter(counts).last() {
            return self.after_look(slot, id, seen, out);
        }
        let lead_ms = slot.latest_ms.saturating_sub(self.look.lead_ms);
        if let Some(no) = said_no(view.care, &view.agreed.zone, self.person, self.look, slot, view.now.wall_ms) {
            // A shutter may open again while there is time.
            if matches!(no, No::Private(..)) && !out.has_come(view, lead_ms) {
                return;
            }
            let evidence = no.evidence(&self.look.camera);
            match self.look.instead {
                Instead::Nothing => {
                    let finding = self.finding(slot, words::declined(slot, &no, zone), evidence);
                    out.note(view, RULE, Some(&self.person.id), DECLINED, &slot.name(), finding);
                }
                instead => self.visit(slot, words::instead(slot, &no, instead, zone), evidence, out),
            }
            return;
        }
        if !out.has_come(view, lead_ms) {
            return;
        }
        let (why, evidence) = self.why_not(slot);
        self.visit(slot, words::visit(slot, why, zone), evidence, out);
    }

    /// Somebody has looked, or looks.
    fn after_look(&self, slot: &Slot, id: u64, seen: &Seen, out: &mut Out) {
        let (view, zone) = (self.view, self.zone());
        let Some(over_at) = seen.over_at(view.now) else {
            out.has_lasted(view, &seen.at, seen.longest_ms());
            return;
        };
        let by = seen.asked.by.as_deref().unwrap_or_default();
        let lead_ms = slot.latest_ms.saturating_sub(self.look.lead_ms);
        let visit = |why: Said, what: &str, out: &mut Out| {
            self.visit(slot, words::visit(slot, why, zone), vec![self.evidence(id, seen, what)], out);
        };
        match seen.outcome.as_ref().map(|(outcome, ..)| *outcome) {
            // Who saw calm in a picture that stands still, or of another place, has not seen the resident.
            Some(LookOutcome::Calm) if self.blind(slot, id).is_some() => {
                let fault = self.blind(slot, id).unwrap_or_default();
                visit(words::why(fault), &format!("camera {fault}"), out);
            }
            Some(LookOutcome::Calm) => {
                let said = words::calm(slot, by, over_at.wall_ms, zone);
                let finding = self.finding(slot, said, vec![self.evidence(id, seen, "look calm")]);
                out.note(view, RULE, Some(&self.person.id), DONE, &slot.name(), finding);
            }
            Some(LookOutcome::NeedsVisit) => visit(words::needs_visit(by), "look needs-visit", out),
            Some(LookOutcome::CouldNotTell) => {
                let second_ms = self.look.second_after_ms.map(|after_ms| over_at.wall_ms.saturating_add(after_ms));
                let may_again = second_ms.is_some_and(|at| at < lead_ms) && self.looks_shown(slot) == 1;
                if !may_again || out.has_come(view, lead_ms) {
                    visit(words::could_not_tell(by), "look could-not-tell", out);
                } else if let Some(second_ms) = second_ms {
                    // Then the round shows it as due; nothing is decided.
                    out.has_come(view, second_ms);
                }
            }
            None if out.has_lasted(view, &over_at, LOOK_OUTCOME_MS) => visit(words::no_outcome(by), "look ended", out),
            None => {}
        }
    }

    /// What the newest check before this look found, where no person can see it in the picture.
    fn blind(&self, slot: &Slot, look: u64) -> Option<&'a str> {
        let of_slot = self.view.care.look.of(&self.person.id);
        let checks = of_slot.filter(|(id, seen)| **id < look && seen.asked.by.is_none() && seen.is_of(slot));
        let found = checks.filter_map(|(_, seen)| seen.found.as_deref()).next_back();
        found.filter(|found| matches!(*found, "frozen" | "moved"))
    }

    /// Looks that alarms opened, and that nobody called calm: somebody goes, once for all of them that are over by then.
    fn after_alarms(&self, out: &mut Out) {
        let view = self.view;
        let mut waiting = Vec::new();
        for (id, seen) in view.care.look.of(&self.person.id) {
            let Some(alarm) = seen.asked.alarm.as_ref() else { continue };
            // With the process that had it open it was over, whatever the clock says since: a later one must not be settled past it.
            let with_process = (seen.at.boot != view.now.boot).then_some(seen.at);
            let Some(over_at) = seen.over_at(view.now).or(with_process) else {
                // Its end may never be told.
                out.has_lasted(view, &seen.at, seen.longest_ms());
                continue;
            };
            let is_calm = matches!(seen.outcome, Some((LookOutcome::Calm, ..)));
            let upto = i64::try_from(*id).unwrap_or(i64::MAX);
            if seen.was_shown() && !is_calm && !view.care.settled.has(&self.key(OF_ALARM), upto) {
                let goes = seen.outcome.is_some() || out.has_lasted(view, &over_at, LOOK_OUTCOME_MS);
                waiting.push((goes, upto, (alarm, self.why_go(seen)), self.evidence(*id, seen, "look ended")));
            }
        }
        // Whoever goes for one sees to those before it too, also where there is still time to say how it was.
        let Some(newest) = waiting.iter().rposition(|(goes, ..)| *goes) else { return };
        waiting.truncate(newest + 1);
        let upto = waiting.last().map_or(0, |(_, upto, ..)| *upto);
        let (whys, evidence): (Vec<_>, Vec<_>) = waiting.into_iter().map(|(.., why, seen)| (why, seen)).unzip();
        let finding = Finding {
            cause: OF_ALARM.to_owned(),
            upto,
            said: words::go_for_alarms(whys),
            seen: evidence,
            agreed: words::settings(self.look),
            prevented: Some(words::prevented()),
            ..Finding::default()
        };
        let subject = Subject { rule: RULE, resident: Some(&self.person.id), device: &self.look.camera };
        out.raise(view, subject, Lane::Care, HELP, finding);
    }

    /// What whoever looked has said, or that they have said nothing.
    fn why_go(&self, seen: &Seen) -> Said {
        let by = seen.asked.by.as_deref().unwrap_or_default();
        match seen.outcome.as_ref().map(|(outcome, ..)| *outcome) {
            Some(LookOutcome::NeedsVisit) => words::needs_visit(by),
            Some(LookOutcome::CouldNotTell | LookOutcome::Calm) => words::could_not_tell(by),
            None => words::no_outcome(by),
        }
    }

    /// How many looks for this slot somebody saw something in.
    fn looks_shown(&self, slot: &Slot) -> usize {
        self.looks(slot).filter(|(_, seen)| seen.shown(self.view.now)).count()
    }

    /// Why nobody has looked: what stood in the way last, else that nobody did.
    fn why_not(&self, slot: &Slot) -> (Said, Vec<Evidence>) {
        let of_slot = |(_, seen): &(&u64, &Seen)| seen.is_of(slot);
        let last = self.view.care.look.of(&self.person.id).rfind(of_slot);
        let fault = last.and_then(|(id, seen)| Some((id, seen, seen.fault()?)));
        match fault {
            Some((id, seen, fault)) => (words::why(fault), vec![self.evidence(*id, seen, &format!("camera {fault}"))]),
            None => (words::nobody_looked(), Vec::new()),
        }
    }

    fn visit(&self, slot: &Slot, said: Said, seen: Vec<Evidence>, out: &mut Out) {
        let finding = self.finding(slot, said, seen);
        let finding = Finding { due_at: Some(slot.latest_ms), prevented: Some(words::prevented()), ..finding };
        let subject = Subject { rule: RULE, resident: Some(&self.person.id), device: &self.look.camera };
        out.raise(self.view, subject, Lane::Care, HELP, finding);
    }

    /// A visit was asked for because nobody had looked; then somebody did, and all was calm.
    fn over(&self, slot: &Slot, out: &mut Out) {
        let last = self.looks(slot).filter(|(_, seen)| seen.shown(self.view.now)).last();
        let Some((_, seen)) =
            last.filter(|(_, seen)| seen.outcome.as_ref().is_some_and(|(o, ..)| *o == LookOutcome::Calm))
        else {
            return;
        };
        let subject = Subject { rule: RULE, resident: Some(&self.person.id), device: &self.look.camera };
        let (by, at_ms) = (seen.asked.by.as_deref().unwrap_or_default(), seen.at.wall_ms);
        let said = words::calm(slot, by, at_ms, self.zone());
        out.over(self.view, subject, (&slot.cause(), slot.latest_ms), RESTORAL, said);
    }

    /// Whoever has looked and said nothing is asked again.
    fn ask_again(&self, out: &mut Out) {
        for (id, seen) in
            self.view.care.look.of(&self.person.id).filter(|(_, seen)| seen.waits_for_outcome(self.view.now))
        {
            let Some(over_at) = seen.over_at(self.view.now) else { continue };
            let upto = i64::try_from(*id).unwrap_or(i64::MAX);
            if out.has_lasted(self.view, &over_at, LOOK_ASK_AGAIN_MS) {
                let by = seen.asked.by.as_deref().unwrap_or_default();
                let evidence = vec![self.evidence(*id, seen, "look ended")];
                let finding = Finding {
                    cause: ASK_AGAIN.to_owned(),
                    upto,
                    said: words::ask_again(by),
                    seen: evidence,
                    ..Finding::default()
                };
                out.note(self.view, RULE, Some(&self.person.id), ASK_AGAIN, "", finding);
            }
        }
    }
}
