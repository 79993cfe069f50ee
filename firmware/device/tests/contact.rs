//! Passive sensors: what they tell, what they do not, and what becomes of them when they break.

mod bench;
mod wires;

use bench::{Bench, Memory};
use proptest::prelude::*;
use vaka_device::contact::{
    Danger, Detector, Door, EMPTY_MV, EMPTY_MV_MAX, EndOfLine, Enuresis, HEAT_CENTI_C, HOLD_OFF_MS, Heat, Pin, Pir,
    Place, Pressure, RISE_CENTI_C, STUCK_MS, Seat, WARM_UP_MS, centi_c,
};
use vaka_device::{Boot, Device, Now, TELL_AGAIN_MS};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Event, StartCause, decode_event};
use wires::{Volts, Wire};

fn fault(part: &str, active: bool) -> Event {
    Event::Fault { part: part.into(), active }
}

fn door(open: bool) -> Event {
    Event::Door { open }
}

fn bed(occupied: bool) -> Event {
    Event::Bed { occupied }
}

const MINUTE_MS: u64 = 60_000;

#[test]
fn a_door_tells_each_change_and_its_state_after_each_boot() {
    let reed = Wire::new(false);
    let mut bench = Bench::new(Door::new(reed.clone()), None);
    bench.run(1_000);
    assert_eq!(bench.events(), [door(false)]);
    reed.set(true);
    bench.run(1_000);
    reed.set(false);
    bench.run(1_000);
    assert_eq!(bench.events(), [door(true), door(false)]);
    reed.set(true);
    let mut bench = bench.cut(Door::new(reed.clone()));
    bench.run(1_000);
    assert_eq!(bench.events(), [door(true)], "opened while the power was away");
    bench.run(10 * MINUTE_MS);
    assert_eq!(bench.events(), [], "a door that stands still tells nothing");
}

#[test]
fn a_reed_that_never_rests_is_a_fault_once_and_the_door_is_told_when_it_rests() {
    let reed = Wire::new(false);
    let mut bench = Bench::new(Door::new(reed.clone()), None);
    bench.run(1_000);
    bench.events();
    for _ in 0..1_000 {
        reed.set(!reed.get());
        bench.run(20);
    }
    assert_eq!(bench.events(), [fault("reed", true)]);
    reed.set(true);
    let mut bench = bench.cut(Door::new(reed.clone()));
    bench.run(10_000);
    assert_eq!(bench.events(), [door(true), fault("reed", false)], "also over a boot");
}

#[test]
fn a_state_that_found_no_room_is_told_later() {
    let reed = Wire::new(false);
    let boot = Boot { room: 1, chance: 1, cause: StartCause::Power, version: "1.0.0" };
    let mut now = Now::booted(0);
    let mut device = Device::boot(Memory::default(), Door::new(reed), bench::Display::default(), boot, now);
    // The only room is taken by what is worth more; it put out the news of the boot.
    device.tell(Event::Smoke { active: true }, now);
    let mut pass = |device: &mut Device<_, _, _>, ms: u64| {
        for _ in 0..ms / 10 {
            device.pass(now);
            now.uptime_ms += 10;
        }
        now
    };
    let now = pass(&mut device, 10_000);
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let (ticket, _) = device.next(&mut buffer).expect("the smoke");
    device.handed(ticket);
    device.acked(ticket, now);
    let (ticket, bytes) = device.next(&mut buffer).expect("what was lost");
    let lost = decode_event(bytes).expect("a device's own message").event;
    assert_eq!(lost, Event::Lost { count: 2 }, "one attempt each minute, not one each look");
    device.handed(ticket);
    device.acked(ticket, now);
    pass(&mut device, TELL_AGAIN_MS);
    let (_, bytes) = device.next(&mut buffer).expect("the door");
    assert_eq!(decode_event(bytes).expect("a device's own message").event, door(false));
}

proptest! {
    #[test]
    fn the_last_state_of_a_door_is_always_told(moves in prop::collection::vec((any::<bool>(), 1u64..400), 1..60)) {
        let reed = Wire::new(false);
        let mut bench = Bench::new(Door::new(reed.clone()), None);
        let mut told = Vec::new();
        for (open, ms) in moves {
            reed.set(open);
            bench.run(ms);
            told.extend(bench.events());
        }
        bench.run(200);
        told.extend(bench.events());
        prop_assert_eq!(told.last(), Some(&door(reed.get())));
        prop_assert!(told.windows(2).all(|two| two[0] != two[1]), "no state twice: {:?}", told);
    }
}

