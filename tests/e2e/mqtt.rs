//! The devices' door, tried with paho: what is acknowledged, refused, kept, redelivered.

use serde_json::{Value, json};
use vaka_tests::MqttVersion::{V5, V311};
use vaka_tests::{Gateway, Home, Paho, RawMqtt, connect_packet, event, eventually, lacks, press, publish_packet};

const TOPIC: &str = "vaka/v1/p1/event";

/// MQTT 5 reasons (OASIS MQTT 5.0, table 2.4).
const PACKET_TOO_LARGE: u8 = 0x95;
const PAYLOAD_FORMAT_INVALID: u64 = 0x99;

/// First byte of a DISCONNECT packet; the reason is its third.
const DISCONNECT: u8 = 0xe0;

fn home() -> Home {
    let home = Home::init();
    home.device("p1", "pendant").device("p2", "pendant");
    home
}

#[test]
fn every_qos_is_taken_in_both_versions() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    for (device, version) in [("p1", V311), ("p2", V5)] {
        let mut client = Paho::new(&home, device, version).connect();
        let topic = format!("vaka/v1/{device}/event");
        for qos in 0..=2_u8 {
            let answer = client.publish(&topic, &event(1, u64::from(qos), r#"{"motion":{}}"#), qos);
            assert_eq!(answer["acked"], true, "{device} QoS {qos}: {answer}\n{}", gateway.tail());
            // QoS 0 is acknowledged by nobody; the others are in the journal by now.
            if qos > 0 {
                assert_eq!(home.events(device, 1, u64::from(qos)), 1, "{device} QoS {qos}");
            }
        }
        eventually(
            "the QoS 0 event in the journal",
            || gateway.tail(),
            || (home.events(device, 1, 0) == 1).then_some(()),
        );
        client.disconnect();
    }
}

#[test]
fn cbor_is_taken_as_json_is() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let mut client = Paho::new(&home, "p1", V5).connect();
    // {"v":1,"restart":3,"seq":9,"event":{"button":{"press":"long"}}}, by hand after RFC 8949.
    let cbor = b"\xa4\x61v\x01\x67restart\x03\x63seq\x09\x65event\xa1\x66button\xa1\x65press\x64long";
    let answer = client.publish_bytes(TOPIC, cbor, 1);
    assert_eq!((&answer["acked"], &answer["reason"]), (&json!(true), &json!(0)), "{answer}\n{}", gateway.tail());
    gateway.wait_alarm("its alarm", |row| row["lane"] == "life" && row["device"] == "p1");
    assert_eq!(home.events("p1", 3, 9), 1);
}

