//! What the gateway asks for anew: a locked dose that a person has released, a time that was moved; and what it leaves out.

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

#[test]
fn what_is_over_as_a_new_schedule_leaves_it_out_is_missed_and_keeps_its_compartment() {
    let evening = slot("evening", 20);
    // Offered, and by the gateway's clock its time is over some seconds sooner.
    let mut home = filled();
    home.schedule(&[slot("morning", 8), evening.clone()]);
    home.until(START + 9 * HOUR as i64 - 3 * S as i64);
    assert_eq!(home.of("morning"), "reminded");
    home.schedule(core::slice::from_ref(&evening));
    assert_eq!(home.of("morning"), "reminded missed");
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
    assert_eq!(home.of("morning"), "reminded missed");

    // Without power over the whole of it; the schedule is the first that it hears.
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12), evening.clone()]);
    home.until(START + 7 * HOUR as i64);
    home.dark(7 * HOUR);
    home.schedule(&[evening]);
    assert_eq!((home.of("morning"), home.of("noon")), ("missed".into(), "missed".into()));
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(3));
}

#[test]
fn a_first_schedule_long_after_it_was_filled_does_not_say_which_compartment_is_whose() {
    let mut home = filled();
    home.online = false;
    home.run(20 * MIN);
    home.online = true;
    home.run(S);
    assert_eq!(home.has(&fault("schedule", true)), 1, "filled, and nobody has said for what");
    home.until(START + 12 * HOUR as i64);
    home.schedule(&[slot("noon", 13), slot("evening", 20)]);
    home.until(START + 13 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!((home.of("noon").as_str(), home.taken.len()), ("missed", 0));
    home.refill(28);
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.has(&fault("schedule", false)), 1);
}

#[test]
fn a_dose_that_is_given_by_hand_leaves_the_next_one_its_own_compartment() {
    for minutes in [-40, 10] {
        let mut home = filled();
        home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
        home.until(START + 8 * HOUR as i64 + minutes * MIN as i64);
        assert_eq!(home.of("morning"), if minutes < 0 { "" } else { "reminded" });
        // Signed for: the gateway takes it off.
        home.schedule(&[slot("noon", 12), slot("evening", 20)]);
        home.ask();
        assert_eq!(home.carousel.borrow().open(), None);
        home.dark(MIN);
        home.until(START + 12 * HOUR as i64 + MIN as i64);
        home.ask();
        assert_eq!(home.take(), Some(2), "what lies in the first is the morning's");
        home.until(START + 20 * HOUR as i64 + MIN as i64);
        home.ask();
        assert_eq!(home.take(), Some(3));
    }
}

#[test]
fn a_dose_that_was_taken_off_by_mistake_comes_from_where_it_lies() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.until(START + 8 * HOUR as i64 + 10 * MIN as i64);
    home.schedule(&[slot("noon", 12)]);
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.run(S);
    home.ask();
    assert_eq!(home.take(), Some(1));
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
}

#[test]
fn a_dose_that_is_moved_behind_the_next_one_twice_comes_from_where_it_lies() {
    for minutes in [-40, 10] {
        let mut home = filled();
        let tomorrow = slot("morning", 32);
        home.schedule(&[slot("morning", 8), slot("noon", 12), tomorrow.clone()]);
        home.until(START + 8 * HOUR as i64 + minutes * MIN as i64);
        home.schedule(&[slot("noon", 12), slot("morning", 14), tomorrow.clone()]);
        home.dark(MIN);
        home.schedule(&[slot("noon", 12), slot("morning", 16), tomorrow]);
        for (hours, compartment) in [(12, 2), (16, 1), (32, 3)] {
            home.until(START + hours * HOUR as i64 + MIN as i64);
            home.ask();
            assert_eq!(home.take(), Some(compartment), "at {hours}");
        }
    }
}

#[test]
fn a_dose_given_by_hand_is_not_tomorrows() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.until(START + 8 * HOUR as i64 + 10 * MIN as i64);
    // It makes room for the one that comes next of its slot.
    home.schedule(&[slot("noon", 12), slot("morning", 32)]);
    for (hours, compartment) in [(12, 2), (32, 3)] {
        home.until(START + hours * HOUR as i64 + MIN as i64);
        home.ask();
        assert_eq!(home.take(), Some(compartment), "at {hours}");
    }
}

#[test]
fn the_key_turned_while_a_dose_is_due_nobody_knows_who_has_it_and_the_next_is_the_first_in_the_wheel() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12)]);
    home.until(START + 8 * HOUR as i64 + 10 * MIN as i64);
    home.refill(28);
    assert_eq!(home.of("morning"), "reminded unknown");
    home.ask();
    assert_eq!((home.carousel.borrow().open(), home.taken.len()), (None, 0));
    home.until(START + 12 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
}

#[test]
fn a_dose_that_was_given_and_then_moved_by_a_gateway_that_never_heard_of_it_uses_up_no_compartment() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + MIN as i64);
    home.online = false;
    home.ask();
    assert_eq!(home.take(), Some(1));
    home.send(Command::Schedule { slots: [slot("morning", 11), slot("evening", 20)].into_iter().collect() });
    home.until(START + 20 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(2));
    home.online = true;
    home.run(S);
    assert_eq!(home.of("morning"), "reminded dispensed taken", "one outcome");
}
