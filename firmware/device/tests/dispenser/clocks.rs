//! No clock, a wrong one, and one that is put right.

use super::*;

#[test]
fn without_a_trusted_clock_no_dose_opens_and_it_is_told() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.online = false;
    home.chip.borrow_mut().lose_power();
    home.dark(8 * HOUR);
    home.run(10 * MIN);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    home.online = true;
    home.run(MIN);
    assert_eq!(home.has(&fault("clock", true)), 1);
    assert_eq!(home.has(&fault("clock", false)), 1, "set by the gateway's time");
    assert_eq!(home.of("morning"), "reminded");
    home.ask();
    assert_eq!(home.take(), Some(1));
}

#[test]
fn after_a_power_cut_the_chip_has_the_time() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.online = false;
    home.dark(8 * HOUR + 5 * MIN);
    home.run(2 * S);
    home.ask();
    assert_eq!(home.take(), Some(1));
    home.chip.borrow_mut().fail(3);
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2), "a bus that was disturbed comes back");
    home.online = true;
    home.run(MIN);
    let stamped = home.heard.iter().filter(|message| matches!(message.event, Event::Dose { .. }));
    assert!(stamped.clone().count() == 6 && stamped.clone().all(|message| message.at.is_some()), "with its own time");
}

#[test]
fn a_window_that_passed_without_power_is_missed_and_its_compartment_passed_over() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
    home.dark(15 * HOUR);
    home.run(MIN);
    assert_eq!((home.of("morning"), home.of("noon")), ("missed".into(), "missed".into()));
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(3));
}

#[test]
fn a_clock_put_back_over_a_dose_gives_it_once() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    // The gateway's clock is three hours ahead.
    home.board_error = 3 * HOUR as i64;
    home.until(START + 5 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
    home.board_error = 0;
    home.until(START + 8 * HOUR as i64 + 5 * MIN as i64);
    home.ask();
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None, "it was given");
    assert_eq!(home.of("morning"), "reminded dispensed taken");
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
}

#[test]
fn a_clock_put_back_while_a_dose_is_offered_offers_it_again_in_its_time() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.board_error = 3 * HOUR as i64;
    home.until(START + 5 * HOUR as i64 + MIN as i64);
    home.board_error = 0;
    home.run(MIN);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.of("morning"), "reminded reminded dispensed taken");
}

#[test]
fn a_clock_put_forward_over_a_dose_tells_it_as_missed() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.board_error = 10 * HOUR as i64;
    home.run(MIN);
    assert_eq!(home.of("morning"), "missed");
    home.board_error = 0;
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None, "a person was told, and releases it");
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
}

#[test]
fn the_chip_is_set_by_the_gateways_time_and_drift_is_harmless() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.chip.borrow_mut().advance(10 * S);
    home.run(2 * MIN);
    home.online = false;
    home.dark(S);
    home.until(START + 8 * HOUR as i64 - S as i64 * 4);
    assert_eq!(home.of("morning"), "");
    home.run(7 * S);
    home.online = true;
    home.run(S);
    assert_eq!(home.of("morning"), "reminded", "the ten seconds are gone");
}

#[test]
fn after_a_power_cut_its_own_clock_is_enough_to_take_a_schedule() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.dark(MIN);
    // The gateway's own clock is vouched for by nobody, and so not told.
    home.never_told = true;
    home.run(S);
    assert_eq!(home.schedule(&[slot("noon", 12)]), Outcome::Done);
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    assert_eq!(home.of("noon"), "reminded");
    home.chip.borrow_mut().lose_power();
    home.dark(MIN);
    home.run(S);
    assert_eq!(home.schedule(&[slot("evening", 20)]), Outcome::Refused, "without a clock none");
}
