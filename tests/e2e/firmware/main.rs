//! The firmware's own images, under QEMU, against the real gateway and SIPp as the alarm centre.

mod access;
mod carried;
mod cuts;
mod dispenser;
mod enrol;
mod faults;
mod figures;
mod press;
mod renew;
mod roles;
#[path = "../../../firmware/device/tests/traces/mod.rs"]
mod traces;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vaka_tests::{Board, Flash, Gateway, Home, Provisioning, eventually_within, firmware};

/// A device of this home with a new flash.
fn flash(home: &Home, id: &str, kind: &str) -> Flash {
    home.device(id, kind);
    Flash::new(&home.dir().join(format!("{id}.flash")), &Provisioning::of(home, id))
}

/// A pendant that is switched on.
fn pendant(flash: &Flash) -> Board {
    Board::start(&firmware::image("pendant"), flash)
}

/// A device of this home with a new flash, whose image finds its role there: its kind, and what the role wants to know.
fn flash_for(home: &Home, id: &str, kind: &str, more: &str) -> Flash {
    home.device(id, kind);
    let role = format!("{kind} {more}").trim_end().to_owned().into_bytes();
    let provisioning = Provisioning { role, ..Provisioning::of(home, id) };
    Flash::new(&home.dir().join(format!("{id}.flash")), &provisioning)
}

/// Such a device, switched on.
fn chosen(flash: &Flash) -> Board {
    Board::start(&firmware::image("device"), flash)
}

/// How many events of the device in the journal are such.
fn count(home: &Home, device: &str, is_it: impl Fn(&serde_json::Value) -> bool) -> usize {
    home.records("event").iter().filter(|record| record["device"] == device && is_it(&record["event"])).count()
}

/// A line's numbers: `told 1 7` is `[1, 7]`.
fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// Events of the device that the journal has, by restart and seq; each as often as it is there.
fn stored(home: &Home, device: &str) -> Vec<(u64, u64)> {
    let records = home.records("event").into_iter().filter(|record| record["device"] == device);
    let number = |record: &serde_json::Value, key: &str| record[key].as_u64().expect("a device's own number");
    records.map(|record| (number(&record, "restart"), number(&record, "seq"))).collect()
}

/// Waits for an event whose own fields hold.
#[track_caller]
fn wait_event(home: &Home, gateway: &Gateway<'_>, what: &str, is_it: impl Fn(&serde_json::Value) -> bool) {
    vaka_tests::eventually(what, || gateway.tail(), || home.records("event").iter().any(&is_it).then_some(()));
}

/// Events that the device has said it `told`, or `acked`: restart and seq.
fn identities(board: &Board, start: &str) -> BTreeSet<(u64, u64)> {
    let lines = board.lines();
    let lines = lines.iter().filter(|line| line.starts_with(start)).map(|line| numbers(line));
    // A line that the cut broke off counts as unsaid.
    lines.filter_map(|numbers| <[u64; 2]>::try_from(numbers).ok()).map(|[restart, seq]| (restart, seq)).collect()
}

/// Waits until the journal has all that the device took in, and has none of it twice. Returns how many.
#[track_caller]
fn all_arrived_once(home: &Home, device: &str, board: &Board, gateway: &Gateway<'_>) -> usize {
    let told = identities(board, "told ");
    let missing = || -> Vec<(u64, u64)> {
        let stored: BTreeSet<_> = stored(home, device).into_iter().collect();
        told.difference(&stored).copied().collect()
    };
    eventually_within(
        Duration::from_secs(90),
        "every event that was taken in",
        || format!("missing: {:?}\n{}\n{}", missing(), board.tail(), gateway.tail()),
        || missing().is_empty().then_some(()),
    );
    // Before the journal is read: the device goes on.
    let acked = identities(board, "acked ");
    let mut count: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for identity in stored(home, device) {
        *count.entry(identity).or_default() += 1;
    }
    let doubled: Vec<_> = count.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(acked.iter().all(|identity| count.contains_key(identity)), "acknowledged, not stored");
    let lost = home.records("event").iter().filter(|record| record["event"].get("lost").is_some()).count();
    assert_eq!(lost, 0, "the device counts nothing as lost");
    count.len()
}
