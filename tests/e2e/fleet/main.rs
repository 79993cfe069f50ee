//! Firmware of devices through the real program: a publisher over HTTPS, the device's own code as a program of its own, its image over HTTP.

mod breaks;
mod place;

use serde_json::Value;
use vaka_tests::runbook::follow;
use vaka_tests::{Gateway, MqttVersion, eventually, eventually_within, lacks, mosquitto_pub, press};

use place::{MAKER, Place, STRANGER, of};

#[test]
fn two_devices_one_after_the_other_and_a_gateway_killed_in_the_middle_goes_on_with_the_same() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new(&[("p1", "pendant"), ("p2", "pendant")]);
    place.publish(&[place.image("pendant", 2, "1.1.0", MAKER)]);
    let mut gateway = Gateway::start(&place.home);
    let (one, two) = (place.device("p1", "pendant"), place.device("p2", "pendant"));
    eventually_within(
        std::time::Duration::from_secs(60),
        "the first to fetch",
        || format!("{:#?}\n{}\n{}", place.list(), one.log(), gateway.tail()),
        || (one.pieces().len() > 3).then_some(()),
    );
    gateway.kill();
    let before = one.pieces().len();
    assert!(two.pieces().is_empty(), "one at a time");
    gateway.restart();
    place.wait(&gateway, "both to be confirmed", |rows| {
        let stage = |device: &str| of(rows, device)["stage"].as_str().unwrap_or("-").to_owned();
        let is_under_way = |stage: &str| matches!(stage, "asked" | "fetching" | "restarting" | "trial");
        let (first, second) = (stage("p1"), stage("p2"));
        assert!(!(is_under_way(&first) && is_under_way(&second)), "two at once: {first} {second}");
        (first, second) == ("confirmed".to_owned(), "confirmed".to_owned())
    });
    assert_eq!(place.asked(), 2, "each was told once");
    let pieces = one.pieces();
    assert!(pieces.len() > before && pieces[before] >= pieces[before - 1], "gone on with: {pieces:?}");
    for (id, device) in [("p1", &one), ("p2", &two)] {
        assert!(device.log().contains("boots 1.1.0"), "{}", device.log());
        assert_eq!(of(&place.list(), id)["runs"], "1.1.0");
    }
}

#[test]
fn the_only_pendant_waits_for_somebody_to_be_there_and_a_life_alarm_for_nobody() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let place = Place::new(&[("p1", "pendant"), ("m1", "fixed-trigger")]);
    place.publish(&[place.image("pendant", 2, "1.1.0", MAKER)]);
    let gateway = Gateway::start(&place.home);
    let device = place.device("p1", "pendant");
    let says = |words: &'static str| {
        move |rows: &[Value]| of(rows, "p1")["why"].as_str().is_some_and(|why| why.contains(words))
    };
    place.wait(&gateway, "it to wait as the only one", says("the only alarm of"));
    let refused = place.home.vaka(&["device", "update", "take", "p1", "--by", "anna"]);
    assert!(refused.code == 1 && refused.stderr.contains("--someone-is-there"), "{refused:?}");
    // Somebody calls: a person's word does not go above it.
    assert_eq!(mosquitto_pub(&place.home, "m1", MqttVersion::V5, "vaka/v1/m1/event", &press(1, 1)).code, 0);
    let is_life = |row: &Value| row["lane"] == "life";
    let alarm = eventually("the alarm", || gateway.tail(), || place.home.alarms().into_iter().find(is_life));
    let words = ["device", "update", "take", "p1", "--by", "anna", "--someone-is-there"];
    assert!(place.home.vaka(&words).ok().stdout.contains("a life alarm is open"));
    place.wait(&gateway, "it to wait for the alarm", says("a life alarm is open"));
    assert_eq!((place.asked(), device.pieces().len()), (0, 0));
    place.home.vaka(&["alarm", "close", alarm["id"].as_str().expect("an id"), "--by", "anna"]).ok();
    place.wait(&gateway, "it to be confirmed", |rows| of(rows, "p1")["stage"] == "confirmed");
    let traced = place.home.records("trace");
    assert!(
        traced.iter().any(|row| row["act"] == "firmware-someone-is-there" && row["person"] == "anna"),
        "{traced:#?}"
    );
}

#[test]
fn what_a_stranger_signed_is_refused_by_the_device_and_no_other_is_told_before_somebody_has_looked() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new(&[("p1", "pendant"), ("p2", "pendant")]);
    place.publish(&[place.image("pendant", 2, "1.1.0", STRANGER)]);
    let gateway = Gateway::start(&place.home);
    let (_one, two) = (place.device("p1", "pendant"), place.device("p2", "pendant"));
    place.wait(&gateway, "it to be refused", |rows| {
        of(rows, "p1")["stage"] == "failed" && of(rows, "p2")["why"].as_str().is_some_and(|why| why.contains("resume"))
    });
    let why = of(&place.list(), "p1")["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("refused: signature"), "{why}");
    gateway.wait_alarm("the technical alarm", |row| row["device"] == "firmware-failed" && row["lane"] == "technical");
    assert_eq!(place.home.vaka(&["device", "update", "list"]).code, 1);
    let doctor = place.home.vaka(&["check"]);
    assert!(doctor.stdout.contains("p1 came to nothing"), "{}", doctor.stdout);
    assert!(two.pieces().is_empty());
    follow("Firmware of a device came to nothing", &place.home, "");
    place.wait(&gateway, "the other to refuse it too", |rows| of(rows, "p2")["stage"] == "failed");
    // A newer one, rightly signed, is looking enough.
    place.publish(&[place.image("pendant", 3, "1.2.0", MAKER)]);
    place.home.vaka(&["device", "update", "check"]);
    place.wait(&gateway, "the next version to be taken", |rows| {
        of(rows, "p1")["runs"] == "1.2.0" && of(rows, "p2")["runs"] == "1.2.0"
    });
}
