//! Too much of everything: a million events waiting, a crowd at the door, strangers before it, a device that floods, a storm of tests.

use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use vaka::journal::record::{EventRecord, Record};
use vaka::journal::{Journal, Options, Stamp};
use vaka::limits;
use vaka_protocol::{DeviceId, Lane};
use vaka_tests::{
    Centre, Crowd, Gateway, Home, RawMqtt, Rush, eventually, free_port, lacks, now_ms, press, publish_packet, setting,
};

/// The most memory the gateway may take with a million events in its journal.
const RSS_KIB_MAX: u64 = 64 * 1024;
/// The most memory that one connected device may cost: `limits::CONNECTIONS_MAX` of them are 512 MiB.
const CONNECTION_KIB_MAX: u64 = 32;

const MOTION: &str = r#"{"motion":{}}"#;
const TEST: &str = r#"{"test":{}}"#;

fn crowd(home: &Home, devices: &[String], rush: Rush) -> Crowd {
    Crowd::start(Path::new(env!("CARGO_BIN_EXE_crowd")), home, devices, rush)
}

fn sums(counts: &[Value], name: &str) -> u64 {
    counts.iter().filter_map(|count| count[name].as_u64()).sum()
}

/// Alarms of one device and cause in the list.
fn alarms_of(home: &Home, device: &str, cause: &str) -> Vec<Value> {
    let fits = |row: &Value| row["device"] == device && row["cause"] == cause;
    home.alarms().into_iter().filter(fits).collect()
}

/// Events counted as refused in the journal, of one device and lane.
fn refusals(export: &[Value], device: &str, lane: &str) -> u64 {
    let fits = |record: &&Value| record["kind"] == "refusal" && record["device"] == device && record["lane"] == lane;
    export.iter().filter(fits).filter_map(|record| record["count"].as_u64()).sum()
}

