//! The journal of a stopped gateway is damaged in every way a disk or a hand can: it starts, says what is gone, and goes on.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vaka_tests::{Chance, Gateway, Home, RawMqtt, event, eventually, press, setting};

const DEVICES: [&str; 3] = ["p1", "p2", "p3"];
const EVENTS_PER_DEVICE: u64 = 1_200;
/// Large enough that a few thousand events fill more than two segments.
const PADDING_BYTES: usize = 6_000;
const PAGE: u64 = 4_096;

/// PUBLISH at QoS 1 (OASIS MQTT 3.1.1, 3.3).
fn publish(topic: &str, id: u16, payload: &str) -> Vec<u8> {
    let mut length = 2 + topic.len() + 2 + payload.len();
    let mut packet = vec![0x32];
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(payload.as_bytes());
    packet
}

/// A home whose journal has a few thousand events and a dozen alarms in several segments; its gateway has stopped.
fn full_home() -> Home {
    let home = Home::init();
    for device in DEVICES {
        home.device(device, "pendant");
    }
    let mut gateway = Gateway::start(&home);
    let padding = "x".repeat(PADDING_BYTES);
    for device in DEVICES {
        let topic = format!("vaka/v1/{device}/event");
        let mut client = RawMqtt::connect(&home, device);
        for seq in 1..=EVENTS_PER_DEVICE {
            let what = match seq % 100 {
                0 => r#"{"button":{"press":"short"}}"#,
                25 => r#"{"fall":{}}"#,
                50 => r#"{"smoke":{"active":true}}"#,
                75 => r#"{"tamper":{}}"#,
                _ => r#"{"motion":{}}"#,
            };
            let payload = event(1, seq, what).replacen('{', &format!(r#"{{"pad":"{padding}","#), 1);
            client.send(&publish(&topic, seq as u16, &payload));
            // Ten in flight: as fast as a client may.
            if seq % 10 == 0 {
                let acks = client.read_exact(4 * 10);
                assert!(acks.chunks(4).all(|ack| ack[0] == 0x40), "{acks:02x?}");
            }
        }
    }
    assert!(gateway.stop().success(), "{}", gateway.tail());
    home
}

/// What is done to the journal, and what must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    FlipInClosed,
    FlipInLast,
    ZeroPageInClosed,
    ZeroPageInLast,
    CutClosed,
    CutLast,
    SwapNames,
    LoseFirst,
    LoseMiddle,
    StrayFile,
    LoseIndex,
    GarbageIndex,
    GarbageHead,
    LoseHead,
}

const HARMS: [Harm; 14] = [
    Harm::FlipInClosed,
    Harm::FlipInLast,
    Harm::ZeroPageInClosed,
    Harm::ZeroPageInLast,
    Harm::CutClosed,
    Harm::CutLast,
    Harm::SwapNames,
    Harm::LoseFirst,
    Harm::LoseMiddle,
    Harm::StrayFile,
    Harm::LoseIndex,
    Harm::GarbageIndex,
    Harm::GarbageHead,
    Harm::LoseHead,
];

impl Harm {
    /// `vaka journal verify` can know of it. A last segment that ends early looks as after a power cut; a cache is no truth.
    fn is_found(self) -> bool {
        !matches!(self, Harm::CutLast | Harm::LoseIndex | Harm::GarbageIndex | Harm::LoseHead)
    }

    /// Records that may be gone at the most; `None`: those of a whole segment.
    fn lost_max(self) -> Option<usize> {
        match self {
            Harm::FlipInClosed | Harm::FlipInLast => Some(1),
            // A page holds at most this many of the smallest records.
            Harm::ZeroPageInClosed | Harm::ZeroPageInLast => Some(PAGE as usize / 48 + 2),
            Harm::CutClosed | Harm::CutLast | Harm::LoseFirst | Harm::LoseMiddle => None,
            _ => Some(0),
        }
    }
}

fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(journal.join("segments")).expect("a journal has segments");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn overwrite(file: &Path, at: u64, change: impl Fn(u8) -> u8, length: usize) {
    let file = OpenOptions::new().read(true).write(true).open(file).expect("a file of the journal");
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, at).expect("reading it");
    bytes.truncate(read);
    bytes.iter_mut().for_each(|byte| *byte = change(*byte));
    file.write_all_at(&bytes, at).expect("damaging it");
}

