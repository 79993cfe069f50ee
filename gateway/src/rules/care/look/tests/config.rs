//! [[camera]] and [resident.look] as they are written, and what is said of what is wrong.

use super::*;

fn wrong(text: &str) -> String {
    parse("Europe/Stockholm", "absence_care_min = 0", text).map(|_| ()).expect_err("a complaint")
}

#[test]
fn what_is_written_is_what_is_agreed() {
    let agreed = agreed(&format!("{LOOK}\n{CONSENT}"));
    let look = agreed.people[0].look.as_ref().unwrap();
    assert_eq!((look.camera.as_str(), look.light.as_str()), ("cam", "lamp"));
    assert_eq!((look.look_ms, look.second_after_ms, look.lead_ms), (30_000, Some(15 * 60_000), 10 * 60_000));
    assert_eq!(look.instead, Instead::Visit);
    assert_eq!(look.rounds.len(), 3);
    assert_eq!(look.term.by.as_deref(), Some("the resident"));
}

#[test]
fn complaints_name_the_line_and_the_fix() {
    let of = |look: &str| wrong(&whole(look));
    let changed = |key: &str, line: &str| {
        let lines: Vec<&str> = LOOK.lines().map(|known| if known.starts_with(key) { line } else { known }).collect();
        of(&format!("{}\n{CONSENT}", lines.join("\n")))
    };
    assert!(of(LOOK).contains("needs a consent that is written down"), "{}", of(LOOK));
    let table = whole(&format!("{LOOK}\n{CONSENT}"));
    for (why, what) in [
        (changed("camera", "camera = \"can\""), "did you mean `cam`?"),
        (changed("second", "second_look_after_min = 5"), "from 15 to 20"),
        (changed("second", "look_s = 121"), "from 5 to 120"),
        (changed("instead", "instead = \"later\""), "known: visit, call, nothing"),
        (changed("alarm", "alarm_may_look = [\"fal\"]"), "did you mean `fall`?"),
        (changed("may", ""), "may_see_clearly"),
        (changed("rounds", "rounds = [{ at = \"01:00\", latest = \"01:10\" }]"), "give it 11 or more"),
        (
            changed(
                "rounds",
                "rounds = [{ at = \"23:50\", latest = \"00:20\" }, { at = \"00:10\", latest = \"00:40\" }]",
            ),
            "overlap",
        ),
        (wrong(&table.replace("192.168.90.4", "cam.example")), "no IP address"),
        (wrong(&table.replace("192.168.90.4", "169.254.169.254")), "link-local"),
        (wrong(&table.replace("192.168.90.4", "127.0.0.1")), "give it an address in one of"),
        (wrong(&table.replace("http://", "https://")), "there is no pin"),
        (wrong(&table.replace("light = \"lamp\"", "light = \"reader\"")), "must be a feedback device"),
        (wrong(&table.replace("light = \"lamp\"", "light = \"lam\"")), "did you mean `lamp`?"),
    ] {
        assert!(why.contains(what) && why.starts_with("v.toml:"), "{what}: {why}");
    }
    // Two people cannot be looked at through one camera.
    let two = format!("{table}[[resident]]\nid = \"r2\"\n[resident.look]\n{LOOK}\n{CONSENT}\n");
    assert!(wrong(&two).contains("looks at somebody else already"), "{}", wrong(&two));
}

#[test]
fn a_camera_that_nobody_has_agreed_to_is_said_loud() {
    let (_, warnings) = parse("Europe/Stockholm", "absence_care_min = 0", DEVICES).unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("nobody has agreed to this camera")), "{warnings:?}");
}
