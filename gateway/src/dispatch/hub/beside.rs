//! What a hub is told beside alarms, as events of ours. Enters: parcels. Leaves: payloads, always the same for the same parcel.

use vaka_protocol::{Event, EventMessage, Lane, Rung, Telling, encode_event_json};

use super::super::{HealthWord, HomeAct, RoundWord, TelemetryWord};
use super::{RESTART, number_of};
use crate::rules::homes::ROUND_ANEW;

/// The event that tells a hub what a person here did with an alarm: always the same for the same act.
pub(super) fn of_act(act: &HomeAct) -> String {
    // Only acts that have a rung are passed on.
    let rung = act.act.rung().unwrap_or(Rung::Claimed);
    let mut message = EventMessage::new(Event::Alarm {
        alarm: act.alarm.clone(),
        lane: act.lane,
        rung,
        device: None,
        resident: None,
        room: None,
        cause: act.cause.as_str().into(),
        happened_at: Some(act.alarm_at),
        delayed: false,
        count: 1,
        dty: None,
        stc: None,
        text: Default::default(),
        number: act.number,
        what: Telling::Raise,
        controller_id: None,
        caller: None,
        by: Some(act.by.as_str().into()),
    });
    message.at = Some(act.at);
    message.restart = Some(RESTART);
    message.seq = Some(number_of(&format!("{}/{}/{}/{}", act.alarm, act.number, act.alarm_at, rung.as_str())));
    encode_event_json(&message)
}

/// The event that tells a hub how this gateway is. Without a number: told twice it says the same.
pub(super) fn of_health(word: &HealthWord) -> String {
    let text = word.text.as_str().into();
    let event = Event::Health { lane: word.lane, ok: word.faults == 0, faults: word.faults, text };
    encode_event_json(&EventMessage { at: Some(word.at), ..EventMessage::new(event) })
}

/// The event that tells a hub of a look-in by camera. Without a number, as health.
pub(super) fn of_round(word: &RoundWord) -> String {
    let event = Event::Round {
        lane: Lane::Telemetry,
        slot: word.slot.as_str().into(),
        resident: Some(word.resident.as_str().into()),
        due_at: Some(word.latest_ms),
        done: word.state == "done",
        text: Default::default(),
        // A hub that knows of no alarm here shows nothing where nothing begins.
        from_at: Some(word.at_ms).filter(|_| word.alarm.is_none()),
        state: Some(word.state.into()),
        look_s: Some(word.look_s),
        may_see_clearly: word.may_see_clearly,
        alarm: word.alarm.clone(),
    };
    encode_event_json(&EventMessage { at: Some(word.at), ..EventMessage::new(event) })
}

/// The event that tells a hub that all look-ins are told anew. One that does not know it finds no look-in in it.
pub(super) fn of_round_anew(at: i64) -> String {
    let event = Event::Round {
        lane: Lane::Telemetry,
        slot: Default::default(),
        resident: None,
        due_at: None,
        done: false,
        text: Default::default(),
        from_at: None,
        state: Some(ROUND_ANEW.into()),
        look_s: None,
        may_see_clearly: false,
        alarm: None,
    };
    encode_event_json(&EventMessage { at: Some(at), ..EventMessage::new(event) })
}

/// An event of a device here, as its hub stores it: ours, and of that device.
pub(super) fn of_telemetry(word: &TelemetryWord) -> String {
    encode_event_json(&EventMessage {
        restart: Some(word.stream),
        seq: Some(word.number()),
        at: Some(word.at),
        of: Some(word.device.clone()),
        ..EventMessage::new(word.event.clone())
    })
}
