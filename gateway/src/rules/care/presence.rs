//! Rule `presence`: no activity for longer than agreed; who is out is not missed; look-ins by day.
//!
//! Enters: when each of a person's sensors saw activity last, whether it could have seen any, what is agreed for each part of
//! the day. Leaves: an alarm where it has been quiet for too long, a visit where nobody can know, notes that a person is out or
//! home and that a look-in was made. Invariants: quiet is an alarm only for time in which a sensor could have seen activity, and
//! is never called calm for time in which none could; each quiet is told once. What is usual for this home is information
//! ([`information`]), and raises nothing.

mod checks;
mod hours;
mod out_of_home;
mod parts;
#[cfg(test)]
mod tests;
mod words;

use vaka_protocol::{DeviceId, Lane};

use super::agreed::Person;
use super::moment::At;
use super::out::Finding;
use super::term::Term;
use super::when::Daily;
use super::{Out, Subject, View, alarm_of, key, seen_at, silence};
use crate::rules::alarms::Alarm;
pub use hours::{Information, Presences, information};

pub const NAME: &str = "presence";
pub const VERSION: u16 = 1;

/// SCAIP status codes: automatic alarm, "help needed" of a visit, restoral.
const AUTOMATIC: u16 = 9;
const VISIT: u16 = 10;
const RESTORAL: u16 = 94;
/// Until the clock is known, this long between two looks, in milliseconds.
const UNSURE_LOOK_MS: i64 = 60_000;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence {
    /// They do not overlap. At other times nobody is missed.
    pub parts: Vec<Part>,
    /// Care or life.
    pub lane: Lane,
    /// Nothing moves for so long after the front door: out.
    pub away_after_ms: i64,
    /// Out for longer: somebody is asked to find out.
    pub away_max_ms: i64,
    pub checks: Vec<Check>,
    /// Activity so long before a look-in's time makes it.
    pub proof_ms: i64,
    /// A look-in not made by then, before its latest time, becomes a visit.
    pub visit_before_ms: i64,
    /// A visit because nobody can know is due within this.
    pub visit_within_ms: i64,
    pub term: Term,
}

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub daily: Daily,
    /// It may be quiet for so long, in milliseconds.
    pub quiet_ms: i64,
    /// Whoever is in bed is not missed in it.
    pub in_bed: bool,
}

/// A planned look-in: from its time to its latest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    pub daily: Daily,
}

impl Part {
    /// As it is written: `07:00-22:00`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.daily.from.strftime("%H:%M"), self.daily.until.strftime("%H:%M"))
    }
}

/// The newest activity, and where.
#[derive(Clone, Copy)]
struct Newest<'a> {
    device: &'a DeviceId,
    at: At,
}

/// What a person's sensors have to say, at this moment.
struct Signs<'a> {
    newest: Option<Newest<'a>>,
    /// The newest of those that only somebody in the home can cause.
    inside: Option<Newest<'a>>,
    /// A bed that is occupied, and whose sensor is awake.
    bed: Option<&'a DeviceId>,
    /// Somebody lies or sits, wherever.
    occupied: bool,
    /// For how long some sensor could have seen activity without a gap, in milliseconds.
    watched_ms: i64,
    /// None of them could see any now.
    dark: bool,
}

/// Kinds whose sensors see that somebody moves about.
fn sees_activity(kind: &str) -> bool {
    matches!(kind, "bed-sensor" | "chair-sensor" | "mat-sensor" | "door-sensor" | "motion-sensor" | "cabinet")
}

/// Kinds that stay in the home: what they say was done there. Not a lock, which is turned from without.
fn is_inside(kind: &str) -> bool {
    sees_activity(kind) || matches!(kind, "fixed-trigger" | "dispenser")
}

fn newer<'a>(view: View<'_>, known: Option<Newest<'a>>, device: &'a DeviceId, at: At) -> Option<Newest<'a>> {
    match known {
        Some(known) if view.now.signed_age_ms(&known.at) <= view.now.signed_age_ms(&at) => Some(known),
        _ => Some(Newest { device, at }),
    }
}

/// Looks again when one of the sensors may be believed no more, or again: that comes by time alone.
fn signs<'a>(view: View<'a>, person: &'a Person, out: &mut Out) -> Signs<'a> {
    let mut signs = Signs { newest: None, inside: None, bed: None, occupied: false, watched_ms: 0, dark: true };
    for device in &person.devices {
        let Some(agreed) = view.agreed.devices.get(device) else { continue };
        if sees_activity(agreed.kind) {
            signs.watched_ms = signs.watched_ms.max(silence::watched_ms(view, device));
            signs.dark &= !silence::is_provable(view, device);
        }
        silence::turns_in_ms(view, device).into_iter().for_each(|ms| out.look_in(ms));
        let Some(known) = view.care.facts.get(device) else { continue };
        if let Some(at) = known.activity {
            signs.newest = newer(view, signs.newest, device, at);
            if is_inside(agreed.kind) && !agreed.exit {
                signs.inside = newer(view, signs.inside, device, at);
            }
        }
        let is_on = |switch: &Option<Box<super::facts::Switch>>| switch.as_ref().is_some_and(|switch| switch.on);
        signs.occupied |= is_on(&known.bed) || is_on(&known.chair) || is_on(&known.mat);
        if is_on(&known.bed) && silence::is_provable(view, device) {
            signs.bed = Some(device);
        }
    }
    signs
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    let Some(agreed) = &person.presence else { return };
    let signs = signs(view, person, out);
    for cause in ["quiet", "unproven"] {
        activity_again(view, person, cause, &signs, out);
    }
    let is_out = out_of_home::judge(view, person, agreed, &signs, out);
    checks::judge(view, person, agreed, &signs, is_out, out);
    if !is_out {
        quiet(view, person, agreed, &signs, out);
    }
}

