//! A real-time clock: NXP PCF8563, by its data sheet (Rev. 10, April 2012).
//!
//! Enters: the bus's traffic; time, power and faults as a test tells them. Leaves: what the chip answers. The registers
//! count by themselves ([`Pcf8563::advance`]); they stand still while bit STOP is set, and after its cell was empty the
//! chip counts on from where it stands, with bit VL set.

use core::cell::RefCell;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// Its address on the bus, 7 bits (§9.5: A2h to write, A3h to read).
pub const ADDRESS: u8 = 0x51;

const SECONDS: usize = 2;
const MINUTES: usize = 3;
const HOURS: usize = 4;
const DAYS: usize = 5;
const WEEKDAYS: usize = 6;
const MONTHS: usize = 7;
const YEARS: usize = 8;

/// Control_status_1, bit 5: the clock is stopped.
const STOP: u8 = 0x20;
/// VL_seconds, bit 7: the time is not to be trusted.
const LOW_VOLTAGE: u8 = 0x80;

/// The chip.
#[derive(Debug, Clone)]
pub struct Pcf8563 {
    registers: [u8; 16],
    pointer: usize,
    /// Into the present second.
    ms: u64,
    is_oscillating: bool,
    /// So many transactions fail from here on.
    errors: u32,
    /// After so many more bytes written the power of the device goes: what comes then is not taken.
    bytes_left: Option<u32>,
}

impl Default for Pcf8563 {
    fn default() -> Self {
        Self::new()
    }
}

impl Pcf8563 {
    /// As it is after its first power-up: the clock integrity is not guaranteed (table 8).
    pub const fn new() -> Self {
        let mut registers = [0; 16];
        registers[0] = 0x08;
        registers[SECONDS] = LOW_VOLTAGE;
        registers[DAYS] = 1;
        registers[MONTHS] = 1;
        Self { registers, pointer: 0, ms: 0, is_oscillating: true, errors: 0, bytes_left: None }
    }

    /// A register as it stands.
    pub fn register(&self, number: u8) -> u8 {
        self.registers[usize::from(number) % 16]
    }

    /// Puts a register beside the bus: a disturbance.
    pub fn disturb(&mut self, number: u8, value: u8) {
        self.registers[usize::from(number) % 16] = value;
    }

    /// Its cell was empty: it has forgotten the time.
    pub fn lose_power(&mut self) {
        *self = Self { errors: self.errors, ..Self::new() };
    }

    /// The crystal stands still (it broke, or is wet), or swings again. VL is set (§8.4.1.1).
    pub fn oscillate(&mut self, is_on: bool) {
        self.is_oscillating = is_on;
        self.registers[SECONDS] |= LOW_VOLTAGE;
    }

    /// The next transactions fail.
    pub fn fail(&mut self, transactions: u32) {
        self.errors = transactions;
    }

    /// Only so many more bytes arrive: the device loses its power in the middle of a write. `None`: it has power.
    pub fn cut_after(&mut self, bytes: Option<u32>) {
        self.bytes_left = bytes;
    }

    /// Time goes on.
    pub fn advance(&mut self, ms: u64) {
        if !self.is_oscillating || self.registers[0] & STOP != 0 {
            return;
        }
        self.ms += ms;
        while self.ms >= 1_000 {
            self.ms -= 1_000;
            self.second();
        }
    }

    fn second(&mut self) {
        let carry = |register: &mut u8, mask: u8, first: u8, beyond: u8| {
            let next = from_bcd(*register & mask).wrapping_add(1);
            let is_over = next >= beyond;
            *register = (*register & !mask) | to_bcd(if is_over { first } else { next });
            is_over
        };
        let is_midnight = carry(&mut self.registers[SECONDS], 0x7f, 0, 60)
            && carry(&mut self.registers[MINUTES], 0x7f, 0, 60)
            && carry(&mut self.registers[HOURS], 0x3f, 0, 24);
        if !is_midnight {
            return;
        }
        self.registers[WEEKDAYS] = (self.registers[WEEKDAYS] & 7) + 1;
        self.registers[WEEKDAYS] %= 7;
        let year = from_bcd(self.registers[YEARS]);
        let days = match from_bcd(self.registers[MONTHS] & 0x1f) {
            4 | 6 | 9 | 11 => 30,
            2 if year.is_multiple_of(4) => 29,
            2 => 28,
            _ => 31,
        };
        if carry(&mut self.registers[DAYS], 0x3f, 1, days + 1)
            && carry(&mut self.registers[MONTHS], 0x1f, 1, 13)
            && carry(&mut self.registers[YEARS], 0xff, 0, 100)
        {
            self.registers[MONTHS] ^= 0x80;
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some((pointer, values)) = bytes.split_first() else { return };
        self.pointer = usize::from(*pointer) % 16;
        for value in values {
            match &mut self.bytes_left {
                Some(0) => return,
                Some(left) => *left -= 1,
                None => {}
            }
            self.registers[self.pointer] = *value;
            if self.pointer == SECONDS {
                self.ms = 0;
            }
            self.pointer = (self.pointer + 1) % 16;
        }
    }

    fn read(&mut self, into: &mut [u8]) {
        for value in into {
            *value = self.registers[self.pointer];
            self.pointer = (self.pointer + 1) % 16;
        }
    }
}

/// A bus with this chip on it.
#[derive(Debug, Clone, Copy)]
pub struct Bus<'a>(pub &'a RefCell<Pcf8563>);

impl ErrorType for Bus<'_> {
    type Error = ErrorKind;
}

impl I2c for Bus<'_> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let mut chip = self.0.borrow_mut();
        if address != ADDRESS || chip.bytes_left == Some(0) {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        if chip.errors > 0 {
            chip.errors -= 1;
            return Err(ErrorKind::Bus);
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => chip.write(bytes),
                Operation::Read(into) => chip.read(into),
            }
        }
        Ok(())
    }
}

const fn from_bcd(value: u8) -> u8 {
    (value >> 4) * 10 + (value & 0xf)
}

const fn to_bcd(value: u8) -> u8 {
    ((value / 10) << 4) | (value % 10)
}
