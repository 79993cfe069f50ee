//! When to look at whom: the next moment at which something can become due, for each person, each device and the home itself.
//!
//! Enters: that an event of a device was folded in; the moment. Leaves: decisions. In memory alone: made anew at every start
//! and with every agreement, when everybody is looked at at once. Invariant: nobody is looked at later than something of theirs
//! becomes due; being looked at too early costs time and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vaka_protocol::{DeviceId, Event};

use super::agreed::Agreed;
use super::moment::Moment;
use super::{Care, Out, View, hurries, judge_device, judge_home, judge_person};
use crate::journal::record::Decision;
use crate::limits::{CATCH_UP_MS_MAX, JUDGE_ROUNDS_MAX};
use crate::rules::Home;
use crate::rules::alarms::Alarms;

/// Difference between the two clocks, in milliseconds, beyond which the wall clock has been set: what is planned by it is looked up anew.
const SET_MS: i64 = 1_000;

/// Whom to look at when.
#[derive(Debug)]
pub struct Watch {
    agreed: Arc<Agreed>,
    /// What is looked at by itself: the home, then each person, then each device.
    units: Vec<Unit>,
    /// Each unit that is to be looked at, by monotonic milliseconds.
    queue: BTreeSet<(i64, usize)>,
    /// The devices, in the order of their units.
    ids: Vec<DeviceId>,
    /// Each device's unit, and the units of what stands behind it.
    devices: BTreeMap<DeviceId, (usize, Vec<usize>)>,
    /// Wall clock less running clock when it was looked at last.
    offset_ms: Option<i64>,
    /// How often something was due at this moment of the running clock.
    rounds: (u64, usize),
}

#[derive(Debug, Default, Clone, Copy)]
struct Unit {
    /// Monotonic milliseconds. `None`: only an event can change anything.
    look_at: Option<i64>,
    /// Every sign of activity may decide something.
    eager: bool,
    /// Since when judging waits for devices that send what had waited, monotonic milliseconds.
    waits_since: Option<i64>,
}

/// The unit that is the home itself, with what is not listed.
const HOME: usize = 0;

impl Default for Watch {
    fn default() -> Self {
        Watch::new(Arc::new(Agreed::default()))
    }
}

impl Watch {
    pub fn new(agreed: Arc<Agreed>) -> Self {
        let first = 1 + agreed.people.len();
        let unit_of: BTreeMap<&DeviceId, usize> =
            agreed.devices.keys().enumerate().map(|(index, id)| (id, first + index)).collect();
        let mut devices: BTreeMap<DeviceId, (usize, Vec<usize>)> =
            unit_of.iter().map(|(id, unit)| ((*id).clone(), (*unit, Vec::new()))).collect();
        for (id, device) in &agreed.devices {
            if let Some((_, behind)) = device.silence.via.as_ref().and_then(|bridge| devices.get_mut(bridge)) {
                behind.push(unit_of[id]);
                behind.extend(device.person.map(|person| person + 1));
            }
        }
        let units = vec![Unit::default(); first + agreed.devices.len()];
        let ids = agreed.devices.keys().cloned().collect();
        let mut watch = Watch { agreed, units, queue: BTreeSet::new(), ids, devices, offset_ms: None, rounds: (0, 0) };
        watch.look_at_all();
        watch
    }

    pub fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    /// An event of this device was folded in: it and whose it is are looked at with the next [`Watch::due`], if that may decide anything.
    pub fn heard(&mut self, device: &DeviceId, event: &Event) {
        if let Some(person) = self.agreed.person_of(device).map(|person| person + 1)
            && (hurries(event) || self.units[person].eager)
        {
            self.hurry(person);
        }
        let unit = self.devices.get(device).map_or(HOME, |(unit, _)| *unit);
        if matches!(event, Event::Mains { .. } | Event::Battery { .. }) || self.units[unit].eager {
            self.hurry(unit);
        }
    }

    /// A device came or went, or an alarm of it was closed: it, whose it is, and what stands behind it are looked at.
    pub fn stirred(&mut self, device: &DeviceId) {
        let (unit, behind) = self.devices.get(device).cloned().unwrap_or((HOME, Vec::new()));
        let person = self.agreed.person_of(device).map(|person| person + 1);
        [unit].into_iter().chain(behind).chain(person).for_each(|unit| self.hurry(unit));
    }

    /// Something has changed that belongs to no device: everybody is looked at.
    pub fn look_at_all(&mut self) {
        (0..self.units.len()).for_each(|unit| self.hurry(unit));
    }

    fn hurry(&mut self, unit: usize) {
        self.look(unit, Some(i64::MIN));
    }

    fn look(&mut self, unit: usize, at: Option<i64>) {
        let before = std::mem::replace(&mut self.units[unit].look_at, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, unit));
        }
        self.queue.extend(at.map(|at| (at, unit)));
    }

    /// What is due now of one of them. Empty: nothing more is. The caller folds the decisions in and asks again.
    pub fn due(&mut self, care: &Care, alarms: &Alarms, home: &Home, now: Moment) -> Vec<Decision> {
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let offset_ms = now.wall_ms - mono_ms;
        if self.offset_ms.is_none_or(|known| (known - offset_ms).abs() > SET_MS) {
            self.offset_ms = Some(offset_ms);
            self.look_at_all();
        }
        if self.queue.first().is_none_or(|(at, _)| *at > mono_ms) {
            return Vec::new();
        }
        self.rounds = (now.mono_ms, if self.rounds.0 == now.mono_ms { self.rounds.1 + 1 } else { 0 });
        let agreed = self.agreed.clone();
        let view = View { care, alarms, home, agreed: &agreed, now };
        while let Some(&(at, unit)) = self.queue.first()
            && at <= mono_ms
        {
            if self.rounds.1 > JUDGE_ROUNDS_MAX * self.units.len() {
                // A rule that decides again and again would hold up every press.
                self.look(unit, Some(mono_ms.saturating_add(1_000)));
                continue;
            }
            let mut out = self.judge(view, unit, true);
            let Unit { waits_since, eager, .. } = &mut self.units[unit];
            match out.waits {
                // One device after the other may catch up, or have a slow clock: together they get no more time than one.
                true if mono_ms - *waits_since.get_or_insert(mono_ms) >= CATCH_UP_MS_MAX => {
                    out = self.judge(view, unit, false);
                    self.units[unit].eager = out.eager;
                }
                true => {}
                false => (*waits_since, *eager) = (None, out.eager),
            }
            if !out.decisions.is_empty() {
                return out.decisions;
            }
            self.look(unit, out.next_ms().map(|ms| mono_ms.saturating_add(ms)));
        }
        Vec::new()
    }

    /// `is_patient`: a person whose devices send what had waited is not judged yet.
    fn judge(&self, view: View<'_>, unit: usize, is_patient: bool) -> Out {
        let people = &view.agreed.people;
        match unit.checked_sub(1) {
            None => judge_home(view),
            Some(person) if person < people.len() => judge_person(view, &people[person], is_patient),
            Some(device) => {
                let listed = self.ids.get(device - people.len()).and_then(|id| view.agreed.devices.get_key_value(id));
                listed.map(|(id, device)| judge_device(view, id, device)).unwrap_or_default()
            }
        }
    }

    /// Milliseconds until [`Watch::due`] may have something. `None`: only an event can change anything.
    pub fn wait_ms(&self, mono_ms: u64) -> Option<u64> {
        let now_ms = i64::try_from(mono_ms).unwrap_or(i64::MAX);
        self.queue.first().map(|(next, _)| u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0))
    }
}
