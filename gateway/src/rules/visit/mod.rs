//! Rule `visit`: a technician tries every device through to a receiver, and cannot go before that is done or named.
//!
//! Enters: a technician's steps, events, what became of alarms. Leaves: for the one press that was agreed an alarm of the lane
//! `test` ([`press`]), for what is handed over a technical alarm, and what is still missing ([`lines`]).
//! State is a fold of the journal: a restart in the middle of a visit forgets nothing of what was found. It does end an armed
//! test: whoever presses after a power cut is real. Invariants: a device has at most one armed test, of one trigger of its own
//! kind, for five minutes of the running clock; everything else stays what it is. Absent: any way to finish with a red line.

pub mod kinds;
pub mod lines;
pub mod press;
#[cfg(test)]
mod tests;

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, DeviceId, Event, Lane, Rung};

use super::Happening;
use super::alarms::Alarms;
use super::care::moment::{At, Moment};
use crate::journal::record::{self, ActWhat, Fault, Raise, RungRecord, SendCommand, VisitStep};
use crate::limits::{FACTS_DEVICES_MAX, VISIT_ARMED_MS, VISIT_OPEN_MS};
use kinds::Want;

pub const NAME: &str = "visit";
pub const VERSION: u16 = 1;
/// Cause of an agreed test's alarm. Never an event's name: the next press must not join the test.
pub const TEST_CAUSE: &str = "visit-test";
/// The fault that tells of a visit that was left open.
pub const OPEN_FAULT: &str = "visit-open";

/// What a visit has to find, as the config says.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The gateway's id.
    pub gateway: String,
    pub devices: BTreeMap<DeviceId, Want>,
    /// Receivers that tests are told to.
    pub test_receivers: Vec<String>,
}

/// The visit that is under way, the newest that was finished, and which devices have ever rung through.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Visits {
    #[serde(default)]
    pub open: Option<Box<Visit>>,
    #[serde(default)]
    pub last: Option<Box<Finished>>,
    /// The newest alarm of each device that a receiver accepted.
    #[serde(default)]
    pub proven: BTreeMap<DeviceId, Proven>,
    /// The newest enrolment heard of each device: one that was replaced has to ring through again.
    #[serde(default)]
    enrolments: BTreeMap<DeviceId, u32>,
}

/// A device has rung through to a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// UTC milliseconds.
    pub at: i64,
    pub receiver: String,
    pub lane: Lane,
    /// The enrolment it spoke under.
    pub enrolment: u32,
}

/// A visit that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub at: At,
    /// JSON.
    pub protocol: String,
}

/// A visit under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Who began it.
    pub by: String,
    pub started: At,
    #[serde(default)]
    pub armed: Option<Armed>,
    #[serde(default)]
    pub devices: BTreeMap<DeviceId, Trial>,
    #[serde(default)]
    pub mains: BTreeMap<DeviceId, MainsTest>,
    #[serde(default)]
    pub handed: BTreeMap<String, Handed>,
    /// It was told that it is still open.
    #[serde(default)]
    pub told: bool,
}

/// One device whose next trigger is a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    pub device: DeviceId,
    pub at: At,
}

/// What was found of one device.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The newest event of it in this visit.
    #[serde(default)]
    pub heard: Option<At>,
    /// When it started, as its uptime shows.
    #[serde(default)]
    started: Option<Started>,
    #[serde(default)]
    pub signal: Option<Signal>,
    /// It has no radio.
    #[serde(default)]
    pub wired: bool,
    /// By hand: percent.
    #[serde(default)]
    pub battery: Option<(u8, At)>,
    #[serde(default)]
    pub no_battery: bool,
    /// The newest test of it.
    #[serde(default)]
    pub test: Option<Test>,
    /// It was told to light and sound: the command's id, when, and when it said that it had.
    #[serde(default)]
    pub told: Option<(u64, At)>,
    #[serde(default)]
    pub did: Option<At>,
    #[serde(default)]
    pub seen: Option<Seen>,
}

impl Trial {
    /// There was something to see or hear at the device: it was told to, or its test came through.
    pub fn has_answered(&self, want: &Want) -> bool {
        match want.speaks {
            true => self.told.is_some(),
            false => self.test.as_ref().is_some_and(|test| test.accepted.is_some() || test.claimed.is_some()),
        }
    }
}

/// When a device started, by what came soonest of that boot of its in this visit: later than that it was not. Only within a visit: over
/// weeks its crystal and ours are a minute apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    restart: u32,
    /// A boot of ours, and that boot's running clock.
    boot: u32,
    mono_ms: i64,
}

/// The worst of the probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub worst_dbm: i16,
    /// How many the device sent.
    pub probes: u32,
    pub by_hand: bool,
    /// The newest.
    pub at: At,
}

/// One agreed press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    pub alarm: AlarmId,
    /// The event's name.
    pub what: String,
    pub at: At,
    /// UTC milliseconds, and the receiver.
    #[serde(default)]
    pub accepted: Option<(i64, String)>,
    /// UTC milliseconds, and who.
    #[serde(default)]
    pub claimed: Option<(i64, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub at: At,
    pub by: String,
}

