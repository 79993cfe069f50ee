//! [silence], with [silence.kind.KIND] and [silence.device.ID]: how long a device may not be heard.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use vaka_protocol::DeviceId;

use super::Check;
use crate::config::{Device, DeviceKind, nearest};
use crate::rules::care::silence::Supervision;

const MIN_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// A device whose connection has ended is silent after so long, in minutes. Source: our choice; a restart of the home's router
/// takes three to five.
pub const GONE_MIN: i64 = 10;
/// As [`GONE_MIN`], of what calls for help in danger, and of a bridge, behind which many devices stand.
pub const GONE_LIFE_MIN: i64 = 5;
/// As [`GONE_MIN`], of what is carried out of doors: a lift or a cellar is no fault.
pub const GONE_CARRIED_MIN: i64 = 30;
/// A device that says nothing at all is silent after so long, in hours. Source: battery devices behind a bridge say their charge
/// once a day and may be hours late with it.
pub const QUIET_H: i64 = 26;
/// A device that is still silent is visited after so many hours more.
pub const VISIT_AFTER_H: i64 = 24;
/// As [`VISIT_AFTER_H`], of what calls for help in danger: until then the resident has to know another way.
pub const VISIT_AFTER_LIFE_H: i64 = 2;
/// As [`VISIT_AFTER_H`], of a bridge.
pub const VISIT_AFTER_BRIDGE_H: i64 = 4;
/// The latest time of that visit, in hours after it was asked for.
pub const VISIT_WITHIN_H: i64 = 24;
/// As [`VISIT_WITHIN_H`], of what calls for help in danger and of a bridge.
pub const VISIT_WITHIN_LIFE_H: i64 = 4;
/// A device that comes and goes so often without a quarter of an hour's rest is told as one that cannot be relied on.
pub const COMES_AND_GOES: i64 = 6;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub gone_min: Option<Spanned<i64>>,
    pub quiet_h: Option<Spanned<i64>>,
    pub visit_after_h: Option<Spanned<i64>>,
    pub visit_within_h: Option<Spanned<i64>>,
    pub comes_and_goes: Option<Spanned<i64>>,
    #[serde(default)]
    pub kind: BTreeMap<String, Spanned<Own>>,
    #[serde(default)]
    pub device: BTreeMap<String, Spanned<Own>>,
}

/// What holds for one kind or one device instead.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Own {
    pub supervised: Option<bool>,
    pub gone_min: Option<Spanned<i64>>,
    pub quiet_h: Option<Spanned<i64>>,
    pub visit_after_h: Option<Spanned<i64>>,
    pub visit_within_h: Option<Spanned<i64>>,
    pub comes_and_goes: Option<Spanned<i64>>,
}

/// What is written, in milliseconds; absent: the kind's default.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    supervised: Option<bool>,
    gone_ms: Option<i64>,
    quiet_ms: Option<i64>,
    visit_after_ms: Option<i64>,
    visit_within_ms: Option<i64>,
    flaps: Option<u32>,
}

/// The whole table, checked once for all devices.
pub(in crate::config) struct Plan {
    home: Given,
    kinds: BTreeMap<DeviceKind, Given>,
    devices: BTreeMap<DeviceId, Given>,
}

pub(in crate::config) fn plan(
    c: &mut Check<'_>,
    table: Option<&Spanned<Table>>,
    devices: &BTreeMap<DeviceId, Device>,
) -> Plan {
    let mut plan = Plan { home: Given::default(), kinds: BTreeMap::new(), devices: BTreeMap::new() };
    let Some(table) = table.map(Spanned::get_ref) else { return plan };
    let whole = [&table.gone_min, &table.quiet_h, &table.visit_after_h, &table.visit_within_h, &table.comes_and_goes];
    plan.home = given(c, whole, None);
    for (word, own) in &table.kind {
        let of = of_own(c, own);
        match word.parse::<DeviceKind>() {
            Ok(DeviceKind::Gateway) => {
                c.wrong(own, "a home at its hub is supervised by itself, within 90 s; remove this table".to_owned());
            }
            Ok(kind) => {
                plan.kinds.insert(kind, of);
            }
            Err(unknown) => c.wrong(own, format!("[silence.kind.{word}]: {unknown}")),
        }
    }
    for (word, own) in &table.device {
        let of = of_own(c, own);
        let id = DeviceId::try_from(word.as_str()).ok().filter(|id| devices.contains_key(id));
        match id {
            Some(id) => {
                plan.devices.insert(id, of);
            }
            None => {
                let hint = nearest(word, devices.keys().map(AsRef::as_ref))
                    .map_or_else(|| "add its [[device]]".to_owned(), |near| format!("did you mean `{near}`?"));
                c.wrong(own, format!("[silence.device.{word}] names an unknown device; {hint}"));
            }
        }
    }
    plan
}

