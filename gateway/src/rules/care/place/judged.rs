//! What is due of one device and one fence now; and whether to ask the device where it is.

use vaka_protocol::{Command, DeviceId, Lane};

use super::course::{Course, Turn, last_side};
use super::hours::BackBy;
use super::told::{clock, seen_of};
use super::{Fence, Fix, NAME, Side, Trail, VERSION, Watched};
use crate::journal::record::{Decision, Join, JoinWhat};
use crate::limits::{
    ASSIGNED_RESTART, BACK_FIX_MS_MAX, LOCATE_EVERY_MS, LOCATE_FOR_MS, PLACE_STALE_MS, POSITION_OLD_MS,
};
use crate::rules::alarms::Alarm;
use crate::rules::care::agreed::Person;
use crate::rules::care::out::key;
use crate::rules::care::{Finding, Out, Subject, View, seen_at, silence};

const RULE: (&str, u16) = (NAME, VERSION);
/// SCAIP status codes.
const AUTOMATIC: u16 = 9;
const RESTORAL: u16 = 94;
/// The kind of device that can be asked where it is, as in the config.
const GPS_ALARM: &str = "gps-alarm";

/// One device within one fence's care.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub view: View<'a>,
    pub resident: &'a str,
    pub fence: &'a Fence,
    pub watched: &'a Watched,
}

/// Hours in which a fence holds, UTC milliseconds.
#[derive(Clone, Copy)]
struct Window {
    start_ms: i64,
    end_ms: i64,
}

const ALWAYS: Window = Window { start_ms: i64::MIN, end_ms: i64::MAX };

impl<'a> One<'a> {
    /// Coming and going. True: it cannot be told yet, another position would tell.
    pub fn sides(&self, out: &mut Out) -> bool {
        let Some(trail) = self.view.care.place.get(&self.watched.device) else { return false };
        let Some(window) = self.window(out) else { return false };
        let open = self.open(&self.watched.left.cause);
        // What was decided in other hours says nothing of these, except that somebody is still searched for.
        let known = self
            .known()
            .filter(|(side, since_ms)| *since_ms >= window.start_ms || (*side == Side::Out && open.is_some()));
        let course = Course::read(self.fence, trail, known, self.view.now);
        if let Some((_, since)) = &course.pending {
            out.has_lasted(self.view, since, self.fence.dwell_ms);
        }
        // Before anything was known, only where somebody is now is anybody's concern.
        let first = if known.is_some() { 0 } else { course.turns.len().saturating_sub(1) };
        let mut searched = open;
        for (index, turn) in course.turns.iter().enumerate().skip(first) {
            let is_last = index + 1 == course.turns.len();
            let upto = turn.first.at.wall_ms.max(window.start_ms);
            let within = upto < window.end_ms;
            let alarms = is_last
                && within
                && match turn.side {
                    Side::Out => self.fence.leave,
                    // To be found inside at first is an alarm only where it is the one thing agreed.
                    Side::In => self.fence.enter && (known.is_some() || !self.fence.leave),
                };
            if turn.side == Side::In
                && let Some(open) = searched.take()
            {
                self.is_back(open, trail, out);
            }
            if !within && (turn.side == Side::Out || known.is_none()) {
                break;
            }
            // Too old to alarm anybody, and not over either: the next position decides. Or it may be over: that decides itself soon.
            let is_stale = self.age_ms(turn.last.at.wall_ms) > PLACE_STALE_MS;
            if alarms && (is_stale || course.pending.is_some()) {
                break;
            }
            if alarms { self.raise(turn, upto, out) } else { self.note(turn, upto, known.is_none(), out) }
        }
        let in_hours = self.view.now.wall_ms < window.end_ms;
        in_hours
            && course
                .pending
                .is_some_and(|(side, _)| if side == Side::Out { self.fence.leave } else { self.fence.enter })
    }

    /// The hours that hold, or held last and may still have something to tell.
    fn window(&self, out: &mut Out) -> Option<Window> {
        let Some(hours) = &self.fence.hours else { return Some(ALWAYS) };
        let (zone, now_ms) = (&self.view.agreed.zone, self.view.now.wall_ms);
        if let Some(next_ms) = hours.next_start(zone, now_ms) {
            out.look_at(self.view, next_ms);
        }
        let (start_ms, end_ms) = hours.last_begun(zone, now_ms)?;
        let matters = self.age_ms(end_ms) <= PLACE_STALE_MS || self.open(&self.watched.left.cause).is_some();
        matters.then_some(Window { start_ms, end_ms })
    }

