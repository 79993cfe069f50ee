//! Who a device is: its request as others read it, its certificate as it reads it, and what is left of it after any cut.

mod cuts;
mod gateway;

use std::sync::{Arc, Mutex};

use gateway::{Gateway, random};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::DecodePrivateKey;
use proptest::prelude::*;
use rcgen::{CertificateSigningRequestParams, PublicKeyData, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, KeyLog, RootCertStore, ServerConfig, ServerConnection};
use vaka_device::Now;
use vaka_device::enrol::{Answer, Code, CodeError, EXPORTER_LABEL, Granted, Refused};
use vaka_device::identity::{
    ASK_AGAIN_MS, Ended, Enrolling, Facts, NoOffer, Offer, OwnKey, Renewing, TRIES_MAX, exported, granted, pkcs8,
};

const DAY_MS: i64 = 86_400_000;

fn key(seed: u8) -> OwnKey {
    OwnKey::make(&mut random(seed)).expect("a key")
}

#[test]
fn a_request_is_what_others_take_for_one() {
    for seed in 0..50 {
        let key = key(seed);
        let request = key.request();
        assert_eq!(request, key.request(), "the same key, the same bytes");
        // Its reader checks the signature too.
        let read = CertificateSigningRequestParams::from_der(&request.as_slice().into()).expect("PKCS #10");
        assert_eq!(read.public_key.der_bytes(), key.public());
        let kept = p256::SecretKey::from_pkcs8_der(&pkcs8(&key.to_bytes())).expect("PKCS #8");
        assert_eq!(kept.public_key().to_encoded_point(false).as_bytes(), key.public());
    }
    assert!(OwnKey::make(&mut |bytes| bytes.fill(0)).is_none(), "nought is no key");
    assert_eq!(format!("{:?}", key(1)), "OwnKey(..)");
}

#[test]
fn a_certificate_says_whose_it_is_and_until_when() {
    let mut gateway = Gateway::new();
    for (from, until) in
        [((1970, 1, 1), (2026, 2, 28)), ((2026, 11, 22), (2027, 12, 27)), ((2049, 12, 31), (2052, 2, 29))]
    {
        let day = |(year, month, day): (i32, u8, u8)| date_time_ymd(year, month, day);
        let certificate = gateway.sign(&key(3).request(), day(from), day(until));
        let facts = Facts::read(&certificate).expect("a certificate");
        assert_eq!(facts.public, key(3).public());
        assert_eq!(facts.from_ms, day(from).unix_timestamp() * 1_000);
        assert_eq!(facts.until_ms, day(until).unix_timestamp() * 1_000);
        for length in 0..certificate.len() {
            assert_eq!(Facts::read(&certificate[..length]), None, "cut at {length}");
        }
        assert_eq!(Facts::read(&[&certificate[..], &[0]].concat()), None, "something behind it");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_a_certificate_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Facts::read(&bytes);
    }

    #[test]
    fn whatever_is_typed_is_an_offer_or_none(text in ".{0,80}") {
        let _ = Offer::parse(&text);
    }
}

/// Keeps the exporter's secret, as the board does.
#[derive(Debug, Default)]
struct Listening(Mutex<Option<[u8; 32]>>);

impl KeyLog for Listening {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "EXPORTER_SECRET" {
            *self.0.lock().expect("one thread") = secret.try_into().ok();
        }
    }
}

#[test]
fn what_is_exported_is_what_the_gateways_tls_exports() {
    let mut provider = rustls::crypto::ring::default_provider();
    // The board's one suite.
    provider.cipher_suites = vec![rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    let provider = Arc::new(provider);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (der, pair) = (made.cert.der().clone(), PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()));
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|server| server.with_no_client_auth().with_single_cert(vec![der.clone()], pair))
        .expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der.to_vec())).expect("a root");
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listening = Arc::new(Listening::default());
    client.key_log = listening.clone();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("to memory");
        server.read_tls(&mut &bytes[..]).expect("from memory");
        server.process_new_packets().expect("a handshake");
        bytes.clear();
        server.write_tls(&mut bytes).expect("to memory");
        client.read_tls(&mut &bytes[..]).expect("from memory");
        client.process_new_packets().expect("a handshake");
    }
    let secret = listening.0.lock().expect("one thread").expect("a secret");
    for label in [EXPORTER_LABEL, b"EXPORTER-other"] {
        let theirs = server.export_keying_material([0; 32], label, None).expect("exported");
        assert_eq!(exported(&secret, label), theirs);
    }
}

