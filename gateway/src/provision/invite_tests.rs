//! One code, one device, once; and what a stranger can do to it, which is nothing.

use std::sync::{Arc, Barrier};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};
use tempfile::TempDir;
use vaka_protocol::enrol::Secret;

use super::*;
use crate::clock::Confidence;
use crate::provision::{NewHome, add, create, identity, remove};

/// 2026-06-01 UTC.
const NOW_MS: i64 = 1_780_272_000_000;
const LIFE_MS: u64 = 15 * 60 * 1_000;
const HERE: [u8; 32] = [1; 32];

fn at(passed_ms: u64) -> Now {
    Now { mono_ms: 5_000 + passed_ms, wall_ms: NOW_MS + passed_ms as i64, confidence: Confidence::Held }
}

fn wish(device: &str) -> AddDevice {
    let id = DeviceId::try_from(device).unwrap();
    AddDevice { id, kind: DeviceKind::Pendant, room: None, resident: None, via: None, out: None }
}

struct Home {
    dir: TempDir,
    file: std::path::PathBuf,
    pki: Pki,
}

fn home() -> Home {
    let dir = TempDir::new().unwrap();
    let gateway = DeviceId::try_from("gw-0001").unwrap();
    let new = NewHome { gateway, controller_id: "10149471".into(), listen: "127.0.0.1:8883".parse().unwrap() };
    let file = create(&dir.path().join("h"), &new, NOW_MS).unwrap();
    let pki = Config::load(&file).unwrap().0.pki();
    Home { dir, file, pki }
}

