//! The device's time. Enters: what the gateway says it is. Leaves: [`Now`].
//!
//! The board has no clock that outlives a power cut: until the gateway has said the time, there is none.

use core::cell::Cell;

use embassy_time::Instant;
use vaka_device::Now;

/// The uptime, and what to add to it once that is known.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: Cell<Option<i64>>,
    /// What a test has passed over, milliseconds.
    skipped_ms: Cell<u64>,
}

impl Clock {
    /// Without the time.
    pub const fn new() -> Self {
        Self { offset_ms: Cell::new(None), skipped_ms: Cell::new(0) }
    }

    /// This moment.
    pub fn now(&self) -> Now {
        let uptime_ms = self.uptime_ms(Instant::now());
        Now { uptime_ms, at: self.offset_ms.get().map(|offset| offset.saturating_add_unsigned(uptime_ms)) }
    }

    /// Milliseconds since boot at that moment, which is not before what was passed over last.
    pub fn uptime_ms(&self, moment: Instant) -> u64 {
        moment.as_millis() + self.skipped_ms.get()
    }

    /// It is `at`, UTC milliseconds.
    pub fn set(&self, at: i64) {
        self.offset_ms.set(Some(at.saturating_sub_unsigned(self.now().uptime_ms)));
    }

    /// So many milliseconds pass at once.
    pub fn skip(&self, ms: u64) {
        self.skipped_ms.set(self.skipped_ms.get() + ms);
    }
}
