//! Rule `reach`: when nobody has an alarm in time, the home is told, plainly, and told again when somebody has it.
//!
//! Enters: that a notice was accepted by nobody in time. Leaves: whom in the home to tell. Absent: trying on, which
//! dispatch does by itself.

use vaka_protocol::{DeviceId, Lane};

use super::Home;
use super::alarms::Alarms;
use crate::journal::record::{Decision, Nobody, Tell};

/// (Swedish, English), of an alarm that nobody has accepted.
const NOBODY: (&str, &str) =
    ("Ingen har tagit emot larmet än. Vi försöker hela tiden.", "Nobody has taken the alarm yet. We keep trying.");
/// As [`NOBODY`], once somebody has it.
const SOMEBODY: (&str, &str) = ("Larmet är mottaget.", "The alarm has been received.");

pub fn judge(alarms: &Alarms, home: &Home, nobody: &Nobody) -> Vec<Decision> {
    let Some(alarm) = alarms.get(&nobody.alarm) else { return Vec::new() };
    let concerns_home = matches!(alarm.raise.lane, Lane::Life | Lane::Care);
    // Told once, until somebody has it.
    if !concerns_home || !alarm.told.is_empty() || alarm.is_claimed() {
        return Vec::new();
    }
    let raised_it = home.devices.contains_key(&alarm.raise.device).then_some(&alarm.raise.device);
    let speakers = home.devices.iter().filter(|(_, facts)| facts.speaks).map(|(device, _)| device);
    let mut devices: Vec<&DeviceId> = raised_it.into_iter().chain(speakers).collect();
    devices.dedup();
    let say = |(sv, en): (&str, &str)| if home.english { en.to_owned() } else { sv.to_owned() };
    let tell = |device: &DeviceId| {
        let tell =
            Tell { alarm: alarm.id().clone(), device: device.clone(), text: say(NOBODY), text_after: say(SOMEBODY) };
        Decision::Tell(tell)
    };
    devices.into_iter().map(tell).collect()
}
