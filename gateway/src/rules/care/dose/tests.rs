//! Stories of one dispenser, through the same fold, rules and watch as in the gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use vaka_protocol::{Command, DeviceId, DoseOutcome, Event, Lane, Outcome as Done};

use super::super::agreed::{Agreed, Device, Person};
use super::super::rehearsal::Rehearsal;
use super::super::when::Days;
use super::*;
use crate::journal::record::{Decision, JoinWhat, Raise, Release};
use crate::rules::lookup::Lookup;
use crate::rules::{DeviceFacts, Home};

pub const MIN: i64 = 60_000;
pub const HOUR: i64 = 60 * MIN;

pub fn dispenser() -> DeviceId {
    DeviceId::try_from("disp").unwrap()
}

pub fn utc(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

pub fn plan(slot: &str, hour: i8) -> Plan {
    Plan {
        device: dispenser(),
        slot: slot.into(),
        days: Days::ALL,
        at: time(hour, 0, 0, 0),
        grace_ms: HOUR,
        reminder_after_ms: Some(15 * MIN),
        early_ms: 0,
        pauses: Vec::new(),
        stock_low_days: 3,
        term: Term::default(),
    }
}

pub fn agreed_in(zone: &str, doses: Vec<Plan>) -> Arc<Agreed> {
    let person = Person { id: "r1".into(), devices: vec![dispenser()], doses, ..Person::default() };
    let device = Device { person: Some(0), kind: "dispenser", ..Device::default() };
    Arc::new(Agreed {
        zone: TimeZone::get(zone).unwrap(),
        people: vec![person],
        devices: Lookup::from([(dispenser(), device)]),
    })
}

pub fn home(agreed: &Agreed) -> Home {
    let slots = agreed.people[0].doses.iter().map(|plan| plan.slot.clone()).collect();
    let facts = DeviceFacts { dty: 11, fixed: false, speaks: false, home: false };
    Home {
        devices: Lookup::from([(dispenser(), facts)]),
        planned: BTreeMap::from([(dispenser(), slots)]),
        ..Home::default()
    }
}

/// A home in Stockholm whose dispenser is connected, and runs on its schedule.
pub fn story(start: &str, doses: Vec<Plan>) -> Rehearsal {
    let agreed = agreed_in("Europe/Stockholm", doses);
    let home = home(&agreed);
    let mut story = Rehearsal::new(agreed, home, utc(start));
    story.alive(&dispenser(), true);
    confirm(&mut story);
    story
}

/// The dispenser takes its newest schedule.
pub fn confirm(story: &mut Rehearsal) {
    let pushed = story.care.dose.dispenser(&dispenser()).and_then(|known| known.pushed.clone());
    if let Some(pushed) = pushed.filter(|pushed| pushed.done.is_none()) {
        story.event(&dispenser(), &Event::Done { id: pushed.id, outcome: Done::Done });
    }
}

pub fn dose(slot: &str, outcome: DoseOutcome) -> Event {
    Event::Dose { slot: slot.into(), outcome }
}

pub fn say(story: &mut Rehearsal, outcome: DoseOutcome) {
    story.event(&dispenser(), &dose("morning", outcome));
}

pub fn say_late(story: &mut Rehearsal, outcome: DoseOutcome, at: &str) {
    story.late(&dispenser(), &dose("morning", outcome), Some(utc(at)));
}

pub fn raised(story: &Rehearsal) -> Vec<&Raise> {
    let raises = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Raise(raise) => Some(raise.as_ref()),
        _ => None,
    });
    raises.collect()
}

/// Notes on doses, as `what slot date`.
pub fn noted(story: &Rehearsal) -> Vec<String> {
    let notes = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Note(note) => Some(format!("{} {}", note.what, note.slot)),
        _ => None,
    });
    notes.collect()
}

fn sent(story: &Rehearsal) -> Vec<(i64, &Command)> {
    let sent = story.log.iter().filter_map(|(at, decision)| match decision {
        Decision::Send(send) => Some((*at, &send.command)),
        _ => None,
    });
    sent.collect()
}

fn reminders(story: &Rehearsal) -> Vec<i64> {
    let of = |(at, command): (i64, &Command)| matches!(command, Command::Reminder { .. }).then_some(at);
    sent(story).into_iter().filter_map(of).collect()
}

