//! A device comes with a one-time code and raises an alarm; everybody else who comes is refused, counted, and named in the log without a secret.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use vaka_protocol::enrol::{Code, Secret};
use vaka_tests::{
    Between, Gateway, Home, Output, RawMqtt, Stranger, Trick, connect_from, eventually, eventually_within, free_port,
    press, publish_packet,
};

/// A home with an enrolment door.
struct Doorstep {
    home: Home,
    port: u16,
}

impl Doorstep {
    fn new() -> Doorstep {
        let home = Home::init();
        let port = home.door();
        Doorstep { home, port }
    }

    /// The code, and the QR code's text.
    #[track_caller]
    fn invite(&self, device: &str, more: &[&str]) -> (String, String) {
        self.home.invite(device, more)
    }

    fn enrol_at(&self, port: u16, code: &str, out: &str, more: &[&str]) -> Output {
        let (place, out) = (format!("127.0.0.1:{port}"), format!("h/{out}"));
        let mut args = vec!["device", "enrol", &place, "--code", code, "--out", &out];
        args.extend(more);
        self.home.vaka_plain(&args)
    }

    fn enrol(&self, code: &str, out: &str) -> Output {
        self.enrol_at(self.port, code, out, &[])
    }

    fn state(&self, device: &str) -> Value {
        let rows = self.home.vaka(&["device", "invites", "--json"]).ok().rows();
        rows.into_iter().rfind(|row| row["id"] == device).unwrap_or_default()
    }

    /// Everything that is written down anywhere: the log, the journal, the lists, the command line's facts.
    fn written(&self, gateway: &Gateway<'_>) -> String {
        let mut all = gateway.log();
        for args in [&["journal", "export"][..], &["device", "invites", "--json"], &["device", "list", "--json"]] {
            all.push_str(&self.home.vaka(args).ok().stdout);
        }
        all.push_str(&gateway.stat().to_string());
        for file in ["pki/invites.jsonl", "pki/issued.jsonl", "vaka.toml"] {
            all.push_str(&std::fs::read_to_string(self.home.path(file)).unwrap_or_default());
        }
        all
    }
}

/// None of the codes stands anywhere, in no spelling; nor does what was made of them stand in the log.
#[track_caller]
fn no_secret(doorstep: &Doorstep, gateway: &Gateway<'_>, codes: &[&str]) {
    let (written, log) = (doorstep.written(gateway).to_uppercase(), gateway.log().to_lowercase());
    for code in codes {
        let secret = Code::parse(code).expect("a code").secret();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(
            !written.contains(code) && !written.contains(&code.replace('-', "")),
            "the code {code} is written down"
        );
        assert!(!log.contains(&hex(&secret.key)) && !log.contains(&hex(&secret.locator)), "a key is in the log");
    }
    let issued = std::fs::read_to_string(doorstep.home.path("pki/invites.jsonl")).unwrap_or_default().to_lowercase();
    for key in issued.split("\"key\":\"").skip(1).filter_map(|rest| rest.split('"').next()).filter(|k| !k.is_empty()) {
        assert!(!log.contains(key), "a key is in the log");
    }
}

fn count(gateway: &Gateway<'_>, what: &str) -> u64 {
    gateway.stat()["enrolment"][what].as_u64().unwrap_or_default()
}

/// A press that is acknowledged, and the alarm that it raises.
#[track_caller]
fn presses(home: &Home, device: &str) {
    let mut mqtt = RawMqtt::connect_v5(home, device);
    mqtt.send(&publish_packet(&format!("vaka/v1/{device}/event"), press(1, 1).as_bytes()));
    assert_eq!(mqtt.read_exact(1), [0x40], "PUBACK");
    let raised = || home.alarms().into_iter().find(|row| row["device"] == device && row["lane"] == "life");
    eventually("its alarm", String::new, raised);
}