/// Mains of one device, in this visit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainsTest {
    #[serde(default)]
    pub off: Option<At>,
    /// It came back after that.
    #[serde(default)]
    pub back: Option<At>,
}

/// A line that is somebody's to put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    pub reason: String,
    pub to: String,
    pub by: String,
    pub at: At,
    pub alarm: AlarmId,
}

impl Armed {
    /// How much of it is left at `now`, in milliseconds; `None`: it has lapsed.
    pub fn left_ms(&self, now: Moment) -> Option<i64> {
        let left_ms = VISIT_ARMED_MS - now.age_ms(&self.at);
        (now.boot == self.at.boot && left_ms > 0).then_some(left_ms)
    }
}

impl Visit {
    fn trial(&mut self, device: &DeviceId) -> &mut Trial {
        self.devices.entry(device.clone()).or_default()
    }
}

impl Visits {
    /// That their devices rang through is forgotten; a protocol is the municipality's, and names devices.
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.proven.retain(|device, _| !(gone.is_theirs)(device));
    }

    /// Folds a technician's step in.
    pub fn apply(&mut self, record: &record::Visit, at: At) {
        let by = &record.by;
        if let VisitStep::Start {} = &record.step {
            self.open.get_or_insert_with(|| {
                Box::new(Visit {
                    by: by.clone(),
                    started: at,
                    armed: None,
                    devices: BTreeMap::new(),
                    mains: BTreeMap::new(),
                    handed: BTreeMap::new(),
                    told: false,
                })
            });
            return;
        }
        let Some(visit) = self.open.as_deref_mut() else { return };
        match &record.step {
            VisitStep::Start {} => {}
            VisitStep::Arm { device } => visit.armed = Some(Armed { device: device.clone(), at }),
            VisitStep::Measured { device, signal_dbm, wired, battery_percent, no_battery } => {
                let trial = visit.trial(device);
                if let Some(dbm) = signal_dbm {
                    // By hand is at its place now: what was measured before it was moved counts no longer.
                    trial.signal = None;
                    trial.measured(*dbm, true, at);
                }
                if let Some(percent) = battery_percent {
                    trial.battery = Some((*percent, at));
                }
                trial.wired = *wired || (trial.wired && signal_dbm.is_none());
                trial.no_battery = *no_battery || (trial.no_battery && battery_percent.is_none());
            }
            VisitStep::Seen { device } => visit.trial(device).seen = Some(Seen { at, by: by.clone() }),
            VisitStep::HandOver { line, reason, to, alarm } => {
                let (reason, to, by, alarm) = (reason.clone(), to.clone(), by.clone(), alarm.clone());
                visit.handed.insert(line.clone(), Handed { reason, to, by, at, alarm });
            }
            VisitStep::Finish { protocol } => {
                self.last = Some(Box::new(Finished { at, protocol: protocol.clone() }));
                self.open = None;
            }
        }
    }

    /// Folds an event of a device of this home in.
    pub fn see(&mut self, happening: &Happening<'_>, event: &Event, recorded: At) {
        let (device, enrolment) = (happening.device, happening.enrolment);
        if self.enrolments.len() < FACTS_DEVICES_MAX || self.enrolments.contains_key(device) {
            let known = self.enrolments.entry(device.clone()).or_default();
            // What was tried of the device before it says nothing of the one in its place.
            if *known != 0
                && enrolment > *known
                && let Some(visit) = self.open.as_deref_mut()
            {
                visit.devices.remove(device);
            }
            *known = enrolment.max(*known);
        }
        let Some(visit) = self.open.as_deref_mut() else { return };
        if visit.devices.len() >= FACTS_DEVICES_MAX && !visit.devices.contains_key(device) {
            return;
        }
        let trial = visit.trial(device);
        trial.heard = Some(recorded);
        trial.started = Started::soonest(trial.started, happening, recorded);
        match event {
            Event::Signal { rssi_dbm } => trial.measured(*rssi_dbm, false, recorded),
            Event::Done { id, outcome: vaka_protocol::Outcome::Done }
                if trial.told.is_some_and(|(told, _)| told == *id) =>
            {
                trial.did = Some(recorded);
            }
            Event::Mains { on: false } => {
                visit.mains.insert(device.clone(), MainsTest { off: Some(recorded), back: None });
            }
            Event::Mains { on: true } => {
                if let Some(test) = visit.mains.get_mut(device).filter(|test| test.back.is_none()) {
                    test.back = Some(recorded);
                }
            }
            _ => {}
        }
    }

    /// The agreed press came, and its alarm was raised: what comes next is real.
    pub fn raised(&mut self, raise: &Raise, at: At) {
        let Some(visit) = self.open.as_deref_mut().filter(|_| raise.rule == NAME && raise.lane == Lane::Test) else {
            return;
        };
        visit.armed = visit.armed.take().filter(|armed| armed.device != raise.device);
        let what = raise.basis.as_deref().and_then(|basis| basis.seen.first()).map(|seen| seen.what.clone());
        let test =
            Test { alarm: raise.alarm.clone(), what: what.unwrap_or_default(), at, accepted: None, claimed: None };
        let trial = visit.trial(&raise.device);
        (trial.test, trial.seen) = (Some(test), None);
    }

    /// A device that only tells was told to.
    pub fn sent(&mut self, send: &SendCommand, id: u64, at: At) {
        if send.rule != NAME {
            return;
        }
        if let Some(visit) = self.open.as_deref_mut() {
            let trial = visit.trial(&send.device);
            (trial.told, trial.did, trial.seen) = (Some((id, at)), None, None);
        }
    }

    /// A receiver has accepted an alarm: whose it is has rung through.
    pub fn climbed(&mut self, rung: &RungRecord, alarms: &Alarms, at: At) {
        if rung.rung < Rung::Accepted {
            return;
        }
        let Some(alarm) = alarms.get(&rung.alarm) else { return };
        let raise = &alarm.raise;
        if raise.home.is_none() && matches!(raise.lane, Lane::Life | Lane::Care | Lane::Test) {
            let is_known = self.proven.contains_key(&raise.device);
            if is_known || self.proven.len() < FACTS_DEVICES_MAX {
                let enrolment = self.enrolments.get(&raise.device).copied().unwrap_or_default();
                let proven = Proven { at: at.wall_ms, receiver: rung.receiver.clone(), lane: raise.lane, enrolment };
                self.proven.insert(raise.device.clone(), proven);
            }
        }
        if let Some(test) = self.test_of(&raise.device, &rung.alarm) {
            let reached = (at.wall_ms, rung.receiver.clone());
            test.accepted.get_or_insert_with(|| reached.clone());
            if rung.rung == Rung::Claimed {
                test.claimed.get_or_insert(reached);
            }
        }
    }

    /// A person has taken an alarm.
    pub fn acted(&mut self, act: &record::Act, alarms: &Alarms, at: At) {
        let Some(device) = alarms.get(&act.alarm).map(|alarm| alarm.raise.device.clone()) else { return };
        if act.act == ActWhat::Claim
            && let Some(test) = self.test_of(&device, &act.alarm)
        {
            test.claimed.get_or_insert((at.wall_ms, act.by.clone()));
        }
    }

    /// The process has started: a press after a power cut is nobody's test.
    pub fn started(&mut self) {
        if let Some(visit) = self.open.as_deref_mut() {
            visit.armed = None;
        }
    }

    pub fn told(&mut self, fault: &Fault) {
        if let Some(visit) = self.open.as_deref_mut().filter(|_| fault.active && fault.fault == OPEN_FAULT) {
            visit.told = true;
        }
    }

    /// The device, as it is enrolled now, has rung through to a receiver.
    pub fn proof(&self, device: &DeviceId) -> Option<&Proven> {
        let now = self.enrolments.get(device).copied().unwrap_or_default();
        self.proven.get(device).filter(|proven| proven.enrolment >= now)
    }

    /// A visit is left open, and that has not been told yet.
    pub fn is_left_open(&self, now: Moment) -> bool {
        self.open.as_deref().is_some_and(|visit| !visit.told && now.age_ms(&visit.started) >= VISIT_OPEN_MS)
    }

    fn test_of(&mut self, device: &DeviceId, alarm: &AlarmId) -> Option<&mut Test> {
        let visit = self.open.as_deref_mut()?;
        visit.devices.get_mut(device)?.test.as_mut().filter(|test| test.alarm == *alarm)
    }
}

