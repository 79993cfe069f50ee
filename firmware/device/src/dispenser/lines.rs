//! The dispenser's pins. Enters: levels. Leaves: how the motor runs. A pin that cannot be read shows what does least harm.

use embedded_hal::digital::{InputPin, OutputPin};

use super::wheel::{Drive, Sight};

/// Its pins, all high when true; the board gives pins of one type, as every HAL can.
#[derive(Debug)]
pub struct Lines<I, O> {
    /// The motor runs.
    pub run: O,
    /// The motor runs back.
    pub back: O,
    /// A compartment stands open at the window.
    pub index: I,
    /// The blank place is at the window.
    pub home: I,
    /// Something lies in the compartment at the window.
    pub content: I,
    /// The lid is open.
    pub lid: I,
    /// The staff's key is turned to refill.
    pub key: I,
    /// The resident asks for the dose.
    pub give: I,
    /// The resident refuses it.
    pub refuse: I,
}

/// What hands do, as the pins show it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub lid: bool,
    pub key: bool,
    pub give: bool,
    pub refuse: bool,
}

impl<I: InputPin, O: OutputPin> Lines<I, O> {
    pub(super) fn sight(&mut self) -> Sight {
        let level = |pin: &mut I| pin.is_high().unwrap_or(false);
        Sight { index: level(&mut self.index), home: level(&mut self.home), content: level(&mut self.content) }
    }

    pub(super) fn levels(&mut self) -> Levels {
        Levels {
            // Not known to be closed: the motor stands.
            lid: self.lid.is_high().unwrap_or(true),
            key: self.key.is_high().unwrap_or(false),
            give: self.give.is_high().unwrap_or(false),
            refuse: self.refuse.is_high().unwrap_or(false),
        }
    }

    /// False: a pin failed.
    pub(super) fn drive(&mut self, drive: Drive) -> bool {
        match drive {
            Drive::Still => self.run.set_low().is_ok() & self.back.set_low().is_ok(),
            Drive::Forward => self.back.set_low().is_ok() && self.run.set_high().is_ok(),
            Drive::Back => self.back.set_high().is_ok() && self.run.set_high().is_ok(),
        }
    }
}