#[test]
fn a_device_comes_with_its_code_and_its_press_is_an_alarm() {
    let doorstep = Doorstep::new();
    let gateway = Gateway::start(&doorstep.home);
    let (code, url) = doorstep.invite("p1", &["--room", "hall"]);
    assert_eq!(doorstep.state("p1")["state"], "open");
    // As a technician with wet fingers types it.
    let typed = code.to_lowercase().replace('-', " ");
    doorstep.enrol(&typed, "p1").ok();
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(doorstep.home.pem("p1", "key.pem")).expect("its key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    presses(&doorstep.home, "p1");
    let state = doorstep.state("p1");
    assert_eq!((&state["state"], &state["enrolment"]), (&json!("used"), &json!(1)));
    assert_eq!(count(&gateway, "enrolled"), 1);

    // The QR code's text is all that is needed; the answer lost and asked for again is the same certificate.
    let (second, scanned) = doorstep.invite("p2", &[]);
    let enrol = || doorstep.home.vaka_plain(&["device", "enrol", &scanned, "--out", "h/p2"]);
    enrol().ok();
    let certificate = || std::fs::read(doorstep.home.pem("p2", "cert.pem")).expect("its certificate");
    let first = certificate();
    assert_eq!(enrol().code, 64, "the folder is a device's");
    std::fs::remove_file(doorstep.home.pem("p2", "cert.pem")).expect("it was there");
    enrol().ok();
    assert_eq!(certificate(), first);
    presses(&doorstep.home, "p2");
    gateway.wait_log("enrolled by a one-time code");
    assert!(!gateway.log().contains(&url));
    no_secret(&doorstep, &gateway, &[&code, &second]);
}

#[test]
fn replayed_expired_wrong_kind_and_mistyped_codes_are_refused_alike_and_told_apart_here() {
    let doorstep = Doorstep::new();
    let gateway = Gateway::start(&doorstep.home);
    let (used, _) = doorstep.invite("p1", &[]);
    doorstep.enrol(&used, "p1").ok();
    let (expired, _) = doorstep.invite("p2", &["--for", "1s"]);
    eventually("p2's code to expire", String::new, || (doorstep.state("p2")["state"] == "expired").then_some(()));
    let (taken_back, _) = doorstep.invite("p3", &[]);
    let (kind, _) = doorstep.invite("p3", &[]);
    let nobodys = Code::from_random([5; 12]).text();
    let said: Vec<Output> = vec![
        doorstep.enrol(&used, "thief"),
        doorstep.enrol(&expired, "p2"),
        doorstep.enrol(&taken_back, "p3"),
        doorstep.enrol_at(doorstep.port, &kind, "p3", &["--kind", "dispenser"]),
        doorstep.enrol(&nobodys, "p4"),
    ];
    for output in &said {
        assert_eq!((output.code, &output.stderr), (1, &said[0].stderr), "one word for all");
        assert!(output.stderr.contains("refuses this code"), "{}", output.stderr);
    }
    for why in ["used_code", "expired_code", "cancelled_code", "other_kind", "unknown_code"] {
        assert_eq!(count(&gateway, why), 1, "{why}: {}", gateway.stat()["enrolment"]);
    }
    for words in ["used by another device", "has expired", "taken back", "another kind of device", "no invitation has"]
    {
        gateway.wait_log(words);
    }
    // A slip of the finger is named before anything is sent.
    let mut slip: Vec<char> = kind.chars().collect();
    slip[2] = if slip[2] == '7' { '8' } else { '7' };
    let slip = doorstep.enrol(&slip.iter().collect::<String>(), "p3");
    assert_eq!(slip.code, 64);
    assert!(slip.stderr.contains("compare it group by group"), "{}", slip.stderr);
    assert_eq!(doorstep.state("p3")["failed"], 0);
    assert_eq!(count(&gateway, "unknown_code"), 1);
    doorstep.enrol_at(doorstep.port, &kind, "p3", &["--kind", "pendant"]).ok();
    let shown = doorstep.home.vaka(&["journal", "stat"]).ok().stdout;
    assert!(shown.contains("enrolment:") && shown.contains("used code 1"), "{shown}");
    no_secret(&doorstep, &gateway, &[&used, &expired, &taken_back, &kind]);
}

#[test]
fn who_was_invited_and_never_came_is_named_until_a_person_takes_them_out() {
    let doorstep = Doorstep::new();
    doorstep.invite("p1", &["--for", "1s"]);
    doorstep.invite("p2", &[]);
    eventually("p1's code to expire", String::new, || (doorstep.state("p1")["state"] == "expired").then_some(()));
    let shown = || doorstep.home.vaka(&["device", "invites"]).ok().stdout;
    assert!(
        shown().contains("p1 never came and still stands in vaka.toml") && !shown().contains("p2 never came"),
        "{}",
        shown()
    );
    assert_eq!(
        (&doorstep.state("p1")["never_came"], &doorstep.state("p2")["never_came"]),
        (&json!(true), &json!(false))
    );
    let doctor = doorstep.home.vaka(&["check"]);
    assert!(doctor.stdout.contains("never fetched a certificate: vaka device invite"), "{}", doctor.stdout);
    let listed = || std::fs::read_to_string(doorstep.home.config()).expect("vaka.toml");
    assert!(listed().contains("\"p1\""), "a person's file is a person's");
    doorstep.home.vaka(&["device", "remove", "p1"]).ok();
    assert!(!shown().contains("never came") && !listed().contains("\"p1\"") && listed().contains("\"p2\""));
    // A code that is still open goes with its device.
    let (code, _) = doorstep.invite("p3", &[]);
    doorstep.home.vaka(&["device", "remove", "p3"]).ok();
    let _gateway = Gateway::start(&doorstep.home);
    assert_eq!((doorstep.enrol(&code, "p3").code, &doorstep.state("p3")["state"]), (1, &json!("cancelled")));
}

#[test]
fn of_twenty_who_come_at_once_with_one_code_exactly_one_wins() {
    let doorstep = Doorstep::new();
    let gateway = Gateway::start(&doorstep.home);
    let (code, _) = doorstep.invite("p1", &[]);
    let gate = Barrier::new(20);
    let come = |n: usize| {
        gate.wait();
        doorstep.enrol(&code, &format!("came{n}"))
    };
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let come = &come;
        let all: Vec<_> = (0..20).map(|n| scope.spawn(move || come(n))).collect();
        all.into_iter().map(|one| one.join().expect("it ends")).collect()
    });
    let won: Vec<usize> = (0..20).filter(|n| outputs[*n].code == 0).collect();
    assert_eq!(won.len(), 1, "{outputs:#?}\n{}", gateway.tail());
    assert_eq!(count(&gateway, "enrolled"), 1);
    // As many stand at the door at once as may from one address; whoever makes place for the next is counted too.
    assert_eq!(count(&gateway, "used_code") + count(&gateway, "turned_away"), 19);
    let issued = std::fs::read_to_string(doorstep.home.path("pki/issued.jsonl")).expect("the list");
    assert_eq!(issued.lines().count(), 1);
    std::fs::rename(doorstep.home.path(&format!("came{}", won[0])), doorstep.home.path("p1")).expect("renamed");
    presses(&doorstep.home, "p1");
}

