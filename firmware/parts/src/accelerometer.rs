//! ST LIS2DH12, an accelerometer on I2C: its registers and its FIFO, by the data sheet (DocID025056, sections 5 to 8).
//!
//! Enters: what it is made to feel, one sample at a time at its own rate; bus transfers. Leaves: what it answers. Modelled:
//! identity, CTRL_REG1 to 6, output registers, auto-increment, the FIFO in bypass and stream mode with watermark and overrun,
//! clipping at the range, ten bits of normal mode; a bus that is stuck, another part in its place, a dip of the supply.
//! Absent: the other FIFO modes, interrupts on movement, self-test, temperature, noise.

use core::cell::RefCell;

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress};
use heapless::Deque;

const WHO_AM_I: u8 = 0x0f;
const CTRL_REG1: u8 = 0x20;
const CTRL_REG3: u8 = 0x22;
const CTRL_REG4: u8 = 0x23;
const CTRL_REG5: u8 = 0x24;
const OUT_X_L: u8 = 0x28;
const OUT_Z_H: u8 = 0x2d;
const FIFO_CTRL_REG: u8 = 0x2e;
const FIFO_SRC_REG: u8 = 0x2f;
const REGISTERS: usize = 0x40;
const FIFO_SAMPLES: usize = 32;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// It does not answer to its address.
    Absent,
    /// Somebody holds the bus: every transfer fails.
    Stuck,
    /// The bus answers these bytes to everything.
    Floating(u8),
    /// Another part answers, which names itself so.
    Another(u8),
}

/// The part.
#[derive(Debug, Clone)]
pub struct Lis2dh12 {
    address: u8,
    registers: [u8; REGISTERS],
    fifo: Deque<[i16; 3], FIFO_SAMPLES>,
    has_overrun: bool,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// Transfers so far, of whatever kind.
    pub transfers: u32,
}

impl Lis2dh12 {
    /// Just powered, at that address.
    pub fn new(address: u8) -> Self {
        let mut part = Self {
            address,
            registers: [0; REGISTERS],
            fifo: Deque::new(),
            has_overrun: false,
            wrong: Wrong::Nothing,
            transfers: 0,
        };
        part.cut_power();
        part
    }

    /// The supply dips: everything is as after power-on, in power-down.
    pub fn cut_power(&mut self) {
        self.registers = [0; REGISTERS];
        self.registers[usize::from(CTRL_REG1)] = 0x07;
        (self.fifo, self.has_overrun) = (Deque::new(), false);
    }

    /// Samples a second, as it was told; 0: power-down or a rate that is not modelled.
    pub fn rate_hz(&self) -> u32 {
        match self.control(CTRL_REG1) >> 4 {
            1 => 1,
            2 => 10,
            3 => 25,
            4 => 50,
            5 => 100,
            6 => 200,
            7 => 400,
            _ => 0,
        }
    }

    /// One of its sampling times: it feels this, in thousandths of g. To be called [`Lis2dh12::rate_hz`] times a second.
    pub fn feel(&mut self, mg: [i32; 3]) {
        if self.rate_hz() == 0 {
            return;
        }
        let step_mg = [4, 8, 16, 48][usize::from(self.control(CTRL_REG4) >> 4 & 3)];
        let sample = mg.map(|mg| ((mg / step_mg).clamp(-512, 511) as i16) << 6);
        for (axis, value) in sample.iter().enumerate() {
            let place = usize::from(OUT_X_L) + 2 * axis;
            self.registers[place..place + 2].copy_from_slice(&value.to_le_bytes());
        }
        if !self.streams() {
            return;
        }
        if self.fifo.is_full() {
            self.fifo.pop_front();
        }
        // There is room: one was taken out.
        let _ = self.fifo.push_back(sample);
        self.has_overrun = self.fifo.is_full();
    }

    /// The level of pin INT1: the watermark, where it was routed there.
    pub fn int1(&self) -> bool {
        self.control(CTRL_REG3) & 0x04 != 0 && self.source() & 0x80 != 0
    }

