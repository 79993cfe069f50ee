//! The clock chip: its traffic, what is trusted, and what happens when the power goes while it is set.

use std::cell::RefCell;

use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use proptest::prelude::*;
use vaka_device::part::rtc::{ADDRESS, Pcf8563, Untrusted, YEAR_MAX, YEAR_MIN};
use vaka_parts::rtc::{Bus, Pcf8563 as Chip};

/// 2026-11-22T07:08:09Z, a Sunday.
const AT: i64 = 1_795_331_289_000;
const REGISTERS: [u8; 7] = [0x09, 0x08, 0x07, 0x22, 0x00, 0x11, 0x26];
const DAY_MS: i64 = 86_400_000;

fn reads(registers: [u8; 9]) -> Result<i64, Untrusted<embedded_hal::i2c::ErrorKind>> {
    let mut bus = Mock::new(&[Transaction::write_read(ADDRESS, vec![0x00], registers.to_vec())]);
    let read = Pcf8563::new(bus.clone()).read();
    bus.done();
    read
}

#[test]
fn the_time_is_read_in_one_access_and_set_while_stopped() {
    let mut all = vec![0x00, 0x00];
    all.extend(REGISTERS);
    let mut set = vec![0x02];
    set.extend(REGISTERS);
    let mut bus = Mock::new(&[
        Transaction::write(ADDRESS, vec![0x00, 0x20]),
        Transaction::write(ADDRESS, set),
        Transaction::write(ADDRESS, vec![0x00, 0x00]),
        Transaction::write_read(ADDRESS, vec![0x00], all),
    ]);
    let mut chip = Pcf8563::new(bus.clone());
    chip.set(AT + 987).unwrap();
    assert_eq!(chip.read(), Ok(AT));
    bus.done();
}

#[test]
fn what_is_not_certain_is_no_time() {
    let good = [0x00, 0x00, 0x09, 0x08, 0x07, 0x22, 0x00, 0x11, 0x26];
    assert_eq!(reads(good), Ok(AT));
    let with = |place: usize, value: u8| {
        let mut registers = good;
        registers[place] = value;
        reads(registers)
    };
    assert_eq!(with(2, 0x89), Err(Untrusted::LowVoltage));
    assert_eq!(with(0, 0x20), Err(Untrusted::Stopped));
    assert_eq!(with(0, 0x80), Err(Untrusted::Stopped));
    for (place, value) in [
        (2, 0x0a),
        (2, 0x60),
        (3, 0x60),
        (3, 0x5f),
        (4, 0x24),
        (5, 0x00),
        (5, 0x32),
        (5, 0x31),
        (7, 0x00),
        (7, 0x13),
        (7, 0x91),
        (8, 0x25),
        (8, 0xa0),
    ] {
        assert_eq!(with(place, value), Err(Untrusted::NoTime), "register {place} {value:#04x}");
    }
    // Unused bits may be anything (tables 10 to 15).
    assert_eq!(reads([0x08, 0xff, 0x09, 0x88, 0xc7, 0xe2, 0xf8, 0x71, 0x26]), Ok(AT));
    let failing = [Transaction::write(ADDRESS, vec![0x00, 0x20]).with_error(embedded_hal::i2c::ErrorKind::Bus)];
    let mut bus = Mock::new(&failing);
    assert!(matches!(Pcf8563::new(bus.clone()).set(AT), Err(Untrusted::Bus(_))));
    assert_eq!(Pcf8563::new(bus.clone()).set(0), Err(Untrusted::NoTime), "nothing is written");
    bus.done();
}

#[test]
fn the_model_counts_as_the_calendar_does() {
    let chip = RefCell::new(Chip::new());
    let mut driver = Pcf8563::new(Bus(&chip));
    assert_eq!(driver.read(), Err(Untrusted::LowVoltage), "after its first power-up");
    // From Christmas 2027 over the new year and the leap day.
    let mut at = 1_829_692_800_000;
    driver.set(at).unwrap();
    for _ in 0..80 {
        chip.borrow_mut().advance(DAY_MS as u64);
        at += DAY_MS;
        assert_eq!(driver.read(), Ok(at));
    }
    chip.borrow_mut().oscillate(false);
    chip.borrow_mut().oscillate(true);
    assert_eq!(driver.read(), Err(Untrusted::LowVoltage));
    driver.set(at).unwrap();
    chip.borrow_mut().fail(1);
    assert!(matches!(driver.read(), Err(Untrusted::Bus(_))));
    assert_eq!(driver.read(), Ok(at));
    chip.borrow_mut().lose_power();
    assert_eq!(driver.read(), Err(Untrusted::LowVoltage));
}

proptest! {
    #[test]
    fn what_is_set_is_read(seconds in 1_767_225_600i64..4_102_444_800, ms in 0i64..1_000) {
        let chip = RefCell::new(Chip::new());
        let mut driver = Pcf8563::new(Bus(&chip));
        driver.set(seconds * 1_000 + ms).unwrap();
        prop_assert_eq!(driver.read(), Ok(seconds * 1_000));
        prop_assert!(driver.set((i64::from(YEAR_MAX) - 1969) * 366 * DAY_MS).is_err());
        prop_assert!(driver.set((i64::from(YEAR_MIN) - 1970) * 365 * DAY_MS - 8 * DAY_MS).is_err());
    }

    #[test]
    fn half_set_is_never_another_time(from in 0i64..2_300_000_000, to in 0i64..2_300_000_000, bytes in 0u32..=9) {
        let chip = RefCell::new(Chip::new());
        let mut driver = Pcf8563::new(Bus(&chip));
        let at = |seconds: i64| (1_767_225_600 + seconds) * 1_000;
        driver.set(at(from)).unwrap();
        chip.borrow_mut().cut_after(Some(bytes));
        let _ = driver.set(at(to));
        chip.borrow_mut().cut_after(None);
        match driver.read() {
            Ok(read) => prop_assert_eq!(read, at(if bytes == 0 { from } else { to })),
            Err(why) => prop_assert_eq!(why, Untrusted::Stopped),
        }
    }

    #[test]
    fn any_registers_are_a_time_or_a_reason(registers: [u8; 9]) {
        if let Ok(at) = reads(registers) {
            prop_assert!((1_767_225_600_000..4_102_444_800_000).contains(&at));
        }
    }
}
