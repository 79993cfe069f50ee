//! The firmware's own images, under QEMU, against the real gateway and SIPp as the alarm centre.

mod access;
mod carried;
mod cuts;
mod enrol;
mod faults;
mod figures;
mod press;
mod renew;
mod roles;
#[path = "../../../firmware/device/tests/traces/mod.rs"]
mod traces;
mod trust;

use vaka_tests::{Board, Flash, Gateway, Home, Provisioning, firmware};

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
