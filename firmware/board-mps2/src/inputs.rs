//! What a test does to the device, line by line over the UART, and the pins that it moves.
//!
//! | line | what happens |
//! |---|---|
//! | `press MS` | the button is held for so many milliseconds |
//! | `release` | the button is let go at once |
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

/// The board's inputs.
#[derive(Debug, Default)]
pub struct Inputs {
    /// When the button is let go, milliseconds since boot.
    release_ms: Option<u64>,
}

impl Inputs {
    /// The button of a pendant.
    pub fn button(&self) -> Pin {
        Pin(&BUTTON)
    }

    /// A line came.
    pub fn obey(&mut self, line: &str, now: Now) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "press" => {
                BUTTON.store(true, Ordering::Relaxed);
                self.release_ms = rest.parse().ok().map(|ms: u64| now.uptime_ms + ms);
            }
            "release" => {
                BUTTON.store(false, Ordering::Relaxed);
                self.release_ms = None;
            }
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
        if self.release_ms.is_some_and(|at| now.uptime_ms >= at) {
            BUTTON.store(false, Ordering::Relaxed);
            self.release_ms = None;
        }
        self.release_ms.map_or(u64::MAX, |at| at - now.uptime_ms)
    }
}
