//! What people and receivers are shown of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaka_protocol::{AlarmId, DeviceId, Lane, Ordered, Rung};

use super::class::Days;
use super::fold::State;
use super::restore::Restored;
use crate::clock::{Clock, built_ms};
use crate::config::{Config, Language};
use crate::dispatch::{self, NoticeWhat};
use crate::ingest::session::Hall;
use crate::journal::record::{CloseOutcome, HomeAlarm, JoinWhat, Order, Whereabouts};
use crate::rules;
use crate::rules::alarms::{Alarm, Notice, Step};
use crate::rules::orders::Kept;

/// How the clock is, for people.
pub fn clock(clock: &dyn Clock) -> Value {
    let now = clock.now();
    json!({
        "confidence": now.confidence,
        "now": now.wall_ms,
        "told_to_devices": clock.is_trusted(&now),
        "floor": clock.floor_ms(),
        "built": built_ms(),
    })
}

/// What the config says of a device, for people: never part of the fold.
#[derive(Debug, Clone, Default)]
pub struct Label {
    pub room: Option<String>,
    pub resident: Option<String>,
    pub unit: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Labels {
    pub devices: BTreeMap<DeviceId, Label>,
    /// By resident, the group whose staff see them.
    pub units: BTreeMap<String, String>,
    pub english: bool,
    /// In which times are told.
    pub time_zone: TimeZone,
    /// How long records are kept, by class.
    pub kept: Days,
}

impl Default for Labels {
    fn default() -> Self {
        Labels {
            devices: BTreeMap::new(),
            units: BTreeMap::new(),
            english: false,
            time_zone: TimeZone::UTC,
            kept: Days::new(),
        }
    }
}

impl Labels {
    pub fn from_config(config: &Config) -> Self {
        let label = |device: &crate::config::Device| Label {
            room: device.room.clone(),
            resident: device.resident.clone(),
            unit: device.unit.clone(),
        };
        let unit = |resident: &crate::config::Resident| Some((resident.id.clone(), resident.unit.clone()?));
        let whose = |camera: &DeviceId| {
            let people = config.agreed.people.iter();
            people
                .filter(|person| person.look.as_ref().is_some_and(|look| look.camera == *camera))
                .map(|person| person.id.clone())
                .next()
        };
        let of_camera = |camera: &crate::config::Camera| Label {
            room: camera.room.clone(),
            resident: whose(&camera.id),
            unit: None,
        };
        let cameras = config.cameras.values().map(|camera| (camera.id.clone(), of_camera(camera)));
        Self {
            devices: config.devices.values().map(|device| (device.id.clone(), label(device))).chain(cameras).collect(),
            units: config.residents.values().filter_map(unit).collect(),
            english: config.gateway.language == Language::En,
            time_zone: config.gateway.time_zone.clone(),
            kept: config.retention.clone(),
        }
    }

    /// Whose staff see what is of this resident and this device: the resident's, else the device's. `None`: everybody's.
    pub fn unit(&self, resident: Option<&str>, device: Option<&DeviceId>) -> Option<String> {
        let of_resident = resident.and_then(|resident| self.units.get(resident).cloned());
        of_resident.or_else(|| self.devices.get(device?)?.unit.clone())
    }

    pub fn of(&self, device: &DeviceId) -> Label {
        self.devices.get(device).cloned().unwrap_or_default()
    }
}

/// One row of `vaka alarm list --json`: these keys are a fixed interface. Times are UTC milliseconds.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct AlarmRow {
    pub id: AlarmId,
    pub lane: Lane,
    pub rung: Rung,
    pub rungs: Vec<Step>,
    pub device: DeviceId,
    pub resident: Option<String>,
    pub rule: String,
    pub cause: String,
    pub raised_at: i64,
    pub delayed: bool,
    pub test: bool,
    pub count: u32,
    /// A receiver has it as far as it can prove: person not confirmed.
    #[serde(default)]
    pub handed_over: bool,
    /// Nobody has accepted it in time.
    #[serde(default)]
    pub nobody: bool,
    #[serde(default)]
    pub room: Option<String>,
    /// At a hub: what the home has told of it. `device` is the home then.
    #[serde(default)]
    pub home: Option<HomeAlarm>,
    /// The resident took it back, and it stays open.
    #[serde(default)]
    pub cancelled: bool,
    /// The cause is over, and the alarm stays open.
    #[serde(default)]
    pub over: bool,
    /// Somebody has to be there until then, UTC milliseconds.
    #[serde(default)]
    pub due_at: Option<i64>,
    /// What it came to, where whoever closed it said so: `helped`, `false`, `technical`, `handed-over`.
    #[serde(default)]
    pub outcome: Option<CloseOutcome>,
}

