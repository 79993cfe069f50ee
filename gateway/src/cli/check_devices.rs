//! The doctor's rows of devices: heard when, charge, certificate, and whether it has ever rung through to anybody.
//!
//! Enters: the config, what the gateway (or, where none runs, its journal) knows, issued.jsonl. Leaves: a row for each device of
//! vaka.toml, with exact words for a technician and plain ones for staff.

use serde::Serialize;
use serde_json::Value;
use vaka_protocol::DeviceId;

use super::check::Light;
use crate::config::{Config, Device, Language};
use crate::notice::say;
use crate::provision::Issued;
use crate::rules;
use crate::rules::visit::kinds;

const DAY_MS: i64 = 24 * 3_600_000;
/// Days before its end from which a certificate is yellow. Source: our choice, as the technical alarm of it.
const CERTIFICATE_DAYS: i64 = 30;

/// One device. Times are UTC milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceRow {
    pub device: DeviceId,
    pub kind: &'static str,
    pub light: Light,
    pub heard_at: Option<i64>,
    /// Absent: it has no connection of its own.
    pub online: Option<bool>,
    pub battery_percent: Option<u8>,
    /// Until its certificate ends. Absent: it has none.
    pub certificate_days: Option<i64>,
    /// Somebody is told if it falls silent.
    pub supervised: bool,
    /// When its alarm was accepted last by a receiver, as it is enrolled now. Absent: never.
    pub proven_at: Option<i64>,
    pub proven_by: Option<String>,
    /// Exact words.
    pub found: String,
    pub plain_sv: String,
    pub plain_en: String,
}

/// What is found of one device: the worst light, and the words of all.
#[derive(Default)]
struct Finding {
    light: Option<Light>,
    found: Vec<String>,
    sv: Vec<String>,
    en: Vec<String>,
}

impl Finding {
    fn exact(&mut self, words: String) {
        self.found.push(words);
    }

    fn wrong(&mut self, light: Light, exact: String, sv: &str, en: &str) {
        self.light = self.light.max(Some(light));
        self.found.push(exact);
        self.sv.push(sv.to_owned());
        self.en.push(en.to_owned());
    }
}

/// Every device of the config. `known`: by id, as `pipeline::view::devices`; absent: neither gateway nor journal can be asked.
pub fn rows(config: &Config, known: Option<&Value>, now_ms: i64) -> Vec<DeviceRow> {
    let issued = Issued::load(&config.pki().issued()).ok().map(|(issued, _)| issued);
    config.devices.values().map(|device| row(config, device, known, issued.as_ref(), now_ms)).collect()
}

fn ago(ms: i64, now_ms: i64, language: Language) -> String {
    let (sv, en) = rules::lasting(now_ms.saturating_sub(ms));
    say(language, sv, en)
}