/// A journal as a gateway leaves it that has taken so many events, of 16 devices in turn, and was never quiet enough to save its fold.
fn write_backlog(home: &Home, devices: &[String], events: u64) {
    let dir = home.path("journal");
    let (mut journal, _) =
        Journal::open(&dir, Options { reserve_bytes: 0, ..Options::default() }).expect("the journal");
    let wall_ms = now_ms();
    let ids: Vec<DeviceId> = devices.iter().map(|id| DeviceId::try_from(id.as_str()).expect("an id")).collect();
    for n in 0..events {
        let seq = n / ids.len() as u64 + 1;
        let event = EventRecord {
            device: ids[n as usize % ids.len()].clone(),
            enrolment: 1,
            restart: 1,
            seq,
            assigned: false,
            conflict: false,
            has_ended: false,
            via: None,
            payload: format!(r#"{{"v":1,"restart":1,"seq":{seq},"at":{wall_ms},"event":{MOTION}}}"#)
                .into_bytes()
                .into(),
        };
        journal.append(&Record::Event(event), Lane::Telemetry, Stamp { mono_ms: n, wall_ms });
        if n % 4_096 == 4_095 {
            journal.commit().expect("a disk with room");
        }
    }
    journal.commit().expect("a disk with room");
}

#[test]
fn a_million_waiting_events_hold_up_neither_a_press_nor_a_start() {
    if lacks(&["sipp"]) {
        return;
    }
    let events = setting("VAKA_BACKLOG", 1_000_000);
    let live = (events / 10).min(20_000);
    let port = free_port();
    let home = Home::init();
    home.centre(port).device("p1", "pendant");
    let devices = home.crowd("m", 16, "motion-sensor");
    home.edit(|config| config["journal"]["size_max_mib"] = toml_edit::value(2048));
    write_backlog(&home, &devices, events - live);
    let mut gateway = Gateway::start(&home);
    // The last of them as they really come, while the centre is away.
    let mut devices = crowd(&home, &devices, Rush::default()).all(16);
    let event = json!({"event": MOTION, "restart": 2, "seq": 1, "count": live / 16});
    assert_eq!(devices.publish(&event), (live / 16 * 16, 0));
    let peak_kib = gateway.memory_kib("VmHWM");

    // Killed with all of that behind it: what a start reads is bounded, whatever waits.
    gateway.kill();
    gateway.restart();
    let stat = gateway.stat();
    assert!(stat["events"].as_u64() >= Some(events / 16 * 16 - 16), "{stat}");
    let replayed = stat["replayed"].as_u64().expect("a count");
    assert!(replayed <= limits::SNAPSHOT_RECORDS_MAX + 2 * limits::COMMIT_RECORDS_MAX as u64, "{stat}");

    // The press is the first thing that the centre hears when it is back.
    let mut pendant = RawMqtt::connect(&home, "p1");
    pendant.send(&publish_v4("vaka/v1/p1/event", 1, &press(1, 1)));
    assert_eq!(pendant.read_exact(4), [0x40, 2, 0, 1]);
    let centre = Centre::start_on("ok", port);
    gateway.wait_alarm("the press accepted", |row| row["device"] == "p1" && row["rung"] == "accepted");
    assert_eq!(centre.wait_alarms(1)[0].code("dty"), Some(3), "{:?}", centre.alarms());
    // And one more, with the way open.
    pendant.send(&publish_v4("vaka/v1/p1/event", 2, &press(1, 2)));
    gateway.wait_alarm("both presses accepted", |row| {
        row["device"] == "p1" && row["count"] == 2 && row["rung"] == "accepted"
    });
    let restarted_kib = gateway.memory_kib("VmHWM");
    println!(
        "{events} events: {peak_kib} KiB at most, {restarted_kib} KiB after a restart that replayed {replayed} records"
    );
    assert!(peak_kib <= RSS_KIB_MAX && restarted_kib <= RSS_KIB_MAX, "{peak_kib} KiB, then {restarted_kib} KiB");
}

/// PUBLISH of 3.1.1 at QoS 1.
fn publish_v4(topic: &str, id: u8, payload: &str) -> Vec<u8> {
    // As 5 without its properties' length, which stands behind the packet id.
    let packet = publish_packet(topic, payload.as_bytes());
    let length_bytes = if packet[1] < 128 { 1 } else { 2 };
    let mut body = packet[1 + length_bytes..].to_vec();
    body[2 + topic.len() + 1] = id;
    body.remove(2 + topic.len() + 2);
    let mut out = vec![0x32];
    match body.len() {
        short @ 0..128 => out.push(short as u8),
        long => out.extend([(long % 128) as u8 | 0x80, (long / 128) as u8]),
    }
    out.extend(body);
    out
}

#[test]
fn as_many_devices_as_may_are_let_in_and_the_next_is_turned_away_and_told() {
    const BEYOND: usize = 20;
    let most = setting("VAKA_CONNECTIONS", 600) as usize;
    let home = Home::init();
    let devices = home.crowd("c", most + BEYOND, "motion-sensor");
    // The machine's descriptors are what bounds it; the program leaves itself enough for everything else.
    let descriptors = most + limits::HANDSHAKES_MAX + limits::DESCRIPTORS_KEPT;
    let gateway = Gateway::start_with_descriptors(&home, descriptors as u64);
    assert_eq!(gateway.stat()["connections"]["most"], most);
    // Once through everything before it is measured: the program's own pages are no device's.
    let event = json!({"event": MOTION, "restart": 1, "seq": 1, "count": 1});
    let mut first = crowd(&home, &devices[most..], Rush::default());
    assert_eq!(first.publish(&event), (BEYOND as u64, 0));
    drop(first);
    let gone = || (gateway.stat()["connections"]["now"] == 0).then_some(());
    eventually("the first are gone", || gateway.tail(), gone);
    let before_kib = gateway.memory_kib("VmRSS");

    let mut crowd_inside = crowd(&home, &devices, Rush { tries: 100, ..Rush::default() });
    assert_eq!((crowd_inside.count("connected"), crowd_inside.count("busy")), (most as u64, BEYOND as u64));
    assert_eq!(crowd_inside.publish(&event), (most as u64, 0), "each of them is served");
    let grown_kib = gateway.memory_kib("VmHWM") - before_kib;
    println!("{most} devices connected: {grown_kib} KiB, {} bytes each", grown_kib * 1024 / most as u64);
    assert!(grown_kib <= most as u64 * CONNECTION_KIB_MAX, "{grown_kib} KiB for {most} devices");

    // Who was turned away is counted, and a person sees it: one alarm, and the doctor's red light.
    let connections = gateway.stat()["connections"].clone();
    assert_eq!(
        (&connections["now"], &connections["turned_away_full"]),
        (&json!(most), &json!(BEYOND)),
        "{connections}"
    );
    let full = || alarms_of(&home, "connections-full", "fault");
    assert_eq!(full().len(), 1, "{:?}", home.alarms());
    let checked: Value = home.vaka(&["check", "--json"]).rows()[0].clone();
    let light = |part: &str| {
        let parts = checked["parts"].as_array().expect("parts");
        parts.iter().find(|line| line["part"] == part).map(|line| line["light"].clone())
    };
    assert_eq!(light("connections"), Some("red".into()), "{checked}");

    // A device that is inside already may come anew, with everything full.
    let known = crowd(&home, &devices[..1], Rush { tries: 1, ..Rush::default() });
    assert_eq!(known.count("connected"), 1);
    drop(known);

    // They leave, and that is told too.
    drop(crowd_inside);
    eventually("an empty house", || gateway.tail(), || (gateway.stat()["connections"]["now"] == 0).then_some(()));
    let id = full()[0]["id"].as_str().expect("an id").to_owned();
    let is_over = || home.vaka(&["alarm", "show", &id, "--json"]).ok().rows()[0]["over"] == true;
    eventually("the end of it", || gateway.tail(), || is_over().then_some(()));
    assert_eq!(crowd(&home, &devices[most..], Rush::default()).count("connected"), BEYOND as u64);
}

/// Opens connections from an address of this machine that never say a word.
fn strangers(runtime: &tokio::runtime::Runtime, from: u8, port: u16, count: usize) -> Vec<TcpStream> {
    let open = async {
        let mut open = Vec::new();
        for _ in 0..count {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, from], 0).into()).expect("an address of this machine");
            let stream = socket.connect(([127, 0, 0, 1], port).into()).await.expect("the gateway listens");
            open.push(stream.into_std().expect("a stream"));
        }
        open
    };
    runtime.block_on(open)
}

