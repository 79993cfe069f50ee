//! A technician's visit in the real program: it ends when every device has rung through to the centre, and not before.

use serde_json::{Value, json};
use toml_edit::value;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, Paho, event, lacks, press};

/// SCAIP status code of a test.
const TEST: u32 = 102;

fn home_of_two(centre: &Centre) -> Home {
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant").device("bed", "bed-sensor");
    home.edit(|config| {
        config["receiver"][0]["heartbeat_interval_s"] = value(1);
        config["gateway"]["language"] = value("en");
    });
    home
}

/// The lines of the visit: light by name.
fn light(home: &Home, name: &str) -> String {
    let status = home.vaka(&["visit", "status", "--json"]).rows().remove(0);
    let lines = status["lines"].as_array().cloned().unwrap_or_default();
    let line = lines.iter().find(|line| line["line"] == name).unwrap_or_else(|| panic!("no line {name}: {status}"));
    line["light"].as_str().unwrap_or_default().to_owned()
}

/// Light and words of the doctor's row of a device, and its exit code.
fn doctor(home: &Home, device: &str) -> (i32, String, String) {
    let output = home.vaka(&["check", "--json"]);
    let said = output.rows().remove(0);
    let rows = said["devices"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["device"] == device).unwrap_or_else(|| panic!("no {device}: {said}"));
    let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (output.code, word("light"), word("found"))
}

#[track_caller]
fn wait_green(home: &Home, gateway: &Gateway<'_>, line: &str) {
    vaka_tests::eventually(
        &format!("{line} green"),
        || gateway.tail(),
        || (light(home, line) == "green").then_some(()),
    );
}

