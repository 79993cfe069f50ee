//! The accelerometer: its registers to the byte, samples in order, and what is done when it fails.

mod bench;
mod traces;

use std::cell::RefCell;

use bench::Bench;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use traces::{ON_BACK, Trace, UPRIGHT};
use vaka_device::motion::{Accelerometer, Felt, Sample};
use vaka_device::part::lis2dh12::{ADDRESS, Lis2dh12, Range};
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input, NoPin};
use vaka_device::{Now, Role};
use vaka_parts::accelerometer::{Bus, Lis2dh12 as Part, Wrong};
use vaka_protocol::Event;

fn felt<A: Accelerometer>(driver: &mut A, uptime_ms: u64) -> (Vec<Felt>, bool) {
    let mut felt = Vec::new();
    let works = driver.feel(Now::booted(uptime_ms), &mut |one| felt.push(one)).is_ok();
    (felt, works)
}

fn set_up(ctrl1: u8, ctrl4: u8) -> Vec<Transaction> {
    vec![
        Transaction::write_read(ADDRESS, vec![0x0f], vec![0x33]),
        Transaction::write(ADDRESS, vec![0xa0, 0x00, 0x00, 0x04, ctrl4, 0x40, 0x00]),
        Transaction::write(ADDRESS, vec![0x2e, 0x00]),
        Transaction::write(ADDRESS, vec![0x2e, 0x80 | 26]),
        Transaction::write(ADDRESS, vec![0x20, ctrl1]),
        Transaction::write_read(ADDRESS, vec![0xa0], vec![ctrl1, 0x00, 0x04, ctrl4, 0x40, 0x00]),
    ]
}

#[test]
fn it_is_set_up_and_read_as_the_data_sheet_says() {
    let mut expected = set_up(0x57, 0xa0);
    expected.extend([
        Transaction::write_read(ADDRESS, vec![0x2f], vec![0x02]),
        // 1 g is 62.5 steps of 16 mg, at the upper ten of sixteen bits: 62 and -1.
        Transaction::write_read(ADDRESS, vec![0xa8], vec![0, 0, 0x80, 0x0f, 0xc0, 0xff, 0xc0, 0x7f, 0, 0x80, 0, 0]),
    ]);
    let mut driver = Lis2dh12::<_, 100>::new(Mock::new(&expected), Range::G8);
    assert_eq!(felt(&mut driver, 0), (vec![Felt::Gap], true));
    assert_eq!(driver.rest_ms(Now::booted(0)), 200);
    // Not due: the bus is left alone.
    assert_eq!(felt(&mut driver, 199), (vec![], true));
    let samples = vec![Felt::Sample([0, 992, -16]), Felt::Sample([511 * 16, -512 * 16, 0])];
    assert_eq!(felt(&mut driver, 200), (samples, true));
    driver.into_bus().done();
    let mut driver = Lis2dh12::<_, 50>::new(Mock::new(&set_up(0x47, 0x80)), Range::G2);
    assert_eq!(felt(&mut driver, 0), (vec![Felt::Gap], true));
    assert_eq!(driver.rest_ms(Now::booted(0)), 400);
    driver.into_bus().done();
}

#[test]
fn samples_come_in_order_and_an_overrun_is_a_gap() {
    let part = RefCell::new(Part::new(ADDRESS));
    let mut driver = Lis2dh12::<_, 100>::new(Bus(&part), Range::G8);
    felt(&mut driver, 0);
    assert_eq!(part.borrow().rate_hz(), 100);
    let feel = |from: i32, to| (from..to).for_each(|count| part.borrow_mut().feel([count * 16, 992, 0]));
    let samples = |from: i16, to| (from..to).map(|count| Felt::Sample([count * 16, 992, 0])).collect::<Vec<_>>();
    feel(0, 25);
    assert!(!part.borrow().int1());
    feel(25, 26);
    assert!(part.borrow().int1(), "the watermark wakes the device");
    assert_eq!(felt(&mut driver, 260), (samples(0, 26), true));
    assert!(!part.borrow().int1());
    feel(26, 66);
    let (late, works) = felt(&mut driver, 660);
    assert!(works);
    assert_eq!((late[0], &late[1..]), (Felt::Gap, &samples(34, 66)[..]));
}

