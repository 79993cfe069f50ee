//! A wire to a sensor: a contact's level, or millivolts. It stays as it is over a power cut, as doors and floors do.

use core::cell::Cell;
use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin};
use vaka_device::Now;
use vaka_device::contact::Analog;

use crate::inputs::{Inputs, Parts};
use crate::model;

/// What the wire shows: above half of the supply a pin reads high.
#[derive(Debug, Clone)]
struct Wire {
    mv: Cell<u16>,
}

/// The device's end of it.
#[derive(Debug, Clone, Copy)]
pub struct End(&'static Wire);

/// The wire, with so many millivolts where nobody has moved it.
pub fn wire(inputs: &mut Inputs, mv: u16) -> End {
    // SAFETY: once; one number.
    let wire = unsafe { model::place(|| Wire { mv: Cell::new(mv) }, |wire| wire) };
    inputs.attach(wire);
    End(wire)
}

const HIGH_MV: u16 = 3_300;

impl Parts for Wire {
    fn obey(&self, word: &str, rest: &str, _now: Now) -> bool {
        let Ok(number) = rest.parse() else { return false };
        match word {
            "mv" => self.mv.set(number),
            "level" => self.mv.set(if number == 0 { 0 } else { HIGH_MV }),
            _ => return false,
        }
        true
    }

    fn pass(&self, _now: Now) -> u64 {
        u64::MAX
    }
}

impl Analog for End {
    fn millivolts(&mut self) -> Option<u16> {
        Some(self.0.mv.get())
    }
}

impl ErrorType for End {
    type Error = Infallible;
}

impl InputPin for End {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.mv.get() > HIGH_MV / 2)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|is_high| !is_high)
    }
}