#[test]
fn a_bed_has_hysteresis_and_time_to_turn_over() {
    let sensor = Volts::new(EMPTY_MV);
    let mut bench = Bench::new(Seat::new(Place::Bed, sensor.clone()), None);
    bench.run(10_000);
    assert_eq!(bench.events(), [bed(false)]);
    sensor.set(EMPTY_MV + 300);
    bench.run(MINUTE_MS / 2);
    assert_eq!(bench.events(), [], "a suitcase at the foot of the bed");
    sensor.set(1_800);
    bench.run(5_000);
    assert_eq!(bench.events(), [bed(true)]);
    sensor.set(EMPTY_MV);
    bench.run(3_000);
    sensor.set(EMPTY_MV + 300);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [], "turned over, and lies lightly");
    sensor.set(EMPTY_MV);
    bench.run(10_000);
    assert_eq!(bench.events(), [bed(false)]);
}

#[test]
fn a_bed_that_is_unplugged_or_shorted_is_a_fault_once_and_never_empty() {
    for broken_mv in [0, 3_300] {
        let sensor = Volts::new(1_800);
        let mut bench = Bench::new(Seat::new(Place::Bed, sensor.clone()), None);
        bench.run(10_000);
        assert_eq!(bench.events(), [bed(true)]);
        sensor.set(broken_mv);
        bench.run(60 * MINUTE_MS);
        assert_eq!(bench.events(), [fault("pressure", true)]);
        let mut bench = bench.cut(Seat::new(Place::Bed, sensor.clone()));
        bench.run(10 * MINUTE_MS);
        assert_eq!(bench.events(), [], "nor after a boot, nor is the fault told again");
        sensor.set(1_800);
        bench.run(10_000);
        let mut told = bench.events();
        told.sort_by_key(|event| event.name() == "bed");
        assert_eq!(told, [fault("pressure", false), bed(true)], "the state is told anew when it can be seen");
        sensor.fail();
        bench.run(10_000);
        assert_eq!(bench.events(), [fault("pressure", true)], "a converter that fails is a fault too");
    }
}

#[test]
fn the_empty_value_follows_slowly_is_bounded_and_kept() {
    let sensor = Volts::new(EMPTY_MV);
    let mut bench = Bench::new(Seat::new(Place::Bed, sensor.clone()), None);
    bench.step_ms = 500;
    bench.run(10_000);
    for mv in (EMPTY_MV..EMPTY_MV_MAX + 150).step_by(10) {
        sensor.set(mv);
        bench.run(11 * MINUTE_MS);
    }
    assert_eq!(bench.events(), [bed(false)], "a mattress that sags is not a person");
    assert_eq!(bench.device.role.pressure().empty_mv(), EMPTY_MV_MAX);
    let mut bench = bench.cut(Seat::new(Place::Bed, sensor.clone()));
    bench.run(10_000);
    assert_eq!(bench.events(), [bed(false)], "learnt for good");
}

#[test]
fn a_person_is_never_learnt_as_a_mattress() {
    let sensor = Volts::new(EMPTY_MV + 500);
    let mut bench = Bench::new(Seat::new(Place::Bed, sensor.clone()), None);
    bench.step_ms = 500;
    bench.run(20 * 60 * MINUTE_MS);
    assert_eq!(bench.events(), [bed(true)]);
    assert_eq!(bench.device.role.pressure().empty_mv(), EMPTY_MV);
}

#[test]
fn chair_and_mat_tell_their_own_events() {
    let sensor = Volts::new(EMPTY_MV);
    let mut bench = Bench::new(Seat::new(Place::Mat, sensor.clone()), None);
    bench.run(2_000);
    sensor.set(2_000);
    bench.run(300);
    sensor.set(EMPTY_MV);
    bench.run(2_000);
    let mat = |pressed| Event::Mat { pressed };
    assert_eq!(bench.events(), [mat(false), mat(true), mat(false)], "a foot on the mat for a third of a second");
    let mut bench = Bench::new(Seat::new(Place::Chair, Volts::new(2_000)), None);
    bench.run(10_000);
    assert_eq!(bench.events(), [Event::Chair { occupied: true }]);
}

