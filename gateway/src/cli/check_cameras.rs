//! The doctor's rows of cameras: what the last check found, and what keeps one from being looked through.
//!
//! Enters: the config, what the gateway (or, where none runs, its journal) knows. Leaves: a row for each camera of vaka.toml, with exact
//! words for a technician and plain ones for staff. No camera is opened for it.

use std::collections::BTreeMap;

use serde::Serialize;
use vaka_protocol::DeviceId;

use super::camera::resident;
use super::check::Light;
use crate::config::{Camera, Config};
use crate::rules::care::look::{CameraKnown, WELL, found_in_words};

const DAY_MS: i64 = 24 * 3_600_000;
/// Days after which a check says little of today. Cameras with planned look-ins are checked before each; one for alarms alone is not.
/// Source: our choice; a week.
const CHECKED_DAYS: i64 = 7;

/// One camera.
#[derive(Debug, Clone, Serialize)]
pub struct CameraRow {
    pub camera: DeviceId,
    /// Whose home it sees. Absent: nobody has agreed to it.
    pub resident: Option<String>,
    pub light: Light,
    /// UTC milliseconds. Absent: never.
    pub checked_at: Option<i64>,
    /// Exact words.
    pub found: String,
    pub plain_sv: String,
    pub plain_en: String,
}

/// Every camera of the config. `known`: absent where neither gateway nor journal can be asked.
pub fn rows(config: &Config, known: Option<&BTreeMap<DeviceId, CameraKnown>>, now_ms: i64) -> Vec<CameraRow> {
    let unknown = CameraKnown::default();
    let of = |camera: &Camera| {
        let facts = known.and_then(|known| known.get(&camera.id)).unwrap_or(&unknown);
        let whose = resident(config, &camera.id);
        // What keeps it shut whatever it sees: its password, its set-up.
        let unfit = camera.open().err();
        row(camera, whose, unfit, facts, now_ms)
    };
    config.cameras.values().map(of).collect()
}

fn row(camera: &Camera, whose: Option<&str>, unfit: Option<String>, known: &CameraKnown, now_ms: i64) -> CameraRow {
    let id = &camera.id;
    let days = known.checked_at.map(|at| now_ms.saturating_sub(at).max(0) / DAY_MS);
    let look = format!("vaka camera check {id} --by NAME");
    let (light, found, sv, en): (_, String, String, String) = match (unfit, whose, known.found.as_deref(), days) {
        (Some(why), ..) => (
            Light::Red,
            why,
            "Går inte att öppna. Ring tekniker.".into(),
            "Cannot be opened. Call a technician.".into(),
        ),
        (None, None, ..) => (
            Light::Yellow,
            "nobody has agreed to look-ins through it ([resident.look]): it stays closed".into(),
            "Ingen har gått med på den. Den är stängd.".into(),
            "Nobody has agreed to it. It is closed.".into(),
        ),
        (None, Some(_), Some(found), _) if found != WELL => {
            let (sv, en) = found_in_words(found);
            let exact = format!("{found} at its last check: {en} Put it right, then {look}");
            (Light::Red, exact, format!("{sv} Gå dit och se efter."), format!("{en} Go there and look."))
        }
        (None, Some(_), Some(_), Some(days)) if days < CHECKED_DAYS && camera.references.is_empty() => (
            Light::Yellow,
            format!(
                "well, checked {days} days ago; no view is accepted, so nobody notices if it is moved: vaka camera reference {id}"
            ),
            "Ser rummet. Be en tekniker spara vad den ska se.".into(),
            "Sees the room. Have a technician keep what it is to see.".into(),
        ),
        (None, Some(_), Some(_), Some(days)) if days < CHECKED_DAYS => {
            (Light::Green, format!("well, checked {days} days ago"), "Fungerar.".into(), "Works.".into())
        }
        (None, Some(_), _, days) => {
            let since = days.map_or("never checked".to_owned(), |days| format!("checked {days} days ago"));
            (
                Light::Yellow,
                format!("{since}: {look}"),
                "Har inte provats på länge.".into(),
                "Has not been tried for long.".into(),
            )
        }
    };
    CameraRow {
        camera: id.clone(),
        resident: whose.map(str::to_owned),
        light,
        checked_at: known.checked_at,
        found,
        plain_sv: sv,
        plain_en: en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(references: &str) -> Camera {
        let text = format!(
            "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[device]]\nid = \"lamp\"\nkind = \"feedback\"\n\
             [[camera]]\nid = \"cam\"\nlook = \"http://192.168.90.4/snap.jpg\"\nlight = \"lamp\"\nreferences = [{references}]\n"
        );
        let (config, _) = Config::parse(text.as_bytes(), "vaka.toml".as_ref()).unwrap();
        config.cameras.values().next().unwrap().clone()
    }

    #[test]
    fn red_is_what_the_last_check_found_wrong_and_yellow_what_nobody_knows() {
        let view = format!("\"{}\"", "0f".repeat(48));
        let now_ms = 1_800_000_000_000;
        let known = |found: &str, days: i64| CameraKnown {
            checked_at: Some(now_ms - days * DAY_MS),
            found: Some(found.into()),
            is_open: false,
        };
        let of = |references: &str, whose, unfit: Option<&str>, known: &CameraKnown| {
            let row = row(&camera(references), whose, unfit.map(str::to_owned), known, now_ms);
            (row.light, row.found)
        };
        let well = known(WELL, 6);
        assert_eq!(of(&view, Some("r1"), None, &well), (Light::Green, "well, checked 6 days ago".into()));
        for (what, row, light, says) in [
            ("moved", of(&view, Some("r1"), None, &known("moved", 0)), Light::Red, "moved at its last check"),
            ("no password", of(&view, Some("r1"), Some("reading the password"), &well), Light::Red, "reading the"),
            ("an old check", of(&view, Some("r1"), None, &known(WELL, 7)), Light::Yellow, "checked 7 days ago"),
            ("never", of(&view, Some("r1"), None, &CameraKnown::default()), Light::Yellow, "never checked"),
            ("no view", of("", Some("r1"), None, &well), Light::Yellow, "vaka camera reference cam"),
            ("nobody's", of(&view, None, None, &well), Light::Yellow, "stays closed"),
        ] {
            assert!(row.0 == light && row.1.contains(says), "{what}: {row:?}");
        }
    }
}
