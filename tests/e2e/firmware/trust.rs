//! Whom the device trusts, and who is trusted: forged gateways, and a device that is revoked.

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use vaka::clock::{Clock, SystemClock};
use vaka_tests::{Forgery, Gateway, Home, Imposter, lacks_firmware};

use crate::{flash, pendant};

#[test]
fn a_gateway_that_is_not_the_gateway_is_refused() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    home.device("p2", "pendant");
    let mut board = pendant(&flash);
    board.wait("network");
    let pki = |name: &str| home.path("pki").join(name);
    let right = Forgery::by(&pki("server-ca.pem"), &pki("server-ca.key"));
    let wrong = Forgery::by(&pki("device-ca.pem"), &pki("device-ca.key"));
    let by_device = Forgery::by(&home.pem("p2", "cert.pem"), &home.pem("p2", "key.pem"));
    // What the device says, and why nobody can be let through with it.
    let forgeries = [
        ("name", right.clone().named("somebody.local")),
        ("issuer", Forgery::by_itself()),
        ("issuer", wrong),
        // A chain of a device's own making: its certificate was signed by an authority of this home.
        ("issuer", by_device),
        ("purpose", right.clone().purposes(&[ClientAuth])),
        ("purpose", right.clone().purposes(&[ServerAuth, ClientAuth])),
        ("purpose", right.clone().purposes(&[])),
    ];
    for (word, forgery) in forgeries {
        let imposter = Imposter::start(home.mqtt_port, &forgery);
        board.restart();
        board.wait("network");
        let said = board.wait_for("a refusal by TLS", |line| line.starts_with("refused ") && line != "refused network");
        assert_eq!(said, format!("refused {word}"), "{forgery:?}\n{}", board.tail());
        assert_eq!(imposter.heard(), 0, "the device spoke to {forgery:?}");
    }
    // The same way with nothing wrong: it is let through, and so the refusals above mean something. It has run out, but
    // this device has no clock yet.
    let imposter = Imposter::start(home.mqtt_port, &right.expired());
    board.restart();
    vaka_tests::eventually("a CONNECT", || board.tail(), || (imposter.heard() > 0).then_some(()));
}

#[test]
fn a_device_with_a_clock_refuses_a_certificate_that_ran_out_unless_somebody_calls() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let mut gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.wait("acked");
    // A gateway whose own clock nobody vouches for tells no time: this device has a clock of its own.
    let now_ms = SystemClock::new().now().wall_ms;
    board.say(&format!("time {now_ms}"));
    board.wait("time ");
    gateway.kill();
    let pki = |name: &str| home.path("pki").join(name);
    let imposter =
        Imposter::start(home.mqtt_port, &Forgery::by(&pki("server-ca.pem"), &pki("server-ca.key")).expired());
    board.wait("refused expired");
    assert_eq!(imposter.heard(), 0);
    board.say("press 120");
    vaka_tests::eventually("a CONNECT", || board.tail(), || (imposter.heard() > 0).then_some(()));
}

#[test]
fn a_revoked_device_is_refused_and_its_press_is_kept() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.wait("acked");
    home.vaka(&["device", "remove", "p1"]).ok();
    gateway.reload();
    board.wait("apart");
    board.wait("refused");
    board.say("press 120");
    board.wait("told");
    board.wait("text Larmet har inte gått fram än");
    assert!(home.alarms_not_technical().is_empty());
    assert!(board.lines().iter().all(|line| !line.contains("mottaget")), "{}", board.tail());
}