proptest! {
    #[test]
    fn whatever_was_before_the_bed_ends_as_it_is(
        before in prop::collection::vec((0u16..3_300, 1u64..20_000), 0..30), is_there: bool,
    ) {
        let sensor = Volts::new(EMPTY_MV);
        let mut bench = Bench::new(Seat::new(Place::Bed, sensor.clone()), None);
        bench.step_ms = 250;
        let mut told = Vec::new();
        for (mv, ms) in before {
            sensor.set(mv);
            bench.run(ms);
            told.extend(bench.events());
            if Pressure::is_broken(mv) && ms > 10_000 {
                prop_assert_eq!(told.iter().rfind(|event| event.name() == "fault"), Some(&fault("pressure", true)));
            }
        }
        sensor.set(if is_there { 1_900 } else { EMPTY_MV });
        bench.run(20_000);
        told.extend(bench.events());
        prop_assert_eq!(told.iter().rfind(|event| event.name() == "bed"), Some(&bed(is_there)));
        prop_assert_ne!(told.iter().rfind(|event| event.name() == "fault"), Some(&fault("pressure", true)));
    }
}

#[test]
fn the_first_motion_is_told_at_once_and_the_next_after_the_hold_off() {
    let pin = Wire::new(true);
    let mut bench = Bench::new(Pir::new(pin.clone()), None);
    bench.run(WARM_UP_MS / 2);
    pin.set(false);
    bench.run(WARM_UP_MS);
    assert_eq!(bench.events(), [], "ghosts of the warm-up");
    pin.set(true);
    bench.run(0);
    assert_eq!(bench.events(), [Event::Motion {}]);
    for _ in 0..100 {
        pin.set(!pin.get());
        bench.run(1_000);
    }
    pin.set(false);
    assert_eq!(bench.events(), []);
    bench.run(HOLD_OFF_MS);
    assert_eq!(bench.events(), [Event::Motion {}], "what moved in between is told at its end");
    bench.run(10 * HOLD_OFF_MS);
    assert_eq!(bench.events(), []);
}

#[test]
fn a_motion_sensor_that_is_stuck_is_a_fault_and_no_sign_of_life() {
    let pin = Wire::new(true);
    let mut bench = Bench::new(Pir::new(pin.clone()), None);
    bench.step_ms = 1_000;
    bench.run(STUCK_MS + 10_000);
    assert_eq!(bench.events().last(), Some(&fault("pir", true)));
    bench.run(2 * STUCK_MS);
    assert_eq!(bench.events(), []);
    pin.set(false);
    bench.run(MINUTE_MS);
    pin.set(true);
    bench.run(1_000);
    assert_eq!(bench.events(), [fault("pir", false), Event::Motion {}]);
}

proptest! {
    #[test]
    fn motion_is_bounded_and_none_is_lost_for_good(moves in prop::collection::vec((any::<bool>(), 1u64..200_000), 1..40)) {
        let pin = Wire::new(false);
        let mut bench = Bench::new(Pir::new(pin.clone()), None);
        bench.step_ms = 1_000;
        bench.run(WARM_UP_MS);
        let (start_ms, mut moved) = (bench.now.uptime_ms, false);
        for (is_high, ms) in moves {
            pin.set(is_high);
            moved |= is_high;
            bench.run(ms);
        }
        pin.set(false);
        bench.run(HOLD_OFF_MS);
        let told = bench.events().iter().filter(|event| **event == Event::Motion {}).count() as u64;
        prop_assert!(told <= 1 + (bench.now.uptime_ms - start_ms) / HOLD_OFF_MS);
        prop_assert_eq!(moved, told > 0);
    }
}

/// 10 kΩ, B = 3,950 K, 10 kΩ to 3.3 V.
fn thermistor_mv(celsius: f64) -> u16 {
    let ohm = 10_000.0 * (3_950.0 * (1.0 / (celsius + 273.15) - 1.0 / 298.15)).exp();
    (3_300.0 * ohm / (ohm + 10_000.0)).round() as u16
}

