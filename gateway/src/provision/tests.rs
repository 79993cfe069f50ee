//! A home is made, devices come and go, and the handshakes are real ones over loopback.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use vaka_protocol::DeviceId;

use super::*;
use crate::clock::ManualClock;
use crate::config::{Config, DeviceKind};

/// 2026-06-01 UTC.
const NOW_MS: i64 = 1_780_272_000_000;
const DAY_MS: i64 = 86_400_000;

fn id(text: &str) -> DeviceId {
    DeviceId::try_from(text).unwrap()
}

fn home() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let home =
        NewHome { gateway: id("gw-0001"), controller_id: "10149471".into(), listen: "127.0.0.1:8883".parse().unwrap() };
    let file = create(&dir.path().join("h"), &home, NOW_MS).unwrap();
    (dir, file)
}

fn wish(device: &str, kind: DeviceKind, out: Option<PathBuf>) -> AddDevice {
    AddDevice { id: id(device), kind, room: None, resident: None, via: None, out }
}

fn server(file: &Path, now_ms: i64) -> Arc<ServerConfig> {
    tls::server_config(&Config::load(file).unwrap().0, Arc::new(ManualClock::new(now_ms))).unwrap()
}

fn device_client(dir: &Path) -> Arc<ClientConfig> {
    tls::client_config(&dir.join("ca.pem"), Some((&dir.join("cert.pem"), &dir.join("key.pem")))).unwrap()
}

/// Shakes hands over loopback; the server's view: the peer's certificate, or why not. The client's error comes second.
fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> (Result<CertificateDer<'static>, String>, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(server).unwrap();
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut socket) {
                // The alert still has to leave.
                let _ = tls.write_tls(&mut socket);
                return Err(error.to_string());
            }
        }
        Ok(tls.peer_certificates().unwrap()[0].clone().into_owned())
    });
    let mut socket = TcpStream::connect(address).unwrap();
    let mut tls = ClientConnection::new(client, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut refused = None;
    while tls.is_handshaking() && refused.is_none() {
        refused = tls.complete_io(&mut socket).err().map(|error| error.to_string());
    }
    let _ = tls.write_tls(&mut socket);
    drop(socket);
    (serving.join().unwrap(), refused)
}

#[test]
fn a_device_comes_in_by_its_certificate() {
    let (dir, file) = home();
    let out = dir.path().join("p1");
    let added = add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), NOW_MS).unwrap();
    let row = added.certificate.unwrap();
    assert_eq!((row.enrolment, added.new, added.told), (1, true, Told::NotRunning));
    let (config, warnings) = Config::load(&file).unwrap();
    assert_eq!(config.device(&id("p1")).unwrap().kind, DeviceKind::Pendant);
    assert_eq!(warnings.len(), 1, "only the unpinned receiver: {warnings:?}");

    let (peer, refused) = shake(server(&file, NOW_MS), device_client(&out));
    assert_eq!(refused, None);
    let peer = identity(&peer.unwrap()).unwrap();
    assert_eq!(peer.device, id("p1"));
    assert_eq!((peer.enrolment, peer.serial, peer.not_after), (1, row.serial, NOW_MS + DEVICE_DAYS * DAY_MS));
}

#[test]
fn a_lost_clock_still_takes_devices_and_an_ended_life_is_let_in_to_renew() {
    let (dir, file) = home();
    let out = dir.path().join("p1");
    // Issued with the clock at 1970: its life is counted from the floor.
    let row = add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), 0).unwrap().certificate.unwrap();
    assert_eq!(row.not_after, CLOCK_FLOOR_MS + DEVICE_DAYS * DAY_MS);
    assert!(shake(server(&file, 0), device_client(&out)).0.is_ok());
    // Who has ended comes in, and the session knows it; so does one that a clock gone back has not seen begin.
    let late = shake(server(&file, row.not_after + 1_000 * DAY_MS), device_client(&out)).0.unwrap();
    assert_eq!(identity(&late).unwrap().not_after, row.not_after);
    let later = dir.path().join("p2");
    add(&file, &wish("p2", DeviceKind::Pendant, Some(later.clone())), NOW_MS + 3_000 * DAY_MS).unwrap();
    assert!(shake(server(&file, NOW_MS), device_client(&later)).0.is_ok());
    // Everything else is judged as ever: another home's, ended or not, and the wrong usage.
    let (other_dir, other) = home();
    let foreign = other_dir.path().join("p1");
    add(&other, &wish("p1", DeviceKind::Pendant, Some(foreign.clone())), NOW_MS).unwrap();
    let stranger =
        tls::client_config(&out.join("ca.pem"), Some((&foreign.join("cert.pem"), &foreign.join("key.pem")))).unwrap();
    assert!(shake(server(&file, row.not_after + 1_000 * DAY_MS), stranger).0.is_err());
    let pki = Config::load(&file).unwrap().0.pki();
    let posing = tls::client_config(&out.join("ca.pem"), Some((&pki.server_cert(), &pki.server_key()))).unwrap();
    assert!(shake(server(&file, NOW_MS + 9_000 * DAY_MS), posing).0.is_err());
}

