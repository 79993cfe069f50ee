//! The gateway's clock and certificates, in words: for `vaka check` and `vaka journal stat`.

use serde_json::Value;

use super::local_time;
use crate::clock::{Confidence, SystemClock};
use crate::config::Config;
use crate::provision;

/// How the clock is: green, yellow or red, and what was found. `stat`: a running gateway's, if one runs.
pub fn clock(config: &Config, stat: Option<&Value>) -> (&'static str, String) {
    let own = SystemClock::new();
    own.raise_floor(provision::read_floor(&config.pki()));
    let facts = stat.map_or_else(|| crate::pipeline::view::clock(&own), |stat| stat["clock"].clone());
    let confidence = serde_json::from_value(facts["confidence"].clone()).unwrap_or(Confidence::Floor);
    let at = |key: &str| local_time(facts[key].as_i64().unwrap_or_default(), &config.gateway.time_zone);
    match confidence {
        Confidence::Synchronised => ("green", format!("{}, vouched for by a time source", at("now"))),
        Confidence::Held if facts["told_to_devices"] == true => {
            ("green", format!("{}, kept by the hardware clock; no time source vouches for it", at("now")))
        }
        Confidence::Held => {
            let fix = "let it reach a time server (NTP), or give it a hardware clock with a battery; devices are not told the time meanwhile";
            ("yellow", format!("{}, which nobody vouches for: {fix}", at("now")))
        }
        Confidence::Floor => {
            let fix = "the machine's clock is before what is known already, and what is planned may be wrong; let it reach a time server (NTP)";
            ("red", format!("lost, counted on to {}: {fix}", at("now")))
        }
    }
}
