//! Rule `place`: where somebody carries their alarm: areas entered and left, and back by an agreed time.
//!
//! Enters: positions as they were true, the fences agreed, the moment. Leaves: alarms, notes of coming and going, the question
//! to a device where it is; its answer, to those who have its open alarm. Invariants: a position that may be on either side of an edge, or that is poor, raises nothing alone;
//! what is over when it becomes known is noted with its times and raises nothing; each leaving is one cause, however its
//! positions come; coming and going is noted only in the hours agreed. Absent: any way for a position to leave the home but with
//! an alarm of its own device ([`carry`]).

mod area;
mod course;
mod fix;
mod hours;
mod judged;
#[cfg(test)]
mod tests;
mod told;

use crate::rules::gone::Gone;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{Command, DeviceId, Event, Lane};

use super::agreed::Person;
use super::term::Term;
use super::{Out, Sight, View, key};
use crate::journal::record::Decision;
use crate::limits::TRAILS_MAX;
pub use area::{Area, AreaError, Side};
pub use fix::{Fix, Trail};
pub use hours::{BackBy, Hours};
pub use told::carry;

pub const NAME: &str = "place";
pub const VERSION: u16 = 1;

/// What is agreed of one area.
#[derive(Debug, Clone, PartialEq)]
pub struct Fence {
    /// As it is told, e.g. `Parken`.
    pub name: String,
    pub area: Area,
    /// To be outside, or inside, is an alarm.
    pub leave: bool,
    pub enter: bool,
    /// Of these alarms; not to be back in time is always care.
    pub lane: Lane,
    /// Metres beyond the edge from which on somebody is outside.
    pub hysteresis_m: f64,
    /// How long somebody is on the other side before it counts.
    pub dwell_ms: i64,
    /// None: always.
    pub hours: Option<Hours>,
    pub back_by: Option<BackBy>,
    /// Whose positions are looked at.
    pub watched: Vec<Watched>,
    /// Settings as they stand in the config, for the evidence.
    pub agreed: Vec<(String, String)>,
    pub term: Term,
}

/// One device within a fence's care, with what its causes are called and settled by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub device: DeviceId,
    left: Cause,
    came: Cause,
    late: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    cause: String,
    key: String,
}

impl Watched {
    pub fn new(resident: &str, fence: &str, device: &DeviceId) -> Watched {
        let cause = |kind: &str| {
            let cause = format!("{kind} {fence} {device}");
            Cause { key: key(NAME, Some(resident), &cause), cause }
        };
        Watched { device: device.clone(), left: cause("left"), came: cause("entered"), late: cause("late") }
    }
}

/// What is remembered: the newest positions of each device.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Places(BTreeMap<DeviceId, Trail>);

impl Places {
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.0.retain(|device, _| !(gone.is_theirs)(device));
    }

    /// Positions up to `until_ms` (UTC) are forgotten, but for the newest hour of each device.
    pub fn age(&mut self, until_ms: i64) {
        self.0.values_mut().for_each(|trail| trail.age(until_ms));
    }

    pub fn get(&self, device: &DeviceId) -> Option<&Trail> {
        self.0.get(device)
    }

    pub fn see(&mut self, sight: &Sight<'_>) {
        if matches!(sight.event, Event::Position { .. }) {
            self.trail(sight.device).see(sight);
        }
    }

    /// A device is asked where it is.
    pub fn apply(&mut self, decision: &Decision) {
        if let Decision::Send(send) = decision
            && matches!(send.command, Command::Locate {})
        {
            self.trail(&send.device).ask();
        }
    }

    fn trail(&mut self, device: &DeviceId) -> &mut Trail {
        if !self.0.contains_key(device) && self.0.len() >= TRAILS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, trail)| trail.newest().map(|fix| fix.at.record));
            if let Some(oldest) = oldest.map(|(device, _)| device.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.entry(device.clone()).or_default()
    }
}

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    let mut doubtful = Vec::new();
    for fence in &person.fences {
        for watched in &fence.watched {
            let one = judged::One { view, resident: &person.id, fence, watched };
            if (fence.leave || fence.enter) && one.sides(out) {
                doubtful.push(&watched.device);
            }
            if let Some(back_by) = &fence.back_by {
                one.back(back_by, out);
            }
        }
    }
    judged::locate(view, person, &doubtful, out);
}
