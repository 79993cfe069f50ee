//! What has been agreed with the people who live here, as the rules need it. Made from the config; never part of the fold.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use vaka_protocol::DeviceId;

use super::{dose, night, place, power, presence, reminder, silence, vital};

/// Everything agreed in this home.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// Where the people live.
    pub zone: TimeZone,
    pub people: Vec<Person>,
    pub devices: BTreeMap<DeviceId, Device>,
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
        Agreed { zone: TimeZone::UTC, people: Vec::new(), devices: BTreeMap::new() }
    }
}

impl Agreed {
    /// Whose device it is.
    pub fn person_of(&self, device: &DeviceId) -> Option<usize> {
        self.devices.get(device)?.person
    }

    /// The device leads out of the home when it is open.
    pub fn is_exit(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_some_and(|known| known.exit)
    }
}
