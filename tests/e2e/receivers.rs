//! Receivers other than a SCAIP centre, each judged by packages that others wrote: sos-access; standardwebhooks and jsonschema.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use toml_edit::value;
use vaka_tests::{Gateway, Home, MqttVersion, Receiver, Told, eventually, lacks, mosquitto_pub, press, python, root};

const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="];

/// A file in the home that only its owner reads.
fn private(home: &Home, name: &str, text: &str) {
    std::fs::write(home.path(name), text).expect("writing a secret");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.path(name), mode).expect("closing it to others");
}

/// Presses p1 and waits until its alarm stands on that rung.
fn press_until(home: &Home, gateway: &Gateway, rung: &str) -> Value {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1));
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
    gateway.wait_alarm(rung, |row| row["lane"] == "life" && row["rung"] == rung)
}

fn sos_home(receiver: &Receiver) -> Home {
    let home = Home::init();
    let url = format!("tls:127.0.0.1:{}", receiver.port);
    let given = [
        ("kind", "sos-access"),
        ("pin", &receiver.pin),
        ("transmitter_code", "1234567"),
        ("transmitter_type", "VAKA1"),
        ("receiver_id", "42"),
        ("password_file", "sos.pass"),
    ];
    home.receiver("sos", &url, &given);
    private(&home, "sos.pass", "hxp4x9nnwxjatv8\n");
    home.device("p1", "pendant");
    home.edit(|config| {
        config["receiver"][0]["heartbeat_interval_s"] = value(1);
        config["device"][0]["room"] = value("Vardagsrum & hall på nedre våningen, söder om köket");
    });
    home
}

fn is_alarm(told: &Told) -> bool {
    told["kind"] == "alarm"
}

#[test]
fn the_sos_access_package_reads_every_message_and_its_answer_accepts() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let receiver = Receiver::sos_access(&json!({ "statuses": [99, 5] }));
    let home = sos_home(&receiver);
    let gateway = Gateway::start(&home);
    let ping = receiver.next_that(|told| told["kind"] == "ping");
    assert_eq!((&ping["authentication"], &ping["transmitter_code"]), (&"hxp4x9nnwxjatv8".into(), &"1234567".into()));
    let row = press_until(&home, &gateway, "accepted");
    let told: Vec<Told> = (0..3).map(|_| receiver.next_that(is_alarm)).collect();
    let expected = json!({
        "kind": "alarm", "authentication": "hxp4x9nnwxjatv8", "receiver": "42", "transmitter_type": "VAKA1",
        "transmitter_code": "1234567", "alarm_type": "AL", "event_code": "QA", "detector_text": "p1",
        "section_text": "Vardagsrum & hall på nedre våningen, söd",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert!(told.iter().all(|one| &one[key] == value), "{key}: {told:#?}");
    }
    assert!(told.iter().all(|one| one["reference"] == told[0]["reference"]), "one reference for all tries: {told:#?}");
    let info = told[0]["additional_info"].as_str().expect("words for a person");
    assert!(info.contains(row["id"].as_str().expect("an id")), "{info}");
}

#[test]
fn the_sos_access_package_exchanges_the_installers_password() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let receiver = Receiver::sos_access(&json!({ "new_password": "8usedlb54a234md" }));
    let home = sos_home(&receiver);
    home.edit(|config| config["receiver"][0]["rotate_password"] = value(true));
    let mut gateway = Gateway::start(&home);
    let first = receiver.next();
    assert_eq!((&first["kind"], &first["authentication"]), (&"new password".into(), &"hxp4x9nnwxjatv8".into()));
    assert_eq!(receiver.next()["authentication"], "8usedlb54a234md");
    gateway.restart();
    press_until(&home, &gateway, "accepted");
    let told = receiver.next_that(|told| {
        assert_ne!(told["kind"], "new password", "asked again after a restart");
        is_alarm(told)
    });
    assert_eq!(told["authentication"], "8usedlb54a234md");
}