#[test]
fn an_offer_is_read_as_scanned_and_as_typed_and_a_slip_is_named() {
    let code = Code::from_random([3; 12]);
    let text = code.text();
    let scanned = Offer::parse(&format!("vaka://192.168.1.2:8884/?code={text}&ca={}", "0a".repeat(32))).expect("one");
    assert_eq!((scanned.address, scanned.port), ([192, 168, 1, 2], 8884));
    assert_eq!((&scanned.code, scanned.authority), (&code, Some([10; 32])));
    let typed = Offer::parse(&format!("10.0.2.2:8884 {}", text.to_lowercase().replace('-', " "))).expect("one");
    assert_eq!((typed.address, typed.code, typed.authority), ([10, 0, 2, 2], code, None));
    assert!(!format!("{scanned:?}").contains(&text[..4]));
    let wrong = |text: &str| Offer::parse(text).expect_err("none");
    for address in ["", "gw:8884 X", "10.0.2.2 X", "10.0.2.2:x X", "vaka://gw.local:8884/?code=1", "vaka://10.0.2.2:1"]
    {
        assert_eq!(wrong(address), NoOffer::Address, "{address}");
    }
    assert_eq!(wrong("10.0.2.2:8884 7KQ2"), NoOffer::Code(CodeError::Length(4)));
    assert_eq!(wrong("vaka://10.0.2.2:8884/?ca=00"), NoOffer::Authority);
    assert_eq!(wrong(&format!("vaka://10.0.2.2:8884/?ca={}", "00".repeat(32))), NoOffer::Code(CodeError::Length(0)));
}

#[test]
fn a_gateway_that_says_no_is_not_asked_twice_and_one_that_says_nothing_only_so_often() {
    for ended in [Ended::Refused, Ended::Impostor, Ended::Useless, Ended::Enrolled] {
        assert!(ended.is_final());
        assert_eq!(Enrolling::new().ended(ended), None, "{ended:?}");
    }
    let mut enrolling = Enrolling::new();
    let again = (1..).find(|_| enrolling.ended(Ended::NotReached).is_none());
    assert_eq!(again, Some(TRIES_MAX));
    assert!(!Ended::NotReached.is_final(), "the next boot tries it again");
}

#[test]
fn an_answer_counts_only_from_who_knows_the_code_and_over_this_connection() {
    let (secret, other) = (Code::from_random([1; 12]).secret(), Code::from_random([2; 12]).secret());
    let (here, there) = ([7; 32], [8; 32]);
    let grant = Granted { certificate: b"c", ca: b"a", id: "p1", port: 8883, at: 1 };
    let answer = |secret: &vaka_device::enrol::Secret, exporter: &[u8; 32]| {
        let mut bytes = vec![0; 300];
        let proof = secret.gateway_proof(exporter, &grant);
        let length = Answer::Granted(grant.clone(), proof).write(&mut bytes).expect("it fits");
        bytes[2..length].to_vec()
    };
    assert_eq!(granted(&answer(&secret, &here), &secret, &here), Ok(grant.clone()));
    assert_eq!(granted(&answer(&other, &here), &secret, &here), Err(Ended::Impostor));
    assert_eq!(granted(&answer(&secret, &there), &secret, &here), Err(Ended::Impostor));
    assert_eq!(granted(b"nonsense", &secret, &here), Err(Ended::Impostor));
    for (refused, ended) in [(Refused::Busy, Ended::NotReached), (Refused::Refused, Ended::Refused)] {
        let mut bytes = [0; 64];
        let length = Answer::Refused(refused).write(&mut bytes).expect("it fits");
        assert_eq!(granted(&bytes[2..length], &secret, &here), Err(ended));
    }
}

#[test]
fn a_renewal_is_due_at_two_thirds_and_asked_for_once_an_hour() {
    let facts = Facts { from_ms: 100 * DAY_MS, until_ms: 400 * DAY_MS, public: [0; 65] };
    let mut renewing = Renewing::of(&facts, None);
    let at = |uptime_ms, day_ms| Now { uptime_ms, at: Some(day_ms) };
    assert_eq!(renewing.rest_ms(Now::booted(1)), u64::MAX, "without a clock never");
    assert_eq!(renewing.rest_ms(at(0, 299 * DAY_MS)), DAY_MS as u64);
    assert_eq!(renewing.rest_ms(at(0, 300 * DAY_MS)), 0);
    renewing.asked(at(5, 300 * DAY_MS));
    assert_eq!(renewing.rest_ms(at(5, 300 * DAY_MS)), ASK_AGAIN_MS);
    assert_eq!(renewing.rest_ms(at(5 + ASK_AGAIN_MS, 500 * DAY_MS)), 0, "also after its end");
    assert_eq!(Renewing::of(&facts, renewing.asked_ms()).rest_ms(at(6, 300 * DAY_MS)), ASK_AGAIN_MS - 1);
}
