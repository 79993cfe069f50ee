//! What a device of each kind has to show in a visit. Enters: the kind's word in vaka.toml. Leaves: what to ask of it.

use vaka_protocol::{DeviceId, Event};

use crate::limits::{VISIT_BATTERY_PERCENT, VISIT_SIGNAL_MOBILE_DBM, VISIT_SIGNAL_MOUNTED_DBM, VISIT_SIGNAL_WORN_DBM};

/// What a visit asks of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The kind's word.
    pub kind: String,
    /// Names of the events of which each is its own trigger. Empty: there is nothing to press.
    pub triggers: &'static [&'static str],
    /// Only tells (kind `feedback`): it is tried by telling it something.
    pub speaks: bool,
    /// At the device itself it is seen or heard that help has heard.
    pub shows: bool,
    /// Somebody's life may hang on it: never rung through is red, not yellow.
    pub rings: bool,
    /// Lowest charge. Absent: it runs on no battery.
    pub battery_min_percent: Option<u8>,
    /// Weakest signal. Absent: it has no radio of its own.
    pub signal_min_dbm: Option<i16>,
    /// The bridge that speaks for it.
    pub via: Option<DeviceId>,
}

/// What `[visit]` says; absent: the kind's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thresholds {
    pub signal_min_dbm: Option<i16>,
    pub battery_min_percent: Option<u8>,
}

const DETECTORS: [(&str, &[&str]); 7] = [
    ("smoke-detector", &["smoke", "test"]),
    ("gas-detector", &["gas", "test"]),
    ("co-detector", &["co", "test"]),
    ("heat-detector", &["heat", "test"]),
    ("flood-sensor", &["flood", "test"]),
    ("seizure-sensor", &["seizure", "test"]),
    ("enuresis-sensor", &["enuresis", "test"]),
];

/// What is asked of a device of `kind`. Its own trigger alone counts: a button that is fitted to a fall detector stays a real call.
pub fn of(kind: &str, via: Option<&DeviceId>, thresholds: Thresholds) -> Want {
    let triggers: &'static [&'static str] = match kind {
        "pendant" | "fixed-trigger" | "gps-alarm" => &["button"],
        "fall-detector" => &["fall"],
        "bed-sensor" => &["bed"],
        "chair-sensor" => &["chair"],
        "mat-sensor" => &["mat"],
        "door-sensor" => &["door"],
        "motion-sensor" => &["motion"],
        "dispenser" => &["dose", "test"],
        "cabinet" => &["cabinet"],
        "lock" => &["lock"],
        "thermometer" => &["temperature"],
        "vital-monitor" => &["vital"],
        "feedback" | "bridge" | "gateway" => &[],
        "other" => &["button", "test"],
        kind => DETECTORS.iter().find(|(name, _)| *name == kind).map_or(&["test"], |(_, triggers)| triggers),
    };
    let is_detector = DETECTORS.iter().any(|(name, _)| *name == kind);
    let worn = matches!(kind, "pendant" | "fall-detector");
    let signal = match kind {
        // The gateway speaks with it over the house's own network.
        "bridge" | "gateway" => None,
        "gps-alarm" => Some(VISIT_SIGNAL_MOBILE_DBM),
        _ if worn => Some(VISIT_SIGNAL_WORN_DBM),
        _ => Some(VISIT_SIGNAL_MOUNTED_DBM),
    };
    let has_battery = !matches!(kind, "bridge" | "gateway" | "feedback");
    let has_siren = matches!(kind, "smoke-detector" | "gas-detector" | "co-detector" | "heat-detector");
    let is_called = matches!(kind, "pendant" | "fixed-trigger" | "fall-detector" | "gps-alarm");
    Want {
        kind: kind.to_owned(),
        triggers,
        speaks: kind == "feedback",
        // Nobody can tell a device behind a bridge that help has heard; a detector sounds by itself.
        shows: has_siren || ((is_called || matches!(kind, "dispenser" | "feedback")) && via.is_none()),
        rings: is_called || is_detector,
        battery_min_percent: has_battery.then(|| thresholds.battery_min_percent.unwrap_or(VISIT_BATTERY_PERCENT)),
        signal_min_dbm: signal.map(|own| thresholds.signal_min_dbm.unwrap_or(own)),
        via: via.cloned(),
    }
}

impl Want {
    /// The event is what the device is there to tell; that it is over is not.
    pub fn is_trigger(&self, event: &Event) -> bool {
        let is_over = matches!(
            event,
            Event::Smoke { active: false }
                | Event::Gas { active: false }
                | Event::Co { active: false }
                | Event::Heat { active: false }
                | Event::Flood { active: false }
        );
        !is_over && self.triggers.contains(&event.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DeviceKind;

    #[test]
    fn every_kind_is_known_and_what_saves_lives_has_a_trigger_in_the_lane_life_or_a_test() {
        for kind in DeviceKind::ALL {
            let want = of(kind.as_str(), None, Thresholds::default());
            let has_none = matches!(kind, DeviceKind::Feedback | DeviceKind::Bridge | DeviceKind::Gateway);
            assert_eq!(want.triggers.is_empty(), has_none, "{kind}");
            assert!(!(want.rings && want.triggers.is_empty()), "{kind}");
        }
        let pendant = of("pendant", None, Thresholds::default());
        assert!(pendant.is_trigger(&Event::Button { press: vaka_protocol::Press::Long }) && pendant.shows);
        assert!(!pendant.is_trigger(&Event::Fall { impact_mg: None, still_s: None }), "a fall is no agreed press");
        assert!(!pendant.is_trigger(&Event::Test {}), "a pendant is pressed, not asked");
        let smoke = of("smoke-detector", None, Thresholds::default());
        assert!(smoke.is_trigger(&Event::Smoke { active: true }) && !smoke.is_trigger(&Event::Smoke { active: false }));
    }

    #[test]
    fn thresholds_are_the_kinds_own_unless_agreed_otherwise() {
        let own = of("pendant", None, Thresholds::default());
        assert_eq!((own.signal_min_dbm, own.battery_min_percent), (Some(-75), Some(40)));
        let agreed = of("door-sensor", None, Thresholds { signal_min_dbm: Some(-70), battery_min_percent: Some(60) });
        assert_eq!((agreed.signal_min_dbm, agreed.battery_min_percent), (Some(-70), Some(60)));
        let bridge = of("bridge", None, Thresholds { signal_min_dbm: Some(-70), battery_min_percent: Some(60) });
        assert_eq!((bridge.signal_min_dbm, bridge.battery_min_percent), (None, None));
    }
}
