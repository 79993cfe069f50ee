//! The carousel of a medicine dispenser: a wheel of compartments under a window, a motor, and sensors.
//!
//! Enters: time, the motor's pins, what hands do (fill, take, push, open the lid, press). Leaves: what the sensors show, and
//! what really became of each compartment, for a test to compare. One compartment to the next is [`PITCH`] steps; the window
//! is open within [`OPENING`] of a compartment's middle and closed by a wall between; one place of the wheel is blank: home.

use core::cell::RefCell;
use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

/// Compartments: a week of four doses a day.
pub const COMPARTMENTS: usize = 28;

/// From one compartment to the next, in steps; the motor makes one step a millisecond.
pub const PITCH: i64 = 1_000;

/// So far from its middle a compartment still stands open, in steps.
pub const OPENING: i64 = 250;

/// Once round: the compartments and the blank place.
const ROUND: i64 = PITCH * (COMPARTMENTS as i64 + 1);

/// What becomes of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sensor {
    /// It shows what is.
    #[default]
    Good,
    /// It shows this, whatever is.
    Stuck(bool),
}

/// One of its lines to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The motor runs while high.
    Run,
    /// The motor runs back while high.
    Back,
    /// High: a compartment stands open at the window.
    Index,
    /// High: the blank place is at the window.
    Home,
    /// High: something lies in the compartment at the window.
    Content,
    /// High: the lid over the carousel is open.
    Lid,
    /// High: the staff's key is turned to refill.
    Key,
    /// High: the resident asks for the dose.
    Give,
    /// High: the resident refuses it.
    Refuse,
}

/// The mechanism.
#[derive(Debug, Clone)]
pub struct Carousel {
    /// Where the wheel stands, in steps; compartment `k` (from 1) has its middle at `k * PITCH`.
    position: i64,
    run: bool,
    back: bool,
    /// The wheel does not pass this place.
    jam: Option<i64>,
    /// The motor turns and the wheel does not.
    is_slipping: bool,
    /// What lies in each compartment.
    content: [bool; COMPARTMENTS],
    /// How often each was emptied at the window.
    taken: [u32; COMPARTMENTS],
    /// How often each has come to stand open with the motor at rest.
    stood_open: [u32; COMPARTMENTS],
    was_open: Option<usize>,
    /// Broken or not: the index sensor, and the one for the content.
    pub index: Sensor,
    /// As [`Carousel::index`].
    pub content_sensor: Sensor,
    /// The lid is open.
    pub lid: bool,
    /// The key is turned.
    pub key: bool,
    /// The button is pressed.
    pub give: bool,
    /// The other one is.
    pub refuse: bool,
    operations: u64,
    power_until: Option<u64>,
}

impl Default for Carousel {
    fn default() -> Self {
        Self::new()
    }
}

impl Carousel {
    /// Empty, at home.
    pub const fn new() -> Self {
        Self {
            position: 0,
            run: false,
            back: false,
            jam: None,
            is_slipping: false,
            content: [false; COMPARTMENTS],
            taken: [0; COMPARTMENTS],
            stood_open: [0; COMPARTMENTS],
            was_open: None,
            index: Sensor::Good,
            content_sensor: Sensor::Good,
            lid: false,
            key: false,
            give: false,
            refuse: false,
            operations: 0,
            power_until: None,
        }
    }

    /// A hand fills the first `count` compartments, and leaves the others empty.
    pub fn fill(&mut self, count: usize) {
        for (place, content) in self.content.iter_mut().enumerate() {
            *content = place < count;
        }
    }

    /// A hand fills or empties one compartment (from 1) through the open lid.
    pub fn put(&mut self, compartment: usize, is_full: bool) {
        if let Some(content) = self.content.get_mut(compartment.wrapping_sub(1)) {
            *content = is_full;
        }
    }

    /// What lies in the compartment (from 1).
    pub fn holds(&self, compartment: usize) -> bool {
        self.content.get(compartment.wrapping_sub(1)).is_some_and(|content| *content)
    }

    /// The compartment (from 1) that stands open.
    pub fn open(&self) -> Option<usize> {
        let place = (self.position + PITCH / 2).div_euclid(PITCH);
        let is_open = (self.position - place * PITCH).abs() <= OPENING;
        let place = usize::try_from(place).ok()?;
        (is_open && (1..=COMPARTMENTS).contains(&place)).then_some(place)
    }

