//! The firmware's own images, under QEMU, against the real gateway and SIPp as the alarm centre.

mod cuts;
mod enrol;
mod faults;
mod figures;
mod press;
mod renew;
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
