//! Who comes in at the devices' door, and as whom: certificates, client ids, topics, last wills, tried with paho.

use std::time::Duration;

use serde_json::{Value, json};
use vaka_tests::MqttVersion::{V5, V311};
use vaka_tests::{Gateway, Home, Paho, RawMqtt, event, eventually, lacks, press};

/// MQTT 5 reasons (OASIS MQTT 5.0, table 2.4).
const NOT_AUTHORIZED: u64 = 0x87;
const SESSION_TAKEN_OVER: u8 = 0x8e;

/// First byte of a DISCONNECT packet; the reason is its third.
const DISCONNECT: u8 = 0xe0;

fn home() -> Home {
    let home = Home::init();
    home.device("p1", "pendant").device("p2", "pendant");
    home
}

#[test]
fn another_devices_topic_is_refused_and_kept() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let foreign = "vaka/v1/p2/event";
    let mut five = Paho::new(&home, "p1", V5).connect();
    let answer = five.publish(foreign, &press(1, 1), 1);
    assert_eq!((&answer["acked"], &answer["reason"]), (&json!(true), &json!(NOT_AUTHORIZED)), "{answer}");
    five.event(&press(1, 2));
    five.disconnect();

    let mut three = Paho::new(&home, "p1", V311).connect();
    let answer = three.publish(foreign, &press(1, 3), 1);
    assert_eq!(answer["acked"], true, "3.1.1 has no other answer: {answer}");
    let kept = home.records("quarantine");
    assert!(kept.iter().any(|record| record["device"] == "p1" && record["topic"] == foreign), "{kept:?}");
    three.event(&press(1, 4));
    assert!(
        home.alarms().iter().all(|row| row["device"] != "p2" || row["lane"] == "technical"),
        "an alarm in p2's name: {:?}",
        home.alarms()
    );
    assert!(three.subscribe("vaka/v1/p2/command") >= 0x80, "another device's commands");
    assert!(three.subscribe("#") >= 0x80, "everything");
    drop(gateway);
}

#[test]
fn a_device_that_is_not_configured_or_revoked_is_refused_at_connect() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    home.device("p3", "pendant");
    // Its certificate is good, its place in vaka.toml is gone.
    home.edit(|config| {
        let devices = config["device"].as_array_of_tables_mut().expect("devices");
        devices.retain(|device| device["id"].as_str() != Some("p3"));
    });
    home.vaka(&["device", "remove", "p2"]).ok();
    let gateway = Gateway::start(&home);
    for device in ["p2", "p3"] {
        for version in [V311, V5] {
            // paho gives 3.1.1's return code 5 as the same reason.
            let answer = Paho::new(&home, device, version).try_connect();
            assert_eq!(
                (&answer["connected"], &answer["reason"]),
                (&json!(false), &json!(NOT_AUTHORIZED)),
                "{device} {version:?}: {answer}\n{}",
                gateway.tail()
            );
        }
    }
    Paho::new(&home, "p1", V5).connect().event(&press(1, 1));
}

#[test]
fn no_certificate_or_another_homes_certificate_gets_no_connection() {
    if lacks(&["paho"]) {
        return;
    }
    let (home, stranger) = (home(), home());
    let gateway = Gateway::start(&home);
    let answer = Paho::new(&home, "p1", V5).with("cert", Value::Null).with("key", Value::Null).try_connect();
    assert_eq!(answer["connected"], false, "{answer}");
    let pem = |file| json!(stranger.pem("p1", file).display().to_string());
    let answer = Paho::new(&home, "p1", V311).with("cert", pem("cert.pem")).with("key", pem("key.pem")).try_connect();
    assert_eq!(answer["connected"], false, "{answer}");
    Paho::new(&home, "p1", V5).connect().event(&press(1, 1));
    drop(gateway);
}

