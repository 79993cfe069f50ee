//! Rule `homes`: what the homes tell their hub, and what it means that one says nothing.
//!
//! Enters: a gateway's events `alarm`, `task` and `health`; its presence; that it has been silent too long. Leaves: decisions.
//! Invariants: (home, alarm) is one alarm here, however often it is told; old news changes nothing; what comes after a
//! person has closed it here is a new alarm, so that no clear from above ever mutes a home.

mod early;
mod looks;

use vaka_protocol::{AlarmId, DeviceId, Event, Lane, Rung, Telling};

pub use self::early::EarlyCloses;
pub use self::looks::{HomeLook, HomeLooks, ROUND_ANEW};
use super::alarms::{Alarm, Alarms};
use super::trigger::{Cause, LINK_MONITOR, MALFUNCTION, RESTORAL, Time, over, own, raise_or_join, time_of};
use super::{Happening, Input, alarm_id, words};
use crate::journal::record::{Act, ActWhat, Decision, HomeAlarm, Join, JoinWhat, Raise, Silent};

pub const NAME: &str = "homes";
pub const VERSION: u16 = 1;

/// The cause under which a silent home stands in the list.
const SILENT: &str = "silent";
/// SCAIP status code of a visit that somebody has to make: "help needed".
const VISIT: u16 = 10;

/// One of a home's own events; `None` if it is none, and is judged as any device's.
pub fn judge(alarms: &Alarms, input: &Input<'_>, happening: &Happening<'_>, event: &Event) -> Option<Vec<Decision>> {
    let decisions = match event {
        // A person's, not the rules': [`act`].
        Event::Alarm { rung: Rung::Claimed | Rung::Closed, .. } => Vec::new(),
        Event::Alarm { .. } => told(alarms, input, happening, event).into_iter().collect(),
        Event::Task { task, lane, open, text, .. } => {
            let mut cause = cause(input, happening, format!("task {task}"), *lane, VISIT, words::TASK);
            cause.text = Some(text.as_str().to_owned()).filter(|text| !text.is_empty());
            if *open { vec![raise_or_join(alarms, cause)] } else { over(alarms, cause) }
        }
        // Its technical alarms come here themselves: state that is shown, and no second alarm of the same.
        Event::Health { lane: Lane::Telemetry, .. } => Vec::new(),
        Event::Health { ok, text, .. } => {
            let (stc, said) = if *ok { (RESTORAL, words::HEALTH_GOOD) } else { (MALFUNCTION, words::HEALTH_BAD) };
            let mut cause = cause(input, happening, "health".to_owned(), Lane::Technical, stc, said);
            cause.text = Some(text.as_str().to_owned()).filter(|text| !text.is_empty());
            if *ok { over(alarms, cause) } else { vec![raise_or_join(alarms, cause)] }
        }
        _ => return None,
    };
    Some(decisions)
}

/// What a person in the home did with its alarm, as the act it is here. `None`: nothing new, or the alarm was never told here.
pub fn act(alarms: &Alarms, happening: &Happening<'_>, event: &Event) -> Option<Act> {
    let Event::Alarm { alarm, rung, number, happened_at, by, .. } = event else { return None };
    let what = match rung {
        Rung::Claimed => ActWhat::Claim,
        Rung::Closed => ActWhat::Close,
        _ => return None,
    };
    let known = find(alarms, happening, alarm)?;
    // A home made anew begins its numbers anew: that is an act of another alarm.
    let first = known.raise.home.as_ref().filter(|told| told.number == 0);
    let is_another = first.is_some_and(|told| told.said_at != *happened_at);
    let is_new = known.closed_by.is_none() && (what == ActWhat::Close || known.claimed_by.is_none());
    let who = by.as_deref().filter(|who| !who.is_empty()).unwrap_or("somebody");
    (is_new && !is_another).then(|| Act {
        told_up_to: Some(*number),
        ..Act::new(known.id().clone(), what, format!("{}: {who}", happening.device), String::new())
    })
}

