//! The keeper's side of a technician's visit: what is asked for is judged, recorded, and answered once it is on the disk.
//!
//! Enters: a technician's wish. Leaves: records (the step; for a hand-over its alarm before it; at the end a close of each test
//! alarm), and the visit's lines. Invariant: nothing finishes a visit while a line is red and nobody's.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use vaka_protocol::{AlarmId, Command, DeviceId, Lane, Light as Lamp, Sound};

use super::keeper::Keeper;
use crate::clock::Confidence;
use crate::journal::Header;
use crate::journal::record::{
    Act, ActWhat, Basis, Decision, Decisions, Fault, Raise, Record, SendCommand, Visit, VisitStep,
};
use crate::limits::{ASSIGNED_RESTART, VISIT_ARMED_MS, VISIT_TEXT_CHARS_MAX};
use crate::rules::care::moment::At;
use crate::rules::visit::lines::{GATEWAY, Light, Line, View, lines};
use crate::rules::visit::{NAME, OPEN_FAULT, VERSION, press};
use crate::rules::{self, Happening, alarm_id, gateway_part};

/// SCAIP: device type of the gateway's own parts, status code of a malfunction.
const LOCAL_UNIT: u16 = 2;
const MALFUNCTION: u16 = 67;

/// What a technician asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Start {
        by: String,
    },
    Arm {
        device: DeviceId,
        by: Option<String>,
    },
    Measured {
        device: DeviceId,
        by: Option<String>,
        signal_dbm: Option<i16>,
        wired: bool,
        battery_percent: Option<u8>,
        no_battery: bool,
    },
    Seen {
        device: DeviceId,
        by: Option<String>,
    },
    HandOver {
        line: String,
        reason: String,
        to: String,
        by: Option<String>,
    },
    Finish {
        by: Option<String>,
    },
    Status,
    /// The protocol of the visit that was finished last.
    Protocol,
}

pub type VisitReply = oneshot::Sender<Result<Value, String>>;

impl Keeper {
    pub(super) fn take_wish(&mut self, wish: Wish, reply: VisitReply) {
        match self.do_wish(wish) {
            Ok(()) => self.visit_answers.push(reply),
            // Whoever asked may have gone away: then nobody hears the answer.
            Err(why) => {
                let _ = reply.send(Err(why));
            }
        }
    }

    /// After the commit: how the visit stands.
    pub(super) fn answer_visits(&mut self) {
        for reply in std::mem::take(&mut self.visit_answers) {
            let _ = reply.send(Ok(self.visit_status()));
        }
    }

    pub(super) fn fail_visits(&mut self) {
        for reply in std::mem::take(&mut self.visit_answers) {
            let _ = reply.send(Err("the journal could not be written; try again".to_owned()));
        }
    }

    /// A visit that was left open is told, once.
    pub(super) fn tell_open_visit(&mut self) {
        if self.restored.state.visits.is_left_open(self.moment()) {
            let by = self.restored.state.visits.open.as_deref().map(|visit| visit.by.clone()).unwrap_or_default();
            self.tell_visit_fault(true, format!("begun by {by}"));
        }
    }

    fn tell_visit_fault(&mut self, active: bool, detail: String) {
        let fault = Fault { fault: OPEN_FAULT.into(), device: None, detail, active };
        self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
    }

    /// The event's place and the test that it is, where it is the one press that was agreed.
    pub(super) fn agreed_press(&self, header: &Header, happening: &Happening<'_>) -> Option<(usize, Decision)> {
        let state = &self.restored.state;
        let facts = self.home.facts(happening.device);
        let mono_ms = i64::try_from(header.mono_ms).unwrap_or(i64::MAX);
        let recorded = At { wall_ms: header.wall_ms, mono_ms, boot: header.boot, record: header.seq };
        press::agreed(&state.visits, &self.home.visit, &state.alarms, &state.care.facts, facts, happening, recorded)
    }