#[test]
fn another_usage_another_authority_and_too_long_a_chain_are_refused_and_counted() {
    let home = home();
    let gateway = Gateway::start(&home);
    let read = |path| std::fs::read_to_string(path).expect("a PEM file");
    let pki = |file: &str| home.path("pki").join(file);
    let made_by = |ca: &str, usage| {
        let key = rcgen::KeyPair::from_pem(&read(pki(&format!("{ca}.key")))).expect("its key");
        let issuer = rcgen::Issuer::from_ca_cert_pem(&read(pki(&format!("{ca}.pem"))), key).expect("an authority");
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "p1");
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem())
    };
    let shake = |name: &str, (chain, key): (String, String)| {
        let file = |end: &str| home.path(&format!("{name}.{end}"));
        std::fs::write(file("pem"), chain).and_then(|()| std::fs::write(file("key"), key)).expect("written");
        vaka_tests::tls(home.mqtt_port, &home.pem("p1", "ca.pem"), &file("pem"), &file("key")).map(drop)
    };
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    // The way it should be, so that what follows is refused for what it says.
    shake("right", made_by("device-ca", ClientAuth)).expect("a device's certificate");
    let p1 = |file| read(home.pem("p1", file));
    let refused = [
        ("a server's usage", made_by("device-ca", ServerAuth)),
        ("the servers' authority", made_by("server-ca", ClientAuth)),
        ("the gateway's own certificate", (read(pki("server.pem")), read(pki("server.key")))),
        ("a chain of 300", (p1("cert.pem").repeat(300), p1("key.pem"))),
    ];
    let failed = || gateway.stat()["connections"]["handshakes_failed"].as_u64().unwrap_or_default();
    for (n, (what, shown)) in (1..).zip(refused) {
        assert!(shake(&format!("wrong{n}"), shown).is_err(), "{what} is taken");
        eventually(what, || gateway.tail(), || (failed() >= n).then_some(()));
    }
    gateway.wait_log("connection refused");
    let mut client = RawMqtt::connect(&home, "p1");
    client.send(&[0xc0, 0]);
    assert_eq!(client.read_exact(2), [0xd0, 0], "PINGRESP");
}

#[test]
fn a_client_id_that_is_not_the_certificates_name_is_refused() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    for version in [V311, V5] {
        let answer = Paho::new(&home, "p1", version).with("client_id", json!("p2")).try_connect();
        assert_eq!(answer["connected"], false, "{version:?}: {answer}\n{}", gateway.tail());
    }
    Paho::new(&home, "p2", V5).connect().event(&press(1, 1));
}

#[test]
fn the_will_of_a_device_that_vanishes_is_recorded() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let gateway = Gateway::start(&home);
    let will = json!({"topic": "vaka/v1/p1/alive", "payload": "0"});
    let mut client = Paho::new(&home, "p1", V5).with("will", will.clone()).connect();
    client.event(&event(1, 1, r#"{"alive":{}}"#));
    client.lose();
    let gone =
        || home.export().iter().filter(|r| r["kind"] == "alive" && r["device"] == "p1" && r["online"] == false).count();
    eventually("the Will in the journal", || gateway.tail(), || (gone() == 1).then_some(()));

    // A clean end has no last will.
    client.reconnect();
    client.disconnect();
    let mut other = Paho::new(&home, "p2", V5).connect();
    other.event(&press(1, 1));
    assert_eq!(gone(), 1);
    // Nobody makes another device's testament: it is kept for a person and says nothing about that device.
    let theirs = json!({"topic": "vaka/v1/p2/alive", "payload": "0"});
    let mut forger = Paho::new(&home, "p1", V5).with("will", theirs);
    if forger.try_connect()["connected"] == true {
        forger.lose();
        eventually(
            "the forged Will in quarantine",
            || gateway.tail(),
            || (home.records("quarantine").len() == 1).then_some(()),
        );
    }
    assert!(!home.export().iter().any(|r| r["kind"] == "alive" && r["device"] == "p2" && r["online"] == false));
}

#[test]
fn a_second_connection_of_a_device_takes_the_first_ones_place() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let _gateway = Gateway::start(&home);
    // Byte by byte: paho reads no reason from a DISCONNECT without properties.
    let mut first = RawMqtt::connect_v5(&home, "p1");
    let mut second = Paho::new(&home, "p1", V5).connect();
    let last = first.read_to_close();
    assert_eq!((last.first(), last.get(2)), (Some(&DISCONNECT), Some(&SESSION_TAKEN_OVER)), "{last:02x?}");
    second.event(&press(1, 1));
    let mut third = Paho::new(&home, "p1", V311).connect();
    assert!(second.wait_closed().is_object(), "the second is still connected");
    third.event(&press(1, 2));
}