#[test]
fn a_webhook_verifies_by_certificate_and_signature_and_fits_its_schema() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let receiver = Receiver::webhook(&json!({ "secrets": SECRETS, "statuses": [503, 429] }));
    let home = Home::init();
    let file = |name: &str| receiver.file(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client-cert.pem"), file("client-key.pem"));
    let given = [("kind", "webhook"), ("ca", &*ca), ("cert", &*cert), ("key", &*key), ("secret_file", "hook.secret")];
    home.receiver("hook", &format!("https://localhost:{}/vaka?home=1", receiver.port), &given);
    private(&home, "hook.secret", &SECRETS.join("\n"));
    home.device("p1", "pendant");
    home.edit(|config| {
        config["receiver"][0]["heartbeat_interval_s"] = value(1);
        config["device"][0]["room"] = value("Sovrum");
    });
    let gateway = Gateway::start(&home);
    let ping = receiver.next_that(|told| told["body"]["type"] == "ping");
    // A webhook proves no more than that it has the alarm: there it is handed over.
    let row = press_until(&home, &gateway, "received");
    eventually(
        "handed over",
        || gateway.tail(),
        || home.alarms().iter().any(|now| now["id"] == row["id"] && now["handed_over"] == true).then_some(()),
    );
    let told: Vec<Told> = (0..3).map(|_| receiver.next_that(|told| told["body"]["data"]["lane"] == "life")).collect();
    for one in told.iter().chain([&ping]) {
        assert_eq!(
            (&one["faults"], &one["signed"], &one["peer"]),
            (&json!([]), &json!(true), &"gw-0001".into()),
            "{one}"
        );
        assert_eq!(one["path"], "/vaka?home=1");
    }
    assert!(told.iter().all(|one| one["id"] == told[0]["id"] && one["body"] == told[0]["body"]), "{told:#?}");
    assert_eq!(told[0]["body"]["data"]["alarm"], row["id"]);
    assert_eq!(told[0]["body"]["data"]["room"], "Sovrum");
    // A ping and an alarm at the same time take two; nothing takes a third.
    let mut connections: Vec<String> = told.iter().chain([&ping]).map(|one| one["client"].to_string()).collect();
    connections.sort();
    connections.dedup();
    assert!(connections.len() <= 2, "{connections:?}");
}

#[test]
fn the_webhook_schema_refuses_what_is_not_so() {
    if lacks(&["paho"]) {
        return;
    }
    let judge = "import json, sys, jsonschema\n\
        schema = json.load(open(sys.argv[1]))\n\
        v = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())\n\
        print(json.dumps([v.is_valid(one) for one in json.load(sys.stdin)]))\n";
    let good = json!({"type": "alarm.raised", "timestamp": "2026-11-20T22:05:45.001Z", "data": {"gateway": "gw-1", "alarm": "a",
        "notice": 1, "lane": "life", "device": "p1", "cause": "button", "text": "", "dty": 3, "stc": 10, "delayed": false, "count": 1, "test": false}});
    let with = |pointer: &str, new: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).expect("a field") = new;
        changed
    };
    let all = json!([
        good,
        {"type": "ping", "timestamp": "2026-11-20T22:05:45Z", "data": {"gateway": "gw-1"}},
        with("/type", json!("alarm")),
        with("/timestamp", json!("yesterday")),
        with("/data/lane", json!("death")),
        with("/data/notice", json!("1")),
        {"type": "ping", "data": {"gateway": "gw-1"}},
        {"type": "alarm.raised", "data": {"gateway": "gw-1"}},
    ]);
    let mut child = std::process::Command::new(python())
        .args(["-c", judge])
        .arg(root().join("protocol/webhook.schema.json"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the Python that tests/run makes");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), all.to_string().as_bytes()).expect("asking");
    let output = child.wait_with_output().expect("an answer");
    let judged: Vec<bool> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(judged, [true, true, false, false, false, false, false, false]);
}