/// When a schedule was sent, and its slots: name, opens, closes.
type Sent = (i64, Vec<(String, i64, i64)>);

pub fn schedules(story: &Rehearsal) -> Vec<Sent> {
    let of = |(at, command): (i64, &Command)| match command {
        Command::Schedule { slots } => {
            Some((at, slots.iter().map(|s| (s.slot.to_string(), s.opens_at, s.closes_at)).collect()))
        }
        _ => None,
    };
    sent(story).into_iter().filter_map(of).collect()
}

pub fn told_again(story: &Rehearsal, what: JoinWhat) -> Vec<String> {
    let joins = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Join(join) if join.what == what => Some(join.words.clone().unwrap_or_default().1),
        _ => None,
    });
    joins.collect()
}

pub fn release(story: &mut Rehearsal, on: Date) {
    let release = Release {
        resident: "r1".into(),
        slot: "morning".into(),
        date: on.to_string(),
        by: "anna".into(),
        note: String::new(),
    };
    story.release(&dispenser(), &release);
}

// 08:00 in Stockholm in November is 07:00 UTC.
pub const DAY: &str = "2026-11-22T05:00:00Z";

#[test]
fn a_dose_that_is_taken_is_noted_and_nobody_is_called() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:05:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    story.until(utc("2026-11-22T07:06:00Z"));
    say(&mut story, DoseOutcome::Taken);
    story.until(utc("2026-11-22T20:00:00Z"));
    assert_eq!(noted(&story), ["dose-taken morning 2026-11-22"]);
    assert!(raised(&story).is_empty() && reminders(&story).is_empty());
    assert!(!story.care.dose.told("r1", "morning").unwrap()["2026-11-22"].is_locked());
}

#[test]
fn a_dose_that_nobody_takes_is_reminded_of_once_then_missed_and_locked_until_a_person_releases_it() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    for hour in 6..9 {
        story.until(utc(&format!("2026-11-22T0{hour}:10:00Z")));
        story.restart();
        story.alive(&dispenser(), true);
    }
    story.until(utc("2026-11-22T10:00:00Z"));
    assert_eq!(reminders(&story), [utc("2026-11-22T07:15:00Z")]);
    assert_eq!(noted(&story), ["dose-missed morning 2026-11-22"]);
    let raises = raised(&story);
    let [raise] = raises[..] else { panic!("{raises:?}") };
    assert_eq!((raise.lane, raise.dty, raise.stc, raise.cause.as_str()), (Lane::Care, 11, 81, "dose morning"));
    assert!(raise.en.starts_with("Dose 08:00 is not taken."), "{}", raise.en);
    assert!(!raise.en.to_lowercase().contains("take it") && !raise.sv.to_lowercase().contains("ta den"));
    let basis = raise.basis.as_ref().unwrap();
    assert!(basis.agreed.contains(&("dose.at".into(), "08:00".into())) && basis.prevented.is_some());
    let told = |story: &Rehearsal| story.care.dose.told("r1", "morning").unwrap()["2026-11-22"].clone();
    assert!(told(&story).is_locked());
    assert!(schedules(&story).last().unwrap().1.iter().all(|(_, opens, _)| *opens >= utc("2026-11-22T07:00:00Z")));

    release(&mut story, date(2026, 11, 22));
    assert!(!told(&story).is_locked());
    let (at, slots) = schedules(&story).pop().unwrap();
    assert_eq!(at, utc("2026-11-22T10:00:00Z"), "the dispenser hears of it at once");
    assert_eq!(slots[0], ("morning".into(), utc("2026-11-22T10:00:00Z"), utc("2026-11-22T11:00:00Z")));
    confirm(&mut story);
    story.until(utc("2026-11-22T10:05:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    assert!(schedules(&story).len() == 2, "what was given out is not taken back by a new schedule");
    say(&mut story, DoseOutcome::Taken);
    story.until(utc("2026-11-22T20:00:00Z"));
    assert_eq!(noted(&story)[1..], ["dose-corrected-taken morning 2026-11-22"]);
    assert_eq!(raised(&story).len(), 1);
    assert_eq!(told_again(&story, JoinWhat::Over).len(), 1, "its receivers hear that it was taken");
}

#[test]
fn a_released_dose_that_nobody_takes_is_told() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T10:00:00Z"));
    release(&mut story, date(2026, 11, 22));
    confirm(&mut story);
    story.until(utc("2026-11-22T15:00:00Z"));
    assert_eq!(
        raised(&story).iter().map(|raise| raise.cause.as_str()).collect::<Vec<_>>(),
        ["dose morning", "released morning"]
    );
}

