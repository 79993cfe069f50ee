//! Passive sensors: door, bed, chair, mat, motion, heat, smoke, gas, water, enuresis.
//!
//! Enters: levels of pins and millivolts of analog inputs. Leaves: events. Invariants: after a boot every state is told
//! once; a sensor that is unplugged, shorted or never comes to rest is a `fault`, never an empty bed or a dry floor; the
//! last state is told however a contact bounces. Absent: what it means (the gateway's rules), and signs of life (the
//! [`crate::Device`] around it).
//!
//! Each kind has its logic apart from its pins: a struct fed with samples and times.

mod danger;
mod debounce;
mod door;
mod enuresis;
mod heat;
mod motion;
mod pressure;

pub use danger::{Danger, Detector, EndOfLine, Hazard, Line, Loop, ONSET_MS, Pin};
pub use debounce::{Debounce, RESTLESS_MS};
pub use door::{DOOR_SETTLE_MS, Door};
pub use enuresis::{Enuresis, WET_MS, Wet};
pub use heat::{HEAT_CENTI_C, Heat, Hot, RISE_CENTI_C, centi_c};
pub use motion::{HOLD_OFF_MS, Motion, Pir, STUCK_MS, WARM_UP_MS};
pub use pressure::{EMPTY_MV, EMPTY_MV_MAX, EMPTY_MV_MIN, Place, Pressure, Seat};

/// An analog input.
pub trait Analog {
    /// Millivolts now, 0 to [`SUPPLY_MV`]. `None`: the converter failed.
    fn millivolts(&mut self) -> Option<u16>;
}

/// What the sensors and the converter are fed with, millivolts: the usual supply of such boards. Source: our choice.
pub const SUPPLY_MV: u16 = 3_300;

/// Longest time between two looks at a pin whose interrupt should have come, milliseconds. A lost interrupt costs no
/// more than this. Source: our choice; at 60 looks an hour it costs a coin cell nothing that could be measured.
pub const LOOK_MS: u64 = 60_000;

/// The role's numbers for what a sensor keeps: which faults were told, and what it learnt.
pub(crate) mod kept {
    /// Told that the sensor does not work.
    pub const TROUBLE: u16 = 0;
    /// The value of the empty bed, millivolts, `u16` little-endian.
    pub const EMPTY_MV: u16 = 1;
    /// Told that it is wet.
    pub const WET: u16 = 2;
}