    /// A hand takes what lies at the window. Returns the compartment (from 1) that it lay in.
    pub fn take(&mut self) -> Option<usize> {
        let open = self.open().filter(|open| self.holds(*open))?;
        self.content[open - 1] = false;
        self.taken[open - 1] += 1;
        Some(open)
    }

    /// How often the compartment (from 1) was emptied at the window.
    pub fn taken(&self, compartment: usize) -> u32 {
        self.taken.get(compartment.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// How often the compartment (from 1) has come to stand open with the motor at rest.
    pub fn stood_open(&self, compartment: usize) -> u32 {
        self.stood_open.get(compartment.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// A hand turns the wheel by so many steps.
    pub fn push(&mut self, steps: i64) {
        self.position = (self.position + steps).rem_euclid(ROUND);
        self.look();
    }

    /// Something is caught so many steps from home: the wheel does not pass it. `None`: it was taken away.
    pub fn jam(&mut self, at: Option<i64>) {
        self.jam = at;
    }

    /// The motor turns without the wheel.
    pub fn slip(&mut self, is_slipping: bool) {
        self.is_slipping = is_slipping;
    }

    /// Where the wheel stands, in steps from home.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The motor runs.
    pub fn is_running(&self) -> bool {
        self.run
    }

    /// Time goes on.
    pub fn advance(&mut self, ms: u64) {
        if self.run && !self.is_slipping && !self.is_cut() {
            for _ in 0..ms {
                if Some(self.position) != self.jam {
                    self.position = (self.position + if self.back { -1 } else { 1 }).rem_euclid(ROUND);
                }
            }
        }
        self.look();
    }

    fn look(&mut self) {
        let open = if self.run { None } else { self.open() };
        if let Some(open) = open.filter(|_| open != self.was_open) {
            self.stood_open[open - 1] += 1;
        }
        self.was_open = open;
    }

    /// Reads and writes of its lines so far.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The device loses its power after so many operations more: the motor stands, and no pin moves. `None`: it has power, and
    /// where it had none the motor stands still.
    pub fn cut_after(&mut self, operations: Option<u64>) {
        if operations.is_none() && self.is_cut() {
            self.run = false;
            self.back = false;
        }
        self.power_until = operations.map(|more| self.operations + more);
    }

    /// One operation more, e.g. a write to the flash that shares its power. False: the power is gone, and it has no effect.
    pub fn operate(&mut self) -> bool {
        let is_done = !self.is_cut();
        self.operations += u64::from(is_done);
        is_done
    }

    /// The power is gone.
    pub fn is_cut(&self) -> bool {
        self.power_until.is_some_and(|until| self.operations >= until)
    }

    fn level(&self, line: Line) -> bool {
        let shown = |sensor, is| if let Sensor::Stuck(stuck) = sensor { stuck } else { is };
        match line {
            Line::Run => self.run,
            Line::Back => self.back,
            Line::Index => shown(self.index, self.open().is_some()),
            Line::Home => self.position <= OPENING || self.position >= ROUND - OPENING,
            Line::Content => shown(self.content_sensor, self.open().is_some_and(|open| self.holds(open))),
            Line::Lid => self.lid,
            Line::Key => self.key,
            Line::Give => self.give,
            Line::Refuse => self.refuse,
        }
    }
}

/// One line of a carousel as a pin of the device.
#[derive(Debug, Clone, Copy)]
pub struct Pin<'a>(pub &'a RefCell<Carousel>, pub Line);

impl ErrorType for Pin<'_> {
    type Error = Infallible;
}

impl InputPin for Pin<'_> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        let mut carousel = self.0.borrow_mut();
        carousel.operations += 1;
        Ok(carousel.level(self.1))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

impl Pin<'_> {
    fn set(&self, level: bool) {
        let mut carousel = self.0.borrow_mut();
        if !carousel.operate() {
            return;
        }
        match self.1 {
            Line::Run => carousel.run = level,
            Line::Back => carousel.back = level,
            _ => {}
        }
        carousel.look();
    }
}

impl OutputPin for Pin<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}
