//! Alarms to receivers that speak DC-09: two implementations that nobody here wrote, in clear and encrypted, over TCP and TLS.

use serde_json::Value;
use toml_edit::{InlineTable, Item, Table, value};
use vaka_tests::{
    Dc09Options, Dc09Receiver, Gateway, Home, MqttVersion, event, eventually, lacks, mosquitto_pub, press,
};

/// 16, 24 and 32 characters, since pysiaalarm's keys are letters.
const AES_128: &str = "41414141414141414141414141414141";
const AES_192: &str = "303132333435363738394142434445463031323334353637";
const AES_256: &str = "3031323334353637383941424344454630313233343536373839414243444546";

const PLAIN: Dc09Options = Dc09Options { peer: "pysiaalarm", key: None, over_tls: false, ahead_s: 0 };

fn home(receiver: &Dc09Receiver, protocol: &str) -> Home {
    let home = Home::init();
    home.device("p1", "pendant");
    let mut settings = receiver.settings();
    settings.push(("protocol", protocol.to_owned()));
    let more: Vec<(&str, &str)> = settings.iter().map(|(key, text)| (*key, text.as_str())).collect();
    home.receiver("larmcentral", &receiver.url(), &more);
    home.edit(|config| {
        let table = config["receiver"].as_array_of_tables_mut().expect("receivers").get_mut(0).expect("one");
        table["zones"] = value(InlineTable::from_iter([("p1", 15)]));
        table["heartbeat_interval_s"] = value(1);
        // Told at once, as everything else here is.
        config["power"] = Item::Table(Table::from_iter([("mains_delay_min", 0)]));
    });
    home
}

fn publish(home: &Home, gateway: &Gateway, payload: &str) {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", payload);
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
}

/// A press goes from the pendant to the receiver and back as accepted; gives what the receiver took.
#[track_caller]
fn press_is_accepted(options: Dc09Options, protocol: &str) -> Value {
    let receiver = Dc09Receiver::start(options);
    let home = home(&receiver, protocol);
    let gateway = Gateway::start(&home);
    publish(&home, &gateway, &press(1, 1));
    let row = gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
    assert_eq!(row["count"], 1, "{row}");
    eventually(
        "two heartbeats",
        || format!("{:?}\n{}", receiver.lines(), gateway.tail()),
        || (receiver.heartbeats() >= 2).then_some(()),
    );
    let events = receiver.events();
    assert_eq!(events.len(), 1, "{options:?} {protocol}: {:?}", receiver.lines());
    assert_eq!(receiver.refused(), Vec::<Value>::new(), "{options:?} {protocol}");
    assert_eq!(events[0]["encrypted"], options.key.is_some());
    assert_eq!(events[0]["id"], protocol);
    events[0].clone()
}

#[test]
fn pysiaalarm_accepts_contact_id_in_clear_and_encrypted() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    for (key, over_tls) in [(None, false), (Some(AES_128), false), (Some(AES_256), true)] {
        let took = press_is_accepted(Dc09Options { key, over_tls, ..PLAIN }, "ADM-CID");
        let read = [&took["qualifier"], &took["contact_id"], &took["zone"], &took["code"]];
        assert_eq!(read, ["1", "101", "015", "QA"], "{took}");
        assert!(took["extended"].as_str().is_some_and(|x| x.starts_with('I') && x.contains("p1")), "{took}");
    }
}

#[test]
fn pysiaalarm_accepts_sia_in_clear_and_encrypted() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    for (key, over_tls) in [(None, true), (Some(AES_192), false)] {
        let took = press_is_accepted(Dc09Options { key, over_tls, ..PLAIN }, "SIA-DCS");
        assert_eq!([&took["code"], &took["message"]], ["QA", "015"], "{took}");
    }
}

#[test]
fn siadc09_accepts_both_protocols_in_clear_and_encrypted() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let options = Dc09Options { peer: "siadc09", ..PLAIN };
    for (key, over_tls) in [(None, true), (Some(AES_192), false), (Some(AES_256), false)] {
        let took = press_is_accepted(Dc09Options { key, over_tls, ..options }, "ADM-CID");
        assert_eq!([&took["qualifier"], &took["contact_id"], &took["zone"]], ["1", "101", "015"], "{took}");
        assert!(took["message"].as_str().is_some_and(|text| text.contains("Personal Emergency")), "{took}");
    }
    for key in [None, Some(AES_128)] {
        let took = press_is_accepted(Dc09Options { key, ..options }, "SIA-DCS");
        assert!(took["message"].as_str().is_some_and(|text| text.contains("Emergency Alarm")), "{took}");
        assert!(took["extended"].as_str().is_some_and(|text| text.contains("p1")), "{took}");
    }
}