#[test]
fn ten_thousand_wrong_codes_delay_nobody_burn_nothing_and_fill_nothing() {
    const TRIES: usize = 10_000;
    let doorstep = Doorstep::new();
    doorstep.home.device("p1", "pendant");
    let gateway = Gateway::start(&doorstep.home);
    let (code, _) = doorstep.invite("p2", &[]);
    let sizes = || {
        let size = |file: &str| std::fs::metadata(doorstep.home.path(file)).map_or(0, |meta| meta.len());
        [size("pki/invites.jsonl"), size("pki/issued.jsonl"), size("vaka.toml")]
    };
    let (before, log_before) = (sizes(), gateway.log().len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= TRIES {
                        return;
                    }
                    // Fifty neighbours, each more often than it may.
                    let from = Ipv4Addr::new(127, 0, 1, (n % 50) as u8 + 1);
                    let bytes = n.to_be_bytes();
                    let secret = Secret { key: [n as u8; 32], locator: bytes };
                    if let Ok(mut stranger) = Stranger::open_from(doorstep.port, from) {
                        let _ = stranger.guess(&secret);
                    }
                }
            });
        }
        // Meanwhile a resident presses, and a technician enrols a device from an address of her own.
        presses(&doorstep.home, "p1");
        let patience = std::time::Duration::from_secs(120);
        eventually_within(
            patience,
            "a technician's turn",
            || gateway.tail(),
            || (doorstep.enrol(&code, "p2").code == 0).then_some(()),
        );
        println!("the technician had her turn after {} of {TRIES} tries", next.load(Ordering::SeqCst).min(TRIES));
        assert_eq!(doorstep.state("p2")["failed"], 0);
    });
    presses(&doorstep.home, "p2");
    let ended = || {
        let sum = ["unknown_code", "turned_away", "handshake_failed", "malformed"].map(|what| count(&gateway, what));
        (sum.iter().sum::<u64>() >= TRIES as u64).then_some(sum)
    };
    let sums = eventually("every try to be counted", || gateway.stat()["enrolment"].to_string(), ended);
    println!("unknown, turned away, handshake failed, malformed: {sums:?}");
    assert!(sums[0] > 0 && sums[1] > 0, "{sums:?}");
    assert_eq!(sizes()[2], before[2]);
    assert!(sizes()[0] < before[0] + 4_096 && sizes()[1] < before[1] + 1_024, "{:?} {before:?}", sizes());
    assert!(gateway.log().len() - log_before < 64 * 1024, "the log grew by {}", gateway.log().len() - log_before);
    no_secret(&doorstep, &gateway, &[&code]);
}

