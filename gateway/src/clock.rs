//! Time as everything else sees it: monotonic milliseconds, wall milliseconds, and how far the wall clock can be trusted.
//!
//! Enters: the machine's clocks, or a test's. Leaves: [`Now`]. Nothing else in the gateway reads a clock.
//!
//! Two floors. Below the *hard* one no clock is believed, whoever vouches for it: when this program was built, and the latest time that
//! a time source had vouched for (`pki/floor`). Far below the *soft* one, the newest record of the journal, a clock is believed only if
//! a time source vouches for it: one record from a wrong year must not last. Where a clock is not believed, time goes on from the
//! later of both floors.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::limits;

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

    /// True if this reading may be told to devices: a time source vouches for it, or the machine's hardware clock has kept it.
    fn is_trusted(&self, now: &Now) -> bool {
        now.confidence == Confidence::Synchronised
    }

    /// Below which no wall time is believed, UTC milliseconds; `None`: there is no such bound.
    fn floor_ms(&self) -> Option<i64> {
        None
    }

    /// Holds the calling thread for `ms` milliseconds of this clock, or less; a test's clock moves instead.
    fn pause(&self, ms: u64) {
        std::thread::park_timeout(std::time::Duration::from_millis(ms));
    }
}

/// When this program was built, UTC milliseconds; within what can be right, should the builder's clock have been wrong.
pub fn built_ms() -> i64 {
    let built_s: i64 = env!("VAKA_BUILT_S").parse().unwrap_or_default();
    built_s.saturating_mul(1_000).clamp(limits::PLAUSIBLE_TIME_MS, limits::PLAUSIBLE_TIME_MS_MAX)
}

/// The machine's clocks, with floors below which the wall time never falls. Both floors go on with the running clock: below them time
/// passes all the same, or nothing planned would ever be due.
#[derive(Debug)]
pub struct SystemClock {
    /// The hard floor less the running clock.
    hard_offset_ms: AtomicI64,
    /// The soft floor less the running clock.
    soft_offset_ms: AtomicI64,
    is_synchronised: AtomicBool,
    /// When the kernel was last asked for that, by the running clock and plus one; 0: never.
    asked_at_ms: AtomicU64,
    /// A hardware clock gave the time at boot, and it fitted the journal's.
    is_kept: AtomicBool,
}

impl Default for SystemClock {
    fn default() -> Self {
        let clock = SystemClock {
            hard_offset_ms: AtomicI64::new(i64::MIN / 2),
            soft_offset_ms: AtomicI64::new(i64::MIN / 2),
            is_synchronised: AtomicBool::new(false),
            asked_at_ms: AtomicU64::new(0),
            is_kept: AtomicBool::new(false),
        };
        clock.raise_floor(built_ms());
        clock
    }
}

impl SystemClock {
    /// With the program's build date as its floor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wall time before `floor_ms` (UTC milliseconds) is not believed from here on, whoever vouches for it.
    pub fn raise_floor(&self, floor_ms: i64) {
        let floor_ms = floor_ms.min(limits::PLAUSIBLE_TIME_MS_MAX);
        self.hard_offset_ms.fetch_max(floor_ms.saturating_sub(mono_ms() as i64), Ordering::Relaxed);
    }

    /// The newest time in the journal (UTC milliseconds): a clock a day or more behind it is believed only while synchronised.
    pub fn remember(&self, newest_ms: i64) {
        let newest_ms = newest_ms.min(limits::PLAUSIBLE_TIME_MS_MAX);
        self.soft_offset_ms.fetch_max(newest_ms.saturating_sub(mono_ms() as i64), Ordering::Relaxed);
        let wall_ms = wall_ms();
        let fits = newest_ms <= wall_ms && wall_ms <= newest_ms.max(built_ms()) + limits::CLOCK_AHEAD_MS_MAX;
        self.is_kept.store(fits && has_hardware_clock(Path::new("/sys/class/rtc")), Ordering::Relaxed);
    }

    fn is_synchronised(&self, mono_ms: u64) -> bool {
        let asked_at_ms = self.asked_at_ms.load(Ordering::Relaxed);
        if asked_at_ms == 0 || mono_ms.saturating_sub(asked_at_ms) >= limits::CLOCK_ASKED_MS {
            self.is_synchronised.store(kernel_is_synchronised(), Ordering::Relaxed);
            self.asked_at_ms.store(mono_ms.saturating_add(1), Ordering::Relaxed);
        }
        self.is_synchronised.load(Ordering::Relaxed)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let mono_ms = mono_ms();
        let hard_ms = self.hard_offset_ms.load(Ordering::Relaxed).saturating_add(mono_ms as i64);
        let soft_ms = self.soft_offset_ms.load(Ordering::Relaxed).saturating_add(mono_ms as i64);
        let (wall_ms, confidence) = believed(wall_ms(), hard_ms, soft_ms, self.is_synchronised(mono_ms));
        Now { mono_ms, wall_ms, confidence }
    }

    fn is_trusted(&self, now: &Now) -> bool {
        match now.confidence {
            Confidence::Synchronised => true,
            Confidence::Held => self.is_kept.load(Ordering::Relaxed),
            Confidence::Floor => false,
        }
    }

    fn floor_ms(&self) -> Option<i64> {
        Some(self.hard_offset_ms.load(Ordering::Relaxed).saturating_add(mono_ms() as i64))
    }
}

