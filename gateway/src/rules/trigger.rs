//! Rule `trigger`: what needs no schedule raises at once.
//!
//! A cause that comes again while its alarm is open joins it. For `life`, `care` and `test` the receiver is told again
//! under a new reference until a person has the alarm; after that it is a new alarm. A technical condition that stays
//! (a low battery in every message) is counted and not told again: the receiver has it. A cancel is passed on, and
//! closes nothing.

use vaka_protocol::{DeviceId, DoseOutcome, Event, Lane, SCAIP_UNAUTHORISED};

use super::alarms::{Alarm, Alarms};
use super::homes;
use super::reach::Paths;
use super::words::{self, Said, Words};
use super::{DeviceFacts, Happening, Home, Input, UNREAD_LIFE_FAULT, What, alarm_id, gateway_part, path_name};
use crate::journal::record::{Decision, Join, JoinWhat, Raise};
use crate::limits::{ASSIGNED_RESTART, DELAYED_MS, EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS};

pub const NAME: &str = "trigger";
pub const VERSION: u16 = 1;

/// SCAIP status codes used here; the table is in `protocol`.
const CANCEL: u16 = 19;
pub(super) const MALFUNCTION: u16 = 67;
const AUTOMATIC: u16 = 9;
const IP_FAILURE: u16 = 23;
const IP_RESTORED: u16 = 112;
pub(super) const RESTORAL: u16 = 94;
const UNKNOWN: u16 = 0;
/// SCAIP device types of the gateway's own parts.
pub(super) const LINK_MONITOR: u16 = 32;
const LOCAL_UNIT: u16 = 2;

/// What an event asks for.
enum Meaning {
    Raise { lane: Lane, dty: u16, stc: u16 },
    Over { stc: u16 },
    Cancel,
    Nothing,
}

/// A cause, ready to raise or to join.
pub(super) struct Cause<'a> {
    device: &'a DeviceId,
    name: String,
    pub lane: Lane,
    dty: u16,
    stc: u16,
    words: Said,
    /// In place of the words: what the device itself says.
    pub text: Option<String>,
    /// What the alarm's id is made from, beside device and name.
    key: [String; 3],
    /// The record that is judged: makes the id its own where the key has been used.
    cursor: u64,
    pub restart: u32,
    pub seq: u64,
    time: Time,
}

#[derive(Clone, Copy)]
pub(crate) struct Time {
    pub happened_at: i64,
    pub delayed: bool,
    pub suspect: bool,
}

pub fn judge(alarms: &Alarms, paths: &Paths, home: &Home, input: &Input<'_>) -> Vec<Decision> {
    match input.what {
        What::Event(happening) => judge_event(alarms, home, input, &happening),
        What::Quarantine(quarantine) => {
            let cause = own(
                input,
                &quarantine.device,
                "unreadable".into(),
                home.facts(&quarantine.device).dty,
                MALFUNCTION,
                words::QUARANTINE,
            );
            vec![raise_or_join(alarms, cause)]
        }
        What::Path(path) => {
            let Some(device) = gateway_part(&path.receiver) else { return Vec::new() };
            // Two paths of one receiver are two causes: each is lost and back by itself.
            let name = path_name(&path.path);
            let cause = name.map_or_else(|| "path".to_owned(), |name| format!("path {name}"));
            let (stc, words) = match path.up {
                true => {
                    let outage_ms =
                        paths.get(&path.receiver, &path.path).and_then(|known| known.lasted_ms(input.cursor));
                    (IP_RESTORED, words::path_back(&path.receiver, name, outage_ms))
                }
                false => (IP_FAILURE, words::path_lost(&path.receiver, name)),
            };
            let cause = own(input, &device, cause, LINK_MONITOR, stc, words);
            if path.up { over(alarms, cause) } else { vec![raise_or_join(alarms, cause)] }
        }
        What::Fault(fault) => {
            // What a device does is its own alarm; what is the gateway's own stands under the fault's name.
            let (device, cause, dty) = match &fault.device {
                Some(device) => (Some(device.clone()), fault.fault.clone(), home.facts(device).dty),
                None => (gateway_part(&fault.fault), "fault".to_owned(), LOCAL_UNIT),
            };
            let Some(device) = device else { return Vec::new() };
            // Not a technician's: somebody may have called for help, and nobody can read it.
            let is_life = fault.device.is_none() && fault.fault.starts_with(UNREAD_LIFE_FAULT);
            let stc = match (fault.active, is_life) {
                (true, true) => AUTOMATIC,
                (true, false) => MALFUNCTION,
                (false, _) => RESTORAL,
            };
            let mut cause = own(input, &device, cause, dty, stc, words::of_fault(&fault.fault, fault.active));
            if is_life {
                cause.lane = Lane::Life;
            }
            if fault.active { vec![raise_or_join(alarms, cause)] } else { over(alarms, cause) }
        }
        // Its own rule's.
        What::Nobody(_) | What::Silent(_) | What::Back(_) => Vec::new(),
    }
}