    /// The side that was decided last, and from when on it held.
    fn known(&self) -> Option<(Side, i64)> {
        let settled = &self.view.care.settled;
        let left = settled.upto(&self.watched.left.key).map(|since_ms| (Side::Out, since_ms));
        let came = settled.upto(&self.watched.came.key).map(|since_ms| (Side::In, since_ms));
        left.into_iter().chain(came).max_by_key(|(_, since_ms)| *since_ms)
    }

    fn raise(&self, turn: &Turn, upto: i64, out: &mut Out) {
        let (cause, said, prevented) = match turn.side {
            Side::Out => {
                let since = clock(self.view, turn.first.at.wall_ms);
                let said = (
                    format!("Utanför {} sedan {since}.", self.fence.name),
                    format!("Outside {} since {since}.", self.fence.name),
                );
                let prevented = (
                    "Sällskap, eller ett område och tider som passar personens vanor.".to_owned(),
                    "Company, or an area and hours that fit this person's habits.".to_owned(),
                );
                (&self.watched.left, said, prevented)
            }
            Side::In => {
                let since = clock(self.view, turn.first.at.wall_ms);
                let said = (
                    format!("Inne i {} sedan {since}.", self.fence.name),
                    format!("Inside {} since {since}.", self.fence.name),
                );
                let prevented = ("Att inte gå in i området.".to_owned(), "Not to go into the area.".to_owned());
                (&self.watched.came, said, prevented)
            }
        };
        // When it was due: told in time, it is not late.
        let due_ms = turn.first.at.wall_ms.saturating_add(self.fence.dwell_ms).max(upto);
        let finding = Finding {
            happened_at: Some(due_ms.min(self.view.now.wall_ms)),
            prevented: Some(prevented),
            ..self.finding(&cause.cause, upto, said, turn)
        };
        out.raise(self.view, self.subject(), self.fence.lane, AUTOMATIC, finding);
    }

    fn note(&self, turn: &Turn, upto: i64, is_first: bool, out: &mut Out) {
        let at = clock(self.view, turn.first.at.wall_ms);
        let name = &self.fence.name;
        let (cause, what, said) = match turn.side {
            Side::Out => (
                &self.watched.left,
                "left",
                (format!("Var utanför {name} från {at}."), format!("Was outside {name} from {at}.")),
            ),
            Side::In if is_first => {
                let at = clock(self.view, turn.last.at.wall_ms);
                let said = (format!("Senast i {name} {at}."), format!("Last known in {name} at {at}."));
                (&self.watched.came, "inside", said)
            }
            Side::In => {
                (&self.watched.came, "entered", (format!("Kom till {name} {at}."), format!("Came to {name} at {at}.")))
            }
        };
        let finding = self.finding(&cause.cause, upto, said, turn);
        out.note(self.view, RULE, Some(self.resident), what, name, finding);
    }

    fn finding(&self, cause: &str, upto: i64, said: (String, String), turn: &Turn) -> Finding {
        let mut seen = vec![seen_of(self.fence, &self.watched.device, &turn.first)];
        if turn.last != turn.first {
            seen.push(seen_of(self.fence, &self.watched.device, &turn.last));
        }
        Finding { cause: cause.to_owned(), upto, said, seen, agreed: self.fence.agreed.clone(), ..Finding::default() }
    }

