//! The medicine dispenser: each dose at its time and once, whatever happens to the power, the carousel and the clock.

#[path = "../bench/mod.rs"]
mod bench;
mod clocks;
mod cuts;
mod home;
mod mechanics;
mod releases;
mod week;

use home::{DAY, HOUR, Home, MIN, S, START, fault, slot};
use vaka_device::dispenser::{Giving, Setup};
use vaka_parts::carousel::Line;
use vaka_protocol::{Command, Event, Light, Outcome, Sound};

fn filled() -> Home {
    Home::new(Setup::default(), 28)
}

#[test]
fn a_dose_is_reminded_of_given_out_and_taken() {
    let mut home = filled();
    assert_eq!(home.stock(), Some(7), "28 compartments, four a day where nothing is planned");
    assert_eq!(home.schedule(&[slot("morning", 8), slot("evening", 20)]), Outcome::Done);
    assert_eq!(home.stock(), Some(14));
    home.run(7 * HOUR);
    home.ask();
    assert_eq!(home.of("morning"), "", "not before its time");
    home.until(START + 8 * HOUR as i64 + 1);
    assert_eq!(home.of("morning"), "reminded");
    assert_eq!(home.machine().panel.light, Some(Light::Blink));
    assert_eq!(home.carousel.borrow().open(), None, "nothing lies open before somebody asks");
    home.run(16 * MIN);
    let chimes = home.machine().panel.sounds.iter().filter(|sound| **sound == Sound::Chime).count();
    assert_eq!(chimes, 4, "again every five minutes");
    home.ask();
    assert_eq!(home.carousel.borrow().open(), Some(1));
    assert_eq!(home.of("morning"), "reminded dispensed");
    home.ask();
    home.ask();
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.of("morning"), "reminded dispensed taken");
    assert_eq!(home.machine().panel.light, Some(Light::Off));
    assert_eq!(home.carousel.borrow().open(), None, "closed behind it");
    home.ask();
    home.until(START + DAY as i64);
    assert_eq!(home.of("evening"), "reminded missed");
    assert_eq!((1..=28).map(|k| home.carousel.borrow().stood_open(k)).sum::<u32>(), 1);
}

#[test]
fn the_gateway_can_have_it_turned_out_by_itself() {
    let mut home = Home::new(Setup { giving: Giving::AtOpening, ..Setup::default() }, 28);
    home.schedule(&[slot("morning", 8)]);
    home.until(START + 8 * HOUR as i64 + 5 * S as i64);
    assert_eq!(home.of("morning"), "reminded dispensed");
    assert_eq!(home.carousel.borrow().open(), Some(1));
}

#[test]
fn what_is_not_taken_is_closed_away_and_told() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    home.until(START + 9 * HOUR as i64 + 5 * S as i64);
    assert_eq!(home.of("morning"), "reminded dispensed missed");
    assert_eq!(home.carousel.borrow().open(), None);
    assert!(home.carousel.borrow().holds(1), "it is locked inside");
    home.until(START + 20 * HOUR as i64 + 1);
    home.ask();
    assert_eq!(home.take(), Some(2), "each dose has its own compartment");
}

#[test]
fn it_is_refused_by_holding_the_button_also_when_it_lies_there() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8), slot("noon", 12), slot("evening", 20)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.press(Line::Refuse, 2_500);
    assert_eq!(home.of("morning"), "reminded", "brushed by");
    home.press(Line::Refuse, 3_200);
    assert_eq!(home.of("morning"), "reminded refused");
    home.ask();
    assert_eq!(home.carousel.borrow().open(), None);
    home.until(START + 12 * HOUR as i64 + 1);
    home.ask();
    home.press(Line::Refuse, 4_000);
    home.run(2 * S);
    assert_eq!(home.of("noon"), "reminded dispensed refused");
    assert_eq!((home.carousel.borrow().open(), home.carousel.borrow().holds(2)), (None, true));
    home.until(START + 20 * HOUR as i64 + 1);
    home.ask();
    assert_eq!(home.take(), Some(3));
}

#[test]
fn a_reminder_is_shown_and_said() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    assert_eq!(home.send(Command::Reminder { text: "Påminnelse: dosen 08:00.".into() }), Outcome::Done);
    assert_eq!(home.machine().panel.light, None, "no dose waits: nothing blinks");
    assert_eq!(home.machine().panel.text, "Påminnelse: dosen 08:00.");
    home.until(START + 8 * HOUR as i64 + 1);
    home.send(Command::Reminder { text: "Påminnelse".into() });
    assert_eq!((home.machine().panel.light, home.machine().panel.text.as_str()), (Some(Light::Blink), "Påminnelse"));
    assert_eq!(home.machine().panel.sounds.last(), Some(&Sound::Chime));
}

