//! Time as everything else sees it: monotonic milliseconds, wall milliseconds, and how far the wall clock can be trusted.
//!
//! Enters: the machine's clocks, or a test's. Leaves: [`Now`]. Nothing else in the gateway reads a clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// How far the wall clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The kernel says that the clock is disciplined by a time source.
    Synchronised,
    /// Plausible (not before the newest record in the journal), but nobody vouches for it.
    Held,
    /// Behind what the journal has already seen: the floor is used in its place.
    Floor,
}

/// One reading of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the machine started, suspended time included; never goes back.
    pub mono_ms: u64,
    /// UTC milliseconds since 1970.
    pub wall_ms: i64,
    pub confidence: Confidence,
}

/// A source of time. Injected, so that deadlines run on a test's clock.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Now;

    /// Holds the calling thread for `ms` milliseconds of this clock, or less; a test's clock moves instead.
    fn pause(&self, ms: u64) {
        std::thread::park_timeout(std::time::Duration::from_millis(ms));
    }
}

/// The machine's clocks, with a floor below which the wall time never falls.
#[derive(Debug)]
pub struct SystemClock {
    /// The floor less the running clock: below the floor time goes on all the same, or nothing planned would ever be due.
    floor_offset_ms: AtomicI64,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { floor_offset_ms: AtomicI64::new(i64::MIN / 2) }
    }
}

impl SystemClock {
    pub fn new() -> Self {
        Self::default()
    }

    /// Wall time before `floor_ms` (UTC milliseconds) is not believed from here on: the journal has seen later.
    pub fn raise_floor(&self, floor_ms: i64) {
        let offset_ms = floor_ms.saturating_sub(mono_ms() as i64);
        self.floor_offset_ms.fetch_max(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let mono_ms = mono_ms();
        let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let wall_ms = wall.tv_sec * 1_000 + wall.tv_nsec / 1_000_000;
        let floor_ms = self.floor_offset_ms.load(Ordering::Relaxed).saturating_add(mono_ms as i64);
        Now {
            mono_ms,
            wall_ms: wall_ms.max(floor_ms),
            confidence: if wall_ms < floor_ms { Confidence::Floor } else { Confidence::Held },
        }
    }
}

fn mono_ms() -> u64 {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    boot.tv_sec as u64 * 1_000 + boot.tv_nsec as u64 / 1_000_000
}

/// A clock that only moves when told to: for tests and replays.
#[derive(Debug)]
pub struct ManualClock {
    mono_ms: AtomicU64,
    wall_ms: AtomicI64,
}

impl ManualClock {
    pub fn new(wall_ms: i64) -> Self {
        Self { mono_ms: AtomicU64::new(0), wall_ms: AtomicI64::new(wall_ms) }
    }

    /// Moves both clocks forward by `ms` milliseconds.
    pub fn advance(&self, ms: u64) {
        self.mono_ms.fetch_add(ms, Ordering::Relaxed);
        self.wall_ms.fetch_add(ms as i64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now {
            mono_ms: self.mono_ms.load(Ordering::Relaxed),
            wall_ms: self.wall_ms.load(Ordering::Relaxed),
            confidence: Confidence::Held,
        }
    }

    fn pause(&self, ms: u64) {
        self.advance(ms);
    }
}