#[test]
fn given_out_and_not_taken_is_told_as_that() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:02:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    story.until(utc("2026-11-22T12:00:00Z"));
    assert_eq!(noted(&story), ["dose-not-taken morning 2026-11-22"]);
    assert_eq!(reminders(&story).len(), 1);
    release(&mut story, date(2026, 11, 22));
    assert_eq!(schedules(&story).len(), 1, "what was given out once is never given out again, released or not");
}

#[test]
fn a_missed_dose_that_was_given_out_after_all_is_told_as_that_and_given_out_no_more() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(noted(&story), ["dose-missed morning 2026-11-22"]);
    say_late(&mut story, DoseOutcome::Dispensed, "2026-11-22T07:30:00Z");
    story.until(utc("2026-11-22T10:00:00Z"));
    assert_eq!(noted(&story)[1..], ["dose-corrected-not-taken morning 2026-11-22"]);
    assert_eq!(raised(&story).len(), 1, "the same dose, the same alarm");
    assert_eq!(told_again(&story, JoinWhat::Again).len(), 1, "the tray stands there with the dose in it");
    release(&mut story, date(2026, 11, 22));
    assert!(schedules(&story).iter().all(|(at, _)| *at < utc("2026-11-22T10:00:00Z")));
}

#[test]
fn a_silent_dispenser_is_told_at_dose_time_and_the_outcome_is_unknown_until_it_tells() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T06:30:00Z"));
    story.alive(&dispenser(), false);
    story.until(utc("2026-11-22T07:00:00Z"));
    {
        let raises = raised(&story);
        let [raise] = raises[..] else { panic!("{raises:?}") };
        assert_eq!((raise.stc, raise.cause.as_str()), (10, "dose morning"));
        assert!(raise.sv.starts_with("Dosen 08:00: fördelaren är tyst."), "{}", raise.sv);
        assert_eq!(raise.basis.as_ref().unwrap().due_at, Some(utc("2026-11-22T08:00:00Z")));
    }
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(noted(&story), ["dose-unknown morning 2026-11-22"], "never missed");
    assert_eq!(raised(&story).len(), 1, "the silence is its alarm");
    story.restart();
    story.until(utc("2026-11-22T09:30:00Z"));
    story.alive(&dispenser(), true);
    say_late(&mut story, DoseOutcome::Dispensed, "2026-11-22T07:01:00Z");
    say_late(&mut story, DoseOutcome::Taken, "2026-11-22T07:02:00Z");
    story.until(utc("2026-11-22T10:00:00Z"));
    assert_eq!(noted(&story)[1..], ["dose-corrected-taken morning 2026-11-22"]);
    assert_eq!(told_again(&story, JoinWhat::Over), ["Correction: Dose 08:00 was taken at 08:02."]);
    assert_eq!(raised(&story).len(), 1);
    // Said once more, under another number.
    say_late(&mut story, DoseOutcome::Taken, "2026-11-22T07:02:00Z");
    story.until(utc("2026-11-22T12:00:00Z"));
    assert_eq!(noted(&story).len(), 2);
}

