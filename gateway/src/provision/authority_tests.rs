//! What the authorities may sign, judged by webpki and by OpenSSL; and authorities that a municipality gives, good and unfit ones.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P384_SHA384, SanType, date_time_ymd,
};
use tempfile::TempDir;
use vaka_protocol::DeviceId;

use super::certificate::{Start, Subject, end, read_authority};
use super::{Given, NewHome, Pki, create_under};
use crate::provision::{self, AddDevice};

/// 2026-06-01 UTC.
const NOW_MS: i64 = 1_780_272_000_000;

fn new_home() -> NewHome {
    NewHome {
        gateway: DeviceId::try_from("gw-0001").unwrap(),
        controller_id: "1".into(),
        listen: "127.0.0.1:8883".parse().unwrap(),
    }
}

/// `openssl verify` at that time: what it says, and whether it was content. `None`: it is not here.
fn openssl(purpose: &str, authority: &Path, above: Option<&Path>, leaf: &Path) -> Option<(bool, String)> {
    let mut command = Command::new("openssl");
    command.args([
        "verify",
        "-x509_strict",
        "-check_ss_sig",
        "-attime",
        &(NOW_MS / 1_000).to_string(),
        "-purpose",
        purpose,
    ]);
    match above {
        Some(root) => command.arg("-CAfile").arg(root).arg("-untrusted").arg(authority),
        None => command.arg("-CAfile").arg(authority),
    };
    let done = command.arg(leaf).output().ok()?;
    Some((done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned()))
}

fn lacks_openssl(name: &str) -> bool {
    let lacks = Command::new("openssl").arg("version").output().is_err();
    if lacks {
        println!("SKIP {name}: needs the openssl command as judge");
    }
    lacks
}

/// A certificate of the home's device authority with one more name, as a thief of its key would make it.
fn forged(pki: &Pki, name: SanType, to: &Path) {
    let authority = read_authority(&pki.device_ca(), &pki.device_ca_key()).unwrap();
    let subject = Subject {
        name: "p1",
        usage: ExtendedKeyUsagePurpose::ClientAuth,
        alternatives: vec![name],
        start: Start::Yesterday,
        days: 30,
    };
    std::fs::write(to, end(&authority, subject, NOW_MS).unwrap().1.pem).unwrap();
}

#[test]
fn a_device_authority_can_name_no_server_whoever_judges() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("h");
    let (file, _) = create_under(&home, &new_home(), &Given::default(), NOW_MS).unwrap();
    let pki = Pki::beside(&home);
    let wish = AddDevice {
        id: DeviceId::try_from("p1").unwrap(),
        kind: crate::config::DeviceKind::Pendant,
        room: None,
        resident: None,
        via: None,
        out: Some(dir.path().join("p1")),
    };
    provision::add(&file, &wish, NOW_MS).unwrap();
    let names = [
        ("dns", SanType::DnsName("localhost".try_into().unwrap())),
        ("v4", SanType::IpAddress([127, 0, 0, 1].into())),
        ("v6", SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into())),
    ];
    for (word, name) in names.clone() {
        let leaf = dir.path().join(format!("{word}.pem"));
        forged(&pki, name, &leaf);
        let authority = std::fs::read_to_string(pki.device_ca()).unwrap();
        let signed = super::certificate::Signed {
            der: rustls_pki_types::pem::PemObject::from_pem_file(&leaf)
                .map(|der: rustls_pki_types::CertificateDer<'_>| der.to_vec())
                .unwrap(),
            pem: String::new(),
            serial: String::new(),
            not_after: 0,
        };
        let said = super::authority::judge(&authority, &signed, super::authority::DEVICES, NOW_MS).unwrap_err();
        assert!(said.contains("NameConstraint"), "{word}: {said}");
    }
    if lacks_openssl("provision::authority_tests::a_device_authority_can_name_no_server_whoever_judges") {
        return;
    }
    let judged = |purpose: &str, ca: &Path, leaf: &Path| openssl(purpose, ca, None, leaf).unwrap();
    for (word, _) in names {
        let (content, said) = judged("sslclient", &pki.device_ca(), &dir.path().join(format!("{word}.pem")));
        assert!(!content && said.contains("excluded subtree violation"), "{word}: {said}");
    }
    // What the home makes is what OpenSSL takes, each for its own purpose alone.
    for (purpose, ca, leaf, good) in [
        ("sslclient", pki.device_ca(), dir.path().join("p1/cert.pem"), true),
        ("sslserver", pki.device_ca(), dir.path().join("p1/cert.pem"), false),
        ("sslclient", pki.device_ca(), pki.client_cert(), true),
        ("sslserver", pki.server_ca(), pki.server_cert(), true),
        ("sslclient", pki.server_ca(), pki.server_cert(), false),
        ("sslclient", pki.server_ca(), dir.path().join("p1/cert.pem"), false),
    ] {
        let (content, said) = judged(purpose, &ca, &leaf);
        assert_eq!(content, good, "{purpose} {}: {said}", leaf.display());
    }
}