/// The newest alarm of this cause that is open and not over, and what it is about.
fn open_alarm<'a>(view: View<'a>, person: &Person, cause: &str) -> Option<(&'a Alarm, i64)> {
    let resident = Some(person.id.as_str());
    // Nearly always none is.
    view.alarms.open_of(NAME, resident).next()?;
    let upto = view.care.settled.upto(&key(NAME, resident, cause))?;
    let alarm = view.alarms.get_open(&alarm_of(NAME, resident, cause, upto))?;
    (!alarm.over).then_some((alarm, upto))
}

fn number(record: u64) -> i64 {
    i64::try_from(record).unwrap_or(i64::MAX)
}

/// Activity after a quiet: its alarm is over, and stays open.
fn activity_again(view: View<'_>, person: &Person, cause: &str, signs: &Signs<'_>, out: &mut Out) {
    let Some((alarm, upto)) = open_alarm(view, person, cause) else { return };
    // The next sign of life ends it.
    out.eager = true;
    let Some(newest) = signs.newest.filter(|newest| number(newest.at.record) > upto) else { return };
    let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device: &alarm.raise.device };
    out.over(view, subject, (cause, upto), RESTORAL, words::again(newest.device));
}

fn quiet(view: View<'_>, person: &Person, agreed: &Presence, signs: &Signs<'_>, out: &mut Out) {
    if agreed.parts.is_empty() {
        return;
    }
    // The first sign of all may be told late, and be of a time before that from which quiet counts without one.
    out.eager |= signs.newest.is_none();
    let Some((since_ms, upto)) = quiet_since(view, person, signs, out) else { return };
    let bed = signs.bed.filter(|_| agreed.parts.iter().any(|part| part.in_bed));
    let Some(due) = parts::due(view, &agreed.parts, since_ms, bed.is_some()) else {
        // Nothing is planned that the next sign of life could put off: it begins a quiet of its own.
        out.eager = true;
        return;
    };
    if !out.has_come(view, due.at_ms) {
        return;
    }
    // Told once: that no sensor sees any later on asks for no visit beside its alarm.
    if view.care.settled.has(&key(NAME, Some(&person.id), "quiet"), upto) {
        // Also where a person has closed it: the next sign of life begins another quiet.
        out.eager = true;
        return;
    }
    let quiet_ms = view.now.wall_ms.saturating_sub(since_ms);
    let watched_ms = signs.watched_ms;
    let Some(device) = signs.newest.map(|newest| newest.device).or_else(|| person.devices.first()) else { return };
    let subject = Subject { rule: (NAME, VERSION), resident: Some(&person.id), device };
    let evidence = match signs.newest {
        Some(newest) => seen_at(newest.device, &newest.at, "last activity"),
        None => seen_at(device, &At { wall_ms: since_ms, mono_ms: 0, boot: 0, record: 0 }, "no activity ever"),
    };
    let finding = |cause: &str, part: &Part, said: (String, String)| Finding {
        cause: cause.to_owned(),
        upto,
        said,
        happened_at: None,
        seen: vec![evidence.clone()],
        agreed: vec![
            ("presence.parts".to_owned(), part.name()),
            ("presence.quiet_min".to_owned(), (part.quiet_ms / 60_000).to_string()),
        ],
        prevented: None,
        due_at: None,
    };
    if watched_ms >= quiet_ms {
        let said = words::quiet(quiet_ms, &due.part);
        let prevented = Some(words::any_activity());
        out.raise(view, subject, agreed.lane, AUTOMATIC, Finding { prevented, ..finding("quiet", &due.part, said) });
        return;
    }
    // Nobody could see the whole of it: neither calm nor alarm, so somebody goes and looks. A sensor that wakes changes what could
    // be seen, whatever it says.
    out.eager = true;
    let said = words::unproven(quiet_ms, signs.dark);
    let due_at = Some(view.now.wall_ms.saturating_add(agreed.visit_within_ms));
    let prevented = Some(words::a_sensor_awake());
    out.raise(view, subject, Lane::Care, VISIT, Finding { due_at, prevented, ..finding("unproven", &due.part, said) });
    // And from when on it could be seen, the agreed time counts anew.
    if !signs.dark
        && let Some(due) = parts::due(view, &agreed.parts, view.now.wall_ms.saturating_sub(watched_ms), bed.is_some())
        && out.has_come(view, due.at_ms)
    {
        let said = words::quiet(quiet_ms, &due.part);
        let prevented = Some(words::any_activity());
        out.raise(view, subject, agreed.lane, AUTOMATIC, Finding { prevented, ..finding("quiet", &due.part, said) });
    }
}

/// Since when it is quiet, UTC milliseconds by the clock of now, and the record that says so. Where nothing was ever seen, since
/// the agreement was looked at first.
fn quiet_since(view: View<'_>, person: &Person, signs: &Signs<'_>, out: &mut Out) -> Option<(i64, i64)> {
    if let Some(newest) = signs.newest {
        let since_ms = view.now.wall_ms.saturating_sub(view.now.age_ms(&newest.at));
        return Some((since_ms, number(newest.at.record)));
    }
    if let Some(begun_ms) = view.care.settled.upto(&key(NAME, Some(&person.id), "begun")) {
        // A clock that was set back has not come to it yet: then it is quiet from now on at the latest.
        return Some((begun_ms.min(view.now.wall_ms), 0));
    }
    if view.now.sure {
        let (upto, said) = (view.now.wall_ms, words::begun());
        let finding = Finding { cause: "begun".to_owned(), upto, said, ..Finding::default() };
        out.note(view, (NAME, VERSION), Some(&person.id), "begun", "", finding);
    } else {
        out.look_in(UNSURE_LOOK_MS);
    }
    None
}