fn row(alarm: &Alarm, labels: &Labels) -> AlarmRow {
    let home = alarm.raise.home.as_deref();
    let basis = alarm.raise.basis.as_deref();
    let label = labels.of(&alarm.raise.device);
    AlarmRow {
        id: alarm.id().clone(),
        lane: alarm.raise.lane,
        rung: alarm.rung(),
        rungs: alarm.steps.clone(),
        device: alarm.raise.device.clone(),
        resident: whose(alarm, label.resident),
        rule: alarm.raise.rule.clone(),
        cause: alarm.raise.cause.clone(),
        raised_at: alarm.raised_at,
        delayed: alarm.raise.delayed,
        test: alarm.raise.lane == Lane::Test,
        count: alarm.count,
        handed_over: alarm.is_handed_over(),
        nobody: alarm.nobody,
        room: home.and_then(|home| home.room.clone()).or(label.room),
        home: home.cloned(),
        cancelled: alarm.cancelled,
        over: alarm.over,
        due_at: basis.and_then(|basis| basis.due_at),
        outcome: alarm.outcome,
    }
}

/// Whom it is about: as a home says, as the rule says, else whose device it is.
fn whose(alarm: &Alarm, of_device: Option<String>) -> Option<String> {
    let home = alarm.raise.home.as_deref();
    let basis = alarm.raise.basis.as_deref();
    home.and_then(|home| home.resident.clone()).or_else(|| basis.and_then(|basis| basis.resident.clone())).or(of_device)
}

pub fn row_of(state: &State, labels: &Labels, id: &AlarmId) -> Option<AlarmRow> {
    state.alarms.get(id).map(|alarm| row(alarm, labels))
}

/// Open alarms, most urgent lane first and newest first within it; with `all`, closed ones that are still remembered after them.
pub fn rows(state: &State, labels: &Labels, all: bool) -> Vec<AlarmRow> {
    let mut rows: Vec<AlarmRow> = state.alarms.open().map(|alarm| row(alarm, labels)).collect();
    rows.sort_by_key(|row| (row.lane, -row.raised_at));
    if all {
        rows.extend(state.alarms.closed().map(|alarm| row(alarm, labels)));
    }
    rows
}

/// Everything about one alarm: the row, and what explains it.
pub fn show(state: &State, labels: &Labels, id: &AlarmId) -> Option<Value> {
    let alarm = state.alarms.get(id)?;
    let mut shown = serde_json::to_value(row(alarm, labels)).ok()?;
    let more = json!({
        "rule_version": alarm.raise.rule_version,
        "sv": alarm.raise.sv,
        "en": alarm.raise.en,
        "happened_at": alarm.raise.happened_at,
        "clock_suspect": alarm.raise.clock_suspect,
        "position": position(alarm.raise.whereabouts.as_deref()),
        "event": {"restart": alarm.raise.restart, "seq": alarm.raise.seq},
        "why": why(alarm),
        "dty": format!("{:04}", alarm.raise.dty),
        "stc": format!("{:04}", alarm.raise.stc),
        "claimed_by": alarm.claimed_by,
        "closed_by": alarm.closed_by,
        "note": alarm.note,
        "notices": alarm.notices.iter().map(|notice| json!({
            "number": notice.number,
            "reference": dispatch::reference(alarm.id(), notice.number),
            "what": notice.what.map_or("raise", what_word),
            "rung": notice.rung,
            "restart": notice.restart,
            "seq": notice.seq,
            "delayed": notice.delayed,
            "words": notice.words,
            "position": position(notice.whereabouts.as_deref()),
        })).collect::<Vec<_>>(),
        "orders": state.orders.about(id).map(order).collect::<Vec<_>>(),
    });
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    Some(shown)
}

