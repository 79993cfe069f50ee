//! The power fails under load, again and again: what was acknowledged is on the disk, once, and nothing else is.
//!
//! The journal lies on a file system in an image. At a random moment the gateway is frozen, the image is copied as it is,
//! and the copy is the disk on which everything goes on. What only the page cache had is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use vaka_tests::{Centre, Chance, Gateway, Home, Load, LoopDisk, lacks, or_skip, setting};

const DEVICES: [&str; 5] = ["p1", "p2", "p3", "p4", "p5"];
const IN_FLIGHT: u32 = 10;
const PRESS_EVERY: u32 = 50;

type Stored = BTreeMap<(String, u64, u64), u32>;

fn stored(export: &[Value]) -> Stored {
    let mut stored = Stored::new();
    for record in export.iter().filter(|record| record["kind"] == "event") {
        let device = record["device"].as_str().expect("a device").to_owned();
        let number = |key: &str| record[key].as_u64().unwrap_or_else(|| panic!("{key} in {record}"));
        let wanted = if number("seq") % u64::from(PRESS_EVERY) == 0 { "button" } else { "motion" };
        assert!(record["event"].get(wanted).is_some(), "not what was sent: {record}");
        *stored.entry((device, number("restart"), number("seq"))).or_default() += 1;
    }
    stored
}

fn presses(stored: &Stored, device: &str) -> u64 {
    stored.keys().filter(|(d, _, seq)| d == device && seq % u64::from(PRESS_EVERY) == 0).count() as u64
}

/// The home's journal is on this disk from now on.
fn use_disk(home: &Home, disk: &LoopDisk) {
    let dir = disk.path().join("journal").display().to_string();
    home.edit(|config| config["journal"]["dir"] = toml_edit::value(&dir));
}

#[test]
fn nothing_acknowledged_is_lost_over_power_cuts() {
    if lacks(&["paho", "sipp"]) {
        return;
    }
    let Some(mut disk) = or_skip(LoopDisk::make(256)) else { return };
    let cuts = setting("VAKA_POWER_CUTS", 25);
    let mut chance = Chance::from_environment();
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    for device in DEVICES {
        home.device(device, "pendant");
    }
    use_disk(&home, &disk);
    let mut gateway = Gateway::start(&home);
    let mut load = Load::start(&home, &DEVICES, IN_FLIGHT, PRESS_EVERY);
    let mut survived = 0;
    for cut in 0..cuts {
        // Half of them early, while clients come back and the journal has just been opened.
        let acknowledged = 1 + chance.below(if cut % 2 == 0 { 60 } else { 1_500 });
        load.wait_more(acknowledged as usize, || gateway.tail());
        gateway.freeze();
        let copy = disk.cut();
        gateway.kill();
        let acked = load.acked().clone();
        disk = copy;
        use_disk(&home, &disk);

        let verify = home.vaka(&["journal", "verify"]);
        assert_eq!(verify.code, 0, "cut {cut}: {verify:?}");
        let stored = stored(&home.export());
        let lost: Vec<_> = acked.iter().filter(|identity| !stored.contains_key(*identity)).collect();
        assert!(lost.is_empty(), "cut {cut}: {} of {} acknowledged lost, first {:?}", lost.len(), acked.len(), lost[0]);
        let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
        assert!(doubled.is_empty(), "cut {cut}: {} doubled, first {:?}", doubled.len(), doubled[0]);
        for device in DEVICES {
            let newest = |identity: &&(String, u64, u64)| identity.0 == device;
            let sent = acked.iter().filter(newest).map(|(_, _, seq)| *seq).max().unwrap_or(0) + u64::from(IN_FLIGHT);
            let invented = stored.keys().find(|(d, restart, seq)| d == device && (*restart != 1 || *seq > sent));
            assert!(invented.is_none(), "cut {cut}: {invented:?} was never sent, at most {sent}");
        }
        assert!(stored.keys().all(|(device, ..)| DEVICES.contains(&device.as_str())), "cut {cut}");
        let alarms = home.alarms();
        for device in DEVICES {
            let rows = alarms.iter().filter(|row| row["device"] == device && row["lane"] == "life");
            let counted: u64 = rows.map(|row| row["count"].as_u64().expect("a count")).sum();
            // A press whose decision the cut took is judged when the gateway starts.
            let pressed = presses(&stored, device);
            assert!(
                counted <= pressed && counted + 1 >= pressed,
                "cut {cut}: {counted} of {pressed} presses of {device}"
            );
        }
        survived = stored.len();
        gateway.restart();
    }
    load.wait_more(20, || gateway.tail());
    let (acked, refused) = load.finish();
    println!("{cuts} power cuts, {} acknowledged, {survived} stored at the last cut, 0 lost", acked.len());
    assert!(refused.is_empty(), "{} refused, first: {:?}", refused.len(), refused.first());
    let stored = stored(&home.export());
    assert!(acked.iter().all(|identity| stored.get(identity) == Some(&1)));
    for device in DEVICES {
        let pressed = presses(&stored, device);
        if pressed > 0 {
            gateway.wait_alarm_within(
                Duration::from_secs(90),
                &format!("{pressed} presses of {device} accepted"),
                |row| {
                    row["device"] == device
                        && row["lane"] == "life"
                        && row["count"] == pressed
                        && row["rung"] == "accepted"
                },
            );
        }
    }
    let log = gateway.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(!home.alarms().iter().any(|row| row["device"] == "journal-damaged"), "{:?}", home.alarms());
    drop(gateway);
}