/// A municipality: its root, and what is changed about an issuing authority for `usage`.
struct Municipality {
    dir: TempDir,
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Municipality {
    fn new() -> Municipality {
        let mut params = authority_params("Kommunens rot");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
        Municipality { dir, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes an issuing authority with its chain, and its key.
    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.root).unwrap();
        let (cert, private) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&cert, format!("{}{}", certificate.pem(), self.root.pem())).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        (cert, private)
    }

    /// What making a home with these says.
    fn init(
        &self,
        devices: Option<(PathBuf, PathBuf)>,
        servers: Option<(PathBuf, PathBuf)>,
    ) -> Result<Vec<String>, String> {
        let home = self.path(&format!("home-{}", std::fs::read_dir(self.dir.path()).unwrap().count()));
        let made = create_under(&home, &new_home(), &Given { devices, servers }, NOW_MS);
        assert_eq!(made.is_ok(), home.join("vaka.toml").exists());
        assert_eq!(made.is_ok(), home.exists(), "nothing is left of a home that was not made");
        made.map(|(_, warnings)| warnings.into_iter().map(|warning| warning.text).collect()).map_err(|e| e.to_string())
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
    params
}

fn no_servers() -> Option<NameConstraints> {
    let excluded_subtrees = vec![GeneralSubtree::DnsName(String::new())];
    Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees })
}

