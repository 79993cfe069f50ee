//! kill -9 under load, again and again: what was acknowledged is in the journal, once, and every alarm reaches a person.

use std::collections::BTreeMap;
use std::time::Duration;

use vaka_tests::{Centre, Gateway, Home, Load, lacks, setting};

#[test]
fn nothing_acknowledged_is_lost_or_doubled_over_kills() {
    if lacks(&["paho", "sipp"]) {
        return;
    }
    let kills = setting("VAKA_KILLS", 20);
    let devices = ["p1", "p2", "p3", "p4", "p5"];
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    for device in devices {
        home.device(device, "pendant");
    }
    let mut gateway = Gateway::start(&home);
    // Presses are rare, as they are: each goes to the centre under a ref of its own.
    let mut load = Load::start(&home, &devices, 10, 200);
    for kill in 0..kills {
        // At another point of the work each time; every second one early, while clients still come back.
        let acknowledged = if kill % 2 == 0 { 5 } else { 60 + 37 * (kill as usize % 7) };
        load.wait_more(acknowledged, || gateway.tail());
        gateway.kill();
        gateway.restart();
    }
    load.wait_more(20, || gateway.tail());
    let (acked, refused) = load.finish();
    assert!(refused.is_empty(), "{} refused, first: {:?}", refused.len(), refused.first());

    let mut stored: BTreeMap<(String, u64, u64), u32> = BTreeMap::new();
    for record in home.export().iter().filter(|record| record["kind"] == "event") {
        let text = record["device"].as_str().expect("a device").to_owned();
        let number = |key: &str| record[key].as_u64().unwrap_or_else(|| panic!("{key} in {record}"));
        *stored.entry((text, number("restart"), number("seq"))).or_default() += 1;
    }
    let lost: Vec<_> = acked.iter().filter(|identity| !stored.contains_key(*identity)).collect();
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
    println!(
        "{kills} kills, {} acknowledged, {} stored, {} lost, {} doubled",
        acked.len(),
        stored.len(),
        lost.len(),
        doubled.len()
    );
    assert!(lost.is_empty(), "{} of {} acknowledged are lost, first: {:?}", lost.len(), acked.len(), lost.first());
    assert!(doubled.is_empty(), "{} doubled, first: {:?}", doubled.len(), doubled.first());

    // One alarm a device, all presses counted, told to the centre.
    for device in devices {
        let presses = stored.keys().filter(|(d, _, seq)| d == device && seq % 200 == 0).count() as u64;
        if presses == 0 {
            continue;
        }
        gateway.wait_alarm_within(Duration::from_secs(90), &format!("{presses} presses of {device} accepted"), |row| {
            row["device"] == device && row["lane"] == "life" && row["count"] == presses && row["rung"] == "accepted"
        });
    }
    let life = home.alarms().iter().filter(|row| row["lane"] == "life").count();
    assert!(life <= devices.len(), "more alarms than devices: {:?}", home.alarms());
    let verify = home.vaka(&["journal", "verify"]);
    assert_eq!(verify.code, 0, "{verify:?}");
}