#[test]
fn who_stands_between_gets_nothing_and_is_heard() {
    let doorstep = Doorstep::new();
    let gateway = Gateway::start(&doorstep.home);
    let (code, url) = doorstep.invite("p1", &[]);
    let relay = Between::start(Trick::Relay(doorstep.port), None);
    // Typed, the device cannot know whom it talks to: the proof, which is of its own connection, fits no other.
    assert_eq!(doorstep.enrol_at(relay.port, &code, "p1", &[]).code, 1);
    assert_eq!((relay.heard(), count(&gateway, "wrong_proof")), (1, 1));
    gateway.wait_log("somebody stands between");
    let forger = Between::start(Trick::Forge, None);
    let forged = doorstep.enrol_at(forger.port, &code, "p1", &[]);
    assert_eq!(forged.code, 1);
    assert!(forged.stderr.contains("does not know the code"), "{}", forged.stderr);
    assert!(!doorstep.home.pem("p1", "cert.pem").exists());
    // Scanned, it knows the authority, and he does not even hear a proof.
    let scanned = url.replace(&format!(":{}/", doorstep.port), &format!(":{}/", relay.port));
    let judged = doorstep.home.vaka_plain(&["device", "enrol", &scanned, "--out", "h/p1"]);
    assert_eq!(judged.code, 1);
    assert!(judged.stderr.contains("nothing was sent"), "{}", judged.stderr);
    assert_eq!(relay.heard(), 1);
    // One wrong proof burns nothing; five do, and that is said.
    doorstep.enrol(&code, "p1").ok();
    presses(&doorstep.home, "p1");
    let (second, _) = doorstep.invite("p2", &[]);
    for _ in 0..5 {
        assert_eq!(doorstep.enrol_at(relay.port, &second, "p2", &[]).code, 1);
    }
    assert_eq!(doorstep.state("p2")["state"], "burnt");
    assert_eq!(doorstep.enrol(&second, "p2").code, 1);
    assert_eq!(count(&gateway, "burnt_code"), 1);
    gateway.wait_log("burnt after too many wrong proofs");
    no_secret(&doorstep, &gateway, &[&code, &second]);
}