#[test]
fn the_table_of_the_thermistor_is_its_formula() {
    for tenths in -200..=1_000 {
        let celsius = f64::from(tenths) / 10.0;
        let read = f64::from(centi_c(thermistor_mv(celsius)).expect("it is plugged in")) / 100.0;
        // At 100 °C a millivolt is a sixth of a degree.
        assert!((read - celsius).abs() < 0.3, "{celsius} °C reads {read}");
    }
    assert_eq!((centi_c(0), centi_c(3_300)), (None, None));
}

#[test]
fn a_fire_is_seen_by_its_heat_and_by_its_rise() {
    let heat = |active| Event::Heat { active };
    let ntc = Volts::new(thermistor_mv(21.0));
    let mut bench = Bench::new(Heat::new(ntc.clone(), None), None);
    bench.step_ms = 1_000;
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [heat(false)]);
    // A kitchen: 6 K a minute up to 50 °C.
    for step in 0..=290 {
        ntc.set(thermistor_mv(21.0 + f64::from(step) / 10.0));
        bench.run(1_000);
    }
    bench.run(10 * MINUTE_MS);
    assert_eq!(bench.events(), [], "warm, and warming slowly");
    ntc.set(thermistor_mv(f64::from(HEAT_CENTI_C) / 100.0 + 1.0));
    bench.run(20_000);
    assert_eq!(bench.events(), [heat(true)]);
    ntc.set(thermistor_mv(21.0));
    bench.run(4 * MINUTE_MS);
    assert_eq!(bench.events(), [], "not over yet");
    bench.run(2 * MINUTE_MS);
    assert_eq!(bench.events(), [heat(false)]);
    // Twice the rise that counts, from 30 °C: told below 50 °C.
    ntc.set(thermistor_mv(30.0));
    bench.run(5 * MINUTE_MS);
    let mut celsius = 30.0;
    while bench.events().is_empty() {
        celsius += 2.0 * f64::from(RISE_CENTI_C) / 100.0 / 60.0;
        ntc.set(thermistor_mv(celsius));
        bench.run(1_000);
        assert!(celsius < 50.0, "not told");
    }
}

#[test]
fn a_thermistor_that_burns_away_does_not_end_the_alarm() {
    let ntc = Volts::new(thermistor_mv(80.0));
    let mut bench = Bench::new(Heat::new(ntc.clone(), None), None);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [Event::Heat { active: true }]);
    ntc.set(3_300);
    bench.run(60 * MINUTE_MS);
    assert_eq!(bench.events(), [fault("thermistor", true)]);
}

#[test]
fn a_wild_sample_is_no_fire() {
    let ntc = Volts::new(thermistor_mv(21.0));
    let mut bench = Bench::new(Heat::new(ntc.clone(), Some(600)), None);
    bench.step_ms = 500;
    bench.run(2_500);
    for _ in 0..100 {
        ntc.set(thermistor_mv(90.0));
        bench.run(5_000);
        ntc.set(thermistor_mv(21.0));
        bench.run(10_000);
    }
    let told = bench.events();
    assert!(!told.contains(&Event::Heat { active: true }), "{told:?}");
    let reports = told.iter().filter(|event| event.name() == "temperature").count();
    assert_eq!(reports, 1 + 1_500 / 600, "the room's temperature at its interval");
    assert!(!told.iter().any(|event| matches!(event, Event::Temperature { centi_c } if *centi_c > 2_200)), "{told:?}");
}

#[test]
fn smoke_is_told_at_once_and_over_when_it_was_quiet_long_enough() {
    let smoke = |active| Event::Smoke { active };
    let contact = Wire::new(false);
    let mut bench = Bench::new(Detector::new(Danger::Smoke, Pin(contact.clone())), None);
    bench.run(2 * MINUTE_MS);
    assert_eq!(bench.events(), [smoke(false)], "after a boot the state, once");
    contact.set(true);
    bench.run(10);
    contact.set(false);
    bench.run(2_000);
    assert_eq!(bench.events(), [], "a spark");
    // A relay that bounces all the time.
    for _ in 0..20 {
        contact.set(!contact.get());
        bench.run(10);
    }
    assert_eq!(bench.events(), [smoke(true)]);
    for _ in 0..20 {
        contact.set(!contact.get());
        bench.run(MINUTE_MS / 2);
    }
    assert_eq!(bench.events(), [], "wavering");
    contact.set(true);
    let mut bench = bench.cut(Detector::new(Danger::Smoke, Pin(contact.clone())));
    bench.run(1_000);
    assert_eq!(bench.events(), [smoke(true)], "told again: it may have begun in the dark");
    contact.set(false);
    bench.run(2 * MINUTE_MS);
    assert_eq!(bench.events(), [smoke(false)]);
}