#[test]
fn a_payload_that_is_no_event_is_refused_kept_and_does_not_stop_the_next() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let mut client = Paho::new(&home, "p1", V5).connect();
    for (payload, what) in [
        ("hej", "no JSON"),
        ("", "nothing at all"),
        (r#"{"v":1,"event":{"smoke":{"active":"perhaps"}}}"#, "a word where yes or no belongs"),
        (r#"{"v":1,"event":{"button":{"press":"short"}}"#, "cut off"),
        (r#"{"v":1,"event":{"button":{"press":"short"},"motion":{}}}"#, "two events in one"),
    ] {
        let answer = client.publish(TOPIC, payload, 1);
        assert_eq!(
            (&answer["acked"], &answer["reason"]),
            (&json!(true), &json!(PAYLOAD_FORMAT_INVALID)),
            "{what}: {answer}"
        );
    }
    assert_eq!(home.records("quarantine").len(), 5);
    client.event(&press(1, 1));
    gateway.wait_alarm("the alarm of the press after", |row| row["lane"] == "life");
    client.disconnect();

    // 3.1.1 knows no reasons: acknowledged, kept.
    let mut client = Paho::new(&home, "p1", V311).connect();
    assert_eq!(client.publish(TOPIC, "hej", 1)["acked"], true);
    assert_eq!(home.records("quarantine").len(), 6);
}

#[test]
fn an_event_nobody_knows_is_kept_as_an_event() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let _gateway = Gateway::start(&home);
    let mut client = Paho::new(&home, "p1", V5).connect();
    client.event(&event(1, 1, r#"{"levitation":{"height_mm":40}}"#));
    assert_eq!(home.events("p1", 1, 1), 1);
    assert!(home.alarms().iter().all(|row| row["lane"] != "life"), "{:?}", home.alarms());
    // However it is pressed and whatever stands beside it, a press is a call for help.
    client.event(&event(1, 2, r#"{"button":{"press":"sideways","colour":"red"}}"#));
    assert_eq!(home.events("p1", 1, 2), 1);
    assert!(home.alarms().iter().any(|row| row["lane"] == "life"), "{:?}", home.alarms());
}

#[test]
fn an_oversized_event_is_refused_and_kept_and_an_oversized_packet_ends_its_connection_alone() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let mut client = Paho::new(&home, "p1", V5).connect();
    // A little over the payload's bound (16 KiB), under the packet's. A PUBACK has no 0x95 (MQTT 5, 3.4.2.1).
    let answer = client.publish(TOPIC, &"x".repeat(16 * 1024 + 200), 1);
    assert_eq!((&answer["acked"], &answer["reason"]), (&json!(true), &json!(PAYLOAD_FORMAT_INVALID)), "{answer}");
    assert_eq!(home.records("quarantine").len(), 1);
    client.event(&press(1, 1));
    client.disconnect();

    // Over the packet's bound: DISCONNECT with the reason.
    let mut other = Paho::new(&home, "p2", V5).connect();
    let mut raw = RawMqtt::connect_v5(&home, "p1");
    raw.send(&publish_packet(TOPIC, &[b'x'; 300 * 1024]));
    let last = raw.read_to_close();
    assert_eq!(
        (last.first(), last.get(2)),
        (Some(&DISCONNECT), Some(&PACKET_TOO_LARGE)),
        "{last:02x?}\n{}",
        gateway.tail()
    );
    other.event(&press(1, 1));
    client.reconnect();
    client.event(&press(1, 2));
}

/// Receipts among taken messages, as (seq, rung), and the commands' ids.
fn receipts(messages: &[Value]) -> (Vec<(u64, String)>, Vec<u64>) {
    let commands: Vec<Value> = messages
        .iter()
        .map(|m| {
            assert_eq!(m["topic"], "vaka/v1/p1/command");
            serde_json::from_str(m["payload"].as_str().expect("text"))
                .expect("commands to a device that speaks JSON are JSON")
        })
        .collect();
    let rung = |c: &Value| {
        let receipt = &c["command"]["receipt"];
        Some((receipt["seq"].as_u64()?, receipt["rung"].as_str()?.to_owned()))
    };
    (commands.iter().filter_map(rung).collect(), commands.iter().map(|c| c["id"].as_u64().expect("an id")).collect())
}

#[test]
fn receipts_reach_the_device_and_come_again_until_it_says_done() {
    if lacks(&["paho", "sipp"]) {
        return;
    }
    let centre = vaka_tests::Centre::start("ok");
    let home = home();
    home.centre(centre.port);
    let mut gateway = Gateway::start(&home);
    let mut client =
        Paho::new(&home, "p1", V5).with("clean", json!(false)).with("session_expiry_s", json!(3600)).connect();
    assert_eq!(client.subscribe("vaka/v1/p1/command"), 1);
    client.event(&press(4, 1));
    gateway.wait_alarm("the alarm accepted", |row| row["rung"] == "accepted");
    let (told, ids) = receipts(&client.take_until("accepted"));
    assert_eq!(told, ["stored", "sent", "received", "accepted"].map(|rung| (1, rung.to_owned())), "{}", gateway.tail());
    let mut unique = ids.clone();
    unique.dedup();
    assert_eq!(unique.len(), 4, "an id each: {ids:?}");

    // paho has sent its PUBACKs. Only `done` ends a command: they come again after a new connection …
    client.disconnect();
    client.reconnect();
    client.subscribe("vaka/v1/p1/command");
    let (again, ids_again) = receipts(&client.take_until("accepted"));
    assert!(again.contains(&(1, "accepted".to_owned())), "{again:?}");
    assert!(ids_again.iter().all(|id| ids.contains(id)), "the same commands under the same ids: {ids_again:?} {ids:?}");

    // … and after the gateway was killed.
    gateway.kill();
    client.wait_closed();
    gateway.restart();
    client.reconnect();
    client.subscribe("vaka/v1/p1/command");
    let (again, _) = receipts(&client.take_until("accepted"));
    assert!(again.contains(&(1, "accepted".to_owned())), "{again:?}");

    // Done with all: nothing comes any more, but the receipts of the next press.
    for (seq, id) in ids.iter().enumerate() {
        client.event(&event(4, 10 + seq as u64, &format!(r#"{{"done":{{"id":{id},"outcome":"ok"}}}}"#)));
    }
    client.disconnect();
    client.reconnect();
    client.subscribe("vaka/v1/p1/command");
    client.event(&press(4, 2));
    let (next, _) = receipts(&client.take_until("accepted"));
    assert!(!next.is_empty() && next.iter().all(|(seq, _)| *seq == 2), "{next:?}\n{}", gateway.tail());
}

#[test]
fn a_retransmission_is_stored_once_and_the_same_identity_with_other_bytes_is_new() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let mut gateway = Gateway::start(&home);
    let mut client = Paho::new(&home, "p1", V311).connect();
    let payload = press(1, 1);
    client.event(&payload);
    client.event(&payload);
    assert_eq!(home.events("p1", 1, 1), 1);
    client.disconnect();
    gateway.restart();
    client.reconnect();
    client.event(&payload);
    assert_eq!(home.events("p1", 1, 1), 1, "remembered across a restart");
    assert_eq!(home.alarms_not_technical()[0]["count"], 1);

    // Late, lower, and never seen: new.
    client.event(&event(1, 9, r#"{"motion":{}}"#));
    client.event(&event(1, 5, r#"{"motion":{}}"#));
    assert_eq!(home.events("p1", 1, 5), 1);

    // The same identity with other bytes: a new event, a press that counts, and a technical alarm.
    client.event(&event(1, 1, r#"{"button":{"press":"long"}}"#));
    gateway.wait_alarm("the press counted", |row| row["lane"] == "life" && row["count"] == 2);
    gateway.wait_alarm("a technical alarm about it", |row| row["lane"] == "technical" && row["device"] == "p1");
}

#[test]
fn the_same_numbers_from_two_devices_are_two_events() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let _gateway = Gateway::start(&home);
    for device in ["p1", "p2"] {
        Paho::new(&home, device, V5).connect().event(&press(1, 1));
    }
    assert_eq!((home.events("p1", 1, 1), home.events("p2", 1, 1)), (1, 1));
    assert_eq!(home.alarms().len(), 2);
}

#[test]
fn a_malformed_packet_closes_that_connection_alone() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let mut other = Paho::new(&home, "p2", V5).connect();
    let broken: [(&str, Vec<u8>); 6] = [
        ("a remaining length without end", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("packet type 0", vec![0x00, 0x00]),
        ("QoS 3", [vec![0x36, 5], b"\0\x01a\0\x01".to_vec()].concat()),
        ("a topic longer than its packet", vec![0x32, 4, 0xff, 0xff, b'a', b'b']),
        ("a topic that is not UTF-8", vec![0x32, 6, 0, 2, 0xc3, 0x28, 0, 1]),
        ("a second CONNECT", connect_packet("p1", 4)),
    ];
    for (what, bytes) in broken {
        let mut raw = RawMqtt::connect(&home, "p1");
        raw.send(&bytes);
        raw.read_to_close();
        let answer = other.publish("vaka/v1/p2/event", &event(1, 1, r#"{"motion":{}}"#), 1);
        assert_eq!(answer["acked"], true, "after {what}: {answer}\n{}", gateway.tail());
    }
    let mut raw = RawMqtt::open(&home, "p1");
    raw.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {}\r\n\r\n", "x".repeat(200)).as_bytes());
    raw.read_to_close();
    Paho::new(&home, "p1", V5).connect().event(&press(1, 1));
}

#[test]
fn the_gateway_says_what_it_can_do() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let _gateway = Gateway::start(&home);
    let answer = Paho::new(&home, "p1", V5).try_connect();
    assert!((1..=64).contains(&answer["limits"]["ReceiveMaximum"].as_u64().unwrap_or(0)), "{answer}");
    assert!((1024..=1024 * 1024).contains(&answer["limits"]["MaximumPacketSize"].as_u64().unwrap_or(0)), "{answer}");
}
