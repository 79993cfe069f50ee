//! Alarm centres that behave as real ones do: refuse, stay silent, answer late, wrongly, or only over TLS.

use std::time::Duration;

use toml_edit::value;
use vaka_tests::{Centre, Gateway, Home, Kamailio, MqttVersion, eventually, free_port, lacks, mosquitto_pub, press};

/// Short deadlines, so that silence is noticed within a test; a heartbeat every second marks the time.
fn impatient(home: &Home) {
    home.edit(|config| {
        for receiver in config["receiver"].as_array_of_tables_mut().expect("receivers").iter_mut() {
            receiver["received_deadline_ms"] = value(1_500);
            receiver["accepted_deadline_ms"] = value(1_500);
            receiver["heartbeat_interval_s"] = value(1);
        }
    });
}

fn press_p1(home: &Home, gateway: &Gateway) {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1));
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
}

/// How often the journal says that a notice of the alarm was accepted.
fn accepted_records(home: &Home) -> usize {
    home.export().iter().filter(|record| record.to_string().contains(r#""accepted""#)).count()
}

/// Waits for two more heartbeats: whatever was about to be sent has been by then.
fn two_heartbeats(centre: &Centre, gateway: &Gateway) {
    let count = || centre.messages().iter().filter(|mrq| mrq.get("mty") == "PI").count();
    let before = count();
    eventually("two more heartbeats", || gateway.tail(), || (count() >= before + 2).then_some(()));
}

/// The scenario ends with the alarm accepted exactly once, under one ref however often it was sent; a restart sends nothing again.
fn ends_in_accepted(scenario: &str, attempts_min: usize) {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let mut centre = Centre::start(scenario);
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    impatient(&home);
    let mut gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    let alarms: Vec<_> = centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).collect();
    assert!(alarms.len() >= attempts_min, "{scenario}: {alarms:?}");
    assert!(alarms.iter().all(|mrq| mrq.get("ref") == alarms[0].get("ref")), "one ref for all attempts: {alarms:?}");
    assert!(alarms.iter().all(|mrq| mrq == &alarms[0]), "the same words for all attempts: {alarms:?}");
    assert!(centre.accepted().contains(&alarms[0].get("ref").to_owned()), "{}", centre.log().join("\n"));
    assert_eq!(accepted_records(&home), 1, "{}", gateway.tail());

    gateway.restart();
    two_heartbeats(&centre, &gateway);
    let after = centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).count();
    assert_eq!(after, alarms.len(), "sent again after a restart:\n{}", centre.log().join("\n"));
    assert_eq!(accepted_records(&home), 1);
    assert!(centre.is_running(), "SIPp itself did not survive");
}

#[test]
fn refused_with_503_then_accepted() {
    ends_in_accepted("refuse-503-then-ok", 2);
}

#[test]
fn accepted_by_a_centre_that_says_202() {
    ends_in_accepted("accepted-202", 1);
}

#[test]
fn silent_at_first_then_accepted() {
    ends_in_accepted("silent-then-ok", 2);
}

#[test]
fn received_but_never_confirmed_is_sent_again() {
    ends_in_accepted("received-only-then-ok", 2);
}

#[test]
fn not_treated_is_not_accepted() {
    ends_in_accepted("not-treated-then-ok", 2);
}

#[test]
fn an_mrs_for_another_ref_accepts_nothing() {
    ends_in_accepted("wrong-ref-then-ok", 2);
}

#[test]
fn an_mrs_before_the_200_counts() {
    ends_in_accepted("mrs-before-200", 1);
}

#[test]
fn a_late_mrs_counts_once() {
    ends_in_accepted("late-mrs", 1);
}

#[test]
fn a_dead_first_receiver_is_passed_by() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let second = Centre::start("ok");
    let home = Home::init();
    home.receiver("first", &format!("sip:127.0.0.1:{};transport=tcp", free_port()), &[]);
    home.receiver("second", &format!("sip:127.0.0.1:{};transport=tcp", second.port), &[]);
    home.device("p1", "pendant");
    impatient(&home);
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("accepted by the second", |row| row["lane"] == "life" && row["rung"] == "accepted");
    let life = second.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).count();
    assert_eq!(life, 1);
}

#[test]
fn a_receiver_that_only_says_200_is_not_enough_the_next_is_told() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let (first, second) = (Centre::start("silent-then-ok"), Centre::start("ok"));
    let home = Home::init();
    home.receiver("first", &format!("sip:127.0.0.1:{};transport=tcp", first.port), &[]);
    home.receiver("second", &format!("sip:127.0.0.1:{};transport=tcp", second.port), &[]);
    home.device("p1", "pendant");
    impatient(&home);
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("accepted by one of them", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert_eq!(first.alarms()[0].get("ref"), first.alarms().last().expect("an alarm").get("ref"));
    assert_eq!(accepted_records(&home), 1);
}