    fn do_wish(&mut self, wish: Wish) -> Result<(), String> {
        if let Wish::Start { by } = &wish {
            let by = said("--by", by)?;
            if let Some(open) = self.restored.state.visits.open.as_deref() {
                let (_, en) = rules::lasting(self.moment().age_ms(&open.started));
                return Err(format!(
                    "a visit that {} began {en} ago is open; go on with it (`vaka visit status`) or finish it",
                    open.by
                ));
            }
            self.step(by, VisitStep::Start {});
            return Ok(());
        }
        let Some(open) = self.restored.state.visits.open.as_deref() else {
            return Err("no visit is open; begin one: vaka visit start --by NAME".to_owned());
        };
        let begun_by = open.by.clone();
        let who = |by: Option<String>| by.map_or_else(|| Ok(begun_by.clone()), |by| said("--by", &by));
        match wish {
            Wish::Start { .. } | Wish::Status | Wish::Protocol => Ok(()),
            Wish::Arm { device, by } => self.arm(device, who(by)?),
            Wish::Measured { device, by, signal_dbm, wired, battery_percent, no_battery } => {
                self.wanted(&device)?;
                if signal_dbm.is_some_and(|dbm| !(-150..=20).contains(&dbm)) {
                    return Err("--signal-dbm must be from -150 to 20, such as -71".to_owned());
                }
                if battery_percent.is_some_and(|percent| percent > 100) {
                    return Err("--battery-percent must be from 0 to 100".to_owned());
                }
                if signal_dbm.is_none() && battery_percent.is_none() && !wired && !no_battery {
                    return Err("nothing was measured: give --signal-dbm, --wired, --battery-percent or --no-battery"
                        .to_owned());
                }
                let step = VisitStep::Measured { device, signal_dbm, wired, battery_percent, no_battery };
                self.step(who(by)?, step);
                Ok(())
            }
            Wish::Seen { device, by } => {
                let want = self.wanted(&device)?.clone();
                let trial = self.restored.state.visits.open.as_deref().and_then(|visit| visit.devices.get(&device));
                if !want.shows {
                    return Err(format!("{device} has nothing to see or hear"));
                }
                if !trial.is_some_and(|trial| trial.has_answered(&want)) {
                    return Err(format!(
                        "{device} has had nothing to answer yet: vaka visit arm {device}, then press it and wait until the test alarm is accepted"
                    ));
                }
                self.step(who(by)?, VisitStep::Seen { device });
                Ok(())
            }
            Wish::HandOver { line, reason, to, by } => self.hand_over(line, reason, to, who(by)?),
            Wish::Finish { by } => self.finish_visit(who(by)?),
        }
    }

    fn step(&mut self, by: String, step: VisitStep) {
        self.append(Record::Visit(Visit { by, step }), Lane::Technical);
    }

    fn wanted(&self, device: &DeviceId) -> Result<&rules::visit::kinds::Want, String> {
        let wants = &self.home.visit.devices;
        wants.get(device).ok_or_else(|| {
            let ids: Vec<&str> = wants.keys().map(DeviceId::as_str).collect();
            format!("there is no device {device} in vaka.toml; there are: {}", ids.join(", "))
        })
    }

    fn arm(&mut self, device: DeviceId, by: String) -> Result<(), String> {
        let want = self.wanted(&device)?.clone();
        if want.speaks {
            return self.have_it_speak(device);
        }
        if want.triggers.is_empty() {
            return Err(format!("{device} ({}) has nothing to press or set off", want.kind));
        }
        let state = &self.restored.state;
        let own = state.alarms.of(&device).find(|alarm| matches!(alarm.raise.lane, Lane::Life | Lane::Care));
        if let Some(alarm) = own {
            return Err(format!("{device} has an open alarm {}: see to it, and close it, before a test", alarm.id()));
        }
        self.step(by, VisitStep::Arm { device });
        Ok(())
    }

    /// What only tells is tried by telling it: it answers, and the technician sees and hears.
    fn have_it_speak(&mut self, device: DeviceId) -> Result<(), String> {
        let (sv, en) = ("Prov vid montörsbesök.", "Test at a technician's visit.");
        let text = if self.home.english { en } else { sv };
        let command =
            Command::Feedback { light: Some(Lamp::Flash), sound: Some(Sound::Chime), text: Some(text.into()) };
        let now = self.clock.now();
        let send = SendCommand {
            rule: NAME.to_owned(),
            rule_version: VERSION,
            expires_at: now.wall_ms + VISIT_ARMED_MS,
            command,
            sv: sv.to_owned(),
            en: en.to_owned(),
            basis: Basis { key: format!("{NAME} {device}"), upto: now.wall_ms, ..Basis::default() },
            device,
        };
        let decisions = vec![Decision::Send(Box::new(send))];
        self.append(Record::Decisions(Decisions { cursor: 0, decisions }), Lane::Care);
        Ok(())
    }

