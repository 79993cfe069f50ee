//! What has been agreed with the people who live here, as the rules need it. Made from the config; never part of the fold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;
use vaka_protocol::DeviceId;

use super::term::Term;
use super::{dose, look, night, place, power, presence, reminder, silence, vital};
use crate::rules::lookup::Lookup;

/// Everything agreed in this home.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// Where the people live.
    pub zone: TimeZone,
    pub people: Vec<Person>,
    pub devices: Lookup<DeviceId, Device>,
}

/// One person's agreement. What is absent is not agreed, and not done.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// An id, never a name.
    pub id: String,
    /// Every device of this person's.
    pub devices: Vec<DeviceId>,
    pub night: Option<night::Night>,
    pub presence: Option<presence::Presence>,
    pub fences: Vec<place::Fence>,
    pub doses: Vec<dose::Plan>,
    pub reminders: Vec<reminder::Reminder>,
    pub vitals: Vec<vital::Threshold>,
    /// Look-ins by camera. In force between its dates also where the consent was withdrawn: the rule then asks for what is agreed instead.
    pub look: Option<look::Look>,
}

/// What is agreed of one device.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// Whose it is: an index into [`Agreed::people`].
    pub person: Option<usize>,
    /// A door that leads out of the home.
    pub exit: bool,
    /// The word for its kind in the config, e.g. `bed-sensor`.
    pub kind: &'static str,
    pub silence: silence::Supervision,
    pub power: power::Policy,
}

impl Default for Agreed {
    fn default() -> Self {
        Agreed { zone: TimeZone::UTC, people: Vec::new(), devices: Lookup::default() }
    }
}

impl Person {
    /// The term of each agreement with this person.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let night = self.night.iter().map(|night| &night.term);
        let presence = self.presence.iter().map(|presence| &presence.term);
        let fences = self.fences.iter().map(|fence| &fence.term);
        let doses = self.doses.iter().map(|plan| &plan.term);
        let reminders = self.reminders.iter().map(|reminder| &reminder.term);
        let vitals = self.vitals.iter().map(|threshold| &threshold.term);
        let look = self.look.iter().map(|look| &look.term);
        night.chain(presence).chain(fences).chain(doses).chain(reminders).chain(vitals).chain(look)
    }

    /// What is in force with this person at `at_ms`, UTC milliseconds.
    fn at(&self, at_ms: i64) -> Person {
        Person {
            id: self.id.clone(),
            devices: self.devices.clone(),
            night: self.night.clone().filter(|night| night.term.holds(at_ms)),
            presence: self.presence.clone().filter(|presence| presence.term.holds(at_ms)),
            fences: self.fences.iter().filter(|fence| fence.term.holds(at_ms)).cloned().collect(),
            doses: self.doses.iter().filter(|plan| plan.term.holds(at_ms)).cloned().collect(),
            reminders: self.reminders.iter().filter(|reminder| reminder.term.holds(at_ms)).cloned().collect(),
            vitals: self.vitals.iter().filter(|threshold| threshold.term.holds(at_ms)).cloned().collect(),
            look: self.look.clone(),
        }
    }
}

impl Agreed {
    /// What is in force at `at_ms`, and the moments (UTC milliseconds) between which that is so.
    pub fn at(&self, at_ms: i64) -> (Agreed, Range<i64>) {
        let mut held = i64::MIN..i64::MAX;
        for turn in self.people.iter().flat_map(Person::terms).flat_map(Term::turns) {
            if turn <= at_ms {
                held.start = held.start.max(turn);
            } else {
                held.end = held.end.min(turn);
            }
        }
        let people = self.people.iter().map(|person| person.at(at_ms)).collect();
        (Agreed { zone: self.zone.clone(), people, devices: self.devices.clone() }, held)
    }

    /// By dispenser the slots that have a plan.
    pub fn planned(&self) -> BTreeMap<DeviceId, BTreeSet<String>> {
        let mut planned: BTreeMap<DeviceId, BTreeSet<String>> = BTreeMap::new();
        for plan in self.people.iter().flat_map(|person| &person.doses) {
            planned.entry(plan.device.clone()).or_default().insert(plan.slot.clone());
        }
        planned
    }

    /// Whose device it is.
    pub fn person_of(&self, device: &DeviceId) -> Option<usize> {
        self.devices.get(device)?.person
    }

    /// The device leads out of the home when it is open.
    pub fn is_exit(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_some_and(|known| known.exit)
    }
}