fn row(config: &Config, device: &Device, known: Option<&Value>, issued: Option<&Issued>, now_ms: i64) -> DeviceRow {
    let want = kinds::of(device.kind.as_str(), device.via.as_ref(), config.visit);
    let nothing = Value::Null;
    let facts = known.map_or(&nothing, |known| &known[device.id.as_str()]);
    let mut of = Finding::default();
    // Nobody's life hangs on a sensor alone.
    let worst = if want.rings { Light::Red } else { Light::Yellow };

    let heard_at = facts["heard_at"].as_i64();
    let online = facts["online"].as_bool();
    match heard_at {
        _ if known.is_none() => of.exact("nothing is known of it: the journal cannot be read".into()),
        Some(at) => of.exact(format!("heard {} ago", ago(at, now_ms, Language::En))),
        None => of.wrong(
            worst,
            "never heard: enrol it, and press it".into(),
            "Har aldrig hörts. Be en tekniker koppla in den.",
            "Has never been heard. Have a technician enrol it.",
        ),
    }
    if facts["silent"] == true {
        of.wrong(
            Light::Red,
            "silent longer than agreed".into(),
            "Hörs inte. Gå dit och se efter.",
            "Is silent. Go there and look.",
        );
    } else if online == Some(false) && heard_at.is_some() {
        of.wrong(Light::Yellow, "not connected".into(), "Är inte ansluten just nu.", "Is not connected just now.");
    }
    let agreed = config.agreed.devices.get(&device.id);
    let supervised = agreed.is_some_and(|agreed| agreed.silence.gone_ms.is_some() || agreed.silence.quiet_ms.is_some());
    if !supervised && want.rings {
        of.wrong(
            Light::Yellow,
            "not supervised: nobody is told if it falls silent ([silence])".into(),
            "Ingen får veta om den tystnar.",
            "Nobody is told if it falls silent.",
        );
    }

    let battery = &facts["battery"];
    let percent = battery["percent"].as_u64().and_then(|percent| u8::try_from(percent).ok());
    let least = agreed.map_or(0, |agreed| agreed.power.battery_min_percent);
    match percent {
        Some(percent) if percent < least || battery["low"] == true => of.wrong(
            Light::Red,
            format!("battery {percent} %, change it"),
            "Batteriet är snart slut. Byt det.",
            "The battery is nearly empty. Change it.",
        ),
        None if battery["low"] == true => of.wrong(
            Light::Red,
            "battery low, change it".into(),
            "Batteriet är snart slut. Byt det.",
            "The battery is nearly empty. Change it.",
        ),
        Some(percent) => of.exact(format!("battery {percent} %")),
        None => {}
    }

    let certificate_days = certificate(device, issued, now_ms, &mut of);
    let proof = &facts["proven"];
    let proven_at = proof["at"].as_i64();
    let proven_by = proof["receiver"].as_str().map(str::to_owned);
    match (proven_at, &proven_by) {
        (Some(at), Some(receiver)) => {
            of.exact(format!("rang through to {receiver} {} ago", ago(at, now_ms, Language::En)));
        }
        _ if want.triggers.is_empty() || known.is_none() => {}
        _ => of.wrong(
            worst,
            "has never rung through to a person: try it (vaka visit start, vaka visit arm)".into(),
            "Har aldrig provats ända fram. Be en tekniker prova den.",
            "Has never rung through to a person. Have a technician try it.",
        ),
    }
    let join = |words: &[String], good: &str| if words.is_empty() { good.to_owned() } else { words.join(" ") };
    DeviceRow {
        device: device.id.clone(),
        kind: device.kind.as_str(),
        light: of.light.unwrap_or(Light::Green),
        heard_at,
        online,
        battery_percent: percent,
        certificate_days,
        supervised,
        proven_at,
        proven_by,
        found: of.found.join("; "),
        plain_sv: join(&of.sv, "Fungerar."),
        plain_en: join(&of.en, "Works."),
    }
}

fn certificate(device: &Device, issued: Option<&Issued>, now_ms: i64, of: &mut Finding) -> Option<i64> {
    if device.via.is_some() {
        return None;
    }
    let in_force = issued?.of(&device.id).into_iter().filter(|row| row.revoked_at.is_none()).map(|row| row.not_after);
    let Some(ends) = in_force.max() else {
        of.wrong(
            Light::Red,
            match issued?.of(&device.id).is_empty() {
                true => "never fetched a certificate: vaka device invite (or add), or vaka device remove".into(),
                false => "no certificate in force: vaka device add".into(),
            },
            "Är inte inkopplad. Ring tekniker.",
            "Is not enrolled. Call a technician.",
        );
        return None;
    };
    let days = ends.saturating_sub(now_ms).div_euclid(DAY_MS);
    match days {
        ..0 => of.wrong(
            Light::Red,
            format!("its certificate ended {} days ago", -days),
            "Får inte längre sända. Ring tekniker.",
            "May not send any more. Call a technician.",
        ),
        0..CERTIFICATE_DAYS => of.wrong(
            Light::Yellow,
            format!("its certificate ends in {days} days"),
            "Behöver förnyas snart. Ring tekniker.",
            "Has to be renewed soon. Call a technician.",
        ),
        _ => of.exact(format!("certificate {days} days")),
    }
    Some(days)
}