    fn control(&self, register: u8) -> u8 {
        self.registers[usize::from(register)]
    }

    /// FIFO_EN, and stream mode.
    fn streams(&self) -> bool {
        self.control(CTRL_REG5) & 0x40 != 0 && self.control(FIFO_CTRL_REG) >> 6 == 0b10
    }

    fn source(&self) -> u8 {
        let waiting = self.fifo.len() as u8;
        let is_over = self.streams() && waiting >= self.control(FIFO_CTRL_REG) & 0x1f;
        u8::from(is_over) << 7 | u8::from(self.has_overrun) << 6 | u8::from(waiting == 0) << 5 | waiting.min(31)
    }

    fn read(&mut self, register: u8) -> u8 {
        match (self.wrong, register) {
            (Wrong::Another(name), WHO_AM_I) => name,
            (_, WHO_AM_I) => 0x33,
            (_, FIFO_SRC_REG) => self.source(),
            (_, OUT_X_L..=OUT_Z_H) if self.streams() => {
                let place = usize::from(register - OUT_X_L);
                let byte = self.fifo.front().map_or(0, |sample| sample[place / 2].to_le_bytes()[place % 2]);
                if register == OUT_Z_H {
                    self.fifo.pop_front();
                    self.has_overrun = false;
                }
                byte
            }
            _ => self.control(register),
        }
    }

    fn write(&mut self, register: u8, byte: u8) {
        let is_writable = matches!(register, CTRL_REG1..=0x25 | FIFO_CTRL_REG);
        if is_writable {
            self.registers[usize::from(register)] = byte;
        }
        // Bypass mode empties it.
        if !self.streams() {
            (self.fifo, self.has_overrun) = (Deque::new(), false);
        }
    }

    /// The register after that one.
    fn next(&self, register: u8) -> u8 {
        match register {
            OUT_Z_H if self.streams() => OUT_X_L,
            _ => (register + 1) % REGISTERS as u8,
        }
    }

    fn transfer(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusFault> {
        self.transfers = self.transfers.saturating_add(1);
        match self.wrong {
            Wrong::Stuck => return Err(BusFault::Held),
            Wrong::Absent => return Err(BusFault::Nobody),
            Wrong::Floating(byte) => {
                for operation in operations {
                    if let Operation::Read(bytes) = operation {
                        bytes.fill(byte);
                    }
                }
                return Ok(());
            }
            Wrong::Nothing | Wrong::Another(_) if address != self.address => return Err(BusFault::Nobody),
            Wrong::Nothing | Wrong::Another(_) => {}
        }
        let (mut register, mut goes_on) = (0, false);
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    let Some((first, bytes)) = bytes.split_first() else { continue };
                    (register, goes_on) = (first & 0x7f & (REGISTERS as u8 - 1), first & 0x80 != 0);
                    for byte in bytes {
                        self.write(register, *byte);
                        register = if goes_on { self.next(register) } else { register };
                    }
                }
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.read(register);
                        register = if goes_on { self.next(register) } else { register };
                    }
                }
            }
        }
        Ok(())
    }
}

/// A transfer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusFault {
    /// Somebody holds the bus.
    Held,
    /// Nobody answers to the address.
    Nobody,
}

impl Error for BusFault {
    fn kind(&self) -> ErrorKind {
        match self {
            BusFault::Held => ErrorKind::Bus,
            BusFault::Nobody => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
        }
    }
}

/// The bus with the part on it. The device holds the bus, the world holds the part.
#[derive(Debug, Clone, Copy)]
pub struct Bus<'a>(pub &'a RefCell<Lis2dh12>);

impl ErrorType for Bus<'_> {
    type Error = BusFault;
}

impl I2c<SevenBitAddress> for Bus<'_> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusFault> {
        self.0.borrow_mut().transfer(address, operations)
    }
}