/// What a person has ordered, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderRow {
    /// UTC milliseconds, as all times here.
    pub at: i64,
    pub what: Ordered,
    /// The device, or the home that it was passed on to. Absent: refused before one was found.
    pub to: Option<DeviceId>,
    pub alarm: Option<AlarmId>,
    pub by: String,
    pub role: String,
    pub purpose: String,
    pub expires_at: i64,
    /// A word of [`vaka_protocol::Outcome`] or of [`rules::orders::Why`]. Absent: no answer.
    pub outcome: Option<String>,
    pub outcome_at: Option<i64>,
}

fn order(kept: &Kept) -> OrderRow {
    let Order { alarm, what, to, by, role, purpose, expires_at, .. } = kept.order.clone();
    let (outcome, outcome_at) = kept.outcome.clone().unzip();
    OrderRow { at: kept.at, what, to, alarm, by, role, purpose, expires_at, outcome, outcome_at }
}

/// Every order that is kept, the newest first.
pub fn orders(state: &State) -> Vec<OrderRow> {
    state.orders.newest().map(|(_, kept)| order(kept)).collect()
}

fn position(whereabouts: Option<&Whereabouts>) -> Value {
    whereabouts.map_or(Value::Null, |at| {
        json!({
            "latitude": f64::from(at.lat_e7) / 1e7,
            "longitude": f64::from(at.lon_e7) / 1e7,
            "accuracy_m": at.accuracy_m,
            "at": at.at,
        })
    })
}

/// What the alarm rests on: what was seen, what was agreed, and what would have made it unnecessary.
fn why(alarm: &Alarm) -> Value {
    let raise = &alarm.raise;
    let Some(basis) = raise.basis.as_deref() else {
        let (sv, en) = rules::prevented_by(raise.lane);
        let event = json!({"device": raise.device, "at": raise.happened_at, "what": raise.cause, "restart": raise.restart, "seq": raise.seq});
        return json!({"seen": [event], "agreed": {}, "prevented": {"sv": sv, "en": en}});
    };
    let prevented = basis.prevented.as_ref();
    json!({
        "seen": basis.seen,
        "agreed": basis.agreed.iter().cloned().collect::<BTreeMap<_, _>>(),
        "prevented": prevented.map(|(sv, en)| json!({"sv": sv, "en": en})),
    })
}

fn what_word(what: JoinWhat) -> &'static str {
    match what {
        JoinWhat::Again => "again",
        JoinWhat::Cancel => "cancel",
        JoinWhat::Over => "over",
        JoinWhat::Where => "where",
        JoinWhat::HandedOver => "handed-over",
        JoinWhat::Escalated => "escalated",
    }
}

/// The gateway in numbers.
pub fn stat(restored: &Restored) -> Value {
    let state = &restored.state;
    let journal = restored.journal.stat();
    json!({
        "journal": {"bytes": journal.bytes, "segments": journal.segments, "first_seq": journal.first_seq, "next_seq": journal.next_seq},
        "replayed": restored.replayed,
        "paths": state.reach,
        "alarms_open": state.alarms.open().count(),
        "notices_owed": state.alarms.owed().count(),
        "acts_owed": state.passing.counts(),
        "homes": homes(state),
        "telemetry_owed": state.streams.counts(),
        "events": state.devices.values().map(|seen| seen.events).sum::<u64>(),
        "quarantined": state.devices.values().map(|seen| seen.quarantined).sum::<u64>(),
        "refused": state.refused.iter().map(|(lane, count)| (lane.as_str(), count)).collect::<BTreeMap<_, _>>(),
    })
}

