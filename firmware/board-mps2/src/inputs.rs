//! What a test does to the device, line by line over the UART, and the pins that it moves.
//!
//! | line | what happens |
//! |---|---|
//! | `press MS` | the button is held for so many milliseconds |
//! | `tap MS` | the device is held up for so many milliseconds, and only the interrupt of the button's pin sees that it was pressed |
//! | `signal DBM` | what the radio received last; before, the device is one without a radio |
//! | `cancel MS` | the button that takes a call back is held for so many milliseconds |
//! | `sizes` | `sizes heap N stack N of N`: bytes in use at the most so far |
//! | `time MS` | the device has a clock, which shows this, UTC milliseconds; then `time MS` |
//! | `skip MS` | so much time passes at once for the device and its parts, not for the network; then `skipped` |
//! | `measure` | from here on the device says what work takes: [`crate::work`] |
//! | `enrol TEXT` | a technician gives a new device its code: `vaka://A.B.C.D:PORT/?code=…&ca=…`, or `A.B.C.D:PORT CODE` |
//! | `panic` | the program panics |
//! | `hang` | the program stands still |
//! | `reset` | the board is reset |
//!
//! A role whose parts are models has lines of its own, listed in its `bin`.
//!
//! An unknown line is answered with `unknown LINE`.

use core::sync::atomic::{AtomicBool, AtomicI16, Ordering};

use embassy_time::{Duration, Instant};
use embedded_hal::digital::{ErrorType, InputPin};
use vaka_device::Now;
use vaka_device::signal::Radio;

use crate::{edge, fault, memory, say, work};

/// A pin that a test moves. Low is active: pressed, closed, occupied.
#[derive(Debug, Clone, Copy)]
pub struct Pin(&'static AtomicBool);

static BUTTON: AtomicBool = AtomicBool::new(false);
static CANCEL: AtomicBool = AtomicBool::new(false);

impl Pin {
    /// The pin that is low while `low` is true.
    pub const fn new(low: &'static AtomicBool) -> Self {
        Self(low)
    }
}

impl ErrorType for Pin {
    type Error = core::convert::Infallible;
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        self.is_low().map(|is_low| !is_low)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

/// What no radio receives.
const UNHEARD: i16 = i16::MIN;

/// What the radio received last, dBm.
static ANTENNA: AtomicI16 = AtomicI16::new(UNHEARD);

/// The radio.
#[derive(Debug, Clone, Copy)]
pub struct Antenna(());

impl Radio for Antenna {
    fn rssi_dbm(&mut self) -> Option<i16> {
        Some(ANTENNA.load(Ordering::Relaxed)).filter(|dbm| *dbm != UNHEARD)
    }
}

/// A pin that is held, and when it is let go, milliseconds since boot.
#[derive(Debug)]
struct Held {
    pin: Pin,
    until_ms: Option<u64>,
}

impl Held {
    fn hold(&mut self, ms: &str, now: Now) {
        self.pin.0.store(true, Ordering::Relaxed);
        self.until_ms = Some(now.uptime_ms.saturating_add(ms.parse().unwrap_or(0)));
    }

    fn pass(&mut self, now: Now) -> u64 {
        if self.until_ms.is_some_and(|until_ms| now.uptime_ms >= until_ms) {
            self.pin.0.store(false, Ordering::Relaxed);
            self.until_ms = None;
        }
        self.until_ms.map_or(u64::MAX, |until_ms| until_ms - now.uptime_ms)
    }
}

/// The board's inputs.
#[derive(Debug)]
pub struct Inputs {
    button: Held,
    cancel: Held,
    parts: Option<&'static dyn Parts>,
    /// What a clock shows that the device is given, UTC milliseconds.
    time: Option<i64>,
    /// Left to skip, milliseconds.
    skip_ms: Option<u64>,
}

/// Models of a role's parts, in the place of the parts.
pub trait Parts: core::fmt::Debug {
    /// A line came for them. False: it means nothing to them.
    fn obey(&self, word: &str, rest: &str, now: Now) -> bool;

    /// Time has gone on. Returns for how many milliseconds nothing changes by itself.
    fn pass(&self, now: Now) -> u64;
}

impl Inputs {
    /// Nothing is pressed.
    pub const fn new() -> Self {
        Self {
            button: Held { pin: Pin(&BUTTON), until_ms: None },
            cancel: Held { pin: Pin(&CANCEL), until_ms: None },
            parts: None,
            time: None,
            skip_ms: None,
        }
    }

    /// The role's parts are these models.
    pub fn attach(&mut self, parts: &'static dyn Parts) {
        self.parts = Some(parts);
    }

    /// The button that calls.
    pub fn button(&self) -> Pin {
        self.button.pin
    }

    /// The button that takes a call back.
    pub fn cancel(&self) -> Pin {
        self.cancel.pin
    }

    /// The radio.
    pub fn radio(&self) -> Antenna {
        Antenna(())
    }

    /// A line came.
    pub fn obey(&mut self, line: &str, now: Now) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "press" => {
                work::press_begins();
                self.button.hold(rest, now);
                edge::pend();
            }
            "tap" => {
                edge::pend();
                let until = Instant::now() + Duration::from_millis(rest.parse().unwrap_or(0));
                while Instant::now() < until {}
            }
            "signal" => ANTENNA.store(rest.parse().unwrap_or(UNHEARD), Ordering::Relaxed),
            "cancel" => self.cancel.hold(rest, now),
            "sizes" => {
                let (heap, stack, room) = (memory::heap_peak(), memory::stack_peak(), memory::stack_room());
                say!("sizes heap {heap} stack {stack} of {room}");
            }
            "time" => self.time = rest.parse().ok(),
            "skip" => self.skip_ms = rest.parse().ok(),
            "measure" => work::ask(),
            // Not repeated: there is a code in it.
            "enrol" => say!("enrolled already"),
            "panic" => panic!("asked for"),
            "hang" => loop {
                core::hint::spin_loop();
            },
            "reset" => fault::reset(),
            _ if self.parts.is_some_and(|parts| parts.obey(word, rest, now)) => {}
            _ => say!("unknown {line}"),
        }
    }

    /// Moves what is due. Returns for how many milliseconds nothing is.
    pub fn pass(&mut self, now: Now) -> u64 {
        let parts_ms = self.parts.map_or(u64::MAX, |parts| parts.pass(now));
        self.button.pass(now).min(self.cancel.pass(now)).min(parts_ms)
    }

    /// What a clock shows, if the device was given one just now.
    pub fn take_time(&mut self) -> Option<i64> {
        self.time.take()
    }

    /// How much of the time in which nothing is due a test passes over, milliseconds; `None`: it passes as it does.
    pub fn skip(&mut self, rest_ms: u64) -> Option<u64> {
        let left_ms = self.skip_ms?;
        if left_ms == 0 {
            // Everything was looked at once more since the last of it.
            self.skip_ms = None;
            say!("skipped");
            return None;
        }
        let ms = left_ms.min(rest_ms.max(1));
        self.skip_ms = Some(left_ms - ms);
        Some(ms)
    }
}