#[test]
fn keys_are_private_and_no_temporary_file_stays() {
    let (dir, file) = home();
    let out = dir.path().join("p1");
    add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), NOW_MS).unwrap();
    let pki = file.parent().unwrap().join("pki");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&pki), 0o700);
    let mut keys = 0;
    for entry in std::fs::read_dir(&pki).unwrap().chain(std::fs::read_dir(&out).unwrap()) {
        let path = entry.unwrap().path();
        assert!(!path.to_string_lossy().contains(".new-"), "{path:?}");
        if path.extension().is_some_and(|e| e == "key") || path.ends_with("key.pem") {
            assert_eq!(mode(&path), 0o600, "{path:?}");
            keys += 1;
        }
    }
    assert_eq!(keys, 5);
}

#[test]
fn a_home_is_made_once() {
    let (dir, file) = home();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ncontroller_id = \"10149471\"      # SCAIP cid"), "{text}");
    assert!(text.contains("\n[ingest]\nlisten = \"127.0.0.1:8883\"       # devices"), "{text}");
    let before = std::fs::read(&file).unwrap();
    let home = NewHome { gateway: id("gw-2"), controller_id: "1".into(), listen: "127.0.0.1:1".parse().unwrap() };
    let error = create(&dir.path().join("h"), &home, NOW_MS).unwrap_err().to_string();
    assert_eq!(error, format!("{} already exists; a home is made once, choose another folder", file.display()));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let bad = NewHome { controller_id: "x\"y".into(), ..home };
    assert!(matches!(create(&dir.path().join("other"), &bad, NOW_MS), Err(ProvisionError::Config(_))));
    assert!(!dir.path().join("other").exists());
}

#[test]
fn strangers_and_impostors_are_refused() {
    let (dir, file) = home();
    let (other_dir, other) = home();
    let (out, foreign) = (dir.path().join("p1"), other_dir.path().join("p1"));
    add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), NOW_MS).unwrap();
    add(&other, &wish("p1", DeviceKind::Pendant, Some(foreign.clone())), NOW_MS).unwrap();
    let pki = Config::load(&file).unwrap().0.pki();

    // Another home's device, which trusts this home's server.
    let stranger =
        tls::client_config(&out.join("ca.pem"), Some((&foreign.join("cert.pem"), &foreign.join("key.pem")))).unwrap();
    let said = shake(server(&file, NOW_MS), stranger).0.unwrap_err();
    assert!(said.contains("UnknownIssuer") || said.contains("BadSignature"), "{said}");
    // No certificate at all.
    let nobody = tls::client_config(&out.join("ca.pem"), None).unwrap();
    let said = shake(server(&file, NOW_MS), nobody).0.unwrap_err();
    assert!(said.contains("peer sent no certificates"), "{said}");
    // The gateway's own server certificate, shown as a device's.
    let posing = tls::client_config(&out.join("ca.pem"), Some((&pki.server_cert(), &pki.server_key()))).unwrap();
    assert!(shake(server(&file, NOW_MS), posing).0.is_err());
    // This home's device does not speak to another home's gateway.
    let (_, refused) = shake(server(&other, NOW_MS), device_client(&out));
    assert!(refused.unwrap().contains("invalid peer certificate"));
}

#[test]
fn a_device_certificate_serves_nobody() {
    let (dir, file) = home();
    let out = dir.path().join("p1");
    add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), NOW_MS).unwrap();
    let pki = Config::load(&file).unwrap().0.pki();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(out.join("cert.pem")).unwrap()];
    let key = rustls_pki_types::PrivateKeyDer::from_pem_file(out.join("key.pem")).unwrap();
    let impostor = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    // Even a victim that trusts the wrong authority refuses it for its key usage.
    let victim = tls::client_config(&pki.device_ca(), None).unwrap();
    let refused = shake(Arc::new(impostor), victim).1.unwrap();
    assert!(refused.contains("extended key usage") || refused.contains("InvalidPurpose"), "{refused}");
}

