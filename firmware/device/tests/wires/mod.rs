//! Pins and analog inputs in a test's hand.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use vaka_device::contact::Analog;

/// A wire: both ends see the same level.
#[derive(Debug, Clone, Default)]
pub struct Wire(Rc<Cell<bool>>);

impl Wire {
    pub fn new(level: bool) -> Self {
        Wire(Rc::new(Cell::new(level)))
    }

    pub fn set(&self, level: bool) {
        self.0.set(level);
    }

    pub fn get(&self) -> bool {
        self.0.get()
    }
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.get())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.get())
    }
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

/// A voltage; `None`: the converter fails.
#[derive(Debug, Clone)]
pub struct Volts(Rc<Cell<Option<u16>>>);

impl Volts {
    pub fn new(mv: u16) -> Self {
        Volts(Rc::new(Cell::new(Some(mv))))
    }

    pub fn set(&self, mv: u16) {
        self.0.set(Some(mv));
    }

    pub fn fail(&self) {
        self.0.set(None);
    }
}

impl Analog for Volts {
    fn millivolts(&mut self) -> Option<u16> {
        self.0.get()
    }
}
