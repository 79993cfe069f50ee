//! ST LIS2DH12, an accelerometer on I2C.
//!
//! Enters: the bus, the time. Leaves: samples in thousandths of g. Source of every register and figure: the data sheet
//! (DocID025056): bus in section 6.1, FIFO in section 5.1, registers in sections 7 and 8, sensitivities in table 4 for the
//! normal mode of ten bits.
//!
//! The part samples by itself into its FIFO; the device sleeps and empties it some times a second, and the watermark on pin
//! INT1 wakes it should it be late. Invariants: one that does not answer, is another part, forgot what it was told (a dip of
//! its supply) or feels no weight for seconds is not believed: it is set up anew, again and again, and its silence is told.

use embedded_hal::i2c::I2c;

use crate::Now;
use crate::motion::{Accelerometer, Felt, Sample, Silent};

/// Its address with pin SA0 high; 0x18 with SA0 low.
pub const ADDRESS: u8 = 0x19;

const WHO_AM_I: u8 = 0x0f;
const CTRL_REG1: u8 = 0x20;
const FIFO_CTRL_REG: u8 = 0x2e;
const FIFO_SRC_REG: u8 = 0x2f;
const OUT_X_L: u8 = 0x28;
/// In the register's number: the next ones follow. With the FIFO on, the one after OUT_Z_H is OUT_X_L again.
const AND_ON: u8 = 0x80;

/// What WHO_AM_I answers.
const ME: u8 = 0x33;
/// CTRL_REG1: all three axes.
const AXES: u8 = 0x07;
/// CTRL_REG3: the watermark on INT1.
const I1_WTM: u8 = 0x04;
/// CTRL_REG4: a sample's two bytes belong together.
const BDU: u8 = 0x80;
/// CTRL_REG5.
const FIFO_EN: u8 = 0x40;
/// FIFO_CTRL_REG: the newest sample takes the place of the oldest.
const STREAM: u8 = 0x80;
/// FIFO_SRC_REG: it is full, and samples may be missing.
const OVRN_FIFO: u8 = 0x40;
/// FIFO_SRC_REG: how many samples wait.
const FSS: u8 = 0x1f;

const FIFO_SAMPLES: usize = 32;
const SAMPLE_BYTES: usize = 6;

/// After so many samples it is emptied. The part's clock may be a tenth fast: 22 of 32. Source: our choice.
const EMPTIED_SAMPLES: u32 = 20;
/// After so many samples it wakes the device by itself.
const WATERMARK: u8 = 26;

/// Between two tries to bring it back, milliseconds. Source: our choice.
const RETRY_MS: u64 = 100;
/// Tries before its silence is told: a disturbed transfer is none. From then on it is tried every [`TOLD_RETRY_MS`].
const TRIES: u8 = 3;
/// Between two tries when its silence has been told, milliseconds.
const TOLD_RETRY_MS: u64 = 10_000;

/// Without a sample for this time it has forgotten that it is to sample, milliseconds.
const EMPTY_MS_MAX: u64 = 1_000;

/// Felt weight is never less for longer than [`WEIGHTLESS_S_MAX`]: a bus that answers zeros is no fall of 20 metres.
const WEIGHT_MG_MIN: u16 = 100;
/// Seconds of weightlessness that are believed.
const WEIGHTLESS_S_MAX: u32 = 2;

/// What it can feel at most, on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 2 g in steps of 4 mg: for a mattress.
    G2,
    /// 8 g in steps of 16 mg: for falls.
    G8,
    /// 16 g in steps of 48 mg.
    G16,
}

impl Range {
    /// CTRL_REG4, bits FS.
    const fn bits(self) -> u8 {
        match self {
            Range::G2 => 0x00,
            Range::G8 => 0x20,
            Range::G16 => 0x30,
        }
    }

    /// Thousandths of g for each of the ten bits' steps.
    const fn mg(self) -> i16 {
        match self {
            Range::G2 => 4,
            Range::G8 => 16,
            Range::G16 => 48,
        }
    }
}

/// The part on its bus, with 50 or 100 samples a second (11 and 20 µA by the data sheet).
#[derive(Debug)]
pub struct Lis2dh12<I, const RATE_HZ: u32> {
    i2c: I,
    address: u8,
    range: Range,
    state: State,
    /// Tries that failed one after the other.
    failed: u8,
    /// Samples without weight, one after the other.
    weightless: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be set up, from that time on.
    Off { due_ms: u64 },
    /// Samples. When it was emptied last, and when a sample came last.
    On { emptied_ms: u64, sample_ms: u64 },
}

impl<I: I2c, const RATE_HZ: u32> Lis2dh12<I, RATE_HZ> {
    /// CTRL_REG1, bits ODR.
    const ODR: u8 = match RATE_HZ {
        50 => 0x40,
        100 => 0x50,
        _ => panic!("this driver samples 50 or 100 times a second"),
    };

    /// The part at [`ADDRESS`]. Nothing is sent yet.
    pub const fn new(i2c: I, range: Range) -> Self {
        Self::at(i2c, ADDRESS, range)
    }

    /// The part at another address.
    pub const fn at(i2c: I, address: u8, range: Range) -> Self {
        Self { i2c, address, range, state: State::Off { due_ms: 0 }, failed: 0, weightless: 0 }
    }