#[test]
fn a_watched_line_that_is_cut_or_shorted_is_a_fault_and_neither_danger_nor_calm() {
    let flood = |active| Event::Flood { active };
    let line = Volts::new(1_650);
    let mut bench = Bench::new(Detector::new(Danger::Flood, EndOfLine(line.clone())), None);
    bench.step_ms = 100;
    bench.run(15 * MINUTE_MS);
    assert_eq!(bench.events(), [flood(false)]);
    for broken_mv in [3_300, 0] {
        line.set(broken_mv);
        bench.run(15 * MINUTE_MS);
        assert_eq!(bench.events(), [fault("detector", true)]);
        line.set(1_650);
        bench.run(MINUTE_MS);
        assert_eq!(bench.events(), [fault("detector", false)]);
    }
    line.set(505);
    bench.run(2_000);
    assert_eq!(bench.events(), [flood(true)]);
    line.set(3_300);
    bench.run(60 * MINUTE_MS);
    assert_eq!(bench.events(), [fault("detector", true)], "a line that floods away is not dry");
}

proptest! {
    #[test]
    fn a_detector_ends_in_what_its_line_shows(moves in prop::collection::vec((0usize..3, 1u64..70_000), 0..30), danger: bool) {
        let line = Volts::new(1_650);
        let mut bench = Bench::new(Detector::new(Danger::Smoke, EndOfLine(line.clone())), None);
        bench.step_ms = 100;
        for (what, ms) in moves {
            line.set([1_650, 505, 3_300][what]);
            bench.run(ms);
        }
        line.set(if danger { 505 } else { 1_650 });
        bench.run(70_000);
        let told = bench.events();
        prop_assert_eq!(told.iter().rfind(|e| e.name() == "smoke"), Some(&Event::Smoke { active: danger }));
        prop_assert_ne!(told.iter().rfind(|e| e.name() == "fault"), Some(&fault("detector", true)));
    }
}

#[test]
fn a_wet_bed_is_told_once_until_it_was_dry_also_over_a_power_cut() {
    let sheet = Volts::new(3_000);
    let mut bench = Bench::new(Enuresis::new(sheet.clone()), None);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), []);
    sheet.set(750);
    bench.run(3_000);
    sheet.set(3_000);
    bench.run(10_000);
    assert_eq!(bench.events(), [], "a touch");
    sheet.set(750);
    bench.run(60 * MINUTE_MS);
    assert_eq!(bench.events(), [Event::Enuresis {}]);
    let mut bench = bench.cut(Enuresis::new(sheet.clone()));
    bench.run(10 * MINUTE_MS);
    sheet.set(3_000);
    bench.run(MINUTE_MS / 2);
    sheet.set(750);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [], "still the same sheet");
    sheet.set(3_000);
    bench.run(2 * MINUTE_MS);
    sheet.set(750);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [Event::Enuresis {}], "a new sheet");
    sheet.set(3_300);
    bench.run(MINUTE_MS);
    assert_eq!(bench.events(), [fault("sheet", true)]);
}

#[test]
fn a_sensor_that_tells_nothing_still_lives() {
    let mut bench = Bench::new(Door::new(Wire::new(false)), None);
    bench.step_ms = 60_000;
    let mut alive = 0;
    let mut hours = |count| {
        for _ in 0..count {
            bench.run(3_600_000);
            alive += bench.told().into_iter().filter(|message| message.event == Event::Alive {}).count();
        }
        alive
    };
    assert_eq!(hours(4), 3, "its first word says as much");
    bench.run(5 * 3_600_000);
    let waiting = bench.told().into_iter().filter(|message| message.event == Event::Alive {}).count();
    assert_eq!(waiting, 1, "what waits for a gateway says it already");
}