    fn hand_over(&mut self, name: String, reason: String, to: String, by: String) -> Result<(), String> {
        let (reason, to) = (said("--reason", &reason)?, said("--to", &to)?);
        let lines = self.visit_lines();
        let Some(line) = lines.iter().find(|line| line.line == name) else {
            let red: Vec<&str> = lines.iter().filter(|line| line.is_open()).map(|line| line.line.as_str()).collect();
            return Err(format!("there is no line {name}; red are: {}", red.join(", ")));
        };
        if line.handed_over.is_some() {
            return Err(format!("{name} has been handed over already"));
        }
        if line.light != Light::Red {
            return Err(format!("{name} is not red: there is nothing to hand over"));
        }
        let device = line.device.clone().or_else(|| gateway_part(GATEWAY));
        let Some(device) = device else { return Err(format!("{name} names no device")) };
        let number = self.restored.state.visits.open.as_deref().map_or(0, |visit| visit.started.record);
        let alarm = alarm_id(NAME, &[&name, &number.to_string()]);
        let dty = line.device.as_ref().map_or(LOCAL_UNIT, |device| self.home.facts(device).dty);
        let raise = self.handed_alarm(alarm.clone(), device, dty, line, &reason, &to);
        // The alarm first: cut off between them, the line stays red and is handed over again, to the same alarm.
        let decisions = vec![Decision::Raise(Box::new(raise))];
        self.append(Record::Decisions(Decisions { cursor: 0, decisions }), Lane::Technical);
        self.step(by, VisitStep::HandOver { line: name, reason, to, alarm });
        Ok(())
    }

    fn handed_alarm(&self, alarm: AlarmId, device: DeviceId, dty: u16, line: &Line, reason: &str, to: &str) -> Raise {
        let now = self.clock.now();
        let found = (line.sv.clone(), line.en.clone());
        Raise {
            alarm,
            lane: Lane::Technical,
            rule: NAME.to_owned(),
            rule_version: VERSION,
            device,
            restart: ASSIGNED_RESTART,
            seq: 0,
            cause: format!("handed-over {}", line.what),
            dty,
            stc: MALFUNCTION,
            happened_at: now.wall_ms,
            delayed: false,
            clock_suspect: now.confidence == Confidence::Floor,
            sv: format!("Inte klart: {}. {} Skäl: {reason}. Ansvarig: {to}.", line.line, found.0),
            en: format!("Not in order: {}. {} Reason: {reason}. To be seen to by: {to}.", line.line, found.1),
            basis: None,
            home: None,
            whereabouts: None,
        }
    }

    fn finish_visit(&mut self, by: String) -> Result<(), String> {
        let lines = self.visit_lines();
        let open: Vec<&Line> = lines.iter().filter(|line| line.is_open()).collect();
        if !open.is_empty() {
            let words = |line: &&Line| {
                let found = if self.home.english { &line.en } else { &line.sv };
                format!("{}: {found}", line.line)
            };
            let told: Vec<String> = open.iter().map(words).collect();
            return Err(format!("{} lines are red:\n{}", open.len(), told.join("\n")));
        }
        let protocol = self.visit_protocol(&lines, &by).to_string();
        let is_test = |alarm: &&rules::alarms::Alarm| alarm.raise.rule == NAME && alarm.raise.lane == Lane::Test;
        let tests: Vec<AlarmId> =
            self.restored.state.alarms.open().filter(is_test).map(|alarm| alarm.id().clone()).collect();
        for alarm in tests {
            let act = Act::new(alarm, ActWhat::Close, by.clone(), "vaka visit finish".to_owned());
            self.append(Record::Act(self.with_hubs(act, Lane::Test)), Lane::Test);
        }
        let was_told = self.restored.state.fault_is_active(OPEN_FAULT);
        self.step(by, VisitStep::Finish { protocol });
        if was_told {
            self.tell_visit_fault(false, String::new());
        }
        Ok(())
    }

    fn visit_lines(&self) -> Vec<Line> {
        let state = &self.restored.state;
        let view = View {
            home: &self.home,
            facts: &state.care.facts,
            paths: &state.reach,
            now: self.moment(),
            confidence: self.clock.now().confidence,
            is_disk_short: !self.room.refused.is_empty(),
            free_mib: self.restored.journal.free_bytes().map(|bytes| bytes / (1024 * 1024)),
        };
        lines(&state.visits, view)
    }

