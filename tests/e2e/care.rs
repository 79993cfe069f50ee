//! The care rules in the real program: what is due comes once, by itself, through kills and reloads, and says why.

use jiff::ToSpan;
use serde_json::{Value, json};
use toml_edit::value;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, Paho, event, lacks};

/// Adds tables to vaka.toml.
fn agree(home: &Home, tables: &str) {
    let text = std::fs::read_to_string(home.config()).expect("init wrote vaka.toml");
    std::fs::write(home.config(), format!("{text}\n{tables}")).expect("writing vaka.toml");
}

/// Local time of the home, so many minutes from now.
fn in_minutes(minutes: i64) -> jiff::civil::Time {
    let stockholm = jiff::tz::TimeZone::get("Europe/Stockholm").expect("bundled");
    (jiff::Timestamp::now() + minutes.minutes()).to_zoned(stockholm).time()
}

fn hm(time: jiff::civil::Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// Decisions of this kind in the journal.
fn decided(home: &Home, kind: &str) -> Vec<Value> {
    let all = home
        .records("decisions")
        .into_iter()
        .flat_map(|record| record["decisions"].as_array().cloned().unwrap_or_default());
    all.filter_map(|decision| decision.get(kind).cloned()).collect()
}

#[test]
fn a_door_opened_at_night_is_told_once_says_why_and_is_news_again_after_a_person_has_closed_it() {
    if lacks(&["sipp", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("front", "door-sensor");
    home.edit(|config| config["device"][0]["exit"] = value(true));
    let (from, until) = (hm(in_minutes(-120)), hm(in_minutes(240)));
    agree(
        &home,
        &format!("[[device]]\nid = \"bed\"\nkind = \"bed-sensor\"\n[night]\nfrom = \"{from}\"\nuntil = \"{until}\"\n"),
    );
    let mut gateway = Gateway::start(&home);
    let mut front = Paho::new(&home, "front", MqttVersion::V5).connect();
    front.event(&event(1, 1, r#"{"door":{"open":true}}"#));
    front.event(&event(1, 2, r#"{"door":{"open":false}}"#));
    let is_door = |row: &Value| row["rule"] == "night" && row["cause"] == "door";
    let row = gateway.wait_alarm("the door, accepted", |row| is_door(row) && row["rung"] == "accepted");
    assert_eq!((row["lane"].as_str(), row["resident"].as_str()), (Some("care"), Some("resident")), "{row}");
    let at_centre = centre.wait_alarms(1);
    assert_eq!(at_centre.iter().filter(|mrq| mrq.code("dty") == Some(14)).count(), 1, "{at_centre:?}");

    let id = row["id"].as_str().expect("an id").to_owned();
    let shown = home.vaka(&["alarm", "show", &id]).ok().stdout;
    for part in ["front", "rule night version 1", "seen", "agreed", "night."] {
        assert!(shown.contains(part), "`{part}` is missing:\n{shown}");
    }

    gateway.restart();
    front.reconnect();
    front.event(&event(1, 3, r#"{"alive":{}}"#));
    assert_eq!(
        decided(&home, "raise").iter().filter(|raise| raise["rule"] == "night").count(),
        1,
        "raised by the restart"
    );

    home.vaka(&["alarm", "close", &id, "--by", "anna"]).ok();
    front.event(&event(1, 4, r#"{"door":{"open":true}}"#));
    gateway.wait_alarm("the next opening", |row| is_door(row) && row["id"] != id.as_str());

    // Not agreed any more: from now on an opening is nobody's business.
    home.edit(|config| config["night"]["door"] = value("off"));
    let noted = decided(&home, "note").len();
    gateway.reload();
    vaka_tests::eventually(
        "the new agreement is noted",
        || gateway.tail(),
        || (decided(&home, "note").len() > noted).then_some(()),
    );
    front.event(&event(1, 5, r#"{"door":{"open":false}}"#));
    front.event(&event(1, 6, r#"{"door":{"open":true}}"#));
    let doors = decided(&home, "raise").into_iter().filter(|raise| raise["cause"] == "door").count();
    assert_eq!(doors, 2, "an opening was told that is not agreed");
}

#[test]
fn a_reminder_comes_at_its_time_once_though_the_gateway_is_killed_before_and_after() {
    if lacks(&["paho"]) {
        return;
    }
    let home = Home::init();
    home.device("lamp", "feedback");
    // A whole minute, and time to start: at most a minute and a half from now.
    let now = in_minutes(0);
    let at = in_minutes(if now.second() < 35 { 1 } else { 2 });
    agree(&home, &format!("[[reminder]]\ndevice = \"lamp\"\nat = \"{}\"\ntext = \"Dags för gymmet\"\n", hm(at)));
    let mut gateway = Gateway::start(&home);
    gateway.restart();
    let mut lamp = Paho::new(&home, "lamp", MqttVersion::V5).connect();
    lamp.subscribe("vaka/v1/lamp/command");
    vaka_tests::eventually_within(
        std::time::Duration::from_secs(120),
        "the reminder is decided",
        || gateway.tail(),
        || (!decided(&home, "send").is_empty()).then_some(()),
    );
    let messages = lamp.take_until("gymmet");
    let reminders: Vec<Value> = messages
        .iter()
        .filter_map(|message| serde_json::from_str(message["payload"].as_str()?).ok())
        .filter(|command: &Value| command["command"]["reminder"]["text"] == "Dags för gymmet")
        .collect();
    assert_eq!(reminders.len(), 1, "{messages:?}");
    let done = json!({"done": {"id": reminders[0]["id"], "outcome": "done"}});
    lamp.event(&event(1, 1, &done.to_string()));
    gateway.restart();
    lamp.reconnect();
    lamp.event(&event(1, 2, r#"{"alive":{}}"#));
    assert_eq!(decided(&home, "send").len(), 1, "reminded again by the restart");
}