    /// Back by the agreed time, or not.
    pub fn back(&self, back_by: &BackBy, out: &mut Out) {
        let (view, fence, name) = (self.view, self.fence, &self.fence.name);
        let (zone, now_ms) = (&view.agreed.zone, view.now.wall_ms);
        let trail = view.care.place.get(&self.watched.device);
        let side_at = |at_ms| trail.and_then(|trail| last_side(fence, trail, at_ms));
        if let Some(next_ms) = back_by.next(zone, now_ms) {
            out.look_at(view, next_ms);
        }
        let open = self.open(&self.watched.late.cause);
        // What bears a time that is still to come, as where the clock was set back, counts when it has come.
        let coming = trail.and_then(|trail| trail.fixes().iter().find(|fix| fix.at.wall_ms > now_ms));
        if let Some(fix) = coming.filter(|_| open.is_some()) {
            out.look_at(view, fix.at.wall_ms);
        }
        if let (Some(open), Some(trail), Some((Side::In, fix))) = (open, trail, side_at(now_ms))
            && open
                .raise
                .basis
                .as_ref()
                .is_some_and(|basis| basis.upto.saturating_sub(fix.at.wall_ms) <= BACK_FIX_MS_MAX)
        {
            self.is_back(open, trail, out);
        }
        let Some(due_ms) = back_by.last(zone, now_ms) else { return };
        if view.care.settled.has(&self.watched.late.key, due_ms) || self.age_ms(due_ms) > PLACE_STALE_MS {
            return;
        }
        let (due, cause) = (clock(view, due_ms), self.watched.late.cause.clone());
        let finding = Finding { cause, upto: due_ms, agreed: fence.agreed.clone(), ..Finding::default() };
        let evidence = |fix: &Fix| vec![seen_of(fence, &self.watched.device, fix)];
        let (then, now) = (side_at(due_ms), side_at(now_ms));
        let is_back = |(side, fix): &(Side, Fix)| {
            *side == Side::In && (due_ms.saturating_sub(fix.at.wall_ms) <= BACK_FIX_MS_MAX || self.would_tell())
        };
        if let Some((_, fix)) = now.filter(is_back).or(then.filter(is_back)) {
            let said = (format!("Åter vid {name} till {due}."), format!("Back at {name} by {due}."));
            let finding = Finding { said, seen: evidence(&fix), ..finding };
            out.note(view, RULE, Some(self.resident), "back", name, finding);
            return;
        }
        let (mut sv, mut en) = (format!("Inte åter vid {name} {due}."), format!("Not back at {name} by {due}."));
        match now {
            Some((Side::In, fix)) => {
                let at = clock(view, fix.at.wall_ms);
                sv = format!("Okänt om åter vid {name} {due}. Senast känd där {at}; ingen position sedan.");
                en = format!("Unknown whether back at {name} by {due}. Last known there {at}; no position since.");
            }
            Some((Side::Out, fix)) => {
                let at = clock(view, fix.at.wall_ms);
                sv.push_str(&format!(" Var utanför {at}."));
                en.push_str(&format!(" Was outside at {at}."));
            }
            None => {
                sv.push_str(" Larmet har inte sagt var det är.");
                en.push_str(" The alarm has not said where it is.");
            }
        }
        let prevented = (
            "Att vara åter i tid, eller en senare tid som avtalas.".to_owned(),
            "To be back in time, or to agree on a later time.".to_owned(),
        );
        let seen = now.map(|(_, fix)| evidence(&fix)).unwrap_or_default();
        let finding =
            Finding { said: (sv, en), seen, happened_at: Some(due_ms), prevented: Some(prevented), ..finding };
        out.raise(view, self.subject(), Lane::Care, AUTOMATIC, finding);
    }

    /// The device is awake, and it would be known if it were not: so an old position holds.
    fn would_tell(&self) -> bool {
        let device = &self.watched.device;
        let is_connected = self.view.care.facts.get(device).is_some_and(|known| known.online == Some(true));
        let is_supervised =
            self.view.agreed.devices.get(device).is_some_and(|agreed| agreed.silence.quiet_ms.is_some());
        (is_connected || is_supervised) && silence::is_provable(self.view, device)
    }

    /// The receivers of an open alarm hear that the cause is over.
    fn is_back(&self, open: &Alarm, trail: &Trail, out: &mut Out) {
        let Some(upto) = open.raise.basis.as_ref().map(|basis| basis.upto) else { return };
        let at = trail.newest().map_or_else(String::new, |fix| clock(self.view, fix.at.wall_ms));
        let name = &self.fence.name;
        let said = (format!("Åter vid {name} {at}."), format!("Back at {name} at {at}."));
        out.over(self.view, self.subject(), (&open.raise.cause, upto), RESTORAL, said);
    }

    /// Its alarm of this cause that is open and whose cause is not over.
    fn open(&self, cause: &str) -> Option<&'a Alarm> {
        self.view.alarms.newest(&self.watched.device, cause).filter(|alarm| !alarm.over)
    }

    fn subject(&self) -> Subject<'a> {
        Subject { rule: RULE, resident: Some(self.resident), device: &self.watched.device }
    }

    fn age_ms(&self, at_ms: i64) -> i64 {
        self.view.now.wall_ms.saturating_sub(at_ms)
    }
}

