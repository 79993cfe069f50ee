//! Mains: there or gone, debounced. Enters: what the pin shows, milliseconds since boot. Leaves: a change, once.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin};

/// For how long mains must be gone before it counts, milliseconds. Shorter: each flicker of the light is an alarm.
/// Source: our choice.
pub const MAINS_GONE_MS: u64 = 1_000;

/// For how long it must be back, milliseconds. Shorter: a mains that comes and goes floods the gateway. Source: our choice.
pub const MAINS_BACK_MS: u64 = 5_000;

/// Between two looks while nothing changes, milliseconds: for a board whose pin has no interrupt.
const LOOK_MS: u64 = 250;

/// Whether mains is there.
#[derive(Debug, Clone, Copy)]
pub struct Mains {
    gone_ms: u64,
    told: Option<bool>,
    /// What the pin shows, and since when.
    seen: Option<(bool, u64)>,
    is_used: bool,
}

impl Mains {
    /// Nothing is known yet. `gone_ms`: for how long it must be gone, [`MAINS_GONE_MS`].
    pub const fn new(gone_ms: u64) -> Self {
        Self { gone_ms, told: None, seen: None, is_used: false }
    }

    /// The pin shows this. `Some`: that is to be told. That it is there at boot is no news.
    pub fn seen(&mut self, is_on: bool, uptime_ms: u64) -> Option<bool> {
        self.is_used = true;
        let since = match self.seen {
            Some((before, since)) if before == is_on => since,
            _ => uptime_ms,
        };
        self.seen = Some((is_on, since));
        let steady_ms = uptime_ms.saturating_sub(since);
        if self.told == Some(is_on) || steady_ms < if is_on { MAINS_BACK_MS } else { self.gone_ms } {
            return None;
        }
        let first = self.told.replace(is_on).is_none();
        (!(first && is_on)).then_some(is_on)
    }

    /// It is there. `None`: not known yet.
    pub fn is_on(&self) -> Option<bool> {
        self.told
    }

    /// For how many milliseconds the pin need not be looked at.
    pub fn rest_ms(&self, uptime_ms: u64) -> u64 {
        let Some((is_on, since)) = self.seen else { return if self.is_used { 0 } else { u64::MAX } };
        if self.told == Some(is_on) {
            return LOOK_MS;
        }
        let steady_ms = if is_on { MAINS_BACK_MS } else { self.gone_ms };
        (since + steady_ms).saturating_sub(uptime_ms).min(LOOK_MS)
    }
}

/// The pin of a device without mains.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMains;

impl ErrorType for NoMains {
    type Error = Infallible;
}

impl InputPin for NoMains {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}
