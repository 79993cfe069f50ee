//! The CMSDK watchdog. Fed after everything has been looked at, and only then: one part that hangs is a reset.
//!
//! Not fed in time, it first interrupts, which keeps the cause; once more not fed, it resets.
//!
//! Source: Arm, Cortex-M System Design Kit Technical Reference Manual (DDI 0479), APB watchdog.

use crate::reg::Reg;

/// From the last feeding to the interrupt, and from there to the reset, seconds. Longer than the longest calculation
/// without a pause, a signature of the handshake: 0.5 s on a controller of 100 MHz (estimate). Source: our choice.
pub const PATIENCE_S: u32 = 4;

// SAFETY: the watchdog's registers.
const LOAD: Reg = unsafe { Reg::at(0x4000_8000) };
const CONTROL: Reg = unsafe { Reg::at(0x4000_8008) };
const CLEAR: Reg = unsafe { Reg::at(0x4000_800c) };
const LOCK: Reg = unsafe { Reg::at(0x4000_8c00) };

const KEY: u32 = 0x1acc_e551;

/// Starts it. It cannot be stopped by what runs wild: its registers are locked.
pub fn start() {
    LOCK.set(KEY);
    LOAD.set(PATIENCE_S * 25_000_000);
    CONTROL.set(0b11);
    LOCK.set(0);
}

/// Everything was looked at.
pub fn feed() {
    LOCK.set(KEY);
    CLEAR.set(1);
    LOCK.set(0);
}
