//! The dispenser's schedule and stock, and what people see of the doses.

use jiff::civil::{Weekday, date};
use vaka_protocol::{DoseOutcome, Event, Lane, Outcome as Done};

use super::super::rehearsal::Rehearsal;
use super::super::when::Days;
use super::tests::{
    DAY, agreed_in, confirm, dispenser, home, noted, plan, raised, release, say, schedules, story, told_again, utc,
};
use super::*;
use crate::journal::record::JoinWhat;

#[test]
fn the_schedule_is_pushed_when_it_changes_and_once_a_day_and_must_be_confirmed() {
    let two = vec![plan("morning", 8), plan("evening", 20)];
    let mut story = story(DAY, two.clone());
    assert_eq!(schedules(&story).len(), 1);
    let names: Vec<String> = schedules(&story)[0].1.iter().map(|(slot, ..)| slot.clone()).collect();
    assert_eq!(names, ["morning", "evening", "morning", "evening", "morning", "evening", "morning", "evening"]);
    story.restart();
    story.alive(&dispenser(), true);
    story.until(utc("2026-11-22T12:00:00Z"));
    assert_eq!(schedules(&story).len(), 1, "neither a restart nor a dose that has passed changes it");
    story.until(utc("2026-11-23T05:10:00Z"));
    assert_eq!(schedules(&story).len(), 2, "once a day");
    assert!(raised(&story).iter().all(|raise| raise.lane == Lane::Care), "and there is time to confirm it");
    story.until(utc("2026-11-23T06:00:00Z"));
    let raise = raised(&story).pop().unwrap();
    assert_eq!((raise.lane, raise.cause.as_str()), (Lane::Technical, "unconfirmed disp"));
    assert!(raise.en.contains("runs on its old schedule"));
    confirm(&mut story);
    assert_eq!(told_again(&story, JoinWhat::Over), ["The dispenser has confirmed its schedule."]);

    let mut weekdays = two;
    weekdays[0].days = Days::of(&[Weekday::Monday]);
    story.agree(agreed_in("Europe/Stockholm", weekdays.clone()));
    assert_eq!(schedules(&story).len(), 3, "at once");
    confirm(&mut story);
    story.agree(agreed_in("Europe/Stockholm", weekdays));
    story.until(utc("2026-11-23T06:30:00Z"));
    assert_eq!(schedules(&story).len(), 3, "once");
    story.agree(agreed_in("Europe/Stockholm", Vec::new()));
    assert!(schedules(&story)[3].1.is_empty(), "nothing is planned: the dispenser gives out nothing");
}

#[test]
fn a_refused_schedule_is_told_at_once() {
    let agreed = agreed_in("Europe/Stockholm", vec![plan("morning", 8)]);
    let home = home(&agreed);
    let mut story = Rehearsal::new(agreed, home, utc(DAY));
    story.alive(&dispenser(), true);
    let id = story.care.dose.dispenser(&dispenser()).unwrap().pushed.as_ref().unwrap().id;
    story.event(&dispenser(), &Event::Done { id, outcome: Done::Refused });
    assert!(raised(&story)[0].en.contains("did not accept the schedule"));
}

#[test]
fn low_stock_is_told_once_for_each_filling() {
    let mut story = story(DAY, vec![Plan { stock_low_days: 5, ..plan("morning", 8) }]);
    for days_left in [6, 5, 5, 4] {
        story.event(&dispenser(), &Event::Stock { days_left });
    }
    let low = raised(&story).pop().unwrap();
    assert_eq!((raised(&story).len(), low.stc, low.rule.as_str(), low.lane), (1, 64, "dose", Lane::Technical));
    let id = low.alarm.clone();
    story.event(&dispenser(), &Event::Stock { days_left: 28 });
    assert_eq!(told_again(&story, JoinWhat::Over).len(), 1);
    story.close(&id);
    story.event(&dispenser(), &Event::Stock { days_left: 5 });
    assert_eq!(raised(&story).len(), 2);
}

#[test]
fn a_time_moved_on_the_day_does_not_ask_for_the_dose_again() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:05:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    say(&mut story, DoseOutcome::Taken);
    story.agree(agreed_in("Europe/Stockholm", vec![plan("morning", 11)]));
    let (_, slots) = schedules(&story).pop().unwrap();
    assert_eq!(slots[0].1, utc("2026-11-23T10:00:00Z"), "today's was taken, whatever its time is now");
    confirm(&mut story);
    story.until(utc("2026-11-22T22:00:00Z"));
    assert!(raised(&story).is_empty());
    assert_eq!(noted(&story).len(), 1);
}

#[test]
fn a_time_moved_after_the_dose_was_given_out_does_not_ask_for_it_again() {
    let mut story = story(DAY, vec![plan("morning", 8)]);
    story.until(utc("2026-11-22T07:05:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    story.agree(agreed_in("Europe/Stockholm", vec![plan("morning", 13)]));
    let (_, slots) = schedules(&story).pop().unwrap();
    assert_eq!(slots[0].1, utc("2026-11-23T12:00:00Z"), "today's was given out at the old time");
}

#[test]
fn a_dose_released_the_next_day_does_not_stand_for_that_days() {
    let mut story = story(DAY, vec![plan("morning", 20)]);
    story.until(utc("2026-11-23T05:30:00Z"));
    confirm(&mut story);
    story.until(utc("2026-11-23T06:00:00Z"));
    release(&mut story, date(2026, 11, 22));
    confirm(&mut story);
    story.until(utc("2026-11-23T06:05:00Z"));
    say(&mut story, DoseOutcome::Dispensed);
    say(&mut story, DoseOutcome::Taken);
    story.until(utc("2026-11-23T21:00:00Z"));
    assert!(noted(&story).contains(&"dose-corrected-taken morning 2026-11-22".to_owned()));
    assert!(noted(&story).contains(&"dose-missed morning 2026-11-23".to_owned()), "{:?}", noted(&story));
    let today = utc("2026-11-23T19:00:00Z");
    assert!(schedules(&story).iter().all(|(at, slots)| *at > today || slots.iter().any(|slot| slot.1 == today)));
}

#[test]
fn people_see_what_is_planned_and_what_became_of_it() {
    let mut story = story(DAY, vec![plan("morning", 8), plan("evening", 20)]);
    story.until(utc("2026-11-22T09:00:00Z"));
    let agreed = agreed_in("Europe/Stockholm", vec![plan("morning", 8), plan("evening", 20)]);
    let rows = |story: &Rehearsal| {
        let rows = rows::rows(&story.care, &agreed, story.now_ms());
        rows.into_iter().map(|row| (row.slot, row.date, row.state, row.locked)).collect::<Vec<_>>()
    };
    let row =
        |slot: &str, date: &str, state: &str, locked| (slot.to_owned(), date.to_owned(), state.to_owned(), locked);
    let told = rows(&story);
    assert_eq!(
        told,
        [
            row("morning", "2026-11-22", "missed", true),
            row("evening", "2026-11-22", "planned", false),
            row("morning", "2026-11-23", "planned", false),
            row("evening", "2026-11-23", "planned", false),
        ]
    );
    let locked = |date| story.releasable("r1", "morning", date);
    assert_eq!(locked(None).unwrap(), "2026-11-22");
    assert!(locked(Some("2026-11-23")).unwrap_err().contains("nothing was told"));
    assert!(story.releasable("r2", "morning", None).unwrap_err().contains("resident `r2`"));
    release(&mut story, date(2026, 11, 22));
    let again = story.releasable("r1", "morning", Some("2026-11-22"));
    assert!(again.unwrap_err().contains("was released by anna already"));
}