#[test]
fn an_opened_lid_is_told_and_the_motor_stands() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.until(START + 8 * HOUR as i64 + 1);
    home.carousel.borrow_mut().lid = true;
    home.run(S);
    assert_eq!(home.has(&Event::Tamper {}), 1);
    home.ask();
    assert_eq!((home.carousel.borrow().is_running(), home.carousel.borrow().open()), (false, None));
    home.carousel.borrow_mut().lid = false;
    home.run(S);
    home.press(Line::Give, 200);
    home.carousel.borrow_mut().lid = true;
    home.run(S);
    assert!(!home.carousel.borrow().is_running(), "in the middle too");
    home.carousel.borrow_mut().lid = false;
    home.run(4 * S);
    assert_eq!((home.carousel.borrow().open(), home.has(&Event::Tamper {})), (Some(1), 2));
    assert_eq!(home.take(), Some(1));
    assert_eq!(home.of("morning"), "reminded dispensed taken");
}

#[test]
fn refilled_with_the_key_it_counts_what_it_holds() {
    let mut home = Home::new(Setup::default(), 2);
    home.schedule(&[slot("morning", 8), slot("evening", 20), slot("morning", 32), slot("evening", 44)]);
    assert_eq!(home.stock(), Some(1));
    for (dose, hours) in [(1, 8), (2, 20)] {
        home.until(START + hours * HOUR as i64 + 1);
        home.ask();
        assert_eq!(home.take(), Some(dose));
    }
    assert_eq!(home.stock(), Some(0));
    home.until(START + 32 * HOUR as i64 + 1);
    assert_eq!(home.of("morning"), "reminded dispensed taken missed", "empty: told while somebody can still come");
    home.refill(10);
    assert_eq!(home.has(&Event::Tamper {}), 0);
    assert_eq!(home.stock(), Some(5));
    home.until(START + 44 * HOUR as i64 + 1);
    home.ask();
    assert_eq!(home.take(), Some(1), "from the first filled one on");
}

#[test]
fn counted_as_full_and_found_empty_is_unknown() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    home.carousel.borrow_mut().put(1, false);
    home.until(START + 8 * HOUR as i64 + 1);
    home.ask();
    assert_eq!(home.of("morning"), "reminded unknown");
    home.run(2 * S);
    assert_eq!(home.carousel.borrow().open(), None);
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_and_the_one_before_stays() {
    let mut home = filled();
    home.schedule(&[slot("morning", 8)]);
    let mut backwards = slot("noon", 12);
    backwards.closes_at = backwards.opens_at;
    assert_eq!(home.schedule(&[backwards]), Outcome::Refused);
    assert_eq!(home.schedule(&[slot("noon", 12), slot("noon", 12)]), Outcome::Refused);
    home.until(START + 8 * HOUR as i64 + 1);
    assert_eq!(home.of("morning"), "reminded");
}

#[test]
fn without_a_gateway_it_goes_on_and_says_when_the_schedule_is_over() {
    let mut home = filled();
    let hours = [8, 12, 18, 22, 32, 36, 42, 46];
    let names = ["morning", "noon", "evening", "night"];
    let slots: Vec<_> = hours.iter().zip(names.iter().cycle()).map(|(hours, name)| slot(name, *hours)).collect();
    home.schedule(&slots);
    home.online = false;
    home.dark(MIN);
    for (compartment, hours) in (1..).zip(hours) {
        home.until(START + hours * HOUR as i64 + 10 * S as i64);
        home.ask();
        assert_eq!(home.take(), Some(compartment));
    }
    home.run(DAY);
    home.ask();
    home.online = true;
    home.run(MIN);
    for name in names {
        assert_eq!(home.of(name), "reminded dispensed taken reminded dispensed taken");
    }
    assert_eq!((home.has(&fault("schedule", true)), home.has(&Event::Lost { count: 1 })), (1, 0));
    // Nobody knows which doses have passed: what lies in the next compartment need not be of the next dose.
    home.schedule(&[slot("morning", 80), slot("noon", 84)]);
    home.until(START + 80 * HOUR as i64 + MIN as i64);
    home.ask();
    assert!(home.of("morning").ends_with("taken missed"), "{}", home.of("morning"));
    home.refill(28);
    assert_eq!(home.has(&fault("schedule", false)), 1);
    home.until(START + 84 * HOUR as i64 + MIN as i64);
    home.ask();
    assert_eq!(home.take(), Some(1));
}