#[test]
fn old_tls_only_where_the_file_says_so() {
    let (dir, file) = home();
    let out = dir.path().join("p1");
    add(&file, &wish("p1", DeviceKind::Pendant, Some(out.clone())), NOW_MS).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(out.join("ca.pem")).unwrap()).unwrap();
    let old = || {
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(out.join("cert.pem")).unwrap()],
                rustls_pki_types::PrivateKeyDer::from_pem_file(out.join("key.pem")).unwrap(),
            );
        Arc::new(client.unwrap())
    };
    assert!(shake(server(&file, NOW_MS), old()).0.is_err());
    let text = std::fs::read_to_string(&file).unwrap().replace("[journal]", "tls_min = \"1.2\"\n\n[journal]");
    std::fs::write(&file, text).unwrap();
    assert!(shake(server(&file, NOW_MS), old()).0.is_ok());
}

#[test]
fn a_replaced_device_has_the_next_enrolment() {
    let (dir, file) = home();
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    add(&file, &wish("p1", DeviceKind::Pendant, Some(first.clone())), NOW_MS).unwrap();
    let before = std::fs::read(&file).unwrap();
    let again = add(&file, &wish("p1", DeviceKind::Pendant, Some(first.clone())), NOW_MS);
    assert!(matches!(again, Err(ProvisionError::KeyExists(_))));
    let added = add(&file, &wish("p1", DeviceKind::Pendant, Some(second.clone())), NOW_MS).unwrap();
    assert_eq!((added.new, added.earlier.as_slice(), added.certificate.unwrap().enrolment), (false, [1].as_slice(), 2));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let other = add(&file, &wish("p1", DeviceKind::Lock, Some(dir.path().join("c"))), NOW_MS).unwrap_err();
    assert_eq!(
        other.to_string(),
        "device `p1` is already a pendant, not a lock; use --kind pendant, or remove it first"
    );

    // The first certificate is revoked alone; TLS still knows it, the list says no.
    let removed = remove(&file, &id("p1"), Some(1), NOW_MS + 5).unwrap();
    assert_eq!((removed.revoked.as_slice(), removed.gone), ([1].as_slice(), false));
    let issued = Issued::load(&Config::load(&file).unwrap().0.pki().issued()).unwrap().0;
    let serial = |dir: &Path| {
        let (peer, _) = shake(server(&file, NOW_MS), device_client(dir));
        let peer = identity(&peer.unwrap()).unwrap();
        (peer.enrolment, issued.is_revoked(&peer.serial))
    };
    assert_eq!((serial(&first), serial(&second)), ((1, true), (2, false)));

    // Gone and come back: numbers are never used twice.
    remove(&file, &id("p1"), None, NOW_MS + 6).unwrap();
    assert!(Config::load(&file).unwrap().0.devices.is_empty());
    let back = add(&file, &wish("p1", DeviceKind::Lock, Some(dir.path().join("d"))), NOW_MS).unwrap();
    assert_eq!(back.certificate.unwrap().enrolment, 3);
}

#[test]
fn the_file_keeps_its_comments_and_layout() {
    let (dir, file) = home();
    let start = std::fs::read_to_string(&file).unwrap();
    let at_first = start.replace(
        "[board]",
        "# Anna's own button\n[[device]]\nid   = 'p0'  # the old one\nkind = \"pendant\"\n\n[board]",
    );
    std::fs::write(&file, &at_first).unwrap();
    add(&file, &wish("p1", DeviceKind::Pendant, Some(dir.path().join("p1"))), NOW_MS).unwrap();
    let mut bridge = wish("zigbee", DeviceKind::Bridge, Some(dir.path().join("z")));
    bridge.room = Some("hall \"2\"".into());
    add(&file, &bridge, NOW_MS).unwrap();
    let behind =
        AddDevice { via: Some((id("zigbee"), "0x1".into())), ..wish("smoke", DeviceKind::SmokeDetector, None) };
    let added = add(&file, &behind, NOW_MS).unwrap();
    assert_eq!(added.certificate, None);
    let three = std::fs::read_to_string(&file).unwrap();
    let blocks = "\n[[device]]\nid = \"p1\"\nkind = \"pendant\"\n\n[[device]]\nid = \"zigbee\"\nkind = \"bridge\"\nroom = 'hall \"2\"'\n\n[[device]]\nid = \"smoke\"\nkind = \"smoke-detector\"\nvia = \"zigbee\"\naddress = \"0x1\"\n";
    let whole = at_first.replace("kind = \"pendant\"\n\n[board]", &format!("kind = \"pendant\"\n{blocks}\n[board]"));
    assert_eq!(three, whole);

    let error = remove(&file, &id("zigbee"), None, NOW_MS).unwrap_err().to_string();
    assert_eq!(error, "bridge `zigbee` still speaks for smoke; remove these first");
    for device in ["smoke", "p1", "zigbee"] {
        remove(&file, &id(device), None, NOW_MS).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), at_first);
    remove(&file, &id("p0"), None, NOW_MS).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), start);
    let gone = remove(&file, &id("p0"), None, NOW_MS).unwrap_err().to_string();
    assert_eq!(gone, format!("there is no device `p0` in {}; `vaka device list` names them", file.display()));
}

