//! The one press that was agreed. Enters: an event, what is armed, what is known of its device. Leaves: the test's alarm, or
//! nothing: then the event is judged as any other.
//!
//! In doubt it is real: another device, another kind of event, a second press, a press after the time, one that its device says
//! came before (by its clock, or by how long it had run), one that may have waited in a device that was away or came again, one while
//! the resident's own alarm is open.

use vaka_protocol::{Event, Lane};

use super::{NAME, Plan, TEST_CAUSE, VERSION, Visits};
use crate::journal::record::{Basis, Decision, Evidence, Raise};
use crate::limits::{VISIT_ARMED_MS, VISIT_CLOCK_MS, VISIT_SETTLED_MS};
use crate::rules::alarms::Alarms;
use crate::rules::care::facts::Facts;
use crate::rules::care::moment::At;
use crate::rules::trigger::time_by;
use crate::rules::{DeviceFacts, Happening, alarm_id, words};

/// SCAIP status code of a test.
const TEST: u16 = 102;

/// The place of the agreed event in `happening.events`, and the alarm that comes of it. `recorded`: of the event's own record.
pub fn agreed(
    visits: &Visits,
    plan: &Plan,
    alarms: &Alarms,
    facts: &Facts,
    device: DeviceFacts,
    happening: &Happening<'_>,
    recorded: At,
) -> Option<(usize, Decision)> {
    let visit = visits.open.as_deref()?;
    let armed = visit.armed.as_ref().filter(|armed| armed.device == *happening.device)?;
    let want = plan.devices.get(happening.device)?;
    let place = happening.events.iter().position(|event| want.is_trigger(event))?;
    let age_ms = recorded.mono_ms.saturating_sub(armed.at.mono_ms);
    let in_time =
        recorded.boot == armed.at.boot && armed.at.record < recorded.record && (0..VISIT_ARMED_MS).contains(&age_ms);
    if !in_time || happening.conflict || happening.of.is_some() || has_own_alarm(alarms, happening) {
        return None;
    }
    let time = time_by(happening.at, recorded.wall_ms, happening.behind_ms);
    let came_before = match happening.at.is_some() && !time.suspect {
        true => time.delayed || time.happened_at < armed.at.wall_ms.saturating_sub(VISIT_CLOCK_MS),
        // No time of its own: only a connection that stood all the while, and long enough before to have brought what had waited,
        // shows that nothing had. A newer one may have taken its place without a word.
        false => {
            let speaker = want.via.as_ref().unwrap_or(happening.device);
            let settled_ms = happening.since_ms.map(|since_ms| since_ms.saturating_add(VISIT_SETTLED_MS));
            settled_ms.is_none_or(|settled_ms| settled_ms > armed.at.mono_ms)
                || facts.get(speaker).is_some_and(|known| {
                    known.online == Some(false) || known.came.is_some_and(|came| came.record > armed.at.record)
                })
        }
    };
    // One that TCP brought late, over whatever connection.
    let ran_before = visit.devices.get(happening.device).and_then(|trial| trial.made_ms(happening, recorded));
    if came_before || ran_before.is_some_and(|made_ms| made_ms < armed.at.mono_ms) {
        return None;
    }
    let event = happening.events.get(place)?;
    let (sv, en) = words_of(event);
    let (restart, seq) = (happening.restart, happening.seq);
    let cause = [happening.device.as_str(), &happening.enrolment.to_string(), &format!("{restart}/{seq}")];
    let (dty, _) = event.scaip(device.fixed).unwrap_or((device.dty, TEST));
    let seen = Evidence {
        record: recorded.record,
        device: happening.device.clone(),
        at: time.happened_at,
        what: event.name().to_owned(),
    };
    let basis = Basis { key: format!("{NAME} {}", happening.device), seen: vec![seen], ..Basis::default() };
    let raise = Raise {
        alarm: alarm_id(NAME, &cause),
        lane: Lane::Test,
        rule: NAME.to_owned(),
        rule_version: VERSION,
        device: happening.device.clone(),
        restart,
        seq,
        cause: TEST_CAUSE.to_owned(),
        dty,
        stc: TEST,
        happened_at: time.happened_at,
        delayed: false,
        clock_suspect: time.suspect,
        sv,
        en,
        basis: Some(Box::new(basis)),
        home: None,
        whereabouts: None,
    };
    Some((place, Decision::Raise(Box::new(raise))))
}

/// The resident's own call is open and belongs to a person: a press now is of it.
fn has_own_alarm(alarms: &Alarms, happening: &Happening<'_>) -> bool {
    alarms.of(happening.device).any(|alarm| matches!(alarm.raise.lane, Lane::Life | Lane::Care))
}

fn words_of(event: &Event) -> (String, String) {
    let (sv, en) = match event {
        Event::Bed { .. } | Event::Chair { .. } | Event::Mat { .. } | Event::Door { .. } | Event::Motion {} => {
            ("Sensorn kände av.", "The sensor felt it.")
        }
        event if matches!(event.lane(), Lane::Life | Lane::Care | Lane::Test) => words::of(event),
        _ => ("Enheten hördes.", "The device was heard."),
    };
    let (tail_sv, tail_en) = (
        "Det är ett prov vid ett montörsbesök. Nästa larm är på riktigt.",
        "It is a test at a technician's visit. The next alarm is real.",
    );
    (format!("{sv} {tail_sv}"), format!("{en} {tail_en}"))
}
