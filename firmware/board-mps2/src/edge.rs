//! The interrupt of the button's pin: when it became active, though nobody looked. Enters: the interrupt, which a line over the
//! UART asks for in the pin's place (QEMU has this board's pins not). Leaves: that moment, once.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::Instant;

use crate::{Irq, idle};

/// Port 0 of the board's pins, all of them.
///
/// Source: Arm, Application Note AN386, interrupts.
pub const IRQ: u16 = 6;

/// The first edge that nobody has asked for yet.
static SEEN: Mutex<Cell<Option<Instant>>> = Mutex::new(Cell::new(None));

/// The pin has become active.
pub fn pend() {
    cortex_m::peripheral::NVIC::pend(Irq(IRQ));
}

/// The interrupt.
pub fn on_edge() {
    critical_section::with(|cs| {
        let seen = SEEN.borrow(cs);
        seen.set(seen.get().or(Some(Instant::now())));
    });
    idle::wake();
}

/// When it became active, since the last time.
pub fn take() -> Option<Instant> {
    critical_section::with(|cs| SEEN.borrow(cs).take())
}