impl Started {
    fn soonest(known: Option<Started>, happening: &Happening<'_>, recorded: At) -> Option<Started> {
        let Some(uptime_ms) = happening.uptime_ms else { return known };
        let mono_ms = recorded.mono_ms.saturating_sub_unsigned(uptime_ms);
        let now = Started { restart: happening.restart, boot: recorded.boot, mono_ms };
        let same = known.filter(|known| (known.restart, known.boot) == (now.restart, now.boot));
        Some(same.filter(|known| known.mono_ms <= now.mono_ms).unwrap_or(now))
    }
}

impl Trial {
    /// When an event of it was made at the latest, on our running clock, by its uptime.
    fn made_ms(&self, happening: &Happening<'_>, recorded: At) -> Option<i64> {
        let started = self.started.filter(|at| (at.restart, at.boot) == (happening.restart, recorded.boot))?;
        Some(started.mono_ms.saturating_add_unsigned(happening.uptime_ms?))
    }

    fn measured(&mut self, dbm: i16, by_hand: bool, at: At) {
        let known = self.signal;
        self.signal = Some(Signal {
            worst_dbm: known.map_or(dbm, |known| known.worst_dbm.min(dbm)),
            probes: known.map_or(0, |known| known.probes).saturating_add(u32::from(!by_hand)),
            by_hand: by_hand || known.is_some_and(|known| known.by_hand),
            at,
        });
    }
}
