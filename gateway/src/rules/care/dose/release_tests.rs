//! Doses that a person releases: until when they may be given out, and which are too old for it.

use jiff::civil::{Weekday, date};
use vaka_protocol::{Command, DoseOutcome, Lane};

use super::super::rehearsal::Rehearsal;
use super::super::when::Days;
use super::tests::{DAY, agreed_in, confirm, dispenser, noted, plan, raised, release, say, schedules, story, utc};
use super::*;
use crate::journal::record::Decision;

fn on(days: &[Weekday]) -> Plan {
    Plan { days: Days::of(days), ..plan("morning", 8) }
}

/// What the dispenser was asked for last: when each dose opens and closes.
fn asked(story: &Rehearsal) -> Vec<(i64, i64)> {
    schedules(story)
        .pop()
        .map(|(_, slots)| slots.into_iter().map(|(_, opens, closes)| (opens, closes)).collect())
        .unwrap()
}

fn refused(story: &Rehearsal, on: &str) -> String {
    story.releasable("r1", "morning", Some(on)).expect_err("refused")
}

/// Released late on a Tuesday: the dose of Sunday, the next of which is a week away.
fn released_before_midnight(restarts: bool) -> Rehearsal {
    let mut story = story(DAY, vec![on(&[Weekday::Sunday])]);
    story.until(utc("2026-11-24T22:50:00Z"));
    assert_eq!(story.releasable("r1", "morning", None).unwrap(), "2026-11-22");
    release(&mut story, date(2026, 11, 22));
    confirm(&mut story);
    let count = schedules(&story).len();
    assert_eq!(asked(&story)[0], (utc("2026-11-24T22:50:00Z"), utc("2026-11-24T23:50:00Z")));
    if restarts {
        story.restart();
        story.alive(&dispenser(), true);
    }
    story.until(utc("2026-11-24T23:10:00Z"));
    assert_eq!(schedules(&story).len(), count, "midnight takes nothing back");
    story
}

#[test]
fn a_dose_released_before_midnight_is_given_out_after_it_over_a_restart_too() {
    for restarts in [false, true] {
        let mut story = released_before_midnight(restarts);
        say(&mut story, DoseOutcome::Dispensed);
        say(&mut story, DoseOutcome::Taken);
        story.until(utc("2026-11-25T12:00:00Z"));
        assert_eq!(noted(&story), ["dose-missed morning 2026-11-22", "dose-corrected-taken morning 2026-11-22"]);
        let care = raised(&story).into_iter().filter(|raise| raise.lane == Lane::Care);
        let causes: Vec<&str> = care.map(|raise| raise.cause.as_str()).collect();
        assert_eq!(causes, ["dose morning"], "what was released is not told as unplanned");
    }
}

#[test]
fn a_dose_released_before_midnight_and_not_taken_is_told_when_its_time_is_over() {
    for restarts in [false, true] {
        let mut story = released_before_midnight(restarts);
        story.until(utc("2026-11-25T12:00:00Z"));
        let causes: Vec<(&str, i64)> = raised(&story)
            .iter()
            .filter(|raise| raise.lane == Lane::Care)
            .map(|raise| (raise.cause.as_str(), raise.happened_at))
            .collect();
        assert_eq!(causes[1], ("released morning", utc("2026-11-24T23:50:00Z")));
    }
}

#[test]
fn a_dose_is_too_old_when_the_next_of_its_slot_has_begun() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-23T04:30:00Z"));
    assert!(story.releasable("r1", "morning", Some("2026-11-22")).is_ok(), "half past five: the next is hours away");
    // Two hours before the next a word of the dispenser's is of that one.
    for at in ["2026-11-23T05:00:00Z", "2026-11-24T10:00:00Z"] {
        story.until(utc(at));
        let why = refused(&story, "2026-11-22");
        assert!(why.contains("is too old to be released") && why.contains("the one of 2026-11-23 08:00"), "{why}");
        assert!(why.contains("two must never be open at once") && why.contains("ask whoever prescribes"), "{why}");
    }
    assert_eq!(story.releasable("r1", "morning", None).unwrap(), "2026-11-24", "the newest that is locked");
}

#[test]
fn a_release_ends_before_the_next_dose_of_its_slot_whatever_day_that_is() {
    let mut story = story(DAY, vec![on(&[Weekday::Sunday, Weekday::Tuesday])]);
    story.until(utc("2026-11-24T04:30:00Z"));
    release(&mut story, date(2026, 11, 22));
    assert_eq!(asked(&story)[0], (utc("2026-11-24T04:30:00Z"), utc("2026-11-24T05:00:00Z")));
}

#[test]
fn a_release_ends_where_a_dose_of_another_slot_opens_and_waits_while_one_is_open() {
    let two = vec![plan("morning", 8), plan("noon", 11)];
    let mut early = story(DAY, two.clone());
    early.until(utc("2026-11-22T09:30:00Z"));
    release(&mut early, date(2026, 11, 22));
    assert_eq!(asked(&early)[0], (utc("2026-11-22T09:30:00Z"), utc("2026-11-22T10:00:00Z")));

    let mut late = story(DAY, two);
    late.until(utc("2026-11-22T10:10:00Z"));
    let why = refused(&late, "2026-11-22");
    assert!(why.contains("the dose of slot `noon` is open until 12:00"), "{why}");
    late.event(&dispenser(), &super::tests::dose("noon", DoseOutcome::Taken));
    assert!(late.releasable("r1", "morning", None).is_ok(), "it is taken");
}

/// The opening that each slot of the newest schedule releases.
fn releases(story: &Rehearsal) -> Vec<Option<i64>> {
    let sent = story.log.iter().rev().filter_map(|(_, decision)| match decision {
        Decision::Send(send) => Some(&send.command),
        _ => None,
    });
    let mut schedules = sent.filter_map(|command| match command {
        Command::Schedule { slots } => Some(slots.iter().map(|slot| slot.releases).collect()),
        _ => None,
    });
    schedules.next().unwrap()
}

#[test]
fn a_release_names_the_dose_that_it_releases_as_the_dispenser_knows_it_and_a_moved_dose_names_none() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T10:00:00Z"));
    // Moved since: the dispenser has it locked by the time that it was asked for.
    story.agree(agreed_in("Europe/Stockholm", vec![plan("morning", 10)]));
    release(&mut story, date(2026, 11, 22));
    let of = releases(&story);
    assert_eq!((of[0], of[1..].iter().flatten().count()), (Some(utc("2026-11-22T07:00:00Z")), 0));
    confirm(&mut story);

    // The next day's, brought forward into a window that is open already.
    story.until(utc("2026-11-23T05:40:00Z"));
    story.agree(agreed_in("Europe/Stockholm", vec![plan("morning", 6)]));
    assert_eq!(asked(&story)[0].0, utc("2026-11-23T05:00:00Z"));
    assert_eq!(releases(&story).iter().flatten().count(), 0);
}

#[test]
fn nobody_releases_what_the_list_shows_no_more() {
    let pause = Pause { from: date(2026, 11, 23), until: date(2026, 12, 31), why: "hospital".into() };
    let mut story = story(DAY, vec![Plan { pauses: vec![pause], ..plan("morning", 8) }]);
    story.until(utc("2026-11-30T10:00:00Z"));
    assert!(story.releasable("r1", "morning", None).is_ok());
    story.until(utc("2026-12-01T10:00:00Z"));
    let why = refused(&story, "2026-11-22");
    assert!(why.contains("too old to be released: more than 8 days"), "{why}");
}
