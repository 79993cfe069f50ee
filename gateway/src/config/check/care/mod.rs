//! What was agreed with the people who live here: [night], [presence], [[fence]], [[dose]], [[reminder]], [[threshold]],
//! [silence], [power], and the tables of each [[resident]] that take their place.
//!
//! One file for each rule: the shape of its table, and what it means.

pub(in crate::config) mod consent;
pub(in crate::config) mod dose;
pub(in crate::config) mod look;
pub(in crate::config) mod night;
pub(in crate::config) mod place;
pub(in crate::config) mod power;
pub(in crate::config) mod presence;
pub(in crate::config) mod reminder;
pub(in crate::config) mod silence;
pub(in crate::config) mod vital;

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::*;
use super::{Check, Text};
use crate::rules::care::agreed::{self, Agreed, Person};
use crate::rules::lookup::Lookup;

/// Whose the devices and agreements are where the file names no [[resident]].
const ONLY_RESIDENT: &str = "resident";

/// The people, and what each may be asked about: for the checks of the tables that name a resident.
pub(in crate::config) struct People {
    pub people: Vec<Person>,
    pub devices: BTreeMap<DeviceId, DeviceKind>,
    /// Those that have no connection of their own.
    behind_bridge: BTreeSet<DeviceId>,
    pub zone: jiff::tz::TimeZone,
}

impl People {
    /// The person that a table is about: the one it names, or the only one there is.
    pub fn find<T>(&mut self, c: &mut Check<'_>, named: Option<&Text>, whole: &Spanned<T>) -> Option<&mut Person> {
        let index = match named {
            Some(name) => {
                let found = self.people.iter().position(|person| person.id == *name.get_ref());
                if found.is_none() {
                    let known: Vec<&str> = self.people.iter().map(|person| person.id.as_str()).collect();
                    let hint = nearest(name.get_ref(), known.iter().copied())
                        .map_or_else(|| "add a [[resident]]".to_owned(), |near| format!("did you mean `{near}`?"));
                    let said = super::super::explain::shown(name.get_ref());
                    c.wrong(name, format!("there is no [[resident]] `{said}`; {hint}"));
                }
                found?
            }
            None if self.people.len() == 1 => 0,
            None => {
                c.wrong(whole, "several people live here: say whose this is with `resident = \"…\"`".to_owned());
                return None;
            }
        };
        self.people.get_mut(index)
    }

    /// A bridge speaks for it: no command of ours reaches it.
    pub fn is_behind_bridge(&self, device: &DeviceId) -> bool {
        self.behind_bridge.contains(device)
    }

    /// The device that a table names, of one of these kinds.
    pub fn device(&self, c: &mut Check<'_>, key: &str, named: &Text, kinds: &[DeviceKind]) -> Option<DeviceId> {
        let id = DeviceId::try_from(named.get_ref().as_str()).ok();
        let known = id.and_then(|id| self.devices.get_key_value(&id));
        let said = super::super::explain::shown(named.get_ref());
        match known {
            None => {
                let hint = nearest(named.get_ref(), self.devices.keys().map(AsRef::as_ref))
                    .map_or_else(|| "add its [[device]]".to_owned(), |near| format!("did you mean `{near}`?"));
                c.wrong(named, format!("`{key}` names the unknown device `{said}`; {hint}"));
                None
            }
            Some((_, kind)) if !kinds.contains(kind) => {
                let fits = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
                c.wrong(named, format!("`{key}` names `{said}`, which is a {kind}; it must be one of: {fits}"));
                None
            }
            Some((id, _)) => Some(id.clone()),
        }
    }
}

pub(super) fn agreed(
    c: &mut Check<'_>,
    file: &file::File,
    gateway: &Gateway,
    devices: &BTreeMap<DeviceId, Device>,
    residents: &BTreeMap<String, Resident>,
    cameras: &BTreeMap<DeviceId, Camera>,
) -> Agreed {
    let mut taken = BTreeSet::new();
    let person = |id: &str| Person { id: id.to_owned(), ..Person::default() };
    let mut people: Vec<Person> = residents.keys().map(|id| person(id)).collect();
    // A hub's people live in its homes.
    if people.is_empty() && gateway.role != Role::Hub {
        people.push(person(ONLY_RESIDENT));
    }
    if residents.is_empty() {
        // Named with the devices alone: those are the people.
        let named: BTreeSet<&str> = devices.values().filter_map(|device| whose(device, residents)).collect();
        if !named.is_empty() && gateway.role != Role::Hub {
            people = named.into_iter().map(person).collect();
        }
    }
    let silence = silence::plan(c, file.silence.as_ref(), devices);
    let power = power::plan(c, file.power.as_ref());
    let mut known = Lookup::default();
    // A home's gateway is watched by its own rule.
    for device in devices.values().filter(|device| device.kind != DeviceKind::Gateway) {
        let named = whose(device, residents).and_then(|id| people.iter().position(|person| person.id == id));
        // What nobody is named for is the only person's; where several live it is everybody's and nobody's.
        let owner = named.or((people.len() == 1 && device.resident.is_none()).then_some(0));
        if let Some(person) = owner.and_then(|index| people.get_mut(index)) {
            person.devices.push(device.id.clone());
        }
        let kind = device.kind.as_str();
        let (silence, power) = (silence.of(device), power.policy());
        known.insert(device.id.clone(), agreed::Device { person: owner, exit: device.exit, kind, silence, power });
    }
    for person in &mut people {
        let own = file.resident.iter().find(|resident| *resident.id.get_ref() == person.id);
        let whose = night::Whose { resident: &person.id, devices: &person.devices, known: devices };
        let zone = &gateway.time_zone;
        person.night = night::night(c, zone, file.night.as_ref(), own.and_then(|own| own.night.as_ref()), &whose);
        let presence = own.and_then(|own| own.presence.as_ref());
        person.presence = presence::presence(c, zone, file.presence.as_ref(), presence);
        person.look = look::look(c, zone, own.and_then(|own| own.look.as_ref()), cameras, person, &mut taken);
    }
    let kinds = devices.values().map(|device| (device.id.clone(), device.kind)).collect();
    let behind_bridge =
        devices.values().filter(|device| device.via.is_some()).map(|device| device.id.clone()).collect();
    let zone = gateway.time_zone.clone();
    let mut people = People { people, devices: kinds, behind_bridge, zone };
    for table in &file.fence {
        place::fence(c, &mut people, table);
    }
    for table in &file.dose {
        dose::dose(c, &mut people, table);
    }
    for table in &file.reminder {
        reminder::reminder(c, &mut people, table);
    }
    for table in &file.threshold {
        vital::threshold(c, &mut people, table);
    }
    for table in file.camera.iter().map(Spanned::get_ref) {
        let id = table.id.get_ref();
        let is_known = cameras.keys().any(|known| known.as_str() == id);
        if is_known && !taken.iter().any(|known| known.as_str() == id) {
            let text = "nobody has agreed to this camera ([resident.look] camera): it is never opened";
            c.warn(&table.id, text.to_owned());
        }
    }
    Agreed { zone: gateway.time_zone.clone(), people: people.people, devices: known }
}

/// Whom the file names for a device; a name that no [[resident]] has counts only where there are none.
fn whose<'d>(device: &'d Device, residents: &BTreeMap<String, Resident>) -> Option<&'d str> {
    let named = device.resident.as_deref()?;
    (residents.is_empty() || residents.contains_key(named)).then_some(named)
}
