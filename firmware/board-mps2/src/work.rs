//! How much the controller works: its clock's cycles less those that it slept.
//!
//! Enters: where a piece of work begins and ends. Leaves: a line `work WHAT CYCLES PASSES` (how often the
//! device was looked at since boot), once a test has asked for it with
//! `measure`. Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so that a cycle of the 25 MHz stands for
//! forty instructions, and the same work is the same number on any machine. Waiting for the network is sleep.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::say;
pub use crate::time_driver::cycles;

static IS_ASKED: AtomicBool = AtomicBool::new(false);
static SLEPT: AtomicU32 = AtomicU32::new(0);
/// The last press began here.
static PRESS: AtomicU32 = AtomicU32::new(0);
/// The number of its event; 0: none.
static PRESS_SEQ: AtomicU32 = AtomicU32::new(0);
/// Its event is still to come.
const EXPECTED: u32 = u32::MAX;
/// How often the device was looked at.
static PASSES: AtomicU32 = AtomicU32::new(0);

/// It slept from `began` until now.
pub fn slept(began: u32) {
    SLEPT.store(SLEPT.load(Ordering::Relaxed).wrapping_add(cycles().wrapping_sub(began)), Ordering::Relaxed);
}

/// Cycles of work since some moment; the count wraps.
pub fn done() -> u32 {
    cycles().wrapping_sub(SLEPT.load(Ordering::Relaxed))
}

/// The device is looked at.
pub fn pass() {
    PASSES.fetch_add(1, Ordering::Relaxed);
}

/// From here on measurements are told.
pub fn ask() {
    IS_ASKED.store(true, Ordering::Relaxed);
}

/// Tells what was done since `began`.
pub fn tell(what: &str, began: u32) {
    if IS_ASKED.load(Ordering::Relaxed) {
        say!("work {what} {} {}", done().wrapping_sub(began), PASSES.load(Ordering::Relaxed));
    }
}

/// A test presses the button.
pub fn press_begins() {
    PRESS.store(done(), Ordering::Relaxed);
    PRESS_SEQ.store(EXPECTED, Ordering::Relaxed);
}

/// The device has taken in a call.
pub fn called(seq: u64) {
    let _ = PRESS_SEQ.compare_exchange(EXPECTED, seq as u32, Ordering::Relaxed, Ordering::Relaxed);
}

/// The gateway has that event.
pub fn acked(seq: u64) {
    if PRESS_SEQ.compare_exchange(seq as u32, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        tell("press", PRESS.load(Ordering::Relaxed));
    }
}
