//! Look-ins by camera against the real program: a camera on Python's HTTP server with ffmpeg's pictures, a lamp on paho, a real browser.

use std::path::{Path, PathBuf};

use serde_json::Value;
use toml_edit::value;
use vaka_tests::browser::browse;
use vaka_tests::{Centre, Gateway, Home, Script, eventually, lacks};

const PEERS: [&str; 6] = ["chromium", "node", "playwright", "paho", "ffmpeg", "sipp"];

/// A home with one resident who has agreed to a look-in by camera that is open now.
struct House {
    _centre: Centre,
    home: Home,
    camera: Script,
    pictures: PathBuf,
}

fn table(text: &str) -> toml_edit::Table {
    text.parse::<toml_edit::DocumentMut>().expect("TOML").as_table().clone()
}

fn house() -> House {
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("lamp", "feedback");
    let pictures = home.path("pictures-of-the-test");
    std::fs::create_dir(&pictures).expect("a folder");
    let camera = Script::start("still_camera.py", &[&pictures.display().to_string()]);
    let port: u16 = camera.line().parse().expect("the camera's port");
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Stockholm").expect("a zone"));
    let at = |minutes: i64| (&now + jiff::Span::new().minutes(minutes)).strftime("%H:%M").to_string();
    home.edit(|config| {
        let one = |table| std::iter::once(table).collect::<toml_edit::ArrayOfTables>();
        let camera = format!(
            "id = \"cam\"\nroom = \"sovrum\"\nlook = \"http://127.0.0.1:{port}/snap.jpg\"\nallowed = [\"127.0.0.0/8\"]\nlight = \"lamp\"\n"
        );
        config["camera"] = one(table(&camera)).into();
        // One line: a table of its own would be put where it stood in its own text.
        let resident = format!(
            "id = \"r1\"\nlook = {{ camera = \"cam\", rounds = [{{ at = \"{}\", latest = \"{}\" }}], look_s = 15, may_see_clearly = true, \
             instead = \"visit\", consent = {{ by = \"Karin\", on = \"2026-01-01\" }} }}\n",
            at(-2),
            at(90)
        );
        config["resident"] = one(table(&resident)).into();
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            device["resident"] = value("r1");
        }
    });
    House { _centre: centre, home, camera, pictures }
}

/// The lamp: says each command it is told.
fn lamp(home: &Home) -> Script {
    let port = home.mqtt_port.to_string();
    let folder = home.pem("lamp", "").display().to_string();
    let lamp = Script::start("lamp.py", &[&port, "lamp", &folder]);
    assert_eq!(lamp.line(), "ready");
    lamp
}

fn steps(home: &Home) -> Vec<Value> {
    home.records("look").into_iter().map(|line| line["step"].clone()).collect()
}

/// Parts of the pictures' bytes that stand in any file of the home but the camera's own.
fn traces(home: &Home, pictures: &Path) -> usize {
    let mut slices: Vec<Vec<u8>> = Vec::new();
    for file in std::fs::read_dir(pictures).expect("the pictures") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("a picture");
        slices.extend((1_000..bytes.len().saturating_sub(32)).step_by(1_500).map(|at| bytes[at..at + 24].to_vec()));
    }
    assert!(slices.len() > 20, "something to search for");
    let mut found = 0;
    let mut folders = vec![home.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && path != pictures {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found += slices.iter().filter(|slice| bytes.windows(24).any(|window| window == &slice[..])).count();
            }
        }
    }
    found
}

#[test]
fn the_night_patrol_looks_in_and_the_resident_knows() {
    if lacks(&PEERS) {
        return;
    }
    let house = house();
    let gateway = Gateway::start(&house.home);
    let lamp = lamp(&house.home);
    browse(&house.home, "look", &[]);
    let light = || serde_json::from_str::<Value>(&lamp.line()).expect("JSON")["feedback"]["light"].clone();
    assert_eq!(light(), "steady");
    // The gateway's own check of the camera may have come between.
    while light() != "off" {}
    let steps = steps(&house.home);
    let asked = steps.iter().position(|step| step["asked"]["by"] == "natt-1").expect("who looked");
    assert_eq!(steps[asked]["asked"]["purpose"], "Avtalad tillsyn");
    let ended = steps.iter().find(|step| step["ended"]["why"] == "time").expect("an end");
    assert_eq!(ended["ended"]["shown_ms"], 15_000, "expired to the second");
    assert!(steps.iter().any(|step| step["outcome"]["outcome"] == "calm"), "{steps:?}");
    assert_eq!(traces(&house.home, &house.pictures), 0, "nothing of a picture is in the journal, or anywhere");
    std::fs::copy(house.pictures.join("01.jpg"), house.home.path("journal/found.test")).expect("a copy");
    assert!(traces(&house.home, &house.pictures) > 0, "the search finds what is there");
    drop(gateway);
}

#[test]
fn a_camera_is_checked_before_anybody_looks_and_with_its_light_on() {
    if lacks(&["paho", "ffmpeg", "sipp"]) {
        return;
    }
    let house = house();
    let _gateway = Gateway::start(&house.home);
    let lamp = lamp(&house.home);
    let found = || steps(&house.home).iter().find_map(|step| step["checked"]["found"].as_str().map(str::to_owned));
    eventually("the camera is checked", || format!("{:?}", steps(&house.home)), found);
    let told: Value = serde_json::from_str(&lamp.line()).expect("JSON");
    assert_eq!(told["feedback"]["light"], "steady", "{told}");
    let steps = steps(&house.home);
    assert!(steps[0]["asked"]["by"].is_null(), "nobody looks: {steps:?}");
    assert_ne!(found().as_deref(), Some("no_light"), "{steps:?}");
    let _ = &house.camera;
}

#[test]
fn without_its_lamp_nobody_looks() {
    if lacks(&["ffmpeg", "sipp", "paho"]) {
        return;
    }
    let house = house();
    let _gateway = Gateway::start(&house.home);
    let found = || steps(&house.home).iter().find_map(|step| step["checked"]["found"].as_str().map(str::to_owned));
    eventually("the check has ended", || format!("{:?}", steps(&house.home)), found);
    assert_eq!(found().as_deref(), Some("no_light"));
}