/// A home whose centre stands behind Kamailio; `change` has the last word on the receiver's table.
fn home_behind_tls(kamailio: &Kamailio, change: impl FnOnce(&mut toml_edit::Table)) -> Home {
    let home = Home::init();
    let file = |name: &str| kamailio.file(name).display().to_string();
    let more = [("cert", file("client-cert.pem")), ("key", file("client-key.pem")), ("pin", kamailio.pin().to_owned())];
    let more: Vec<(&str, &str)> = more.iter().map(|(key, text)| (*key, text.as_str())).collect();
    home.receiver("larmcentral", &format!("sips:127.0.0.1:{}", kamailio.tls_port), &more);
    home.device("p1", "pendant");
    impatient(&home);
    home.edit(|config| {
        change(config["receiver"].as_array_of_tables_mut().expect("receivers").get_mut(0).expect("one receiver"));
    });
    home
}

#[test]
fn over_tls_with_a_client_certificate_and_a_pin() {
    if lacks(&["sipp", "kamailio", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let kamailio = Kamailio::start(centre.port);
    let home = home_behind_tls(&kamailio, |_| {});
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert!(kamailio.log().contains("cn=gw-0001"), "the proxy saw the gateway's certificate:\n{}", kamailio.log());
    let life = centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).count();
    assert_eq!(life, 1);
    assert_eq!(accepted_records(&home), 1);
}

#[test]
fn over_tls_judged_by_its_authority() {
    if lacks(&["sipp", "kamailio", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let kamailio = Kamailio::start(centre.port);
    let home = home_behind_tls(&kamailio, |receiver| {
        receiver.remove("pin");
        receiver["ca"] = value(kamailio.file("ca.pem").display().to_string());
    });
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
}

#[test]
fn an_expired_receiver_with_the_pinned_key_is_still_told_and_without_a_pin_is_not() {
    if lacks(&["sipp", "kamailio", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let kamailio = Kamailio::start_expired(centre.port);
    let home = home_behind_tls(&kamailio, |_| {});
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    gateway.wait_log("certificate has ended");

    // Without a pin there is nothing but the certificate to trust, and it is over.
    let home_over = home_behind_tls(&kamailio, |receiver| {
        receiver.remove("pin");
        receiver["ca"] = value(kamailio.file("ca.pem").display().to_string());
    });
    drop(gateway);
    let gateway = Gateway::start(&home_over);
    press_p1(&home_over, &gateway);
    gateway.wait_alarm("the path said to be down", |row| row["lane"] == "technical");
    assert_eq!(centre.alarms().iter().filter(|mrq| mrq.code("dty") == Some(3)).count(), 1, "{:?}", centre.log());
}

#[test]
fn a_receiver_with_another_key_than_the_pinned_one_gets_nothing() {
    if lacks(&["sipp", "kamailio", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let kamailio = Kamailio::start(centre.port);
    let home = home_behind_tls(&kamailio, |receiver| receiver["pin"] = value("00".repeat(32)));
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm, not delivered", |row| row["lane"] == "life");
    gateway.wait_log("pin");
    assert!(centre.messages().is_empty(), "{}", centre.log().join("\n"));
    let reached = |row: &serde_json::Value| row["rung"] == "received" || row["rung"] == "accepted";
    assert!(!home.alarms().iter().any(reached), "{:?}", home.alarms());
}

#[test]
fn a_receiver_that_wants_a_client_certificate_refuses_a_gateway_without() {
    if lacks(&["sipp", "kamailio", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let kamailio = Kamailio::start(centre.port);
    let home = home_behind_tls(&kamailio, |receiver| {
        receiver.remove("cert");
        receiver.remove("key");
    });
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm, not delivered", |row| row["lane"] == "life");
    eventually(
        "the path said to be down",
        || gateway.tail(),
        || home.export().iter().any(|record| record.to_string().contains(r#""up":false"#)).then_some(()),
    );
    assert!(centre.messages().is_empty(), "{}", centre.log().join("\n"));
}

#[test]
fn the_longest_silence_of_the_centre_is_only_a_matter_of_time() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let port = free_port();
    let home = Home::init();
    home.centre(port).device("p1", "pendant");
    impatient(&home);
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    // Several attempts fail before anybody listens.
    eventually(
        "the path said to be down",
        || gateway.tail(),
        || home.export().iter().any(|record| record.to_string().contains(r#""up":false"#)).then_some(()),
    );
    let _centre = Centre::start_on("ok", port);
    gateway.wait_alarm_within(Duration::from_secs(60), "the alarm accepted", |row| {
        row["lane"] == "life" && row["rung"] == "accepted"
    });
}

#[test]
fn a_centre_that_asks_for_a_password_gets_a_digest() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("digest");
    let home = Home::init();
    std::fs::write(home.path("centre-password"), "hemligt\n").expect("writing the password");
    let url = format!("sip:127.0.0.1:{};transport=tcp", centre.port);
    home.receiver("larmcentral", &url, &[("user", "gateway"), ("password_file", "centre-password")]);
    home.device("p1", "pendant");
    impatient(&home);
    let gateway = Gateway::start(&home);
    press_p1(&home, &gateway);
    gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert!(centre.log().iter().any(|line| line.starts_with("CHALLENGED")), "{}", centre.log().join("\n"));
    assert_eq!(accepted_records(&home), 1);
    let told = format!("{}{}", gateway.log(), home.export().iter().map(ToString::to_string).collect::<String>());
    assert!(!told.contains("hemligt"), "the password stands in the log or the journal");
}
