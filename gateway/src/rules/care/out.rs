//! What a rule decides, and when it wants to be asked again.

use vaka_protocol::{AlarmId, Command, DeviceId, Lane};

use super::View;
use super::facts::Switch;
use super::moment::At;
use crate::journal::record::{Basis, Decision, Evidence, Join, JoinWhat, Note, Raise, SendCommand};
use crate::limits::{ASSIGNED_RESTART, DELAYED_MS};
use crate::rules::alarm_id;

/// Which rule speaks, of whom, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Name and version.
    pub rule: (&'static str, u16),
    /// Absent: the home itself.
    pub resident: Option<&'a str>,
    /// Where it was seen, or should have been: what the alarm is shown under.
    pub device: &'a DeviceId,
}

/// Why, in words and in facts.
#[derive(Debug, Clone, Default)]
pub struct Finding {
    /// Kind of cause within rule and resident, e.g. `absence`: the alarm's cause.
    pub cause: String,
    /// Grows with each cause of that kind: a record's number, or the UTC milliseconds of what was planned.
    pub upto: i64,
    /// (Swedish, English), short sentences for a relative.
    pub said: (String, String),
    /// UTC milliseconds. None: now.
    pub happened_at: Option<i64>,
    pub seen: Vec<Evidence>,
    pub agreed: Vec<(String, String)>,
    pub prevented: Option<(String, String)>,
    /// A visit must be made until then, UTC milliseconds.
    pub due_at: Option<i64>,
}

/// Decisions in their order, and when to look again.
#[derive(Debug, Default)]
pub struct Out {
    pub decisions: Vec<Decision>,
    look_in_ms: Option<i64>,
    /// Any sign of activity may decide something: judged at the next motion too.
    pub eager: bool,
    /// Not judged: a device sends what had waited.
    pub waits: bool,
}

/// Kind of cause as it is settled by.
pub fn key(rule: &str, resident: Option<&str>, cause: &str) -> String {
    format!("{rule} {} {cause}", resident.unwrap_or("-"))
}

impl Out {
    /// Look again in so many milliseconds at the latest.
    pub fn look_in(&mut self, ms: i64) {
        let ms = ms.max(1);
        self.look_in_ms = Some(self.look_in_ms.map_or(ms, |known| known.min(ms)));
    }

    /// Look again at this moment of the wall clock, UTC milliseconds.
    pub fn look_at(&mut self, view: View<'_>, wall_ms: i64) {
        self.look_in(wall_ms.saturating_sub(view.now.wall_ms));
    }

    /// Milliseconds until it is worth looking again; `None`: only an event can change anything.
    pub fn next_ms(&self) -> Option<i64> {
        self.look_in_ms
    }

    /// True where `since` is at least `limit_ms` ago; else looks again when it will be.
    pub fn has_lasted(&mut self, view: View<'_>, since: &At, limit_ms: i64) -> bool {
        let age_ms = view.now.age_ms(since);
        if age_ms < limit_ms {
            self.look_in(limit_ms - age_ms);
        }
        age_ms >= limit_ms
    }

    /// True where `wall_ms` has come; else looks again then.
    pub fn has_come(&mut self, view: View<'_>, wall_ms: i64) -> bool {
        if view.now.wall_ms < wall_ms {
            self.look_at(view, wall_ms);
        }
        view.now.wall_ms >= wall_ms
    }

    /// Raises an alarm, once for each cause. False: it has been decided before.
    pub fn raise(&mut self, view: View<'_>, subject: Subject<'_>, lane: Lane, stc: u16, finding: Finding) -> bool {
        let key = key(subject.rule.0, subject.resident, &finding.cause);
        if view.care.settled.has(&key, finding.upto) {
            return false;
        }
        let happened_at = finding.happened_at.unwrap_or(view.now.wall_ms);
        let cause = finding.cause.clone();
        let (sv, en) = finding.said.clone();
        self.decisions.push(Decision::Raise(Box::new(Raise {
            alarm: id(&key, finding.upto),
            lane,
            rule: subject.rule.0.to_owned(),
            rule_version: subject.rule.1,
            device: subject.device.clone(),
            restart: ASSIGNED_RESTART,
            seq: finding.seen.last().map_or(0, |seen| seen.record),
            cause,
            dty: view.home.facts(subject.device).dty,
            stc,
            happened_at,
            delayed: view.now.wall_ms.saturating_sub(happened_at) > DELAYED_MS && finding.happened_at.is_some(),
            clock_suspect: !view.now.sure,
            sv,
            en,
            basis: Some(Box::new(basis(subject, key, finding))),
            home: None,
            whereabouts: None,
        })));
        true
    }

