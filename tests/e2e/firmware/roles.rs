//! Every role but the pendant's and the dispenser's: what its parts show reaches the journal once, and raises what it should.

use serde_json::{Value, json};
use vaka_tests::{Board, Centre, Gateway, Home, lacks, lacks_firmware};

use crate::traces::{ON_BACK, SEATED, Sample, Trace, UPRIGHT};
use crate::{chosen, count, flash_for, wait_event};

/// A sensor on a wire: its kind, what a test's hand does, the event that comes of it, and the cause that is raised for it.
type Sensor = (&'static str, &'static [&'static str], &'static str, Option<&'static str>);

const SENSORS: [Sensor; 11] = [
    ("door-sensor", &["skip 100", "level 1", "skip 100"], r#"{"door":{"open":true}}"#, None),
    // It sees ghosts for a minute after it was switched on.
    ("motion-sensor", &["skip 61000", "level 1", "skip 100", "level 0", "skip 1000"], r#"{"motion":{}}"#, None),
    ("bed-sensor", &["skip 6000", "mv 1800", "skip 3000"], r#"{"bed":{"occupied":true}}"#, None),
    ("chair-sensor", &["skip 6000", "mv 1800", "skip 3000"], r#"{"chair":{"occupied":true}}"#, None),
    ("mat-sensor", &["skip 2000", "mv 1800", "skip 300"], r#"{"mat":{"pressed":true}}"#, None),
    ("heat-detector", &["skip 20000", "mv 600", "skip 15000"], r#"{"heat":{"active":true}}"#, Some("heat")),
    ("smoke-detector", &["skip 1000", "mv 505", "skip 1000"], r#"{"smoke":{"active":true}}"#, Some("smoke")),
    ("gas-detector", &["skip 1000", "mv 505", "skip 1000"], r#"{"gas":{"active":true}}"#, Some("gas")),
    ("co-detector", &["skip 1000", "mv 505", "skip 1000"], r#"{"co":{"active":true}}"#, Some("co")),
    ("flood-sensor", &["skip 1000", "mv 505", "skip 1000"], r#"{"flood":{"active":true}}"#, Some("flood")),
    ("enuresis-sensor", &["skip 1000", "mv 750", "skip 7000"], r#"{"enuresis":{}}"#, Some("enuresis")),
];

#[test]
fn each_sensor_on_a_wire_tells_once_and_raises_what_it_should() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flashes = SENSORS.map(|(kind, ..)| flash_for(&home, kind, kind, ""));
    let gateway = Gateway::start(&home);
    for ((kind, lines, event, cause), flash) in SENSORS.iter().zip(&flashes) {
        let event: Value = serde_json::from_str(event).expect("an event");
        let is_it = |told: &Value| *told == event;
        let mut board = chosen(flash);
        board.wait("connected");
        // Its first event is acknowledged.
        board.wait("acked");
        assert_eq!(count(&home, kind, is_it), 0, "{kind} tells before anything happened");
        does(&mut board, lines);
        wait_event(&home, &gateway, kind, |record| record["device"] == *kind && is_it(&record["event"]));
        match cause {
            Some(cause) => {
                let row = gateway.wait_alarm(kind, |row| row["device"] == *kind && row["rung"] == "accepted");
                assert_eq!((row["cause"].as_str(), &row["count"]), (Some(*cause), &json!(1)), "{row}");
            }
            None => assert!(home.alarms().iter().all(|row| row["device"] != *kind), "{kind} alone raises nothing"),
        }
        // The power is cut and what it senses stays as it is: a wet sheet is no news.
        if *kind == "enuresis-sensor" {
            board.restart();
            board.wait("connected");
            board.wait("acked");
            does(&mut board, &["skip 30000"]);
        }
        board.kill();
        assert_eq!(count(&home, kind, is_it), 1, "{kind}");
    }
    assert_eq!(home.alarms_not_technical().len(), SENSORS.iter().filter(|(.., cause)| cause.is_some()).count());
}

#[test]
fn a_fall_calls_and_lights_the_wearers_light_and_sitting_down_hard_does_not() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash_for(&home, "f1", "fall-detector", "");
    let gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    let is_fall = |event: &Value| event.get("fall").is_some();

    does(&mut board, &["skip 5000"]);
    let sits_down_hard = Trace::new(100).drop(UPRIGHT, SEATED, 550.0, 250).impact(SEATED, 2_500.0, 120);
    feels(&mut board, &sits_down_hard, SEATED);
    does(&mut board, &["skip 60000"]);
    assert!(home.alarms_not_technical().is_empty(), "{}", board.tail());

    does(&mut board, &["feel 0 1000 0", "skip 5000"]);
    let fall =
        Trace::new(100).drop(UPRIGHT, ON_BACK, 300.0, 350).impact(ON_BACK, 3_800.0, 100).rebound(ON_BACK, 800.0, 500);
    feels(&mut board, &fall, ON_BACK);
    board.say("skip 20000");
    board.wait("light steady");
    let row = gateway.wait_alarm("the fall accepted", |row| row["cause"] == "fall" && row["rung"] == "accepted");
    assert_eq!((&row["lane"], &row["count"]), (&json!("life"), &json!(1)), "{row}");
    assert_eq!(centre.wait_alarms(1)[0].code("dty"), Some(5), "a fall sensor");

    // Who lies there is one fall, and has a button.
    does(&mut board, &["skip 120000", "press 60"]);
    board.wait("told");
    wait_event(&home, &gateway, "the press", |record| record["event"].get("button").is_some());
    assert_eq!(count(&home, "f1", is_fall), 1);
}

#[test]
fn a_seizure_calls_once_and_sleep_does_not() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash_for(&home, "s1", "seizure-sensor", "");
    let gateway = Gateway::start(&home);
    let mut board = chosen(&flash);
    board.wait("connected");
    let is_seizure = |event: &Value| event.get("seizure").is_some();

    // Ten samples of fifty a second: five times a second, 200 mg.
    let jerks = Trace::new(50).swing([0, 0, 1_000], 2, 200.0, 5.0, 200);
    does(&mut board, &["feel 0 0 1000", "skip 60000"]);
    assert_eq!(count(&home, "s1", is_seizure), 0);
    board.say(&format!("shake {}", numbers_of(&jerks.samples)));
    does(&mut board, &["skip 40000"]);
    let row = gateway.wait_alarm("the seizure accepted", |row| row["cause"] == "seizure" && row["rung"] == "accepted");
    assert_eq!((&row["lane"], &row["count"]), (&json!("life"), &json!(1)), "{row}");
    assert_eq!(count(&home, "s1", is_seizure), 1);
}

#[test]
fn a_device_whose_role_the_image_does_not_have_gives_no_sign_of_life() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash_for(&home, "c1", "vital-monitor", "");
    let mut board = chosen(&flash);
    board.wait("unprovisioned");
    assert!(board.lines().iter().all(|line| !line.starts_with("network")), "{}", board.tail());
}

/// A test's hand, line by line; what it lets pass has passed.
fn does(board: &mut Board, lines: &[&str]) {
    for line in lines {
        board.say(line);
        if line.starts_with("skip ") {
            board.wait("skipped");
        }
    }
}

/// The accelerometer feels it, and then rest.
fn feels(board: &mut Board, trace: &Trace, rest: Sample) {
    // As many as a line holds.
    for samples in trace.samples.chunks(7) {
        board.say(&format!("feel {}", numbers_of(samples)));
    }
    board.say(&format!("feel {}", numbers_of(&[rest])));
}

fn numbers_of(samples: &[Sample]) -> String {
    samples.iter().flatten().map(i16::to_string).collect::<Vec<_>>().join(" ")
}
