//! The parts of the demo's devices: wires that a hand moves, read by the roles of `vaka-device` as they read a board's pins.
//!
//! Enters: what a hand does. Leaves: what the role makes of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use embedded_hal::digital::{ErrorType, InputPin};
use vaka_device::contact::{Analog, Door, EMPTY_MV, Place, Seat};
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input};
use vaka_device::{Carried, Cx, Now, Role};
use vaka_protocol::{CommandMessage, Event, Press};

/// What the sensor under a mattress gives with somebody on it, millivolts.
const LAIN_ON_MV: u16 = 1_800;

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A button to call, and one to take a call back.
    Pendant,
    Door,
    Bed,
    /// What it tells was recorded, or takes longer than a demo.
    Told,
}

/// What somebody does with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    Presses,
    Cancels,
    Opens,
    Shuts,
    LiesDown,
}

impl Hand {
    /// The device has told what was done.
    pub fn is_told_by(self, event: &Event) -> bool {
        match self {
            Hand::Presses => matches!(event, Event::Button { press: Press::Short }),
            Hand::Cancels => matches!(event, Event::Cancel {}),
            Hand::Opens => matches!(event, Event::Door { open: true }),
            Hand::Shuts => matches!(event, Event::Door { open: false }),
            Hand::LiesDown => matches!(event, Event::Bed { occupied: true }),
        }
    }
}

/// A wire that is pulled up.
#[derive(Debug, Clone)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    fn at(is_high: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_high)))
    }

    fn set(&self, is_high: bool) {
        self.0.store(is_high, Ordering::Relaxed);
    }
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|is_high| !is_high)
    }
}

/// What a mattress gives.
#[derive(Debug, Clone)]
pub struct Mattress(Arc<AtomicU16>);

impl Analog for Mattress {
    fn millivolts(&mut self) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed))
    }
}

/// A device's parts, with the role that reads them.
#[derive(Debug)]
pub enum Parts {
    Pendant { button: Wire, cancel: Wire, role: Box<Pendant<Wire, Wire>> },
    Door { reed: Wire, role: Box<Door<Wire>> },
    Bed { mattress: Mattress, role: Box<Seat<Mattress>> },
    Told,
}

impl Parts {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Pendant => {
                let (button, cancel) = (Wire::at(true), Wire::at(true));
                let pressed = |wire: &Wire| Input::new(wire.clone(), Active::Low);
                let role = Box::new(Pendant::new(pressed(&button)).with_cancel(pressed(&cancel)));
                Parts::Pendant { button, cancel, role }
            }
            Kind::Door => {
                let reed = Wire::at(false);
                Parts::Door { role: Box::new(Door::new(reed.clone())), reed }
            }
            Kind::Bed => {
                let mattress = Mattress(Arc::new(AtomicU16::new(EMPTY_MV)));
                Parts::Bed { role: Box::new(Seat::new(Place::Bed, mattress.clone())), mattress }
            }
            Kind::Told => Parts::Told,
        }
    }

    /// A hand moves what it moves. One that does not fit the device moves nothing.
    pub fn feel(&mut self, hand: Hand) {
        match (self, hand) {
            (Parts::Pendant { button, .. }, Hand::Presses) => button.set(false),
            (Parts::Pendant { cancel, .. }, Hand::Cancels) => cancel.set(false),
            (Parts::Door { reed, .. }, Hand::Opens) => reed.set(true),
            (Parts::Door { reed, .. }, Hand::Shuts) => reed.set(false),
            (Parts::Bed { mattress, .. }, Hand::LiesDown) => mattress.0.store(LAIN_ON_MV, Ordering::Relaxed),
            _ => {}
        }
    }

    /// A finger lets go. A door and a mattress stay as they are.
    pub fn let_go(&mut self) {
        if let Parts::Pendant { button, cancel, .. } = self {
            button.set(true);
            cancel.set(true);
        }
    }

    fn role(&mut self) -> Option<&mut dyn Role> {
        match self {
            Parts::Pendant { role, .. } => Some(role.as_mut()),
            Parts::Door { role, .. } => Some(role.as_mut()),
            Parts::Bed { role, .. } => Some(role.as_mut()),
            Parts::Told => None,
        }
    }
}

impl Role for Parts {
    fn start(&mut self, cx: &mut Cx<'_>) {
        if let Some(role) = self.role() {
            role.start(cx);
        }
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        if let Some(role) = self.role() {
            role.pass(cx);
        }
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        self.role().map_or(Carried::NotMine, |role| role.carry_out(message, cx))
    }

    fn rest_ms(&self, now: Now) -> u64 {
        match self {
            Parts::Pendant { role, .. } => role.rest_ms(now),
            Parts::Door { role, .. } => role.rest_ms(now),
            Parts::Bed { role, .. } => role.rest_ms(now),
            Parts::Told => u64::MAX,
        }
    }
}