/// Asks the devices of a person where they are: while it cannot be told on which side of a fence they are, once with each alarm of
/// this rule's, and while an alarm is open and the position is old.
pub(super) fn locate(view: View<'_>, person: &Person, doubtful: &[&DeviceId], out: &mut Out) {
    let tells = |device: &&DeviceId| view.agreed.devices.get(*device).is_some_and(|known| known.kind == GPS_ALARM);
    for device in person.devices.iter().filter(tells) {
        if let Some(alarm) = searched(view, device) {
            answered(view, person, alarm, out);
        }
        if doubtful.contains(&device) {
            ask(view, person, device, None, out);
            continue;
        }
        let Some(alarm) = searched(view, device) else { continue };
        let newest = view.care.place.get(device).and_then(Trail::newest);
        if newest.is_none_or(|fix| out.has_lasted(view, &fix.at, POSITION_OLD_MS)) {
            ask(view, person, device, None, out);
        } else if alarm.raise.rule == NAME {
            ask(view, person, device, Some(alarm.raised_at), out);
        }
    }
}

/// The device has said where it is after it was asked: whoever has its alarm is told at once, once for each answer.
fn answered(view: View<'_>, person: &Person, alarm: &Alarm, out: &mut Out) {
    let device = &alarm.raise.device;
    let Some(trail) = view.care.place.get(device) else { return };
    let (Some(answer), Some(best)) = (trail.answer(), trail.best()) else { return };
    let told = alarm.notices.iter().filter_map(|notice| notice.whereabouts.as_deref());
    // Raised by the answer itself, or told again since: that telling had it.
    let is_news = told.map(|told| told.at).max().is_none_or(|told_ms| told_ms < best.at.wall_ms);
    // A claimed alarm has its person, who is told nothing more by receivers.
    if alarm.is_claimed() || !is_news {
        return;
    }
    let finding = Finding {
        cause: format!("located {device}"),
        upto: i64::try_from(answer).unwrap_or(i64::MAX),
        said: ("Larmet har svarat var det är.".to_owned(), "The alarm has answered where it is.".to_owned()),
        seen: vec![seen_at(device, &best.at, "position")],
        ..Finding::default()
    };
    if out.note(view, RULE, Some(&person.id), "located", "", finding) {
        out.decisions.push(Decision::Join(Join {
            alarm: alarm.id().clone(),
            what: JoinWhat::Where,
            restart: ASSIGNED_RESTART,
            seq: answer,
            stc: alarm.raise.stc,
            happened_at: view.now.wall_ms,
            delayed: false,
            notify: true,
            home: None,
            words: None,
            // Given to it as to every telling.
            whereabouts: None,
        }));
    }
}

/// The newest open alarm that somebody may be searched for by.
fn searched<'a>(view: View<'a>, device: &DeviceId) -> Option<&'a Alarm> {
    let searched = |alarm: &&Alarm| {
        matches!(alarm.raise.lane, Lane::Life | Lane::Care)
            && !alarm.over
            && view.now.wall_ms.saturating_sub(alarm.raised_at) < LOCATE_FOR_MS
    };
    view.alarms.of(device).filter(searched).max_by_key(|alarm| alarm.raised_at)
}

/// Asks, unless it has been asked since then (UTC milliseconds) or just now.
fn ask(view: View<'_>, person: &Person, device: &DeviceId, since_ms: Option<i64>, out: &mut Out) {
    let cause = format!("locate {device}");
    let now_ms = view.now.wall_ms;
    if let Some(asked_ms) = view.care.settled.upto(&key(NAME, Some(&person.id), &cause)) {
        let again_ms = asked_ms.saturating_add(LOCATE_EVERY_MS);
        if since_ms.is_some_and(|since_ms| asked_ms >= since_ms) || !out.has_come(view, again_ms) {
            return;
        }
    }
    let said = ("Larmet tillfrågas var det är.".to_owned(), "The alarm is asked where it is.".to_owned());
    let finding = Finding { cause, upto: now_ms, said, ..Finding::default() };
    let subject = Subject { rule: RULE, resident: Some(&person.id), device };
    out.send(view, subject, Command::Locate {}, now_ms.saturating_add(LOCATE_EVERY_MS), finding);
}