    /// Gives the bus back.
    pub fn into_bus(self) -> I {
        self.i2c
    }

    /// CTRL_REG1 to CTRL_REG6.
    fn controls(&self) -> [u8; 6] {
        [Self::ODR | AXES, 0, I1_WTM, BDU | self.range.bits(), FIFO_EN, 0]
    }

    fn set_up(&mut self) -> Result<(), Silent> {
        if self.read::<1>(WHO_AM_I)? != [ME] {
            return Err(Silent);
        }
        let [ctrl1, ctrl2, ctrl3, ctrl4, ctrl5, ctrl6] = self.controls();
        // It samples last of all, into a FIFO that was emptied by turning it off.
        self.write(&[CTRL_REG1 | AND_ON, 0, ctrl2, ctrl3, ctrl4, ctrl5, ctrl6])?;
        self.write(&[FIFO_CTRL_REG, 0])?;
        self.write(&[FIFO_CTRL_REG, STREAM | WATERMARK])?;
        self.write(&[CTRL_REG1, ctrl1])?;
        if self.read::<6>(CTRL_REG1 | AND_ON)? == self.controls() { Ok(()) } else { Err(Silent) }
    }

    /// Reads what waits. Returns how many samples that were.
    fn empty(&mut self, each: &mut dyn FnMut(Felt)) -> Result<usize, Silent> {
        let [source] = self.read(FIFO_SRC_REG)?;
        let is_full = source & OVRN_FIFO != 0;
        let count = if is_full { FIFO_SAMPLES } else { usize::from(source & FSS) };
        if count == 0 {
            return Ok(0);
        }
        let mut bytes = [0; FIFO_SAMPLES * SAMPLE_BYTES];
        let bytes = &mut bytes[..count * SAMPLE_BYTES];
        self.i2c.write_read(self.address, &[OUT_X_L | AND_ON], bytes).map_err(|_| Silent)?;
        if is_full {
            each(Felt::Gap);
        }
        for sample in bytes.chunks_exact(SAMPLE_BYTES) {
            let mut mg: Sample = [0; 3];
            for (axis, bytes) in mg.iter_mut().zip(sample.chunks_exact(2)) {
                // Ten bits, at the upper end of sixteen.
                *axis = (i16::from_le_bytes([bytes[0], bytes[1]]) >> 6) * self.range.mg();
            }
            let is_weightless = mg.iter().all(|axis| axis.unsigned_abs() < WEIGHT_MG_MIN);
            self.weightless = if is_weightless { self.weightless + 1 } else { 0 };
            if self.weightless > WEIGHTLESS_S_MAX * RATE_HZ {
                return Err(Silent);
            }
            each(Felt::Sample(mg));
        }
        Ok(count)
    }

    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Silent> {
        let mut bytes = [0; N];
        self.i2c.write_read(self.address, &[register], &mut bytes).map_err(|_| Silent)?;
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Silent> {
        self.i2c.write(self.address, bytes).map_err(|_| Silent)
    }

    const fn emptied_interval_ms() -> u64 {
        (EMPTIED_SAMPLES * 1_000 / RATE_HZ) as u64
    }
}

impl<I: I2c, const RATE_HZ: u32> Accelerometer for Lis2dh12<I, RATE_HZ> {
    const RATE_HZ: u32 = RATE_HZ;

    fn feel(&mut self, now: Now, each: &mut dyn FnMut(Felt)) -> Result<(), Silent> {
        let result = match self.state {
            State::Off { due_ms } if now.uptime_ms < due_ms => return self.told(),
            State::Off { .. } => self.set_up().map(|()| {
                each(Felt::Gap);
                self.weightless = 0;
                State::On { emptied_ms: now.uptime_ms, sample_ms: now.uptime_ms }
            }),
            State::On { emptied_ms, .. } if now.since(emptied_ms) < Self::emptied_interval_ms() => return self.told(),
            State::On { sample_ms, .. } => self.empty(each).and_then(|count| {
                let sample_ms = if count > 0 { now.uptime_ms } else { sample_ms };
                if now.since(sample_ms) > EMPTY_MS_MAX {
                    return Err(Silent);
                }
                // Only samples prove that it works: one that merely answers stays told.
                if count > 0 {
                    self.failed = 0;
                }
                Ok(State::On { emptied_ms: now.uptime_ms, sample_ms })
            }),
        };
        self.state = result.unwrap_or_else(|Silent| {
            self.failed = self.failed.saturating_add(1);
            let retry_ms = if self.failed < TRIES { RETRY_MS } else { TOLD_RETRY_MS };
            State::Off { due_ms: now.uptime_ms + retry_ms }
        });
        self.told()
    }

    fn rest_ms(&self, now: Now) -> u64 {
        let due_ms = match self.state {
            State::Off { due_ms } => due_ms,
            State::On { emptied_ms, .. } => emptied_ms + Self::emptied_interval_ms(),
        };
        due_ms.saturating_sub(now.uptime_ms)
    }
}

impl<I, const RATE_HZ: u32> Lis2dh12<I, RATE_HZ> {
    fn told(&self) -> Result<(), Silent> {
        if self.failed < TRIES { Ok(()) } else { Err(Silent) }
    }
}
