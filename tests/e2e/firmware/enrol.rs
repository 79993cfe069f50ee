//! A new device comes with a technician's code: it makes its key itself, and nobody who does not know the code gets between.

use std::time::Duration;

use vaka_protocol::enrol::Code;
use vaka_tests::{Between, Board, Chance, Flash, Gateway, Home, Trick, eventually, lacks_firmware, setting};

use crate::pendant;

/// The host, as QEMU's own network shows it to the guest.
const HOST: &str = "10.0.2.2";

/// A new pendant that waits for its code.
fn new_pendant(home: &Home, name: &str) -> Board {
    let mut board = pendant(&Flash::blank(&home.dir().join(format!("{name}.flash"))));
    board.wait("unenrolled");
    board
}

/// The QR code's text as it is where the device stands.
fn scanned(url: &str) -> String {
    url.replace("127.0.0.1", HOST)
}

fn typed(port: u16, code: &str) -> String {
    format!("enrol {HOST}:{port} {code}")
}

fn count(gateway: &Gateway<'_>, what: &str) -> u64 {
    gateway.stat()["enrolment"][what].as_u64().unwrap_or_default()
}

/// How the try of a code ended.
fn ended(board: &mut Board) -> String {
    board.wait("enrol ")
}

#[test]
fn a_new_device_makes_its_key_gets_its_certificate_and_its_press_is_an_alarm() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    home.door();
    let gateway = Gateway::start(&home);
    let (code, url) = home.invite("p1", &["--room", "hall"]);
    let mut board = new_pendant(&home, "p1");
    // Before it is somebody nothing calls.
    board.say("press 60");
    board.say("measure");
    board.say(&format!("enrol {}", scanned(&url)));
    board.wait("text Ansluter");
    println!("{}", board.wait("work code"));
    board.wait("enrolled p1");
    board.wait("sound chime");
    board.wait("connected");
    board.wait("acked");
    assert!(home.alarms_not_technical().is_empty(), "{:?}", home.alarms());
    board.say("press 120");
    gateway.wait_alarm("its press", |row| row["device"] == "p1" && row["lane"] == "life");
    assert_eq!(count(&gateway, "enrolled"), 1);
    gateway.wait_log("enrolled by a one-time code");
    // It stays who it is, and a second code changes nothing.
    board.restart();
    board.wait("connected");
    board.say(&format!("enrol {}", scanned(&url)));
    board.wait("enrolled already");
    board.say("sizes");
    println!("{}", board.wait("sizes "));
    let said = board.lines().join("\n");
    assert!(!said.contains(&code) && !said.contains("unknown"), "{said}");
}

#[test]
fn codes_that_are_not_valid_are_told_apart_from_a_gateway_that_is_not_there_and_tried_once() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let port = home.door();
    let mut gateway = Gateway::start(&home);
    let mut board = new_pendant(&home, "p1");
    let (used, url) = home.invite("p0", &[]);
    home.vaka_plain(&["device", "enrol", &url, "--out", "h/p0"]).ok();
    let (expired, _) = home.invite("p2", &["--for", "1s"]);
    let is_expired = || {
        let rows = home.vaka(&["device", "invites", "--json"]).ok().rows();
        rows.iter().any(|row| row["id"] == "p2" && row["state"] == "expired").then_some(())
    };
    eventually("p2's code to expire", String::new, is_expired);
    let row = home.vaka(&["device", "invite", "d1", "--kind", "dispenser", "--json"]).ok().rows().remove(0);
    let other_kind = row["code"].as_str().expect("a code").to_owned();
    let unknown = Code::from_random([7; 12]).text().to_string();
    let codes =
        [(&used, "used_code"), (&expired, "expired_code"), (&other_kind, "other_kind"), (&unknown, "unknown_code")];
    for (code, why) in codes {
        board.say(&typed(port, code));
        assert_eq!(ended(&mut board), "enrol refused", "{why}\n{}", board.tail());
        board.wait("light flash");
        board.wait("sound warn");
        board.wait("text Koden gäller inte");
        assert_eq!(count(&gateway, why), 1, "{}", gateway.stat()["enrolment"]);
    }
    // Nothing of a slip of the finger leaves the device, and no refused code outlives a boot.
    board.say(&typed(port, &unknown[..8]));
    board.wait("no offer code");
    board.say(&format!("enrol gw.local:{port} {unknown}"));
    board.wait("no offer address");
    board.restart();
    board.wait("unenrolled");

    // Nobody there: tried again by itself, and it is the same code when the gateway is back.
    gateway.kill();
    let (good, _) = home.invite("p1", &[]);
    board.say(&typed(port, &good));
    assert_eq!(ended(&mut board), "enrol unreachable");
    // A cut meanwhile costs nothing.
    board.restart();
    assert_eq!(ended(&mut board), "enrol unreachable");
    gateway.restart();
    board.wait("enrolled p1");
    board.wait("connected");
    board.wait("acked");
    let tries: u64 = ["used_code", "expired_code", "other_kind", "unknown_code", "wrong_proof", "turned_away"]
        .iter()
        .map(|what| count(&gateway, what))
        .sum();
    assert_eq!((tries, count(&gateway, "enrolled")), (0, 1), "since it was started: {}", gateway.stat()["enrolment"]);
}