#[test]
fn strangers_at_the_door_keep_no_device_out() {
    let home = Home::init();
    home.device("p1", "pendant");
    let gateway = Gateway::start(&home);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let knocking = limits::HANDSHAKES_PER_ADDRESS_MAX + 10;
    let addresses = limits::HANDSHAKES_MAX / limits::HANDSHAKES_PER_ADDRESS_MAX + 1;
    let turned_away = || gateway.stat()["connections"]["turned_away_unknown"].as_u64().unwrap_or(0);
    let mut known = 0;
    for round in 0..3 {
        let crowd: Vec<_> =
            (0..addresses).map(|n| strangers(&runtime, 10 + n as u8, home.mqtt_port, knocking)).collect();
        // The one address beyond the others' sum has turned out some of theirs. All have knocked when so many are gone.
        let before = known + (addresses * knocking - limits::HANDSHAKES_MAX) as u64;
        let context = || format!("{} of {before}\n{}", turned_away(), gateway.tail());
        eventually("who has no place to be turned away", context, || (turned_away() >= before).then_some(()));
        assert_eq!(turned_away(), before);
        // The place is full of them: the device comes in at the first try, and is heard.
        let mut pendant = RawMqtt::connect_v5(&home, "p1");
        pendant.send(&publish_packet("vaka/v1/p1/event", press(1, round + 1).as_bytes()));
        assert_eq!(pendant.read_exact(4), [0x40, 2, 0, 1]);
        known = before + 1;
        assert_eq!(turned_away(), known, "one of them made place");
        drop(crowd);
    }
    let checked = home.vaka(&["check"]).stdout;
    assert!(checked.contains("connections closed before they said who they are"), "{checked}");
    assert_eq!(alarms_of(&home, "p1", "button")[0]["count"], 3);
}

