//! What a test does to the device, line by line over the UART, and the pins that it moves.
//!
//! | line | what happens |
//! |---|---|
//! | `press MS` | the button is held for so many milliseconds |
//! | `cancel MS` | the button that takes a call back is held for so many milliseconds |
//! | `sizes` | `sizes heap N stack N of N`: bytes in use at the most so far |
//! | `panic` | the program panics |
//! | `hang` | the program stands still |
//! | `reset` | the board is reset |
//!
//! An unknown line is answered with `unknown LINE`.

use core::sync::atomic::{AtomicBool, Ordering};

use embedded_hal::digital::{ErrorType, InputPin};
use vaka_device::Now;

use crate::{fault, memory, say};

/// A pin that a test moves. Low is active: pressed, closed, occupied.
#[derive(Debug, Clone, Copy)]
pub struct Pin(&'static AtomicBool);

static BUTTON: AtomicBool = AtomicBool::new(false);
static CANCEL: AtomicBool = AtomicBool::new(false);

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
}

impl Inputs {
    /// Nothing is pressed.
    pub const fn new() -> Self {
        Self { button: Held { pin: Pin(&BUTTON), until_ms: None }, cancel: Held { pin: Pin(&CANCEL), until_ms: None } }
    }

    /// The button that calls.
    pub fn button(&self) -> Pin {
        self.button.pin
    }

    /// The button that takes a call back.
    pub fn cancel(&self) -> Pin {
        self.cancel.pin
    }

    /// A line came.
    pub fn obey(&mut self, line: &str, now: Now) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "press" => self.button.hold(rest, now),
            "cancel" => self.cancel.hold(rest, now),
            "sizes" => {
                let (heap, stack, room) = (memory::heap_peak(), memory::stack_peak(), memory::stack_room());
                say!("sizes heap {heap} stack {stack} of {room}");
            }
            "panic" => panic!("asked for"),
            "hang" => loop {
                core::hint::spin_loop();
            },
            "reset" => fault::reset(),
            _ => say!("unknown {line}"),
        }
    }

    /// Moves what is due. Returns for how many milliseconds nothing is.
    pub fn pass(&mut self, now: Now) -> u64 {
        self.button.pass(now).min(self.cancel.pass(now))
    }
}
