//! How well a device hears: told some times in a row when it was hung up, when it calls, and when the place is another.

mod bench;

use std::cell::Cell;
use std::rc::Rc;

use bench::Bench;
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input, NoPin};
use vaka_device::signal::{AGAIN_MS, MOVED_DB, PROBE_MS, PROBES, Radio, Signal};
use vaka_protocol::{Event, Press};

#[derive(Debug, Clone, Default)]
struct Antenna(Rc<Cell<Option<i16>>>);

impl Radio for Antenna {
    fn rssi_dbm(&mut self) -> Option<i16> {
        self.0.get()
    }
}

/// A push button to ground.
#[derive(Debug, Clone, Default)]
struct Wire(Rc<Cell<bool>>);

impl embedded_hal::digital::ErrorType for Wire {
    type Error = std::convert::Infallible;
}

impl embedded_hal::digital::InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.0.get())
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(self.0.get())
    }
}

type Worn = (Signal<Antenna>, Pendant<Wire, NoPin>);

fn bench(dbm: Option<i16>) -> (Bench<Worn>, Antenna, Wire) {
    let (antenna, wire) = (Antenna(Rc::new(Cell::new(dbm))), Wire::default());
    let pendant = Pendant::new(Input::new(wire.clone(), Active::Low)).with_cancel(Input::new(NoPin, Active::Low));
    (Bench::new((Signal::new(antenna.clone()), pendant), None), antenna, wire)
}

/// What was told of the signal.
fn signals(bench: &mut Bench<Worn>) -> Vec<i16> {
    let rssi_dbm = |event| if let Event::Signal { rssi_dbm } = event { Some(rssi_dbm) } else { None };
    bench.events().into_iter().filter_map(rssi_dbm).collect()
}

const ROW_MS: u64 = PROBES as u64 * PROBE_MS;

#[test]
fn it_is_told_some_times_after_a_boot_and_not_again() {
    let (mut bench, antenna, _) = bench(Some(-71));
    bench.run(PROBE_MS / 2);
    antenna.0.set(Some(-74));
    bench.run(ROW_MS);
    assert_eq!(signals(&mut bench), [-71, -74, -74]);
    bench.run(24 * AGAIN_MS);
    assert_eq!(signals(&mut bench), [0_i16; 0]);
}

#[test]
fn without_a_radio_nothing_is_told_and_one_that_hears_late_is_told_then() {
    let (mut bench, antenna, _) = bench(None);
    bench.run(AGAIN_MS);
    assert_eq!(signals(&mut bench), [0_i16; 0]);
    assert!(bench.device.pass(bench.now) > 1_000, "it sleeps meanwhile");
    antenna.0.set(Some(-80));
    bench.run(ROW_MS);
    assert_eq!(signals(&mut bench), [-80; PROBES as usize]);
}

#[test]
fn who_presses_hears_how_well_it_hears_there() {
    let (mut bench, antenna, wire) = bench(Some(-60));
    bench.run(ROW_MS);
    assert_eq!(signals(&mut bench).len(), usize::from(PROBES));
    antenna.0.set(Some(-66));
    wire.0.set(true);
    bench.run(100);
    wire.0.set(false);
    bench.run(2 * ROW_MS);
    let events = bench.events();
    assert_eq!(events[0], Event::Button { press: Press::Short });
    assert_eq!(
        events[1..],
        [Event::Signal { rssi_dbm: -66 }, Event::Signal { rssi_dbm: -66 }, Event::Signal { rssi_dbm: -66 }]
    );
}

#[test]
fn another_place_is_told_once_an_hour_at_most() {
    let (mut bench, antenna, _) = bench(Some(-60));
    bench.run(ROW_MS);
    signals(&mut bench);
    antenna.0.set(Some(-60 - MOVED_DB as i16));
    bench.run(AGAIN_MS - ROW_MS);
    assert_eq!(signals(&mut bench), [0_i16; 0], "not so soon");
    bench.run(2 * ROW_MS);
    assert_eq!(signals(&mut bench), [-70; PROBES as usize]);
    // Back and forth all day.
    for hour in 0..8 {
        for _ in 0..60 {
            let dbm = if antenna.0.get() == Some(-60) { -70 } else { -60 };
            antenna.0.set(Some(dbm));
            bench.run(AGAIN_MS / 60);
        }
        let told = signals(&mut bench).len();
        assert!(told <= 2 * usize::from(PROBES), "{told} in hour {hour}");
    }
}