#[test]
fn a_dispenser_that_comes_back_in_time_has_its_say() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T06:30:00Z"));
    story.alive(&dispenser(), false);
    story.until(utc("2026-11-22T07:20:00Z"));
    story.alive(&dispenser(), true);
    let silent = raised(&story)[0].alarm.clone();
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(noted(&story), ["dose-missed morning 2026-11-22"]);
    assert_eq!(raised(&story).len(), 1, "the same dose, the same alarm");
    assert!(told_again(&story, JoinWhat::Again)[0].starts_with("Dose 08:00 is not taken."));

    // Had somebody closed the first alarm, the missed dose is another.
    story.until(utc("2026-11-23T05:01:00Z"));
    confirm(&mut story);
    story.until(utc("2026-11-23T06:30:00Z"));
    story.close(&silent);
    story.alive(&dispenser(), false);
    story.until(utc("2026-11-23T07:20:00Z"));
    let second = raised(&story)[1].alarm.clone();
    story.close(&second);
    story.alive(&dispenser(), true);
    story.until(utc("2026-11-23T09:00:00Z"));
    assert_eq!(raised(&story).last().unwrap().cause, "missed morning");
}

#[test]
fn a_reconnect_as_the_grace_ends_waits_for_what_the_dispenser_kept() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:58:00Z"));
    story.alive(&dispenser(), false);
    story.until(utc("2026-11-22T08:00:05Z"));
    assert!(noted(&story).is_empty(), "gone for two minutes is not silent yet");
    story.alive(&dispenser(), true);
    story.until(utc("2026-11-22T08:00:07Z"));
    say_late(&mut story, DoseOutcome::Taken, "2026-11-22T07:59:00Z");
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(noted(&story), ["dose-taken morning 2026-11-22"]);
    assert!(raised(&story).is_empty());
}

#[test]
fn a_connection_that_was_dead_as_the_dose_closed_proves_nothing() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T08:05:00Z"));
    assert!(noted(&story).is_empty(), "it may be gone without a word");
    story.alive(&dispenser(), false);
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(noted(&story), ["dose-unknown morning 2026-11-22"]);
}

#[test]
fn who_connects_after_the_dose_has_closed_proves_the_connection() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T08:01:00Z"));
    story.alive(&dispenser(), true);
    story.until(utc("2026-11-22T08:02:00Z"));
    assert_eq!(noted(&story), ["dose-missed morning 2026-11-22"]);
}

#[test]
fn what_the_dispenser_says_itself_is_the_same_alarm() {
    for (outcome, word, stc) in [
        (DoseOutcome::Missed, "missed", 81),
        (DoseOutcome::Refused, "refused", 81),
        (DoseOutcome::Jammed, "jammed", 52),
        (DoseOutcome::Unknown, "unknown", 0),
    ] {
        let mut story = story(DAY, vec![plan("morning", 8)]);
        story.until(utc("2026-11-22T07:30:00Z"));
        say(&mut story, outcome);
        say(&mut story, outcome);
        story.until(utc("2026-11-22T12:00:00Z"));
        say(&mut story, outcome);
        story.until(utc("2026-11-22T20:00:00Z"));
        let raises = raised(&story);
        let [raise] = raises[..] else { panic!("{raises:?}") };
        assert_eq!((raise.rule.as_str(), raise.stc, raise.happened_at), ("dose", stc, utc("2026-11-22T07:30:00Z")));
        assert_eq!(noted(&story), [format!("dose-{word} morning 2026-11-22")]);
    }
}

#[test]
fn a_slot_without_a_plan_stays_with_the_rule_trigger() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.event(&dispenser(), &dose("evening", DoseOutcome::Missed));
    assert_eq!(raised(&story)[0].rule, "trigger");
}

#[test]
fn words_against_a_dose_that_was_taken_go_to_a_person() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:02:00Z"));
    say(&mut story, DoseOutcome::Taken);
    story.until(utc("2026-11-22T07:30:00Z"));
    say(&mut story, DoseOutcome::Missed);
    story.until(utc("2026-11-22T12:00:00Z"));
    assert_eq!(noted(&story), ["dose-taken morning 2026-11-22", "dose-contradicted morning 2026-11-22"]);
    assert_eq!(raised(&story).len(), 1);
    assert!(raised(&story)[0].en.contains("contradicting words"));
}

#[test]
fn words_against_a_dose_that_come_together_with_its_taking_go_to_a_person() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:10:00Z"));
    let said = [
        (dose("morning", DoseOutcome::Taken), utc("2026-11-22T07:05:00Z")),
        (dose("morning", DoseOutcome::Jammed), utc("2026-11-22T07:06:00Z")),
    ];
    story.together(&dispenser(), &said);
    story.until(utc("2026-11-22T12:00:00Z"));
    assert_eq!(noted(&story), ["dose-taken morning 2026-11-22", "dose-contradicted morning 2026-11-22"]);
    let raises = raised(&story);
    assert_eq!((raises.len(), raises[0].stc), (1, 52));
}

