//! The role that a device's provisioning names, over models of its parts. Enters: the word, which is the kind of device as
//! vaka.toml has it, and what that role wants to know besides. Leaves: the role, on parts that a test moves over the UART.
//!
//! | kind | lines in |
//! |---|---|
//! | `door-sensor`, `motion-sensor` | `level 1`: the contact is open, somebody moves; `level 0` |
//! | `bed-sensor`, `chair-sensor`, `mat-sensor`, `heat-detector`, `smoke-detector`, `gas-detector`, `co-detector`, `flood-sensor`, `enuresis-sensor` | `mv N`: millivolts at the sensor's pin |
//! | `fall-detector` | `press`, `tap`, `cancel` as a pendant; those of `worn.rs` |
//! | `seizure-sensor` | those of `worn.rs` |
//! | `gps-alarm`, or `gps-alarm LAT_E7 LON_E7 METRES` with a fence | `press`, `tap`; those of `carried.rs` |
//! | `lock`, `cabinet` | those of `doors.rs` |
//!
//! Invariants: a word that is no role here is no device; the role and its parts lie on the heap, where they were made once.

mod carried;
mod doors;
mod wired;
mod worn;

use alloc::boxed::Box;
use core::str::Split;

use vaka_device::Role;
use vaka_device::access::{Cabinet, Lock};
use vaka_device::contact::{Danger, Detector, Door, EMPTY_MV, EndOfLine, Enuresis, Heat, Pir, Place, Seat};
use vaka_device::part::lis2dh12::{Lis2dh12, Range};
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input};
use vaka_device::seizure::{MattressSensor, RATE_HZ};
use vaka_device::tracker::{Fence, GpsAlarm, TrackerPins};

use crate::inputs::Inputs;
use crate::provisioning::{Provisioning, tag};
use crate::unprovisioned;

/// What a watched line shows at rest, and a thermistor at 25 °C, millivolts.
const AT_REST_MV: u16 = 1_650;

/// A dry sheet, millivolts.
const DRY_MV: u16 = 3_000;

/// How often a heat detector reports the room's temperature, seconds. Source: our choice.
const TEMPERATURE_INTERVAL_S: u32 = 900;

/// A role that stays where it is for as long as the device runs.
pub type Chosen = &'static mut dyn Role;

/// What this device is, and its role.
pub fn chosen(inputs: &mut Inputs, provisioning: &Provisioning) -> (&'static str, Chosen) {
    let mut words = provisioning.text(tag::ROLE).split(' ');
    let kind = words.next().unwrap_or_default();
    (kind, made(kind, words, inputs))
}

fn made(kind: &str, words: Split<'_, char>, inputs: &mut Inputs) -> Chosen {
    match kind {
        "door-sensor" => kept(Door::new(wired::wire(inputs, 0))),
        "motion-sensor" => kept(Pir::new(wired::wire(inputs, 0))),
        "bed-sensor" => kept(Seat::new(Place::Bed, wired::wire(inputs, EMPTY_MV))),
        "chair-sensor" => kept(Seat::new(Place::Chair, wired::wire(inputs, EMPTY_MV))),
        "mat-sensor" => kept(Seat::new(Place::Mat, wired::wire(inputs, EMPTY_MV))),
        "heat-detector" => kept(Heat::new(wired::wire(inputs, AT_REST_MV), Some(TEMPERATURE_INTERVAL_S))),
        "smoke-detector" => detector(inputs, Danger::Smoke),
        "gas-detector" => detector(inputs, Danger::Gas),
        "co-detector" => detector(inputs, Danger::Co),
        "flood-sensor" => detector(inputs, Danger::Flood),
        "enuresis-sensor" => kept(Enuresis::new(wired::wire(inputs, DRY_MV))),
        "fall-detector" => {
            let button = Input::new(inputs.button(), Active::Low);
            let cancel = Input::new(inputs.cancel(), Active::Low);
            let accelerometer = Lis2dh12::<_, 100>::new(worn::chip(inputs), Range::G8);
            kept(Pendant::new(button).with_cancel(cancel).with_falls(accelerometer))
        }
        "seizure-sensor" => kept(MattressSensor::new(Lis2dh12::<_, RATE_HZ>::new(worn::chip(inputs), Range::G2))),
        "gps-alarm" => {
            let (gnss, moves) = carried::parts(inputs);
            let button = Input::new(inputs.button(), Active::Low);
            let alarm = GpsAlarm::new(gnss.port(), TrackerPins { button, moves, receiver: gnss.feed() });
            match fence(words) {
                Some(fence) => kept(alarm.with_fence(fence)),
                None => kept(alarm),
            }
        }
        "lock" => kept(Lock::new(doors::lock(inputs))),
        "cabinet" => kept(Cabinet::new(doors::cabinet(inputs))),
        _ => unprovisioned(),
    }
}

fn detector(inputs: &mut Inputs, danger: Danger) -> Chosen {
    kept(Detector::new(danger, EndOfLine(wired::wire(inputs, AT_REST_MV))))
}

fn fence(mut words: Split<'_, char>) -> Option<Fence> {
    let (lat_e7, lon_e7) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Fence { lat_e7, lon_e7, radius_m: words.next()?.parse().ok()? })
}

fn kept(role: impl Role + 'static) -> Chosen {
    Box::leak(Box::new(role))
}