/// What the wall clock's reading is taken for.
fn believed(wall_ms: i64, hard_ms: i64, soft_ms: i64, is_synchronised: bool) -> (i64, Confidence) {
    let is_far_back = wall_ms < soft_ms.saturating_sub(limits::CLOCK_BACK_MS_MAX);
    match is_synchronised {
        _ if wall_ms < hard_ms => (hard_ms.max(soft_ms), Confidence::Floor),
        true => (wall_ms, Confidence::Synchronised),
        false if is_far_back => (soft_ms, Confidence::Floor),
        false => (wall_ms, Confidence::Held),
    }
}

/// The kernel's own word, as set by whatever disciplines its clock (NTP, PTP, a GNSS receiver). Source: adjtimex(2).
fn kernel_is_synchronised() -> bool {
    // SAFETY: a `timex` is plain numbers, for which zeros are a value; with `modes` 0 the call reads and fills in, nothing else.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut timex);
        (state, timex.status)
    };
    state != -1 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}

/// True if one of the machine's hardware clocks gave the kernel its time at boot. `folder`: `/sys/class/rtc`.
fn has_hardware_clock(folder: &Path) -> bool {
    let Ok(clocks) = std::fs::read_dir(folder) else { return false };
    let gave = |clock: std::fs::DirEntry| {
        std::fs::read_to_string(clock.path().join("hctosys")).is_ok_and(|text| text.trim() == "1")
    };
    clocks.flatten().any(gave)
}

/// By the standard library, and so by the C library: there a test's clock (libfaketime) can stand in for the machine's.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
fn wall_ms() -> i64 {
    let ms = |since: std::time::Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    }
}

/// By the C library too, so that a test can let months go by.
fn mono_ms() -> u64 {
    let mut boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes the `timespec` that it is given, and nothing else. It fails only for a clock that the kernel does not have: this one
    // is as old as Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut boot) };
    boot.tv_sec as u64 * 1_000 + boot.tv_nsec as u64 / 1_000_000
}

/// A clock that only moves when told to: for tests and replays.
#[derive(Debug)]
pub struct ManualClock {
    mono_ms: AtomicU64,
    wall_ms: AtomicI64,
    is_vouched: AtomicBool,
}

impl ManualClock {
    pub fn new(wall_ms: i64) -> Self {
        Self { mono_ms: AtomicU64::new(0), wall_ms: AtomicI64::new(wall_ms), is_vouched: AtomicBool::new(false) }
    }

    /// A time source vouches for it, or no more.
    pub fn vouch(&self, is_vouched: bool) {
        self.is_vouched.store(is_vouched, Ordering::Relaxed);
    }

    /// Sets the wall clock alone, UTC milliseconds.
    pub fn set_wall(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
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
            confidence: if self.is_vouched.load(Ordering::Relaxed) {
                Confidence::Synchronised
            } else {
                Confidence::Held
            },
        }
    }

    fn pause(&self, ms: u64) {
        self.advance(ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    #[test]
    fn below_the_hard_floor_nobody_is_believed_and_below_the_soft_one_a_time_source() {
        use Confidence::{Floor, Held, Synchronised};
        let (hard, soft) = (1_000 * DAY_MS, 1_400 * DAY_MS);
        for (wall_days, is_synchronised, wanted) in [
            (0, false, (soft, Floor)),
            (0, true, (soft, Floor)),
            (999, true, (soft, Floor)),
            (1_001, true, (1_001 * DAY_MS, Synchronised)),
            (1_001, false, (soft, Floor)),
            // A clock set by hand, and one that is right.
            (1_399, false, (1_399 * DAY_MS, Held)),
            (1_500, false, (1_500 * DAY_MS, Held)),
            (9_000, false, (9_000 * DAY_MS, Held)),
        ] {
            assert_eq!(
                believed(wall_days * DAY_MS, hard, soft, is_synchronised),
                wanted,
                "{wall_days} {is_synchronised}"
            );
        }
        // A journal that a wrong year stands in does not hold a clock that is vouched for.
        assert_eq!(believed(1_200 * DAY_MS, hard, 5_000 * DAY_MS, true), (1_200 * DAY_MS, Synchronised));
    }

    #[test]
    fn the_build_date_is_a_floor_and_time_goes_on_from_it() {
        let clock = SystemClock::new();
        assert!(built_ms() >= limits::PLAUSIBLE_TIME_MS && clock.floor_ms() >= Some(built_ms()));
        clock.raise_floor(i64::MAX);
        let first = clock.now();
        assert_eq!(first.confidence, Confidence::Floor);
        assert!(first.wall_ms >= limits::PLAUSIBLE_TIME_MS_MAX && !clock.is_trusted(&first));
        clock.raise_floor(0);
        assert!(clock.now().wall_ms >= first.wall_ms, "a floor never falls");
    }

    #[test]
    fn a_hardware_clock_counts_that_gave_the_time_at_boot() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_hardware_clock(&folder.path().join("none")) && !has_hardware_clock(folder.path()));
        let clock = folder.path().join("rtc0");
        std::fs::create_dir(&clock).unwrap();
        std::fs::write(clock.join("hctosys"), "0\n").unwrap();
        assert!(!has_hardware_clock(folder.path()));
        std::fs::write(clock.join("hctosys"), "1\n").unwrap();
        assert!(has_hardware_clock(folder.path()));
    }
}
