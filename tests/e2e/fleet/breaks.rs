//! What comes between: a call for help in the middle of an answer, a line that breaks, a device whose power goes, a full disk, a person.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use toml_edit::value;
use vaka_device::update::image::{Header, padded};
use vaka_tests::{
    Gateway, Home, LoopDisk, MqttVersion, Relay, eventually, eventually_within, lacks, mosquitto_pub, or_skip, press,
    run_vaka,
};

use crate::place::{HostDevice, MAKER, Place, of};

/// Larger than all that lies on the way between two sockets.
const LARGE: u32 = 6 * 1024 * 1024;

/// An answer that is read as slowly as its reader likes.
struct Answer {
    status: u16,
    head: String,
    rest: Vec<u8>,
    stream: TcpStream,
}

impl Answer {
    /// Asks for an image from a byte on.
    fn from(url: &str, offset: u32) -> Answer {
        let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
        let mut stream = TcpStream::connect(host).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={offset}-\r\nConnection: close\r\n\r\n")
            .expect("asked");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Answer { status, head, rest: Vec::new(), stream }
    }

    /// Reads so much.
    fn some(&mut self, bytes: usize) {
        let mut some = vec![0; bytes];
        self.stream.read_exact(&mut some).expect("more bytes");
        self.rest.extend_from_slice(&some);
    }

    /// Reads on until it ends, or is cut off.
    fn all(mut self) -> Vec<u8> {
        let mut piece = [0; 4_096];
        while let Ok(got @ 1..) = self.stream.read(&mut piece) {
            self.rest.extend_from_slice(&piece[..got]);
        }
        self.rest
    }
}

/// An image that no device has to fit in.
fn large() -> Vec<u8> {
    let body: Vec<u8> = (0..LARGE).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect();
    let header = Header {
        key: 0,
        version: 2,
        body_bytes: LARGE,
        role: padded("lock"),
        board: padded("host"),
        name: "1.1.0".into(),
        sha256: [0; 32],
    };
    [&header.to_bytes()[..], &body].concat()
}

fn is_life(row: &Value) -> bool {
    row["lane"] == "life"
}