fn judge_event(alarms: &Alarms, home: &Home, input: &Input<'_>, happening: &Happening<'_>) -> Vec<Decision> {
    let facts = home.facts(happening.device);
    let time = time_by(happening.at, input.recorded_at, happening.behind_ms);
    let cause = |name: &str, lane, dty, stc, words: Words| Cause {
        device: happening.device,
        name: name.to_owned(),
        lane,
        dty,
        stc,
        words: if happening.has_ended { words::ended(words) } else { words.into() },
        text: None,
        // A conflicting event is another cause under the same identity: its own record makes it one.
        key: [
            happening.enrolment.to_string(),
            format!("{}/{}", happening.restart, happening.seq),
            if happening.conflict { input.cursor.to_string() } else { String::new() },
        ],
        cursor: input.cursor,
        restart: happening.restart,
        seq: happening.seq,
        time,
    };
    let mut decisions = Vec::new();
    for event in happening.events {
        if facts.home
            && let Some(of_home) = homes::judge(alarms, input, happening, event)
        {
            decisions.extend(of_home);
            continue;
        }
        if home.has_plan_for(happening.device, event) {
            continue;
        }
        match meaning(event, facts) {
            Meaning::Raise { lane, dty, stc } => {
                // One alarm for all that a device says in words unknown here: the records keep the words.
                let name = if matches!(event, Event::Unknown { .. }) { "unknown" } else { event.name() };
                decisions.push(raise_or_join(alarms, cause(name, lane, dty, stc, words::of(event))));
            }
            Meaning::Over { stc } => {
                decisions.extend(over(alarms, cause(event.name(), event.lane(), 0, stc, words::of(event))));
            }
            Meaning::Cancel => {
                if let Some(alarm) = alarms.newest_life(happening.device) {
                    decisions.push(join(
                        alarm,
                        &cause("cancel", Lane::Life, 0, CANCEL, words::of(event)),
                        JoinWhat::Cancel,
                    ));
                }
            }
            Meaning::Nothing => {}
        }
    }
    if !happening.unknown.is_empty() {
        let words = words::of(&Event::Unknown { name: Default::default() });
        decisions.push(raise_or_join(alarms, cause("unclassified", Lane::Technical, facts.dty, UNKNOWN, words)));
    }
    if happening.conflict {
        decisions.push(raise_or_join(
            alarms,
            cause("number-reused", Lane::Technical, facts.dty, MALFUNCTION, words::CONFLICT),
        ));
    }
    decisions
}