    /// Records what was found where no alarm comes of it, once for each cause. False: it has been decided before.
    pub fn note(
        &mut self,
        view: View<'_>,
        rule: (&'static str, u16),
        resident: Option<&str>,
        what: &str,
        slot: &str,
        finding: Finding,
    ) -> bool {
        let key = key(rule.0, resident, &finding.cause);
        if view.care.settled.has(&key, finding.upto) {
            return false;
        }
        let (sv, en) = finding.said.clone();
        let resident = resident.map(str::to_owned);
        self.decisions.push(Decision::Note(Box::new(Note {
            rule: rule.0.to_owned(),
            rule_version: rule.1,
            what: what.to_owned(),
            slot: slot.to_owned(),
            sv,
            en,
            basis: Basis { resident, ..basis_of(key, finding) },
        })));
        true
    }

    /// Sends a command to the subject's device, once for each cause. `expires_at`: UTC milliseconds. False: it has been sent before.
    pub fn send(
        &mut self,
        view: View<'_>,
        subject: Subject<'_>,
        command: Command,
        expires_at: i64,
        finding: Finding,
    ) -> bool {
        let key = key(subject.rule.0, subject.resident, &finding.cause);
        if view.care.settled.has(&key, finding.upto) {
            return false;
        }
        let (sv, en) = finding.said.clone();
        self.decisions.push(Decision::Send(Box::new(SendCommand {
            rule: subject.rule.0.to_owned(),
            rule_version: subject.rule.1,
            device: subject.device.clone(),
            expires_at,
            command,
            sv,
            en,
            basis: basis(subject, key, finding),
        })));
        true
    }

    /// The cause of an open alarm is over: its receivers hear so, once; it stays open until a person closes it.
    pub fn over(
        &mut self,
        view: View<'_>,
        subject: Subject<'_>,
        (cause, upto): (&str, i64),
        stc: u16,
        said: (String, String),
    ) -> bool {
        let id = alarm_of(subject.rule.0, subject.resident, cause, upto);
        let Some(alarm) = view.alarms.get_open(&id).filter(|alarm| !alarm.over) else {
            return false;
        };
        self.decisions.push(Decision::Join(Join {
            alarm: id,
            what: JoinWhat::Over,
            restart: ASSIGNED_RESTART,
            seq: alarm.raise.seq,
            stc,
            happened_at: view.now.wall_ms,
            delayed: false,
            notify: !alarm.is_claimed(),
            home: None,
            words: Some(said),
            whereabouts: None,
        }));
        true
    }
}

/// The alarm that this cause raises, whenever it is raised.
pub fn alarm_of(rule: &str, resident: Option<&str>, cause: &str, upto: i64) -> AlarmId {
    id(&key(rule, resident, cause), upto)
}

fn id(key: &str, upto: i64) -> AlarmId {
    let (rule, cause) = key.split_once(' ').unwrap_or((key, ""));
    alarm_id(rule, &[cause, &upto.to_string()])
}

fn basis(subject: Subject<'_>, key: String, finding: Finding) -> Basis {
    Basis { resident: subject.resident.map(str::to_owned), ..basis_of(key, finding) }
}

fn basis_of(key: String, finding: Finding) -> Basis {
    Basis {
        resident: None,
        key,
        upto: finding.upto,
        seen: finding.seen,
        agreed: finding.agreed,
        prevented: finding.prevented,
        due_at: finding.due_at,
    }
}

/// What a sensor said, as evidence: `word` for on, or for off, since when it is so.
pub fn seen(device: &DeviceId, switch: &Switch, (on, off): (&str, &str)) -> Evidence {
    let what = if switch.on { on } else { off };
    seen_at(device, &switch.since, what)
}

/// As [`seen`], of one moment.
pub fn seen_at(device: &DeviceId, at: &At, what: &str) -> Evidence {
    Evidence { record: at.record, device: device.clone(), at: at.wall_ms, what: what.to_owned() }
}
