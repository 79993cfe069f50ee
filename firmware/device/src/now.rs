//! The time as a device knows it.

/// One moment. The board gives it with everything that enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since boot. Never goes back.
    pub uptime_ms: u64,
    /// UTC milliseconds since 1970. `None`: the device has no clock that it may trust.
    pub at: Option<i64>,
}

impl Now {
    /// A moment without a clock.
    pub const fn booted(uptime_ms: u64) -> Self {
        Self { uptime_ms, at: None }
    }

    /// Milliseconds since that moment of the same boot.
    pub fn since(&self, uptime_ms: u64) -> u64 {
        self.uptime_ms.saturating_sub(uptime_ms)
    }
}