/// The table of DESIGN §5, as far as it needs no schedule.
fn meaning(event: &Event, facts: DeviceFacts) -> Meaning {
    let (dty, stc) = event.scaip(facts.fixed).unwrap_or((facts.dty, UNKNOWN));
    let raise = |lane| Meaning::Raise { lane, dty, stc };
    // "The kind's own" device type, where the table says `kind`.
    let of_kind = |lane| Meaning::Raise { lane, dty: facts.dty, stc };
    match event {
        Event::Cabinet { open: true, by: None } => Meaning::Raise { lane: Lane::Care, dty, stc: SCAIP_UNAUTHORISED },
        Event::Cancel {} => Meaning::Cancel,
        Event::Smoke { active: false }
        | Event::Gas { active: false }
        | Event::Co { active: false }
        | Event::Heat { active: false }
        | Event::Flood { active: false }
        | Event::Fault { active: false, .. }
        | Event::Battery { low: false, .. } => Meaning::Over { stc },
        Event::Button { .. }
        | Event::Fall { .. }
        | Event::Seizure {}
        | Event::Smoke { .. }
        | Event::Gas { .. }
        | Event::Co { .. }
        | Event::Heat { .. }
        | Event::Flood { .. } => raise(Lane::Life),
        Event::Enuresis {} => raise(Lane::Care),
        Event::Dose { outcome, .. } => match outcome {
            DoseOutcome::Missed | DoseOutcome::Refused | DoseOutcome::Jammed | DoseOutcome::Unknown => {
                raise(Lane::Care)
            }
            DoseOutcome::Reminded | DoseOutcome::Dispensed | DoseOutcome::Taken => Meaning::Nothing,
        },
        Event::Stock { .. } if event.lane() == Lane::Technical => raise(Lane::Technical),
        // A lock that does not know who opened it (a Zigbee lock turned by hand) accuses nobody; one that says "nobody known" does.
        Event::Lock { locked: false, by: Some(by) } | Event::Cabinet { open: true, by: Some(by) } if by.is_empty() => {
            Meaning::Raise { lane: Lane::Care, dty, stc: SCAIP_UNAUTHORISED }
        }
        Event::Tamper {} => raise(Lane::Technical),
        Event::Battery { .. } | Event::Lost { .. } | Event::Fault { .. } => of_kind(Lane::Technical),
        Event::Started { .. } if event.lane() == Lane::Technical => of_kind(Lane::Technical),
        Event::Test {} => of_kind(Lane::Test),
        // A home's own events mean something to a hub alone; here a person has to look.
        Event::Alarm { .. } | Event::Task { .. } | Event::Health { .. } | Event::Unknown { .. } => {
            Meaning::Raise { lane: Lane::Technical, dty: facts.dty, stc: UNKNOWN }
        }
        Event::Stock { .. }
        | Event::Lock { .. }
        | Event::Cabinet { .. }
        | Event::Bed { .. }
        | Event::Chair { .. }
        | Event::Mat { .. }
        | Event::Door { .. }
        | Event::Motion {}
        | Event::Position { .. }
        | Event::Temperature { .. }
        | Event::Vital { .. }
        // Told after an agreed time, by rule `power`.
        | Event::Mains { .. }
        | Event::Staff { .. }
        | Event::Privacy { .. }
        | Event::Decline { .. }
        | Event::Signal { .. }
        | Event::Started { .. }
        | Event::Alive {}
        | Event::Done { .. }
        | Event::Round { .. } => Meaning::Nothing,
    }
}

pub(super) fn raise_or_join(alarms: &Alarms, cause: Cause<'_>) -> Decision {
    let is_technical = cause.lane == Lane::Technical;
    match alarms.newest(cause.device, &cause.name) {
        // A claim is of what was known then: a technical condition that came back after its end is a new one.
        Some(alarm) if !alarm.is_claimed() || (is_technical && !alarm.over) => join(alarm, &cause, JoinWhat::Again),
        _ => raise(alarms, cause),
    }
}

fn raise(alarms: &Alarms, cause: Cause<'_>) -> Decision {
    let mut parts = vec![cause.device.as_str(), cause.name.as_str()];
    parts.extend(cause.key.iter().map(String::as_str).filter(|part| !part.is_empty()));
    let mut alarm = alarm_id(NAME, &parts);
    let cursor = cause.cursor.to_string();
    if alarms.get(&alarm).is_some() {
        // A number used again after it was forgotten: another event, so another alarm.
        parts.push(&cursor);
        alarm = alarm_id(NAME, &parts);
    }
    Decision::Raise(Box::new(Raise {
        alarm,
        lane: cause.lane,
        rule: NAME.to_owned(),
        rule_version: VERSION,
        device: cause.device.clone(),
        restart: cause.restart,
        seq: cause.seq,
        cause: cause.name,
        dty: cause.dty,
        stc: cause.stc,
        happened_at: cause.time.happened_at,
        delayed: cause.time.delayed,
        clock_suspect: cause.time.suspect,
        sv: cause.text.clone().unwrap_or_else(|| cause.words.sv.into_owned()),
        en: cause.text.unwrap_or_else(|| cause.words.en.into_owned()),
        basis: None,
        home: None,
        whereabouts: None,
    }))
}

