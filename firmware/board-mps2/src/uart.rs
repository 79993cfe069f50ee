//! The CMSDK UART 0: lines in, lines out. Enters: bytes by interrupt. Leaves: whole lines.
//!
//! A line that is too long loses its end, and is then no command. What comes too fast waits in the receiver, which holds
//! the sender back. Output waits for the receiver only
//! so long; a device does not stand still because nobody reads.
//!
//! Source: Arm, Cortex-M System Design Kit Technical Reference Manual (DDI 0479), APB UART.

use core::cell::RefCell;
use core::fmt;

use critical_section::Mutex;
use heapless::{Deque, String};

use crate::idle;
use crate::reg::Reg;

/// The receiver's interrupt.
pub const IRQ: u16 = 0;

/// Longest line in either direction, bytes. An NMEA sentence has 82 at the most (NMEA 0183), and a word before it.
pub const LINE_BYTES_MAX: usize = 128;

/// Bytes that may wait to be read: what a test writes at once.
const WAITING_MAX: usize = 512;

/// How often a full transmitter is looked at before the rest of the output is dropped.
const PATIENCE: u32 = 1_000_000;

// SAFETY: the UART's registers.
const DATA: Reg = unsafe { Reg::at(0x4000_4000) };
const STATE: Reg = unsafe { Reg::at(0x4000_4004) };
const CONTROL: Reg = unsafe { Reg::at(0x4000_4008) };
const INTERRUPT: Reg = unsafe { Reg::at(0x4000_400c) };
const DIVIDER: Reg = unsafe { Reg::at(0x4000_4010) };

const FULL_OUT: u32 = 1;
const FULL_IN: u32 = 2;

static WAITING: Mutex<RefCell<Deque<u8, WAITING_MAX>>> = Mutex::new(RefCell::new(Deque::new()));

/// Switches it on.
pub fn start() {
    // 25 MHz / 217 = 115 200 Bd.
    DIVIDER.set(217);
    // Transmitter, receiver, and the receiver's interrupt.
    CONTROL.set(0b1011);
}

/// Bytes came.
pub fn on_receive() {
    INTERRUPT.set(0b10);
    critical_section::with(|cs| {
        let mut waiting = WAITING.borrow_ref_mut(cs);
        while STATE.get() & FULL_IN != 0 && !waiting.is_full() {
            let _ = waiting.push_back(DATA.get() as u8);
        }
    });
    idle::wake();
}

/// A whole line waits.
pub fn has_line() -> bool {
    critical_section::with(|cs| {
        let waiting = WAITING.borrow_ref(cs);
        waiting.iter().any(|byte| *byte == b'\n') || waiting.is_full()
    })
}

/// The next whole line, without its end. Bytes of half a line stay.
pub fn line() -> Option<String<LINE_BYTES_MAX>> {
    let line = critical_section::with(|cs| {
        let mut line = String::new();
        if !has_line() {
            return None;
        }
        let mut waiting = WAITING.borrow_ref_mut(cs);
        while let Some(byte) = waiting.pop_front() {
            match byte {
                b'\n' => break,
                b'\r' => {}
                byte => drop(line.push(char::from(byte))),
            }
        }
        Some(line)
    });
    if line.is_some() {
        // There is room again for what the receiver held back, and no interrupt tells of it.
        on_receive();
    }
    line
}

/// The way out, for `write!`.
#[derive(Debug)]
pub struct Out;

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let mut patience = PATIENCE;
            while STATE.get() & FULL_OUT != 0 {
                patience -= 1;
                if patience == 0 {
                    return Err(fmt::Error);
                }
            }
            DATA.set(u32::from(byte));
        }
        Ok(())
    }
}

/// Writes one line.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {{
        use core::fmt::Write as _;
        let _ = writeln!($crate::uart::Out, $($part)*);
    }};
}
