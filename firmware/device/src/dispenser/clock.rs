//! What time it is, also without a gateway. Enters: the board's time where it has one, the clock chip. Leaves: UTC
//! milliseconds, or nothing: then no dose opens.
//!
//! The gateway's time goes before the chip's: the schedule is written by it. A chip with a crystal of 20 ppm drifts 1.7 s a
//! day, 3.5 s in the two days that a schedule lasts without a gateway; the doses' windows are minutes.

use embedded_hal::i2c::I2c;

use crate::Now;
use crate::part::rtc::Pcf8563;

/// The chip is set when it differs by more, in milliseconds. It counts in whole seconds; less would set it every hour.
pub const SET_MS_MIN: u64 = 2_000;

/// Between two looks at the chip, in milliseconds. Longer: a crystal that stops is noticed later.
pub const LOOK_MS: u64 = 60_000;

/// The clock.
#[derive(Debug)]
pub struct Clock<B> {
    chip: Pcf8563<B>,
    /// When it was last known: milliseconds since boot, and the time.
    known: Option<(u64, i64)>,
    /// The chip was looked at then.
    looked_ms: Option<u64>,
    is_trusted: bool,
}

impl<B: I2c> Clock<B> {
    pub fn new(chip: Pcf8563<B>) -> Self {
        Self { chip, known: None, looked_ms: None, is_trusted: false }
    }

    /// The time that may open a dose.
    pub fn at(&mut self, now: Now) -> Option<i64> {
        let is_time = self.looked_ms.is_none_or(|looked_ms| now.since(looked_ms) >= LOOK_MS);
        match now.at {
            Some(at) => {
                let jumped = self.held(now).is_none_or(|held| held.abs_diff(at) > SET_MS_MIN);
                self.known = Some((now.uptime_ms, at));
                if is_time || jumped {
                    self.looked_ms = Some(now.uptime_ms);
                    let is_right = self.chip.read().is_ok_and(|read| read.abs_diff(at) <= SET_MS_MIN);
                    self.is_trusted = is_right || (self.chip.set(at).is_ok() && self.chip.read().is_ok());
                }
                Some(at)
            }
            None => {
                // What is not trusted is looked at again in every pass: a bus that was disturbed comes back.
                if is_time || !self.is_trusted {
                    self.looked_ms = Some(now.uptime_ms);
                    let read = self.chip.read().ok();
                    self.is_trusted = read.is_some();
                    self.known = read.map(|at| (now.uptime_ms, at)).or(self.known);
                }
                self.held(now).filter(|_| self.is_trusted)
            }
        }
    }

    /// The time by what was known last and the board's own count: good enough to end what has begun.
    pub fn held(&self, now: Now) -> Option<i64> {
        self.known.map(|(uptime_ms, at)| at.saturating_add_unsigned(now.since(uptime_ms)))
    }

    /// The chip answers, and its time is trusted.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }
}