fn do_harm(harm: Harm, journal: &Path, chance: &mut Chance) {
    let files = segments(journal);
    let (last, closed) = files.split_last().expect("segments");
    assert!(closed.len() >= 2, "too few segments for this test: {files:?}");
    let some = &closed[chance.below(closed.len() as u64) as usize];
    let length = |file: &Path| fs::metadata(file).expect("its length").len();
    match harm {
        // Not in the last eighth of the last segment: the very last commit may be torn by any power cut.
        Harm::FlipInClosed => overwrite(some, chance.below(length(some)), |byte| byte ^ 0x10, 1),
        Harm::FlipInLast => overwrite(last, chance.below(length(last) / 8 * 7), |byte| byte ^ 0x01, 1),
        Harm::ZeroPageInClosed => overwrite(some, chance.below(length(some) / PAGE) * PAGE, |_| 0, PAGE as usize),
        Harm::ZeroPageInLast => overwrite(last, chance.below(length(last) / 8 * 7 / PAGE) * PAGE, |_| 0, PAGE as usize),
        Harm::CutClosed | Harm::CutLast => {
            let file = if harm == Harm::CutLast { last } else { some };
            let file = OpenOptions::new().write(true).open(file).expect("a segment");
            let length = file.metadata().expect("its length").len();
            file.set_len(length / 2 + chance.below(length / 2)).expect("cutting it");
        }
        Harm::SwapNames => {
            let aside = journal.join("aside");
            fs::rename(&closed[0], &aside).expect("renaming");
            fs::rename(&closed[1], &closed[0]).expect("renaming");
            fs::rename(&aside, &closed[1]).expect("renaming");
        }
        Harm::LoseFirst => fs::remove_file(&closed[0]).expect("removing"),
        Harm::LoseMiddle => fs::remove_file(&closed[1]).expect("removing"),
        Harm::StrayFile => fs::write(journal.join("segments/notes.txt"), b"not a segment").expect("writing"),
        Harm::LoseIndex => fs::remove_dir_all(journal.join("index")).expect("removing"),
        Harm::GarbageIndex => {
            for entry in fs::read_dir(journal.join("index")).expect("the index") {
                let path = entry.expect("an entry").path();
                if path.is_file() {
                    let noise: Vec<u8> = (0..length(&path)).map(|_| chance.next_u64() as u8).collect();
                    fs::write(path, noise).expect("overwriting");
                }
            }
        }
        Harm::GarbageHead => overwrite(&journal.join("head"), chance.below(32), |byte| !byte, 4),
        Harm::LoseHead => fs::remove_file(journal.join("head")).expect("removing"),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().expect("its kind"))).expect("an entry");
        let target = to.join(path.file_name().expect("a name"));
        if kind.is_dir() {
            copy_folder(&path, &target);
        } else if kind.is_file() {
            fs::copy(&path, &target).expect("copying a file");
        }
    }
}

fn numbers(export: &[Value]) -> BTreeSet<u64> {
    export.iter().filter_map(|record| record["record"].as_u64()).collect()
}

/// Ranges that `verify` names: `records 7 to 9 lost`, `record 7 lost`.
fn named(damage: &[String]) -> Vec<(u64, u64)> {
    let range = |text: &String| {
        let (before, _) = text.split_once(" lost")?;
        let words: Vec<&str> = before.rsplit(", ").next()?.split(' ').collect();
        match words[..] {
            ["record", one] => Some((one.parse().ok()?, one.parse().ok()?)),
            ["records", first, "to", last] => Some((first.parse().ok()?, last.parse().ok()?)),
            _ => None,
        }
    };
    damage.iter().filter_map(range).collect()
}

fn damage_alarms(home: &Home) -> Vec<Value> {
    home.alarms().into_iter().filter(|row| row["device"] == "journal-damaged" && row["cause"] == "fault").collect()
}