#[test]
fn tls_1_2_is_refused_unless_the_configuration_allows_it() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home();
    let mut gateway = Gateway::start(&home);
    let answer = Paho::new(&home, "p1", V5).with("tls12", json!(true)).try_connect();
    assert_eq!(answer["connected"], false, "{answer}");
    home.edit(|config| config["ingest"]["tls_min"] = toml_edit::value("1.2"));
    gateway.restart();
    let mut client = Paho::new(&home, "p1", V5).with("tls12", json!(true)).connect();
    client.event(&press(1, 1));
}

#[test]
fn a_client_that_says_nothing_is_let_go_and_holds_nobody_up() {
    let home = home();
    let gateway = Gateway::start(&home);
    let silent_tcp = std::net::TcpStream::connect(("127.0.0.1", home.mqtt_port)).expect("connecting");
    let mut silent_tls = RawMqtt::open(&home, "p1");
    // Others are served meanwhile.
    let mut client = RawMqtt::connect(&home, "p2");
    // limits.rs: 10 s from TCP to CONNECT.
    silent_tls.wait_closed(Duration::from_secs(20));
    use std::io::Read;
    silent_tcp.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    let mut nothing = [0; 1];
    let ended = (&silent_tcp).read(&mut nothing);
    let waited = |e: &std::io::Error| matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    assert!(!ended.as_ref().is_err_and(waited), "still open: {ended:?}\n{}", gateway.tail());
    client.send(&[0xc0, 0]);
    assert_eq!(client.read_exact(2), [0xd0, 0], "PINGRESP");
}

#[test]
fn a_handshake_that_drips_in_byte_by_byte_is_let_go_at_both_doors_and_holds_nobody_up() {
    use std::io::{ErrorKind, Read, Write};
    let (home, enrol_port) = (home(), vaka_tests::free_port());
    home.edit(|config| {
        config["enrol"] = toml_edit::table();
        config["enrol"]["listen"] = toml_edit::value(format!("127.0.0.1:{enrol_port}"));
    });
    let gateway = Gateway::start(&home);
    // Begins as a ClientHello of 16 KiB would; every byte is one more than the last, and none of them the end.
    let mut slow = [home.mqtt_port, enrol_port].map(|port| {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connecting");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        (stream, false)
    });
    let hello = [0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3].into_iter().chain(std::iter::repeat(0x2a));
    // limits.rs: 10 s at either door; four times as long here.
    for byte in hello.take(200) {
        for (stream, is_over) in slow.iter_mut().filter(|(_, is_over)| !*is_over) {
            let _ = stream.write_all(&[byte]);
            *is_over = match stream.read(&mut [0; 1]) {
                Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                Ok(count) => count == 0,
            };
        }
        if slow.iter().all(|(_, is_over)| *is_over) {
            break;
        }
    }
    assert!(slow.iter().all(|(_, is_over)| *is_over), "still open\n{}", gateway.tail());
    let counted = || {
        let stat = gateway.stat();
        let counts = [&stat["connections"]["handshakes_failed"], &stat["enrolment"]["handshake_failed"]];
        counts.iter().all(|count| count.as_u64() >= Some(1)).then_some(())
    };
    eventually("both to be counted", || gateway.tail(), counted);
    let mut client = RawMqtt::connect(&home, "p1");
    client.send(&[0xc0, 0]);
    assert_eq!(client.read_exact(2), [0xd0, 0], "PINGRESP");
}
