//! Renewal of devices' certificates and of the gateway's own, on real files.

use std::path::PathBuf;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;
use vaka_protocol::DeviceId;

use super::certificate::{Start, Subject, read_authority, sign};
use super::{
    AddDevice, DEVICE_DAYS, GATEWAY_DAYS, Issued, NewHome, NotRenewed, PeerIdentity, Pki, add, create, first_used,
    identity, renew, renew_own, waiting,
};

/// 2026-06-01 UTC.
const NOW_MS: i64 = 1_780_272_000_000;
const DAY_MS: i64 = 86_400_000;

struct Home {
    dir: TempDir,
    pki: Pki,
    file: PathBuf,
}

fn home() -> Home {
    let dir = TempDir::new().unwrap();
    let home = NewHome {
        gateway: DeviceId::try_from("gw-0001").unwrap(),
        controller_id: "1".into(),
        listen: "127.0.0.1:8883".parse().unwrap(),
    };
    let file = create(&dir.path().join("h"), &home, NOW_MS).unwrap();
    let pki = Pki::beside(&dir.path().join("h"));
    Home { dir, pki, file }
}

impl Home {
    fn device(&self, out: &str) -> PeerIdentity {
        let out = self.dir.path().join(out);
        let wish = AddDevice {
            id: DeviceId::try_from("p1").unwrap(),
            kind: crate::config::DeviceKind::Pendant,
            room: None,
            resident: None,
            via: None,
            out: Some(out.clone()),
        };
        add(&self.file, &wish, NOW_MS).unwrap();
        identity(&CertificateDer::from_pem_file(out.join("cert.pem")).unwrap()).unwrap()
    }

    fn issued(&self) -> Issued {
        Issued::load(&self.pki.issued()).unwrap().0
    }

    /// Serial numbers in force, oldest first.
    fn in_force(&self) -> Vec<String> {
        let issued = self.issued();
        let rows = issued.of(&DeviceId::try_from("p1").unwrap());
        rows.into_iter().filter(|row| row.is_in_force()).map(|row| row.serial.clone()).collect()
    }
}

fn request_of(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    // Names and wishes of a request count for nothing.
    params.distinguished_name.push(DnType::CommonName, "somebody-else");
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    params.serialize_request(key).unwrap().der().to_vec()
}

fn request() -> Vec<u8> {
    request_of(&KeyPair::generate().unwrap())
}

fn peer_of(der: &[u8]) -> PeerIdentity {
    identity(&CertificateDer::from(der.to_vec())).unwrap()
}

#[test]
fn a_renewed_certificate_is_of_the_same_device_and_the_old_one_goes_with_its_first_use() {
    let home = home();
    let old = home.device("p1");
    let due = NOW_MS + DEVICE_DAYS * DAY_MS * 2 / 3;
    assert_eq!(home.issued().row(&old.serial).unwrap().renews_at() / DAY_MS, due / DAY_MS);
    let request = request();
    let given = renew(&home.pki, &old, &request, due).unwrap();
    let new = peer_of(&given.certificate);
    assert_eq!(
        (&new.device, new.enrolment, new.not_after),
        (&old.device, old.enrolment, due / 1_000 * 1_000 + DEVICE_DAYS * DAY_MS)
    );
    assert_ne!(new.serial, old.serial);
    assert_eq!(home.in_force(), [old.serial.clone(), new.serial.clone()]);
    let renewed = home.issued().renewed();
    assert_eq!(renewed.get(&(old.device.clone(), 1)), Some(&new.serial));
    assert_eq!(home.issued().used(&old.device).unwrap().serial, old.serial, "given is not used");

    // The answer was lost on the way: the same key gets the same certificate, on request and unasked.
    let again = renew(&home.pki, &old, &request, due + 1).unwrap();
    assert_eq!((again.is_new, &again.certificate), (false, &given.certificate));
    assert_eq!(waiting(&home.pki, &old).as_ref(), Some(&given.certificate));
    assert_eq!(home.in_force().len(), 2);

    assert!(first_used(&home.pki, &new, due + 2).unwrap());
    assert_eq!(home.in_force(), std::slice::from_ref(&new.serial));
    assert!(home.issued().is_revoked(&old.serial) && home.issued().renewed().is_empty());
    assert!(!first_used(&home.pki, &new, due + 3).unwrap(), "once");
    assert_eq!(waiting(&home.pki, &new), None);
    assert!(matches!(renew(&home.pki, &old, &request, due + 4), Err(NotRenewed::NotInForce)));
}

