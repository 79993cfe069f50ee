//! The door of a lock or a cabinet, and the hands on it. It stays as it is over a power cut.
//!
//! | line | what happens |
//! |---|---|
//! | `open`, `shut` | somebody tries to open the door, or shuts it: then `door open` or `door shut`, as it stands |
//! | `force` | somebody breaks it open |
//! | `handle 1` | the handle inside is pressed; `0`: let go |
//! | `key 1` | a key outside unlocks, and is turned back; `0`: it locks |
//! | `case 1`, `jam 1` | the case is opened, the bolt is stuck; `0`: no more |
//! | `bolt` | `bolt N DRAWS`: how far it is out, thousandths, and how often motor or coil began to draw it |
//!
//! A line out besides: `motor runs`, `motor still`.

use core::cell::Cell;

use vaka_device::Now;
use vaka_device::access::{CabinetPins, LockPins};
use vaka_parts::door::{Door, Input, Output, Sensor, Winding};

use crate::inputs::{Inputs, Parts};
use crate::{model, say};

#[derive(Debug)]
struct Hands {
    door: Door,
    /// When the model was looked at last, milliseconds since boot.
    passed_ms: Cell<u64>,
    /// The motor as it was last said.
    is_driven: Cell<bool>,
}

impl Hands {
    fn of(door: Door) -> Self {
        Self { door, passed_ms: Cell::new(0), is_driven: Cell::new(false) }
    }
}

/// The pins of a lock.
pub fn lock(inputs: &mut Inputs) -> LockPins<Input<'static>, Output<'static>> {
    let door = door(inputs, Door::new);
    LockPins {
        bolt: door.sensor(Sensor::Bolt),
        door: door.sensor(Sensor::Door),
        handle: door.sensor(Sensor::Handle),
        key: door.sensor(Sensor::Key),
        case: door.sensor(Sensor::Case),
        throw: door.winding(Winding::Throw),
        draw: door.winding(Winding::Draw),
    }
}

/// The pins of a cabinet.
pub fn cabinet(inputs: &mut Inputs) -> CabinetPins<Input<'static>, Output<'static>> {
    let door = door(inputs, Door::with_spring);
    CabinetPins {
        latch: door.sensor(Sensor::Bolt),
        door: door.sensor(Sensor::Door),
        key: door.sensor(Sensor::Key),
        case: door.sensor(Sensor::Case),
        release: door.winding(Winding::Draw),
    }
}

fn door(inputs: &mut Inputs, new: impl FnOnce() -> Door) -> &'static Door {
    // SAFETY: once; plain numbers, each of them good by itself.
    let hands = unsafe { model::place(|| Hands::of(new()), |hands| Hands::of(hands.door.after_cut())) };
    inputs.attach(hands);
    &hands.door
}

impl Parts for Hands {
    fn obey(&self, word: &str, rest: &str, _now: Now) -> bool {
        let is_on = rest == "1";
        match word {
            "open" => {
                self.door.open();
            }
            "shut" => self.door.shut(),
            "force" => self.door.force(),
            "handle" => self.door.press_handle(is_on),
            "key" => self.door.turn_key(!is_on),
            "case" => self.door.open_case(is_on),
            "jam" => self.door.jam(is_on),
            "bolt" => say!("bolt {} {}", self.door.bolt(), self.door.draws()),
            _ => return false,
        }
        if matches!(word, "open" | "shut" | "force") {
            say!("door {}", if self.door.is_open() { "open" } else { "shut" });
        }
        true
    }

    fn pass(&self, now: Now) -> u64 {
        self.door.pass(now.since(self.passed_ms.replace(now.uptime_ms)));
        let is_driven = self.door.is_driven();
        if is_driven != self.is_driven.replace(is_driven) {
            say!("motor {}", if is_driven { "runs" } else { "still" });
        }
        u64::MAX
    }
}