#[test]
fn a_device_that_poses_as_the_gateway_convinces_nobody() {
    let doorstep = Doorstep::new();
    doorstep.home.device("p1", "pendant");
    let _gateway = Gateway::start(&doorstep.home);
    let (code, url) = doorstep.invite("p2", &[]);
    let pem = |file: PathBuf| CertificateDer::from_pem_file(file).expect("a certificate");
    // Its own certificate, and the gateway's authority beside it, which everybody has.
    let shown = vec![pem(doorstep.home.pem("p1", "cert.pem")), pem(doorstep.home.pem("p1", "ca.pem"))];
    let key = PrivateKeyDer::from_pem_file(doorstep.home.pem("p1", "key.pem")).expect("its key");
    let poser = Between::start(Trick::Forge, Some((shown, key)));
    let scanned = url.replace(&format!(":{}/", doorstep.port), &format!(":{}/", poser.port));
    let judged = doorstep.home.vaka_plain(&["device", "enrol", &scanned, "--out", "h/p2"]);
    assert_eq!((judged.code, poser.heard()), (1, 0), "{}", judged.stderr);
    assert_eq!(doorstep.enrol_at(poser.port, &code, "p2", &[]).code, 1, "typed: the proof is none");
    // Where a device looks for its gateway's MQTT it is not taken either.
    let p1 = |file| doorstep.home.pem("p1", file);
    let taken = vaka_tests::tls(poser.port, &p1("ca.pem"), &p1("cert.pem"), &p1("key.pem"));
    assert!(taken.is_err_and(|e| e.to_string().contains("certificate")), "taken for the gateway");
}

#[test]
fn older_tls_other_protocols_garbage_and_the_slow_are_refused_and_hold_up_nobody() {
    let doorstep = Doorstep::new();
    let gateway = Gateway::start(&doorstep.home);
    assert!(Stranger::open_tls12(doorstep.port).is_err(), "TLS 1.2");
    let no_door = Stranger::open_without_alpn(doorstep.port).and_then(|mut stranger| stranger.say(b"\xa0"));
    assert!(no_door.is_err(), "no vaka-enrol/1");
    let failed = || (count(&gateway, "handshake_failed") >= 2).then_some(());
    eventually("both to be counted", || gateway.tail(), failed);
    for garbage in [&b"\xa0"[..], b"not CBOR", &[0xbf; 2_000], &[0; 4_000]] {
        let answered = Stranger::open(doorstep.port).expect("TLS").say(garbage);
        assert!(answered.is_err(), "{answered:?}");
    }
    eventually("all to be counted", || gateway.tail(), || (count(&gateway, "malformed") >= 4).then_some(()));

    // Everybody of one address stands in the door and says nothing; a technician at another is served.
    let slow = Ipv4Addr::new(127, 0, 2, 1);
    let silent: Vec<_> = (0..20).filter_map(|_| connect_from(doorstep.port, slow).ok()).collect();
    let mut in_tls = Stranger::open_from(doorstep.port, Ipv4Addr::new(127, 0, 2, 2)).expect("TLS");
    let (code, _) = doorstep.invite("p1", &[]);
    doorstep.enrol(&code, "p1").ok();
    presses(&doorstep.home, "p1");
    // limits.rs: 10 s from TCP to the request.
    use std::io::Read;
    let waited = |e: &std::io::Error| matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    assert!(in_tls.is_let_go(), "still open\n{}", gateway.tail());
    for mut stream in silent {
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a time");
        let ended = stream.read(&mut [0; 1]);
        assert!(!ended.as_ref().is_err_and(waited), "still open: {ended:?}\n{}", gateway.tail());
    }
}

#[test]
fn without_the_table_nothing_listens_and_the_invitation_says_so() {
    let home = Home::init();
    let port = free_port();
    let _gateway = Gateway::start(&home);
    let said = home.vaka(&["device", "invite", "p1", "--kind", "pendant"]).ok().stdout;
    assert!(said.contains("nothing listens for it"), "{said}");
    assert!(Stranger::open(port).is_err());
    // With it the terminal shows a QR code.
    home.edit(|config| {
        config["enrol"] = toml_edit::table();
        config["enrol"]["listen"] = toml_edit::value(format!("127.0.0.1:{port}"));
    });
    let said = home.vaka(&["device", "invite", "p1", "--kind", "pendant", "--host", "gw.local"]).ok().stdout;
    assert!(said.contains('█') && said.contains(&format!("vaka device enrol gw.local:{port}")), "{said}");
    assert!(said.contains("made before is no longer good"), "{said}");
    assert_eq!(home.vaka(&["device", "invite", "p1", "--kind", "pendant", "--for", "25h"]).code, 64);
}