#[test]
fn a_device_that_lost_its_new_key_gets_another_and_the_lost_one_is_good_no_longer() {
    let home = home();
    let old = home.device("p1");
    let due = NOW_MS + DEVICE_DAYS * DAY_MS * 2 / 3;
    let lost = renew(&home.pki, &old, &request(), due).unwrap();
    let second = renew(&home.pki, &old, &request(), due + 1).unwrap();
    assert_eq!(home.in_force(), [old.serial.clone(), second.serial.clone()]);
    assert!(home.issued().is_revoked(&lost.serial));
    // An ended one renews too; a revoked one does not, ended or not.
    let ended = old.not_after + 700 * DAY_MS;
    assert!(renew(&home.pki, &old, &request(), ended).is_ok());
    super::remove(&home.file, &old.device, Some(1), ended).unwrap();
    assert!(home.in_force().is_empty(), "revoking takes what it was given too");
    assert!(matches!(renew(&home.pki, &old, &request(), ended), Err(NotRenewed::NotInForce)));
}

#[test]
fn what_is_no_request_of_a_p256_key_or_comes_too_early_renews_nothing() {
    let home = home();
    let old = home.device("p1");
    let due = NOW_MS + DEVICE_DAYS * DAY_MS * 2 / 3;
    let whole = request();
    assert!(matches!(
        renew(&home.pki, &old, &whole, NOW_MS + DEVICE_DAYS * DAY_MS / 2 - DAY_MS),
        Err(NotRenewed::TooEarly)
    ));
    let mut forged = whole.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut longer = whole.clone();
    longer.push(0);
    let p384 = request_of(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    for (name, bytes) in [
        ("forged", forged),
        ("longer", longer),
        ("torn", whole[..whole.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("huge", vec![0x30; 4_096]),
        ("p384", p384),
    ] {
        let said = renew(&home.pki, &old, &bytes, due);
        assert!(matches!(said, Err(NotRenewed::Unreadable(_))), "{name}: {said:?}");
    }
    assert_eq!(home.in_force(), [old.serial]);
}

#[test]
fn a_list_that_was_lost_does_not_end_every_device() {
    let home = home();
    let old = home.device("p1");
    std::fs::remove_file(home.pki.issued()).unwrap();
    let given = renew(&home.pki, &old, &request(), old.not_after - 1).unwrap();
    assert_eq!(peer_of(&given.certificate).enrolment, old.enrolment);
}

#[test]
fn the_gateways_own_are_made_again_under_the_same_key_and_names() {
    let home = home();
    let key_before = std::fs::read(home.pki.server_key()).unwrap();
    let parsed = |path: PathBuf| {
        let der = CertificateDer::from_pem_file(path).unwrap().into_owned();
        let (_, x509) = x509_parser::parse_x509_certificate(&der).unwrap();
        let names = x509.subject_alternative_name().unwrap().map(|names| names.value.general_names.len());
        let validity = x509.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp(), names, x509.public_key().raw.to_vec())
    };
    let before = [parsed(home.pki.server_cert()), parsed(home.pki.client_cert())];
    let third = GATEWAY_DAYS * DAY_MS / 3;
    let end = before[0].1 * 1_000;
    assert!(!renew_own(&home.pki, end - third - DAY_MS));
    assert_eq!(parsed(home.pki.server_cert()), before[0]);
    // Years later, when it has long ended.
    let late = end + 700 * DAY_MS;
    assert!(renew_own(&home.pki, late));
    let after = [parsed(home.pki.server_cert()), parsed(home.pki.client_cert())];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.0, &before.2, &before.3), (after.0, &after.2, &after.3));
        assert!(after.1 * 1_000 > late + 5 * 365 * DAY_MS);
    }
    assert_eq!(std::fs::read(home.pki.server_key()).unwrap(), key_before);
    assert!(!renew_own(&home.pki, late), "once");

    // Near the authority's own end nothing is won by it.
    let authority = read_authority(&home.pki.server_ca(), &home.pki.server_ca_key()).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let subject = Subject {
        name: "gw-0001",
        usage: rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        alternatives: Vec::new(),
        start: Start::Always,
        days: 100 * 365,
    };
    let signed = sign(&authority, subject, &key, NOW_MS).unwrap();
    assert_eq!(signed.not_after, authority.not_after, "nothing outlives its authority");
    let device = Subject {
        name: "p1",
        usage: rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        alternatives: Vec::new(),
        start: Start::Yesterday,
        days: DEVICE_DAYS,
    };
    let late = sign(&authority, device, &key, authority.not_after + 90 * DAY_MS).unwrap();
    let (_, late) = x509_parser::parse_x509_certificate(&late.der).unwrap();
    assert!(late.validity().not_before <= late.validity().not_after, "it has a moment at which it can be judged");
    std::fs::write(home.pki.server_cert(), &signed.pem).unwrap();
    std::fs::write(home.pki.client_cert(), std::fs::read(home.pki.client_cert()).unwrap()).unwrap();
    assert!(
        !renew_own(&home.pki, authority.not_after - 10 * DAY_MS - 1)
            || parsed(home.pki.server_cert()).1 * 1_000 == signed.not_after
    );
}