/// Nothing was heard of a home for too long: whoever presses there is heard by nobody.
pub fn silent(alarms: &Alarms, input: &Input<'_>, silent: &Silent) -> Vec<Decision> {
    let is_told = alarms.newest(&silent.device, SILENT).is_some_and(|alarm| !alarm.over);
    let cause = own(input, &silent.device, SILENT.to_owned(), LINK_MONITOR, MALFUNCTION, words::HOME_SILENT);
    if is_told { Vec::new() } else { vec![raise_or_join(alarms, cause)] }
}

/// The home whose silence this alarm was, where a person has closed it.
pub fn silence_closed(alarm: &Alarm) -> Option<&DeviceId> {
    let of_silence = alarm.closed_by.is_some() && alarm.raise.cause == SILENT;
    of_silence.then_some(&alarm.raise.device)
}

/// A home is there again.
pub fn back(alarms: &Alarms, input: &Input<'_>, device: &DeviceId) -> Vec<Decision> {
    over(alarms, own(input, device, SILENT.to_owned(), LINK_MONITOR, RESTORAL, words::HOME_BACK))
}

fn cause<'a>(
    input: &Input<'_>,
    happening: &Happening<'a>,
    name: String,
    lane: Lane,
    stc: u16,
    said: words::Words,
) -> Cause<'a> {
    let mut cause = own(input, happening.device, name, LINK_MONITOR, stc, said);
    (cause.lane, cause.restart, cause.seq) = (lane, happening.restart, happening.seq);
    cause
}

/// The alarm here that this telling of a home belongs to: the one that has the event itself, else the newest of that home's alarm.
pub fn find<'a>(alarms: &'a Alarms, happening: &Happening<'_>, alarm: &AlarmId) -> Option<&'a Alarm> {
    let enrolment = happening.enrolment.to_string();
    let of_home = [happening.device.as_str(), &enrolment, alarm.as_ref()];
    let (mut id, mut closed, mut newest) = (alarm_id(NAME, &of_home), 0, None);
    while let Some(known) = alarms.get(&id) {
        if known.notices.iter().any(|notice| (notice.restart, notice.seq) == (happening.restart, happening.seq)) {
            return Some(known);
        }
        newest = Some(known);
        closed += 1;
        id = alarm_id(NAME, &[of_home[0], of_home[1], of_home[2], &format!("after {closed}")]);
    }
    newest.or_else(|| open_of_home(alarms, happening.device, alarm))
}

/// The open alarm of this home's alarm, where those closed before it are forgotten.
fn open_of_home<'a>(alarms: &'a Alarms, home: &DeviceId, alarm: &AlarmId) -> Option<&'a Alarm> {
    let of_home = alarms.open().filter(|known| known.raise.device == *home);
    let is_it = |known: &&Alarm| known.raise.home.as_deref().is_some_and(|told| told.alarm == *alarm);
    of_home.filter(is_it).max_by_key(|known| known.told_up_to)
}