#[test]
fn a_flood_from_one_device_meets_its_own_share_and_is_told_once() {
    if lacks(&["sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant").device("a1", "motion-sensor");
    let mut devices = home.crowd("d", 4, "motion-sensor");
    devices.insert(0, "a1".into());
    let mut gateway = Gateway::start(&home);
    let mut inside = crowd(&home, &devices, Rush::default()).all(5);

    // Large events use up the share sooner: it counts what they cost on the disk.
    let pad = "x".repeat(15_000);
    let large = format!(r#"{{"motion":{{"pad":"{pad}"}}}}"#);
    let tokens = 1 + large.len() as u64 / limits::SHARE_BYTES_PER_TOKEN;
    let share = limits::SHARE_EVENTS_BURST / tokens;
    let count = share + 2_500;
    inside.begin(&json!({"only": [0], "event": large, "restart": 1, "seq": 1, "count": count, "press_every": 500}));
    // Meanwhile somebody presses, and is heard.
    let mut pendant = RawMqtt::connect(&home, "p1");
    pendant.send(&publish_v4("vaka/v1/p1/event", 1, &press(1, 1)));
    assert_eq!(pendant.read_exact(4), [0x40, 2, 0, 1]);
    gateway.wait_alarm("the press accepted", |row| row["device"] == "p1" && row["rung"] == "accepted");
    let flooded = inside.end();
    let presses = count / 500;
    assert_eq!(flooded[0]["presses"], presses, "every press of the flooding device itself is taken");
    let refused = sums(&flooded, "refused");
    assert!(refused > 0 && sums(&flooded, "stored") >= share, "{flooded:?}");

    // The others have their own share.
    let calm = json!({"only": [1, 2, 3, 4], "event": MOTION, "restart": 1, "seq": 1, "count": 500});
    assert_eq!(inside.publish(&calm), (2_000, 0));
    // Care is not refused, not even of the flooding device; technical is.
    let of_flooding =
        |event: &str, seq: u64| json!({"only": [0], "event": event, "restart": 2, "seq": seq, "count": 50});
    assert_eq!(inside.publish(&of_flooding(r#"{"enuresis":{}}"#, 1)), (50, 0));

    // A new connection, and a new start of the gateway, give it no new share.
    drop(inside);
    let mut refused_later = 0;
    for round in 0..2 {
        let mut again = crowd(&home, &devices[..1], Rush::default()).all(1);
        let (stored, refused) = again.publish(&json!({"event": large, "restart": 3 + round, "seq": 1, "count": 1_000}));
        assert!(stored < 500, "{stored} of 1,000 after coming back");
        refused_later += refused;
        if round == 0 {
            assert!(gateway.stop().success(), "{}", gateway.tail());
            gateway.restart();
        }
    }
    // 3.1.1 has no reasons: acknowledged, counted, and the connection stays.
    let mut old = RawMqtt::connect(&home, &devices[0]);
    let before = gateway.stat()["refused"]["telemetry"].as_u64().unwrap_or(0);
    for seq in 1..=100_u64 {
        old.send(&publish_v4(&format!("vaka/v1/{}/event", devices[0]), 1, &vaka_tests::event(9, seq, MOTION)));
        assert_eq!(old.read_exact(4), [0x40, 2, 0, 1]);
    }
    assert!(before > 0);

    // One alarm for all of it, of that device; nobody else is blamed.
    let told = alarms_of(&home, &devices[0], "overload");
    assert_eq!((told.len(), &told[0]["lane"], &told[0]["count"]), (1, &json!("technical"), &json!(1)), "{told:?}");
    assert_eq!(home.alarms().iter().filter(|row| row["cause"] == "overload").count(), 1);
    gateway.wait_alarm("the flood told to the centre", |row| row["cause"] == "overload" && row["rung"] == "accepted");
    assert!(gateway.stop().success(), "{}", gateway.tail());

    // Counted exactly, in a few records.
    let export = home.export();
    let counted = refusals(&export, &devices[0], "telemetry");
    let by_311 = counted - refused - refused_later;
    assert!((1..=100).contains(&by_311), "{counted} counted, {refused} + {refused_later} told with a reason");
    let records = export.iter().filter(|record| record["kind"] == "refusal").count();
    assert!(records < 200, "{records} records for {counted} refusals");
    assert!(export.iter().all(|record| record["kind"] != "refusal" || record["device"] == devices[0].as_str()));
    let faults = export.iter().filter(|record| record["fault"] == "overload").count();
    assert_eq!(faults, 1, "one flood, though the device and the gateway came anew in it");
}

#[test]
fn a_storm_of_tests_is_bounded_and_a_press_goes_before_it() {
    if lacks(&["sipp"]) {
        return;
    }
    const DEVICES: u64 = 10;
    const EACH: u64 = 1_000;
    let port = free_port();
    let home = Home::init();
    home.centre(port).device("p1", "pendant");
    let devices = home.crowd("t", DEVICES as usize, "pendant");
    let mut gateway = Gateway::start(&home);
    let mut inside = crowd(&home, &devices, Rush::default()).all(DEVICES as usize);
    // A technician first, as many do: a few tests each, all of them taken.
    let visit = json!({"event": TEST, "restart": 1, "seq": 1, "count": 5});
    assert_eq!(inside.publish(&visit), (5 * DEVICES, 0));
    // The storm, while the centre is away; the press comes in the middle of it.
    inside.begin(&json!({"event": TEST, "restart": 2, "seq": 1, "count": EACH}));
    let mut pendant = RawMqtt::connect(&home, "p1");
    pendant.send(&publish_v4("vaka/v1/p1/event", 1, &press(1, 1)));
    assert_eq!(pendant.read_exact(4), [0x40, 2, 0, 1]);
    let storm = inside.end();
    let (stored, refused) = (sums(&storm, "stored"), sums(&storm, "refused"));
    assert_eq!(stored + refused, DEVICES * EACH);
    // A device's hourly share comes on top, as far as the storm lasted.
    let share = DEVICES * (limits::SHARE_TESTS_BURST - 5);
    assert!((share..share + 10 * DEVICES).contains(&stored), "{stored} of {} stored", DEVICES * EACH);
    // Of a device in the storm, everything but tests is taken.
    let press_and_motion = json!({"event": MOTION, "restart": 3, "seq": 1, "count": 10, "press_every": 10});
    assert_eq!(inside.publish(&press_and_motion), (10 * DEVICES, 0));

    let centre = Centre::start_on("ok", port);
    gateway.wait_alarm("the press accepted", |row| row["device"] == "p1" && row["rung"] == "accepted");
    // Before the first test there are the presses: p1's, and one of each device in the storm.
    let is_test = |mrq: &vaka_tests::Mrq| mrq.code("stc") == Some(102);
    eventually(
        "every test at the centre",
        || format!("{} messages\n{}", centre.alarms().len(), gateway.tail()),
        || (centre.alarms().iter().filter(|mrq| is_test(mrq)).count() as u64 >= stored + 5 * DEVICES).then_some(()),
    );
    let alarms = centre.alarms();
    let first_test = alarms.iter().position(is_test).expect("a test");
    let presses_before = alarms[..first_test].iter().filter(|mrq| mrq.code("stc") == Some(10)).count() as u64;
    assert_eq!(presses_before, 1 + DEVICES, "{:?}", &alarms[..first_test]);
    // What was refused is an alarm of the device that sent it, and counted.
    let blamed = home.alarms().iter().filter(|row| row["cause"] == "overload" && row["lane"] == "technical").count();
    assert_eq!(blamed as u64, DEVICES);
    assert!(gateway.stop().success(), "{}", gateway.tail());
    let export = home.export();
    assert_eq!(devices.iter().map(|device| refusals(&export, device, "test")).sum::<u64>(), refused);
}
