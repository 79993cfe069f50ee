//! The life of certificates and of the clock, on the whole program: renewal on the running connection, rescue of one that has ended,
//! revocation of an open session, no resumption, the gateway's own swapped, and clocks that are lost, wrong or set.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use serde_json::{Value, json};
use vaka_tests::{Gateway, Home, RawMqtt, event, eventually, lacks, press, publish_packet};

/// MQTT 5 (OASIS MQTT 5.0, table 2.4).
const SUCCESS: u8 = 0;
const NOT_AUTHORIZED: u8 = 0x87;
/// First bytes of packets.
const PUBLISH: u8 = 0x32;
const PUBACK: u8 = 0x40;
const DISCONNECT: u8 = 0xe0;

/// One packet: its first byte and what follows the length.
fn packet(raw: &mut RawMqtt) -> (u8, Vec<u8>) {
    let first = raw.read_exact(1)[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = raw.read_exact(1)[0];
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (first, raw.read_exact(length));
        }
    }
}

/// The reason of a PUBACK; absent means success.
fn reason((first, body): &(u8, Vec<u8>)) -> u8 {
    assert_eq!(*first, PUBACK, "{first:02x} {body:02x?}");
    body.get(2).copied().unwrap_or(SUCCESS)
}

/// Publishes at QoS 1 and gives the answer's reason.
fn publish(raw: &mut RawMqtt, topic: &str, payload: &[u8]) -> u8 {
    raw.send(&publish_packet(topic, payload));
    reason(&packet(raw))
}

fn say(raw: &mut RawMqtt, payload: &str) -> u8 {
    publish(raw, "vaka/v1/p1/event", payload.as_bytes())
}

fn subscribe(raw: &mut RawMqtt, topic: &str) -> u8 {
    let mut body = vec![0, 9, 0];
    body.extend((topic.len() as u16).to_be_bytes());
    body.extend(topic.as_bytes());
    body.push(1);
    let mut bytes = vec![0x82, u8::try_from(body.len()).expect("short")];
    bytes.extend(body);
    raw.send(&bytes);
    let (first, body) = packet(raw);
    assert_eq!(first, 0x90, "SUBACK");
    body[3]
}

fn issuer(home: &Home, name: &str) -> Issuer<'static, KeyPair> {
    let read =
        |end: &str| std::fs::read_to_string(home.path(&format!("pki/{name}.{end}"))).expect("an authority's file");
    Issuer::from_ca_cert_pem(&read("pem"), KeyPair::from_pem(&read("key")).expect("a key")).expect("an authority")
}

/// p1 shows a certificate that ended on 1 January 2025, as the list has it.
fn ended(home: &Home) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "p1");
    params.subject_alt_names = vec![SanType::URI("urn:vaka:enrolment:1".try_into().expect("a URI"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(SerialNumber::from_slice(&[0x55; 16]));
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2025, 1, 1));
    let certificate = params.signed_by(&key, &issuer(home, "device-ca")).expect("a certificate");
    std::fs::write(home.pem("p1", "cert.pem"), certificate.pem()).expect("written");
    std::fs::write(home.pem("p1", "key.pem"), key.serialize_pem()).expect("written");
    let row = json!({
        "id": "p1", "enrolment": 1, "serial": "55".repeat(16), "fingerprint_sha256": "00".repeat(32),
        "issued_at": 1_704_067_200_000_i64, "not_after": 1_735_689_600_000_i64,
    });
    let mut list = std::fs::OpenOptions::new().append(true).open(home.path("pki/issued.jsonl")).expect("the list");
    writeln!(list, "{row}").expect("written");
}

fn one_home() -> Home {
    let home = Home::init();
    home.device("p1", "pendant");
    home
}

