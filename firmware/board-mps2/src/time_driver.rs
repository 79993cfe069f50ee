//! Time since boot for `embassy-time`, from the two CMSDK timers. Enters: their interrupts. Leaves: microseconds since
//! boot, and a wake-up when the next deadline has come.
//!
//! Timer 0 counts the clock's cycles and wraps every 171 s; the wraps are counted. Timer 1 runs to the next deadline.
//! Tickless: nothing happens while nothing is due. All deadlines have one waker ([`crate::idle`]), so that the nearest
//! is the only one to be kept.
//!
//! Source: Arm, Cortex-M System Design Kit Technical Reference Manual (DDI 0479), APB timer.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::Driver;

use crate::idle;
use crate::reg::Reg;

/// The board's clock.
pub const CYCLES_PER_US: u64 = 25;

/// Interrupts of the two timers.
pub const COUNTER_IRQ: u16 = 8;
/// See [`COUNTER_IRQ`].
pub const ALARM_IRQ: u16 = 9;

const ENABLE: u32 = 1;
const INTERRUPT: u32 = 1 << 3;

struct Timer {
    control: Reg,
    value: Reg,
    reload: Reg,
    interrupt: Reg,
}

impl Timer {
    const fn at(base: usize) -> Self {
        // SAFETY: the timer's four registers.
        unsafe {
            Self {
                control: Reg::at(base),
                value: Reg::at(base + 4),
                reload: Reg::at(base + 8),
                interrupt: Reg::at(base + 12),
            }
        }
    }

    fn run(&self, cycles: u32) {
        self.control.set(0);
        self.interrupt.set(1);
        self.reload.set(cycles);
        self.value.set(cycles);
        self.control.set(ENABLE | INTERRUPT);
    }
}

const COUNTER: Timer = Timer::at(0x4000_0000);
const ALARM: Timer = Timer::at(0x4000_1000);

struct State {
    wraps: u32,
    /// The nearest deadline, microseconds since boot.
    deadline_us: u64,
}

struct Clock {
    state: Mutex<RefCell<State>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    state: Mutex::new(RefCell::new(State { wraps: 0, deadline_us: u64::MAX })),
});

impl State {
    fn now_us(&mut self) -> u64 {
        let mut counted = !COUNTER.value.get();
        if COUNTER.interrupt.get() & 1 != 0 {
            // Wrapped, and the interrupt is still to come.
            COUNTER.interrupt.set(1);
            self.wraps += 1;
            counted = !COUNTER.value.get();
        }
        (u64::from(self.wraps) << 32 | u64::from(counted)) / CYCLES_PER_US
    }

    fn arm(&mut self) {
        let now_us = self.now_us();
        if self.deadline_us == u64::MAX {
            return;
        }
        if self.deadline_us <= now_us {
            self.deadline_us = u64::MAX;
            idle::wake();
            return;
        }
        let cycles = ((self.deadline_us - now_us) * CYCLES_PER_US).min(u64::from(u32::MAX >> 1));
        ALARM.run(cycles as u32);
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.state.borrow_ref_mut(cs).now_us())
    }

    fn schedule_wake(&self, at: u64, _waker: &Waker) {
        critical_section::with(|cs| {
            let mut state = self.state.borrow_ref_mut(cs);
            if at < state.deadline_us {
                state.deadline_us = at;
                state.arm();
            }
        });
    }
}

/// Starts counting from zero.
pub fn start() {
    COUNTER.run(u32::MAX);
}

/// The clock's cycles since some moment; it wraps every 171 s.
pub fn cycles() -> u32 {
    !COUNTER.value.get()
}

/// Timer 0 wrapped.
pub fn on_counter() {
    critical_section::with(|cs| CLOCK.state.borrow_ref_mut(cs).now_us());
}

/// Timer 1 ran out.
pub fn on_alarm() {
    ALARM.control.set(0);
    ALARM.interrupt.set(1);
    critical_section::with(|cs| CLOCK.state.borrow_ref_mut(cs).arm());
}
