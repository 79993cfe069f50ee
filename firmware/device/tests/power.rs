//! Battery and mains: a burst is not empty, low is told once, the last gasp is heard; and how long each role lasts.

mod bench;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use bench::Bench;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use proptest::prelude::*;
use vaka_device::power::{
    Battery, Curve, GASP_MS, GuardError, Guarded, MAINS_BACK_MS, MAINS_GONE_MS, MEASURE_MS, Power, Supply,
    UNMEASURED_MAX, Voltmeter, curve, duty,
};
use vaka_device::{Carried, Cx, Now, Role};
use vaka_protocol::{CommandMessage, Event};

/// Millivolts and mains that the test sets.
#[derive(Clone, Default)]
struct World {
    millivolts: Rc<Cell<Option<u16>>>,
    mains: Rc<Cell<bool>>,
}

impl Voltmeter for World {
    fn millivolts(&mut self) -> Option<u16> {
        self.millivolts.get()
    }
}

impl embedded_hal::digital::ErrorType for World {
    type Error = std::convert::Infallible;
}

impl embedded_hal::digital::InputPin for World {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Ok(self.mains.get())
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.mains.get())
    }
}

/// A role that does nothing.
struct Idle;

impl Role for Idle {
    fn pass(&mut self, _cx: &mut Cx<'_>) {}

    fn carry_out(&mut self, _message: &CommandMessage, _cx: &mut Cx<'_>) -> Carried {
        Carried::NotMine
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        u64::MAX
    }
}

type Powered = Bench<(Power<World, World>, Idle)>;

fn device(supply: Supply, curve: &'static Curve, millivolts: u16) -> (Powered, World, &'static AtomicBool) {
    let world = World::default();
    world.millivolts.set(Some(millivolts));
    world.mains.set(true);
    let is_safe: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(true)));
    let power = Power::new(world.clone(), world.clone(), supply, curve, is_safe);
    (Bench::new((power, Idle), None), world, is_safe)
}

fn battery(percent: u8, low: bool) -> Event {
    Event::Battery { percent: Some(percent), low }
}

const CURVES: [&Curve; 5] =
    [&curve::CR2032, &curve::LI_SOCL2, &curve::ALKALINE_PAIR, &curve::LIPO, &curve::CAPACITOR_5V];

#[test]
fn a_curve_goes_through_its_points_and_is_straight_between_them() {
    for curve in CURVES {
        for (millivolts, percent) in curve.points {
            assert_eq!(curve.percent(*millivolts), *percent, "{} at {millivolts} mV", curve.name);
        }
        assert_eq!((curve.percent(u16::MAX), curve.percent(0)), (100, 0), "{}", curve.name);
        assert!(curve.gasp_mv < curve.erase_mv, "{}: nothing is erased by a device that is about to go", curve.name);
    }
    assert_eq!(curve::CR2032.percent(2_960), 90);
    assert_eq!(curve::LIPO.percent(3_425), 2);
}

#[test]
fn ten_percent_are_news_and_low_is_told_once_until_it_is_over() {
    let (mut bench, world, _) = device(Supply::Battery, &curve::CR2032, 3_000);
    bench.run(MEASURE_MS * 10);
    assert_eq!(bench.events(), [battery(100, false)]);
    let told = |bench: &mut Powered, millivolts| {
        world.millivolts.set(Some(millivolts));
        bench.run(MEASURE_MS * 10);
        bench.events()
    };
    assert_eq!(told(&mut bench, 2_970), [], "92 %");
    assert_eq!(told(&mut bench, 2_960), [battery(90, false)]);
    assert_eq!(told(&mut bench, 2_680), [battery(18, false)]);
    assert_eq!(told(&mut bench, 2_630), [battery(15, true)], "low is told though it is no step");
    assert_eq!(told(&mut bench, 2_690), [], "19 %: still low");
    assert_eq!(told(&mut bench, 2_630), []);
    assert_eq!(told(&mut bench, 3_000), [battery(100, false)], "changed");
}