    /// What `vaka visit status --json` shows; `open` is null where no visit is.
    pub(super) fn visit_status(&self) -> Value {
        let visits = &self.restored.state.visits;
        let lines = self.visit_lines();
        let now = self.moment();
        let open = visits.open.as_deref().map(|visit| {
            let armed = visit.armed.as_ref().and_then(|armed| {
                let want = self.home.visit.devices.get(&armed.device);
                let speaker = want.and_then(|want| want.via.as_ref()).unwrap_or(&armed.device);
                let known = self.restored.state.care.facts.get(speaker);
                let connected = known.is_some_and(|known| known.online == Some(true));
                let left_s = |left_ms: i64| left_ms / 1_000;
                let shown =
                    |left_ms| json!({"device": armed.device, "left_s": left_s(left_ms), "connected": connected});
                armed.left_ms(now).map(shown)
            });
            json!({"by": visit.by, "started_at": visit.started.wall_ms, "armed": armed})
        });
        json!({
            "open": open,
            "red": lines.iter().filter(|line| line.is_open()).count(),
            "lines": lines,
            "finished_at": visits.last.as_deref().map(|last| last.at.wall_ms),
        })
    }

    /// The newest finished visit's protocol.
    pub(super) fn last_protocol(&self) -> Result<Value, String> {
        let last = self.restored.state.visits.last.as_deref();
        let last = last.ok_or("no visit has been finished here yet")?;
        serde_json::from_str(&last.protocol).map_err(|e| format!("reading the protocol in the journal: {e}"))
    }

    fn visit_protocol(&self, lines: &[Line], by: &str) -> Value {
        let state = &self.restored.state;
        let Some(visit) = state.visits.open.as_deref() else { return Value::Null };
        let plan = &self.home.visit;
        let devices: Vec<Value> = plan
            .devices
            .iter()
            .map(|(device, want)| {
                let trial = visit.devices.get(device).cloned().unwrap_or_default();
                let label = self.labels.of(device);
                let battery = state.care.facts.get(device).and_then(|known| known.battery);
                json!({
                    "device": device,
                    "kind": want.kind,
                    "room": label.room,
                    "resident": label.resident,
                    "signal": trial.signal.map(|signal| json!({
                        "worst_dbm": signal.worst_dbm, "probes": signal.probes, "by_hand": signal.by_hand,
                        "at": signal.at.wall_ms, "least_dbm": want.signal_min_dbm,
                    })),
                    "wired": trial.wired,
                    "battery": match (trial.battery, battery) {
                        _ if trial.no_battery => Value::Null,
                        (Some((percent, at)), said) if said.is_none_or(|said| said.at.record < at.record) =>
                            json!({"percent": percent, "by_hand": true, "at": at.wall_ms}),
                        (_, Some(said)) => json!({"percent": said.percent, "by_hand": false, "at": said.at.wall_ms}),
                        _ => Value::Null,
                    },
                    "press": trial.test.as_ref().map(|test| json!({
                        "what": test.what, "alarm": test.alarm, "at": test.at.wall_ms,
                        "accepted_at": test.accepted.as_ref().map(|(at, _)| at),
                        "receiver": test.accepted.as_ref().map(|(_, receiver)| receiver),
                        "claimed_at": test.claimed.as_ref().map(|(at, _)| at),
                        "claimed_by": test.claimed.as_ref().map(|(_, by)| by),
                    })),
                    "told": trial.told.map(|(_, at)| json!({"at": at.wall_ms, "did_at": trial.did.map(|did| did.wall_ms)})),
                    "seen": trial.seen.as_ref().map(|seen| json!({"at": seen.at.wall_ms, "by": seen.by})),
                })
            })
            .collect();
        json!({
            "v": 1,
            "kind": "vaka-visit",
            "gateway": plan.gateway,
            "time_zone": self.labels.time_zone.iana_name().unwrap_or("UTC"),
            "started_at": visit.started.wall_ms,
            "started_by": visit.by,
            "finished_at": self.clock.now().wall_ms,
            "finished_by": by,
            "lines": lines,
            "devices": devices,
        })
    }
}

/// A technician's word, trimmed.
fn said(what: &str, word: &str) -> Result<String, String> {
    let word = word.trim();
    match word.chars().count() {
        0 => Err(format!("{what} is empty; say it in words")),
        1..=VISIT_TEXT_CHARS_MAX if !word.chars().any(char::is_control) => Ok(word.to_owned()),
        _ => Err(format!("{what}: at most {VISIT_TEXT_CHARS_MAX} characters on one line")),
    }
}
