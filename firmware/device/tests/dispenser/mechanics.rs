//! The carousel in its bad hours: jams, dead sensors, hands.

use vaka_parts::carousel::{PITCH, Sensor};

use super::*;

/// Compartments that have stood open, or were emptied.
fn exposed(home: &Home) -> Vec<usize> {
    let carousel = home.carousel.borrow();
    (1..=28).filter(|k| carousel.stood_open(*k) + carousel.taken(*k) > 0).collect()
}

#[test]
fn stuck_anywhere_it_gives_no_two_and_does_not_try_again() {
    for at in (0..2 * PITCH).step_by(50) {
        let mut home = filled();
        home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
        home.until(START + 8 * HOUR as i64 + 1);
        home.carousel.borrow_mut().jam(Some(at));
        home.ask();
        home.ask();
        home.take();
        home.until(START + 12 * HOUR as i64 + 1);
        home.ask();
        home.take();
        home.until(START + 13 * HOUR as i64 + MIN as i64);
        assert!(exposed(&home).len() <= 2, "jam at {at}: {:?} exposed", exposed(&home));
        let (morning, noon) = (home.of("morning"), home.of("noon"));
        if morning.ends_with("jammed") {
            assert_eq!(noon, "jammed", "jam at {at}: told at once, without the motor");
            assert!(exposed(&home).len() <= 1, "jam at {at}: {:?} exposed", exposed(&home));
        }
        assert!(
            ["reminded jammed", "reminded dispensed taken"].contains(&morning.as_str()),
            "jam at {at}: {morning}, then {noon}"
        );
        assert!(home.taken.len() <= 2);
        if noon.contains("jammed") {
            assert_eq!(home.has(&fault("carousel", true)), 1);
            home.carousel.borrow_mut().jam(None);
            home.refill(28);
            assert_eq!(home.has(&fault("carousel", false)), 1, "jam at {at}");
            home.until(START + 20 * HOUR as i64 + 1);
            home.ask();
            assert_eq!(home.take(), Some(1), "jam at {at}: freed and counted, it goes on");
        }
    }
}

#[test]
fn a_slipping_motor_stops_and_a_dose_it_could_not_close_away_is_jammed() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    home.carousel.borrow_mut().slip(true);
    home.until(START + 9 * HOUR as i64 + MIN as i64);
    assert_eq!(home.of("morning"), "reminded dispensed jammed");
    assert!(!home.carousel.borrow().is_running());
}

#[test]
fn a_dead_index_sensor_opens_no_second_compartment() {
    for stuck in [false, true] {
        let mut home = filled();
        home.schedule(&[slot("morning", 8), slot("noon", 12)]);
        home.until(START + 8 * HOUR as i64 + 1);
        home.carousel.borrow_mut().index = Sensor::Stuck(stuck);
        home.ask();
        home.ask();
        home.until(START + 12 * HOUR as i64 + MIN as i64);
        home.ask();
        assert!(exposed(&home).iter().all(|k| *k == 1), "{stuck}: {:?}", exposed(&home));
        assert_eq!((home.of("morning"), home.of("noon")), ("reminded jammed".into(), "jammed".into()), "{stuck}");
    }
    // It dies while the dose lies there.
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    home.carousel.borrow_mut().index = Sensor::Stuck(true);
    home.take();
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!((home.of("morning"), home.of("noon")), ("reminded dispensed taken".into(), "jammed".into()));
    assert_eq!(exposed(&home), [1]);
}

#[test]
fn turned_by_hand_it_knows_that_it_does_not_know() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.carousel.borrow_mut().push(PITCH / 2);
    home.run(MIN);
    assert_eq!(home.has(&fault("carousel", true)), 1);
    home.until(START + 8 * HOUR as i64 + 1);
    assert_eq!(home.of("morning"), "jammed");
}

