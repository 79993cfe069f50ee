use std::sync::Arc;

use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::agreed::{Agreed, Device};
use super::super::rehearsal::Rehearsal;
use super::*;
use crate::rules::Home;
use crate::rules::lookup::Lookup;

const MIN: i64 = 60_000;

fn lamp() -> DeviceId {
    DeviceId::try_from("lamp").unwrap()
}

fn utc(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn agreed(zone: &str, days: Days, expiry_min: i64) -> Arc<Agreed> {
    let at = time(10, 0, 0, 0);
    let (text, expiry_ms, term) = ("Dags för gymmet".into(), expiry_min * MIN, Term::default());
    let reminder = Reminder { device: lamp(), days, at, text, expiry_ms, term };
    let person = Person { id: "r 1".into(), devices: vec![lamp()], reminders: vec![reminder], ..Person::default() };
    let device = Device { person: Some(0), kind: "feedback", ..Device::default() };
    let devices = Lookup::from([(lamp(), device)]);
    Arc::new(Agreed { zone: TimeZone::get(zone).unwrap(), people: vec![person], devices })
}

fn story(start: &str, days: Days) -> Rehearsal {
    Rehearsal::new(agreed("Europe/Stockholm", days, 30), Home::default(), utc(start))
}

fn sent(story: &Rehearsal) -> Vec<(i64, i64)> {
    let sent = story.log.iter().filter_map(|(at, decision)| match decision {
        Decision::Send(send) => Some((*at, send.expires_at)),
        _ => None,
    });
    sent.collect()
}

fn noted(story: &Rehearsal) -> Vec<&str> {
    let noted = story.log.iter().filter_map(|(_, decision)| match decision {
        Decision::Note(note) => Some(note.what.as_str()),
        _ => None,
    });
    noted.collect()
}

fn command(story: &Rehearsal) -> u64 {
    *story.care.reminder.open[&lamp()].last_key_value().unwrap().0
}

#[test]
fn it_is_sent_at_its_time_once_and_its_answer_is_noted() {
    let mut story = story("2026-11-22T08:00:00Z", Days::ALL);
    story.until(utc("2026-11-22T09:00:00Z"));
    assert_eq!(sent(&story), [(utc("2026-11-22T09:00:00Z"), utc("2026-11-22T09:30:00Z"))]);
    story.restart();
    let id = command(&story);
    story.event(&lamp(), &Event::Done { id, outcome: Outcome::Done });
    story.restart();
    story.until(utc("2026-11-22T20:00:00Z"));
    assert_eq!(noted(&story), ["reminder-shown"]);
    story.until(utc("2026-11-23T20:00:00Z"));
    assert_eq!(sent(&story).len(), 2);
    assert_eq!(noted(&story), ["reminder-shown", "reminder-unconfirmed"]);
    assert!(story.care.reminder.open.is_empty());
}

#[test]
fn a_refusal_is_noted_as_one() {
    let mut story = story("2026-11-22T08:59:00Z", Days::ALL);
    story.until(utc("2026-11-22T09:00:00Z"));
    let id = command(&story);
    story.event(&lamp(), &Event::Done { id, outcome: Outcome::Refused });
    assert_eq!(noted(&story), ["reminder-refused"]);
}

#[test]
fn it_comes_late_within_its_expiry_and_never_beyond() {
    let mut late = story("2026-11-22T08:00:00Z", Days::ALL);
    late.down_until(utc("2026-11-22T09:29:00Z"));
    assert_eq!(sent(&late), [(utc("2026-11-22T09:29:00Z"), utc("2026-11-22T09:30:00Z"))]);
    let mut beyond = story("2026-11-22T08:00:00Z", Days::ALL);
    beyond.down_until(utc("2026-11-22T09:30:00Z"));
    beyond.until(utc("2026-11-22T20:00:00Z"));
    assert!(sent(&beyond).is_empty());
}

#[test]
fn one_of_a_day_a_week_is_not_forgotten() {
    let mut story = story("2026-11-22T12:00:00Z", Days::of(&[Weekday::Sunday]));
    story.until(utc("2026-12-07T00:00:00Z"));
    assert_eq!(
        sent(&story).iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [utc("2026-11-29T09:00:00Z"), utc("2026-12-06T09:00:00Z")]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn restarts_at_any_moment_change_nothing(
        restarts in prop::collection::vec(0..20_160_i64, 0..12),
        start in prop::sample::select(vec!["2026-11-20T00:00:00Z", "2026-10-24T00:00:00Z", "2027-03-27T00:00:00Z"]),
        expiry_min in 1..720_i64,
    ) {
        let run = |restarts: &[i64]| {
            let mut story = Rehearsal::new(agreed("Europe/Stockholm", Days::ALL, expiry_min), Home::default(), utc(start));
            let mut restarts = restarts.to_vec();
            restarts.sort_unstable();
            for minute in restarts {
                story.until(utc(start) + minute * MIN);
                story.restart();
            }
            story.until(utc(start) + 20_160 * MIN);
            (sent(&story), noted(&story).iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (sent, noted) = run(&restarts);
        prop_assert_eq!(sent.len(), 14);
        prop_assert_eq!((sent, noted), run(&[]));
    }
}
