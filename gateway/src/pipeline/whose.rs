//! Whom a record is about: whose key seals it.
//!
//! Enters: the record, the fold before it, whose devices are whose. Leaves: one resident, or nobody alone. A record that is about several is
//! the first one's; the keeper takes decisions of several people apart before it writes them. What is about one resident because of an event
//! of another's device is sealed with that other's key.
//! Absent: names, files, keys.

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::{AlarmId, DeviceId};

use super::fold::State;
use super::view::Labels;
use crate::journal::Concerns;
use crate::journal::record::{Decision, Erased, Record, VisitStep};
use crate::rules::alarms::Alarm;

/// Whose each device is, by the config in force.
#[derive(Debug, Default, Clone)]
pub struct Whose(BTreeMap<DeviceId, String>);

impl Whose {
    pub fn of(labels: &Labels) -> Whose {
        let owned = labels.devices.iter().filter_map(|(device, label)| Some((device.clone(), label.resident.clone()?)));
        Whose(owned.collect())
    }

    /// The devices of everybody who has one.
    pub fn by_resident(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut by_resident: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (device, resident) in &self.0 {
            by_resident.entry(resident.clone()).or_default().insert(device.to_string());
        }
        by_resident
    }

    pub fn device(&self, device: &DeviceId) -> Option<&str> {
        self.0.get(device).map(String::as_str)
    }

    fn alarm<'a>(&'a self, state: &'a State, alarm: &AlarmId) -> Option<&'a str> {
        state.alarms.get(alarm).and_then(|known| self.raised(known))
    }

    /// Whom an alarm is about.
    pub fn raised<'a>(&'a self, alarm: &'a Alarm) -> Option<&'a str> {
        let basis = alarm.raise.basis.as_deref();
        basis.and_then(|basis| basis.resident.as_deref()).or_else(|| self.device(&alarm.raise.device))
    }

    /// Whom a decision is about.
    pub fn decided<'a>(&'a self, state: &'a State, decision: &'a Decision) -> Option<&'a str> {
        match decision {
            Decision::Raise(raise) => {
                let basis = raise.basis.as_deref();
                basis.and_then(|basis| basis.resident.as_deref()).or_else(|| self.device(&raise.device))
            }
            Decision::Join(join) => self.alarm(state, &join.alarm),
            Decision::Tell(tell) => self.alarm(state, &tell.alarm),
            Decision::Say(say) => self.device(&say.device),
            Decision::Note(note) => note.basis.resident.as_deref(),
            Decision::Send(send) => send.basis.resident.as_deref().or_else(|| self.device(&send.device)),
        }
    }

    pub fn concerns<'a>(&'a self, state: &'a State, record: &'a Record) -> Concerns<'a> {
        let whose = match record {
            Record::Event(event) => self.device(&event.device),
            Record::Quarantine(quarantine) => self.device(&quarantine.device),
            Record::Refusal(refusal) => self.device(&refusal.device),
            Record::Alive(alive) => self.device(&alive.device),
            Record::Silent(silent) => self.device(&silent.device),
            Record::Fault(fault) => fault.device.as_ref().and_then(|device| self.device(device)),
            Record::Decisions(decided) => decided.decisions.iter().find_map(|one| self.decided(state, one)),
            Record::Rung(rung) => self.alarm(state, &rung.alarm),
            Record::Act(act) => self.alarm(state, &act.alarm),
            Record::Nobody(nobody) => self.alarm(state, &nobody.alarm),
            Record::Release(release) => Some(release.resident.as_str()),
            Record::Signed(signed) => Some(signed.resident.as_str()),
            Record::Look(look) => Some(look.resident.as_str()),
            Record::Order(order) => {
                let of_alarm = order.alarm.as_ref().and_then(|alarm| self.alarm(state, alarm));
                of_alarm.or_else(|| order.to.as_ref().and_then(|device| self.device(device)))
            }
            Record::Visit(visit) => match &visit.step {
                VisitStep::Arm { device } | VisitStep::Measured { device, .. } | VisitStep::Seen { device } => {
                    self.device(device)
                }
                VisitStep::Start {} | VisitStep::HandOver { .. } | VisitStep::Finish { .. } => None,
            },
            Record::Firmware(firmware) => firmware.step.device().and_then(|device| self.device(device)),
            // The log of who read what is kept whole: it is about the staff, and each line rests on the one before.
            Record::Trace(_) | Record::Erased(_) | Record::Aged(_) => None,
            Record::Boot(_)
            | Record::Path(_)
            | Record::Checkpoint(_)
            | Record::Told(_)
            | Record::Carried(_)
            | Record::Update(_)
            | Record::Gone => None,
        };
        whose.map_or(Concerns::Home, Concerns::Resident)
    }
}

impl State {
    /// What is remembered of a resident goes. What keeps others and the devices safe stays: which numbers a device has used, that it is
    /// there, how its battery is.
    pub(super) fn forget(&mut self, erased: &Erased) {
        self.erased_keys.extend(&erased.keys);
        let is_theirs = |device: &DeviceId| erased.devices.contains(device) && !erased.passed_on.contains(device);
        let gone = crate::rules::gone::Gone { resident: &erased.resident, is_theirs: &is_theirs };
        // Of those that others have now, what was closed may be of either: neither is shown.
        self.alarms.forget(&|raise| {
            let basis = raise.basis.as_deref();
            let said = basis.and_then(|basis| basis.resident.as_deref());
            said.map_or_else(|| erased.devices.contains(&raise.device), |said| said == erased.resident)
        });
        self.care.forget(&gone);
        self.orders.forget(&gone);
        self.visits.forget(&gone);
        for device in erased.devices.difference(&erased.passed_on) {
            self.commands.forget(device);
            self.fleet.forget(device);
        }
    }
}