#[test]
fn a_change_that_would_break_the_file_is_not_made() {
    let (_dir, file) = home();
    let before = std::fs::read(&file).unwrap();
    let lost = AddDevice { via: Some((id("nowhere"), "1".into())), ..wish("s", DeviceKind::Lock, None) };
    assert!(matches!(add(&file, &lost, NOW_MS), Err(ProvisionError::Config(_))));
    assert!(matches!(add(&file, &wish("s", DeviceKind::Lock, None), NOW_MS), Err(ProvisionError::NoOut(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_torn_last_line_is_told_and_swallows_nothing() {
    let (dir, file) = home();
    let list = Config::load(&file).unwrap().0.pki().issued();
    for (device, out) in [("p1", "a"), ("p2", "b")] {
        add(&file, &wish(device, DeviceKind::Pendant, Some(dir.path().join(out))), NOW_MS).unwrap();
    }
    let whole = std::fs::read(&list).unwrap();
    std::fs::write(&list, &whole[..whole.len() - 20]).unwrap();
    let (issued, warnings) = Issued::load(&list).unwrap();
    assert_eq!((issued.of(&id("p1")).len(), issued.of(&id("p2")).len()), (1, 0));
    assert_eq!(warnings[0].line, Some(2));
    let removed = remove(&file, &id("p1"), None, NOW_MS).unwrap();
    assert_eq!(removed.revoked, [1]);
    let (issued, warnings) = Issued::load(&list).unwrap();
    let row = issued.of(&id("p1"))[0];
    assert!(row.revoked_at.is_some() && issued.revoked().contains(&row.serial));
    assert_eq!(warnings.len(), 1);
    std::fs::remove_file(&list).unwrap();
    assert!(Issued::load(&list).unwrap().1[0].text.contains("REVOKED DEVICES ARE TAKEN AGAIN"));
}

#[test]
fn a_running_gateway_is_told() {
    let dir = TempDir::new().unwrap();
    let lock = dir.path().join("lock");
    assert_eq!(tell_gateway(&lock), Told::NotRunning);
    // A process that lives and does not hold the lock is somebody else's: SIGHUP would end it.
    let mut bystander = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(&lock, format!("{}\n", bystander.id())).unwrap();
    assert_eq!(tell_gateway(&lock), Told::NotRunning);
    assert!(bystander.try_wait().unwrap().is_none());
    // Here this test holds the lock in the other process's name.
    let held = std::fs::File::open(&lock).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(tell_gateway(&lock), Told::Running { pid: bystander.id() as i32 });
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(bystander.wait().unwrap().signal(), Some(1));
    assert_eq!(tell_gateway(&lock), Told::NotRunning);
}

#[test]
fn certificates_that_name_no_device_are_named() {
    let certificate = |name: &str, uri: Option<&str>| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.subject_alt_names.extend(uri.map(|uri| rcgen::SanType::URI(uri.try_into().unwrap())));
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    };
    assert_eq!(identity(&certificate("p1", None)).unwrap().enrolment, 1);
    assert_eq!(identity(&certificate("p1", Some("urn:vaka:enrolment:7"))).unwrap().enrolment, 7);
    assert_eq!(identity(&certificate("p1", Some("urn:other"))).unwrap().enrolment, 1);
    for zero in ["urn:vaka:enrolment:0", "urn:vaka:enrolment:x", "urn:vaka:enrolment:99999999999"] {
        assert!(matches!(identity(&certificate("p1", Some(zero))), Err(IdentityError::Enrolment { .. })), "{zero}");
    }
    assert!(matches!(identity(&certificate("P 1", None)), Err(IdentityError::CommonName(_))));
    assert_eq!(identity(&CertificateDer::from(vec![0x30, 1, 2])), Err(IdentityError::NotX509));
}
