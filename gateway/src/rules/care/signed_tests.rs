use vaka_protocol::{Command, DoseOutcome, Event};

use super::*;
use crate::journal::record::Decision;
use crate::rules::alarms::Alarm;
use crate::rules::care::dose::tests::{dispenser, plan, story, utc};
use crate::rules::care::night::tests::{Story, agreed, local};
use crate::rules::care::rehearsal::Rehearsal;

const ROUND: &str = "rounds = [{ at = \"03:00\", latest = \"03:30\" }]";

fn visit(planned_at: Option<i64>) -> Wish {
    Wish::Visit { resident: "resident".into(), planned_at, note: String::new() }
}

fn dose(planned_at: i64, given: bool) -> Wish {
    Wish::Dose { resident: "r1".into(), slot: "morning".into(), planned_at, given, note: String::new() }
}

fn visits_asked_for(story: &Rehearsal) -> usize {
    let is_visit =
        |(_, decision): &&(i64, Decision)| matches!(decision, Decision::Raise(raise) if raise.cause == "round 03:00");
    story.log.iter().filter(is_visit).count()
}

/// The bed was left before the night, so that no sensor makes the look-in.
fn up_all_night() -> Story {
    Story::of("Europe/Stockholm", "2026-11-20", agreed(ROUND))
}

#[test]
fn a_look_in_that_a_person_signs_for_is_made_and_nobody_is_asked_to_visit() {
    let planned_at = local("2026-11-21 03:00");
    let mut story = up_all_night();
    story.at("03:05");
    let early = story.home.sign(visit(Some(planned_at + 1)), "anna").unwrap_err();
    assert!(matches!(&early, Refusal::NotFound(why) if why.contains("nothing on the round")), "{early}");
    let signed = story.home.sign(visit(Some(planned_at)), "anna").unwrap();
    assert!(matches!(signed, Verdict::New(_, None)), "{signed:?}");
    assert_eq!(story.home.sign(visit(Some(planned_at)), "anna"), Ok(Verdict::Known), "twice is once");
    let other = story.home.sign(visit(Some(planned_at)), "bo").unwrap_err();
    assert!(matches!(&other, Refusal::Conflict(why) if why.contains("signed by anna already")), "{other}");
    story.home.restart();
    assert_eq!(story.home.sign(visit(Some(planned_at)), "anna"), Ok(Verdict::Known), "after a restart too");
    story.at("06:00");
    assert_eq!(visits_asked_for(&story.home), 0);
    let unsigned = {
        let mut story = up_all_night();
        story.at("06:00");
        visits_asked_for(&story.home)
    };
    assert_eq!(unsigned, 1, "without a signature somebody is asked");
}

#[test]
fn a_look_in_signed_for_in_arrears_says_nothing_of_the_next_one() {
    let rounds = "rounds = [{ at = \"01:00\", latest = \"01:30\" }, { at = \"03:00\", latest = \"03:30\" }]";
    let mut story = Story::of("Europe/Stockholm", "2026-11-20", agreed(rounds));
    story.at("03:05");
    story.home.sign(visit(Some(local("2026-11-21 01:00"))), "anna").unwrap();
    story.at("06:00");
    assert_eq!(visits_asked_for(&story.home), 1, "anna was there at one; nobody has been at three");
}

#[test]
fn a_visit_that_was_asked_for_is_closed_by_who_signs_for_it_and_another_alarm_is_not() {
    let planned_at = local("2026-11-21 03:00");
    let mut story = up_all_night();
    story.at("03:20");
    assert_eq!(visits_asked_for(&story.home), 1);
    let open = |story: &Story| story.home.alarms.open().filter(|alarm| alarm.raise.cause == "round 03:00").count();
    story.home.sign(visit(None), "anna").unwrap();
    assert_eq!(open(&story), 1, "a visit that nobody planned explains, and closes nothing");
    let verdict = story.home.sign(visit(Some(planned_at)), "anna").unwrap();
    assert!(matches!(verdict, Verdict::New(_, Some(_))), "{verdict:?}");
    assert_eq!(open(&story), 0);
}

#[test]
fn what_is_still_to_come_is_not_signed_and_nobody_signs_for_nobody() {
    let planned_at = local("2026-11-21 03:00");
    let mut story = up_all_night();
    story.at("02:29");
    assert!(matches!(story.home.sign(visit(Some(planned_at)), "anna"), Err(Refusal::Conflict(_))));
    story.at("02:30");
    assert!(matches!(story.home.sign(visit(Some(planned_at)), " "), Err(Refusal::Wrong(_))));
    let nobody = Wish::Visit { resident: "r9".into(), planned_at: None, note: String::new() };
    assert!(matches!(story.home.sign(nobody, "anna"), Err(Refusal::NotFound(_))));
    assert!(story.home.sign(visit(Some(planned_at)), "anna").is_ok(), "the patrol is early");
}

