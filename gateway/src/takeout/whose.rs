//! What of the journal is about one resident.
//!
//! Enters: lines in the journal's order. Leaves: the line, or what of it is about them, or nothing. Invariant: a line that names another
//! resident, or is of a device or alarm that is not theirs, is never handed on. What is about the gateway alone is nobody's.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::Config;

/// One resident, and what has been found to be theirs so far.
#[derive(Debug)]
pub struct Whose {
    resident: String,
    devices: BTreeSet<String>,
    alarms: BTreeSet<String>,
}

impl Whose {
    /// `None`: nobody of that id lives here.
    pub fn of(config: &Config, resident: &str) -> Option<Whose> {
        let person = config.agreed.people.iter().find(|person| person.id == resident)?;
        let cameras = person.look.iter().map(|look| look.camera.to_string());
        let devices = person.devices.iter().map(ToString::to_string).chain(cameras).collect();
        Some(Whose { resident: resident.to_owned(), devices, alarms: BTreeSet::new() })
    }

    /// What of `line` is theirs.
    pub fn part(&mut self, mut line: Value) -> Option<Value> {
        if line["kind"] == "decisions" {
            let Value::Array(decisions) = line["decisions"].take() else { return None };
            let theirs: Vec<Value> = decisions.into_iter().filter(|decision| self.decision(decision)).collect();
            if theirs.is_empty() {
                return None;
            }
            line["decisions"] = theirs.into();
            return Some(line);
        }
        // A step of a technician's visit names its device, a look its camera.
        let step = line["step"].as_object().and_then(|step| step.values().next());
        let is_theirs = self.is(&line, step.and_then(|step| step["device"].as_str()));
        is_theirs.then_some(line)
    }

    fn is(&self, fact: &Value, device: Option<&str>) -> bool {
        if let Some(resident) = fact["resident"].as_str() {
            return resident == self.resident;
        }
        let devices = [fact["device"].as_str(), fact["camera"].as_str(), fact["to"].as_str(), device];
        let of_device = devices.into_iter().flatten().any(|device| self.devices.contains(device));
        of_device || fact["alarm"].as_str().is_some_and(|alarm| self.alarms.contains(alarm))
    }

    fn decision(&mut self, decision: &Value) -> bool {
        let Some(what) = decision.as_object().and_then(|one| one.values().next()) else { return false };
        let said = [&what["basis"]["resident"], &what["home"]["resident"]].into_iter().find_map(Value::as_str);
        let is_theirs = match said {
            Some(resident) => resident == self.resident,
            None => self.is(what, None),
        };
        if is_theirs && decision.get("raise").is_some() {
            self.alarms.extend(what["alarm"].as_str().map(str::to_owned));
        }
        is_theirs
    }
}
