//! What an event means for a resident. Pure: no I/O, no tokio, no wall clock, no order of a hash map.
//!
//! Enters: the alarms as they stand, the home, one input, and the moment it was recorded. Leaves: decisions, each with
//! what explains it. State changes only when the decision comes back as a record (`alarms`), so a restart is a replay.

pub mod alarms;
pub mod care;
pub mod gone;
pub mod homes;
pub mod lookup;
pub mod orders;
mod reach;
pub mod trigger;
pub mod visit;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use vaka_protocol::{AlarmId, DeviceId, Event, Lane};

use crate::journal::record::{Decision, Fault, Nobody, PathRecord, Quarantine, Silent};
use alarms::Alarms;
use lookup::Lookup;
pub use reach::Paths;
pub use words::{lasting, prevented_by};

/// What the rules know of a device beyond its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// SCAIP device type of its kind.
    pub dty: u16,
    /// Mounted on a wall: a press is "fixed trigger", not "pendant".
    pub fixed: bool,
    /// Stands in the home to be seen and heard (kind `feedback`).
    pub speaks: bool,
    /// Another gateway, for which this one is the hub.
    pub home: bool,
}

/// The home as agreed in the config.
#[derive(Debug, Clone, Default)]
pub struct Home {
    pub devices: Lookup<DeviceId, DeviceFacts>,
    /// What people in the home are told is in English, not in Swedish.
    pub english: bool,
    /// The receivers that are told of life alarms, each with the labels of its paths.
    pub life_paths: BTreeMap<String, Vec<String>>,
    /// By lane, the receivers that are hubs: they hear what people here do with an alarm.
    pub hubs: BTreeMap<Lane, Vec<String>>,
    /// Receivers that telemetry is carried to.
    pub telemetry: Vec<String>,
    /// The slots of each dispenser that have a plan: what it says of them is the rule `dose`'s.
    pub planned: BTreeMap<DeviceId, BTreeSet<String>>,
    /// What a technician's visit has to find in order.
    pub visit: visit::Plan,
    /// What people may order of the devices.
    pub orders: orders::Orderable,
}

impl Home {
    /// The event is judged by a plan, not by itself: one dose is one alarm.
    fn has_plan_for(&self, device: &DeviceId, event: &Event) -> bool {
        let plan = || self.planned.get(device);
        match event {
            Event::Dose { slot, .. } => plan().is_some_and(|slots| slots.contains(slot.as_str())),
            Event::Stock { .. } => plan().is_some(),
            _ => false,
        }
    }

    /// SCAIP 0001 "undefined" stands for a device nobody listed.
    pub fn facts(&self, device: &DeviceId) -> DeviceFacts {
        self.devices.get(device).copied().unwrap_or(DeviceFacts { dty: 1, fixed: false, speaks: false, home: false })
    }
}

/// One record, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Sequence number of the record.
    pub cursor: u64,
    /// UTC milliseconds when it was recorded.
    pub recorded_at: i64,
    pub what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    Event(Happening<'a>),
    Quarantine(&'a Quarantine),
    Path(&'a PathRecord),
    Fault(&'a Fault),
    Nobody(&'a Nobody),
    /// A home has been silent too long.
    Silent(&'a Silent),
    /// A device is there again.
    Back(&'a DeviceId),
}

/// An event record and what was read from it.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'a> {
    pub device: &'a DeviceId,
    pub enrolment: u32,
    pub restart: u32,
    pub seq: u64,
    /// By the device's clock.
    pub at: Option<i64>,
    /// How long the device had run, milliseconds.
    pub uptime_ms: Option<u64>,
    /// When the connection that it came over began, on our running clock. `None`: not known, as after a restart.
    pub since_ms: Option<i64>,
    /// So far is that clock known to be behind, in milliseconds.
    pub behind_ms: i64,
    pub events: &'a [Event],
    pub unknown: &'a [(String, String)],
    /// The same identity had come with other bytes.
    pub conflict: bool,
    /// Its device's certificate had ended.
    pub has_ended: bool,
    /// From a home: the home's device that it is of.
    pub of: Option<&'a DeviceId>,
}

impl Happening<'_> {
    /// Telemetry of a home's device: kept at the hub, and judged by the home's own rules alone.
    fn is_judged_elsewhere(&self, home: &Home) -> bool {
        let is_telemetry = |event: &Event| event.lane() == Lane::Telemetry;
        self.of.is_some() && home.facts(self.device).home && self.events.iter().all(is_telemetry)
    }
}

/// Judges one input. Every rule sees it; what they decide comes in a fixed order.
pub fn step(alarms: &Alarms, paths: &Paths, home: &Home, input: &Input<'_>) -> Vec<Decision> {
    match input.what {
        What::Event(happening) if happening.is_judged_elsewhere(home) => Vec::new(),
        What::Nobody(nobody) => reach::judge(alarms, home, nobody),
        What::Path(path) => {
            let mut decisions = trigger::judge(alarms, paths, home, input);
            decisions.extend(reach::path(paths, home, input.cursor, path));
            decisions
        }
        What::Silent(silent) => homes::silent(alarms, input, silent),
        What::Back(device) if home.facts(device).home => homes::back(alarms, input, device),
        What::Back(_) => Vec::new(),
        _ => trigger::judge(alarms, paths, home, input),
    }
}

/// The name of a path, from the label under which dispatch tells of it: "fibre sip:…", or the address alone where a receiver
/// has but one path.
pub fn path_name(label: &str) -> Option<&str> {
    label.rsplit_once(' ').map(|(name, _)| name)
}

/// The gateway's own parts stand in the list of alarms under a name, like devices.
pub fn gateway_part(name: &str) -> Option<DeviceId> {
    let id: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(vaka_protocol::limits::DEVICE_ID_BYTES_MAX)
        .collect();
    DeviceId::try_from(id.as_str()).ok()
}

/// In front of the number of what was put aside (`journal/unread-1`): the gateway's own fault that calls a person, in lane `life`.
pub const UNREAD_LIFE_FAULT: &str = "alarm-unread-";

/// The alarm's id: from the rule's name (not its version) and its cause, so that no replay can raise it twice.
pub fn alarm_id(rule: &str, cause: &[&str]) -> AlarmId {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(rule.as_bytes());
    for part in cause {
        context.update(&[0]);
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let text: String = digest.as_ref().iter().take(20).map(|byte| LETTERS[usize::from(byte & 31)] as char).collect();
    AlarmId::try_from(text.as_str()).unwrap_or_else(|_| unreachable!("twenty lower-case letters are an alarm id"))
}
