//! Rule `reach`: when an alarm does not get through, or would not, the home is told, plainly; and told again when it does.
//!
//! Enters: that a notice was accepted by nobody in time; that a path to a receiver is lost or back. Leaves: whom in the home to
//! tell, and what. Invariant: the home hears of each loss and each return once, also across restarts. Absent: trying on, which
//! dispatch does by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Lane};

use super::Home;
use super::alarms::Alarms;
use super::words::Said;
use crate::journal::record::{Decision, Nobody, PathRecord, Say, Tell};

/// (Swedish, English), of an alarm that nobody has accepted.
const NOBODY: (&str, &str) =
    ("Ingen har tagit emot larmet än. Vi försöker hela tiden.", "Nobody has taken the alarm yet. We keep trying.");
/// As [`NOBODY`], once somebody has it.
const SOMEBODY: (&str, &str) = ("Larmet är mottaget.", "The alarm has been received.");
/// As [`NOBODY`], where nobody could be told of an alarm now. It says what to do: whoever trusts the button would wait in vain.
const CUT_OFF: (&str, &str) = (
    "Larmet är utan förbindelse och når ingen just nu. Ring 112 om det är bråttom.",
    "The alarm has no connection and reaches nobody now. Call 112 if it is urgent.",
);

/// The newest word on each path of each receiver: receiver to label to path.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Paths(BTreeMap<String, BTreeMap<String, Path>>);

/// How a receiver is reached over one path, as far as its heartbeat tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Path {
    pub up: bool,
    /// UTC milliseconds: since when it is so.
    pub since: i64,
    /// UTC milliseconds: since when it had been the other way before. Absent: it was judged for the first time.
    #[serde(default)]
    pub before: Option<i64>,
    /// Sequence number of the record that made it so.
    pub changed_by: u64,
    pub detail: String,
}

impl Path {
    /// How long it had been the other way, in milliseconds, where the record `cursor` has changed it.
    pub fn lasted_ms(&self, cursor: u64) -> Option<i64> {
        let before = self.before.filter(|_| self.changed_by == cursor)?;
        Some(self.since.saturating_sub(before).max(0))
    }
}

impl Paths {
    pub fn get(&self, receiver: &str, path: &str) -> Option<&Path> {
        self.0.get(receiver)?.get(path)
    }

    /// What the record says, which has the number `cursor` and was written `at` (UTC milliseconds). A path that is said to be as it
    /// was has not changed: every start of the gateway judges it anew.
    pub fn apply(&mut self, said: &PathRecord, cursor: u64, at: i64) {
        let paths = self.0.entry(said.receiver.clone()).or_default();
        match paths.get_mut(&said.path) {
            Some(path) if path.up == said.up => path.detail.clone_from(&said.detail),
            known => {
                let before = known.map(|known| known.since);
                let path = Path { up: said.up, since: at, before, changed_by: cursor, detail: said.detail.clone() };
                paths.insert(said.path.clone(), path);
            }
        }
    }

    /// Every one of these paths is known to be lost, leaving `but` aside.
    fn are_lost(&self, receiver: &str, labels: &[String], but: Option<&str>) -> bool {
        let mut others = labels.iter().filter(|label| Some(label.as_str()) != but);
        others.all(|label| self.get(receiver, label).is_some_and(|path| !path.up))
    }
}

pub fn judge(alarms: &Alarms, home: &Home, nobody: &Nobody) -> Vec<Decision> {
    let Some(alarm) = alarms.get(&nobody.alarm) else { return Vec::new() };
    let concerns_home = matches!(alarm.raise.lane, Lane::Life | Lane::Care);
    // Told once, until somebody has it.
    if !concerns_home || !alarm.told.is_empty() || alarm.is_claimed() {
        return Vec::new();
    }
    let raised_it = home.devices.contains_key(&alarm.raise.device).then_some(&alarm.raise.device);
    let mut devices: Vec<&DeviceId> = raised_it.into_iter().chain(speakers(home)).collect();
    devices.dedup();
    let tell = |device: &DeviceId| {
        let (text, text_after) = (in_its_language(home, NOBODY.into()), in_its_language(home, SOMEBODY.into()));
        Decision::Tell(Tell { alarm: alarm.id().clone(), device: device.clone(), text, text_after })
    };
    devices.into_iter().map(tell).collect()
}

/// A path has changed: the home hears when a receiver of life alarms can be reached over none of its paths, and when it can again.
pub fn path(paths: &Paths, home: &Home, cursor: u64, said: &PathRecord) -> Vec<Decision> {
    let Some(labels) = home.life_paths.get(&said.receiver) else { return Vec::new() };
    let changed = paths.get(&said.receiver, &said.path).filter(|path| path.changed_by == cursor);
    // Of a path that the config has no more nothing is said, nor of a receiver that other paths still reach.
    let Some(changed) =
        changed.filter(|_| labels.contains(&said.path) && paths.are_lost(&said.receiver, labels, Some(&said.path)))
    else {
        return Vec::new();
    };
    // Judged for the first time, and well: nobody was told otherwise.
    if changed.up && changed.before.is_none() {
        return Vec::new();
    }
    let others_reached =
        home.life_paths.iter().any(|(other, labels)| *other != said.receiver && !paths.are_lost(other, labels, None));
    let receiver = &said.receiver;
    let words: Said = match (changed.up, others_reached) {
        (true, _) => {
            (format!("Förbindelsen med {receiver} är tillbaka."), format!("The connection to {receiver} is back."))
                .into()
        }
        (false, true) => (
            format!("{receiver} nås inte just nu. Larm går till nästa mottagare."),
            format!("{receiver} cannot be reached now. Alarms go to the next receiver."),
        )
            .into(),
        (false, false) => CUT_OFF.into(),
    };
    let text = in_its_language(home, words);
    let say = |device: &DeviceId| Decision::Say(Say { device: device.clone(), text: text.clone(), good: changed.up });
    speakers(home).map(say).collect()
}

/// Devices that stand in the home to be seen and heard.
fn speakers(home: &Home) -> impl Iterator<Item = &DeviceId> {
    home.devices.iter().filter(|(_, facts)| facts.speaks).map(|(device, _)| device)
}

fn in_its_language(home: &Home, words: Said) -> String {
    if home.english { words.en.into_owned() } else { words.sv.into_owned() }
}