#[test]
fn a_visit_ends_with_a_signed_protocol_once_every_device_has_rung_through_and_not_before() {
    if lacks(&["sipp", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home_of_two(&centre);
    let without = home.vaka(&["visit", "start", "--by", "ture"]);
    assert!(without.code == 1 && without.stderr.contains("does not run"), "{without:?}");
    let mut gateway = Gateway::start(&home);
    let (code, colour, found) = doctor(&home, "p1");
    assert!(code == 1 && colour == "red" && found.contains("has never rung through to a person"), "{found}");

    let begun = home.vaka(&["visit", "start", "--by", "ture"]);
    assert!(begun.code == 1 && begun.stdout.contains("p1/press"), "{begun:?}");
    let mut pendant = Paho::new(&home, "p1", MqttVersion::V5).connect();
    pendant.subscribe("vaka/v1/p1/command");
    let mut bed = Paho::new(&home, "bed", MqttVersion::V5).connect();
    home.vaka(&["visit", "arm", "p1"]).ok();
    pendant.event(&press(1, 1));
    let test = gateway.wait_alarm("the test, accepted", |row| row["test"] == true && row["rung"] == "accepted");
    assert_eq!((test["device"].as_str(), test["lane"].as_str()), (Some("p1"), Some("test")), "{test}");
    let at_centre = centre.wait_alarms(1);
    assert!(at_centre[0].code("stc") == Some(TEST) && at_centre[0].get("dte").starts_with("TEST "), "{at_centre:?}");
    let told = pendant.take_until("accepted");
    assert!(told.iter().any(|message| message["payload"].as_str().is_some_and(|p| p.contains("receipt"))), "{told:?}");
    home.vaka(&["visit", "seen", "p1"]).ok();

    // The press after the agreed one is a call for help.
    pendant.event(&press(1, 2));
    let real = gateway.wait_alarm("a real alarm", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert_eq!((real["device"].as_str(), real["cause"].as_str()), (Some("p1"), Some("button")), "{real}");
    assert!(centre.wait_alarms(2).iter().any(|mrq| mrq.code("stc") == Some(10)), "the centre takes it as real");
    home.vaka(&["alarm", "close", real["id"].as_str().expect("an id"), "--by", "anna"]).ok();

    for (seq, body) in [(3, r#"{"battery":{"percent":88}}"#), (4, r#"{"signal":{"rssi_dbm":-61}}"#)] {
        pendant.event(&event(1, seq, body));
    }
    for seq in 5..=6 {
        pendant.event(&event(1, seq, r#"{"signal":{"rssi_dbm":-70}}"#));
    }
    home.vaka(&["visit", "measured", "bed", "--signal-dbm", "-60", "--battery-percent", "90"]).ok();
    bed.event(&event(1, 1, r#"{"bed":{"occupied":false}}"#));

    gateway.restart();
    pendant.reconnect();
    bed.reconnect();
    wait_green(&home, &gateway, "p1/press");
    wait_green(&home, &gateway, "gateway/paths");
    let refused = home.vaka(&["visit", "finish", "--out", "h/out"]);
    assert!(refused.code == 1 && !home.path("out").exists(), "{refused:?}");
    assert!(refused.stderr.contains("1 lines are red") && refused.stderr.contains("bed/press"), "{refused:?}");

    home.vaka(&["visit", "arm", "bed"]).ok();
    bed.event(&event(1, 2, r#"{"bed":{"occupied":true}}"#));
    wait_green(&home, &gateway, "bed/press");
    let finished = home.vaka(&["visit", "finish", "--out", "h/out"]).ok();
    let files: Vec<&str> = finished.stdout.lines().collect();
    let [html, signed] = files[..] else { panic!("a page and a signed file: {finished:?}") };
    let page = std::fs::read_to_string(home.dir().join(html)).expect("the page");
    for part in ["All is in order", "-70 dBm", "88 %", "→ larmcentral", "ture"] {
        assert!(page.contains(part), "`{part}` is missing:\n{page}");
    }
    let verified = home.vaka(&["visit", "verify", signed]).ok();
    assert!(verified.stdout.contains("visit finished by ture"), "{verified:?}");
    let mut file: Value =
        serde_json::from_str(&std::fs::read_to_string(home.dir().join(signed)).expect("signed")).expect("JSON");
    file["protocol"]["finished_by"] = json!("nobody");
    std::fs::write(home.path("out/changed.json"), file.to_string()).expect("written");
    let changed = home.vaka(&["visit", "verify", "h/out/changed.json"]);
    assert!(changed.code == 1 && changed.stderr.contains("changed"), "{changed:?}");

    assert!(home.alarms().iter().all(|row| row["test"] != true), "tests are put away: {:?}", home.alarms());
    let (_, colour, found) = doctor(&home, "p1");
    assert!(colour != "red" && found.contains("rang through to larmcentral"), "{colour} {found}");
    drop(gateway);
    let (code, _, found) = doctor(&home, "p1");
    assert!(code == 1 && found.contains("rang through to larmcentral"), "also where no gateway runs: {found}");
}

#[test]
fn a_button_that_was_never_pressed_keeps_the_visit_open_until_it_is_somebodys() {
    if lacks(&["sipp", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home_of_two(&centre);
    home.vaka(&["device", "remove", "bed"]).ok();
    let gateway = Gateway::start(&home);
    home.vaka(&["visit", "start", "--by", "ture"]);
    home.vaka(&["visit", "measured", "p1", "--signal-dbm", "-50", "--battery-percent", "100"]).ok();
    wait_green(&home, &gateway, "gateway/paths");
    let skipped = home.vaka(&["visit", "seen", "p1"]);
    assert_eq!(skipped.code, 1, "what nobody pressed has shown nothing: {skipped:?}");
    let refused = home.vaka(&["visit", "finish"]);
    assert!(refused.code == 1 && refused.stderr.contains("p1/press"), "{refused:?}");
    for line in ["p1/heard", "p1/press", "p1/seen"] {
        home.vaka(&["visit", "hand-over", line, "--reason", "she is in hospital with it", "--to", "ulla"]).ok();
    }
    let finished = home.vaka(&["visit", "finish", "--out", "h/out"]).ok();
    let page = std::fs::read_to_string(home.dir().join(finished.stdout.lines().next().expect("a page"))).expect("it");
    assert!(page.contains("Not in order: p1.") && page.contains("she is in hospital with it"), "{page}");
    let open = gateway.wait_alarm("the hand-over, told", |row| row["cause"] == "handed-over press");
    assert_eq!((open["lane"].as_str(), open["device"].as_str()), (Some("technical"), Some("p1")), "{open}");
    let (code, colour, _) = doctor(&home, "p1");
    assert!(code == 1 && colour == "red", "the doctor is not content");
    let plain = home.vaka(&["check", "--plain", "--lang", "sv"]).stdout;
    assert!(plain.starts_with("Något fungerar inte.") && plain.contains("Be en tekniker"), "{plain}");
}