#[test]
fn given_out_before_its_time_or_outside_the_plan_is_told() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T06:10:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    say(&mut story, DoseOutcome::Taken);
    assert!(raised(&story)[0].en.starts_with("Dose 08:00 given too early."), "{}", raised(&story)[0].en);
    assert_eq!(noted(&story), ["dose-taken morning 2026-11-22"]);
    assert!(schedules(&story).last().unwrap().1[0].1 > utc("2026-11-23T00:00:00Z"), "and is not asked for again");

    let mut paused = plan("morning", 8);
    paused.pauses = vec![Pause { from: date(2026, 11, 22), until: date(2026, 12, 24), why: "travel".into() }];
    let mut away = self::story("2026-11-20T20:00:00Z", vec![paused]);
    away.until(utc("2026-11-25T12:00:00Z"));
    say(&mut away, DoseOutcome::Dispensed);
    assert_eq!(raised(&away).last().unwrap().cause, "unplanned morning");
}

#[test]
fn nothing_is_asked_in_a_pause_and_all_again_after_it() {
    let mut paused = plan("morning", 8);
    paused.pauses = vec![Pause { from: date(2026, 11, 23), until: date(2026, 12, 24), why: "travel".into() }];
    let mut story = story(DAY, vec![paused]);
    for _ in 0..60 {
        story.until(story.now_ms() + 12 * HOUR);
        confirm(&mut story);
    }
    assert_eq!(noted(&story), ["dose-missed morning 2026-11-22"]);
    while story.now_ms() < utc("2026-12-25T12:00:00Z") {
        story.until(story.now_ms() + 6 * HOUR);
        confirm(&mut story);
    }
    assert_eq!(noted(&story)[1..], ["dose-missed morning 2026-12-25"]);
}

#[test]
fn a_plan_agreed_at_noon_says_nothing_of_the_morning() {
    let mut story = story("2026-11-22T11:00:00Z", vec![plan("morning", 8)]);
    story.until(utc("2026-11-23T06:00:00Z"));
    assert!(noted(&story).is_empty() && raised(&story).is_empty());
    let (_, slots) = &schedules(&story)[0];
    assert_eq!(slots.len(), 8);
    assert_eq!(slots[0].1, utc("2026-11-23T07:00:00Z"));
}

#[test]
fn what_was_asked_for_before_an_outage_of_the_gateway_is_unknown_after_it() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T06:00:00Z"));
    story.down_until(utc("2026-11-23T11:00:00Z"));
    story.until(utc("2026-11-23T12:00:00Z"));
    assert_eq!(noted(&story), ["dose-unknown morning 2026-11-22", "dose-unknown morning 2026-11-23"]);
    assert_eq!(raised(&story).iter().filter(|raise| raise.lane == Lane::Care).count(), 2);
    story.alive(&dispenser(), true);
    say_late(&mut story, DoseOutcome::Taken, "2026-11-23T07:10:00Z");
    story.until(utc("2026-11-23T12:05:00Z"));
    say_late(&mut story, DoseOutcome::Taken, "2026-11-22T07:10:00Z");
    story.until(utc("2026-11-23T13:00:00Z"));
    assert_eq!(
        noted(&story)[2..],
        ["dose-corrected-taken morning 2026-11-23", "dose-corrected-taken morning 2026-11-22"],
        "in whatever order it tells"
    );
}

#[test]
fn a_dose_in_the_hour_that_is_skipped_or_comes_twice_is_one_dose() {
    for (start, end, due) in [
        ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z", "2027-03-28T01:00:00Z"),
    ] {
        let mut night = plan("night", 2);
        night.at = time(2, 30, 0, 0);
        night.reminder_after_ms = Some(0);
        let mut story = story(start, vec![night]);
        story.until(utc(end));
        assert_eq!(reminders(&story), [utc(due)]);
        assert_eq!(noted(&story).len(), 1);
        assert_eq!(raised(&story).len(), 1);
    }
}