#[test]
fn who_signs_that_they_are_there_explains_an_alarm_and_mutes_none() {
    let mut story = Story::new("absence_care_min = 20\nabsence_life_min = 0");
    story.at("22:30").bed(true).at("01:00").bed(false).at("01:10");
    story.home.sign(visit(None), "anna").unwrap();
    story.at("01:30");
    let raised = story.home.log.iter().find_map(|(_, decision)| match decision {
        Decision::Raise(raise) if raise.cause == "absence" => Some(raise.clone()),
        _ => None,
    });
    let raise = raised.expect("told all the same");
    assert!(raise.en.contains("Staff was here at 01:10."), "{}", raise.en);
}

/// The schedules that the dispenser was sent: the windows in each.
fn schedules(story: &Rehearsal) -> Vec<Vec<i64>> {
    let slots = |command: &Command| match command {
        Command::Schedule { slots } => Some(slots.iter().map(|slot| slot.opens_at).collect()),
        _ => None,
    };
    let sent = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Send(send) => slots(&send.command),
        _ => None,
    });
    sent.collect()
}

#[test]
fn a_dose_given_by_hand_is_taken_off_the_dispenser_and_is_not_missed() {
    let due = utc("2026-11-21T07:00:00Z");
    let mut story = story("2026-11-20T12:00:00Z", vec![plan("morning", 8)]);
    assert!(schedules(&story).last().unwrap().contains(&due));
    story.until(due - 10 * 60_000);
    assert!(matches!(story.sign(dose(due, true), "anna"), Ok(Verdict::New(_, None))));
    assert!(!schedules(&story).last().unwrap().contains(&due), "the dispenser does not give it as well");
    assert_eq!(story.sign(dose(due, true), "anna"), Ok(Verdict::Known));
    assert!(matches!(story.sign(dose(due, true), "bo"), Err(Refusal::Conflict(_))), "nobody gives it twice");
    assert!(matches!(story.sign(dose(due, false), "anna"), Err(Refusal::Conflict(_))));
    story.restart();
    story.event(&dispenser(), &Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Missed });
    story.until(due + 6 * 3_600_000);
    // That this dispenser has not confirmed its schedule is another matter.
    let about_doses = |alarm: &&Alarm| !alarm.raise.en.contains("has not confirmed the schedule");
    let raised: Vec<_> = story.alarms.open().filter(about_doses).map(|alarm| alarm.raise.en.clone()).collect();
    assert!(raised.is_empty(), "{raised:?}");
    // And should the dispenser give it out all the same, a person has to know.
    story.event(&dispenser(), &Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Dispensed });
    let told = story.alarms.open().map(|alarm| alarm.raise.en.clone()).collect::<Vec<_>>();
    assert!(told.iter().any(|en| en.contains("perhaps twice")), "{told:?}");
}

#[test]
fn a_dose_given_by_hand_while_it_is_offered_is_taken_off_the_dispenser_at_once_and_once() {
    let due = utc("2026-11-21T07:00:00Z");
    let mut story = story("2026-11-20T12:00:00Z", vec![plan("morning", 8)]);
    story.until(due + 10 * 60_000);
    story.event(&dispenser(), &Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Reminded });
    let before = schedules(&story).len();
    assert!(matches!(story.sign(dose(due, true), "anna"), Ok(Verdict::New(_, None))));
    assert_eq!(schedules(&story).len(), before + 1);
    assert!(!schedules(&story).last().unwrap().contains(&due), "nobody takes it from there as well");
    story.until(due + 3 * 3_600_000);
    assert_eq!(schedules(&story).len(), before + 1);
}

#[test]
fn a_dose_that_the_dispenser_has_given_out_is_not_given_by_hand_on_one_word() {
    let due = utc("2026-11-21T07:00:00Z");
    let mut story = story("2026-11-20T12:00:00Z", vec![plan("morning", 8)]);
    story.until(due + 60_000);
    story.event(&dispenser(), &Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Dispensed });
    assert!(matches!(story.sign(dose(due, true), "anna"), Err(Refusal::Conflict(_))));
    assert!(matches!(story.sign(dose(due, false), "anna"), Ok(Verdict::New(..))), "that it was not, may be said");
    assert!(matches!(story.sign(dose(due + 86_400_000, true), "anna"), Err(Refusal::Conflict(_))), "not tomorrow's");
    assert!(matches!(story.sign(dose(due + 1, true), "anna"), Err(Refusal::NotFound(_))));
}
