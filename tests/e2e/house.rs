//! Keeping house: a healthy run's log, a home without a receiver, reload, a centre that goes and comes back.

use toml_edit::value;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, eventually, free_port, lacks, mosquitto_pub, press};

fn publish(home: &Home, gateway: &Gateway, device: &str, payload: &str) {
    let published = mosquitto_pub(home, device, MqttVersion::V5, &format!("vaka/v1/{device}/event"), payload);
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
}

#[test]
fn the_log_of_a_healthy_run_is_clean() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant").device("b1", "bed-sensor");
    let mut gateway = Gateway::start(&home);
    publish(&home, &gateway, "p1", &press(1, 1));
    publish(&home, &gateway, "b1", &vaka_tests::event(1, 1, r#"{"bed":{"occupied":true}}"#));
    let row = gateway.wait_alarm("the accepted alarm", |row| row["rung"] == "accepted");
    let id = row["id"].as_str().expect("an id");
    home.vaka(&["alarm", "claim", id, "--by", "anna"]).ok();
    home.vaka(&["alarm", "close", id, "--by", "anna"]).ok();
    assert!(gateway.stop().success(), "{}", gateway.tail());
    let log = gateway.log();
    let unclean: Vec<&str> =
        log.lines().filter(|line| ["WARN", "ERROR", "panicked"].iter().any(|word| line.contains(word))).collect();
    assert!(unclean.is_empty(), "{}", unclean.join("\n"));
    for secret in ["PRIVATE KEY", r#""press""#] {
        assert!(!log.contains(secret), "the log tells {secret}");
    }
}

#[test]
fn a_home_without_a_receiver_starts_warns_keeps_the_alarm_and_sends_it_when_one_is_configured() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let home = Home::init();
    home.device("p1", "pendant");
    let gateway = Gateway::start(&home);
    gateway.wait_log("WARN");
    publish(&home, &gateway, "p1", &press(1, 1));
    let stored = gateway.wait_alarm("the alarm, stored", |row| row["rung"] == "stored");
    let check = home.vaka(&["check"]);
    assert_eq!(check.code, 1, "{check:?}");

    let centre = Centre::start("ok");
    home.centre(centre.port);
    gateway.reload();
    let accepted = gateway.wait_alarm("the same alarm, accepted", |row| row["rung"] == "accepted");
    assert_eq!(accepted["id"], stored["id"]);
    assert_eq!(centre.accepted().len(), 1);
}

#[test]
fn a_reload_is_all_or_nothing() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let (old, new) = (Centre::start("ok"), Centre::start("ok"));
    let home = Home::init();
    home.centre(old.port).device("p1", "pendant");
    let gateway = Gateway::start(&home);
    let good = std::fs::read_to_string(home.config()).expect("vaka.toml");

    // A new receiver and, beside it, a key that does not exist: neither is taken.
    let url = format!("sip:127.0.0.1:{};transport=tcp", new.port);
    home.edit(|config| {
        config["receiver"][0]["url"] = value(&url);
        config["gateway"]["langauge"] = value("sv");
    });
    gateway.reload();
    gateway.wait_log("langauge");
    publish(&home, &gateway, "p1", &press(1, 1));
    assert_eq!(old.wait_alarms(1).len(), 1);
    assert!(new.messages().is_empty(), "half a configuration was taken");

    // The same without the mistake.
    std::fs::write(home.config(), good).expect("writing vaka.toml");
    home.edit(|config| config["receiver"][0]["url"] = value(&url));
    gateway.reload();
    eventually("a message at the new receiver", || gateway.tail(), || (!new.messages().is_empty()).then_some(()));
    publish(&home, &gateway, "p1", &press(1, 2));
    new.wait_alarms(1);
    assert_eq!(old.alarms().len(), 1);
}

#[test]
fn an_alarm_raised_while_the_centre_is_away_reaches_it_when_it_is_back_also_across_a_restart() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let port = free_port();
    let home = Home::init();
    home.centre(port).device("p1", "pendant");
    let mut gateway = Gateway::start(&home);
    publish(&home, &gateway, "p1", &press(1, 1));
    let raised = gateway.wait_alarm("the alarm", |row| row["lane"] == "life");
    gateway.restart();
    let centre = Centre::start_on("ok", port);
    let accepted = gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert_eq!(accepted["id"], raised["id"]);
    let life: Vec<_> = centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).collect();
    assert_eq!(life.len(), 1, "{life:?}");
}

#[test]
fn a_device_added_while_the_gateway_runs_connects_and_one_removed_is_refused() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = Home::init();
    home.device("p1", "pendant");
    let gateway = Gateway::start(&home);
    home.device("p2", "pendant");
    gateway.reload();
    let device_is_known = |id: &'static str| {
        let home = &home;
        move || {
            let topic = format!("vaka/v1/{id}/event");
            mosquitto_pub(home, id, MqttVersion::V311, &topic, &vaka_tests::event(1, 1, r#"{"alive":{}}"#)).code == 0
        }
    };
    let p2 = device_is_known("p2");
    eventually("p2 admitted", || gateway.tail(), || p2().then_some(()));
    home.vaka(&["device", "remove", "p2"]).ok();
    gateway.reload();
    eventually("p2 refused", || gateway.tail(), || (!p2()).then_some(()));
    assert!(device_is_known("p1")(), "the others are not touched");
}

#[test]
fn the_doctor_is_content_with_a_healthy_home_and_not_with_a_lost_path() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    home.edit(|config| config["receiver"][0]["heartbeat_interval_s"] = value(1));
    let gateway = Gateway::start(&home);
    gateway.wait_log("path up");
    assert_eq!(home.vaka(&["check"]).code, 1, "the pendant has never rung through to anybody");
    publish(&home, &gateway, "p1", &press(1, 1));
    gateway.wait_alarm("the press, accepted", |row| row["rung"] == "accepted");
    home.vaka(&["check"]).ok();
    drop(centre);
    eventually(
        "the doctor to see the lost path",
        || gateway.tail(),
        || (home.vaka(&["check"]).code == 1).then_some(()),
    );
}