#[test]
fn who_stands_between_a_new_device_and_its_gateway_gets_nothing() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let port = home.door();
    let gateway = Gateway::start(&home);
    let mut board = new_pendant(&home, "p1");
    let (code, url) = home.invite("p1", &[]);
    // Typed, the device cannot know whom it talks to: its proof is of this connection and fits no other.
    let relay = Between::start(Trick::Relay(port), None);
    board.say(&typed(relay.port, &code));
    assert_eq!(ended(&mut board), "enrol refused");
    assert_eq!((relay.heard(), count(&gateway, "wrong_proof")), (1, 1));
    let forger = Between::start(Trick::Forge, None);
    board.say(&typed(forger.port, &code));
    assert_eq!(ended(&mut board), "enrol impostor");
    board.wait("text Fel gateway svarade");
    // Scanned, it knows the authority, and he does not even hear a proof.
    board.say(&format!("enrol {}", scanned(&url).replace(&format!(":{port}/"), &format!(":{}/", relay.port))));
    assert_eq!(ended(&mut board), "enrol impostor");
    assert_eq!(relay.heard(), 1);
    // None of that has burnt the code.
    board.say(&format!("enrol {}", scanned(&url)));
    board.wait("enrolled p1");
    board.wait("connected");
}

#[test]
fn a_power_cut_at_any_moment_leaves_a_device_that_enrols_with_the_same_code() {
    if lacks_firmware() {
        return;
    }
    let rounds = setting("VAKA_ENROL_CUTS", 8);
    let mut chance = Chance::from_environment();
    let home = Home::init();
    home.door();
    let gateway = Gateway::start(&home);
    for round in 0..rounds {
        let id = format!("p{round}");
        let (_, url) = home.invite(&id, &[]);
        let mut board = new_pendant(&home, &id);
        board.say(&format!("enrol {}", scanned(&url)));
        board.wait("offered");
        for _ in 0..3 {
            // Early, or when the answer is about to be kept.
            if chance.below(2) == 0 {
                board.wait("enrolled");
            } else {
                let pause = Duration::from_micros(chance.below(2_500_000));
                #[allow(clippy::disallowed_methods, reason = "the moment of the cut is left to chance")]
                std::thread::sleep(pause);
            }
            board.restart();
            let now = board.wait_for("who it is", |line| line == "unenrolled" || line == "connected");
            if now == "connected" {
                break;
            }
        }
        if !board.lines().iter().any(|line| line == "connected") {
            board.wait("connected");
        }
    }
    assert_eq!(count(&gateway, "enrolled"), rounds, "each once: {}", gateway.stat()["enrolment"]);
    println!("{rounds} devices, asked again: {}", count(&gateway, "enrolled_again"));
}
