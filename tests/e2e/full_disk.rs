//! The disk fills up from outside, step by step and at once: who is refused, what is kept, and that it goes on by itself.

use std::collections::BTreeMap;

use serde_json::Value;
use vaka_tests::MqttVersion::{V5, V311};
use vaka_tests::{Gateway, Home, LoopDisk, Paho, event, lacks, or_skip};

const QUOTA_EXCEEDED: u64 = 0x97;
const KIB: u64 = 1024;

/// One event of each lane, least urgent first.
const LANES: [(&str, &str); 5] = [
    ("telemetry", r#"{"motion":{}}"#),
    ("technical", r#"{"tamper":{}}"#),
    ("test", r#"{"test":{}}"#),
    ("care", r#"{"enuresis":{}}"#),
    ("life", r#"{"button":{"press":"short"}}"#),
];

/// What the devices know: stored, or refused with a reason or (3.1.1) without one.
#[derive(Default)]
struct Told {
    seq: u64,
    stored: Vec<(String, u64)>,
    refused: BTreeMap<(String, String), u64>,
}

impl Told {
    /// Publishes one event of each lane from both devices; the lanes in `refused` must be, the others must not.
    #[track_caller]
    fn round(&mut self, five: &mut Paho, three: &mut Paho, refused: &[&str], gateway: &Gateway) {
        for (lane, what) in LANES {
            self.seq += 1;
            let is_refused = refused.contains(&lane);
            let payload = event(1, self.seq, what);
            let answer = five.publish("vaka/v1/p5/event", &payload, 1);
            let expected = if is_refused { QUOTA_EXCEEDED } else { 0 };
            assert_eq!(
                (&answer["acked"], answer["reason"].as_u64()),
                (&true.into(), Some(expected)),
                "{lane}: {answer}\n{}",
                gateway.tail()
            );
            // 3.1.1 knows no reasons: acknowledged on the same connection, so that the press after it is not held up.
            let answer = three.publish("vaka/v1/p3/event", &payload, 1);
            assert_eq!(answer["acked"], true, "{lane}: {answer}\n{}", gateway.tail());
            for device in ["p5", "p3"] {
                if is_refused {
                    *self.refused.entry((device.to_owned(), lane.to_owned())).or_default() += 1;
                } else {
                    self.stored.push((device.to_owned(), self.seq));
                }
            }
        }
    }

    /// The journal has what was acknowledged as stored, once, and nothing that was refused.
    #[track_caller]
    fn compare(&self, export: &[Value]) {
        let mut found: Vec<(String, u64)> = export
            .iter()
            .filter(|record| record["kind"] == "event")
            .map(|record| {
                (record["device"].as_str().unwrap_or_default().to_owned(), record["seq"].as_u64().unwrap_or(0))
            })
            .collect();
        let mut stored = self.stored.clone();
        found.sort();
        stored.sort();
        assert_eq!(found, stored);
    }

    /// Every refusal is counted in the journal.
    #[track_caller]
    fn compare_refusals(&self, export: &[Value]) {
        let mut counted: BTreeMap<(String, String), u64> = BTreeMap::new();
        for record in export.iter().filter(|record| record["kind"] == "refusal") {
            let key = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            *counted.entry((key("device"), key("lane"))).or_default() += record["count"].as_u64().unwrap_or(0);
        }
        assert_eq!(counted, self.refused);
    }
}

fn home_on(disk: &LoopDisk) -> Home {
    let home = Home::init();
    home.device("p5", "pendant").device("p3", "pendant");
    let dir = disk.path().join("journal").display().to_string();
    home.edit(|config| {
        config["journal"]["dir"] = toml_edit::value(&dir);
        config["journal"]["size_max_mib"] = toml_edit::value(16);
    });
    home
}

/// The alarm about the full disk, if there is one.
fn disk_alarms(home: &Home) -> usize {
    home.alarms().iter().filter(|row| row["device"] == "disk-full" && row["lane"] == "technical").count()
}

fn faults(export: &[Value]) -> Vec<bool> {
    let of_disk = export.iter().filter(|record| record["fault"] == "disk-full");
    of_disk.map(|record| record["active"] == true).collect()
}

#[test]
fn a_full_disk_refuses_lane_by_lane_and_life_never() {
    if lacks(&["paho"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(48)) else { return };
    let home = home_on(&disk);
    let mut gateway = Gateway::start(&home);
    let mut five = Paho::new(&home, "p5", V5).connect();
    let mut three = Paho::new(&home, "p3", V311).with("clean", false.into()).connect();
    let mut told = Told::default();
    told.round(&mut five, &mut three, &[], &gateway);
    assert_eq!(disk_alarms(&home), 0);

    // Shares of 16 MiB: an eighth, a sixteenth, a thirty-second.
    disk.leave(1_500 * KIB);
    told.round(&mut five, &mut three, &["telemetry"], &gateway);
    assert_eq!(disk_alarms(&home), 1, "refusing anything is an alarm");
    disk.leave(768 * KIB);
    told.round(&mut five, &mut three, &["telemetry", "technical", "test"], &gateway);
    disk.leave(256 * KIB);
    let all_but_life = ["telemetry", "technical", "test", "care"];
    told.round(&mut five, &mut three, &all_but_life, &gateway);
    disk.leave(0);
    for _ in 0..40 {
        told.round(&mut five, &mut three, &all_but_life, &gateway);
    }
    assert_eq!(disk_alarms(&home), 1, "one alarm for one full disk");

    disk.free_all();
    told.round(&mut five, &mut three, &[], &gateway);
    let export = home.export();
    told.compare(&export);
    told.compare_refusals(&export);
    assert_eq!(faults(&export), [true, false]);
    let verify = home.vaka(&["journal", "verify"]);
    assert_eq!(verify.code, 0, "{verify:?}");
    assert!(gateway.stop().success(), "{}", gateway.tail());
    assert!(!gateway.log().contains("panicked"), "{}", gateway.tail());
}

#[test]
fn a_disk_that_is_full_at_once_and_at_the_start_still_takes_a_press() {
    if lacks(&["paho"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(48)) else { return };
    let home = home_on(&disk);
    let mut gateway = Gateway::start(&home);
    let mut told = Told::default();
    let all_but_life = ["telemetry", "technical", "test", "care"];
    {
        let mut five = Paho::new(&home, "p5", V5).connect();
        let mut three = Paho::new(&home, "p3", V311).with("clean", false.into()).connect();
        told.round(&mut five, &mut three, &[], &gateway);
        disk.leave(0);
        told.round(&mut five, &mut three, &all_but_life, &gateway);
    }
    // Killed and started on a disk without a free block, more than once.
    for _ in 0..3 {
        gateway.kill();
        disk.leave(0);
        gateway.restart();
        let mut five = Paho::new(&home, "p5", V5).connect();
        let mut three = Paho::new(&home, "p3", V311).with("clean", false.into()).connect();
        told.round(&mut five, &mut three, &all_but_life, &gateway);
        assert_eq!(disk_alarms(&home), 1);
    }
    told.compare(&home.export());
    disk.free_all();
    let mut five = Paho::new(&home, "p5", V5).connect();
    let mut three = Paho::new(&home, "p3", V311).with("clean", false.into()).connect();
    told.round(&mut five, &mut three, &[], &gateway);
    // And once more: the room held back is there again.
    disk.leave(0);
    told.round(&mut five, &mut three, &all_but_life, &gateway);
    disk.free_all();
    told.round(&mut five, &mut three, &[], &gateway);
    let export = home.export();
    told.compare(&export);
    assert_eq!(faults(&export), [true, false, true, false]);
    let life = home.alarms().into_iter().filter(|row| row["lane"] == "life").count();
    assert_eq!(life, 2, "one alarm a device, every press counted in it: {:?}", home.alarms());
    assert!(!gateway.log().contains("panicked"), "{}", gateway.tail());
}
