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
    let unveiled: Vec<_> = steps.iter().filter(|step| !step["unveiled"].is_null()).collect();
    assert!(unveiled.len() == 1 && unveiled[0]["unveiled"]["by"] == "natt-1", "by name, once: {steps:?}");
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

#[test]
fn a_camera_is_checked_and_its_new_view_accepted_from_the_command_line_by_name_and_with_its_light_on() {
    if lacks(&["paho", "ffmpeg", "sipp"]) {
        return;
    }
    let house = house();
    let home = &house.home;
    // What it sees is not what it saw when it was accepted.
    home.edit(|config| {
        let elsewhere = "0f".repeat(48);
        config["camera"][0]["references"] = toml_edit::value(toml_edit::Array::from_iter([elsewhere]));
    });
    assert_eq!(home.vaka(&["camera", "check", "cam", "--by", "ture"]).code, 1, "no gateway runs");
    let gateway = Gateway::start(home);
    let lamp = lamp(home);
    // The gateway's own check comes first, and no second is begun beside it.
    let ended = || steps(home).iter().any(|step| step["ended"]["why"] == "checked").then_some(());
    eventually("the camera is checked", || gateway.tail(), ended);
    let listed = || home.vaka(&["camera", "list", "--json"]).ok().rows().remove(0);
    assert_eq!((&listed()["found"], &listed()["resident"]), (&"moved".into(), &"r1".into()), "{}", listed());

    let checked = home.vaka(&["camera", "check", "cam", "--by", "ture", "--json"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert_eq!(checked.rows()[0]["found"], "moved", "{checked:?}");
    let doctor = || home.vaka(&["check", "--json"]).rows().remove(0)["cameras"][0].clone();
    assert_eq!(doctor()["light"], "red", "{}", doctor());

    let refused = home.vaka(&["camera", "reference", "cam", "--by", "ture", "--why", " "]);
    assert!(refused.code == 1 && refused.stderr.contains("purpose"), "{refused:?}");
    let why = "moved to the other wall";
    let accepted =
        home.vaka(&["camera", "reference", "cam", "--by", "ture", "--why", why, "--json"]).ok().rows().remove(0);
    assert_eq!((&accepted["was"], &accepted["references"]), (&"moved".into(), &1.into()), "{accepted}");
    let taken_in = || home.vaka(&["camera", "check", "cam", "--by", "ture"]);
    eventually("the new view counts", || gateway.tail(), || (taken_in().code == 0).then_some(()));
    assert_eq!((&listed()["found"], &listed()["references"]), (&"well".into(), &1.into()), "{}", listed());
    assert_eq!(doctor()["light"], "green", "{}", doctor());

    let steps = steps(home);
    let trail = steps.iter().find_map(|step| step["accepted"].as_object()).expect("who accepted it");
    assert_eq!((&trail["by"], &trail["why"]), (&"ture".into(), &why.into()));
    assert!(steps.iter().any(|step| step["asked"]["purpose"] == "check by ture"), "{steps:?}");
    assert!(steps.iter().all(|step| step["asked"]["by"].is_null() && step["ended"]["shown_ms"].as_u64() != Some(1)));
    let light = || serde_json::from_str::<Value>(&lamp.line()).expect("JSON")["feedback"]["light"].clone();
    for _ in 0..2 {
        assert_eq!((light(), light()), ("steady".into(), "off".into()), "lit and put out, each time");
    }
    assert_eq!(traces(&[home.dir()], &house.camera.pictures), 0, "nothing of a picture is left anywhere");
}
