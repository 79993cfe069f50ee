//! Pins of a device. Enters: a level. Leaves: whether somebody presses, pulls or opens something.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

/// Which level means that it is pressed, pulled or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// The high level. A reed contact that is closed at rest and pulled up is this: a cord that is torn off, or its broken
    /// wire, calls.
    High,
    /// The low level: a push button to ground with a pull-up.
    Low,
}

/// An input and the level that means something.
#[derive(Debug, Clone)]
pub struct Input<P> {
    pin: P,
    active: Active,
}

impl<P: InputPin> Input<P> {
    /// An input that is active at that level.
    pub fn new(pin: P, active: Active) -> Self {
        Self { pin, active }
    }

    /// Whether it is active now.
    ///
    /// # Errors
    /// The pin cannot be read (an expander on a bus).
    pub fn is_active(&mut self) -> Result<bool, P::Error> {
        match self.active {
            Active::High => self.pin.is_high(),
            Active::Low => self.pin.is_low(),
        }
    }
}

/// A pin that is not there: reads high, is driven in vain.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPin;

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl InputPin for NoPin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
