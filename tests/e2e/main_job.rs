//! The main job as a newcomer would try it: three commands, `mosquitto_pub`, SIPp as the alarm centre.

use serde_json::Value;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, eventually, lacks, mosquitto_pub, press};

const ROW: [&str; 12] =
    ["cause", "count", "delayed", "device", "id", "lane", "raised_at", "resident", "rule", "rung", "rungs", "test"];

/// The names of the rungs in a row, in order.
fn rungs(row: &Value) -> Vec<&str> {
    let rungs = row["rungs"].as_array().unwrap_or_else(|| panic!("`rungs` is a list: {row}"));
    rungs
        .iter()
        .map(|r| r["rung"].as_str().or(r.as_str()).unwrap_or_else(|| panic!("a rung has a name: {row}")))
        .collect()
}

fn a_press_becomes_accepted(version: MqttVersion) {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start_plain("ok");
    let home = Home::literal(centre.port);
    home.device("p1", "pendant");
    let mut gateway = Gateway::start(&home);

    let published = mosquitto_pub(&home, "p1", version, "vaka/v1/p1/event", &press(7, 42));
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());

    let mrq = &centre.wait_alarms(1)[0];
    assert_eq!(mrq.get("cid"), "10149471");
    assert_eq!((mrq.code("dty"), mrq.code("stc")), (Some(3), Some(10)), "a pendant's manual alarm: {mrq:?}");
    assert!(matches!(mrq.get("mty"), "ME" | ""), "{mrq:?}");
    assert_eq!(mrq.get("crd"), "no-voice:");
    let reference = mrq.get("ref");
    assert!((1..=16).contains(&reference.len()) && reference.chars().all(|c| c.is_ascii_alphanumeric()), "{reference}");

    let row = gateway.wait_alarm("the accepted alarm", |row| row["rung"] == "accepted");
    let keys: Vec<&str> = row.as_object().expect("a row is an object").keys().map(String::as_str).collect();
    let lacks: Vec<&&str> = ROW.iter().filter(|key| !keys.contains(key)).collect();
    assert!(lacks.is_empty(), "the row has no {lacks:?}: {row}");
    assert_eq!((&row["lane"], &row["device"], &row["rule"]), (&"life".into(), &"p1".into(), &"trigger".into()));
    assert_eq!((&row["count"], &row["delayed"], &row["test"]), (&1.into(), &false.into(), &false.into()));
    assert!(row["cause"].to_string().contains("button"), "{row}");
    assert_eq!(rungs(&row), ["stored", "sent", "received", "accepted"]);
    assert!((row["raised_at"].as_i64().expect("UTC milliseconds") - vaka_tests::now_ms()).abs() < 60_000, "{row}");
    assert_eq!(centre.accepted(), [reference]);

    // A person takes it and ends it: by the command line here, while the gateway runs.
    let id = row["id"].as_str().expect("an id");
    home.vaka(&["alarm", "claim", id, "--by", "anna"]).ok();
    let claimed = gateway.wait_alarm("the claimed alarm", |row| row["rung"] == "claimed");
    assert_eq!(claimed["id"], row["id"]);
    home.vaka(&["alarm", "close", id, "--by", "anna", "--note", "helped up"]).ok();
    eventually("an empty list", || gateway.tail(), || home.alarms().is_empty().then_some(()));
    let all = home.vaka(&["alarm", "list", "--all", "--json"]).ok().rows();
    let closed = all.iter().find(|row| row["id"] == id).expect("closed alarms are in `list --all`");
    assert_eq!(rungs(closed), ["stored", "sent", "received", "accepted", "claimed", "closed"]);

    // The next press is a new alarm: what was closed cannot mute it.
    assert_eq!(mosquitto_pub(&home, "p1", version, "vaka/v1/p1/event", &press(7, 43)).code, 0);
    let next = gateway.wait_alarm("the next alarm accepted", |row| row["rung"] == "accepted");
    assert_ne!(next["id"], id);
    let references: Vec<String> = centre.alarms().iter().map(|mrq| mrq.get("ref").to_owned()).collect();
    assert_eq!(references.len(), 2);
    assert_ne!(references[0], references[1]);
    assert!(gateway.stop().success());
}

#[test]
fn a_press_over_mqtt_311_is_accepted_by_the_alarm_centre() {
    a_press_becomes_accepted(MqttVersion::V311);
}

#[test]
fn a_press_over_mqtt_5_is_accepted_by_the_alarm_centre() {
    a_press_becomes_accepted(MqttVersion::V5);
}

#[test]
fn presses_before_anybody_took_the_alarm_join_it_and_are_sent_again_under_a_new_ref() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    let gateway = Gateway::start(&home);
    for seq in 1..=3 {
        assert_eq!(mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq)).code, 0);
    }
    let alarms = centre.wait_alarms(3);
    let mut references: Vec<&str> = alarms.iter().map(|mrq| mrq.get("ref")).collect();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), 3, "each press under a ref of its own: {alarms:?}");
    let row = gateway.wait_alarm("the alarm with three presses", |row| row["count"] == 3 && row["rung"] == "accepted");
    assert_eq!(home.alarms().len(), 1, "{row}");
}

#[test]
fn a_cancel_is_passed_on_and_hides_nothing() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    let gateway = Gateway::start(&home);
    let publish =
        |payload: &str| assert_eq!(mosquitto_pub(&home, "p1", MqttVersion::V311, "vaka/v1/p1/event", payload).code, 0);
    publish(&press(1, 1));
    gateway.wait_alarm("the press accepted", |row| row["rung"] == "accepted");
    publish(&vaka_tests::event(1, 2, r#"{"cancel":{}}"#));
    let alarms = centre.wait_alarms(2);
    assert_eq!(alarms[1].code("stc"), Some(19), "{alarms:?}");
    assert_eq!(home.alarms().len(), 1, "the alarm stays open until a person closes it");
}
