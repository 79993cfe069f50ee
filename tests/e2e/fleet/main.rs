//! Firmware of devices through the real program: a publisher over HTTPS, the device's own code as a program of its own, its image over HTTP.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use toml_edit::{Array, table, value};
use vaka_tests::{
    Centre, Gateway, Home, MqttVersion, Publisher, eventually, eventually_within, free_port, lacks, mosquitto_pub,
    press, run_vaka,
};

/// What a device trusts, and what it does not.
const MAKER: u8 = 1;
const STRANGER: u8 = 2;

fn host_device() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_host-device"))
}

/// A home with a publisher, and devices that are programs.
struct Place {
    publisher: Publisher,
    home: Home,
    _centre: Centre,
    address: String,
}

impl Place {
    #[track_caller]
    fn new(devices: &[(&str, &str)]) -> Place {
        let (home, publisher, centre) = (Home::init(), Publisher::start(), Centre::start("ok"));
        home.centre(centre.port);
        for (id, kind) in devices {
            home.device(id, kind);
        }
        let keys = publisher.beside("keys").display().to_string();
        let key = run_vaka(home.dir(), &["release", "key", &keys]).ok().stdout;
        let port = free_port();
        let mut address = String::new();
        home.edit(|config| {
            config["update"] = table();
            config["update"]["url"] = value(publisher.url());
            config["update"]["ca"] = value(publisher.ca().display().to_string());
            config["update"]["keys"] = value(Array::from_iter([key.trim()]));
            config["firmware"] = table();
            config["firmware"]["listen"] = value(format!("127.0.0.1:{port}"));
            config["firmware"]["url"] = value(format!("http://127.0.0.1:{port}"));
            address = config["ingest"]["listen"].as_str().expect("an address").to_owned();
        });
        Place { publisher, home, _centre: centre, address }
    }

    #[track_caller]
    fn image(&self, kind: &str, number: u32, version: &str, maker: u8) -> String {
        let file = self.publisher.beside(&format!("{kind}-{version}-{maker}.img")).display().to_string();
        let words = ["image", kind, &number.to_string(), version, &maker.to_string(), &file];
        assert!(Command::new(host_device()).args(words).status().expect("host-device is built").success());
        file
    }

    #[track_caller]
    fn publish(&self, images: &[String]) {
        let key = self.publisher.beside("keys/release.key").display().to_string();
        let out = self.publisher.files().display().to_string();
        let mut words = vec!["release", "sign-devices", "--key", &key, "--out", &out];
        words.extend(images.iter().map(String::as_str));
        run_vaka(self.home.dir(), &words).ok();
    }

    /// Switches a device on, with version 1.0.0 from its factory.
    #[track_caller]
    fn device(&self, id: &str, kind: &str) -> HostDevice {
        let factory = self.image(kind, 1, "1.0.0", MAKER);
        let log = self.home.dir().join(format!("{id}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("a log");
        let pem = self.home.path(id).display().to_string();
        let flash = self.home.dir().join(format!("{id}.flash")).display().to_string();
        let child = Command::new(host_device())
            .args(["run", id, &self.address, &pem, &flash, &factory])
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("another handle"))
            .stdout(out)
            .spawn()
            .expect("host-device is built");
        HostDevice { child, log }
    }

    fn list(&self) -> Vec<Value> {
        let shown = self.home.vaka(&["device", "update", "list", "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        shown["devices"].as_array().cloned().unwrap_or_default()
    }

    #[track_caller]
    fn wait(&self, gateway: &Gateway<'_>, what: &str, fits: impl Fn(&[Value]) -> bool) {
        let patience = std::time::Duration::from_secs(120);
        let said = || format!("{:#?}\n{}", self.list(), gateway.tail());
        eventually_within(patience, what, said, || fits(&self.list()).then_some(()));
    }

    fn asked(&self) -> usize {
        self.home.records("firmware").iter().filter(|record| record["step"]["asked"].is_object()).count()
    }
}

/// The program; ended when dropped.
struct HostDevice {
    child: Child,
    log: PathBuf,
}

impl HostDevice {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where the pieces that it has fetched began.
    fn pieces(&self) -> Vec<u64> {
        self.log().lines().filter_map(|line| line.strip_prefix("piece ")?.parse().ok()).collect()
    }
}

impl Drop for HostDevice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of<'r>(rows: &'r [Value], device: &str) -> &'r Value {
    rows.iter().find(|row| row["device"] == device).unwrap_or(&Value::Null)
}

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
    // A newer one, rightly signed, is looking enough.
    place.publish(&[place.image("pendant", 3, "1.2.0", MAKER)]);
    place.home.vaka(&["device", "update", "check"]);
    place.wait(&gateway, "the next version to be taken", |rows| {
        of(rows, "p1")["runs"] == "1.2.0" && of(rows, "p2")["runs"] == "1.2.0"
    });
}
