//! The gateway's clock in the simulation: it moves when the world moves it, jumps when it is told to, and gives the disk time to be mended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vaka::clock::{Clock, Confidence, Now};
use vaka::journal::simdisk::SimDisk;

/// Waits for a disk that refuses, before somebody mends it.
const PATIENCE: u32 = 3;

pub struct SimClock {
    disk: SimDisk,
    time: Mutex<Time>,
}

struct Time {
    mono_ms: u64,
    wall_ms: i64,
    floor_ms: i64,
    waits: u32,
}

/// What unwinds out of a process that died within a commit.
pub struct Died;

impl SimClock {
    pub fn new(wall_ms: i64, disk: SimDisk) -> SimClock {
        SimClock { disk, time: Mutex::new(Time { mono_ms: 0, wall_ms, floor_ms: 0, waits: 0 }) }
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn advance(&self, ms: u64) {
        let mut time = self.time();
        time.mono_ms += ms;
        time.wall_ms += ms as i64;
    }

    /// Somebody, or a time server, sets the wall clock.
    pub fn jump(&self, by_ms: i64) {
        self.time().wall_ms += by_ms;
    }

    /// The process starts: what the journal has seen is the floor, as in [`vaka::clock::SystemClock`].
    pub fn start(&self, floor_ms: i64) {
        self.time().floor_ms = floor_ms;
    }

    /// The machine starts anew.
    pub fn boot(&self) {
        self.time().mono_ms = 0;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let time = self.time();
        let confidence = if time.wall_ms < time.floor_ms { Confidence::Floor } else { Confidence::Held };
        Now { mono_ms: time.mono_ms, wall_ms: time.wall_ms.max(time.floor_ms), confidence }
    }

    fn pause(&self, ms: u64) {
        if self.disk.dying() {
            // A dead process waits for nothing: out of the keeper, to where the world buries it.
            std::panic::resume_unwind(Box::new(Died));
        }
        self.advance(ms);
        let mut time = self.time();
        time.waits += 1;
        if time.waits.is_multiple_of(PATIENCE) {
            self.disk.heal();
            self.disk.set_capacity(None);
        }
    }
}