#[track_caller]
fn call(place: &Place, gateway: &Gateway<'_>, seq: u64) -> String {
    assert_eq!(mosquitto_pub(&place.home, "m1", MqttVersion::V5, "vaka/v1/m1/event", &press(1, seq)).code, 0);
    let alarm = eventually("the alarm", || gateway.tail(), || place.home.alarms().into_iter().find(is_life));
    alarm["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_call_for_help_cuts_an_answer_off_in_its_middle_and_nothing_restarts_until_it_is_closed() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let place = Place::new(&[("d1", "lock"), ("m1", "fixed-trigger")]);
    let (image, file) = (large(), place.publisher.beside("large.img"));
    std::fs::write(&file, &image).expect("an image");
    place.publish(&[file.display().to_string()]);
    let gateway = Gateway::start(&place.home);
    let started = r#"{"v":1,"restart":1,"seq":1,"event":{"started":{"cause":"power","version":"1.0.0"}}}"#;
    assert_eq!(mosquitto_pub(&place.home, "d1", MqttVersion::V5, "vaka/v1/d1/event", started).code, 0);
    place.wait(&gateway, "it to be told", |rows| of(rows, "d1")["stage"] == "asked");
    let records = place.home.records("firmware");
    let url = records.iter().find_map(|record| record["step"]["asked"]["url"].as_str()).expect("an address").to_owned();
    let mut slow = Answer::from(&url, 0);
    assert_eq!(slow.status, 206);
    slow.some(100_000);
    // A line that breaks is the other end's matter: it goes on from what it has.
    drop(slow);
    let mut slow = Answer::from(&url, 50_000);
    slow.some(100_000);
    let alarm = call(&place, &gateway, 1);
    let got = slow.all();
    assert_eq!(image[50_000..][..got.len()], got);
    let has = 50_000 + got.len();
    assert!(has < image.len() / 2, "{has} of {} came, though somebody called", image.len());
    let size = u32::try_from(image.len()).expect("it is small");
    for offset in [0, u32::try_from(has).expect("less"), size] {
        let held = Answer::from(&url, offset);
        assert!(held.status == 503 && held.head.to_ascii_lowercase().contains("retry-after"), "{}", held.head);
        assert!(String::from_utf8_lossy(&held.all()).contains("a life alarm is open"));
    }
    assert_eq!(of(&place.list(), "d1")["stage"], "fetching", "it has all by its own word, and may not restart");
    place.home.vaka(&["alarm", "close", &alarm, "--by", "anna"]).ok();
    let rest = Answer::from(&url, u32::try_from(has).expect("less"));
    assert_eq!(rest.status, 206);
    assert!(digest(&SHA256, &[&image[..has], &rest.all()].concat()).as_ref() == digest(&SHA256, &image).as_ref());
    assert_eq!(of(&place.list(), "d1")["stage"], "fetching", "that the bytes have left is not that it has them");
    assert_eq!(Answer::from(&url, size).status, 416, "now it may");
    assert_eq!(of(&place.list(), "d1")["stage"], "restarting");
}

#[track_caller]
fn fetches(place: &Place, gateway: &Gateway<'_>, device: &HostDevice) -> u64 {
    eventually_within(
        Duration::from_secs(60),
        "it to fetch",
        || format!("{:#?}\n{}\n{}", place.list(), device.log(), gateway.tail()),
        || device.pieces().into_iter().find(|from| *from > 8_192),
    )
}

#[test]
fn a_person_stops_it_in_the_middle_and_it_goes_on_where_it_was_and_restarts_by_the_gateways_word() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new(&[("p1", "pendant"), ("p2", "pendant")]);
    place.publish(&[place.image("pendant", 2, "1.1.0", MAKER)]);
    let mut gateway = Gateway::start(&place.home);
    let (one, two) = (place.device("p1", "pendant"), place.device("p2", "pendant"));
    fetches(&place, &gateway, &one);
    place.home.vaka(&["device", "update", "stop", "--by", "ture"]).ok();
    let refused = |times: usize| {
        let log = || format!("{:#?}\n{}", place.list(), one.log());
        eventually_within(Duration::from_secs(60), "it to be told: not now", log, || {
            (one.log().matches("not now at").count() >= times).then_some(())
        });
    };
    refused(1);
    let before = one.pieces();
    // Stopped stays stopped, also by a gateway that starts again.
    gateway.kill();
    gateway.restart();
    refused(3);
    assert_eq!(one.pieces(), before, "not a byte more");
    let row = of(&place.list(), "p1").clone();
    assert!(row["stage"] == "fetching" && row["why"].as_str().is_some_and(|why| why.contains("ture has stopped")));
    place.home.vaka(&["device", "update", "resume", "--by", "ture"]).ok();
    place.wait(&gateway, "both to be confirmed", |rows| {
        ["p1", "p2"].iter().all(|device| of(rows, device)["stage"] == "confirmed")
    });
    let after = one.pieces();
    assert!(after[before.len()] > before[before.len() - 1], "gone on with: {before:?} {after:?}");
    for device in [&one, &two] {
        let log = device.log();
        let (may, boots) = (log.find("may restart"), log.find("boots 1.1.0"));
        assert!(may.is_some() && may < boots, "it asked before it restarted: {log}");
    }
    let restarts =
        place.home.records("firmware").iter().filter(|record| record["step"]["restarts"].is_object()).count();
    assert_eq!(restarts, 2);
}