#[test]
fn a_burst_of_the_radio_does_not_read_as_empty() {
    let (mut bench, world, is_safe) = device(Supply::Battery, &curve::CR2032, 3_000);
    bench.run(MEASURE_MS * 2);
    bench.events();
    for _ in 0..50 {
        world.millivolts.set(Some(1_900));
        bench.run(GASP_MS - 20);
        world.millivolts.set(Some(3_000));
        bench.run(MEASURE_MS * 3);
    }
    assert_eq!(bench.events(), []);
    assert!(is_safe.load(Ordering::Relaxed));
}

#[test]
fn the_last_gasp_is_told_once_and_nothing_is_erased_in_it() {
    let (mut bench, world, is_safe) = device(Supply::Battery, &curve::CR2032, 3_000);
    bench.run(MEASURE_MS);
    bench.events();
    let mut flash = Guarded::new(Erasable, is_safe);
    assert_eq!(flash.erase(0, 4_096), Ok(()));
    world.millivolts.set(Some(2_100));
    bench.run(MEASURE_MS);
    assert_eq!(flash.erase(0, 4_096), Err(GuardError::Weak), "too weak for an erase before it is the last gasp");
    assert_eq!(flash.write(0, &[0]), Ok(()), "the last events are written");
    world.millivolts.set(Some(2_000));
    bench.run(MEASURE_MS + GASP_MS + 100);
    assert_eq!(bench.events(), [battery(0, true)]);
    assert!(bench.device.role.0.is_gasping());
    assert!(bench.device.role.is_busy(), "no update now");
    world.millivolts.set(Some(2_300));
    bench.run(MEASURE_MS * 20);
    assert_eq!(bench.events(), [], "it recovered a little because nothing is drawn");
    world.millivolts.set(Some(2_980));
    bench.run(MEASURE_MS * 20);
    assert_eq!(bench.events().last(), Some(&battery(95, false)));
    assert!(!bench.device.role.is_busy());
    assert_eq!(flash.erase(0, 4_096), Ok(()));
}

#[test]
fn mains_is_debounced_and_there_at_boot_is_no_news() {
    let (mut bench, world, _) = device(Supply::MainsAndBattery, &curve::LIPO, 4_150);
    bench.run(10_000);
    assert_eq!(bench.events(), [battery(100, false)]);
    world.mains.set(false);
    bench.run(MAINS_GONE_MS - 100);
    world.mains.set(true);
    bench.run(10_000);
    assert_eq!(bench.events(), [], "a flicker");
    world.mains.set(false);
    bench.run(MAINS_GONE_MS + 1_000);
    assert_eq!(bench.events(), [Event::Mains { on: false }]);
    for _ in 0..10 {
        world.mains.set(true);
        bench.run(MAINS_BACK_MS - 500);
        world.mains.set(false);
        bench.run(500);
    }
    assert_eq!(bench.events(), [], "it comes and goes");
    world.mains.set(true);
    bench.run(MAINS_BACK_MS + 1_000);
    assert_eq!(bench.events(), [Event::Mains { on: true }]);
}

#[test]
fn a_boot_without_mains_is_told() {
    let (mut bench, world, _) = device(Supply::MainsAndBattery, &curve::LIPO, 4_150);
    world.mains.set(false);
    let is_safe: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(true)));
    bench = bench.cut((Power::new(world.clone(), world, Supply::MainsAndBattery, &curve::LIPO, is_safe), Idle));
    bench.run(10_000);
    assert!(bench.events().contains(&Event::Mains { on: false }));
}

