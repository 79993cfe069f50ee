//! Look-ins by camera against the real program: a camera on Python's HTTP server with ffmpeg's pictures, a lamp on paho, a real browser.

use serde_json::Value;
use vaka_tests::browser::browse;
use vaka_tests::{Camera, Centre, Gateway, Home, eventually, lacks, lamp, look_steps as steps, traces, with_camera};

const PEERS: [&str; 6] = ["chromium", "node", "playwright", "paho", "ffmpeg", "sipp"];

/// A home with one resident who has agreed to a look-in by camera that is open now.
struct House {
    _centre: Centre,
    home: Home,
    camera: Camera,
}

fn house() -> House {
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let camera = with_camera(&home);
    House { _centre: centre, home, camera }
}

#[test]
fn the_night_patrol_looks_in_and_the_resident_knows() {
    if lacks(&PEERS) {
        return;
    }
    let house = house();
    let gateway = Gateway::start(&house.home);
    let lamp = lamp(&house.home);
    let pictures = &house.camera.pictures;
    browse(&house.home, "look", &[("VAKA_PICTURES", &pictures.display().to_string())]);
    let light = || serde_json::from_str::<Value>(&lamp.line()).expect("JSON")["feedback"]["light"].clone();
    assert_eq!(light(), "steady");
    // The gateway's own check of the camera may have come between.
    while light() != "off" {}
    let steps = steps(&house.home);
    let asked = steps.iter().position(|step| step["asked"]["by"] == "natt-1").expect("who looked");
    assert_eq!(steps[asked]["asked"]["purpose"], "Avtalad tillsyn");
    let ended = steps.iter().find(|step| step["ended"]["why"] == "time").expect("an end");
    let shown_s = ended["ended"]["shown_ms"].as_u64().map(|ms| ms / 1_000);
    assert_eq!(shown_s, Some(15), "expired to the second: {ended}");
    assert!(steps.iter().any(|step| step["outcome"]["outcome"] == "calm"), "{steps:?}");
    // It was looked at clearly: what passed is what is searched for.
    assert!(steps.iter().any(|step| step["asked"]["clear"] == true), "{steps:?}");
    let folders = [house.home.dir()];
    assert_eq!(traces(&folders, pictures), 0, "nothing of a picture is in the journal, the log, or anywhere");
    std::fs::copy(pictures.join("01.jpg"), house.home.path("journal/found.test")).expect("a copy");
    assert!(traces(&folders, pictures) > 0, "the search finds what is there");
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
    // With a light that answers the camera itself is judged: ffmpeg's test picture is bright, has edges and moves.
    assert_eq!(found().as_deref(), Some("well"), "{steps:?}");
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