#[test]
fn a_municipality_can_be_the_root() {
    let town = Municipality::new();
    let devices = town.issue("devices", |params| params.name_constraints = no_servers());
    let servers = town.issue("servers", |_| {});
    let home = town.path("h");
    let given = Given { devices: Some(devices), servers: Some(servers) };
    let (file, warnings) = create_under(&home, &new_home(), &given, NOW_MS).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let pki = Pki::beside(&home);
    let out = town.path("p1");
    let wish = AddDevice {
        id: DeviceId::try_from("p1").unwrap(),
        kind: crate::config::DeviceKind::Pendant,
        room: None,
        resident: None,
        via: None,
        out: Some(out.clone()),
    };
    provision::add(&file, &wish, NOW_MS).unwrap();
    for key in ["device-ca.key", "server-ca.key", "server.key", "client.key", "issued.jsonl"] {
        let mode = std::fs::metadata(pki.dir().join(key)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{key}");
    }
    // The root itself is no anchor of ours: another of its authorities names none of our devices.
    assert!(!std::fs::read_to_string(pki.device_ca()).unwrap().contains(town.root.pem().trim()));
    if lacks_openssl("provision::authority_tests::a_municipality_can_be_the_root") {
        return;
    }
    let root = town.path("root.pem");
    for (purpose, between, leaf) in [
        ("sslclient", pki.device_ca(), out.join("cert.pem")),
        ("sslserver", pki.server_ca(), pki.server_cert()),
        // The chain that the gateway shows is enough for who knows the root alone.
        ("sslserver", pki.server_cert(), pki.server_cert()),
    ] {
        let (content, said) = openssl(purpose, &between, Some(&root), &leaf).unwrap();
        assert!(content, "{purpose} {}: {said}", leaf.display());
    }
}

#[test]
fn an_authority_that_cannot_do_its_part_is_named_before_anything_is_made() {
    let town = Municipality::new();
    let good = town.issue("good", |params| params.name_constraints = no_servers());
    let refused = |name: &str, change: &dyn Fn(&mut CertificateParams)| {
        let given = town.issue(name, |params| change(params));
        (town.init(Some(given.clone()), None).err(), town.init(None, Some(given)).err())
    };
    let both = |name: &str, what: &str, change: &dyn Fn(&mut CertificateParams)| {
        let (devices, servers) = refused(name, change);
        for said in [devices, servers] {
            let said = said.unwrap_or_else(|| panic!("{name} was taken"));
            assert!(said.contains(what) && said.contains(&format!("{name}.pem")), "{name}: {said}");
        }
    };
    both("leaf", "no authority's certificate", &|params| params.is_ca = IsCa::ExplicitNoCa);
    both("deep", "its path length is 1", &|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    both("deepest", "its path length is none", &|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    both("ended", "it ended 2026-01-01", &|params| params.not_after = date_time_ymd(2026, 1, 1));
    both("early", "it begins 2027-01-01", &|params| params.not_before = date_time_ymd(2027, 1, 1));
    both("mute", "keyCertSign", &|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);

    let (devices, servers) = refused("other-use", &|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(devices.unwrap().contains("leaves out clientAuth"));
    assert_eq!(servers, None);
    let (devices, servers) = refused("elsewhere", &|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("kommun.example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    assert_eq!(devices, None, "a device has no DNS name to be excluded");
    let said = servers.unwrap();
    assert!(said.contains("localhost") && said.contains("permitted:") && said.contains("kommun.example"), "{said}");

    // The wrong key, no key, no certificate, and one authority for both.
    let other = town.issue("other", |_| {});
    let said = town.init(Some((good.0.clone(), other.1.clone())), None).unwrap_err();
    assert!(said.contains("does not belong to") && said.contains("other.key"), "{said}");
    std::fs::write(
        town.path("encrypted.key"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let said = town.init(Some((good.0.clone(), town.path("encrypted.key"))), None).unwrap_err();
    assert!(said.contains("openssl pkcs8 -topk8 -nocrypt"), "{said}");
    let said = town.init(Some((good.1.clone(), good.1.clone())), None).unwrap_err();
    assert!(said.contains("no certificate in it"), "{said}");
    let said = town.init(Some(other.clone()), Some(other.clone())).unwrap_err();
    assert!(said.contains("authority for servers too"), "{said}");

    // Usable, and told.
    let warned = town.init(Some(other), None).unwrap();
    assert!(warned.len() == 1 && warned[0].contains("may name servers"), "{warned:?}");
    let short = town.issue("short", |params| {
        params.not_after = date_time_ymd(2026, 12, 1);
        params.name_constraints = no_servers();
    });
    let warned = town.init(Some(short), None).unwrap();
    assert!(warned.len() == 1 && warned[0].contains("ends in 183 days"), "{warned:?}");
}

#[test]
fn keys_may_come_from_the_service_manager() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("h");
    create_under(&home, &new_home(), &Given::default(), NOW_MS).unwrap();
    let credentials = dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let pki = Pki::beside(&home).with_credentials(Some(&credentials));
    assert_eq!(pki.server_key(), home.join("pki/server.key"), "not given: the file");
    for key in ["server.key", "device-ca.key"] {
        std::fs::rename(home.join("pki").join(key), credentials.join(key)).unwrap();
    }
    assert_eq!(pki.server_key(), credentials.join("server.key"));
    assert_eq!(pki.client_key(), home.join("pki/client.key"));
    assert!(read_authority(&pki.device_ca(), &pki.device_ca_key()).is_ok());
    let without = Pki::beside(&home).with_credentials(None);
    let said = read_authority(&without.device_ca(), &without.device_ca_key()).err().unwrap().to_string();
    assert!(said.contains("device-ca.key"), "{said}");
}