#[test]
fn a_line_that_breaks_and_a_device_whose_power_goes_cost_only_what_was_not_kept() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new(&[("p1", "pendant"), ("p2", "pendant")]);
    let relay = Relay::start("127.0.0.1:0".parse().expect("an address"), place.port);
    let at = ([127, 0, 0, 1], relay.port).into();
    place.home.edit(|config| config["firmware"]["url"] = value(format!("http://{at}")));
    // The publisher's line breaks as well: what the gateway has of the image it does not fetch again.
    place.publisher.break_after(Some(30_000));
    place.publish(&[place.image("pendant", 2, "1.1.0", MAKER)]);
    let gateway = Gateway::start(&place.home);
    let mut one = place.device("p1", "pendant");
    let _two = place.device("p2", "pendant");
    let trouble = || {
        let shown = place.home.vaka(&["device", "update", "list", "--json"]).stdout;
        serde_json::from_str::<Value>(&shown)
            .is_ok_and(|shown| shown["trouble"].as_str().is_some_and(|why| !why.is_empty()))
    };
    eventually("the publisher's line to break", || gateway.tail(), || trouble().then_some(()));
    assert_eq!(place.asked(), 0, "nobody is told of half an image");
    place.publisher.break_after(None);
    place.home.vaka(&["device", "update", "check"]);
    let kept = |asked: &String| asked.contains(".img bytes=30000-");
    assert!(place.publisher.asked().iter().any(kept), "{:?}", place.publisher.asked());
    fetches(&place, &gateway, &one);
    drop(relay);
    eventually("its line to break", || one.log(), || one.log().contains("not fetched").then_some(()));
    let before = one.pieces();
    let _relay = Relay::start(at, place.port);
    eventually("it to go on", || one.log(), || (one.pieces().len() > before.len() + 3).then_some(()));
    assert!(one.pieces()[before.len()] > before[before.len() - 1], "{:?}", one.pieces());
    // The power goes.
    one.kill();
    let before = one.pieces();
    let one = place.device("p1", "pendant");
    place.wait(&gateway, "both to be confirmed", |rows| {
        ["p1", "p2"].iter().all(|device| of(rows, device)["stage"] == "confirmed")
    });
    let after = one.pieces();
    assert!(after[before.len()] > 0 && after[before.len()] + 8_192 >= before[before.len() - 1], "{before:?} {after:?}");
    assert_eq!(place.asked(), 2, "each was told once");
}

#[test]
fn an_image_that_there_is_no_room_for_is_not_fetched_and_says_so() {
    if lacks(&["sipp"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(48)) else { return };
    let place = Place::on(Home::init_on(&disk.path()), &[("d1", "lock")]);
    place.home.edit(|config| config["journal"]["size_max_mib"] = value(32));
    let (image, file) = (large(), place.publisher.beside("large.img"));
    std::fs::write(&file, image).expect("an image");
    place.publish(&[file.display().to_string()]);
    // What the journal may still need is not the image's.
    disk.leave(8 << 20);
    let _gateway = Gateway::start(&place.home);
    let shown = place.home.vaka(&["device", "update", "check", "--json"]);
    assert!(shown.stdout.contains("waits for room") && shown.stdout.contains("kept for the journal"), "{shown:?}");
    let fetched = |place: &Place| place.publisher.asked().iter().filter(|asked| asked.contains(".img")).count();
    assert_eq!(fetched(&place), 0);
    disk.free_all();
    let shown = place.home.vaka(&["device", "update", "check", "--json"]);
    assert!(!shown.stdout.contains("waits for room"), "{shown:?}");
    assert_eq!(fetched(&place), 1);
}

#[test]
fn what_is_published_is_judged_by_the_publisher_as_a_box_would() {
    let place = Place::new(&[("p1", "pendant")]);
    place.publish(&[place.image("pendant", 2, "1.1.0", MAKER)]);
    let key = std::fs::read_to_string(place.publisher.beside("keys/release.pub")).expect("a key");
    let key = key.lines().nth(1).expect("its second line").to_owned();
    let folder = place.publisher.files().to_path_buf();
    let verify = || run_vaka(place.home.dir(), &["release", "verify", &folder.display().to_string(), "--key", &key]);
    assert!(verify().ok().stdout.contains("pendant host 1.1.0"));
    let image = folder.join("pendant-host-1.1.0.img");
    let mut bytes = std::fs::read(&image).expect("it was put there");
    bytes[50_000] ^= 1;
    std::fs::write(&image, bytes).expect("another");
    let wrong = verify();
    assert!(wrong.code == 1 && wrong.stderr.contains("pendant-host-1.1.0.img"), "{wrong:?}");
    std::fs::remove_file(folder.join("devices.json.minisig")).expect("it was there");
    let wrong = verify();
    assert!(wrong.code == 1 && wrong.stderr.contains("without devices.json.minisig"), "{wrong:?}");
}