/// What a driver says of a part that goes wrong at a second and is well again at 60: seconds at which it turned.
fn turns(wrong: impl Fn(&mut Part), well: impl Fn(&mut Part)) -> Vec<(u64, bool)> {
    let part = RefCell::new(Part::new(ADDRESS));
    let mut driver = Lis2dh12::<_, 50>::new(Bus(&part), Range::G8);
    let (mut turns, mut was) = (Vec::new(), true);
    for ms in (0..100_000).step_by(20) {
        match ms {
            1_000 => wrong(&mut part.borrow_mut()),
            60_000 => well(&mut part.borrow_mut()),
            _ => {}
        }
        part.borrow_mut().feel([0, 1_000, 0]);
        let (_, works) = felt(&mut driver, ms);
        if works != was {
            turns.push((ms / 1_000, works));
            was = works;
        }
    }
    turns
}

#[test]
fn a_part_that_fails_is_told_once_and_comes_back_by_itself() {
    for wrong in [Wrong::Absent, Wrong::Stuck, Wrong::Floating(0xff), Wrong::Floating(0), Wrong::Another(0x32)] {
        // Another part is there from its power-on.
        let change = |part: &mut Part| {
            part.cut_power();
            part.wrong = wrong;
        };
        let turns = turns(change, |part| part.wrong = Wrong::Nothing);
        let [(failed_s, false), (works_s, true)] = turns[..] else { panic!("{wrong:?}: {turns:?}") };
        assert!((1..6).contains(&failed_s), "{wrong:?} was told after {failed_s} s");
        assert!((60..72).contains(&works_s), "{wrong:?} came back after {works_s} s");
    }
}

#[test]
fn a_dip_of_its_supply_is_healed_before_anybody_need_know() {
    assert_eq!(turns(Part::cut_power, |_| ()), []);
}

#[test]
fn a_stuck_bus_is_not_tried_all_the_time() {
    let part = RefCell::new(Part::new(ADDRESS));
    part.borrow_mut().wrong = Wrong::Stuck;
    let mut driver = Lis2dh12::<_, 50>::new(Bus(&part), Range::G8);
    let mut ms = 0;
    while ms < 600_000 {
        felt(&mut driver, ms);
        ms += driver.rest_ms(Now::booted(ms)).max(1);
    }
    assert!(part.borrow().transfers < 70, "{} transfers in ten minutes", part.borrow().transfers);
}

/// A pendant that feels falls, on the bench with a part that the trace moves.
fn worn<'a>(part: &'a RefCell<Part>) -> Bench<impl Role + use<'a>> {
    let button = Input::new(NoPin, Active::Low);
    let falls = Lis2dh12::<_, 100>::new(Bus(part), Range::G8);
    let mut bench = Bench::new(Pendant::new(button).with_falls(falls), None);
    bench.run(10);
    bench
}

fn live<R: Role>(bench: &mut Bench<R>, part: &RefCell<Part>, samples: &[Sample]) {
    for sample in samples {
        part.borrow_mut().feel(sample.map(i32::from));
        bench.run(10);
    }
}

#[test]
fn a_fall_goes_through_registers_and_role_to_the_outbox() {
    let part = RefCell::new(Part::new(ADDRESS));
    let mut bench = worn(&part);
    let fall = Trace::new(100)
        .rest(UPRIGHT, 5_000)
        .drop(UPRIGHT, ON_BACK, 300.0, 350)
        .impact(ON_BACK, 4_000.0, 100)
        .rest(ON_BACK, 20_000)
        .with_noise(50, 7);
    live(&mut bench, &part, &fall.samples);
    let events = bench.events();
    let [Event::Fall { impact_mg: Some(impact_mg), still_s: Some(10) }] = events[..] else { panic!("{events:?}") };
    assert!(impact_mg.abs_diff(4_000) < 250, "{impact_mg} mg");
    assert_eq!(bench.device.panel.text, "Larmet skickas");
}

#[test]
fn a_part_that_is_not_there_is_a_fault_and_the_button_still_calls() {
    let part = RefCell::new(Part::new(ADDRESS));
    part.borrow_mut().wrong = Wrong::Absent;
    let mut bench = worn(&part);
    bench.run(120_000);
    assert_eq!(bench.events(), [Event::Fault { part: "accelerometer".into(), active: true }]);
    part.borrow_mut().wrong = Wrong::Nothing;
    live(&mut bench, &part, &vec![UPRIGHT; 1_500]);
    assert_eq!(bench.events(), [Event::Fault { part: "accelerometer".into(), active: false }]);
}