#[test]
fn a_device_whose_certificate_has_ended_may_call_for_help_and_renew_and_nothing_else() {
    let home = one_home();
    ended(&home);
    let gateway = Gateway::start(&home);
    let mut old = RawMqtt::connect_v5(&home, "p1");
    assert_eq!(say(&mut old, &event(1, 1, r#"{"motion":{}}"#)), NOT_AUTHORIZED, "{}", gateway.tail());
    assert_eq!(publish(&mut old, "vaka/v1/p1/alive", b"1"), NOT_AUTHORIZED);
    assert_eq!(say(&mut old, &press(1, 2)), SUCCESS, "{}", gateway.tail());
    let alarm = gateway.wait_alarm("the press", |row| row["lane"] == "life");
    let id = alarm["id"].as_str().expect("an id");
    let shown = home.vaka(&["alarm", "show", id, "--json"]).ok().stdout;
    assert!(shown.contains("certifikat har gått ut"), "{shown}");
    let events = home.records("event");
    assert_eq!((events.len(), &events[0]["certificate_ended"]), (1, &json!(true)), "{events:?}");
    let refused = home.records("refusal");
    let counted: u64 = refused.iter().filter_map(|record| record["count"].as_u64()).sum();
    assert!(counted >= 1 && refused[0]["reason"].as_str().is_some_and(|why| why.contains("has ended")), "{refused:?}");

    // It renews on this connection, whatever order the two answers come in.
    assert_eq!(subscribe(&mut old, "vaka/v1/p1/certificate"), 1);
    let key = KeyPair::generate().expect("a key");
    let request = CertificateParams::default().serialize_request(&key).expect("a request");
    old.send(&publish_packet("vaka/v1/p1/renew", request.der()));
    let answers = [packet(&mut old), packet(&mut old)];
    let given = answers.iter().find(|(first, _)| *first == PUBLISH).unwrap_or_else(|| panic!("{answers:02x?}"));
    assert_eq!(reason(answers.iter().find(|(first, _)| *first == PUBACK).expect("an answer")), SUCCESS);
    let topic = usize::from(given.1[1]);
    let certificate = CertificateDer::from(given.1[2 + topic + 2 + 1..].to_vec());
    old.send(&[PUBACK, 2, given.1[2 + topic], given.1[3 + topic]]);
    std::fs::create_dir(home.path("new")).expect("a folder");
    std::fs::copy(home.pem("p1", "ca.pem"), home.path("new/ca.pem")).expect("copied");
    std::fs::write(home.path("new/cert.pem"), as_pem(&certificate)).expect("written");
    std::fs::write(home.path("new/key.pem"), key.serialize_pem()).expect("written");
    // Given is not used: the old one is still good for what it is.
    assert_eq!(say(&mut old, &press(1, 3)), SUCCESS);

    let mut new = connect_as(&home, "new", "p1");
    assert_eq!(say(&mut new, &event(2, 1, r#"{"motion":{}}"#)), SUCCESS, "{}", gateway.tail());
    gateway.wait_log("those before it are superseded");
    let mut again = RawMqtt::open(&home, "p1");
    again.send(&vaka_tests::connect_packet("p1", 5));
    let (first, body) = packet(&mut again);
    assert_eq!((first, body[1]), (0x20, NOT_AUTHORIZED), "the old one is superseded");
    let shown = home.vaka(&["device", "show", "p1"]).ok().stdout;
    assert!(shown.contains("superseded ") && shown.contains("renews itself from "), "{shown}");
}

/// A certificate in PEM.
fn as_pem(der: &[u8]) -> String {
    let base64 = Command::new("base64").arg("-w64").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut base64 = base64.expect("base64 is on every machine");
    base64.stdin.take().expect("a pipe").write_all(der).expect("written");
    let body = base64.wait_with_output().expect("ended").stdout;
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", String::from_utf8_lossy(&body))
}

/// CONNECT as `device` with the certificate in another folder.
fn connect_as(home: &Home, folder: &str, device: &str) -> RawMqtt {
    let mut raw = RawMqtt::open(home, folder);
    raw.send(&vaka_tests::connect_packet(device, 5));
    let (first, body) = packet(&mut raw);
    assert_eq!((first, body[1]), (0x20, SUCCESS), "CONNACK");
    raw
}

#[test]
fn revocation_ends_the_open_session_at_once_and_no_ticket_brings_it_back() {
    let home = one_home();
    let gateway = Gateway::start(&home);
    let mut open = RawMqtt::connect_v5(&home, "p1");
    assert_eq!(say(&mut open, &press(1, 1)), SUCCESS);
    // A client that keeps every ticket it is given, and asks to resume.
    let keen = keen_client(&home, "p1");
    for round in 0..2 {
        let connection = shake(&home, &keen);
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full), "round {round}");
        assert_eq!(connection.tls13_tickets_received(), 0, "round {round}");
    }
    home.vaka(&["device", "remove", "p1", "--enrolment", "1"]).ok();
    let last = open.read_to_close();
    assert_eq!(
        (last.first(), last.get(2)),
        (Some(&DISCONNECT), Some(&NOT_AUTHORIZED)),
        "{last:02x?}\n{}",
        gateway.tail()
    );
    let mut again = RawMqtt::open(&home, "p1");
    again.send(&vaka_tests::connect_packet("p1", 5));
    assert_eq!(packet(&mut again).1[1], NOT_AUTHORIZED);
}

fn keen_client(home: &Home, device: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(home.pem(device, "ca.pem")).expect("an authority")).expect("taken");
    let chain = vec![CertificateDer::from_pem_file(home.pem(device, "cert.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(home.pem(device, "key.pem")).expect("a key");
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key);
    Arc::new(client.expect("a client"))
}

/// A whole handshake, and CONNECT after it, so that the gateway has had its chance to send tickets.
fn shake(home: &Home, client: &Arc<ClientConfig>) -> ClientConnection {
    let mut socket = TcpStream::connect(("127.0.0.1", home.mqtt_port)).expect("connecting");
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut connection = ClientConnection::new(client.clone(), name).expect("a client");
    let mut tls = rustls::Stream::new(&mut connection, &mut socket);
    tls.write_all(&vaka_tests::connect_packet("other", 4)).expect("written");
    let mut answer = [0; 4];
    tls.read_exact(&mut answer).expect("a CONNACK");
    connection
}

fn server_end(home: &Home) -> i64 {
    let client = keen_client(home, "p1");
    let connection = shake(home, &client);
    let certificate = connection.peer_certificates().expect("a certificate")[0].clone();
    let text = home.path("seen.der");
    std::fs::write(&text, &certificate).expect("written");
    let output = Command::new("openssl")
        .args(["x509", "-inform", "der", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
        .arg(&text)
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.trim()
        .strip_prefix("notAfter=")
        .and_then(|date| date.get(..4)?.parse().ok())
        .unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn the_gateways_own_certificate_is_swapped_under_open_sessions() {
    if lacks(&["openssl"]) {
        return;
    }
    let home = one_home();
    let gateway = Gateway::start(&home);
    let mut open = RawMqtt::connect_v5(&home, "p1");
    let before = server_end(&home);
    // As it would be years from now.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "gw-0001");
    params.subject_alt_names =
        vec![SanType::DnsName("localhost".try_into().expect("a name")), SanType::IpAddress([127, 0, 0, 1].into())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(2027, 1, 1));
    let key = KeyPair::from_pem(&std::fs::read_to_string(home.path("pki/server.key")).expect("a key")).expect("a key");
    let near = params.signed_by(&key, &issuer(&home, "server-ca")).expect("a certificate");
    std::fs::write(home.path("pki/server.pem"), near.pem()).expect("written");
    gateway.reload();
    gateway.wait_log("was near its end and is made again");
    eventually("the new certificate", || gateway.tail(), || (server_end(&home) >= before).then_some(()));
    assert_eq!(say(&mut open, &press(1, 1)), SUCCESS, "the open session goes on");
}

/// The running clock is the machine's: only what the time of day is lies.
#[test]
fn a_clock_that_is_lost_wrong_or_set_never_stops_a_press() {
    if lacks(&["faketime"]) {
        return;
    }
    let home = one_home();
    let clock = home.dir().join("clock");
    let set = |offset: &str| std::fs::write(&clock, format!("{offset}\n")).expect("written");
    let mut restart = 0;
    // Lost at boot; years behind, before this program; years ahead, when the device's certificate has ended; and two years offline.
    for (offset, confidence) in [("-56y", "floor"), ("-5y", "floor"), ("+0", "held"), ("+2y", "held"), ("+9y", "held")]
    {
        set(offset);
        let gateway = Gateway::start_by_clock(&home, &clock);
        restart += 1;
        press_goes(&home, &gateway, restart, 1, offset);
        let stat = gateway.stat();
        let said = stat["clock"]["confidence"].as_str().unwrap_or_default().to_owned();
        // Where a time source vouches for the machine's clock, it vouches for this one too.
        assert!(said == confidence || (confidence == "held" && said == "synchronised"), "{offset}: {stat}");
        assert!(stat["clock"]["now"].as_i64() >= stat["clock"]["built"].as_i64(), "{offset}: {stat}");
        if offset == "+9y" {
            assert!(gateway.log().contains("was near its end and is made again"), "{}", gateway.tail());
        }
    }
    let ended = |record: &Value| record["restart"].as_u64() >= Some(4) && record["certificate_ended"] == json!(true);
    assert_eq!(home.records("event").iter().filter(|record| ended(record)).count(), 2);
}

#[test]
fn a_clock_that_is_set_during_a_session_never_stops_a_press() {
    if lacks(&["faketime"]) {
        return;
    }
    let home = one_home();
    let clock = home.dir().join("clock");
    let set = |offset: &str| std::fs::write(&clock, format!("{offset}\n")).expect("written");
    set("+0");
    let gateway = Gateway::start_by_clock(&home, &clock);
    let mut open = RawMqtt::connect_v5(&home, "p1");
    for (seq, offset) in (1..).zip(["+0", "-56y", "+3y", "-2d", "-4y", "+0"]) {
        set(offset);
        assert_eq!(say(&mut open, &press(1, seq)), SUCCESS, "{offset}: {}", gateway.tail());
    }
    let events = home.records("event");
    let marked: Vec<bool> = events.iter().map(|record| record["certificate_ended"] == json!(true)).collect();
    assert_eq!(marked, [false, false, true, false, false, false], "{events:?}");
    let stat = gateway.stat();
    assert!(stat["clock"]["floor"].as_i64() >= stat["clock"]["built"].as_i64(), "{stat}");
    let alarm = gateway.wait_alarm("all presses", |row| row["lane"] == "life" && row["count"] == 6);
    assert_eq!(alarm["device"], "p1");
}

fn press_goes(home: &Home, gateway: &Gateway<'_>, restart: u32, seq: u64, what: &str) {
    let mut raw = RawMqtt::connect_v5(home, "p1");
    assert_eq!(say(&mut raw, &press(restart, seq)), SUCCESS, "{what}: {}", gateway.tail());
    gateway.wait_alarm(what, |row| row["lane"] == "life" && row["count"].as_u64() >= Some(u64::from(restart)));
}
