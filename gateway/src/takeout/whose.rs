//! What of the journal is about one resident.
//!
//! Enters: lines in the journal's order. Leaves: the line, or what of it is about them, or nothing. Invariant: a line that names another
//! resident, or is of a device or alarm that is not theirs, is never handed on. What is about the gateway alone is nobody's.

use std::collections::BTreeSet;

use serde_json::Value;
use vaka_seal::Ring;

use crate::config::Config;

/// One resident, and what has been found to be theirs so far.
#[derive(Debug)]
pub struct Whose {
    resident: String,
    keys: Option<Ring>,
    devices: BTreeSet<String>,
    alarms: BTreeSet<String>,
    /// Alarms that are known to be about somebody else.
    others: BTreeSet<String>,
}

impl Whose {
    /// `keys`: the journal's; they tell whose a device was when its record was written. `None`: nobody of that id lives here, or ever did.
    pub fn of(config: &Config, keys: Option<Ring>, resident: &str) -> Option<Whose> {
        let person = config.agreed.people.iter().find(|person| person.id == resident);
        let has_lived_here = keys.as_ref().is_some_and(|keys| keys.of(resident).is_some());
        if person.is_none() && !has_lived_here {
            return None;
        }
        let cameras = person.iter().filter_map(|person| person.look.as_ref()).map(|look| look.camera.to_string());
        let devices = person.iter().flat_map(|person| &person.devices).map(ToString::to_string);
        let devices = devices.chain(cameras).collect();
        Some(Whose { resident: resident.to_owned(), keys, devices, alarms: BTreeSet::new(), others: BTreeSet::new() })
    }

    pub fn resident(&self) -> &str {
        &self.resident
    }

    /// What of `line` is theirs. `key_id`: what it is sealed with on the disk; 0: nothing.
    pub fn part(&mut self, key_id: u32, mut line: Value) -> Option<Value> {
        let sealed_for = self.keys.as_ref().and_then(|keys| keys.whose(key_id)).map(|whose| whose == self.resident);
        if line["kind"] == "decisions" {
            let Value::Array(decisions) = line["decisions"].take() else { return None };
            let theirs = decisions.into_iter().filter(|decision| self.decision(sealed_for, decision));
            let theirs: Vec<Value> = theirs.collect();
            if theirs.is_empty() {
                return None;
            }
            line["decisions"] = theirs.into();
            return Some(line);
        }
        // A step of a technician's visit names its device, a look its camera.
        let step = line["step"].as_object().and_then(|step| step.values().next());
        let is_theirs = self.is(sealed_for, &line, step.and_then(|step| step["device"].as_str()));
        is_theirs.then_some(line)
    }

    /// An alarm is theirs. `today`: whose its device is now; asked only where the journal no longer has the alarm's beginning.
    pub fn alarm(&self, alarm: &str, today: Option<&str>) -> bool {
        self.alarms.contains(alarm) || (!self.others.contains(alarm) && today == Some(&self.resident))
    }

    /// Who is named comes first; then whose key it was sealed with: whose the device was that day. Last, whose it is today.
    fn is(&self, sealed_for: Option<bool>, fact: &Value, device: Option<&str>) -> bool {
        if let Some(resident) = fact["resident"].as_str() {
            return resident == self.resident;
        }
        if let Some(is_theirs) = sealed_for {
            return is_theirs;
        }
        if let Some(alarm) = fact["alarm"].as_str()
            && (self.alarms.contains(alarm) || self.others.contains(alarm))
        {
            return self.alarms.contains(alarm);
        }
        let devices = [fact["device"].as_str(), fact["camera"].as_str(), fact["to"].as_str(), device];
        devices.into_iter().flatten().any(|device| self.devices.contains(device))
    }

    fn decision(&mut self, sealed_for: Option<bool>, decision: &Value) -> bool {
        let Some(what) = decision.as_object().and_then(|one| one.values().next()) else { return false };
        let said = [&what["basis"]["resident"], &what["home"]["resident"]].into_iter().find_map(Value::as_str);
        let is_theirs = match said {
            Some(resident) => resident == self.resident,
            None => self.is(sealed_for, what, None),
        };
        if decision.get("raise").is_some()
            && let Some(alarm) = what["alarm"].as_str()
        {
            let raised = if is_theirs { &mut self.alarms } else { &mut self.others };
            raised.insert(alarm.to_owned());
        }
        is_theirs
    }
}
