//! The real-time clock NXP PCF8563 over I2C. Registers by its data sheet, Rev. 10 (April 2012); sections in brackets.
//!
//! Enters: the time to set, UTC. Leaves: the time, or why it is not to be trusted. Invariants: all time registers are
//! read and written in one access, during which the chip stops counting (§8.5), so no time is torn; a time that was half
//! written when the power went is never read as one, since the clock stays stopped until all of it is there.

use embedded_hal::i2c::I2c;

/// Its address on the bus, 7 bits (§9.5: A2h to write, A3h to read).
pub const ADDRESS: u8 = 0x51;

/// The years that count as a time, from this one on: before it there was no such device.
pub const YEAR_MIN: u16 = 2026;

/// The last year that counts: the chip's bit for the century stays 0 until then (§8.4.6).
pub const YEAR_MAX: u16 = 2099;

/// Control_status_1 (§8.3.1).
const CONTROL: u8 = 0x00;
/// VL_seconds (§8.4.1), the first of seven time registers.
const SECONDS: u8 = 0x02;
/// Control_status_1: bit TEST1 (external clock) and bit STOP. With either the chip does not count by itself.
const NOT_RUNNING: u8 = 0xa0;
/// Control_status_1: bit STOP.
const STOP: u8 = 0x20;
/// VL_seconds: the integrity of the clock information is not guaranteed (table 8).
const LOW_VOLTAGE: u8 = 0x80;
/// Century_months: bit C (table 15).
const CENTURY: u8 = 0x80;

const DAY_MS: i64 = 86_400_000;

/// Why there is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted<E> {
    /// The chip does not answer.
    #[error("the clock chip does not answer on its bus; check its wiring")]
    Bus(E),
    /// It has been without power, or its crystal stood still, since it was set.
    #[error("the clock chip lost its power or its crystal; set the time and check its cell")]
    LowVoltage,
    /// It is stopped: the power went while it was set.
    #[error("the clock chip is stopped; set the time")]
    Stopped,
    /// What it holds is no time of [`YEAR_MIN`] to [`YEAR_MAX`].
    #[error("what the clock chip holds is no time; set the time")]
    NoTime,
}

/// The chip.
#[derive(Debug)]
pub struct Pcf8563<B> {
    bus: B,
}

impl<B: I2c> Pcf8563<B> {
    /// The chip on that bus.
    pub fn new(bus: B) -> Self {
        Self { bus }
    }

    /// The time, UTC milliseconds since 1970, in whole seconds.
    ///
    /// # Errors
    /// The time is not to be trusted.
    pub fn read(&mut self) -> Result<i64, Untrusted<B::Error>> {
        let mut read = [0; 9];
        self.bus.write_read(ADDRESS, &[CONTROL], &mut read).map_err(Untrusted::Bus)?;
        let [control, _, seconds, minutes, hours, days, _, months, years] = read;
        if seconds & LOW_VOLTAGE != 0 {
            return Err(Untrusted::LowVoltage);
        }
        if control & NOT_RUNNING != 0 {
            return Err(Untrusted::Stopped);
        }
        // Bits that the tables call unused are not looked at.
        let fields = [
            (seconds & 0x7f, 0, 59),
            (minutes & 0x7f, 0, 59),
            (hours & 0x3f, 0, 23),
            (days & 0x3f, 1, 31),
            (months & 0x1f, 1, 12),
            (years, 0, 99),
        ];
        let mut values = [0; 6];
        for (value, (bcd, min, max)) in values.iter_mut().zip(fields) {
            *value = from_bcd(bcd).filter(|read| (min..=max).contains(read)).ok_or(Untrusted::NoTime)?;
        }
        let [second, minute, hour, day, month, year] = values.map(i64::from);
        let year = 2000 + year;
        let is_of_ours = months & CENTURY == 0 && (i64::from(YEAR_MIN)..=i64::from(YEAR_MAX)).contains(&year);
        if !is_of_ours || day > days_of(year, month) {
            return Err(Untrusted::NoTime);
        }
        Ok(days_since_1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000)
    }

    /// Sets the time, UTC milliseconds since 1970; what is below a second is cut off.
    ///
    /// # Errors
    /// The bus failed, or the time is not of [`YEAR_MIN`] to [`YEAR_MAX`]: then nothing was written.
    pub fn set(&mut self, at: i64) -> Result<(), Untrusted<B::Error>> {
        let days = at.div_euclid(DAY_MS);
        let (year, month, day) = date_of(days);
        if !(i64::from(YEAR_MIN)..=i64::from(YEAR_MAX)).contains(&year) {
            return Err(Untrusted::NoTime);
        }
        let seconds = at.rem_euclid(DAY_MS) / 1_000;
        // 1970 began on a Thursday, number 4 of table 14.
        let weekday = (days + 4).rem_euclid(7);
        let fields = [seconds % 60, seconds / 60 % 60, seconds / 3_600, day, weekday, month, year - 2000];
        let mut write = [SECONDS, 0, 0, 0, 0, 0, 0, 0];
        for (byte, value) in write[1..].iter_mut().zip(fields) {
            *byte = to_bcd(value);
        }
        // Stopped first: cut in the middle it stays stopped, and is not read as a time.
        self.bus.write(ADDRESS, &[CONTROL, STOP]).map_err(Untrusted::Bus)?;
        self.bus.write(ADDRESS, &write).map_err(Untrusted::Bus)?;
        self.bus.write(ADDRESS, &[CONTROL, 0]).map_err(Untrusted::Bus)
    }
}

fn from_bcd(value: u8) -> Option<u8> {
    (value & 0xf < 10 && value >> 4 < 10).then_some((value >> 4) * 10 + (value & 0xf))
}

/// `value`: 0 to 99.
fn to_bcd(value: i64) -> u8 {
    let value = value.rem_euclid(100) as u8;
    ((value / 10) << 4) | (value % 10)
}

fn is_leap(year: i64) -> bool {
    // As the chip counts (table 12); right from 1901 to 2099.
    year % 4 == 0
}

pub(crate) fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1 January 1970. `year`: 1970 to [`YEAR_MAX`].
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let years = year - 1970;
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    years * 365 + (years + 1) / 4 + months + day - 1
}

/// Year, month and day. Right from 1970 to [`YEAR_MAX`]; outside it the year is outside it too.
fn date_of(days: i64) -> (i64, i64, i64) {
    if days < 0 {
        return (0, 1, 1);
    }
    // Four years from 1 January 1969 on have 1,461 days, the leap day last but 306.
    let from_1969 = days.saturating_add(365);
    let year_of_four = (from_1969 % 1_461 / 365).min(3);
    let year = 1969 + from_1969 / 1_461 * 4 + year_of_four;
    let mut day = days - days_since_1970(year, 1, 1);
    let mut month = 1;
    while month < 12 && day >= days_of(year, month) {
        day -= days_of(year, month);
        month += 1;
    }
    (year, month, day + 1)
}
