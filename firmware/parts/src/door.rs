//! A front door with an electric lock, and a cabinet with a spring latch: the mechanics.
//!
//! Enters: what the motor's pins say, and what hands do. Leaves: what the sensors show. Invariants of the mechanics, as in
//! the locks this is modelled on: the handle inside draws the bolt itself, through a clutch that the motor cannot hold;
//! the key does so from outside; a door opens only when its bolt is drawn, or by force.

use core::cell::RefCell;
use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

/// From wholly in to wholly out the bolt takes this long, milliseconds. Source: our choice of a slow lock.
pub const TRAVEL_MS: u64 = 1_200;

/// The sensor shows the bolt as out from this part of its way on, thousandths.
const SENSED_OUT: u64 = 950;

/// A door can be opened while the bolt is in up to this part of its way, thousandths.
const FREE: u64 = 100;

/// What a pin is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensor {
    /// The bolt is out, or the latch holds.
    Bolt,
    /// The door stands open.
    Door,
    /// The handle inside is pressed.
    Handle,
    /// A key is turned.
    Key,
    /// The case was opened.
    Case,
}

/// What the device drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winding {
    /// The motor throws the bolt.
    Throw,
    /// The motor draws the bolt, or the coil the latch.
    Draw,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// How far the bolt is out, thousandths.
    bolt: u64,
    /// Thousandths of thousandths that are left over from the last step.
    rest: u64,
    is_open: bool,
    handle: bool,
    key: bool,
    case: bool,
    throw: bool,
    draw: bool,
    is_jammed: bool,
    /// A spring throws it whenever nothing draws it.
    has_spring: bool,
    against_hand_ms: u64,
    both_ms: u64,
    longest_on_ms: u64,
    on_ms: u64,
    draws: u32,
}

/// The door.
#[derive(Debug, Default)]
pub struct Door {
    state: RefCell<State>,
}

impl Door {
    /// Shut and locked, with a motor.
    pub fn new() -> Self {
        Self { state: RefCell::new(State { bolt: 1_000, ..State::default() }) }
    }

    /// A cabinet: the same with a spring that throws the latch, and a coil that draws it.
    pub fn with_spring() -> Self {
        Self { state: RefCell::new(State { bolt: 1_000, has_spring: true, ..State::default() }) }
    }

    /// Lets `ms` milliseconds pass.
    pub fn pass(&self, ms: u64) {
        let mut state = self.state.borrow_mut();
        let is_held = state.handle || state.key;
        let is_on = state.throw || state.draw;
        state.on_ms = if is_on { state.on_ms + ms } else { 0 };
        state.longest_on_ms = state.longest_on_ms.max(state.on_ms);
        if state.throw && is_held {
            state.against_hand_ms += ms;
        }
        if state.throw && state.draw {
            state.both_ms += ms;
        } else if !is_held && !state.is_jammed {
            let moves = ms * 1_000 + state.rest;
            state.rest = moves % TRAVEL_MS;
            let by = moves / TRAVEL_MS;
            if state.draw {
                state.bolt = state.bolt.saturating_sub(by);
            } else if state.throw || state.has_spring {
                state.bolt = (state.bolt + by).min(1_000);
            }
        }
    }

    /// The power is cut: no winding is fed.
    pub fn cut(&self) {
        let mut state = self.state.borrow_mut();
        (state.throw, state.draw, state.on_ms) = (false, false, 0);
    }

    /// The door as the power cut left it, whoever looked at it then.
    pub fn after_cut(self) -> Self {
        let door = Self { state: RefCell::new(self.state.into_inner()) };
        door.cut();
        door
    }

    /// The handle inside is pressed, or let go. It draws the bolt, whatever the motor does.
    pub fn press_handle(&self, is_pressed: bool) {
        let mut state = self.state.borrow_mut();
        state.handle = is_pressed;
        if is_pressed {
            state.bolt = 0;
        }
    }

    /// A key outside locks or unlocks, and is turned back.
    pub fn turn_key(&self, locks: bool) {
        self.state.borrow_mut().bolt = if locks { 1_000 } else { 0 };
    }

    /// A key is held turned, or not.
    pub fn hold_key(&self, is_held: bool) {
        self.state.borrow_mut().key = is_held;
    }

    /// Somebody tries to open the door. Returns whether it opens.
    pub fn open(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.is_open |= state.bolt <= FREE;
        state.is_open
    }

    /// Somebody breaks it open: the bolt stays out.
    pub fn force(&self) {
        self.state.borrow_mut().is_open = true;
    }

    /// Somebody shuts it.
    pub fn shut(&self) {
        self.state.borrow_mut().is_open = false;
    }

    /// Somebody opens the case, or closes it.
    pub fn open_case(&self, is_open: bool) {
        self.state.borrow_mut().case = is_open;
    }

    /// The bolt is stuck: motor and spring do not move it.
    pub fn jam(&self, is_jammed: bool) {
        self.state.borrow_mut().is_jammed = is_jammed;
    }

    /// How far the bolt is out, thousandths.
    pub fn bolt(&self) -> u64 {
        self.state.borrow().bolt
    }

    /// The bolt is out and its sensor says so.
    pub fn is_locked(&self) -> bool {
        self.bolt() >= SENSED_OUT
    }

    /// The door stands open.
    pub fn is_open(&self) -> bool {
        self.state.borrow().is_open
    }

    /// A winding is fed.
    pub fn is_driven(&self) -> bool {
        let state = self.state.borrow();
        state.throw || state.draw
    }

    /// How long the motor has thrown the bolt against a hand on handle or key, milliseconds.
    pub fn against_hand_ms(&self) -> u64 {
        self.state.borrow().against_hand_ms
    }

    /// How long both windings were fed at once, milliseconds.
    pub fn both_ms(&self) -> u64 {
        self.state.borrow().both_ms
    }

    /// The longest time without a pause that a winding was fed, milliseconds.
    pub fn longest_on_ms(&self) -> u64 {
        self.state.borrow().longest_on_ms
    }

    /// How often the motor or coil began to draw.
    pub fn draws(&self) -> u32 {
        self.state.borrow().draws
    }

    /// One of its sensors.
    pub fn sensor(&self, sensor: Sensor) -> Input<'_> {
        Input { door: self, sensor }
    }

    /// One of its windings.
    pub fn winding(&self, winding: Winding) -> Output<'_> {
        Output { door: self, winding }
    }

    fn feed(&self, winding: Winding, is_on: bool) {
        let mut state = self.state.borrow_mut();
        match winding {
            Winding::Throw => state.throw = is_on,
            Winding::Draw => {
                state.draws += u32::from(is_on && !state.draw);
                state.draw = is_on;
            }
        }
    }
}

/// A sensor's pin: high when it is so.
#[derive(Debug, Clone)]
pub struct Input<'d> {
    door: &'d Door,
    sensor: Sensor,
}

impl ErrorType for Input<'_> {
    type Error = Infallible;
}

impl InputPin for Input<'_> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        let state = self.door.state.borrow();
        Ok(match self.sensor {
            Sensor::Bolt => state.bolt >= SENSED_OUT,
            Sensor::Door => state.is_open,
            Sensor::Handle => state.handle,
            Sensor::Key => state.key,
            Sensor::Case => state.case,
        })
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|is_high| !is_high)
    }
}

/// A winding's pin: high feeds it.
#[derive(Debug)]
pub struct Output<'d> {
    door: &'d Door,
    winding: Winding,
}

impl ErrorType for Output<'_> {
    type Error = Infallible;
}

impl OutputPin for Output<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.door.feed(self.winding, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.door.feed(self.winding, true);
        Ok(())
    }
}