fn told(alarms: &Alarms, input: &Input<'_>, happening: &Happening<'_>, event: &Event) -> Option<Decision> {
    let Event::Alarm { alarm, number, what, count, stc, happened_at, delayed, text, .. } = event else { return None };
    let said_at = *happened_at;
    let Time { happened_at, delayed: is_late, suspect } = time_of(said_at, input.recorded_at);
    let delayed = *delayed || is_late;
    let enrolment = happening.enrolment.to_string();
    let of_home = [happening.device.as_str(), &enrolment, alarm.as_ref()];
    // `Some(None)`: old news. `None`: another alarm, or one after a close here.
    let belongs_to = |known: &Alarm| {
        // A home made anew begins its numbers anew: raised at another time, it is another alarm.
        let first = known.raise.home.as_ref().filter(|told| told.number == 0);
        let is_another = *what == Telling::Raise && *number == 0 && first.is_some_and(|told| told.said_at != said_at);
        if *number <= known.told_up_to && !is_another {
            return Some(None);
        }
        (known.closed_by.is_none() && !is_another).then(|| {
            // Told again, it says mostly what it said before; where somebody is by now it says there too.
            let is_news = *what != Telling::Again || *text.as_str() != known.raise.sv;
            let words = Some(text.as_str().to_owned()).filter(|text| !text.is_empty() && is_news);
            let join = join(known, happening, (*what, *number, *count), stc.unwrap_or(0), (happened_at, delayed));
            Some(Decision::Join(Join { words: words.map(|text| (text.clone(), text)), ..join }))
        })
    };
    // After a close here the home's next word on it is an alarm of its own; the newest of them counts.
    let (mut id, mut closed) = (alarm_id(NAME, &of_home), 0);
    while let Some(known) = alarms.get(&id) {
        if let Some(decided) = belongs_to(known) {
            return decided;
        }
        closed += 1;
        id = alarm_id(NAME, &[of_home[0], of_home[1], of_home[2], &format!("after {closed}")]);
    }
    // Not the first word of it: those before it here are closed and forgotten. Looked for only then, among all that are open.
    if closed == 0
        && *number > 0
        && let Some(decided) = open_of_home(alarms, happening.device, alarm).and_then(belongs_to)
    {
        return decided;
    }
    Some(Decision::Raise(Box::new(Raise {
        alarm: id,
        delayed,
        happened_at,
        clock_suspect: suspect,
        ..raise(happening, event)?
    })))
}

fn join(
    known: &Alarm,
    happening: &Happening<'_>,
    (what, number, count): (Telling, u32, u32),
    stc: u16,
    (happened_at, delayed): (i64, bool),
) -> Join {
    // A home tells nothing more of what its own people have: told again, it was given back there.
    let has_it = known.claimed_by.as_deref().is_some_and(|by| by.starts_with(&format!("{}: ", happening.device)));
    let given_back = has_it && known.closed_by.is_none() && what == Telling::Again && number > known.told_up_to;
    Join {
        alarm: known.id().clone(),
        what: match what {
            Telling::Raise | Telling::Again if given_back => JoinWhat::HandedOver,
            Telling::Raise | Telling::Again => JoinWhat::Again,
            Telling::Cancel => JoinWhat::Cancel,
            Telling::Over => JoinWhat::Over,
        },
        restart: happening.restart,
        seq: happening.seq,
        stc,
        happened_at,
        delayed,
        notify: given_back || !known.is_claimed(),
        home: Some((number, count)),
        words: None,
        whereabouts: None,
    }
}

fn raise(happening: &Happening<'_>, event: &Event) -> Option<Raise> {
    let Event::Alarm {
        alarm,
        lane,
        device,
        resident,
        room,
        cause,
        dty,
        stc,
        text,
        number,
        count,
        controller_id,
        caller,
        happened_at,
        ..
    } = event
    else {
        return None;
    };
    let owned = |label: &Option<vaka_protocol::Label>| label.as_ref().map(|label| label.as_str().to_owned());
    let text = if text.is_empty() { words::HOME_ALARM } else { (text.as_str(), text.as_str()) };
    Some(Raise {
        alarm: alarm.clone(),
        lane: *lane,
        rule: NAME.to_owned(),
        rule_version: VERSION,
        device: happening.device.clone(),
        restart: happening.restart,
        seq: happening.seq,
        cause: cause.as_str().to_owned(),
        dty: dty.unwrap_or(LINK_MONITOR),
        stc: stc.unwrap_or(0),
        happened_at: 0,
        delayed: false,
        clock_suspect: false,
        sv: text.0.to_owned(),
        en: text.1.to_owned(),
        basis: None,
        home: Some(Box::new(HomeAlarm {
            alarm: alarm.clone(),
            number: *number,
            device: device.clone(),
            resident: owned(resident),
            room: owned(room),
            controller_id: owned(controller_id),
            caller: owned(caller),
            count: *count,
            said_at: *happened_at,
        })),
        whereabouts: None,
    })
}
