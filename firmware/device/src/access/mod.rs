//! What staff open from afar: a door's lock, and a cabinet for medicine or keys.
//!
//! Enters: the command `lock`, and what the sensors show. Leaves: the motor, and events with who. Invariants: each
//! command is carried out once; nothing stays open longer than the command said, over any power cut; who opened is told,
//! and what a key or a hand opened is told without a name; the handle inside always opens the door, since it moves the
//! bolt itself and the motor never works against it; what fails stays locked from outside. Absent: a keypad, tags, and
//! any way to open without a clock ([`crate::Commands`] refuses).

mod cabinet;
mod lock;
mod opening;

pub use cabinet::{Cabinet, CabinetPins, RELEASE_MS};
pub use lock::{Lock, LockPins, MOTOR_ON_MS_MAX, RELOCK_MS_MAX};
pub use opening::{OPEN_MS, OPEN_MS_MAX};

/// What both keep, by the role's numbers.
pub(crate) mod kept {
    /// Told that the motor or latch does not work.
    pub const DRIVE: u16 = 0;
    /// Told that a sensor does not work.
    pub const SENSOR: u16 = 1;
    /// Told that the handle is held, or stuck.
    pub const HANDLE: u16 = 2;
    /// Who opened, and until when: [`super::opening::Opening`].
    pub const OPENING: u16 = 3;
}