#[test]
fn on_a_capacitor_mains_gone_is_the_last_gasp() {
    let (mut bench, world, is_safe) = device(Supply::MainsAndCapacitor, &curve::CAPACITOR_5V, 5_000);
    bench.run(10_000);
    assert_eq!(bench.events(), []);
    world.mains.set(false);
    // What the pin's interrupt does at once, the bench does within a look.
    bench.run(400);
    assert_eq!(bench.events(), [Event::Mains { on: false }, battery(0, true)]);
    assert!(!is_safe.load(Ordering::Relaxed));
    world.mains.set(true);
    bench.run(MAINS_BACK_MS + MEASURE_MS);
    assert_eq!(bench.events(), [Event::Mains { on: true }, Event::Battery { percent: None, low: false }]);
    assert!(is_safe.load(Ordering::Relaxed));
}

#[test]
fn a_voltmeter_that_says_nothing_is_a_fault_and_not_a_good_battery() {
    let (mut bench, world, _) = device(Supply::Battery, &curve::LI_SOCL2, 3_600);
    bench.run(MEASURE_MS);
    bench.events();
    world.millivolts.set(None);
    bench.run(MEASURE_MS * u64::from(UNMEASURED_MAX + 3));
    assert_eq!(bench.events(), [Event::Fault { part: "voltmeter".into(), active: true }]);
    world.millivolts.set(Some(3_600));
    bench.run(MEASURE_MS * 2);
    assert_eq!(bench.events(), [Event::Fault { part: "voltmeter".into(), active: false }]);
}

#[test]
fn every_role_lasts_as_long_as_we_say() {
    println!("| role | state | nA | ms | a day | µA·s a day |\n|---|---|---|---|---|---|");
    for life in duty::LIVES {
        for used in life.uses {
            let charge = used.uas_per_day();
            println!("| {} | {} | {} | {} | {} | {charge} |", life.role, used.name, used.na, used.ms, used.times);
        }
    }
    println!("\n| role | battery | µA·s a day | own loss | days | stated |\n|---|---|---|---|---|---|");
    for life in duty::LIVES {
        let (charge, loss, days) = (life.uas_per_day(), life.cell.loss_uas_per_day(), life.days());
        println!("| {} | {} | {charge} | {loss} | {days} | {} |", life.role, life.cell.name, life.stated_days);
        assert!(days >= life.stated_days, "{}: {days} days", life.role);
        assert!(days < life.stated_days * 2, "{}: {days} days; say so", life.role);
    }
}

#[test]
fn the_model_adds_up() {
    let used = duty::Use { name: "1 mA for 1 s, 10 times", na: 1_000_000, ms: 1_000, times: 10 };
    assert_eq!(used.uas_per_day(), 10_000);
    assert_eq!(duty::CR2032.usable_uas(), 225 * 3_600 * 1_000 * 80 / 100);
}

proptest! {
    #[test]
    fn more_volts_are_never_less_charge(which in 0..CURVES.len(), millivolts in 0u16..5_500, more in 0u16..500) {
        prop_assert!(CURVES[which].percent(millivolts) <= CURVES[which].percent(millivolts + more));
    }

    /// Whatever is measured: low and not low alternate, and two tellings differ.
    #[test]
    fn nothing_is_told_twice(volts in prop::collection::vec(1_800u16..3_100, 1..300)) {
        let mut battery = Battery::new(&curve::CR2032);
        let mut last = None;
        for (number, millivolts) in volts.into_iter().enumerate() {
            if let Some(told) = battery.measured(millivolts, number as u64 * 50) {
                prop_assert_ne!(last.as_ref(), Some(&told));
                last = Some(told);
            }
        }
    }
}

/// A flash that does what it is told.
struct Erasable;

impl embedded_storage::nor_flash::ErrorType for Erasable {
    type Error = std::convert::Infallible;
}

impl ReadNorFlash for Erasable {
    const READ_SIZE: usize = 1;

    fn read(&mut self, _offset: u32, _bytes: &mut [u8]) -> Result<(), Self::Error> {
        Ok(())
    }

    fn capacity(&self) -> usize {
        4_096
    }
}

impl NorFlash for Erasable {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 4_096;

    fn erase(&mut self, _from: u32, _to: u32) -> Result<(), Self::Error> {
        Ok(())
    }

    fn write(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
}