/// What is known of each device that was ever heard: by id, its last word, its charge, and when it last rang through. Times are UTC
/// milliseconds.
pub fn devices(state: &State) -> Value {
    let ids: BTreeSet<&DeviceId> = state
        .devices
        .keys()
        .chain(state.visits.proven.keys())
        .chain(state.care.facts.iter().map(|(id, _)| id))
        .collect();
    let shown = ids.into_iter().map(|id| {
        let seen = state.devices.get(id);
        let known = state.care.facts.get(id);
        let battery = known.and_then(|known| known.battery);
        let row = json!({
            "heard_at": known.and_then(|known| known.heard).map(|at| at.wall_ms).or(seen.map(|seen| seen.last_at)),
            "online": known.and_then(|known| known.online),
            "events": seen.map_or(0, |seen| seen.events),
            "quarantined": seen.map_or(0, |seen| seen.quarantined),
            "battery": battery.map(|battery| json!({"percent": battery.percent, "low": battery.low, "at": battery.at.wall_ms})),
            "proven": state.visits.proof(id).map(|proof| json!({"at": proof.at, "receiver": proof.receiver, "lane": proof.lane})),
            "silent": state.alarms.of(id).any(|alarm| alarm.raise.rule == "silence" && !alarm.over),
        });
        (id.as_str().to_owned(), row)
    });
    Value::Object(shown.collect())
}

/// At a hub: each home that has said how it is.
fn homes(state: &State) -> BTreeMap<&DeviceId, Value> {
    let said = state.devices.iter().filter_map(|(home, seen)| seen.health.as_ref().map(|health| (home, seen, health)));
    said.map(|(home, seen, health)| {
        let mut shown = serde_json::to_value(health).unwrap_or_default();
        shown["online"] = seen.online.into();
        shown["last_at"] = seen.last_at.into();
        (home, shown)
    })
    .collect()
}

/// Who stands at the door, and who was turned away since the start.
pub fn connections(hall: &Hall) -> Value {
    let counts = &hall.counts;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "now": hall.sessions.connected(),
        "most": hall.sessions.most(),
        "is_full": counts.is_full.load(Ordering::Relaxed),
        "handshakes": count(&counts.accepted),
        "certificate_ended": count(&counts.ended),
        "handshakes_failed": count(&counts.handshake_failed),
        "turned_away_full": count(&counts.turned_away_full),
        "turned_away_unknown": count(&counts.turned_away_unknown),
    })
}

/// The notice as a receiver gets it.
pub fn notice(alarm: &Alarm, notice: &Notice, labels: &Labels) -> dispatch::Notice {
    let raise = &alarm.raise;
    let label = labels.of(&raise.device);
    let home = raise.home.as_deref();
    dispatch::Notice {
        reference: dispatch::reference(alarm.id(), notice.number),
        alarm: alarm.id().clone(),
        number: notice.number,
        lane: raise.lane,
        what: match notice.what {
            None => NoticeWhat::Raise,
            Some(JoinWhat::Again | JoinWhat::Where | JoinWhat::HandedOver | JoinWhat::Escalated) => NoticeWhat::Again,
            Some(JoinWhat::Cancel) => NoticeWhat::Cancel,
            Some(JoinWhat::Over) => NoticeWhat::Over,
        },
        device: home.and_then(|home| home.device.clone()).unwrap_or_else(|| raise.device.clone()),
        room: home.and_then(|home| home.room.clone()).or(label.room),
        dty: raise.dty,
        stc: notice.stc,
        happened_at: notice.happened_at,
        alarm_at: raise.happened_at,
        accepted: notice.rung >= Rung::Accepted,
        to_all: notice.what == Some(JoinWhat::Escalated),
        delayed: notice.delayed,
        count: notice.count,
        text: {
            let (sv, en) = notice.words.as_deref().map_or((&raise.sv, &raise.en), |(sv, en)| (sv, en));
            let (mut text, last) = if labels.english { (en.clone(), "Last at") } else { (sv.clone(), "Senast") };
            if let Some(whereabouts) = &notice.whereabouts {
                let position = whereabouts.text(&labels.time_zone, notice.happened_at);
                text.push_str(&format!(" {last} {position}."));
            }
            text
        },
        test: raise.lane == Lane::Test,
        cause: raise.cause.clone(),
        resident: whose(alarm, label.resident),
        home: home.map(|_| raise.device.clone()),
        controller_id: home.and_then(|home| home.controller_id.clone()),
        caller: home.and_then(|home| home.caller.clone()),
        whereabouts: notice.whereabouts.as_deref().cloned(),
    }
}