#[test]
fn a_receiver_whose_clock_is_days_away_corrects_ours_by_its_nak() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    for (key, ahead_s) in [(None, 3 * 86_400), (Some(AES_128), -7_200)] {
        let receiver = Dc09Receiver::start(Dc09Options { peer: "siadc09", key, ahead_s, ..PLAIN });
        let home = home(&receiver, "ADM-CID");
        let gateway = Gateway::start(&home);
        publish(&home, &gateway, &press(1, 1));
        gateway.wait_alarm("the alarm accepted", |row| row["lane"] == "life" && row["rung"] == "accepted");
        publish(&home, &gateway, &event(1, 2, r#"{"smoke":{"active":true}}"#));
        gateway.wait_alarm("the second accepted", |row| row["cause"] == "smoke" && row["rung"] == "accepted");
        let refused = receiver.refused();
        assert_eq!(refused.len(), 1, "one message is refused for its time, and no more: {refused:?}");
        let codes: Vec<Value> = receiver.events().iter().map(|event| event["contact_id"].clone()).collect();
        assert_eq!(codes, ["101", "111"], "{:?}", receiver.lines());
    }
}

#[test]
fn every_kind_of_event_is_taken_and_none_is_sent_again_after_a_restart() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let receiver = Dc09Receiver::start(Dc09Options { peer: "siadc09", ..PLAIN });
    let home = home(&receiver, "ADM-CID");
    let mut gateway = Gateway::start(&home);
    let told = [
        (r#"{"button":{"press":"short"}}"#, "1101"),
        (r#"{"cancel":{}}"#, "1406"),
        (r#"{"fall":{"impact_mg":3000,"still_s":10}}"#, "1103"),
        (r#"{"seizure":{}}"#, "1100"),
        (r#"{"smoke":{"active":true}}"#, "1111"),
        (r#"{"smoke":{"active":false}}"#, "3111"),
        (r#"{"enuresis":{}}"#, "1150"),
        (r#"{"battery":{"percent":5,"low":true}}"#, "1384"),
        (r#"{"mains":{"on":false}}"#, "1301"),
        (r#"{"mains":{"on":true}}"#, "3301"),
        (r#"{"tamper":{}}"#, "1383"),
        (r#"{"lost":{"count":3}}"#, "1624"),
        (r#"{"choking":{}}"#, "1380"),
        (r#"{"test":{}}"#, "1601"),
    ];
    let codes = || -> Vec<String> {
        let code = |event: &Value| {
            let part = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            part("qualifier") + &part("contact_id")
        };
        receiver.events().iter().map(code).collect()
    };
    for (n, (body, code)) in (1..).zip(told) {
        publish(&home, &gateway, &event(1, n, body));
        eventually(
            code,
            || format!("{body}: {:?}\n{}", codes(), gateway.tail()),
            || codes().iter().any(|c| c == code).then_some(()),
        );
    }
    assert_eq!(receiver.refused(), Vec::<Value>::new());
    // Recorded too, not only taken: the order of answers is that of the messages.
    gateway.wait_alarm("the last accepted", |row| row["lane"] == "test" && row["rung"] == "accepted");
    let before = codes();
    let heartbeats = receiver.heartbeats();
    gateway.restart();
    eventually(
        "three heartbeats after it",
        || gateway.tail(),
        || (receiver.heartbeats() >= heartbeats + 3).then_some(()),
    );
    assert_eq!(codes(), before);
}

#[test]
fn a_wrong_key_is_a_lost_path_and_the_next_receiver_takes_the_alarm() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let wrong = Dc09Receiver::start(Dc09Options { key: Some(AES_128), ..PLAIN });
    let right = Dc09Receiver::start(PLAIN);
    let home = home(&wrong, "ADM-CID");
    // The peer has another key than its file says.
    let other = home.path("other.key");
    std::fs::write(&other, format!("{AES_256}\n")).expect("written");
    home.edit(|config| {
        let table = config["receiver"].as_array_of_tables_mut().expect("receivers").get_mut(0).expect("one");
        table["key_file"] = value(other.display().to_string());
    });
    home.receiver("second", &right.url(), &[("kind", "dc09"), ("account", "1234")]);
    let gateway = Gateway::start(&home);
    publish(&home, &gateway, &press(1, 1));
    gateway.wait_alarm("accepted by the second", |row| row["lane"] == "life" && row["rung"] == "accepted");
    gateway.wait_alarm("the first path said to be down", |row| row["lane"] == "technical");
    assert_eq!(
        (wrong.events().len(), right.events().iter().filter(|event| event["contact_id"] == "101").count()),
        (0, 1)
    );
}