fn csr_of(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

fn csr() -> Vec<u8> {
    csr_of(&KeyPair::generate().unwrap())
}

impl Home {
    fn invite(&self, device: &str) -> Secret {
        invite(&self.file, &wish(device), LIFE_MS, at(0)).unwrap().code.secret()
    }

    fn ask(&self, secret: &Secret, kind: Option<&str>, csr: &[u8], now: Now) -> Judged {
        let request = Request::new(secret, &HERE, kind, csr);
        judge(&self.file, &self.pki, &request, &HERE, now).unwrap()
    }

    fn refused(&self, secret: &Secret, now: Now) -> NotEnrolled {
        why(self.ask(secret, None, &csr(), now))
    }

    fn invites_text(&self) -> String {
        std::fs::read_to_string(self.pki.invites()).unwrap()
    }
}

fn why(judged: Judged) -> NotEnrolled {
    match judged {
        Judged::Refused { why, .. } => why,
        Judged::Enrolled { id, enrolment, .. } => panic!("{id} got certificate {enrolment}"),
    }
}

fn enrolled(judged: Judged) -> (u32, Vec<u8>, bool) {
    match judged {
        Judged::Enrolled { enrolment, certificate, again, .. } => (enrolment, certificate, again),
        Judged::Refused { why, id } => panic!("{id:?} refused: {why:?}"),
    }
}

#[test]
fn a_code_brings_one_device_its_certificate_and_the_same_again_if_the_answer_was_lost() {
    let home = home();
    let invited = invite(&home.file, &wish("p1"), LIFE_MS, at(0)).unwrap();
    assert!(invited.expected.new);
    let code = invited.code.text();
    let secret = invited.code.secret();
    let text = home.invites_text();
    assert!(!text.contains(code.as_str()) && !text.contains(&code.replace('-', "")), "the code is kept nowhere");
    let mine = csr();
    let (enrolment, certificate, again) = enrolled(home.ask(&secret, Some("pendant"), &mine, at(1)));
    assert_eq!((enrolment, again), (1, false));
    let peer = identity(&CertificateDer::from(certificate.clone())).unwrap();
    assert_eq!((peer.device.as_ref(), peer.enrolment), ("p1", 1));
    assert_eq!(Issued::load(&home.pki.issued()).unwrap().0.of(&peer.device)[0].serial, peer.serial);

    assert_eq!(enrolled(home.ask(&secret, None, &mine, at(2))), (1, certificate, true), "the same key");
    assert_eq!(home.refused(&secret, at(2)), NotEnrolled::Used, "another key");
    assert_eq!(why(home.ask(&secret, None, &mine, at(LIFE_MS))), NotEnrolled::Used, "after the code's life");
    assert_eq!(Issued::load(&home.pki.issued()).unwrap().0.of(&peer.device).len(), 1, "one certificate in all");
}

#[test]
fn of_twenty_at_once_exactly_one_wins() {
    let home = Arc::new(home());
    let secret = home.invite("p1");
    let gate = Arc::new(Barrier::new(20));
    let askers: Vec<_> = (0..20)
        .map(|_| {
            let (home, secret, gate, csr) = (home.clone(), secret.clone(), gate.clone(), csr());
            std::thread::spawn(move || {
                gate.wait();
                home.ask(&secret, None, &csr, at(1))
            })
        })
        .collect();
    let judged: Vec<Judged> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
    let winners = judged.iter().filter(|judged| matches!(judged, Judged::Enrolled { .. })).count();
    let used = judged.iter().filter(|j| matches!(j, Judged::Refused { why: NotEnrolled::Used, .. })).count();
    assert_eq!((winners, used), (1, 19));
    assert_eq!(Issued::load(&home.pki.issued()).unwrap().0.of(&wish("p1").id).len(), 1);
}

#[test]
fn an_ended_life_is_measured_on_the_clock_that_only_runs() {
    let home = home();
    let secret = home.invite("p1");
    // Somebody sets the wall clock back by a year: the code's time runs on all the same.
    let set_back = Now { wall_ms: NOW_MS - 365 * 86_400_000, ..at(LIFE_MS) };
    assert_eq!(home.refused(&secret, set_back), NotEnrolled::Expired);
    // Or forward: a code of a minute ago is not lost for it.
    let set_on = Now { wall_ms: NOW_MS + 365 * 86_400_000, ..at(60_000) };
    assert_eq!(enrolled(home.ask(&secret, None, &csr(), set_on)).0, 1);
    let late = home.invite("p2");
    assert_eq!(home.refused(&late, at(LIFE_MS - 1 + 1)), NotEnrolled::Expired);
}

#[test]
fn wrong_proofs_burn_the_invitation_and_a_stranger_cannot_make_one() {
    let home = home();
    let secret = home.invite("p1");
    // Any code that is not this one: nothing is counted against anybody, and nothing is written.
    let before = home.invites_text();
    for n in 0..50 {
        let stranger = Secret { key: [n; 32], locator: [n; 8] };
        assert_eq!(home.refused(&stranger, at(1)), NotEnrolled::Unknown);
    }
    assert_eq!(home.invites_text(), before);
    // Who stands between knows the locator and not the key.
    let between = Secret { key: [9; 32], ..secret.clone() };
    for _ in 0..limits::INVITATION_TRIES_MAX {
        assert_eq!(home.refused(&between, at(1)), NotEnrolled::WrongProof);
    }
    assert_eq!(home.refused(&between, at(1)), NotEnrolled::Burnt);
    assert_eq!(home.refused(&secret, at(1)), NotEnrolled::Burnt, "the right code neither");
    let length = home.invites_text().len();
    for _ in 0..50 {
        assert_eq!(home.refused(&between, at(1)), NotEnrolled::Burnt);
    }
    assert_eq!(home.invites_text().len(), length);
}

#[test]
fn a_proof_of_another_connection_is_none() {
    let home = home();
    let secret = home.invite("p1");
    let csr = csr();
    let relayed = Request::new(&secret, &[2; 32], None, &csr);
    assert_eq!(why(judge(&home.file, &home.pki, &relayed, &HERE, at(1)).unwrap()), NotEnrolled::WrongProof);
    assert_eq!(enrolled(home.ask(&secret, None, &csr, at(1))).0, 1, "one wrong proof burns nothing");
}

#[test]
fn another_kind_and_a_request_that_is_none_are_refused_and_cost_nothing() {
    let home = home();
    let secret = home.invite("p1");
    let mine = csr();
    assert_eq!(why(home.ask(&secret, Some("dispenser"), &mine, at(1))), NotEnrolled::OtherKind);
    let large = csr_of(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    let mut forged = mine.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bad in [&[][..], b"csr", &large, &forged] {
        assert_eq!(why(home.ask(&secret, None, bad, at(1))), NotEnrolled::BadRequest);
    }
    assert_eq!(enrolled(home.ask(&secret, Some("pendant"), &mine, at(1))).0, 1);
}

#[test]
fn what_a_request_asks_for_itself_is_not_granted() {
    let home = home();
    let secret = home.invite("p1");
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new(vec!["gw-0001".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    greedy.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    greedy.distinguished_name.push(rcgen::DnType::CommonName, "p2");
    let csr = greedy.serialize_request(&key).unwrap();
    let (_, certificate, _) = enrolled(home.ask(&secret, None, csr.der(), at(1)));
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(&certificate).unwrap();
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(names.len(), 1, "the enrolment alone: {names:?}");
    assert_eq!(certificate.subject().to_string(), "CN=p1");
}

#[test]
fn a_newer_code_and_a_removed_device_end_the_older_code() {
    let home = home();
    let first = home.invite("p1");
    let second = home.invite("p1");
    assert_eq!(home.refused(&first, at(1)), NotEnrolled::Cancelled);
    remove(&home.file, &wish("p1").id, None, NOW_MS).unwrap();
    assert_eq!(home.refused(&second, at(1)), NotEnrolled::Cancelled);
    assert!(Issued::load(&home.pki.issued()).unwrap().0.of(&wish("p1").id).is_empty());

    // Taken out by hand: the code names nothing any more.
    let text = std::fs::read_to_string(&home.file).unwrap();
    let third = home.invite("p1");
    std::fs::write(&home.file, text).unwrap();
    assert_eq!(home.refused(&third, at(1)), NotEnrolled::NotListed);
}

#[test]
fn a_device_that_was_there_gets_its_next_enrolment_and_one_behind_a_bridge_no_code() {
    let home = home();
    let out = Some(home.dir.path().join("p1"));
    add(&home.file, &AddDevice { out, ..wish("p1") }, NOW_MS).unwrap();
    let invited = invite(&home.file, &wish("p1"), LIFE_MS, at(0)).unwrap();
    assert!(!invited.expected.new);
    assert_eq!(enrolled(home.ask(&invited.code.secret(), None, &csr(), at(1))).0, 2);
    let other = AddDevice { kind: DeviceKind::Dispenser, ..wish("p1") };
    assert!(matches!(invite(&home.file, &other, LIFE_MS, at(0)), Err(ProvisionError::OtherKind { .. })));

    let bridge = AddDevice { kind: DeviceKind::Bridge, out: Some(home.dir.path().join("z")), ..wish("z") };
    add(&home.file, &bridge, NOW_MS).unwrap();
    let behind = AddDevice { via: Some((bridge.id.clone(), "0x1".into())), ..wish("p3") };
    add(&home.file, &behind, NOW_MS).unwrap();
    assert!(matches!(invite(&home.file, &wish("p3"), LIFE_MS, at(0)), Err(ProvisionError::NeedlessCode(_))));
}

#[test]
fn the_list_forgets_keys_that_nobody_needs_and_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let used = home.invite("p1");
    enrolled(home.ask(&used, None, &csr(), at(1)));
    home.invite("p2");
    let key = hex(&used.key);
    assert!(home.invites_text().contains(&key), "the device may ask again");
    invite(&home.file, &wish("p3"), LIFE_MS, at(LIFE_MS)).unwrap();
    let text = home.invites_text();
    assert!(!text.contains(&key), "after its life nobody may");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(std::fs::metadata(home.pki.invites()).unwrap().permissions().mode() & 0o777, 0o600);
    let (rows, _) = invites(&Config::load(&home.file).unwrap().0).unwrap();
    assert!(!format!("{rows:?}").contains(&key));
    let states: Vec<_> = rows.iter().map(|row| row.state(at(LIFE_MS)).as_str()).collect();
    assert_eq!(states, ["used", "expired", "open"]);
    // A damaged line costs that code and is said.
    std::fs::write(home.pki.invites(), format!("{{\"id\":\n{text}")).unwrap();
    let (rows, warnings) = invites(&Config::load(&home.file).unwrap().0).unwrap();
    assert_eq!((rows.len(), warnings.len()), (3, 1));
}