fn of_own(c: &mut Check<'_>, own: &Spanned<Own>) -> Given {
    let own = own.get_ref();
    let keys = [&own.gone_min, &own.quiet_h, &own.visit_after_h, &own.visit_within_h, &own.comes_and_goes];
    given(c, keys, own.supervised)
}

/// Ranges: a minute is what a Will needs to arrive; 31 days is as long as anybody remembers what a device was for.
fn given(c: &mut Check<'_>, keys: [&Option<Spanned<i64>>; 5], supervised: Option<bool>) -> Given {
    let mut of = |index: usize, key: &str, min: i64, max: i64, unit_ms: i64| {
        let value = keys[index].as_ref()?;
        c.number(key, value, min, max).map(|number| number * unit_ms)
    };
    Given {
        supervised,
        gone_ms: of(0, "gone_min", 1, 1_440, MIN_MS),
        quiet_ms: of(1, "quiet_h", 1, 744, HOUR_MS),
        visit_after_ms: of(2, "visit_after_h", 0, 744, HOUR_MS),
        visit_within_ms: of(3, "visit_within_h", 1, 168, HOUR_MS),
        flaps: of(4, "comes_and_goes", 2, 100, 1).and_then(|count| u32::try_from(count).ok()),
    }
}

impl Plan {
    /// The device's own table, else its kind's, else the home's, else the default of its kind.
    pub(in crate::config) fn of(&self, device: &Device) -> Supervision {
        let written = [self.devices.get(&device.id), self.kinds.get(&device.kind), Some(&self.home)];
        let supervised = written.iter().flatten().find_map(|given| given.supervised).unwrap_or(true);
        // The hub's own watch, with a shorter time than any here.
        if !supervised || device.kind == DeviceKind::Gateway {
            return Supervision { via: device.via.clone(), ..Supervision::default() };
        }
        let kind = defaults(device.kind);
        let first = |of: fn(&Given) -> Option<i64>| written.iter().flatten().find_map(|given| of(given));
        Supervision {
            gone_ms: Some(first(|given| given.gone_ms).unwrap_or(kind.gone_ms)),
            quiet_ms: Some(first(|given| given.quiet_ms).unwrap_or(QUIET_H * HOUR_MS)),
            visit_after_ms: first(|given| given.visit_after_ms).unwrap_or(kind.visit_after_ms),
            visit_within_ms: first(|given| given.visit_within_ms).unwrap_or(kind.visit_within_ms),
            flaps: written
                .iter()
                .flatten()
                .find_map(|given| given.flaps)
                .unwrap_or(u32::try_from(COMES_AND_GOES).unwrap_or(u32::MAX)),
            via: device.via.clone(),
        }
    }
}

struct Defaults {
    gone_ms: i64,
    visit_after_ms: i64,
    visit_within_ms: i64,
}

fn defaults(kind: DeviceKind) -> Defaults {
    use DeviceKind::*;
    let (gone_min, visit_after_h, visit_within_h) = match kind {
        Pendant | FixedTrigger | FallDetector | SeizureSensor | SmokeDetector | GasDetector | CoDetector
        | HeatDetector | FloodSensor => (GONE_LIFE_MIN, VISIT_AFTER_LIFE_H, VISIT_WITHIN_LIFE_H),
        Bridge => (GONE_LIFE_MIN, VISIT_AFTER_BRIDGE_H, VISIT_WITHIN_LIFE_H),
        GpsAlarm => (GONE_CARRIED_MIN, VISIT_AFTER_H, VISIT_WITHIN_LIFE_H),
        BedSensor | ChairSensor | MatSensor | DoorSensor | MotionSensor | EnuresisSensor | Dispenser | Cabinet
        | Lock | Thermometer | VitalMonitor | Feedback | Gateway | Other => (GONE_MIN, VISIT_AFTER_H, VISIT_WITHIN_H),
    };
    Defaults {
        gone_ms: gone_min * MIN_MS,
        visit_after_ms: visit_after_h * HOUR_MS,
        visit_within_ms: visit_within_h * HOUR_MS,
    }
}