/// How often a gateway of this home has read its whole journal, which it does once after each start.
fn reads(home: &Home) -> usize {
    let log = fs::read_to_string(home.dir().join("gateway.log")).unwrap_or_default();
    log.matches("the whole journal has been read").count()
}

fn wait_read(home: &Home, gateway: &Gateway, times: usize) {
    eventually("the whole journal to be read", || gateway.tail(), || (reads(home) >= times).then_some(()));
}

/// Verifies, starts, starts again: `harm` has been done to the home's journal, which held `whole`.
fn survive(home: &Home, harm: Harm, whole: &BTreeSet<u64>, round: u64) {
    let context = format!("{harm:?} in round {round}");
    let verify = home.vaka(&["journal", "verify", "--json"]);
    assert_eq!(verify.code, i32::from(harm.is_found()), "{context}: {verify:?}");
    let said = verify.rows().remove(0);
    let places: Vec<String> = serde_json::from_value(said["damage"].clone()).expect("a list of places");
    assert_eq!(places.is_empty(), !harm.is_found(), "{context}: {said}");
    let left = numbers(&home.export());
    assert!(left.is_subset(whole), "{context}: records that were never written");
    let lost: Vec<u64> = whole.difference(&left).copied().collect();
    if let Some(most) = harm.lost_max() {
        assert!(lost.len() <= most, "{context}: {} records lost", lost.len());
    }
    if harm.is_found() {
        let named = named(&places);
        let unnamed = lost.iter().find(|n| !named.iter().any(|(first, last)| (first..=last).contains(n)));
        assert!(unnamed.is_none(), "{context}: record {unnamed:?} is lost and not named by {places:?}");
    } else if let (Some(first), Some(newest)) = (lost.first(), left.last()) {
        assert!(first > newest, "{context}: lost in the middle and not said");
    }

    let read_before = reads(home);
    let mut gateway = Gateway::start(home);
    wait_read(home, &gateway, read_before + 1);
    if harm.is_found() {
        gateway.wait_alarm(&format!("the fault after {context}"), |row| {
            row["device"] == "journal-damaged" && row["lane"] == "technical" && row["cause"] == "fault"
        });
    }
    let mut client = RawMqtt::connect(home, "p1");
    client.send(&publish("vaka/v1/p1/event", 1, &press(2 + round as u32, 1)));
    assert_eq!(client.read_exact(4), [0x40, 2, 0, 1], "{context}: a press is taken");
    assert!(gateway.stop().success(), "{context}: {}", gateway.tail());
    let after = home.export();
    assert!(left.is_subset(&numbers(&after)), "{context}: the start lost more");
    let new = |record: &&Value| record["kind"] == "event" && record["restart"] == 2 + round && record["seq"] == 1;
    assert_eq!(after.iter().filter(new).count(), 1, "{context}");

    // What has been told once is not told at every start.
    let counted = |home: &Home| damage_alarms(home).iter().map(|row| row["count"].as_u64().unwrap_or(0)).sum::<u64>();
    let told = counted(home);
    assert_eq!(told > 0, harm.is_found(), "{context}");
    gateway.restart();
    wait_read(home, &gateway, read_before + 2);
    assert_eq!(counted(home), told, "{context}: {:?}", damage_alarms(home));
    assert!(gateway.stop().success(), "{context}: {}", gateway.tail());
    assert!(!gateway.log().contains("panicked at gateway"), "{context}: {}", gateway.tail());
}

#[test]
fn damage_costs_what_it_hit_and_is_named_and_told() {
    let mut chance = Chance::from_environment();
    let home = full_home();
    let pristine = home.path("pristine");
    let journal = home.path("journal");
    let whole = numbers(&home.export());
    assert!(whole.len() as u64 > EVENTS_PER_DEVICE * DEVICES.len() as u64);
    fs::rename(&journal, &pristine).expect("setting the journal aside");
    for round in 0..setting("VAKA_DAMAGE_ROUNDS", 1) {
        for harm in HARMS {
            copy_folder(&pristine, &journal);
            do_harm(harm, &journal, &mut chance);
            survive(&home, harm, &whole, round);
            fs::remove_dir_all(&journal).expect("clearing up");
        }
    }
}