fn join(alarm: &Alarm, cause: &Cause<'_>, what: JoinWhat) -> Decision {
    let is_technical = alarm.raise.lane == Lane::Technical;
    // News is told; a technical condition that merely lasts is not. A claimed alarm has its person.
    let is_news = match what {
        JoinWhat::Again => !is_technical || alarm.over || is_momentary(&cause.name),
        JoinWhat::Cancel | JoinWhat::Where | JoinWhat::HandedOver | JoinWhat::Escalated => true,
        JoinWhat::Over => !alarm.over,
    };
    Decision::Join(Join {
        alarm: alarm.id().clone(),
        what,
        restart: cause.restart,
        seq: cause.seq,
        stc: cause.stc,
        happened_at: cause.time.happened_at,
        delayed: cause.time.delayed,
        notify: is_news && !alarm.is_claimed(),
        home: None,
        words: (what != JoinWhat::Again).then(|| {
            let text = cause.text.clone();
            let owned = |word: &str| text.clone().unwrap_or_else(|| word.to_owned());
            (owned(&cause.words.sv), owned(&cause.words.en))
        }),
        whereabouts: None,
    })
}

/// Technical causes that have no end of their own: each time is news.
fn is_momentary(cause: &str) -> bool {
    matches!(cause, "tamper" | "lost")
}

/// The cause is over: the open alarm hears of it, once, and stays open.
pub(super) fn over(alarms: &Alarms, cause: Cause<'_>) -> Vec<Decision> {
    let open = alarms.newest(cause.device, &cause.name).filter(|alarm| !alarm.over);
    open.map(|alarm| join(alarm, &cause, JoinWhat::Over)).into_iter().collect()
}

/// A technical cause that is a record of the gateway's own.
pub(super) fn own<'a>(
    input: &Input<'_>,
    device: &'a DeviceId,
    name: String,
    dty: u16,
    stc: u16,
    words: impl Into<Said>,
) -> Cause<'a> {
    Cause {
        device,
        name,
        lane: Lane::Technical,
        dty,
        stc,
        words: words.into(),
        text: None,
        key: [input.cursor.to_string(), String::new(), String::new()],
        cursor: input.cursor,
        restart: ASSIGNED_RESTART,
        seq: input.cursor,
        time: Time { happened_at: input.recorded_at, delayed: false, suspect: false },
    }
}

/// What happened then is told later than a working path would have.
fn is_late(happened_at: i64, recorded_at: i64) -> bool {
    recorded_at.saturating_sub(happened_at) > DELAYED_MS
}

/// A time in the future, or before this program could have been built, is not believed: reception counts instead.
pub(crate) fn time_of(at: Option<i64>, recorded_at: i64) -> Time {
    match at {
        None => Time { happened_at: recorded_at, delayed: false, suspect: false },
        Some(at) if at > recorded_at.saturating_add(FUTURE_TOLERANCE_MS) || at < EARLIEST_TIME_MS => {
            Time { happened_at: recorded_at, delayed: false, suspect: true }
        }
        Some(at) => Time { happened_at: at, delayed: is_late(at, recorded_at), suspect: false },
    }
}

/// As [`time_of`], by a clock that is known to be so far behind, in milliseconds.
pub(crate) fn time_by(at: Option<i64>, recorded_at: i64, behind_ms: i64) -> Time {
    let time = time_of(at, recorded_at);
    if behind_ms == 0 || !time.delayed {
        return time;
    }
    let happened_at = time.happened_at.saturating_add(behind_ms).min(recorded_at);
    Time { happened_at, delayed: is_late(happened_at, recorded_at), suspect: true }
}
