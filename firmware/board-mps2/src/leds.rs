//! The board's two lights, on pins of their own. Enters: levels. The first is the pendant's light, the second stands for its
//! sounder; the board has no motor.
//!
//! Source: Arm, Application Note AN386, FPGA system control and I/O.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::reg::Reg;

// SAFETY: the register of the lights.
const LEDS: Reg = unsafe { Reg::at(0x4002_8000) };

/// One of them, by its bit.
#[derive(Debug)]
pub struct Led(u32);

/// Both: the light, and what stands for the sounder.
///
/// # Safety
/// Once: two would write to the same register.
pub unsafe fn both() -> (Led, Led) {
    (Led(1), Led(2))
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        LEDS.set(LEDS.get() & !self.0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        LEDS.set(LEDS.get() | self.0);
        Ok(())
    }
}