#[test]
fn turned_by_a_whole_compartment_through_the_open_lid_it_knows_that_it_does_not_know() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.carousel.borrow_mut().lid = true;
    home.run(S);
    for _ in 0..20 {
        home.carousel.borrow_mut().push(PITCH / 20);
        home.run(20);
    }
    home.carousel.borrow_mut().lid = false;
    home.run(S);
    assert_eq!(home.has(&fault("carousel", true)), 1);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    assert_eq!((home.of("morning"), home.taken.len()), ("jammed".into(), 0));
    home.refill(28);
    home.until(START + 12 * HOUR as i64 + 1);
    home.ask();
    assert_eq!(home.take(), Some(1), "counted, it knows again");
}

#[test]
fn an_open_lid_alone_is_no_fault_of_the_carousel() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.until(START + 8 * HOUR as i64 + 1);
    for ms in (0..1_200).step_by(50) {
        home.press(Line::Give, 50);
        home.run(ms);
        home.carousel.borrow_mut().lid = true;
        home.run(S);
        home.carousel.borrow_mut().lid = false;
        home.run(50);
    }
    home.run(4 * S);
    assert_eq!((home.has(&fault("carousel", true)), home.of("morning").as_str()), (0, "reminded dispensed"));
}

#[test]
fn a_content_sensor_that_sees_ghosts_is_told_and_never_says_missed_of_what_lay_there() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.carousel.borrow_mut().content_sensor = Sensor::Stuck(true);
    home.run(MIN);
    assert_eq!(home.has(&fault("content", true)), 1);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    home.take();
    home.until(START + 9 * HOUR as i64 + MIN as i64);
    assert_eq!(home.of("morning"), "reminded dispensed unknown");
}

#[test]
fn filled_while_a_dose_lies_there_nobody_knows_who_took_it() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    home.refill(28);
    assert_eq!(home.of("morning"), "reminded dispensed unknown");
    home.ask();
    assert_eq!(home.taken.len(), 0);
}

#[test]
fn a_count_that_fails_is_told_and_not_tried_again() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.carousel.borrow_mut().jam(Some(7 * PITCH));
    home.refill(28);
    assert_eq!(home.has(&fault("carousel", true)), 1);
    home.run(HOUR);
    assert!(!home.carousel.borrow().is_running());
    home.until(START + 8 * HOUR as i64 + 1);
    assert_eq!(home.of("morning"), "jammed");
}

#[test]
fn taken_while_it_is_closed_away_it_is_never_told_as_missed() {
    let mut ends = std::collections::BTreeSet::new();
    for ms in (0..600).step_by(7) {
        let mut home = filled();
        home.schedule(&[slot("morning", 8)]);
        home.until(START + 8 * HOUR as i64 + 1);
        home.ask();
        home.until(START + 9 * HOUR as i64 + ms);
        let is_taken = home.take().is_some();
        home.run(4 * S);
        let end = home.of("morning").split(' ').next_back().expect("a word").to_owned();
        assert!(if is_taken { end != "missed" } else { end == "missed" }, "after {ms} ms: {end}");
        ends.insert(end);
    }
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["missed", "taken", "unknown"]);
}

#[test]
fn a_locked_dose_that_stands_at_the_window_and_is_taken_is_unknown() {
    for is_jammed in [false, true] {
        let mut home = filled();
        home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
        home.until(START + 12 * HOUR as i64 + 1);
        assert_eq!(home.of("morning"), "reminded missed");
        // On the way to the next one the wheel is held with the first at the window.
        if is_jammed {
            home.carousel.borrow_mut().jam(Some(PITCH));
        }
        home.press(Line::Give, 100);
        while home.carousel.borrow().open() != Some(1) {
            home.run(10);
        }
        home.run(100);
        home.carousel.borrow_mut().lid = !is_jammed;
        home.run(2 * S);
        assert_eq!(home.take(), Some(1));
        home.run(MIN);
        assert_eq!(home.of("morning"), "reminded missed unknown", "jammed: {is_jammed}");
        home.carousel.borrow_mut().lid = false;
        home.run(4 * S);
        let noon = if is_jammed { "reminded jammed" } else { "reminded dispensed" };
        assert_eq!(home.of("noon"), noon);
        home.until(START + 13 * HOUR as i64 + MIN as i64);
        assert_eq!(home.of("morning"), "reminded missed unknown", "once");
    }
}
