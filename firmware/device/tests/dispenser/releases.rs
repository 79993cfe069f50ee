//! What the gateway asks for anew: a locked dose that a person has released, a time that was moved.

use vaka_protocol::Slot;

use super::*;

/// As the gateway sends a release: the same slot, from the moment of the release on, before what comes.
fn released(locked: &Slot, at: i64) -> Slot {
    Slot { opens_at: at, closes_at: at + HOUR as i64, releases: Some(locked.opens_at), ..locked.clone() }
}

#[test]
fn a_released_dose_comes_from_its_own_compartment() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    assert_eq!(home.of("morning"), "reminded missed");
    home.ask();
    assert_eq!(home.take(), Some(2));
    let release = released(&slot("morning", 8), home.at - 3 * S as i64);
    assert_eq!(home.schedule(&[release.clone(), slot("evening", 20), slot("morning", 32)]), Outcome::Done);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(1), "the wheel goes back to it");
    assert_eq!(home.of("morning"), "reminded missed reminded dispensed taken");
    home.schedule(&[release, slot("evening", 20), slot("morning", 32)]);
    home.ask();
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(3));
    home.until(START + 32 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(4));
}

#[test]
fn a_refused_dose_is_released_within_its_own_window() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.press(Line::Refuse, 3_500);
    let release = released(&slot("morning", 8), home.at);
    home.schedule(&[release, slot("evening", 20)]);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.of("morning"), "reminded refused reminded dispensed taken");
}

#[test]
fn a_release_that_nobody_asks_for_is_locked_again() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 10 * HOUR as i64);
    let release = released(&slot("morning", 8), home.at);
    home.schedule(&[release, slot("evening", 20)]);
    home.until(START + 12 * HOUR as i64);
    assert_eq!(home.of("morning"), "reminded missed reminded missed");
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
}

#[test]
fn a_time_that_is_moved_before_the_dose_moves_its_compartment_with_it() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.schedule(&[slot("morning", 11), slot("evening", 20)]);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None, "it is taken back");
    home.until(START + 11 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.of("morning"), "reminded reminded dispensed taken");
}

#[test]
fn a_dose_moved_into_an_open_window_is_no_release_of_yesterdays() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20), slot("morning", 32), slot("evening", 44)]);
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!((home.of("morning").as_str(), home.take()), ("reminded missed", Some(2)));
    // On the day itself it is brought forward: its window is open already as the schedule arrives.
    home.until(START + 30 * HOUR as i64);
    home.schedule(&[Slot { closes_at: START + 31 * HOUR as i64, ..slot("morning", 29) }, slot("evening", 44)]);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(3), "its own, not the locked one of yesterday");
}

#[test]
fn a_release_of_a_dose_that_it_does_not_know_gives_nothing_and_is_told() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 10 * HOUR as i64);
    home.schedule(&[released(&slot("morning", -16), home.at), slot("evening", 20)]);
    home.run(S);
    home.ask();
    assert_eq!((home.of("morning").as_str(), home.carousel.borrow().open()), ("reminded missed missed", None));
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2), "each dose has its own compartment");
}

#[test]
fn a_time_that_is_moved_by_a_gateway_that_did_not_know_gives_no_second_dose() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.online = false;
    home.ask();
    assert_eq!(home.take(), Some(1));
    // The schedule was written before the gateway could hear that the dose was given, and comes first.
    home.until(START + 11 * HOUR as i64 + MIN as i64);
    home.send(Command::Schedule { slots: [slot("morning", 11), slot("evening", 20)].into_iter().collect() });
    home.run(5 * MIN);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    home.online = true;
    home.run(S);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None, "it has heard it this moment");
    // What it sends now that it knows.
    home.schedule(&[slot("evening", 20)]);
    home.run(10 * MIN);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    // Moved within its own window: the same dose.
    let moved = Slot { opens_at: START + 8 * HOUR as i64 - 1, ..slot("morning", 8) };
    home.schedule(&[Slot { closes_at: START + 14 * HOUR as i64, ..moved }, slot("evening", 20)]);
    home.run(10 * MIN);
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    assert_eq!(home.of("morning"), "reminded dispensed taken");
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
}

#[test]
fn a_jammed_dose_is_given_only_after_somebody_was_at_the_carousel() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.carousel.borrow_mut().slip(true);
    home.ask();
    home.carousel.borrow_mut().slip(false);
    let release = released(&slot("morning", 8), home.at);
    home.schedule(&[release, slot("evening", 20)]);
    home.run(S);
    home.ask();
    assert_eq!((home.of("morning").as_str(), home.carousel.borrow().open()), ("reminded jammed jammed", None));
    home.refill(28);
    let release = released(&slot("morning", 8), home.at);
    home.schedule(&[release, slot("evening", 20)]);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(1));
}

#[test]
fn what_was_asked_for_anew_stays_asked_for_over_a_power_cut() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 10 * HOUR as i64);
    let release = released(&slot("morning", 8), home.at);
    home.schedule(&[release, slot("evening", 20)]);
    home.dark(MIN);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(1));
    home.dark(MIN);
    home.run(S);
    home.ask();
    assert_eq!(home.of("morning"), "reminded missed reminded dispensed taken");
}
