//! The device's time. Enters: what the gateway says it is. Leaves: [`Now`].
//!
//! The board has no clock that outlives a power cut: until the gateway has said the time, there is none.

use core::cell::Cell;

use embassy_time::Instant;
use vaka_device::Now;

/// Milliseconds to add to the uptime, once they are known.
#[derive(Debug, Default)]
pub struct Clock(Cell<Option<i64>>);

impl Clock {
    /// Without the time.
    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// This moment.
    pub fn now(&self) -> Now {
        let uptime_ms = Instant::now().as_millis();
        Now { uptime_ms, at: self.0.get().map(|offset| offset.saturating_add_unsigned(uptime_ms)) }
    }

    /// It is `at`, UTC milliseconds.
    pub fn set(&self, at: i64) {
        self.0.set(Some(at.saturating_sub_unsigned(Instant::now().as_millis())));
    }
}
